"""The scikit-learn faces."""

from dgmm.estimators.gaussian_mixture import GaussianMixture, MixtureWarning
from dgmm.estimators.load import load

__all__ = ["GaussianMixture", "MixtureWarning", "load"]
