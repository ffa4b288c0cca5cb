"""Pictures of components over rows: in a plane, in pairs of features, undecided rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from numpy.typing import NDArray

from dgmm.data.text import shortened
from dgmm.data.types import GroupsLike, RowsLike, WeightsLike
from dgmm.estimators.errors import ErrorsLike
from dgmm.plotting.canvas import axes_or_current, divided, label, note, signs_beside
from dgmm.plotting.layers import component_colors, draw_curves, draw_ellipses, draw_members, draw_rows
from dgmm.plotting.palette import color_of, marker_of
from dgmm.plotting.subject import UNSURE, Feature, Subject, check_two, percentage

PAIRED_FEATURES = 4
"""Features of a grid of pairs, by default."""
MOST_PAIRED = 8
"""Features of a grid of pairs, at most."""


def plot_mixture(
    model: Any,
    rows: RowsLike | None = None,
    features: Feature | Sequence[Feature] | None = None,
    *,
    ax: Axes | None = None,
    colors: Sequence[Any] | NDArray[Any] | None = None,
    share: float = 0.68,
    labels: Sequence[object] | None = None,
    sample_weight: WeightsLike | None = None,
    groups: GroupsLike | None = None,
    errors: ErrorsLike | None = None,
) -> Axes:
    """Draw the components of a mixture as ellipses, over rows; of one feature, as curves over a histogram.

    Parameters
    ----------
    model : mixture or sweep
        Fitted; scikit-learn's classes will do. Of a sweep, the best.
    rows : array-like, Dask collection, path or source of shape (n_rows, n_features), optional
        Rows to draw, in grey: points, or how many there are. Of many a sample is drawn, the same each time;
        of large data not all is read for it. Default: of a sweep its ``sample_``, else none.
    features : str, int, or sequence of one or two, optional
        What the axes show: features by name or number; or coefficients of a sum of features, an array of
        shape (n_features,). Default: the two in which components differ most.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.
    colors : sequence of colours, optional
        One for each component. Default: `component_colors`.
    share : float, default=0.68
        The share of a component's own rows that its ellipse holds.
    labels : sequence, optional
        What to write at the centre of each component. Default: its number, from 0.
    sample_weight : array-like, Dask collection or path of shape (n_rows,), optional
        Weights of the rows: heavier ones are larger points, or count more.
    groups : array-like, Dask collection or path of shape (n_rows,), optional
        The group of each row, for its weights.
    errors : optional
        Measurement errors of the rows, as for `GaussianMixture.fit`. Ellipses are of the true values;
        curves over a histogram are as wide as what is measured.

    Returns
    -------
    matplotlib Axes
        With the 40 heaviest components: if there are more, it says so. Those without rows, which variational
        Bayes leaves as the prior has them, are not drawn.

    Raises
    ------
    NotFittedError
    ValueError, TypeError
        For features that are not there, and for rows that are not such as the model was fitted to.
    """
    subject = Subject.of(model, rows, sample_weight=sample_weight, groups=groups, errors=errors)
    ax = axes_or_current(ax)
    axes = subject.axes(features)
    if len(axes) == 1:
        return draw_curves(ax, subject, axes[0], colors)
    check_two(axes)
    if subject.rows is not None:
        draw_rows(ax, subject.rows_along(axes))
    draw_ellipses(ax, subject, axes, colors=colors, share=share, labels=labels)
    label(ax, axes[0].label, axes[1].label)
    return ax


def plot_pairs(
    model: Any,
    rows: RowsLike | None = None,
    features: Feature | Sequence[Feature] | None = None,
    *,
    ax: Axes | None = None,
    share: float = 0.68,
    sample_weight: WeightsLike | None = None,
    groups: GroupsLike | None = None,
    errors: ErrorsLike | None = None,
) -> NDArray[Any]:
    """Draw all pairs of some features: components and rows, in the colours of those they most likely are of.

    Parameters
    ----------
    model, rows, features
        As for `plot_mixture`, of up to eight features. Default: the four in which components differ most.
    ax : matplotlib Axes, optional
        Whose place the grid takes. Default: a new figure.
    share : float, default=0.68
        As for `plot_mixture`.
    sample_weight, groups, errors : optional
        As for `plot_mixture`.

    Returns
    -------
    ndarray of matplotlib Axes
        Of shape (n_features, n_features): on the diagonal each feature alone; above it, nothing is drawn.
    """
    subject = Subject.of(model, rows, sample_weight=sample_weight, groups=groups, errors=errors)
    axes = subject.axes(features, PAIRED_FEATURES)
    if len(axes) > MOST_PAIRED:
        raise ValueError(f"a grid of {len(axes):,} features cannot be read: give {MOST_PAIRED} at most")
    grid, n_axes = divided(ax, len(axes), len(axes)), len(axes)
    names = [shortened(axis.label, signs_beside(grid[0, 0])) for axis in axes]
    for i, j in np.ndindex(n_axes, n_axes):
        cell: Any = grid[i, j]
        if j > i:
            cell.set_axis_off()
        elif i == j:
            draw_curves(cell, subject, axes[i])
            cell.set(ylabel="", yticks=[])
        else:
            draw_members(cell, subject, [axes[j], axes[i]])
            draw_ellipses(cell, subject, [axes[j], axes[i]], share=share, numbered=n_axes <= 5)
            cell.sharex(grid[j, j])
        label(cell, names[j] if i == n_axes - 1 else "", names[i] if j == 0 else "")
        if i < n_axes - 1:
            cell.set_xlabel("")
        for own in cell.texts:
            own.set_fontsize(8.0)
        if (i, j) != (0, 0):
            cell.set_title("", loc="left")
    n_features = subject.parameters.n_features
    if features is None and n_features > n_axes:
        note(grid[0, 0], f"{n_axes} of {n_features:,} features: those that tell components apart")
    return grid


def plot_uncertainty(
    model: Any,
    rows: RowsLike | None = None,
    features: Feature | Sequence[Feature] | None = None,
    *,
    ax: Axes | None = None,
    sample_weight: WeightsLike | None = None,
    groups: GroupsLike | None = None,
    errors: ErrorsLike | None = None,
) -> Axes:
    """Draw rows in the colours of their components, the larger the less sure it is which these are.

    The uncertainty of a row is one less its largest responsibility (mclust's).

    Parameters
    ----------
    model, rows, features, ax
        As for `plot_mixture`. At most 3,000 of the rows are drawn.
    sample_weight, groups, errors : optional
        As for `plot_mixture`.

    Returns
    -------
    matplotlib Axes
        Of one feature, with the uncertainty upwards.
    """
    subject = Subject.of(model, rows, sample_weight=sample_weight, groups=groups, errors=errors)
    ax = axes_or_current(ax)
    axes, drawn = subject.axes(features), subject.drawn_rows
    doubt = 1.0 - subject.responsibilities.max(axis=1)
    if len(axes) == 1:
        values = axes[0].of(drawn)
        own = subject.responsibilities.argmax(axis=1)
        for k in np.unique(own).tolist():
            mine = (own == k) & np.isfinite(values)
            ax.scatter(
                values[mine], doubt[mine], s=10, color=color_of(k), marker=marker_of(k), linewidths=0,
                rasterized=True,
            )  # fmt: skip
        ax.set_ylim(-0.02, None)
        label(ax, axes[0].label, "uncertainty")
    else:
        check_two(axes)
        draw_members(ax, subject, axes, by_doubt=True)
        draw_ellipses(ax, subject, axes)
        label(ax, axes[0].label, axes[1].label)
    share = subject.share_unsure
    label(ax, title=f"{percentage(share)} of the rows are less than {percentage(UNSURE)} sure")
    return ax


def plot_responsibilities(
    model: Any,
    rows: RowsLike | None = None,
    features: Feature | Sequence[Feature] | None = None,
    *,
    ax: Axes | None = None,
    colors: Sequence[Any] | NDArray[Any] | None = None,
    n_points: int = 10_000,
    sample_weight: WeightsLike | None = None,
    groups: GroupsLike | None = None,
    errors: ErrorsLike | None = None,
) -> Axes:
    """Draw rows as points in the colours of the components that they may belong to.

    A row that two components share has a colour between theirs, and is smaller the less it is decided.

    Parameters
    ----------
    model, rows, features, ax, colors
        As for `plot_mixture`.
    n_points : int, default=10,000
        The most rows to draw.
    sample_weight, groups, errors : optional
        As for `plot_mixture`.

    Returns
    -------
    matplotlib Axes
    """
    known = {"sample_weight": sample_weight, "groups": groups, "errors": errors}
    subject, ax = Subject.of(model, rows, n_points, **known), axes_or_current(ax)
    axes = subject.axes(features)
    share = subject.responsibilities
    places = np.stack([axis.of(subject.drawn_rows) for axis in axes], axis=1)
    if len(axes) == 1:
        places = np.column_stack([places, share.max(axis=1)])
    else:
        check_two(axes)
    color_of_each = component_colors(share.shape[1]) if colors is None else to_rgba_array(colors)
    mixed = np.clip(share @ color_of_each[:, :3], 0.0, 1.0)
    ax.scatter(*places.T, s=7.0 * share.max(axis=1) ** 2, c=mixed, linewidths=0, rasterized=True)
    label(ax, axes[0].label, axes[1].label if len(axes) == 2 else "probability of its component")
    return ax
