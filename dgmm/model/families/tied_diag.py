"""The family ``tied_diag``: all components share one variance for each feature, (D,); mclust's EEI."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Diagonals, Shared


class TiedDiagonal(Shared, Diagonals):
    """All components share one variance per feature: (D,)."""

    name = "tied_diag"
    scikit_learn = "diag"

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky[:, None]

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        linear = precisions_cholesky**2 * means
        constant = log_constants - 0.5 * (linear * means).sum(axis=-1)
        return np.concatenate([constant[..., None], linear], axis=-1)

    def pooled(self, scatter, n_features):
        return scatter.sum(axis=0)

    def between(self, counts, points):
        return counts @ points**2
