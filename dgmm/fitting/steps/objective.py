"""What a fit maximizes: the likelihood, or the evidence of variational Bayes.

Models, lower bounds and the gains that steps promise come from here; elsewhere, only re-seeding and the
warnings about a fit ask which of the two it was.

A `Goal` is what the user wants, and becomes an `Objective` when the moments of the rows are known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

from dgmm.kernels.stack import Stack
from dgmm.model import em, variational
from dgmm.model.families import Family
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from dgmm.model.variational import Posterior, Prior, dependent_features

TOLERANCES = {"em": 1e-3, "corrected": 1e-6}
"""``tol="auto"``: scikit-learn's change of the lower bound, and a predicted remaining gain, nats a row."""

ROUNDS = (False, False, True)
"""Of sums for one M-step, and which is the last: about the centre of all rows, about the means that these
tell, and about theirs, as the first are a guess where rows are very far from each other."""

SCIKIT_LEARN_ROWS = 250_000
"""Of more rows, variational Bayes asks for no smaller change of the lower bound, in nats a row."""


@dataclass(frozen=True, eq=False)
class EMStep:
    """An E-step and the M-step after it.

    Attributes
    ----------
    evaluated : Parameters
        The model that went in.
    updated : Parameters
        What the M-step made.
    statistics : Statistics
        Of all rows under ``evaluated``, completed.
    moments : Moments
        Of all rows.
    """

    evaluated: Parameters
    updated: Parameters
    statistics: Statistics
    moments: Moments

    @property
    def log_likelihood(self) -> float:
        """Of the model that went in, nats."""
        return self.statistics.log_likelihood


class Objective(ABC):
    """How models come from statistics, and how good they are.

    Attributes
    ----------
    bound_name : str
        What the lower bound is called.
    reg_covar : float
        Added to variances, in squared units of the data.
    """

    bound_name: ClassVar[str]
    reg_covar: float

    @abstractmethod
    def begin(
        self, family: Family, counts: Array, means: Array, covariances: Array, weight: float
    ) -> Parameters:
        """Make a model of the counts, means and covariances of components; ``weight`` is of all rows."""

    @abstractmethod
    def adopt(self, parameters: Parameters, weight: float) -> Parameters:
        """Make a model of a mixture of highest likelihood, found elsewhere; ``weight`` is of all rows."""

    @abstractmethod
    def maximized(self, statistics: Statistics) -> Parameters:
        """M-step from completed statistics of all rows; raises `DegenerateCovarianceError`."""

    def update(self, statistics: Statistics, moments: Moments) -> Parameters:
        """M-step from completed statistics of rows with these moments; raises `DegenerateCovarianceError`."""
        return self.maximized(statistics)

    @abstractmethod
    def cancels(
        self, statistics: Statistics, updated: Parameters, moments: Moments, largest_ratio: float
    ) -> bool:
        """Return whether an M-step's sums have left only rounding errors of covariances.

        Of ``largest_ratio`` see `dgmm.kernels.stack.Stack`.
        """

    def update_unless_cancelled(
        self, statistics: Statistics, moments: Moments, largest_ratio: float
    ) -> Parameters | None:
        """M-step, or None where the sums leave no covariance, or only rounding errors of it."""
        try:
            updated = self.update(statistics, moments)
        except DegenerateCovarianceError:
            return None
        return None if self.cancels(statistics, updated, moments, largest_ratio) else updated

    def settled(
        self, statistics: Statistics, moments: Moments, ready: Stack, *, is_last: bool
    ) -> Parameters | None:
        """M-step, or None where sums are to be taken again, about `means_of_rows`.

        Parameters
        ----------
        statistics : Statistics
            Completed.
        moments : Moments
            Of all rows.
        ready : Stack
            What gave the statistics.
        is_last : bool
            Take sums about components' own points as they are, however far these are from the rows.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite, and other sums would not tell otherwise.
        """
        if ready.is_exact and (is_last or not statistics.is_off):
            return self.update(statistics, moments)
        return self.update_unless_cancelled(statistics, moments, ready.largest_ratio)

    @abstractmethod
    def means_of_rows(self, statistics: Statistics) -> Array:
        """Return the means of the components' rows: exact where their variances have cancelled; (K, D)."""

    @abstractmethod
    def promised_gain(self, step: EMStep) -> float | None:
        """Return what the M-step gains at the least, nats a row; None for that of EM."""

    @abstractmethod
    def bound(self, parameters: Parameters, log_likelihood: float, weight: float) -> float:
        """Return what the fit climbs, nats a row.

        Parameters
        ----------
        parameters : Parameters
        log_likelihood : float
            Of all rows under them, or a lower bound of it, nats.
        weight : float
            Of all rows.
        """

    def lower_bound(self, step: EMStep) -> float:
        """Return what the fit climbs, of the model that went into a step, nats a row."""
        return self.bound(step.evaluated, step.log_likelihood, step.moments.weight)


class Goal(Protocol):
    """What a fit is to climb, before the rows are known."""

    def objective(self, moments: Moments, algorithm: str) -> Objective:
        """Return the objective for rows with these moments and an algorithm, ``em`` or ``corrected``."""
        ...

    def tolerance(self, tol: float | None, algorithm: str, weight: float) -> float:
        """Return the tolerance in nats a row, from the user's, or None, for rows of this weight."""
        ...


@dataclass(frozen=True)
class Likelihood(Objective):
    """Maximum likelihood, by expectation-maximization; a lower bound belongs to the model that went in.

    Attributes
    ----------
    reg_covar : float
        Added to variances, in squared units of the data.
    """

    bound_name: ClassVar[str] = "log-likelihood"

    reg_covar: float

    def objective(self, moments: Moments, algorithm: str) -> Likelihood:
        """Return itself: the goal is the objective."""
        return self

    def tolerance(self, tol: float | None, algorithm: str, weight: float) -> float:
        """Return the user's, or `TOLERANCES`."""
        return TOLERANCES[algorithm] if tol is None else tol

    def begin(
        self, family: Family, counts: Array, means: Array, covariances: Array, weight: float
    ) -> Parameters:
        """Make a model; weights are shares of all rows, most of which may have no component yet."""
        return Parameters.from_covariances(family, counts / weight, means, covariances)

    def adopt(self, parameters: Parameters, weight: float) -> Parameters:
        """Return the very mixture."""
        return parameters

    def maximized(self, statistics: Statistics) -> Parameters:
        """M-step."""
        return em.update(statistics, self.reg_covar)

    def cancels(
        self, statistics: Statistics, updated: Parameters, moments: Moments, largest_ratio: float
    ) -> bool:
        """Return whether sums have cancelled."""
        return em.cancels(statistics, updated, largest_ratio)

    def means_of_rows(self, statistics: Statistics) -> Array:
        """Return the means."""
        return em.update_means(statistics)

    def promised_gain(self, step: EMStep) -> None:
        """Leave it to `dgmm.model.em.promised_gain`."""

    def bound(self, parameters: Parameters, log_likelihood: float, weight: float) -> float:
        """Log-likelihood."""
        return log_likelihood / weight


@dataclass(frozen=True, eq=False)
class Evidence(Objective):
    """Variational Bayes; the lower bound is that of the posterior that went in, as in EM.

    It is in scikit-learn's convention, without the constants of `Prior.constant`.

    Attributes
    ----------
    prior : Prior
    reg_covar : float
        Added to the variances of components' rows, in squared units of the data.
    weight : float
        Of all rows: statistics of a sample are scaled to it, beside the prior.
    """

    bound_name: ClassVar[str] = "lower bound"

    prior: Prior
    reg_covar: float
    weight: float

    def begin(
        self, family: Family, counts: Array, means: Array, covariances: Array, weight: float
    ) -> Posterior:
        """Make the posterior of components' rows; its family is the prior's."""
        assert family is self.prior.family
        return Posterior.of(self.prior, counts * (self.weight / weight), means, covariances)

    def adopt(self, parameters: Parameters, weight: float) -> Posterior:
        """Make the posterior of rows that the mixture describes."""
        counts = parameters.weights * weight
        return self.begin(parameters.family, counts, parameters.means, parameters.covariances, weight)

    def maximized(self, statistics: Statistics) -> Posterior:
        """M-step."""
        return variational.update(statistics, self.prior, self.reg_covar)

    def update(self, statistics: Statistics, moments: Moments) -> Posterior:
        """M-step, of a sample as of all rows."""
        return self.maximized(self._scaled(statistics, moments))

    def cancels(
        self, statistics: Statistics, updated: Parameters, moments: Moments, largest_ratio: float
    ) -> bool:
        """Return whether sums have cancelled."""
        scaled = self._scaled(statistics, moments)
        return variational.cancels(scaled, cast(Posterior, updated), largest_ratio)

    def _scaled(self, statistics: Statistics, moments: Moments) -> Statistics:
        """Return statistics as all rows would have them."""
        assert statistics.family is self.prior.family
        is_all = moments.weight == self.weight
        return statistics if is_all else (self.weight / moments.weight) * statistics

    def means_of_rows(self, statistics: Statistics) -> Array:
        """Return the means."""
        return variational.update_means(statistics)

    def promised_gain(self, step: EMStep) -> float:
        """Return what the M-step adds to the bound at the responsibilities of the E-step before it."""
        return self._after(step) - self.lower_bound(step)

    def _after(self, step: EMStep) -> float:
        """Lower bound by the updated posterior, at the responsibilities of the one before."""
        value = variational.bound_after(
            cast(Posterior, step.evaluated),
            cast(Posterior, step.updated),
            step.statistics,
            step.log_likelihood,
        )
        return value / step.moments.weight

    def bound(self, parameters: Parameters, log_likelihood: float, weight: float) -> float:
        """Lower bound of the evidence by the posterior."""
        return variational.bound(self.prior, cast(Posterior, parameters), log_likelihood, weight) / weight


class EvidenceAfter(Evidence):
    """Variational Bayes as scikit-learn's: the lower bound is that of the posterior that the M-step made."""

    def promised_gain(self, step: EMStep) -> float:
        """Return nothing: the bound has it already."""
        return 0.0

    def lower_bound(self, step: EMStep) -> float:
        """Lower bound by the updated posterior, at the responsibilities of the one before."""
        return self._after(step)


@dataclass(frozen=True, eq=False)
class Belief:
    """The goal of variational Bayes: a prior of which the rows may decide a part.

    Attributes
    ----------
    family, concentration_type, concentration, mean_precision, degrees_of_freedom
        As for `Prior`.
    mean, covariance : ndarray or None
        As for `Prior`; None for the mean and the covariance of all rows.
    reg_covar : float
    """

    family: Family
    concentration_type: str
    concentration: float
    mean_precision: float
    mean: Array | None
    degrees_of_freedom: float
    covariance: Array | None
    reg_covar: float

    def prior(self, moments: Moments) -> Prior:
        """Complete the prior; where the rows' covariance is singular, ``reg_covar`` is added to it.

        Raises
        ------
        ValueError
            Where the covariance is to be that of rows, and they weigh less than two rows.
        """
        mean = moments.mean if self.mean is None else self.mean
        covariance = self.covariance
        if covariance is None:
            if moments.weight < 2.0:
                raise ValueError(
                    f"sample_weight sums to {moments.weight:.3g}, but the prior covariance needs at least "
                    "two rows, and weights count rows, as the prior does; scale the weights, or give "
                    "covariance_prior"
                )
            covariance = self.family.of_scatter(moments.scatter / (moments.weight - 1.0))
            if len(dependent_features(self.family, moments)):  # a component without rows needs some width
                covariance = covariance + self.reg_covar * self.family.identity(len(mean))
        return Prior(
            self.family,
            self.concentration_type,
            self.concentration,
            self.mean_precision,
            mean,
            self.degrees_of_freedom,
            covariance,
        )

    def objective(self, moments: Moments, algorithm: str) -> Evidence:
        """Return the objective: corrected steps need the bound of what went into a pass."""
        kind = EvidenceAfter if algorithm == "em" else Evidence
        return kind(self.prior(moments), self.reg_covar, moments.weight)

    def tolerance(self, tol: float | None, algorithm: str, weight: float) -> float:
        """Return, for plain steps, the share of a row of scikit-learn's, which is of all rows together."""
        if algorithm == "em":
            return TOLERANCES["em"] / min(weight, SCIKIT_LEARN_ROWS) if tol is None else tol / weight
        return TOLERANCES[algorithm] if tol is None else tol
