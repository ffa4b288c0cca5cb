"""Pictures of a mixture; needs matplotlib (``pip install 'dgmm[plot]'``)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dgmm.estimators.parameters import parameters_of
from dgmm.model.criteria import CRITERIA
from dgmm.model.families import FAMILIES

try:
    from matplotlib import colormaps
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.colors import LogNorm, to_rgba_array
    from matplotlib.patches import Ellipse
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Pictures need {error.name}: pip install 'dgmm[plot]'", name=error.name
    ) from error

DENSITY_BINS = 240
SMALLEST_WEIGHT = 1e-5
"""Of components that are drawn."""
INK = "#1b2a41"
CURVES = ("#1b6ca8", "#d1495b", "#2a9d5c", "#8d5fb0", "#c47f17", "#4f6d7a")
"""Colours of the covariance types."""


def plot_mixture(
    model: Any,
    rows: ArrayLike | None = None,
    features: Sequence[int | ArrayLike] = (0, 1),
    *,
    ax: Axes | None = None,
    colors: Sequence[Any] | NDArray[Any] | None = None,
    share: float = 0.68,
    labels: Sequence[object] | None = None,
) -> Axes:
    """Draw the components of a mixture as ellipses, over the density of rows.

    Components without rows, which variational Bayes leaves as the prior has them, are not drawn.

    Parameters
    ----------
    model : GaussianMixture
        Fitted; scikit-learn's class will do.
    rows : array-like of shape (n_rows, n_features), optional
        Rows to draw, on a logarithmic grey scale.
    features : pair of int or array-like of shape (n_features,), default=(0, 1)
        What the two axes show: a feature's number, or the coefficients of a sum of features.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.
    colors : sequence of colours, optional
        One for each component. Default: as `component_colors`, by the first axis.
    share : float, default=0.68
        The share of a component's own rows that its ellipse holds.
    labels : sequence, optional
        What to write at the centre of each component. Default: its number, from 0.

    Returns
    -------
    matplotlib Axes
    """
    ax = plt.gca() if ax is None else ax
    directions = np.stack([_direction(feature, model.means_.shape[1]) for feature in features])
    if rows is not None:
        plot_density(_projected(np.asarray(rows), directions), ax=ax)
    centres, covariances = project(model, directions)
    color_of = component_colors(centres[:, 0]) if colors is None else colors
    label_of = range(len(centres)) if labels is None else labels
    radius = np.sqrt(
        -2.0 * np.log1p(-share)
    )  # of a disc that holds this share of a standard normal in the plane
    halo = [withStroke(linewidth=2.6, foreground="white")]
    for k in np.argsort(-model.weights_):
        if model.weights_[k] < SMALLEST_WEIGHT:
            break
        variances, axes = np.linalg.eigh(covariances[k])
        height, width = 2.0 * radius * np.sqrt(variances)
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        shape = ((centres[k, 0], centres[k, 1]), width, height)
        ax.add_patch(Ellipse(*shape, angle=angle, color=color_of[k], alpha=0.1, linewidth=0))
        ax.add_patch(Ellipse(*shape, angle=angle, edgecolor=color_of[k], fill=False, linewidth=1.8))
        ax.text(
            centres[k, 0],
            centres[k, 1],
            str(label_of[k]),
            color=INK,
            weight="bold",
            ha="center",
            va="center",
            path_effects=halo,
        )
    ax.autoscale_view()
    return ax


def plot_density(points: ArrayLike, *, ax: Axes | None = None, bins: int = DENSITY_BINS) -> Axes:
    """Draw how many points lie where, in greys on a logarithmic scale.

    Parameters
    ----------
    points : array-like of shape (n_points, 2)
        Those that lack a coordinate, NaN, are left out.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.
    bins : int, default=240
        Cells along each axis.

    Returns
    -------
    matplotlib Axes
        With limits at the 0.1st and 99.9th percentile of the points, so that a few far ones do not
        squeeze the picture.
    """
    ax = plt.gca() if ax is None else ax
    points = np.asarray(points, float)
    points = points[np.isfinite(points).all(axis=1)]
    (x_low, y_low), (x_high, y_high) = np.percentile(points, [0.1, 99.9], axis=0)
    x_margin, y_margin = 0.04 * (x_high - x_low), 0.04 * (y_high - y_low)
    limits = [(x_low - x_margin, x_high + x_margin), (y_low - y_margin, y_high + y_margin)]
    ax.hist2d(
        points[:, 0], points[:, 1], bins=bins, range=limits, norm=LogNorm(), cmap="Greys", rasterized=True
    )
    return ax


def _projected(rows: NDArray[Any], directions: NDArray[Any]) -> NDArray[Any]:
    """Give rows along two directions; what has no part in these may be missing."""
    columns = [rows[:, np.flatnonzero(each)] @ each[np.flatnonzero(each)] for each in directions]
    return np.stack(columns, axis=1)


def plot_criteria(
    sweep: Any, criterion: str | None = None, *, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Draw a criterion against the number of components, a curve for each covariance type.

    Parameters
    ----------
    sweep : GaussianMixtureSweep
        Fitted.
    criterion : str, optional
        A name of `dgmm.model.criteria.CRITERIA`: ``bic``, ``aic``, ``icl``, ``held-out``.
        Default: what the sweep chose by.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.
    legend : bool, default=True
        Name the curves.

    Returns
    -------
    matplotlib Axes
        Filled markers are models that converged. A star is the best one; a ring, the smallest of its
        covariance type within the sweep's tolerance. Held-out log-likelihoods have bars of a standard error.
    """
    ax = plt.gca() if ax is None else ax
    shown = CRITERIA[sweep.criterion if criterion is None else criterion]
    results = sweep.results_
    values, errors = results[shown.column], shown.errors(results)
    for covariance_type in dict.fromkeys(results["covariance_type"].tolist()):
        own = np.flatnonzero((results["covariance_type"] == covariance_type) & np.isfinite(values))
        own = own[np.argsort(results["n_components"][own], kind="stable")]
        color = CURVES[[*FAMILIES].index(covariance_type) % len(CURVES)]
        counts = results["n_components"][own]
        faces = [color if results["converged"][index] else "white" for index in own]
        ax.plot(counts, values[own], color=color, linewidth=1.4, label=covariance_type, zorder=2)
        ax.scatter(counts, values[own], s=22, c=faces, edgecolors=color, linewidths=1.1, zorder=3)
        if errors is not None:
            ax.errorbar(counts, values[own], errors[own], fmt="none", ecolor=color, elinewidth=0.9, zorder=1)
    if sweep.best_index_ is not None and shown.name == sweep.criterion:
        best, smallest = sweep.best_index_, sweep.smallest_index_
        counts = results["n_components"]
        ax.scatter(counts[best], values[best], marker="*", s=190, color="#f2b134", edgecolors=INK, zorder=5)
        if smallest is not None and smallest != best:
            at = counts[smallest], values[smallest]
            ax.scatter(*at, s=130, facecolors="none", edgecolors=INK, linewidths=1.4, zorder=4)
    ax.set_xlabel("components")
    ax.set_ylabel(shown.axis_label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if legend:
        ax.legend(frameon=False)
    return ax


def plot_responsibilities(
    model: Any,
    rows: ArrayLike,
    features: Sequence[int | ArrayLike] = (0, 1),
    *,
    ax: Axes | None = None,
    colors: Sequence[Any] | NDArray[Any] | None = None,
    n_points: int = 10_000,
) -> Axes:
    """Draw rows as points in the colours of the components that they may belong to.

    A row that two components share has a colour between theirs, and is smaller the less it is decided.

    Parameters
    ----------
    model : GaussianMixture
        Fitted; scikit-learn's class will do.
    rows : array-like of shape (n_rows, n_features)
    features : pair of int or array-like of shape (n_features,), default=(0, 1)
        As for `plot_mixture`.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.
    colors : sequence of colours, optional
        One for each component. Default: as `plot_mixture`.
    n_points : int, default=10,000
        The most rows to draw: of more, evenly spaced ones.

    Returns
    -------
    matplotlib Axes
    """
    ax = plt.gca() if ax is None else ax
    rows = np.asarray(rows)
    rows = rows[:: max(1, -(-len(rows) // n_points))]
    directions = np.stack([_direction(feature, model.means_.shape[1]) for feature in features])
    with warnings.catch_warnings():  # rows for a picture need no names of features
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        share = np.asarray(model.predict_proba(rows))
    color_of = component_colors(project(model, directions)[0][:, 0]) if colors is None else colors
    mixed = np.clip(share @ to_rgba_array(color_of)[:, :3], 0.0, 1.0)
    x, y = _projected(rows, directions).T
    ax.scatter(x, y, s=7.0 * share.max(axis=1) ** 2, c=mixed, linewidths=0, rasterized=True)
    return ax


def component_colors(values: ArrayLike) -> NDArray[np.floating]:
    """Give each component a colour, from blue to red in the order of its value.

    Parameters
    ----------
    values : array-like of shape (n_components,)

    Returns
    -------
    ndarray of shape (n_components, 4)
        RGBA.
    """
    ranks = np.argsort(np.argsort(values))
    return colormaps["turbo"](0.06 + 0.86 * ranks / max(1, len(ranks) - 1))


def project(model: Any, directions: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Give the means and covariances of each component along some directions.

    Parameters
    ----------
    model : GaussianMixture
        Fitted; scikit-learn's class will do.
    directions : array-like of shape (n_directions, n_features)

    Returns
    -------
    means : ndarray of shape (n_components, n_directions)
    covariances : ndarray of shape (n_components, n_directions, n_directions)
    """
    parameters, directions = parameters_of(model), np.asarray(directions, dtype=float)
    return parameters.means @ directions.T, directions @ parameters.covariance_matrices @ directions.T


def _direction(feature: int | ArrayLike, n_features: int) -> NDArray[np.floating]:
    return np.eye(n_features)[feature] if isinstance(feature, int) else np.asarray(feature, dtype=float)
