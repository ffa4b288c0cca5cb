"""Gaussian mixture models for data that does not fit in memory."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from dgmm.fitting.checkpoint import Checkpoint, CheckpointError
    from dgmm.fitting.fingerprint import fingerprint
    from dgmm.model.information import SingularInformationError
    from dgmm.passes.cluster import ClusterLostError
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
    "Checkpoint": "fitting.checkpoint",
    "CheckpointError": "fitting.checkpoint",
    "CheckpointWarning": "passes.journal",
    "ClusterLostError": "passes.cluster",
    "DataWarning": "data",
    "SingularInformationError": "model.information",
    "fingerprint": "fitting.fingerprint",
    "open_dataset": "data",
}
"""Where public names are; the others are in `dgmm.estimators`."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: the command line needs none of them for its help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'estimators')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
