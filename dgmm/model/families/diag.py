"""The family ``diag``: each component has a variance of its own for each feature, (K, D)."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Diagonals


class Diagonal(Diagonals):
    """Each component has its own variance per feature: (K, D)."""

    name = "diag"

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky[component][:, None]

    def feature_rows(self, n_features):
        return slice(1, 2 + 2 * n_features)

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        precisions = precisions_cholesky**2
        constant = log_constants - 0.5 * (precisions * means**2).sum(axis=-1)
        quadratic = np.broadcast_to(-0.5 * precisions, means.shape)
        return np.concatenate([constant[..., None], precisions * means, quadratic], axis=-1)

    def covariances(self, deviations, reg_covar):
        d = deviations
        return d.scatter / d.counts[:, None] - d.offsets**2 + reg_covar

    def mean_squares(self, scatter, shared, counts, n_features):
        return scatter / counts[:, None]

    def of_single_rows(self, start, reg_covar):
        return start.variances + reg_covar
