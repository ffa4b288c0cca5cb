"""What a covariance family is: features of a row, natural parameters and an M-step.

The log joint density of a row and a component is linear in fixed features of the row,
``log p(x, k) = features(z) · theta_k`` with ``z = x − centre``. All families draw their features from
one table of rows, so that models of different families share it in a pass:

====================  ==================  ========================================
rows                  feature             used by
====================  ==================  ========================================
0                     ``‖z‖²``            spherical
1                     ``1``               all
2 … D+1               ``z_i``             all
D+2 … 2D+1            ``z_i²``            diag, full
2D+2 …                ``z_i z_j, i < j``  full
====================  ==================  ========================================

Each family takes consecutive rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array


@dataclass(frozen=True)
class Deviations:
    """What an M-step needs for covariances: sums about a point near each component.

    Attributes
    ----------
    counts : ndarray of shape (n_components,)
        Sums of responsibilities, in rows, kept above zero.
    offsets : ndarray of shape (n_components, n_features)
        Means less the reference points.
    scatter : ndarray of shape (n_components, n_scatter)
        Packed sums of squares and products about the reference points.
    shared : ndarray or None
        Sums of squares and products of all rows about the centre of the data, in the form of one covariance;
        None but for families whose components share one.
    """

    counts: Array
    offsets: Array
    scatter: Array
    shared: Array | None


@dataclass(frozen=True)
class SingleRows:
    """Rows that are each the only member of a component, as scikit-learn's M-step sees them.

    Attributes
    ----------
    rows, means : ndarray of shape (n_components, n_features)
        The rows, and their means by that M-step: sums over counts.
    weights, counts : ndarray of shape (n_components,)
        Their weights, and a little more.
    squares : ndarray or None
        Sums of squares and products of all rows about the origin, (n_features, n_features), or of squares
        alone, (n_features,), as the family needs; None but for families whose components share a covariance.
    """

    rows: Array
    means: Array
    weights: Array
    counts: Array
    squares: Array | None

    @property
    def variances(self) -> Array:
        """Variances as that M-step finds them: (n_components, n_features)."""
        return self.weights[:, None] * self.rows**2 / self.counts[:, None] - self.means**2


class Family(ABC):
    """A covariance structure: all that there is to know of it.

    Shapes are those of scikit-learn: K components, D features. ``covariances``, ``precisions`` and
    ``precisions_cholesky`` hold *one* covariance for each component, or one that all share.

    Attributes
    ----------
    name : str
        As users write it.
    is_shared : bool
        All components have one covariance. Its quadratic term is the same for all of them and cancels from
        responsibilities: features lack it, statistics hold no scatter, and it is added to log-likelihoods
        once, from the scatter of all rows (see `dgmm.model.statistics.Statistics.completed`).
    is_round : bool
        Components are as wide in all directions: features cannot be rescaled one by one.
    has_products : bool
        Covariances between features are a part of it. Families without form no matrix of D × D.
    has_all_features : bool
        Its features are 1, z and all products of two of these: sums over a component's own rows are then one
        product of matrices.
    scikit_learn : str or None
        The family of scikit-learn's that has for each component what this one, which it lacks, has for all.
    """

    name: ClassVar[str]
    is_shared: ClassVar[bool] = False
    is_round: ClassVar[bool] = False
    has_products: ClassVar[bool] = True
    has_all_features: ClassVar[bool] = False
    scikit_learn: ClassVar[str | None] = None

    def __reduce__(self):
        """Find the same family again: there is one of each in a process."""
        from dgmm.model.families import family_named  # noqa: PLC0415 - it knows all families

        return family_named, (self.name,)

    # Shapes.

    @abstractmethod
    def shape_of_one(self, n_features: int) -> tuple[int, ...]:
        """Shape of one covariance."""

    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of ``covariances``, ``precisions`` and ``precisions_cholesky``."""
        one = self.shape_of_one(n_features)
        return one if self.is_shared else (n_components, *one)

    @abstractmethod
    def n_parameters_of_one(self, n_features: int) -> int:
        """Number of free parameters of one covariance."""

    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Number of free covariance parameters."""
        return (1 if self.is_shared else n_components) * self.n_parameters_of_one(n_features)

    def chosen(self, covariances: Array, components: int | Sequence[int] | NDArray[np.intp]) -> Array:
        """Return what some components have of covariances (or precisions, or their factors), by any index."""
        return covariances if self.is_shared else covariances[components]

    @abstractmethod
    def of_features(self, covariances: Array, features: NDArray[np.intp]) -> Array:
        """Return the covariances of some features, in this order: those of the marginal mixture."""

    # Forms of one covariance, and of many.

    @abstractmethod
    def identity(self, n_features: int) -> Array | float:
        """Return the covariance of unit variances without correlations."""

    @abstractmethod
    def of_scatter(self, scatter: Array) -> Array:
        """Return one covariance from a matrix (D, D); without products, from its diagonal (D,) too."""

    @abstractmethod
    def projected(self, matrices: Array) -> Array:
        """Return matrices (..., D, D) in the form of one covariance each: whole, or their (mean) diagonal."""

    def outer(self, gaps: Array) -> Array:
        """Return products ``gap gapᵀ`` of vectors (K, D), in the form of one covariance each."""
        return self.projected(gaps[:, :, None] * gaps[:, None, :])

    def repeated(self, scatter: Array, n_components: int) -> Array:
        """Return the covariances of components that all have one: see `of_scatter`."""
        one = self.of_scatter(scatter)
        return one if self.is_shared else np.stack([one] * n_components)

    @abstractmethod
    def to_matrices(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Covariances as matrices of shape (K, D, D)."""

    @abstractmethod
    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Variances of all features: shape (K, D)."""

    @abstractmethod
    def smallest_variances(self, covariances: Array, n_components: int) -> Array:
        """Variance of each component along its shortest axis: shape (K,)."""

    @abstractmethod
    def fault(self, precisions: Array) -> str | None:
        """Say what precisions should be and are not; None where nothing is wrong."""

    # Precisions.

    @abstractmethod
    def precisions_cholesky(self, covariances: Array) -> Array:
        """Factors U of the precisions ``U Uᵀ`` (upper triangular, or inverse standard deviations).

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        """

    @abstractmethod
    def precisions_cholesky_from_precisions(self, precisions: Array) -> Array:
        """The same factors, from the precisions."""

    @abstractmethod
    def precisions(self, precisions_cholesky: Array) -> Array:
        """The precisions ``U Uᵀ``."""

    @abstractmethod
    def inverse(self, matrices: Array) -> Array:
        """Covariances from precisions, or the other way round."""

    @abstractmethod
    def half_log_determinants(self, precisions_cholesky: Array, n_features: int) -> Array:
        """``½ log|Λ_k|``: shape (K,), or a scalar where components share one."""

    @abstractmethod
    def standardize(self, deviations: Array, precisions_cholesky: Array, component: int) -> Array:
        """``U_kᵀ d`` for deviations d = x − μ_k in columns: shape (D, rows) to the same."""

    def squared_distances(self, gaps: Array, precisions_cholesky: Array) -> Array:
        """Squared Mahalanobis lengths ``gapᵀ Λ_k gap`` of a vector for each component: (K, D) to (K,).

        Infinite where they overflow.
        """
        standardized = [
            self.standardize(gap[:, None], precisions_cholesky, component)
            for component, gap in enumerate(gaps)
        ]
        with np.errstate(over="ignore"):
            return np.array([np.square(each).sum() for each in standardized])

    @abstractmethod
    def traces(self, precisions: Array, covariances: Array, n_components: int, n_features: int) -> Array:
        """Traces of the products of precisions and covariances: shape (K,)."""

    def traces_by_factors(
        self, precisions_cholesky: Array, covariances: Array, n_components: int, n_features: int
    ) -> Array:
        """Traces as `traces` gives them, from the factors of precisions: shape (K,)."""
        return self.traces(self.precisions(precisions_cholesky), covariances, n_components, n_features)

    @abstractmethod
    def trace(self, precision: Array, covariance: Array, n_features: int) -> float:
        """Trace of the product of one precision and one covariance."""

    def trace_by_factor(self, precision_cholesky: Array, covariance: Array, n_features: int) -> float:
        """Trace as `trace` gives it, from the factor of the precision."""
        return self.trace(self.precisions(precision_cholesky), covariance, n_features)

    @abstractmethod
    def half_log_growth(self, standardized: Array, shares: Array) -> Array:
        """Half of what adding ``s g gᵀ``, in the family's form, adds to a covariance's log determinant.

        ``standardized`` (D, n) holds ``Uᵀ g`` for n vectors g, ``shares`` (n,) the factors s.
        """

    # Features, and what sums of them are.

    @abstractmethod
    def feature_rows(self, n_features: int) -> slice:
        """Rows of the feature table that this family uses."""

    @abstractmethod
    def natural_parameters(self, log_constants: Array, means: Array, precisions_cholesky: Array) -> Array:
        """Theta of shape (..., K, features of this family): ``log p(x, k) = features · theta_k``.

        ``log_constants`` (..., K) is the log joint density at the mean, ``means`` (..., K, D) are relative to
        the centre; factors may be of any rows, which then have an axis of their own, or the same for all.
        """

    @abstractmethod
    def scatter_bound(self, precisions_cholesky: Array, extent: Array) -> Array:
        """Largest possible sum ``|z|ᵀ |Λ_k| |z|`` of absolute terms over rows with ``|z_i| ≤ extent_i``.

        Times the machine epsilon it bounds the rounding error of a log density from features, in nats.
        ``extent`` is (D,), or (K, D) where each component has rows of its own.
        """

    def split_sums(self, sums: Array, n_features: int) -> tuple[Array, Array, Array]:
        """Split responsibility-weighted feature sums (..., K, p) into counts, sums and packed scatter."""
        return sums[..., 0], sums[..., 1 : n_features + 1], sums[..., n_features + 1 :]

    @abstractmethod
    def scatter(self, deviations: Array, shares: Array) -> Array:
        """Packed scatter of deviations (D, rows), each row with its share (rows,)."""

    @abstractmethod
    def pack_scatter(self, matrices: Array) -> Array:
        """Pack scatter matrices (..., D, D), of which only the upper triangles are read."""

    def expected_quadratic(
        self,
        quadratic: Array,
        precisions_cholesky: Array,
        scatter: Array,
        shared: Array | None,
        n_features: int,
    ) -> float:
        """Sum the quadratic terms of log joint densities over rows and components, nats.

        ``quadratic`` is that part of the natural parameters, ``scatter`` and ``shared`` are as in
        `dgmm.model.statistics.Statistics`.
        """
        return float((quadratic * scatter).sum())

    # M-step.

    @abstractmethod
    def covariances(self, deviations: Deviations, reg_covar: float) -> Array:
        """M-step: maximum-likelihood covariances, plus ``reg_covar`` on the diagonal."""

    @abstractmethod
    def mean_squares(self, scatter: Array, shared: Array | None, counts: Array, n_features: int) -> Array:
        """Mean squares about the points of the sums, which variances are made of: (K, D), or fewer.

        Variances that are far smaller have cancelled. ``counts`` (K,) is what sums are divided by.
        """

    @abstractmethod
    def of_single_rows(self, start: SingleRows, reg_covar: float) -> Array:
        """M-step of components that have a single row each, as scikit-learn makes it, to the last bit."""

    # How sure parameters are: see `dgmm.model.information`.

    @abstractmethod
    def width_scores(self, standardized: Array) -> Array:
        """Derivatives of log densities by a covariance, of rows in its own coordinates: (D, n) to (p, n).

        It is ``L (1 + B) Lᵀ`` with ``L = U⁻ᵀ``, at B = 0. The p parameters are those of B, in the form of one
        covariance, and packed.
        """

    @abstractmethod
    def information(self, count: Array | float, sums: Array, width_sums: Array) -> Array:
        """Negative second derivatives of log densities by mean and B, summed over rows: (D + p, D + p).

        Of the mean, too, in the component's own coordinates; ``count`` is the sum of the rows' shares,
        ``sums`` (D,) that of standardized rows, ``width_sums`` (p,) that of `width_scores`.
        """

    @abstractmethod
    def measured_scores(self, slopes: Array, inverses: Array) -> Array:
        """Return `width_scores` of rows that are measured with errors, or lack values: (p, n).

        Of each row there are u (n, D) and T⁻¹ (n, D, D) of `dgmm.model.measured`, in the component's own
        coordinates: ``Lᵀ u`` and ``Lᵀ T⁻¹ L``.
        """

    @abstractmethod
    def measured_information(self, shares: Array, slopes: Array, inverses: Array) -> Array:
        """Return `information` of such rows, summed with shares (n,): (D + p, D + p)."""

    @abstractmethod
    def in_units(self, factor: Array, n_features: int) -> tuple[Array, Array]:
        """Matrices (D, D) and (p, p) that take mean and packed B to the rows' units: ``factor`` is U."""

    @abstractmethod
    def unpacked(self, packed: Array, n_features: int) -> Array:
        """Return packed covariances (..., p) in the form of one covariance each."""

    # Random rows.

    @abstractmethod
    def draw(self, mean: Array, covariance: Array, n_rows: int, generator: np.random.RandomState) -> Array:
        """Draw rows (n_rows, D) of one component, exactly as scikit-learn draws them."""
