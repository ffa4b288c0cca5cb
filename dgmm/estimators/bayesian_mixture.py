"""`BayesianGaussianMixture`: variational Bayes."""

from __future__ import annotations

from dataclasses import fields
from numbers import Real
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from sklearn.utils._param_validation import Interval, StrOptions

from dgmm.data import DataError
from dgmm.data.types import RealNumbers
from dgmm.estimators.gaussian_mixture import FITTED, GaussianMixture
from dgmm.estimators.mixture import Mixture
from dgmm.estimators.predictor import Seed
from dgmm.estimators.updating import UpdatingMixture
from dgmm.estimators.validation import check_belief
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.steps.objective import Belief, Evidence, Objective
from dgmm.model.concentration import CONCENTRATIONS
from dgmm.model.families import family_named
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.variational import Posterior, Prior

PRIOR_ATTRIBUTES = (
    "weight_concentration_prior_",
    "mean_precision_prior_",
    "mean_prior_",
    "degrees_of_freedom_prior_",
    "covariance_prior_",
)
CERTAIN_ROWS = 2.0**60
"""Rows after which a posterior is certain of means and covariances, but for rounding."""

POSTERIOR_ATTRIBUTES = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")


class BayesianGaussianMixture(UpdatingMixture[SklearnBayesianGaussianMixture]):
    """Gaussian mixture whose posterior is found by variational inference, in the same passes as EM.

    A drop-in for `sklearn.mixture.BayesianGaussianMixture`: the same parameters, attributes and, on rows that
    fit in memory, the same answer for the same seed; on all that `GaussianMixture` takes. Offered more
    components than the rows have clusters, it leaves some without rows: of more rows than the sample, those
    that share a cluster are merged on the sample, which updates come to after dozens of passes, and stay so
    if the lower bound of all rows is higher for it.

    Parameters
    ----------
    n_components : int, default=1
        The most components.
    covariance_type : str, default='full'
        As for `GaussianMixture`.
    tol : float or 'auto', default='auto'
        Plain steps end when the lower bound of all rows together changes by less than this, in nats;
        ``'auto'`` is 1e-3, as in scikit-learn, and of more than 250,000 rows 1e-3 for each 250,000. Corrected
        steps end when all further ones are predicted to gain less than this, in nats a row; ``'auto'`` is
        1e-6.
    reg_covar : float, default=1e-6
        Added to the variances of each component's rows, in squared units of the data.
    max_iter : int, default=100
        The most iterations; with corrected steps, the most passes.
    n_init : int, default=1
        Number of starts; the one with the highest lower bound is kept.
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data', 'search', 'k-means||'}, \
            default='auto'
        As for `GaussianMixture`.
    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}, \
default='dirichlet_process'
        The prior of the weights: sticks that are broken in order, which lets late components go without rows
        more easily; or a Dirichlet distribution, the same for all.
    weight_concentration_prior : float, default=None
        Of the weights: smaller leaves fewer components with rows. None is ``1 / n_components``.
    mean_precision_prior : float, default=None
        How many rows the prior mean counts as. None is 1.
    mean_prior : array-like of shape (n_features,), default=None
        None is the mean of all rows.
    degrees_of_freedom_prior : float, default=None
        Of the Wishart distribution of precisions, more than ``n_features - 1``. None is ``n_features``.
    covariance_prior : float or array-like, default=None
        Of shape (n_features, n_features) for full and tied, (n_features,) for diag, a number for
        spherical. None is the covariance of all rows; with ``reg_covar`` where that is singular.
    random_state : int, RandomState instance or None, default=None
        Seed of starts, of the sample of rows, and of `sample`.
    warm_start : bool, default=False
        Continue from the last fit instead of from a new start.
    verbose : int, default=0
        1 prints iterations, 2 their changes and times too.
    verbose_interval : int, default=10
        Iterations between two printed lines.
    algorithm : {'em', 'corrected', 'auto'}, default='auto'
        ``'em'`` makes one pass an iteration; ``'corrected'`` many iterations on a sample after each pass,
        accepted only if the bound of all rows rises: see `GaussianMixture`.
    sample_rows : int or 'auto', default='auto'
        As for `GaussianMixture`.
    search : {'auto', 'thorough'}, default='auto'
        As for `GaussianMixture`.
    missing : {'error', 'drop', 'marginalize'}, default='error'
        As for `GaussianMixture`.
    moves : bool, default=False
        Beyond scikit-learn: merge and delete components, and split one to fill another that has no rows, as
        long as the lower bound of all rows rises; of more rows than the sample, first on the sample. Then
        the number of components found hardly depends on the start. Without, components of more rows than the
        sample are merged and deleted once, before the first pass.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Expected ones.
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Shaped as in `GaussianMixture`. ``precisions_`` are expected ones, ``covariances_`` their inverses.
    weight_concentration_ : tuple of two ndarrays, or ndarray, of shape (n_components,)
        Of the beta distributions of the sticks; or of the Dirichlet distribution.
    mean_precision_ : ndarray of shape (n_components,)
        How many rows each mean is known from, with the prior's.
    degrees_of_freedom_ : ndarray of shape (n_components,), or float for tied
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_ : ndarray of shape (n_features,)
    covariance_prior_ : float or ndarray
        The priors, completed.
    elbo_ : float
        The complete lower bound of the log evidence, in nats, of all rows together: comparable between
        priors and numbers of components, but not between covariance types, as those of tied, diag and
        spherical keep scikit-learn's posterior, which is not the closest. Where features do not vary, or
        depend on each other, it depends on ``reg_covar``, and a `MixtureWarning` says so.
    lower_bound_ : float
        The same without constants, as scikit-learn has it, in nats, of all rows together.
    lower_bounds_ : list of float
        Of every iteration of the best start, or every pass.
    effective_components_ : int
        Components that have more than ``n_features + 1`` rows.
    converged_ : bool
    n_iter_ : int
        Iterations of the best start; with corrected steps, its passes.
    history_ : dict of list
        As in `GaussianMixture`, but that it has ``lower_bound``, which is `lower_bounds_`.
    n_passes_ : int
        Full passes over the data.
    search_ : dgmm.fitting.starts.record.SearchRecord or None
        As for `GaussianMixture`.
    stop_reason_ : str
        A sentence that says why the fit ended; with nats a row.
    measurement_errors_ : str
        If ``fit`` was given errors: ``'variances'`` or ``'covariances'``.
    data_fingerprint_ : str
        As in `GaussianMixture`.
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
    >>> from dgmm import BayesianGaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [4, 2], [12, 4], [10, 7]])
    >>> mixture = BayesianGaussianMixture(n_components=2, random_state=42).fit(X)
    >>> mixture.means_.round(2)
    array([[2.5 , 2.29],
           [8.46, 4.52]])
    >>> mixture.predict([[0, 0], [9, 3]])
    array([0, 1])
    """

    FITTED = (*FITTED, *PRIOR_ATTRIBUTES, *POSTERIOR_ATTRIBUTES)
    NEEDED = (*Mixture.NEEDED, *POSTERIOR_ATTRIBUTES)
    SCIKIT_LEARN = SklearnBayesianGaussianMixture
    OF_COMPONENTS = (*Mixture.OF_COMPONENTS, "mean_precision_")
    OF_OWN_COVARIANCES = (*Mixture.OF_OWN_COVARIANCES, "degrees_of_freedom_")
    OF_FEATURES = ("mean_prior", "degrees_of_freedom_prior", "covariance_prior")

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{
            name: allowed
            for name, allowed in GaussianMixture._parameter_constraints.items()
            if not name.endswith("_init") or name == "n_init"
        },
        "moves": ["boolean"],
        "weight_concentration_prior_type": [StrOptions(set(CONCENTRATIONS))],
        "weight_concentration_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_precision_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: str = "full",
        tol: float | str = "auto",
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "auto",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: RealNumbers | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: RealNumbers | float | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        algorithm: str = "auto",
        sample_rows: int | str = "auto",
        moves: bool = False,
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
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.algorithm = algorithm
        self.sample_rows = sample_rows
        self.moves = moves
        self.missing = missing
        self.search = search

    def _goal(self, n_features: int) -> Belief:
        concentration, mean_precision = self.weight_concentration_prior, self.mean_precision_prior
        degrees_of_freedom = self.degrees_of_freedom_prior
        belief = Belief(
            family_named(self.covariance_type),
            self.weight_concentration_prior_type,
            1.0 / self.n_components if concentration is None else concentration,
            1.0 if mean_precision is None else mean_precision,
            None,
            n_features if degrees_of_freedom is None else degrees_of_freedom,
            None,
            self.reg_covar,
        )
        return check_belief(belief, self.mean_prior, self.covariance_prior, n_features)

    @property
    def _parameters(self) -> Posterior:
        """The posterior as frozen values."""
        plain, kind = super()._parameters, self.weight_concentration_prior_type
        found = Posterior(
            **{field.name: getattr(plain, field.name) for field in fields(plain)},
            concentration_type=kind,
            weight_concentration=np.asarray(self.weight_concentration_, np.float64),
            mean_precision=np.asarray(self.mean_precision_, np.float64),
            degrees_of_freedom=np.asarray(self.degrees_of_freedom_, np.float64),
        )
        shapes = {
            "weight_concentration": CONCENTRATIONS[kind].prior(1.0, plain.n_components).shape,
            "mean_precision": (plain.n_components,),
            "degrees_of_freedom": () if plain.family.is_shared else (plain.n_components,),
        }
        for name, shape in shapes.items():
            if getattr(found, name).shape != shape:
                raise DataError(
                    f"{name}_ has the shape {getattr(found, name).shape}, not {shape}, for "
                    f"{plain.n_components:,} components and weight_concentration_prior_type={kind!r}"
                )
        return found

    @property
    def _rows_of_components(self) -> Array:
        """The rows that each component has, as the posterior knows: (n_components,)."""
        return np.asarray(self.mean_precision_) - self.mean_precision_prior_

    def _unit(self, n_rows: int) -> float:
        return n_rows

    def _resumed(self) -> EM:
        return EM(0, self._parameters, self.lower_bound_ / float(self._rows_of_components.sum()))

    def _set_ended(self, best: EM, objective: Objective, dtype: np.dtype) -> None:
        super()._set_ended(best, objective, dtype)
        weight = cast(Evidence, objective).weight
        self.lower_bounds_ = [weight * bound for bound in best.lower_bounds]
        del self.history_["log_likelihood"]
        self.history_ = {"lower_bound": list(self.lower_bounds_), **self.history_}

    def _set_model(
        self, parameters: Parameters, lower_bound: float, objective: Objective, dtype: np.dtype
    ) -> None:
        posterior, evidence = cast(Posterior, parameters), cast(Evidence, objective)
        super()._set_model(posterior, evidence.weight * lower_bound, evidence, dtype)
        self._set_prior(evidence.prior)
        self.weight_concentration_ = self._given_back(posterior.weight_concentration)
        self.mean_precision_ = posterior.mean_precision
        known = posterior.degrees_of_freedom
        self.degrees_of_freedom_ = known if known.ndim else float(known)
        self.elbo_ = self.lower_bound_ + evidence.prior.constant(posterior.n_components, evidence.weight)
        self.effective_components_ = int((self._rows_of_components > posterior.n_features + 1).sum())

    def _objective_for(self, weight: float) -> Evidence:
        prior = Prior(
            family_named(self.covariance_type),
            self.weight_concentration_prior_type,
            self.weight_concentration_prior_,
            self.mean_precision_prior_,
            np.asarray(self.mean_prior_, np.float64),
            self.degrees_of_freedom_prior_,
            np.asarray(self.covariance_prior_, np.float64),
        )
        return Evidence(prior, self.reg_covar, weight)

    def _set_parameters(self, parameters: Parameters, dtype: np.dtype) -> None:
        """Set the parameters as a posterior that is certain of them: densities are those of the mixture."""
        super()._set_parameters(parameters, np.dtype(np.float64))
        kind = CONCENTRATIONS[self.weight_concentration_prior_type]
        self.weight_concentration_ = self._given_back(kind.certain(parameters.weights))
        self.mean_precision_ = np.full(parameters.n_components, CERTAIN_ROWS)
        is_shared = parameters.family.is_shared
        self.degrees_of_freedom_ = (
            CERTAIN_ROWS if is_shared else np.full(parameters.n_components, CERTAIN_ROWS)
        )

    def _take_along(self, found: Any, order: NDArray[np.intp]) -> None:
        """Take the weights of a Dirichlet process, which belong to one order, as certain in another."""
        kind = CONCENTRATIONS[self.weight_concentration_prior_type]
        reordered = kind.reordered(self._parameters.weight_concentration, order)
        found.weight_concentration_ = self._given_back(reordered)
        found._keep(None)  # what a Dirichlet process makes of sums depends on the order

    def _set_prior(self, prior: Prior) -> None:
        self.weight_concentration_prior_ = prior.concentration
        self.mean_precision_prior_ = prior.mean_precision
        self.mean_prior_ = prior.mean
        self.degrees_of_freedom_prior_ = prior.degrees_of_freedom
        covariance = np.asarray(prior.covariance)
        self.covariance_prior_ = covariance if covariance.ndim else float(covariance)

    def _given_back(self, concentrations: Array | tuple[Array, Array]) -> Array | tuple[Array, Array]:
        """Return concentrations as scikit-learn does: those of sticks as a pair of arrays."""
        if self.weight_concentration_prior_type == "dirichlet_process":
            return tuple(np.asarray(concentrations, np.float64))
        return np.asarray(concentrations, np.float64)

    def _check_loaded(self, path: str) -> None:
        family, n_features = family_named(self.covariance_type), self.n_features_in_
        n_components = len(self.weights_)
        concentrations = CONCENTRATIONS[self.weight_concentration_prior_type].prior(1.0, n_components)
        shapes_and_least = {
            "weight_concentration_": (concentrations.shape, 0.0),
            "mean_precision_": ((n_components,), 0.0),
            "degrees_of_freedom_": (() if family.is_shared else (n_components,), n_features - 1.0),
            "weight_concentration_prior_": ((), 0.0),
            "mean_precision_prior_": ((), 0.0),
            "degrees_of_freedom_prior_": ((), n_features - 1.0),
            "mean_prior_": ((n_features,), -np.inf),
            "covariance_prior_": (family.shape_of_one(n_features), -np.inf),
        }
        for attribute, (shape, least) in shapes_and_least.items():
            if not hasattr(self, attribute):  # a prior of one that was not fitted
                continue
            values = np.asarray(getattr(self, attribute), np.float64)
            if values.shape != shape:
                raise DataError(f"{path} is damaged: {attribute} has the shape {values.shape}, not {shape}")
            if not (np.isfinite(values) & (values > least)).all():
                raise DataError(f"{path} is damaged: {attribute} holds values that no posterior has")
        self.weight_concentration_ = self._given_back(self.weight_concentration_)
