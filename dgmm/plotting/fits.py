"""Pictures of how well a mixture fits its rows, and of how the fit went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from dgmm.data.text import shortened
from dgmm.data.types import GroupsLike, RowsLike, WeightsLike
from dgmm.estimators.best import mixture_of
from dgmm.estimators.errors import ErrorsLike
from dgmm.kernels.measured import draw_errors
from dgmm.model.generate import sample_shuffled
from dgmm.model.matrices import Array
from dgmm.plotting.canvas import axes_or_current, divided, ink_of, label, limits_of, note, paper_of
from dgmm.plotting.layers import draw_curves
from dgmm.plotting.palette import COLORS, GREY
from dgmm.plotting.side_information import effective_number, quantiles_of
from dgmm.plotting.subject import Axis, Feature, Subject

FITTED_FEATURES = 4
"""Features that are drawn by default."""
NAME_IN_GRID = 18
"""Signs of a feature's name below a picture of a grid."""
QUANTILES = 200
"""Points of a comparison of quantiles, at most."""
LARGEST_DRAWN = 2**25
"""Numbers of covariances up to which rows are drawn from a mixture."""
SURE = 1.358
"""Of a largest distance of distributions, times √n, that is exceeded in 5 of 100 cases (Kolmogorov)."""


def plot_fit(
    model: Any,
    rows: RowsLike | None = None,
    features: Feature | Sequence[Feature] | None = None,
    *,
    ax: Axes | None = None,
    sample_weight: WeightsLike | None = None,
    groups: GroupsLike | None = None,
    errors: ErrorsLike | None = None,
) -> NDArray[Any]:
    """Compare rows with the mixture: each feature's distribution, and all of them together.

    Parameters
    ----------
    model, rows
        As for `plot_mixture`.
    features : str, int, or sequence, optional
        As for `plot_mixture`, of any number. Default: the four in which components differ most.
    ax : matplotlib Axes, optional
        Whose place the grid takes. Default: a new figure.
    sample_weight, groups, errors : optional
        As for `plot_mixture`.

    Returns
    -------
    ndarray of matplotlib Axes, of shape (2, n_features + 1)
        Above, a histogram of each feature's values, with the mixture's density. Below, quantiles of the
        values against the mixture's: on the line, they agree. The last column is of log densities, as all
        features together decide them: of the rows, and of rows that the mixture draws; it is left out of
        mixtures whose covariances are too large to draw rows.
    """
    subject = Subject.of(model, rows, sample_weight=sample_weight, groups=groups, errors=errors)
    axes, drawn = subject.axes(features, FITTED_FEATURES), subject.drawn_rows
    found, has_last = subject.parameters, can_draw(subject)
    grid = divided(ax, 2, len(axes) + has_last)
    for j, axis in enumerate(axes):
        draw_curves(grid[0, j], subject, axis)
        grid[0, j].set_title("", loc="left")
        draw_quantiles(grid[1, j], subject, axis)
        if j:
            label(grid[0, j], y=" ")
            label(grid[1, j], y=" ")
    if has_last:
        draw_log_densities(grid[0, -1], grid[1, -1], subject)
    if features is None and found.n_features > len(axes):
        note(grid[0, 0], f"{len(axes)} of {found.n_features:,} features: those that tell components apart")
    if len(drawn) < subject.n_rows:
        note(grid[1, 0], f"of {len(drawn):,} of {subject.n_rows:,} rows")
    return grid


def can_draw(subject: Subject) -> bool:
    """Return whether rows can be drawn from a mixture in the time and memory of a picture."""
    found = subject.parameters
    return not found.family.has_products or found.n_components * found.n_features**2 <= LARGEST_DRAWN


def draw_quantiles(ax: Axes, subject: Subject, axis: Axis) -> None:
    """Draw quantiles of rows along an axis against the mixture's, in a band that chance explains."""
    points = subject.rows_along([axis])
    n_values = len(points.places)
    if n_values == 0:
        note(ax, "no row has a value")
        return
    shares = shares_of(n_values)
    expected = subject.margin(axis).quantiles(shares)
    observed = quantiles_of(points.places[:, 0], shares, points.weights)
    _draw_against(ax, observed, expected, shares, effective_number(points.weights, n_values))
    label(ax, f"{shortened(axis.label, NAME_IN_GRID)}: mixture", "rows")


def draw_log_densities(above: Axes | None, below: Axes, subject: Subject) -> None:
    """Draw log densities of rows beside those of rows that the mixture draws, which lack the same values."""
    rows = subject.drawn_rows.astype(np.float64)
    model, found = getattr(subject.mixture, "_model", subject.parameters), subject.parameters
    whole = replace(found, weights=found.weights / found.weights.sum())
    generator, known = np.random.default_rng(0), subject.known
    drawn = sample_shuffled(whole, len(rows), generator)[0]
    if known.errors is not None:
        drawn += draw_errors(known.errors, found.n_features, generator)
    drawn[np.isnan(rows)] = np.nan
    own, theirs = known.log_densities(model, rows), known.log_densities(model, drawn)
    is_finite, weights = np.isfinite(own), known.weights
    own, of_own = own[is_finite], None if weights is None else weights[is_finite]
    if len(own) == 0:
        note(below, "all rows are too far out to have a log density")
        return
    if above is not None:
        low, high = limits_of(np.concatenate([own, theirs]))
        bins = np.linspace(low, high, int(np.clip(1.5 * len(own) ** 0.5, 12, 80))).tolist()
        above.hist(own, bins=bins, weights=of_own, density=True, color=GREY, alpha=0.4, linewidth=0)
        line = {"histtype": "step", "color": ink_of(above), "linewidth": 1.4}
        above.hist(theirs, bins=bins, weights=weights, density=True, **line)
        label(above, "log density (nats)", " ")
    shares = shares_of(len(own))
    observed, expected = quantiles_of(own, shares, of_own), quantiles_of(theirs, shares, weights)
    _draw_against(below, observed, expected, shares, effective_number(of_own, len(own)))
    label(below, "log density: mixture", "rows")


def shares_of(n_values: int) -> Array:
    """Return the shares at which quantiles of so many values are compared."""
    n_points = min(n_values, QUANTILES)
    return (np.arange(n_points) + 0.5) / n_points


def _draw_against(ax: Axes, observed: Array, expected: Array, shares: Array, n_values: float) -> None:
    """Draw quantiles against each other, the line on which they agree, and a band about it.

    In 95 of 100 samples of a continuous distribution, all quantiles are within the band.
    """
    reach = SURE / n_values**0.5
    low = np.interp(shares - reach, shares, expected, left=np.nan)
    high = np.interp(shares + reach, shares, expected, right=np.nan)
    ends = np.array([min(expected[0], observed[0]), max(expected[-1], observed[-1])])
    ax.fill_between(
        expected,
        np.where(np.isnan(low), ends[0], low),
        np.where(np.isnan(high), ends[1], high),
        color=GREY,
        alpha=0.22,
        linewidth=0,
    )
    ax.plot(ends, ends, color=ink_of(ax), linewidth=1.0)
    ax.scatter(expected, observed, s=9, color=COLORS[0], linewidths=0, zorder=3)
    margin = 0.04 * (ends[1] - ends[0]) or 0.5
    ax.set(xlim=(ends[0] - margin, ends[1] + margin), ylim=(ends[0] - margin, ends[1] + margin))


def plot_history(model: Any, *, ax: Axes | None = None) -> Axes:
    """Draw how the log-likelihood rose, iteration by iteration, or pass by pass.

    Parameters
    ----------
    model : mixture or sweep
        Fitted.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.

    Returns
    -------
    matplotlib Axes
        Hollow markers are parameters that the fit went back from.

    Raises
    ------
    NotFittedError
    ValueError
        Where the mixture comes of no fit: set by hand, or made of another.
    """
    mixture = mixture_of(model) or model
    check_is_fitted(mixture)
    bounds, history = getattr(mixture, "lower_bounds_", None), getattr(mixture, "history_", None)
    if not bounds:
        raise ValueError("this mixture has no history: it was not fitted, or without iterations")
    accepted = np.array(history["accepted"] if history else [True] * len(bounds), bool)
    what = (
        "lower bound of the evidence (nats)" if hasattr(mixture, "elbo_") else "log-likelihood (nats a row)"
    )
    values, numbers = np.asarray(bounds, float), np.arange(1, len(bounds) + 1)
    ax = axes_or_current(ax)
    ax.plot(numbers[accepted], values[accepted], color=COLORS[0], linewidth=1.4)
    ax.scatter(numbers[accepted], values[accepted], s=22, color=COLORS[0], zorder=3)
    ax.scatter(numbers[~accepted], values[~accepted], s=22, c=[paper_of(ax)], edgecolors=COLORS[0], zorder=3)
    kept = values[accepted & np.isfinite(values)]
    if len(kept) > 4:  # a poor start, or one step too far, is not all there is to see
        low = min(np.quantile(kept, 0.1), kept[-1] - 1e-9)
        span = kept.max() - low
        if values.min() < low - 2.0 * span:
            ax.set_ylim(low - 0.1 * span, kept.max() + 0.1 * span)
            note(ax, "the first are far below")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    label(ax, "iteration", what)
    return ax
