"""The family ``tied``: all components share one covariance matrix, (D, D)."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Matrices, Shared
from dgmm.model.matrices import (
    DegenerateCovarianceError,
    precision_factors,
    times_factor,
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
        return precisions_cholesky @ np.swapaxes(precisions_cholesky, -1, -2)

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
        return ((extent @ np.abs(self.precisions(precisions_cholesky))) * extent).sum(axis=-1)

    def pooled(self, scatter, n_features):
        return unpack(scatter.sum(axis=0), n_features)

    def between(self, counts, points):
        return (counts[:, None] * points).T @ points
