"""Pictures of the density of a mixture, as contours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from dgmm.data.types import GroupsLike, RowsLike, WeightsLike
from dgmm.estimators.errors import ErrorsLike
from dgmm.kernels.densities import log_densities
from dgmm.model.families import FAMILIES
from dgmm.model.generate import sample_shuffled
from dgmm.model.parameters import Parameters
from dgmm.plotting.canvas import axes_or_current, label, limits_of, note
from dgmm.plotting.layers import draw_curves, draw_rows
from dgmm.plotting.palette import COLORS
from dgmm.plotting.subject import Axis, Feature, Subject, check_two

SHARES = (0.95, 0.8, 0.5)
"""Of the mixture, within contours."""
ROWS_FOR_LEVELS = 20_000
"""Rows drawn from the mixture, which say where contours are."""


def plot_density(
    model: Any,
    rows: RowsLike | None = None,
    features: Feature | Sequence[Feature] | None = None,
    *,
    ax: Axes | None = None,
    shares: Sequence[float] = SHARES,
    sample_weight: WeightsLike | None = None,
    groups: GroupsLike | None = None,
    errors: ErrorsLike | None = None,
) -> Axes:
    """Draw the density of a mixture: contours that hold shares of it, over rows.

    Parameters
    ----------
    model, rows, features, ax
        As for `plot_mixture`; of one feature the density is a curve.
    shares : sequence of float, default=(0.95, 0.8, 0.5)
        Of the mixture's probability, each within its contour: the region of highest density that holds so
        much, from rows that are drawn from the mixture.
    sample_weight, groups, errors : optional
        As for `plot_mixture`.

    Returns
    -------
    matplotlib Axes
    """
    subject = Subject.of(model, rows, sample_weight=sample_weight, groups=groups, errors=errors)
    ax = axes_or_current(ax)
    axes = subject.axes(features)
    if len(axes) == 1:
        return draw_curves(ax, subject, axes[0])
    check_two(axes)
    wanted = np.sort(np.asarray(shares, float))[::-1]
    if len(wanted) == 0 or wanted[0] >= 1.0 or wanted[-1] <= 0.0:
        raise ValueError(f"shares={shares!r} must be between 0 and 1")
    flat = projected(subject, axes)
    drawn = sample_shuffled(flat, ROWS_FOR_LEVELS, np.random.default_rng(0))[0]
    levels = np.unique(np.quantile(np.exp(log_densities(flat, drawn)), 1.0 - wanted))
    points = None if subject.rows is None else subject.rows_along(axes)
    if points is not None:
        draw_rows(ax, points)
    if points is None or not len(points.places):
        ax.set(xlim=limits_of(drawn[:, 0]), ylim=limits_of(drawn[:, 1]))
    x, y = (np.linspace(*limits, 160) for limits in (ax.get_xlim(), ax.get_ylim()))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    heights = np.exp(log_densities(flat, grid.reshape(-1, 2))).reshape(grid.shape[:2])
    label(ax, axes[0].label, axes[1].label)
    if heights.max() <= levels[0]:
        note(ax, "the rows lie outside the mixture: there is no contour here")
        return ax
    top = max(float(heights.max()), float(levels[-1])) * 1.01
    color = to_rgb(COLORS[0])
    fills = [(*color, 0.12 + 0.34 * i / len(levels)) for i in range(len(levels))]
    ax.contourf(x, y, heights, levels=[*levels, top], colors=fills, zorder=0.8)
    ax.contour(
        x, y, heights, levels=levels[levels < heights.max()], colors=COLORS[0], linewidths=1.2, zorder=1.2
    )
    said = ", ".join(f"{100.0 * each:g}" for each in wanted)
    note(ax, f"contours hold {said} % of the mixture")
    return ax


def projected(subject: Subject, axes: Sequence[Axis]) -> Parameters:
    """Return the mixture along axes: what projections of its rows are drawn from."""
    means, covariances = subject.along(axes)
    # Axes may be the same but for rounding errors: no density is infinite.
    scale = np.einsum("kii->ki", covariances).max(axis=0)
    covariances = covariances + 1e-9 * np.diag(np.where(scale > 0.0, scale, 1.0))
    weights = subject.parameters.weights / subject.parameters.weights.sum()
    return Parameters.from_covariances(FAMILIES["full"], weights, means, covariances)
