"""Variational Bayes: from sufficient statistics to the posterior of a mixture, and its evidence lower bound.

The posterior factorizes into the weights' and each component's normal-Wishart distribution, as in Bishop
(2006), section 10.2, with scikit-learn's conventions: the fitted ``covariances`` are the inverses of the
expected precisions ``ν W``; ``reg_covar`` is added to the scatter of rows; and the families are restrictions
of one Wishart distribution. For tied, all components have precisions of their own, whose posteriors are
held equal. For diag and spherical the log determinant stays that of a full Wishart matrix Λ, while the
quadratic form takes its diagonal, or its mean diagonal: as ``|Λ|`` is at most the product of the diagonal
(Hadamard), what follows is a lower bound of these families' evidence too, and the updates are exact
coordinate ascent on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from dgmm.model.concentration import CONCENTRATIONS, Concentration
from dgmm.model.entropy import expected_log_joint
from dgmm.model.families import Family
from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_2_PI, Parameters
from dgmm.model.statistics import SMALLEST_COUNT, Moments, Statistics

DEPENDENT = 1e-13
"""Smallest eigenvalue of correlations below which features depend on each other, but for rounding."""

LEAST_LOADING = 0.1
"""Of a feature that has a part in that."""


@dataclass(frozen=True, eq=False)
class Prior:
    """What is believed of a mixture before any rows.

    Attributes
    ----------
    family : Family
        The covariance structure.
    concentration_type : str
        ``dirichlet_process`` or ``dirichlet_distribution``.
    concentration : float
        Of the weights; the smaller, the fewer components.
    mean_precision : float
        How many rows the prior mean counts as.
    mean : ndarray of shape (D,)
    degrees_of_freedom : float
        Of the Wishart distribution of precisions, more than D − 1.
    covariance : ndarray
        Inverse of the Wishart distribution's scale matrix, in the form of one covariance of the family.
    """

    family: Family
    concentration_type: str
    concentration: float
    mean_precision: float
    mean: Array
    degrees_of_freedom: float
    covariance: Array

    @property
    def weights(self) -> Concentration:
        """The kind of prior of the weights."""
        return CONCENTRATIONS[self.concentration_type]

    @property
    def covariances(self) -> Array:
        """``covariance`` as those of a mixture of one component."""
        return np.reshape(self.covariance, self.family.covariance_shape(1, len(self.mean)))

    def log_normalizer(self, n_components: int) -> float:
        """Return what scikit-learn's lower bound leaves out of the priors of so many components, nats.

        Infinite where ``covariance`` is singular: the prior is improper then.
        """
        n_features = len(self.mean)
        if self.family.has_products:
            log_determinant = np.linalg.slogdet(self.covariance)[1]
        else:
            with np.errstate(divide="ignore"):
                log_determinant = np.log(self.family.variances(self.covariances, 1, n_features)).sum()
        half_log_determinant = -0.5 * float(log_determinant)
        each = (
            log_wishart_normalizer(np.asarray(self.degrees_of_freedom), half_log_determinant, n_features)
            - 0.5 * n_features * np.log(self.mean_precision)
        )  # fmt: skip
        concentrations = self.weights.prior(self.concentration, n_components)
        return n_components * float(each) + self.weights.log_normalizer(concentrations)

    def constant(self, n_components: int, weight: float) -> float:
        """Return the complete evidence lower bound less scikit-learn's, nats.

        Parameters
        ----------
        n_components : int
        weight : float
            Of all rows.
        """
        return -self.log_normalizer(n_components) - 0.5 * weight * len(self.mean) * LOG_2_PI


def dependent_features(family: Family, moments: Moments) -> NDArray[np.intp]:
    """Find features that do not vary, or depend on others linearly: the rows' covariance is singular then.

    Parameters
    ----------
    family : Family
        Its form of the covariance is asked about.
    moments : Moments
        Of the rows.

    Returns
    -------
    ndarray of int
        Empty, as a rule.
    """
    rounding = (8.0 * np.finfo(float).eps * np.abs(moments.mean)) ** 2 * moments.weight
    constant = moments.squares <= rounding
    n_features = len(constant)
    if constant.any():
        own = family.of_scatter(moments.scatter).reshape(family.covariance_shape(1, n_features))
        alone = family.variances(own, 1, n_features)[0]
        return np.flatnonzero(constant & (alone <= rounding))
    if not family.has_products:
        return np.empty(0, np.intp)
    scales = np.sqrt(moments.squares)
    lengths, axes = np.linalg.eigh(moments.scatter / scales[:, None] / scales)
    return (
        np.flatnonzero(np.abs(axes[:, 0]) > LEAST_LOADING) if lengths[0] < DEPENDENT else np.empty(0, np.intp)
    )


@dataclass(frozen=True, eq=False)
class Posterior(Parameters):
    """What is believed of a mixture after rows.

    As a mixture it is that of the expected weights and means, and the inverses of the expected precisions;
    but its log densities are expected ones, ``E[log π_k + log N(x | μ_k, Λ_k)]``.

    Attributes
    ----------
    concentration_type : str
    weight_concentration : ndarray
        (2, K) for a Dirichlet process, (K,) for a Dirichlet distribution: see `dgmm.model.concentration`.
    mean_precision : ndarray of shape (K,)
        How many rows each mean is known from, with the prior's.
    degrees_of_freedom : ndarray of shape (K,), or () where components share a covariance
        Of the Wishart distributions of precisions.
    """

    concentration_type: str
    weight_concentration: Array
    mean_precision: Array
    degrees_of_freedom: Array

    @classmethod
    def of(cls, prior: Prior, counts: Array, means: Array, covariances: Array) -> Posterior:
        """Combine a prior with the counts, means and covariances of components' rows.

        Parameters
        ----------
        prior : Prior
        counts : ndarray of shape (K,)
            In rows.
        means : ndarray of shape (K, D)
        covariances : ndarray
            Shaped as the family says.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        """
        family = prior.family
        mean_precision = prior.mean_precision + counts
        known = (prior.mean_precision * prior.mean + counts[:, None] * means) / mean_precision[:, None]
        degrees_of_freedom = np.asarray(prior.degrees_of_freedom + _shared(family, counts))
        share = counts * prior.mean_precision / mean_precision
        scatter = _expand(_shared(family, counts), covariances) * covariances
        apart = between(family, share, means - prior.mean)
        scatter = prior.covariance + scatter + _shared(family, apart)
        expected = scatter / _expand(degrees_of_freedom, scatter)
        concentration = prior.weights.posterior(prior.concentration, counts)
        return cls(
            family,
            prior.weights.weights(concentration),
            known,
            expected,
            family.precisions_cholesky(expected),
            prior.concentration_type,
            concentration,
            mean_precision,
            degrees_of_freedom,
        )

    @property
    def half_log_scale(self) -> Array:
        """``½ log|W_k|`` of the Wishart distributions' scale matrices: (K,), or () of one that is shared."""
        half = self.family.half_log_determinants(self.precisions_cholesky, self.n_features)
        return half - 0.5 * self.n_features * np.log(self.degrees_of_freedom)

    @property
    def expected_log_determinants(self) -> Array:
        """``E[log|Λ_k|]``: (K,), or () of one that is shared (Bishop 10.65)."""
        n_features = self.n_features
        halves = 0.5 * (self.degrees_of_freedom[..., None] - np.arange(n_features))
        return digamma(halves).sum(axis=-1) + n_features * np.log(2.0) + 2.0 * self.half_log_scale

    @property
    def log_constants(self) -> Array:
        """Expected log joint density of each component at its mean: shape (K,), nats (Bishop 10.46)."""
        log_weights = CONCENTRATIONS[self.concentration_type].log_weights(self.weight_concentration)
        spread = LOG_2_PI + 1.0 / self.mean_precision
        return log_weights + 0.5 * (self.expected_log_determinants - self.n_features * spread)


def _shared(family: Family, values: Array) -> Array:
    """Return values of components (K, ...), or their mean where components have one covariance."""
    return values.mean(axis=0) if family.is_shared else values


def _expand(values: Array, covariances: Array) -> Array:
    """Shape values of components to multiply their covariances."""
    return np.reshape(values, np.shape(values) + (1,) * (covariances.ndim - np.ndim(values)))


def between(family: Family, shares: Array, gaps: Array) -> Array:
    """Return scatter between points in a family's form of one covariance: for each component.

    Parameters
    ----------
    family : Family
    shares : ndarray of shape (K,)
        Rows at each point.
    gaps : ndarray of shape (K, D)
        From there to another.
    """
    squares = family.outer(gaps)
    return _expand(shares, squares) * squares


def log_wishart_normalizer(
    degrees_of_freedom: Array, half_log_scale: Array | float, n_features: int
) -> Array:
    """Return the logarithm of a Wishart distribution's normalizer, without ``D (D − 1)/4 log π``, nats.

    Parameters
    ----------
    degrees_of_freedom : ndarray of any shape
    half_log_scale : ndarray
        ``½ log|W|`` of the scale matrices W.
    n_features : int
    """
    halves = 0.5 * (degrees_of_freedom[..., None] - np.arange(n_features))
    powers = degrees_of_freedom * (half_log_scale + 0.5 * n_features * np.log(2.0))
    return powers + gammaln(halves).sum(axis=-1)


def update_means(statistics: Statistics) -> Array:
    """Return the means of components' rows: (K, D); of an empty one, where its sums are about."""
    counts = statistics.counts + SMALLEST_COUNT
    return statistics.references + statistics.sums / counts[:, None]


def update(statistics: Statistics, prior: Prior, reg_covar: float) -> Posterior:
    """M-step: the posterior that maximizes the evidence lower bound at the rows' responsibilities.

    Parameters
    ----------
    statistics : Statistics
        Of all rows, completed.
    prior : Prior
    reg_covar : float
        In squared units of the data: added to the variances of the rows of each component, as in
        `dgmm.model.em.update`.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    deviations = statistics.deviations(reg_covar, SMALLEST_COUNT)
    covariances = prior.family.covariances(deviations, reg_covar)
    return Posterior.of(prior, deviations.counts, update_means(statistics), covariances)


def cancels(statistics: Statistics, updated: Posterior, largest_ratio: float) -> bool:
    """Return whether the sums that `update` made a posterior of have cancelled: see `Statistics.cancels`."""
    known = np.broadcast_to(updated.degrees_of_freedom, updated.n_components)
    return statistics.cancels(known, updated.covariances, largest_ratio)


def bound_after(
    evaluated: Posterior,
    updated: Posterior,
    statistics: Statistics,
    log_likelihood: float,
) -> float:
    """Return scikit-learn's lower bound after an M-step: of the posterior that it made, nats.

    The bound's expectations cancel against what the posterior was made of: what is left are the entropy
    of the responsibilities and the posterior's normalizers. `Prior.constant` makes it complete.

    Parameters
    ----------
    evaluated, updated : Posterior
        Before and after the M-step.
    statistics : Statistics
        The responsibilities are those of ``evaluated``; completed.
    log_likelihood : float
        Sum over rows of the logarithms of ``Σ_k ρ_k`` under ``evaluated``, nats.
    """
    entropy = log_likelihood - expected_log_joint(evaluated, statistics)
    return entropy + log_normalizer(updated)


def log_normalizer(posterior: Posterior) -> float:
    """Sum the log normalizers of a posterior's factors, without constants that its prior has too, nats."""
    n_features = posterior.n_features
    wishart = log_wishart_normalizer(posterior.degrees_of_freedom, posterior.half_log_scale, n_features)
    each = wishart - 0.5 * n_features * np.log(posterior.mean_precision)
    weights = CONCENTRATIONS[posterior.concentration_type]
    return float(each.sum()) + weights.log_normalizer(posterior.weight_concentration)


def bound(prior: Prior, posterior: Posterior, log_likelihood: float, weight: float) -> float:
    """Return the lower bound of a posterior whose rows have been seen, in scikit-learn's convention, nats.

    With `Prior.constant` it is complete: the log-likelihood less the divergence of the posterior from the
    prior (Bishop 10.70, with the optimal responsibilities put in). It holds for any posterior, not only for
    those that an M-step makes.

    Parameters
    ----------
    prior : Prior
    posterior : Posterior
    log_likelihood : float
        Sum over rows of the logarithms of ``Σ_k ρ_k`` under the posterior, nats.
    weight : float
        Of all rows.
    """
    n_features = posterior.n_features
    family = posterior.family
    distances = family.squared_distances(posterior.means - prior.mean, posterior.precisions_cholesky)
    traces = family.traces(posterior.precisions, prior.covariances, posterior.n_components, n_features)
    means = (
        n_features * (prior.mean_precision / posterior.mean_precision - 1.0)
        + prior.mean_precision * distances
    )  # fmt: skip
    wisharts = (
        (posterior.degrees_of_freedom - prior.degrees_of_freedom) * posterior.expected_log_determinants
        - posterior.degrees_of_freedom * n_features
        + traces
    )  # fmt: skip
    kind, own = prior.weights, posterior.weight_concentration
    gained = own - kind.prior(prior.concentration, posterior.n_components)
    weights = float((gained * kind.expected_logarithms(own)).sum())
    divergence = 0.5 * float((means + wisharts).sum()) + weights - log_normalizer(posterior)
    return log_likelihood + 0.5 * weight * n_features * LOG_2_PI - divergence
