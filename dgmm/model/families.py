"""The four covariance structures, as exponential families.

The log joint density of a row and a component is linear in fixed features of the row,
``log p(x, k) = features(z) · theta_k`` with ``z = x − centre``. All families draw their features from
one table of rows, so that models of different families share it in a pass:

====================  ==================  =================================
rows                  feature             used by
====================  ==================  =================================
0                     ``‖z‖²``            spherical
1                     ``1``               all
2 … D+1               ``z_i``             all
D+2 … 2D+1            ``z_i²``            diag, full
2D+2 …                ``z_i z_j, i < j``  full
====================  ==================  =================================

Each family takes consecutive rows. The quadratic term of ``tied`` is the same for every component and
cancels from the responsibilities; it is added to the log-likelihood once, from the scatter of all rows.
Scatter matrices are packed as `dgmm.model.matrices.pack` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dgmm.model.matrices import (
    Array,
    DegenerateCovarianceError,
    pack,
    precision_factors,
    unpack,
    upper_factor,
)


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
    means : ndarray of shape (n_components, n_features)
        Means less the centre of the data.
    total_scatter : ndarray of shape (n_features, n_features)
        Sums of squares and products of all rows about the centre of the data.
    """

    counts: Array
    offsets: Array
    scatter: Array
    means: Array
    total_scatter: Array


class Family(ABC):
    """A covariance structure: its features, natural parameters and M-step.

    Shapes are those of scikit-learn: K components, D features.
    """

    name: ClassVar[str]

    @abstractmethod
    def feature_rows(self, n_features: int) -> slice:
        """Rows of the feature table that this family uses."""

    @abstractmethod
    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of ``covariances``, ``precisions`` and ``precisions_cholesky``."""

    @abstractmethod
    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Number of free covariance parameters."""

    @abstractmethod
    def covariances(self, deviations: Deviations, reg_covar: float) -> Array:
        """M-step: maximum-likelihood covariances, plus ``reg_covar`` on the diagonal."""

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
    def natural_parameters(self, log_constants: Array, means: Array, precisions_cholesky: Array) -> Array:
        """Theta of shape (K, features of this family): ``log p(x, k) = features · theta_k``.

        ``log_constants`` (K,) is the log joint density at the mean, ``means`` are relative to the centre.
        """

    @abstractmethod
    def scatter_bound(self, precisions_cholesky: Array, extent: Array) -> Array:
        """Largest possible sum ``|z|ᵀ |Λ_k| |z|`` of absolute terms over rows with ``|z_i| ≤ extent_i``.

        Times the machine epsilon it bounds the rounding error of a log density from features, in nats.
        ``extent`` is (D,), or (K, D) where each component has rows of its own.
        """

    @abstractmethod
    def standardize(self, deviations: Array, precisions_cholesky: Array, component: int) -> Array:
        """``U_kᵀ d`` for deviations d = x − μ_k in columns: shape (D, rows) to the same."""

    @abstractmethod
    def to_matrices(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Covariances as matrices of shape (K, D, D)."""

    needs_products: ClassVar[bool] = True
    """Whether covariances between features are a part of it."""

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Variances of all features: shape (K, D)."""
        matrices = self.to_matrices(covariances, n_components, n_features)
        return np.diagonal(matrices, axis1=1, axis2=2)

    def smallest_variances(self, covariances: Array, n_components: int) -> Array:
        """Variance of each component along its shortest axis: shape (K,)."""
        return np.broadcast_to(np.linalg.eigvalsh(covariances)[..., 0], (n_components,))

    def traces(self, precisions: Array, covariances: Array, n_components: int, n_features: int) -> Array:
        """Traces of the products of two sets of matrices in this family's form: shape (K,)."""
        left, right = (self.to_matrices(each, n_components, n_features) for each in (precisions, covariances))
        return np.einsum("kij,kij->k", left, right)

    def squared_distances(self, gaps: Array, precisions_cholesky: Array) -> Array:
        """Squared Mahalanobis lengths ``gapᵀ Λ_k gap`` of a vector for each component: (K, D) to (K,)."""
        standardized = [
            self.standardize(gap[:, None], precisions_cholesky, component)
            for component, gap in enumerate(gaps)
        ]
        return np.array([np.square(each).sum() for each in standardized])

    def projected(self, matrices: Array) -> Array:
        """Give matrices (..., D, D) as covariances: whole, their diagonal (..., D), or its mean (...)."""
        return matrices

    def outer(self, gaps: Array) -> Array:
        """Products ``gap gapᵀ`` of vectors (K, D), as `projected`."""
        return self.projected(gaps[:, :, None] * gaps[:, None, :])

    def of_scatter(self, scatter: Array) -> Array:
        """Give the covariance of one component from a matrix (D, D) as `projected`, or its diagonal alone."""
        return scatter

    def split_sums(self, sums: Array, n_features: int) -> tuple[Array, Array, Array]:
        """Split responsibility-weighted feature sums (K, p) into counts, sums and packed scatter."""
        return sums[:, 0], sums[:, 1 : n_features + 1], sums[:, n_features + 1 :]

    def scatter(self, deviations: Array, shares: Array) -> Array:
        """Packed scatter of deviations (D, rows), each row with its share (rows,)."""
        return pack((deviations * shares) @ deviations.T)

    def pack_scatter(self, matrices: Array) -> Array:
        """Pack scatter matrices (..., D, D), of which only the upper triangles are read."""
        return pack(matrices)


class Full(Family):
    """Each component has its own covariance matrix: (K, D, D)."""

    name = "full"

    def feature_rows(self, n_features):
        return slice(1, 2 + n_features + n_features * (n_features + 1) // 2)

    def covariance_shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_covariance_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def covariances(self, deviations, reg_covar):
        d, n_features = deviations, deviations.offsets.shape[1]
        raw = unpack(d.scatter, n_features) / d.counts[:, None, None]
        return raw - d.offsets[:, :, None] * d.offsets[:, None, :] + reg_covar * np.eye(n_features)

    def precisions_cholesky(self, covariances):
        return precision_factors(covariances)

    def precisions_cholesky_from_precisions(self, precisions):
        return np.stack([upper_factor(precision) for precision in precisions])

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ np.swapaxes(precisions_cholesky, 1, 2)

    def inverse(self, matrices):
        return np.linalg.inv(matrices)

    def half_log_determinants(self, precisions_cholesky, n_features):
        return np.log(np.diagonal(precisions_cholesky, axis1=1, axis2=2)).sum(axis=1)

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        precisions = self.precisions(precisions_cholesky)
        linear = (precisions @ means[:, :, None])[:, :, 0]
        standardized = (means[:, None, :] @ precisions_cholesky)[:, 0, :]
        quadratic = -pack(precisions)
        quadratic[:, : means.shape[1]] *= 0.5
        constant = log_constants - 0.5 * (standardized**2).sum(axis=1)
        return np.concatenate([constant[:, None], linear, quadratic], axis=1)

    def scatter_bound(self, precisions_cholesky, extent):
        products = extent[..., None, :] @ np.abs(self.precisions(precisions_cholesky)) @ extent[..., :, None]
        return products[..., 0, 0]

    def standardize(self, deviations, precisions_cholesky, component):
        return precisions_cholesky[component].T @ deviations

    def to_matrices(self, covariances, n_components, n_features):
        return covariances


class Tied(Family):
    """All components share one covariance matrix: (D, D)."""

    name = "tied"

    def feature_rows(self, n_features):
        return slice(1, 2 + n_features)

    def covariance_shape(self, n_components, n_features):
        return n_features, n_features

    def n_covariance_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def covariances(self, deviations, reg_covar):
        d, n_features = deviations, deviations.offsets.shape[1]
        if d.scatter.shape[1]:  # the centred kernel was needed: pool the components' own scatter
            total, offsets = unpack(d.scatter.sum(axis=0), n_features), d.offsets
        else:
            total, offsets = d.total_scatter, d.means
        between = (d.counts[:, None] * offsets).T @ offsets
        return (total - between) / d.counts.sum() + reg_covar * np.eye(n_features)

    def precisions_cholesky(self, covariances):
        try:
            return precision_factors(covariances[None])[0]
        except DegenerateCovarianceError:
            raise DegenerateCovarianceError(None) from None

    def precisions_cholesky_from_precisions(self, precisions):
        return upper_factor(precisions)

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ precisions_cholesky.T

    def inverse(self, matrices):
        return np.linalg.inv(matrices)

    def half_log_determinants(self, precisions_cholesky, n_features):
        return np.log(np.diagonal(precisions_cholesky)).sum()

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        standardized = means @ precisions_cholesky
        constant = log_constants - 0.5 * (standardized**2).sum(axis=1)
        return np.concatenate([constant[:, None], standardized @ precisions_cholesky.T], axis=1)

    def scatter_bound(self, precisions_cholesky, extent):
        return ((extent @ np.abs(self.precisions(precisions_cholesky))) * extent).sum(axis=-1)

    def standardize(self, deviations, precisions_cholesky, component):
        return precisions_cholesky.T @ deviations

    def to_matrices(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances, (n_components, n_features, n_features))


class _Variances(Family):
    """What families without covariances between features share: variances, and their inverse roots.

    No matrix of D × D is formed: there may be thousands of features.
    """

    needs_products = False

    def projected(self, matrices):
        return self.of_variances(np.diagonal(matrices, axis1=-2, axis2=-1))

    def outer(self, gaps):
        return self.of_variances(gaps**2)

    def of_scatter(self, scatter):
        return self.of_variances(np.diagonal(scatter) if scatter.ndim == 2 else scatter)

    @abstractmethod
    def of_variances(self, variances: Array) -> Array:
        """Give variances (..., D) as covariances: themselves, or their mean (...)."""

    def precisions_cholesky(self, covariances):
        bad = ~(covariances > 0.0)
        if bad.any():
            raise DegenerateCovarianceError(int(np.argwhere(bad)[0, 0]))
        return 1.0 / np.sqrt(covariances)

    def precisions_cholesky_from_precisions(self, precisions):
        return np.sqrt(precisions)

    def precisions(self, precisions_cholesky):
        return precisions_cholesky**2

    def inverse(self, matrices):
        return 1.0 / matrices


class Diagonal(_Variances):
    """Each component has its own variance per feature: (K, D)."""

    name = "diag"

    def feature_rows(self, n_features):
        return slice(1, 2 + 2 * n_features)

    def covariance_shape(self, n_components, n_features):
        return n_components, n_features

    def n_covariance_parameters(self, n_components, n_features):
        return n_components * n_features

    def covariances(self, deviations, reg_covar):
        d = deviations
        return d.scatter / d.counts[:, None] - d.offsets**2 + reg_covar

    def half_log_determinants(self, precisions_cholesky, n_features):
        return np.log(precisions_cholesky).sum(axis=1)

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        precisions = precisions_cholesky**2
        constant = log_constants - 0.5 * (precisions * means**2).sum(axis=1)
        return np.concatenate([constant[:, None], precisions * means, -0.5 * precisions], axis=1)

    def scatter_bound(self, precisions_cholesky, extent):
        return (precisions_cholesky**2 * extent**2).sum(axis=-1)

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky[component][:, None]

    def to_matrices(self, covariances, n_components, n_features):
        return covariances[:, :, None] * np.eye(n_features)

    def of_variances(self, variances):
        return variances

    def variances(self, covariances, n_components, n_features):
        return covariances

    def smallest_variances(self, covariances, n_components):
        return covariances.min(axis=1)

    def traces(self, precisions, covariances, n_components, n_features):
        return np.einsum("ki,ki->k", precisions, np.broadcast_to(covariances, precisions.shape))

    def scatter(self, deviations, shares):
        return deviations**2 @ shares

    def pack_scatter(self, matrices):
        return np.diagonal(matrices, axis1=-2, axis2=-1)


class Spherical(_Variances):
    """Each component has one variance: (K,)."""

    name = "spherical"

    def feature_rows(self, n_features):
        return slice(0, 2 + n_features)

    def covariance_shape(self, n_components, n_features):
        return (n_components,)

    def n_covariance_parameters(self, n_components, n_features):
        return n_components

    def covariances(self, deviations, reg_covar):
        d = deviations
        squares = d.scatter[:, 0] / d.counts - (d.offsets**2).sum(axis=1)
        return squares / d.offsets.shape[1] + reg_covar

    def half_log_determinants(self, precisions_cholesky, n_features):
        return n_features * np.log(precisions_cholesky)

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        precisions = precisions_cholesky**2
        constant = log_constants - 0.5 * precisions * (means**2).sum(axis=1)
        return np.concatenate(
            [-0.5 * precisions[:, None], constant[:, None], precisions[:, None] * means], axis=1
        )

    def scatter_bound(self, precisions_cholesky, extent):
        return precisions_cholesky**2 * (extent**2).sum(axis=-1)

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky[component]

    def to_matrices(self, covariances, n_components, n_features):
        return covariances[:, None, None] * np.eye(n_features)

    def of_variances(self, variances):
        return variances.mean(axis=-1)

    def variances(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances[:, None], (n_components, n_features))

    def smallest_variances(self, covariances, n_components):
        return covariances

    def traces(self, precisions, covariances, n_components, n_features):
        return n_features * precisions * covariances

    def split_sums(self, sums, n_features):
        return sums[:, 1], sums[:, 2:], sums[:, :1]

    def scatter(self, deviations, shares):
        return (deviations**2 @ shares).sum(keepdims=True)

    def pack_scatter(self, matrices):
        return np.trace(matrices, axis1=-2, axis2=-1)[..., None]


FAMILIES: dict[str, Family] = {family.name: family for family in (Full(), Tied(), Diagonal(), Spherical())}
