"""The family ``tied_diag``: all components share one variance for each feature, (D,); mclust's EEI."""

from __future__ import annotations

from dgmm.model.families.forms import Diagonals, Shared


class TiedDiagonal(Shared, Diagonals):
    """All components share one variance per feature: (D,)."""

    name = "tied_diag"
    scikit_learn = "diag"

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky[:, None]

    def pooled(self, scatter, n_features):
        return scatter.sum(axis=0)

    def between(self, counts, points):
        return counts @ points**2
