"""The family ``spherical``: each component has one variance for all features, (K,)."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Spheres


class Spherical(Spheres):
    """Each component has one variance: (K,)."""

    name = "spherical"

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky[component]

    def feature_rows(self, n_features):
        return slice(0, 2 + n_features)

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        precisions = precisions_cholesky**2
        constant = log_constants - 0.5 * precisions * (means**2).sum(axis=-1)
        quadratic = np.broadcast_to(-0.5 * precisions, constant.shape)
        linear = precisions[:, None] * means
        return np.concatenate([quadratic[..., None], constant[..., None], linear], axis=-1)

    def split_sums(self, sums, n_features):
        return sums[..., 1], sums[..., 2:], sums[..., :1]

    def covariances(self, deviations, reg_covar):
        d = deviations
        squares = d.scatter[:, 0] / d.counts - (d.offsets**2).sum(axis=1)
        return squares / d.offsets.shape[1] + reg_covar

    def mean_squares(self, scatter, shared, counts, n_features):
        return scatter / (n_features * counts[:, None])

    def of_single_rows(self, start, reg_covar):
        return (start.variances + reg_covar).mean(axis=1)
