"""What families have in common: forms of one covariance, and one shared by all components."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from dgmm.model.families.family import Deviations, Family
from dgmm.model.matrices import (
    SMALLEST_VARIANCE,
    Array,
    DegenerateCovarianceError,
    pack,
    packed_entries,
    unpack,
)


class Matrices(Family):
    """Families whose covariances are matrices."""

    def shape_of_one(self, n_features):
        return n_features, n_features

    def of_features(self, covariances, features):
        return covariances[..., features[:, None], features]

    def n_parameters_of_one(self, n_features):
        return n_features * (n_features + 1) // 2

    def identity(self, n_features):
        return np.eye(n_features)

    def of_scatter(self, scatter):
        return scatter

    def projected(self, matrices):
        return matrices

    def to_matrices(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances, (n_components, n_features, n_features))

    def variances(self, covariances, n_components, n_features):
        return np.diagonal(self.to_matrices(covariances, n_components, n_features), axis1=1, axis2=2)

    def smallest_variances(self, covariances, n_components):
        return np.broadcast_to(np.linalg.eigvalsh(covariances)[..., 0], (n_components,))

    def fault(self, precisions):
        is_symmetric = np.allclose(precisions, np.swapaxes(precisions, -1, -2))
        if is_symmetric and (np.linalg.eigvalsh(precisions) > 0.0).all():
            return None
        return "symmetric, positive-definite"

    def inverse(self, matrices):
        return np.linalg.inv(matrices)

    def traces(self, precisions, covariances, n_components, n_features):
        left, right = (self.to_matrices(each, n_components, n_features) for each in (precisions, covariances))
        return np.einsum("kij,kij->k", left, right)

    def trace(self, precision, covariance, n_features):
        return float((precision * covariance).sum())

    def half_log_growth(self, standardized, shares):
        return 0.5 * np.log1p(shares * (standardized**2).sum(axis=0))

    def scatter(self, deviations, shares):
        return pack((deviations * shares) @ deviations.T)

    def pack_scatter(self, matrices):
        return pack(matrices)

    def width_scores(self, standardized):
        i, j = packed_entries(len(standardized))
        found = standardized[i] * standardized[j]
        found[: len(standardized)] = 0.5 * (found[: len(standardized)] - 1.0)
        return found

    def information(self, count, sums, width_sums):
        # B is a sum of E = e_i e_jᵀ + e_j e_iᵀ, or e_i e_iᵀ: tr(E F W) by both, E s by mean and B.
        n_features = len(sums)
        i, j = packed_entries(n_features)
        halves = np.where(i == j, 0.5, 1.0)
        packed = np.concatenate([2.0 * width_sums[:n_features] + 0.5 * count, width_sums[n_features:]])
        w, same = unpack(packed, n_features), np.eye(n_features)
        k, m = i[:, None], j[:, None]
        squares = (
            same[m, i] * w[j, k] + same[m, j] * w[i, k] + same[k, i] * w[j, m] + same[k, j] * w[i, m]
        ) * (halves[:, None] * halves)
        mixed = (same[:, i] * sums[j] + same[:, j] * sums[i]) * halves
        return np.block([[count * same, mixed], [mixed.T, squares]])

    def measured_scores(self, slopes, inverses):
        n_features = slopes.shape[1]
        i, j = packed_entries(n_features)
        found = slopes[:, i] * slopes[:, j] - inverses[:, i, j]
        found[:, :n_features] *= 0.5
        return found.T

    def measured_information(self, shares, slopes, inverses):
        # With P = T⁻¹ and W = u uᵀ − ½ P: tr(E P F W) by Es as above, and P E u by mean and B.
        n_features = slopes.shape[1]
        i, j = packed_entries(n_features)
        at = unpack(np.arange(len(i), dtype=float), n_features).astype(np.intp)
        halves = np.where(i == j, 0.5, 1.0)
        own = inverses[:, i, j]
        weighted = (own * shares[:, None]).T
        products = weighted @ (slopes[:, i] * slopes[:, j] - 0.5 * own)
        k, m = i[:, None], j[:, None]
        squares = (
            products[at[j, k], at[m, i]]
            + products[at[j, m], at[k, i]]
            + products[at[i, k], at[m, j]]
            + products[at[i, m], at[k, j]]
        ) * (halves[:, None] * halves)
        moved, every = weighted @ slopes, np.arange(n_features)[:, None]
        mixed = (moved[at[every, i], j] + moved[at[every, j], i]) * halves
        return np.block([[unpack(weighted.sum(axis=1), n_features), mixed], [mixed.T, squares]])

    def in_units(self, factor, n_features):
        root = np.linalg.inv(factor).T
        i, j = packed_entries(n_features)
        rows = root[i], root[j]
        halves = np.where(i == j, 0.5, 1.0)
        return root, (rows[0][:, i] * rows[1][:, j] + rows[0][:, j] * rows[1][:, i]) * halves

    def unpacked(self, packed, n_features):
        return unpack(packed, n_features)

    def draw(self, mean, covariance, n_rows, generator):
        return generator.multivariate_normal(mean, covariance, n_rows)


class Variances(Family):
    """Families without covariances between features: variances, and their inverse roots."""

    has_products = False

    @abstractmethod
    def of_variances(self, variances: Array) -> Array:
        """Return variances (..., D) in the form of one covariance each: themselves, or their mean (...)."""

    @abstractmethod
    def pack_squares(self, squares: Array) -> Array:
        """Pack sums of squares (..., D) as scatter."""

    def pack_scatter(self, matrices):
        return self.pack_squares(np.diagonal(matrices, axis1=-2, axis2=-1))

    def of_scatter(self, scatter):
        return self.of_variances(np.diagonal(scatter) if scatter.ndim == 2 else scatter)

    def projected(self, matrices):
        return self.of_variances(np.diagonal(matrices, axis1=-2, axis2=-1))

    def outer(self, gaps):
        return self.of_variances(gaps**2)

    def fault(self, precisions):
        return None if (precisions > 0.0).all() else "positive"

    def precisions_cholesky(self, covariances):
        bad = ~(np.asarray(covariances) > SMALLEST_VARIANCE)
        if bad.any():
            raise DegenerateCovarianceError(None if self.is_shared else int(np.argwhere(bad)[0, 0]))
        return 1.0 / np.sqrt(covariances)

    def precisions_cholesky_from_precisions(self, precisions):
        return np.sqrt(precisions)

    def precisions(self, precisions_cholesky):
        return precisions_cholesky**2

    def inverse(self, matrices):
        return 1.0 / matrices

    def draw(self, mean, covariance, n_rows, generator):
        return mean + generator.standard_normal(size=(n_rows, len(mean))) * np.sqrt(covariance)


class Diagonals(Variances):
    """A variance for each feature."""

    def shape_of_one(self, n_features):
        return (n_features,)

    def of_features(self, covariances, features):
        return covariances[..., features]

    def n_parameters_of_one(self, n_features):
        return n_features

    def identity(self, n_features):
        return np.ones(n_features)

    def of_variances(self, variances):
        return variances

    def to_matrices(self, covariances, n_components, n_features):
        own = np.broadcast_to(covariances, (n_components, n_features))
        return own[:, :, None] * np.eye(n_features)

    def variances(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances, (n_components, n_features))

    def smallest_variances(self, covariances, n_components):
        return np.broadcast_to(covariances.min(axis=-1), (n_components,))

    def traces(self, precisions, covariances, n_components, n_features):
        left, right = (self.variances(each, n_components, n_features) for each in (precisions, covariances))
        return np.einsum("ki,ki->k", left, right)

    def trace(self, precision, covariance, n_features):
        return float((precision * covariance).sum())

    def half_log_determinants(self, precisions_cholesky, n_features):
        return np.log(precisions_cholesky).sum(axis=-1)

    def half_log_growth(self, standardized, shares):
        return 0.5 * np.log1p(shares * standardized**2).sum(axis=0)

    def scatter_bound(self, precisions_cholesky, extent):
        return (precisions_cholesky**2 * extent**2).sum(axis=-1)

    def scatter(self, deviations, shares):
        return deviations**2 @ shares

    def pack_squares(self, squares):
        return squares

    def width_scores(self, standardized):
        return 0.5 * (standardized**2 - 1.0)

    def information(self, count, sums, width_sums):
        return np.block(
            [
                [count * np.eye(len(sums)), np.diag(sums)],
                [np.diag(sums), np.diag(2.0 * width_sums + 0.5 * count)],
            ]
        )

    def measured_scores(self, slopes, inverses):
        return 0.5 * (slopes**2 - np.diagonal(inverses, axis1=1, axis2=2)).T

    def measured_information(self, shares, slopes, inverses):
        weighted = shares[:, None, None] * inverses
        mixed = np.einsum("nij,nj->ij", weighted, slopes)
        squares = np.einsum("nij,ni,nj->ij", weighted, slopes, slopes, optimize=True)
        squares -= 0.5 * (weighted * inverses).sum(axis=0)
        return np.block([[weighted.sum(axis=0), mixed], [mixed.T, squares]])

    def in_units(self, factor, n_features):
        return np.diag(1.0 / factor), np.diag(1.0 / factor**2)

    def unpacked(self, packed, n_features):
        return packed


class Spheres(Variances):
    """One variance for all features."""

    is_round = True

    def shape_of_one(self, n_features):
        return ()

    def of_features(self, covariances, features):
        return covariances

    def n_parameters_of_one(self, n_features):
        return 1

    def identity(self, n_features):
        return 1.0

    def of_variances(self, variances):
        return variances.mean(axis=-1)

    def to_matrices(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances, (n_components,))[:, None, None] * np.eye(n_features)

    def variances(self, covariances, n_components, n_features):
        found = np.empty((n_components, n_features))
        found[:] = np.asarray(covariances)[..., None]
        return found

    def smallest_variances(self, covariances, n_components):
        return np.broadcast_to(covariances, (n_components,))

    def traces(self, precisions, covariances, n_components, n_features):
        return np.broadcast_to(n_features * precisions * covariances, (n_components,))

    def trace(self, precision, covariance, n_features):
        return float(n_features * precision * covariance)

    def half_log_determinants(self, precisions_cholesky, n_features):
        return n_features * np.log(precisions_cholesky)

    def half_log_growth(self, standardized, shares):
        n_features = len(standardized)
        return 0.5 * n_features * np.log1p(shares * (standardized**2).sum(axis=0) / n_features)

    def scatter_bound(self, precisions_cholesky, extent):
        return precisions_cholesky**2 * (extent**2).sum(axis=-1)

    def scatter(self, deviations, shares):
        return (deviations**2 @ shares).sum(keepdims=True)

    def pack_squares(self, squares):
        return squares.sum(axis=-1, keepdims=True)

    def width_scores(self, standardized):
        return 0.5 * ((standardized**2).sum(axis=0, keepdims=True) - len(standardized))

    def information(self, count, sums, width_sums):
        n_features = len(sums)
        mixed = sums[:, None]
        squares = 2.0 * width_sums + 0.5 * n_features * count
        return np.block([[count * np.eye(n_features), mixed], [mixed.T, squares[:, None]]])

    def measured_scores(self, slopes, inverses):
        return 0.5 * ((slopes**2).sum(axis=1) - np.trace(inverses, axis1=1, axis2=2))[None]

    def measured_information(self, shares, slopes, inverses):
        moved = shares[:, None] * (inverses @ slopes[:, :, None])[:, :, 0]
        mixed = moved.sum(axis=0)[:, None]
        squares = (moved * slopes).sum() - 0.5 * (shares @ (inverses**2).sum(axis=(1, 2)))
        means = np.tensordot(shares, inverses, axes=1)
        return np.block([[means, mixed], [mixed.T, np.reshape(squares, (1, 1))]])

    def in_units(self, factor, n_features):
        return np.eye(n_features) / factor, np.reshape(1.0 / factor**2, (1, 1))

    def unpacked(self, packed, n_features):
        return packed[..., 0]


class Shared(Family):
    """Families whose components all have one covariance.

    It comes from the scatter of all rows, less that of the means. Where components are on the centred path
    they have scatter of their own, about points of their own, and this is pooled instead.
    """

    is_shared = True

    @abstractmethod
    def pooled(self, scatter: Array, n_features: int) -> Array:
        """Add up packed scatter (K, n_scatter), in the form of one covariance."""

    @abstractmethod
    def between(self, counts: Array, points: Array) -> Array:
        """Return the scatter of points (K, D), with counts (K,), about the origin, as one covariance."""

    def feature_rows(self, n_features):
        return slice(1, 2 + n_features)

    def natural_parameters(self, log_constants, means, precisions_cholesky):  # of variances
        linear = precisions_cholesky**2 * means
        constant = log_constants - 0.5 * (linear * means).sum(axis=-1)
        return np.concatenate([constant[..., None], linear], axis=-1)

    def _total(self, scatter: Array, shared: Array | None, n_features: int) -> Array:
        if scatter.shape[1]:
            return self.pooled(scatter, n_features)
        assert shared is not None, "the statistics were not completed with the scatter of all rows"
        return shared

    def covariances(self, deviations: Deviations, reg_covar: float) -> Array:
        d, n_features = deviations, deviations.offsets.shape[1]
        total = self._total(d.scatter, d.shared, n_features)
        return self._covariance(total, d.counts, d.offsets, reg_covar)  # about the centre, or own points

    def _covariance(self, total: Array, counts: Array, points: Array, reg_covar: float) -> Array:
        """Return the covariance of rows of some scatter, less that of points."""
        found = (total - self.between(counts, points)) / counts.sum()
        return found + reg_covar * self.identity(points.shape[1])

    def mean_squares(self, scatter, shared, counts, n_features):
        total = self._total(scatter, shared, n_features)
        return self.variances(total, 1, n_features) / counts.sum()

    def expected_quadratic(self, quadratic, precisions_cholesky, scatter, shared, n_features):
        total = self._total(scatter, shared, n_features)
        return -0.5 * self.trace_by_factor(precisions_cholesky, total, n_features)

    def of_single_rows(self, start, reg_covar):
        assert start.squares is not None
        return self._covariance(self.of_scatter(start.squares), start.counts, start.means, reg_covar)
