"""The family ``tied_spherical``: all components share one variance for all features, (); mclust's EII."""

from __future__ import annotations

from dgmm.model.families.forms import Shared, Spheres


class TiedSpherical(Shared, Spheres):
    """All components share one variance: a number."""

    name = "tied_spherical"
    scikit_learn = "spherical"

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky

    def pooled(self, scatter, n_features):
        return scatter.sum() / n_features

    def between(self, counts, points):
        return (counts @ points**2).mean()
