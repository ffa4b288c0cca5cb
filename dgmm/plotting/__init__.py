"""Pictures of mixtures; needs matplotlib (``pip install 'dgmm[plot]'``).

Each function takes a fitted mixture or sweep, most of them rows, the features to show by name or number, and
``ax=``, where to draw. Component k has the same colour, line and marker in all of them.
"""

from __future__ import annotations

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Pictures need {error.name}: pip install 'dgmm[plot]'", name=error.name
    ) from error

from dgmm.plotting.canvas import new_figure, themed
from dgmm.plotting.components import plot_components
from dgmm.plotting.criteria import plot_criteria
from dgmm.plotting.densities import plot_density
from dgmm.plotting.fits import plot_fit, plot_history
from dgmm.plotting.layers import component_colors, project
from dgmm.plotting.mixtures import plot_mixture, plot_pairs, plot_responsibilities, plot_uncertainty

__all__ = [
    "component_colors",
    "new_figure",
    "plot_components",
    "plot_criteria",
    "plot_density",
    "plot_fit",
    "plot_history",
    "plot_mixture",
    "plot_pairs",
    "plot_responsibilities",
    "plot_uncertainty",
    "project",
    "themed",
]
