"""The scikit-learn faces."""

from dgmm.estimators.bayesian_mixture import BayesianGaussianMixture
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.load import load

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "load"]
