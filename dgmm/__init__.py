"""Gaussian mixture models for data that does not fit in memory."""

from importlib.metadata import version

from dgmm.data import DataWarning, open_dataset
from dgmm.estimators import (
    PCA,
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureSweep,
    MixtureImputer,
    MixtureOutlierDetector,
    MixtureWarning,
    load,
)
from dgmm.fitting.fingerprint import fingerprint

__version__ = version("dgmm")

__all__ = [
    "PCA",
    "BayesianGaussianMixture",
    "DataWarning",
    "GaussianMixture",
    "GaussianMixtureSweep",
    "MixtureImputer",
    "MixtureOutlierDetector",
    "MixtureWarning",
    "__version__",
    "fingerprint",
    "load",
    "open_dataset",
]
