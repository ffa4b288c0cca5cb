"""Gaussian mixture models for data that does not fit in memory."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgmm.data import DataWarning, open_dataset
    from dgmm.estimators.base import MixtureWarning
    from dgmm.estimators.bayesian_mixture import BayesianGaussianMixture
    from dgmm.estimators.gaussian_mixture import GaussianMixture
    from dgmm.estimators.imputer import MixtureImputer
    from dgmm.estimators.load import load
    from dgmm.estimators.outliers import MixtureOutlierDetector
    from dgmm.estimators.pca import PCA
    from dgmm.estimators.sweep import GaussianMixtureSweep
    from dgmm.fitting.checkpoint import Checkpoint, CheckpointError
    from dgmm.fitting.fingerprint import fingerprint
    from dgmm.model.information import SingularInformationError
    from dgmm.passes.health import ClusterLostError
    from dgmm.passes.journal import CheckpointWarning

__version__ = version("dgmm")

__all__ = [
    "PCA",
    "BayesianGaussianMixture",
    "Checkpoint",
    "CheckpointError",
    "CheckpointWarning",
    "ClusterLostError",
    "DataWarning",
    "GaussianMixture",
    "GaussianMixtureSweep",
    "MixtureImputer",
    "MixtureOutlierDetector",
    "MixtureWarning",
    "SingularInformationError",
    "__version__",
    "fingerprint",
    "load",
    "open_dataset",
]

_HOMES = {
    "PCA": "estimators.pca",
    "BayesianGaussianMixture": "estimators.bayesian_mixture",
    "Checkpoint": "fitting.checkpoint",
    "CheckpointError": "fitting.checkpoint",
    "CheckpointWarning": "passes.journal",
    "ClusterLostError": "passes.health",
    "DataWarning": "data",
    "GaussianMixture": "estimators.gaussian_mixture",
    "GaussianMixtureSweep": "estimators.sweep",
    "MixtureImputer": "estimators.imputer",
    "MixtureOutlierDetector": "estimators.outliers",
    "MixtureWarning": "estimators.base",
    "SingularInformationError": "model.information",
    "fingerprint": "fitting.fingerprint",
    "load": "estimators.load",
    "open_dataset": "data",
}
"""Where public names are: a plain fit imports no sweep, no detector and no other class."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: the command line needs none of them for its help."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
