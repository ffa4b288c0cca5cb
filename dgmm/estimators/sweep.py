"""`GaussianMixtureSweep`: many mixtures fitted together, and the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from numbers import Integral, Real
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from dgmm.data import Source
from dgmm.data.types import GroupsLike, LabelsLike, Location, RowsLike, WeightsLike
from dgmm.data.user_warnings import warn_user
from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.best import OfTheBest
from dgmm.estimators.checkpointing import OF_CHANGED_ROWS, checkpoint_at, head_of
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.predictor import Seed
from dgmm.estimators.rows_of_fit import RowsOfFit
from dgmm.estimators.sweep_settings import models_of, settings_of
from dgmm.estimators.validation import remember_features
from dgmm.estimators.verbose import VerbosePrinter
from dgmm.fitting.checkpoint import Checkpoint, keeping
from dgmm.fitting.fit import Fit
from dgmm.fitting.pool import Candidate
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.choice import advise, best_of
from dgmm.fitting.sweep.neighbours import NeighbourComparison, sentences
from dgmm.fitting.sweep.state import Swept, begin
from dgmm.fitting.sweep.sweep import ANSWERED, concerns_of, sweep
from dgmm.fitting.sweep.table import table_of
from dgmm.model.criteria import CRITERIA
from dgmm.passes.cluster import one_cluster
from dgmm.passes.events import listening

SWEPT = ("full", "tied", "diag", "spherical")
"""Families that are swept by default: scikit-learn's."""

PICTURE_ROWS = 20_000
"""Rows that pages are made of, at most: a sweep keeps so many for them."""

TOLERANCE = 0.01
"""Nats a row within which a smaller mixture is called as good, by default."""


class GaussianMixtureSweep(OfTheBest):
    """Gaussian mixtures of many numbers of components and covariance types, and the best of them.

    One fused fit in the place of a loop: every read of a row serves all models. Rows that fit in memory are
    read once, and every model is what `GaussianMixture` alone gives for the same seed. With more rows, starts
    for all models are found on a sample (components are split, and merged again), and all models go through
    the same passes; those that have converged, or can no longer be the best, leave.

    Once fitted it predicts as its best mixture does.

    Parameters
    ----------
    n_components : int or sequence of int, default=1 to 10
        Numbers of components to try.
    covariance_type : str or sequence of str, default=('full', 'tied', 'diag', 'spherical')
        Covariance types to try: any that a mixture may have. By default scikit-learn's.
    criterion : {'bic', 'aic', 'icl', 'caic', 'held-out'}, default='bic'
        What the best model is best by: Bayesian or Akaike information criterion, integrated completed
        likelihood (BIC and twice the entropy of the responsibilities), consistent AIC (BIC and one for each
        parameter), all of which are the lower the better;
        or the mean log density of rows that are held out.
    held_out : float or 'auto', default='auto'
        Share of the rows that no model is fitted to, and that all are scored on. ``'auto'``: a tenth for
        ``criterion='held-out'``, else none. The choice depends on the row numbers and the seed alone.
    prune : bool, default=True
        With more than ``sample_rows`` rows, let models leave that cannot become the best any more; their
        figures are those of where they were, and ``dropped`` says so. False fits all to the end.
    tolerance : float, default=0.01
        Nats a row within which a smaller mixture is called as good in `advice_`.
    n_bootstrap : int, default=0
        Samples that are drawn to tell whether the best needs its last component, or one more (the likelihood
        ratio by parametric bootstrap): 99 are usual. 0 makes no such tests. See ``comparisons_``. What is
        known of rows, ``labels``, ``groups`` and ``errors``, is so of the samples that are drawn too.
    tol : float or 'auto', default='auto'
        As for `GaussianMixture`; but ``'auto'`` with more than ``sample_rows`` rows is the gain that could
        change no choice by BIC, the price of half a parameter: ¼ log(n) / n, where n is the weight of
        the rows; and the last model in the race ends where it gains less than chance gives a component.
    reg_covar, max_iter, n_init, init_params, algorithm, sample_rows, missing
        As for `GaussianMixture`. With more than ``sample_rows`` rows ``n_init`` starts by ``init_params``
        compete with those by splits and merges, and ``algorithm='auto'`` is corrected EM;
        ``init_params='k-means||'`` is for fewer rows only.
    random_state : int, RandomState instance or None, default=None
        Every model starts from the same seed. A generator, or None, is asked for one.
    verbose : int, default=0
        As for `GaussianMixture`.

    Attributes
    ----------
    results_ : dict of ndarray
        An entry for each model: ``n_components``, ``covariance_type``; ``log_likelihood``, and ``entropy`` of
        the responsibilities, nats a row; ``bic``, ``aic``, ``icl``, ``caic``; ``held_out`` and
        ``held_out_error``, the mean log density of the held-out rows and its standard error, nats a row, NaN
        without such rows (of weighted rows it is that of as many equal ones as Kish's formula says:
        (Σw)² / Σw²);
        ``n_parameters``; ``n_iter`` (with corrected EM, passes); ``passes`` that the model took part in;
        ``converged``; ``dropped``, whether it left as it could not win; ``failed``; ``message``, its end.
        All figures are of the very parameters that the model ended with, and exact but for the entropy of
        almost dependent features. Row weights count as so many rows.
    best_index_ : int
        Of the best model in ``results_``.
    best_params_ : dict
        Its ``n_components`` and ``covariance_type``.
    best_score_ : float
        Its criterion.
    estimators_ : list of (GaussianMixture or None)
        All models, as in ``results_``, each a mixture of its own; None where one failed. Those that left
        early (``dropped``) are as they were then.
    best_estimator_ : GaussianMixture
        A mixture of its own: ``best_estimator_.impute(X)``, ``.condition(...)``, ``.merge(X)``.
    advice_ : list of str
        What the figures say of the choice, and what they do not.
    comparisons_ : dict of ndarray
        Where ``n_bootstrap`` is not 0, an entry for each two neighbouring numbers of components of a
        covariance type: ``covariance_type``, ``n_components``, ``n_more``; ``likelihood_ratio``, twice the
        difference of log-likelihoods of the rows that are fitted; ``vuong``, ``vuong_p``; and of the best and
        its neighbours ``sample_ratio``, ``bootstrap_p`` and ``n_rows``, of a sample of at most 5,000 complete
        rows. NaN is what was not computed. See ``docs/how-sure.md``.
    smallest_index_, elbow_index_ : int or None
        Of the smallest mixture within ``tolerance`` of the best, and of where the curve bends most.
    at_edge_ : bool
        Whether the best has the most components that were tried.
    n_passes_ : int
        Full passes over the data, for all models together.
    pass_seconds_ : list of float
        What each took.
    seconds_ : float
        What the whole sweep took.
    data_fingerprint_ : str
        Of the rows: see `GaussianMixture`.
    seed_ : int
        That every model started from.
    sample_ : ndarray of shape (at most 20,000, n_features_in_)
        Rows drawn at random from those that are fitted, for pictures.
    n_rows_dropped_ : int
        Rows that ``missing='drop'`` left out.
    n_rows_incomplete_ : int
    n_missing_ : ndarray of shape (n_features_in_,), int
        Rows that lack values and are not left out, and rows that lack each feature.
    partial_ : bool
        Whether the sweep was interrupted: the attributes then tell of what was done until then.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where ``X`` names its columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dgmm import GaussianMixtureSweep
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(8, 2, (200, 2))])
    >>> sweep = GaussianMixtureSweep(range(1, 5), random_state=0).fit(X)
    >>> sweep.best_params_
    {'n_components': 2, 'covariance_type': 'spherical'}
    >>> sweep.predict([[0, 0], [8, 8]]).shape
    (2,)
    """

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "covariance_type": [str, "array-like"],
        "criterion": [StrOptions(set(CRITERIA))],
        "held_out": [Interval(Real, 0.0, 1.0, closed="left"), StrOptions({"auto"})],
        "prune": ["boolean"],
        "tolerance": [Interval(Real, 0.0, None, closed="left")],
        "n_bootstrap": [Interval(Integral, 0, None, closed="left")],
        **{
            name: GaussianMixture._parameter_constraints[name]
            for name in (
                "tol",
                "reg_covar",
                "max_iter",
                "n_init",
                "init_params",
                "random_state",
                "verbose",
                "algorithm",
                "sample_rows",
                "missing",
            )
        },
    }

    def __init__(
        self,
        n_components: int | Iterable[int] = tuple(range(1, 11)),
        *,
        covariance_type: str | Sequence[str] = SWEPT,
        criterion: str = "bic",
        held_out: float | str = "auto",
        prune: bool = True,
        tolerance: float = TOLERANCE,
        n_bootstrap: int = 0,
        tol: float | str = "auto",
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "auto",
        random_state: Seed = None,
        verbose: int = 0,
        algorithm: str = "auto",
        sample_rows: int | str = "auto",
        missing: str = "error",
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.criterion = criterion
        self.held_out = held_out
        self.prune = prune
        self.tolerance = tolerance
        self.n_bootstrap = n_bootstrap
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.verbose = verbose
        self.algorithm = algorithm
        self.sample_rows = sample_rows
        self.missing = missing

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
        """Fit all models and choose the best.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows: a whole number counts a row that many times.
        labels, groups, errors : optional
            What is known of the rows, as for `GaussianMixture.fit`. Labels are components of every model: try
            no fewer than there are labels. Each model has its own weights of groups, and these count as
            parameters. Rows that are held out are scored by their groups, and with their labels.
        allow_changed_data : bool, default=False
            As for `GaussianMixture.fit`; ``best_estimator_.data_changes_`` says what changed.
        checkpoint : str, path or dgmm.Checkpoint, optional
            As for `GaussianMixture`.

        Returns
        -------
        self : GaussianMixtureSweep

        Raises
        ------
        ValueError
            For rows that no mixture can be fitted to; where every model fails.
        CheckpointError, OSError
            As for `GaussianMixture`.
        KeyboardInterrupt
            After an interruption: attributes tell of what was done until then, and ``partial_`` is True.

        Warns
        -----
        ConvergenceWarning
            If the best model did not converge within ``max_iter`` iterations.
        MixtureWarning
            If something is wrong with the best model, as for `GaussianMixture`.
        """
        self._forget()
        models = models_of(self)
        given = RowsOfFit.of(
            X, sample_weight, labels, groups, errors, estimator=type(self).__name__, n_components=1
        )
        source, weights = given.features, given.weights
        self._measured = given.measured.kind
        self._check_labels(given.labels_and_groups.labels)
        settings = settings_of(
            self,
            models,
            source.n_features,
            source.n_rows,
            n_errors=given.measured.n_errors,
            allow_changed_data=allow_changed_data,
        )
        place, swept, started = checkpoint_at(checkpoint), begin(settings), perf_counter()
        may_differ = OF_CHANGED_ROWS if allow_changed_data else ()
        tried = sorted({n_components for _, n_components in models})
        others = given.side_information
        head = head_of(
            self, source, weights, settings.seed, place, side_information=others, n_components=tried
        )
        remember_features(self, source)
        try:
            with (
                listening(VerbosePrinter(self.verbose, 10)),
                one_cluster(),
                keeping(place, head, may_differ, ANSWERED) as begun,
            ):
                self.seed_ = begun.draws
                known = given.parts(*tried)
                self._groups = given.groups(known)
                sweep(given.joined, weights, settings.of_run(begun.draws, known), swept)
        except KeyboardInterrupt:
            self._set_fitted(swept, perf_counter() - started, partial=True)
            raise
        self._set_fitted(swept, perf_counter() - started, partial=False)
        if self.best_index_ is None:
            failures = "; ".join(dict.fromkeys(candidate.failure for candidate in swept.candidates))
            raise ValueError(f"No model could be fitted: {failures}")
        if not self.best_estimator_.converged_ and self.max_iter > 0:
            warn_user(
                f"The best model, of {self.best_params_['n_components']:,} components, did not converge. "
                "Increase max_iter or tol, or check for degenerate data.",
                ConvergenceWarning,
            )
        for concern in concerns_of(swept, self.best_index_, self.reg_covar, source.feature_names):
            warn_user(f"The best model: {concern}", MixtureWarning)
        return self

    def _check_labels(self, labels: Source | None) -> None:
        """Refuse a criterion of what is not known where labels are weights of components."""
        if self.criterion == "icl" and labels is not None and labels.n_features > 1:
            raise ValueError(
                "criterion='icl' measures how undecided rows are, which is not known if labels are weights "
                "of components: choose another criterion"
            )

    def _forget(self) -> None:
        """Remove what an earlier fit has left."""
        self._groups = None
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)

    def _set_fitted(self, swept: Swept, seconds: float, *, partial: bool) -> None:
        candidates, criterion = swept.candidates, CRITERIA[self.criterion]
        self.seconds_ = seconds
        self.partial_ = partial
        self.n_passes_ = swept.n_passes
        self.results_ = table_of(candidates)
        self.best_index_ = best_of(candidates, criterion)
        self.estimators_ = [self._mixture(each, swept) for each in candidates]
        self.pass_seconds_ = swept.seconds_of_passes
        self.n_rows_dropped_ = swept.n_dropped
        if swept.lacking is not None:
            self.n_rows_incomplete_ = swept.lacking.n_rows
            self.n_missing_ = swept.lacking.n_missing
        if swept.fingerprint is not None:
            self.data_fingerprint_ = str(swept.fingerprint)
        if swept.sample is not None:
            self.sample_ = swept.sample.drawn(PICTURE_ROWS).values
        if self.best_index_ is None:
            return
        best = candidates[self.best_index_]
        assert best.scores is not None
        self.best_params_ = {"n_components": best.n_components, "covariance_type": best.family.name}
        self.best_score_ = criterion.value(best.scores)
        best_estimator = self.estimators_[self.best_index_]
        assert best_estimator is not None
        self.best_estimator_ = best_estimator
        found = advise(candidates, self.best_index_, criterion, self.tolerance)
        self.at_edge_, self.smallest_index_, self.elbow_index_ = found.at_edge, found.smallest, found.elbow
        unfinished = "The sweep was interrupted: these are the results so far, and not all models were tried."
        tested = sentences(swept.comparisons)
        self.advice_ = [*([unfinished] if partial else []), *found.sentences, *tested]
        if self.n_bootstrap:
            names = [field.name for field in fields(NeighbourComparison)]
            self.comparisons_ = {
                name: np.array([getattr(each, name) for each in swept.comparisons]) for name in names
            }

    def _mixture(self, fitted: Candidate, swept: Swept) -> GaussianMixture | None:
        """Return a model as a mixture of its own; None where it was not fitted."""
        if fitted.failure or fitted.state is None or fitted.evaluated is None:
            return None
        shared = ("tol", "reg_covar", "max_iter", "n_init", "init_params", "random_state", "algorithm")
        own = {name: getattr(self, name) for name in (*shared, "sample_rows", "missing")}
        mixture = GaussianMixture(fitted.n_components, covariance_type=fitted.family.name, **own)
        state = replace(fitted.state, parameters=fitted.evaluated)
        assert swept.fingerprint is not None
        assert swept.dtype is not None
        fit = Fit(
            state,
            fitted.n_passes,
            Likelihood(self.reg_covar),
            swept.fingerprint,
            n_dropped=swept.n_dropped,
            lacking=swept.lacking,
            changes=None if swept.changes is None else tuple(swept.changes),
        )
        mixture._set_fitted(fit, swept.dtype)
        mixture._set_groups(fitted.evaluated, self._groups)
        mixture._set_measured(self._measured)
        mixture.n_passes_ = fitted.n_passes
        mixture.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            mixture.feature_names_in_ = self.feature_names_in_
        return mixture

    def __sklearn_tags__(self) -> Tags:
        """Say that rows may lack values, where they may."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "error"
        return tags
