"""The family ``full``: each component has a covariance matrix of its own, (K, D, D)."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Matrices
from dgmm.model.matrices import (
    MATRICES,
    pack,
    precision_factors,
    products_of_factors,
    times_factor,
    trace_by_factor,
    unpack,
    upper_factor,
)


class Full(Matrices):
    """Each component has its own covariance matrix: (K, D, D)."""

    name = "full"
    has_all_features = True

    def precisions_cholesky(self, covariances):
        return precision_factors(covariances)

    def precisions_cholesky_from_precisions(self, precisions):
        return np.stack([upper_factor(precision) for precision in precisions])

    def precisions(self, precisions_cholesky):
        return products_of_factors(precisions_cholesky)

    def traces_by_factors(self, precisions_cholesky, covariances, n_components, n_features):
        if n_features < MATRICES.wide_features:
            return super().traces_by_factors(precisions_cholesky, covariances, n_components, n_features)
        pairs = zip(precisions_cholesky, covariances, strict=True)
        return np.array([trace_by_factor(factor, covariance) for factor, covariance in pairs])

    def half_log_determinants(self, precisions_cholesky, n_features):
        return np.log(np.diagonal(precisions_cholesky, axis1=1, axis2=2)).sum(axis=1)

    def standardize(self, deviations, precisions_cholesky, component):
        return times_factor(precisions_cholesky[component], deviations)

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
        if precisions_cholesky.shape[-1] >= MATRICES.wide_features:  # |Λ| ≤ |U||U|ᵀ
            return np.array(
                [
                    np.square(own @ np.abs(factor)).sum()
                    for own, factor in zip(
                        np.broadcast_to(extent, precisions_cholesky.shape[:-1]),
                        precisions_cholesky,
                        strict=True,
                    )
                ]
            )
        products = extent[..., None, :] @ np.abs(self.precisions(precisions_cholesky)) @ extent[..., :, None]
        return products[..., 0, 0]

    def covariances(self, deviations, reg_covar):
        d, n_features = deviations, deviations.offsets.shape[1]
        found, diagonal = unpack(d.scatter, n_features), np.arange(n_features)
        found /= d.counts[:, None, None]
        # Of many features one at a time: products of offsets take as much memory as covariances.
        at_once = len(found) if n_features < MATRICES.wide_features else 1
        for start in range(0, len(found), at_once):
            part = slice(start, start + at_once)
            found[part] -= d.offsets[part, :, None] * d.offsets[part, None, :]
        found[:, diagonal, diagonal] += reg_covar
        return found

    def mean_squares(self, scatter, shared, counts, n_features):
        return scatter[:, :n_features] / counts[:, None]

    def of_single_rows(self, start, reg_covar):
        gaps = start.rows - start.means
        shares = (start.weights / start.counts)[:, None, None]
        return shares * gaps[:, :, None] * gaps[:, None, :] + reg_covar * np.eye(gaps.shape[1])
