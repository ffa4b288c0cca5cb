"""What pictures are put together from: ellipses, curves and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb, to_rgba_array
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike, NDArray

from dgmm.estimators.parameters import parameters_of
from dgmm.model.matrices import Array
from dgmm.plotting.canvas import halo, ink_of, label, limits_of, note
from dgmm.plotting.palette import GREY, color_of, line_of, marker_of
from dgmm.plotting.subject import Axis, Points, Subject, percentage

POINTS_DRAWN = 3_000
"""Rows up to which each is a point; more are counted in cells."""
MOST_COMPONENTS = 40
"""Components that are drawn: the heaviest."""
MOST_NUMBERED = 24
"""Those whose number stands at their centre."""


def drawn_components(subject: Subject, ax: Axes | None = None, most: int = MOST_COMPONENTS) -> list[int]:
    """Return the components of a picture, the heaviest; and say there which are left out."""
    heaviest = subject.heaviest
    if len(heaviest) > most and ax is not None:
        weight = percentage(float(subject.parameters.weights[heaviest[:most]].sum()))
        note(ax, f"the {most} heaviest of {len(heaviest):,} components, {weight} of the weight")
    return heaviest[:most]


def draw_ellipses(
    ax: Axes,
    subject: Subject,
    axes: Sequence[Axis],
    *,
    colors: Sequence[Any] | NDArray[Any] | None = None,
    share: float = 0.68,
    labels: Sequence[object] | None = None,
    numbered: bool = True,
) -> None:
    """Draw components in a plane as ellipses that hold a share of their own rows."""
    centres, covariances = subject.along(axes)
    # Of a disc that holds this share of a standard normal in the plane.
    radius = np.sqrt(-2.0 * np.log1p(-share))
    chosen = drawn_components(subject, ax)
    for place, k in enumerate(chosen):
        color = color_of(k) if colors is None else colors[k]
        variances, directions = np.linalg.eigh(covariances[k])
        height, width = 2.0 * radius * np.sqrt(np.maximum(variances, 0.0))
        angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
        shape = ((centres[k, 0], centres[k, 1]), width, height)
        ax.add_patch(Ellipse(*shape, angle=angle, color=color, alpha=0.1, linewidth=0))
        line = line_of(k) if colors is None else "-"
        ax.add_patch(Ellipse(*shape, angle=angle, edgecolor=color, fill=False, linewidth=1.8, linestyle=line))
        if numbered and (labels is not None or place < MOST_NUMBERED):
            ax.text(
                centres[k, 0],
                centres[k, 1],
                str(k if labels is None else labels[k]),
                color=ink_of(ax),
                weight="bold",
                ha="center",
                va="center",
                path_effects=halo(ax),
                parse_math=False,
                clip_on=True,
            )
    ax.autoscale_view()


def draw_curves(
    ax: Axes, subject: Subject, axis: Axis, colors: Sequence[Any] | NDArray[Any] | None = None
) -> Axes:
    """Draw the densities of components along an axis, and their sum, over a histogram of rows."""
    margin, chosen = subject.margin(axis), drawn_components(subject, ax)
    means, deviations = margin.means, margin.deviations.mean(axis=1)
    points = None if subject.rows is None else subject.rows_along([axis])
    if points is not None and len(points.places):
        values, own = points.places[:, 0], {"weights": points.weights, "density": True}
        low, high = limits_of(values)
        bins = int(np.clip(1.5 * len(values) ** 0.5, 12, 120))
        ax.hist(values, bins=bins, range=(low, high), color=GREY, alpha=0.4, linewidth=0, **own)
    else:
        kept = means[chosen], deviations[chosen]
        low, high = float((kept[0] - 3.5 * kept[1]).min()), float((kept[0] + 3.5 * kept[1]).max())
    # Also where components are narrow: a grid alone would miss their peaks.
    near = np.concatenate([means[chosen] + step * deviations[chosen] for step in (-2.0, -1.0, 0.0, 1.0, 2.0)])
    at = np.unique(np.clip([*np.linspace(low, high, 400), *near], low, high))
    densities = margin.densities(at)
    for k in chosen:
        color = color_of(k) if colors is None else colors[k]
        line = line_of(k) if colors is None else "-"
        ax.plot(at, densities[:, k], color=color, linestyle=line, linewidth=1.6)
        if len(chosen) <= MOST_NUMBERED and low <= means[k] <= high:
            top = margin.densities([means[k]])[0, k]
            ax.text(
                means[k], top, str(k), color=ink_of(ax), weight="bold", ha="center", va="bottom",
                path_effects=halo(ax),
            )  # fmt: skip
    ax.plot(at, densities.sum(axis=1), color=ink_of(ax), linewidth=1.4, label="mixture", zorder=1.9)
    ax.set_ylim(0.0, None)
    label(ax, axis.label, "density")
    return ax


def draw_rows(ax: Axes, points: Points) -> None:
    """Draw points in grey: each, if they are few, else how many lie where, on a logarithmic scale.

    As they weigh: a heavier one is larger, or counts more.
    """
    n_points, weights = len(points.places), points.weights
    if n_points == 0:
        note(ax, "no row has both values")
        return
    x, y = points.places.T
    x_limits, y_limits = limits_of(x), limits_of(y)
    if n_points <= POINTS_DRAWN:
        sizes = _sizes(float(np.clip(4000.0 / n_points, 3.0, 18.0)), weights)
        ax.scatter(x, y, s=sizes, color=GREY, alpha=0.75, linewidths=0, rasterized=True, zorder=0.5)
    else:
        bins = int(np.clip(0.8 * n_points**0.5, 40, 160))
        shown = {"norm": LogNorm(), "cmap": _fading(GREY), "rasterized": True, "zorder": 0.5}
        ax.hist2d(x, y, bins=bins, range=[x_limits, y_limits], weights=weights, **shown)
    ax.set(xlim=x_limits, ylim=y_limits)
    ax.set_autoscale_on(False)


def _sizes(plain: float, weights: Array | None) -> float | Array:
    """Return sizes of points, as they weigh, but none so small or large that it could not be seen."""
    return plain if weights is None else plain * np.clip(weights / weights.mean(), 0.2, 6.0)


def _fading(color: str) -> LinearSegmentedColormap:
    """Return a map from a colour that can be seen through, though it can be seen, to all of it."""
    return LinearSegmentedColormap.from_list("fading", [(*to_rgb(color), 0.3), (*to_rgb(color), 1.0)])


def draw_members(ax: Axes, subject: Subject, axes: Sequence[Axis], *, by_doubt: bool = False) -> None:
    """Draw rows in the colours and markers of the components that they most likely are of."""
    if subject.rows is None:
        return
    places = np.stack([axis.of(subject.rows) for axis in axes], axis=1)
    seen = np.flatnonzero(np.isfinite(places).all(axis=1))
    seen = seen[:: max(1, -(-len(seen) // POINTS_DRAWN))]  # rows may be sorted by what they are
    if len(seen) == 0:
        note(ax, "no row has both values")
        return
    shares = subject.responsibilities[seen]
    own, doubt = shares.argmax(axis=1), 1.0 - shares.max(axis=1)
    plain = float(np.clip(5000.0 / len(seen), 3.0, 16.0))
    weights = None if subject.known.weights is None else subject.known.weights[seen]
    sizes = 9.0 + 110.0 * doubt if by_doubt else np.broadcast_to(_sizes(plain, weights), len(seen))
    for k in np.unique(own).tolist():
        mine = own == k
        ax.scatter(
            *places[seen][mine].T,
            s=sizes[mine],
            color=color_of(k),
            marker=marker_of(k),
            alpha=np.clip(0.45 + 1.1 * doubt[mine], 0.0, 1.0) if by_doubt else 0.55,
            linewidths=0,
            rasterized=True,
            zorder=0.6,
        )
    ax.set(xlim=limits_of(places[seen, 0]), ylim=limits_of(places[seen, 1]))
    ax.set_autoscale_on(False)


def component_colors(n_components: int) -> NDArray[np.floating]:
    """Return the colours of components, as all pictures and pages have them: by number, from 0.

    Parameters
    ----------
    n_components : int

    Returns
    -------
    ndarray of shape (n_components, 4)
        RGBA. Eight that differ for colour-blind readers too, over and over.
    """
    return to_rgba_array([color_of(k) for k in range(n_components)])


def project(model: Any, directions: ArrayLike) -> tuple[Array, Array]:
    """Return the means and covariances of each component along some directions.

    Parameters
    ----------
    model : mixture
        Fitted; scikit-learn's class will do.
    directions : array-like of shape (n_directions, n_features)

    Returns
    -------
    means : ndarray of shape (n_components, n_directions)
    covariances : ndarray of shape (n_components, n_directions, n_directions)
    """
    parameters, directions = parameters_of(model), np.asarray(directions, dtype=float)
    return parameters.means @ directions.T, directions @ parameters.covariance_matrices @ directions.T
