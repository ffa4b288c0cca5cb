"""The family ``full``: each component has a covariance matrix of its own, (K, D, D)."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Matrices
from dgmm.model.matrices import pack, precision_factors, unpack, upper_factor


class Full(Matrices):
    """Each component has its own covariance matrix: (K, D, D)."""

    name = "full"
    has_all_features = True

    def precisions_cholesky(self, covariances):
        return precision_factors(covariances)

    def precisions_cholesky_from_precisions(self, precisions):
        return np.stack([upper_factor(precision) for precision in precisions])

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ np.swapaxes(precisions_cholesky, -1, -2)

    def half_log_determinants(self, precisions_cholesky, n_features):
        return np.log(np.diagonal(precisions_cholesky, axis1=1, axis2=2)).sum(axis=1)

    def standardize(self, deviations, precisions_cholesky, component):
        return precisions_cholesky[component].T @ deviations

    def feature_rows(self, n_features):
        return slice(1, 2 + n_features + n_features * (n_features + 1) // 2)

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        precisions = self.precisions(precisions_cholesky)
        linear = (precisions @ means[..., None])[..., 0]
        standardized = (means[..., None, :] @ precisions_cholesky)[..., 0, :]
        quadratic = -pack(precisions)
        quadratic[..., : means.shape[-1]] *= 0.5
        constant = log_constants - 0.5 * (standardized**2).sum(axis=-1)
        return np.concatenate([constant[..., None], linear, quadratic], axis=-1)

    def scatter_bound(self, precisions_cholesky, extent):
        products = extent[..., None, :] @ np.abs(self.precisions(precisions_cholesky)) @ extent[..., :, None]
        return products[..., 0, 0]

    def covariances(self, deviations, reg_covar):
        d, n_features = deviations, deviations.offsets.shape[1]
        raw = unpack(d.scatter, n_features) / d.counts[:, None, None]
        return raw - d.offsets[:, :, None] * d.offsets[:, None, :] + reg_covar * np.eye(n_features)

    def mean_squares(self, scatter, shared, counts, n_features):
        return scatter[:, :n_features] / counts[:, None]

    def of_single_rows(self, start, reg_covar):
        gaps = start.rows - start.means
        shares = (start.weights / start.counts)[:, None, None]
        return shares * gaps[:, :, None] * gaps[:, None, :] + reg_covar * np.eye(gaps.shape[1])
