"""`GaussianMixture`: maximum likelihood by expectation-maximization."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.utils._param_validation import Interval, StrOptions

from dgmm.data.types import GroupsLike, LabelsLike, Location, RealNumbers, RowsLike, WeightsLike
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.likelihood import LikelihoodMixture
from dgmm.estimators.parameters import fits_in
from dgmm.estimators.predictor import Seed
from dgmm.estimators.updating import UpdatingMixture
from dgmm.estimators.validation import check_given
from dgmm.fitting.checkpoint import Checkpoint
from dgmm.fitting.starts.methods import SEARCHES, GivenStart
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.survey import MISSING
from dgmm.model.families import FAMILIES, family_named
from dgmm.model.parameters import Parameters

ALGORITHMS = ("auto", "em", "corrected")
INIT_PARAMS = ("auto", "kmeans", "k-means++", "random", "random_from_data", "k-means||", "search")

FITTED = (
    "weights_",
    "means_",
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
    "converged_",
    "n_iter_",
    "lower_bound_",
    "lower_bounds_",
    "n_features_in_",
)
"""Fitted attributes that scikit-learn's class has too."""


class GaussianMixture(LikelihoodMixture, UpdatingMixture[SklearnGaussianMixture]):
    """Gaussian mixture, fitted to rows in memory or far larger than memory.

    A drop-in for `sklearn.mixture.GaussianMixture`: the same parameters, attributes and, on rows that fit in
    memory, the same answer for the same seed. ``X`` may also be a path or URL of a Zarr array or of Parquet
    files, an open Zarr array, or a Dask array or DataFrame: then every E-step is one pass over the rows, in
    bounded memory, on the ambient Dask scheduler.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : str, default='full'
        Whether each component has its own covariance matrix (``full``), all share one (``tied``), each has
        its own variances (``diag``), or one variance (``spherical``); or all share variances (``tied_diag``,
        mclust's EEI), or one variance (``tied_spherical``, EII).
    tol : float or 'auto', default='auto'
        Convergence threshold, nats per row. Plain EM ends when the lower bound changes by less than this;
        ``'auto'`` is 1e-3, as in scikit-learn. Corrected EM ends when all further iterations are predicted to
        gain less than this; ``'auto'`` is 1e-6, and then a fit also ends when its latest gain is below
        what chance gives one component and below 1e-4, or below what chance gives all surplus components.
    reg_covar : float, default=1e-6
        Added to the diagonal of covariances, in squared units of the data.
    max_iter : int, default=100
        The most EM iterations; with corrected EM, the most passes.
    n_init : int, default=1
        Number of starts; the best is kept. On data larger than memory all share the same passes.
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data', 'search', 'k-means||'}, \
            default='auto'
        How starts are found. ``'kmeans'`` to ``'random_from_data'``: as scikit-learn does, on all rows where
        they fit in memory, else on a random sample of them. ``'search'``: by many short runs on the sample,
        the best taken further, with split and merge moves; the first pass over all rows chooses among the
        best. ``'k-means||'`` makes eight passes over all rows, or nine, and finds clusters that are too rare
        for a sample. ``'auto'``: scikit-learn's ``'kmeans'``, but ``'search'`` with more than
        ``sample_rows`` rows.
    weights_init : array-like of shape (n_components,), default=None
    means_init : array-like of shape (n_components, n_features), default=None
    precisions_init : array-like, or float of 'tied_spherical', default=None
        Used instead of what ``init_params`` finds; ``precisions_init`` is shaped as ``precisions_``.
    random_state : int, RandomState instance or None, default=None
        Seed of starts, of the sample of rows, and of `sample`.
    warm_start : bool, default=False
        Continue from the last fit instead of from a new start.
    verbose : int, default=0
        1 prints iterations, 2 their changes and times too.
    verbose_interval : int, default=10
        Iterations between two printed lines.
    algorithm : {'em', 'corrected', 'auto'}, default='auto'
        ``'em'`` is expectation-maximization with one pass an iteration. ``'corrected'`` makes many iterations
        on a sample after each pass, with the sample's error as the pass found it taken off; it reaches
        the same limit in a fraction of the passes, and the log-likelihood of all rows never falls.
        ``'auto'``: EM, but corrected with more than ``sample_rows`` rows.
    sample_rows : int or 'auto', default='auto'
        At most this many rows are gathered and fitted in memory; from more rows, a sample of this many is
        drawn to find starts and for corrected EM. ``'auto'``: 250,000, less where they take more than
        256 MiB.
    search : {'auto', 'thorough'}, default='auto'
        How much is searched if starts are found by ``'search'``. ``'auto'``: only as much as is worth its
        work, the arithmetic of two passes for many features or components. ``'thorough'``: the same effort
        for all data, which may take longer than the rest of the fit.
    missing : {'error', 'drop', 'marginalize'}, default='error'
        What to do with rows with missing values, NaN: refuse them; leave them out of the fit; or fit the
        observed values of each row, which is exact if values are missing at random. With the last two,
        predictions for such rows use their observed values. See ``docs/missing-values.md``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Of shape (n_components, n_features, n_features) for full, (n_features, n_features) for tied,
        (n_components, n_features) for diag, (n_components,) for spherical. These are float32 for rows of
        float32, where its range holds them, float64 for all others; sums are taken in float64.
    converged_ : bool
    n_iter_ : int
        EM iterations of the best start; with corrected EM, its passes.
    lower_bound_ : float
        Log-likelihood, nats a row: by corrected EM, of the fitted parameters; by plain EM, of those before
        the last M-step, as scikit-learn has it, and `score` gives that of the fitted ones.
    lower_bounds_ : list of float
        Of every iteration of the best start, or every pass.
    history_ : dict of list
        What `lower_bounds_` is of, one entry each: ``log_likelihood``; ``predicted_gain`` of all further
        iterations, infinite where it is not known, both in nats a row; ``inner_steps``, M-steps since
        the parameters accepted before, 0 for a start and where components that had lost their rows were
        re-seeded; ``accepted``, whether the fit went on from there; ``seconds`` of the pass, for all
        fits that shared it, and ``rows_per_second``; ``promised_gain`` of one M-step at the least, nats
        a row; ``reading_seconds`` and ``computing_seconds``, of all
        threads together, which overlap: reading runs ahead. ``nan`` is what is not known: a Dask
        collection's rows are loaded in Dask's own tasks.
    n_passes_ : int
        Full passes over the data: one where they fit in memory; else the survey, the starts' passes and
        one an iteration. Counting the rows of a Dask collection of unknown length is not among them.
    search_ : dgmm.fitting.starts.record.SearchRecord or None
        Record of the search for starts on the sample: ``n_starts`` climbs ended in ``n_optima`` optima,
        ``n_best`` of them in the best; ``unseen`` estimates the share of starts that lead to others, and
        ``n_evaluations`` is what it cost. None without a search. See ``docs/questions.md``.
    stop_reason_ : str
        A sentence that says why the fit ended.
    groups_ : ndarray of shape (n_groups,)
        If ``fit`` was given groups: their names or numbers, sorted.
    group_weights_ : ndarray of shape (n_groups, n_components)
        The weights in each of them; ``weights_`` are those of all rows.
    measurement_errors_ : str
        If ``fit`` was given errors: ``'variances'`` or ``'covariances'``.
    data_fingerprint_ : str
        Rows × features, dtype and a checksum of the rows, in their order: the same wherever they are kept
        and however they are cut. `dgmm.fingerprint` gives that of other rows, to compare.
    n_rows_dropped_ : int
        Rows that ``missing='drop'`` left out.
    n_rows_incomplete_ : int
    n_missing_ : ndarray of shape (n_features_in_,), int
        Numbers of rows of the fit with missing values, in any feature and in each.
    data_changes_ : list of str or None
        With ``fit(..., allow_changed_data=True)``: how rows changed during the fit, a sentence for each
        change; empty if they did not. None where a change would have been refused.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where ``X`` names its columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dgmm import GaussianMixture
    >>> X = np.array([[1, 2], [2, 4], [3, 0], [10, 2], [11, 4], [12, 0]])
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> mixture.means_
    array([[11.,  2.],
           [ 2.,  2.]])
    >>> mixture.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    FITTED = FITTED
    SCIKIT_LEARN = SklearnGaussianMixture
    OF_FEATURES = ("weights_init", "means_init", "precisions_init")

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(FAMILIES))],
        "tol": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(INIT_PARAMS))],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", Interval(Real, 0.0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "algorithm": [StrOptions(set(ALGORITHMS))],
        "sample_rows": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "missing": [StrOptions(set(MISSING))],
        "search": [StrOptions(set(SEARCHES))],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float | str = "auto",
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "auto",
        weights_init: RealNumbers | None = None,
        means_init: RealNumbers | None = None,
        precisions_init: RealNumbers | float | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        algorithm: str = "auto",
        sample_rows: int | str = "auto",
        missing: str = "error",
        search: str = "auto",
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.algorithm = algorithm
        self.sample_rows = sample_rows
        self.missing = missing
        self.search = search

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        *,
        labels: LabelsLike | None = None,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
        allow_changed_data: bool = False,
        checkpoint: Location | Checkpoint | None = None,
    ) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows: a whole number counts a row that many times.
        labels : array-like, Dask collection or path of shape (n_samples,), optional
            The component of each row, from 0; −1 where it is unknown. Or, of shape (n_samples, n_components),
            weights of the components for each row, which multiply those of the mixture: only their ratios
            matter. Components keep these numbers. See ``docs/labels-and-groups.md``.
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row: numbers, or text. Each group has weights of its own, ``group_weights_``;
            all share the components.
        errors : array-like, Dask collection, path, or names of columns, optional
            Measurement errors of the rows: then the mixture is that of the true values, which is extreme
            deconvolution. Variances of shape (n_samples, n_features); or covariances of shape (n_samples,
            n_features, n_features), or their upper triangles, row by row; or a number, or an array of shape
            (n_features,) or (n_features, n_features), for all rows. They may be columns of ``X`` itself, by
            their names. In squared units of the data. See ``docs/measurement-errors.md``.
        allow_changed_data : bool, default=False
            Continue if rows change during the fit, instead of raising an error: ``data_changes_`` then says
            which did.
        checkpoint : str, path or dgmm.Checkpoint, optional
            A folder or URL in which the result of each pass is saved. If the process ends, the same call
            continues from there, and ends with the same bits: see ``docs/checkpoints.md``.

        Returns
        -------
        self : the mixture

        Raises
        ------
        ValueError, CheckpointError, ClusterLostError, OSError
            As `dgmm.BayesianGaussianMixture.fit`; also for labels and groups that are none, naming the first
            such row.

        Warns
        -----
        ConvergenceWarning, MixtureWarning
            As `dgmm.BayesianGaussianMixture.fit`.
        DataWarning
            Of groups of a single row.
        """
        return self._fit(
            X,
            sample_weight,
            labels,
            groups,
            y=y,
            errors=errors,
            allow_changed_data=allow_changed_data,
            checkpoint=checkpoint,
        )

    def _given(self, n_features: int) -> GivenStart:
        return check_given(
            family_named(self.covariance_type),
            self.n_components,
            n_features,
            weights=self.weights_init,
            means=self.means_init,
            precisions=self.precisions_init,
        )

    def _goal(self, n_features: int) -> Likelihood:
        return Likelihood(self.reg_covar)

    def _objective_for(self, weight: float) -> Likelihood:
        return Likelihood(self.reg_covar)

    def _dtype_for(self, dtype: np.dtype, parameters: Parameters) -> np.dtype:
        return dtype if fits_in(parameters, dtype) else super()._dtype_for(dtype, parameters)
