"""Axes, grids of them, and how text and lines look."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib import pyplot as plt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from dgmm.plotting.palette import DARK, DARK_INK, GREY, INK, PAPER, luminance

Theme: TypeAlias = Literal["light", "dark"]

CELL = 2.4
"""Inches of each side of a cell of a new figure."""


def themed(theme: Theme) -> AbstractContextManager[None]:
    """Return a context in which new figures are light or dark.

    Parameters
    ----------
    theme : {'light', 'dark'}
    """
    ink, paper = {"light": (INK, PAPER), "dark": (DARK_INK, DARK)}[theme]
    return styled(ink, paper)


def styled(ink: str, paper: str) -> AbstractContextManager[None]:
    """Return a context in which new figures have a colour of text and lines, and one behind them."""
    inked: dict[Any, Any] = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "axes.titlecolor"),
        ink,
    )
    papered: dict[Any, Any] = dict.fromkeys(
        ("figure.facecolor", "axes.facecolor", "savefig.facecolor"), paper
    )
    plain: dict[Any, Any] = {
        "font.size": 10.0,
        "axes.titlesize": 10.5,
        "axes.labelsize": 10.0,
        "xtick.labelsize": 9.0,
        "ytick.labelsize": 9.0,
        "legend.fontsize": 9.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "axes.grid": False,
    }
    return rc_context({**inked, **papered, **plain})


def new_figure(size: tuple[float, float]) -> Figure:
    """Return a figure that no window shows, which keeps room for labels; its size is in inches."""
    return Figure(figsize=size, layout="constrained")


def axes_or_current(ax: Axes | None) -> Axes:
    """Return the axes to draw on."""
    return plt.gca() if ax is None else ax


def divided(ax: Axes | None, n_rows: int, n_columns: int) -> NDArray[Any]:
    """Divide the place of some axes into a grid of axes; or make a figure that has one.

    Parameters
    ----------
    ax : Axes or None
        None makes a figure by `matplotlib.pyplot`.
    n_rows, n_columns : int

    Returns
    -------
    ndarray of Axes, of shape (n_rows, n_columns)
    """
    if ax is None:
        size = (CELL * n_columns + 0.8, CELL * n_rows + 0.6)
        figure = plt.figure(figsize=size, layout="constrained")
        return figure.subplots(n_rows, n_columns, squeeze=False)
    figure, place = ax.figure, ax.get_subplotspec()
    if place is None:
        left, bottom, width, height = ax.get_position().bounds
        place = figure.add_gridspec(1, 1, left=left, bottom=bottom, right=left + width, top=bottom + height)[
            0
        ]
    ax.set_axis_off()
    # Where figures lay themselves out, they keep room for labels.
    spaces = {} if figure.get_layout_engine() is not None else {"wspace": 0.35, "hspace": 0.4}
    return place.subgridspec(n_rows, n_columns, **spaces).subplots(squeeze=False)


def ink_of(ax: Axes) -> str:
    """Return the colour that text has there: dark on light, light on dark."""
    return INK if is_light(ax) else DARK_INK


def paper_of(ax: Axes) -> Any:
    """Return the colour that is behind what is drawn."""
    face = to_rgba(ax.get_facecolor())
    return face if face[3] else PAPER


def is_light(ax: Axes) -> bool:
    """Return whether what is behind is light."""
    return luminance(to_hex(paper_of(ax))) > 0.2


def halo(ax: Axes) -> list[withStroke]:
    """Return what sets text off from what it stands on."""
    return [withStroke(linewidth=2.6, foreground=paper_of(ax))]


def label(ax: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Name axes: a dollar in a name is no mathematics."""
    if x:
        ax.set_xlabel(x, parse_math=False)
    if y:
        ax.set_ylabel(y, parse_math=False)
    if title:
        ax.set_title(title, parse_math=False)


def signs_beside(ax: Axes) -> int:
    """Return how many signs of a name have room beside a cell of a grid, about: eight at least."""
    points = 72.0 * min(ax.bbox.width, ax.bbox.height) / ax.figure.dpi
    # A sign is as long as 0.6 of its size, and cells are a fifth farther apart than they are long.
    return max(8, int(points / (0.5 * float(ax.xaxis.label.get_fontsize()))))


def tick_names(axis: Any, places: Sequence[float], names: Sequence[str], **how: Any) -> None:
    """Put names at ticks, as they are."""
    axis.set_ticks(places, labels=names, **how)
    for text in axis.get_ticklabels():
        text.set_parse_math(False)


def note(ax: Axes, text: str) -> None:
    """Say below the picture what it leaves out."""
    said = ax.get_title(loc="left")
    whole = f"{said}; {text}" if said else text
    ax.set_title(whole, loc="left", fontsize=8.0, color=GREY, parse_math=False, wrap=True)


def limits_of(values: np.ndarray) -> tuple[float, float]:
    """Return limits of an axis about the 0.1st to 99.9th percentile of values: few are left out."""
    low, high = np.percentile(values, [0.1, 99.9]) if len(values) > 1000 else (values.min(), values.max())
    margin = 0.05 * (high - low) or 0.5 * abs(low) or 0.5
    return float(low - margin), float(high + margin)
