"""The scikit-learn faces."""

from dgmm.estimators.bayesian_mixture import BayesianGaussianMixture
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.imputer import MixtureImputer
from dgmm.estimators.load import load
from dgmm.estimators.mixture import MixtureWarning
from dgmm.estimators.outliers import MixtureOutlierDetector
from dgmm.estimators.pca import PCA
from dgmm.estimators.sweep import GaussianMixtureSweep

__all__ = [
    "PCA",
    "BayesianGaussianMixture",
    "GaussianMixture",
    "GaussianMixtureSweep",
    "MixtureImputer",
    "MixtureOutlierDetector",
    "MixtureWarning",
    "load",
]
