"""The family ``tied``: all components share one covariance matrix, (D, D)."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Matrices, Shared
from dgmm.model.matrices import (
    MATRICES,
    DegenerateCovarianceError,
    precision_factors,
    products_of_factors,
    times_factor,
    trace_by_factor,
    unpack,
    upper_factor,
)


class Tied(Shared, Matrices):
    """All components share one covariance matrix: (D, D)."""

    name = "tied"

    def precisions_cholesky(self, covariances):
        try:
            return precision_factors(covariances[None])[0]
        except DegenerateCovarianceError:
            raise DegenerateCovarianceError(None) from None

    def precisions_cholesky_from_precisions(self, precisions):
        return upper_factor(precisions)

    def precisions(self, precisions_cholesky):
        return products_of_factors(precisions_cholesky)

    def traces_by_factors(self, precisions_cholesky, covariances, n_components, n_features):
        if n_features < MATRICES.wide_features:
            return super().traces_by_factors(precisions_cholesky, covariances, n_components, n_features)
        return np.full(n_components, trace_by_factor(precisions_cholesky, covariances))

    def trace_by_factor(self, precision_cholesky, covariance, n_features):
        if n_features < MATRICES.wide_features:
            return super().trace_by_factor(precision_cholesky, covariance, n_features)
        return trace_by_factor(precision_cholesky, covariance)

    def half_log_determinants(self, precisions_cholesky, n_features):
        return np.log(np.diagonal(precisions_cholesky)).sum()

    def standardize(self, deviations, precisions_cholesky, component):
        return times_factor(precisions_cholesky, deviations)

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        standardized = means @ precisions_cholesky
        constant = log_constants - 0.5 * (standardized**2).sum(axis=-1)
        linear = standardized @ np.swapaxes(precisions_cholesky, -1, -2)
        return np.concatenate([constant[..., None], linear], axis=-1)

    def scatter_bound(self, precisions_cholesky, extent):
        sizes = self.precisions(precisions_cholesky)
        np.abs(sizes, out=sizes)
        return ((extent @ sizes) * extent).sum(axis=-1)

    def mean_squares(self, scatter, shared, counts, n_features):
        squares = scatter[:, :n_features].sum(axis=0) if scatter.shape[1] else np.diagonal(shared)
        return squares[None] / counts.sum()  # no matrix for its diagonal

    def pooled(self, scatter, n_features):
        return unpack(scatter.sum(axis=0), n_features)

    def between(self, counts, points):
        return (counts[:, None] * points).T @ points

    def _covariance(self, total, counts, points, reg_covar):
        found = self.between(counts, points)  # whose memory is the covariance's: matrices may be large
        np.subtract(total, found, out=found)
        found /= counts.sum()
        found.flat[:: len(found) + 1] += reg_covar
        return found
