"""The scikit-learn faces."""

from dgmm.estimators.gaussian_mixture import GaussianMixture, MixtureWarning
from dgmm.estimators.load import load
from dgmm.estimators.sweep import GaussianMixtureSweep

__all__ = ["GaussianMixture", "GaussianMixtureSweep", "MixtureWarning", "load"]
