"""The family ``tied_spherical``: all components share one variance for all features, (); mclust's EII."""

from __future__ import annotations

import numpy as np

from dgmm.model.families.forms import Shared, Spheres


class TiedSpherical(Shared, Spheres):
    """All components share one variance: a number."""

    name = "tied_spherical"
    scikit_learn = "spherical"

    def standardize(self, deviations, precisions_cholesky, component):
        return deviations * precisions_cholesky

    def natural_parameters(self, log_constants, means, precisions_cholesky):
        linear = precisions_cholesky**2 * means
        constant = log_constants - 0.5 * (linear * means).sum(axis=-1)
        return np.concatenate([constant[..., None], linear], axis=-1)

    def pooled(self, scatter, n_features):
        return scatter.sum() / n_features

    def between(self, counts, points):
        return (counts @ points**2).mean()
