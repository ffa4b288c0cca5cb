"""Pictures of how the models of a sweep compare."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from dgmm.model.criteria import CRITERIA, Criterion
from dgmm.model.families import FAMILIES
from dgmm.plotting.canvas import axes_or_current, ink_of, paper_of
from dgmm.plotting.palette import COLORS, GREY, LINES, MARKERS

BEST = "#e0a526"
"""Colour of the star."""


def plot_criteria(
    sweep: Any,
    criterion: str | None = None,
    *,
    ax: Axes | None = None,
    legend: bool = True,
    closer: bool = False,
) -> Axes:
    """Draw a criterion against the number of components, a curve for each covariance type.

    Parameters
    ----------
    sweep : GaussianMixtureSweep
        Fitted.
    criterion : str, optional
        A name of `dgmm.model.criteria.CRITERIA`: ``bic``, ``aic``, ``icl``, ``caic``, ``held-out``.
        Default: what the sweep chose by.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.
    legend : bool, default=True
        Name the curves.
    closer : bool, default=False
        Limit the picture to the models near the best: a covariance type that is far off squeezes the others.

    Returns
    -------
    matplotlib Axes
        Filled markers are models that converged. A star is the best one; a ring, the smallest of its
        covariance type within the sweep's tolerance, and between them is the plausible range. Held-out
        log-likelihoods have bars of a standard error.

    Raises
    ------
    NotFittedError
    ValueError
        For a criterion that is not there, or that the sweep has no figures of.
    """
    check_is_fitted(sweep, "results_")
    ax = axes_or_current(ax)
    name = sweep.criterion if criterion is None else criterion
    if name not in CRITERIA:
        raise ValueError(f"criterion={name!r} is not one of {', '.join(map(repr, CRITERIA))}")
    shown, results = CRITERIA[name], sweep.results_
    values, errors = results[shown.column], shown.errors(results)
    if not np.isfinite(values).any():
        raise ValueError(
            f"the sweep has no figures of criterion={name!r}: "
            + ("fit it with held_out above 0" if shown.needs_held_out else "every model failed")
        )
    for covariance_type in dict.fromkeys(results["covariance_type"].tolist()):
        own = np.flatnonzero((results["covariance_type"] == covariance_type) & np.isfinite(values))
        own = own[np.argsort(results["n_components"][own], kind="stable")]
        place = [*FAMILIES].index(covariance_type)
        color = COLORS[place % len(COLORS)]
        counts = results["n_components"][own]
        faces = [color if results["converged"][index] else paper_of(ax) for index in own]
        line, marker = LINES[place % len(LINES)], MARKERS[place % len(MARKERS)]
        ax.plot(
            counts, values[own], color=color, linewidth=1.4, linestyle=line, label=covariance_type, zorder=2
        )
        ax.scatter(
            counts, values[own], s=22, c=faces, edgecolors=color, linewidths=1.1, marker=marker, zorder=3
        )
        if errors is not None:
            ax.errorbar(counts, values[own], errors[own], fmt="none", ecolor=color, elinewidth=0.9, zorder=1)
    best = sweep.best_index_
    if best is not None and shown.name == sweep.criterion:
        _mark(ax, sweep, values)
    if closer:
        _come_closer(ax, sweep, shown, best)
    ax.set_xlabel("components")
    ax.set_ylabel(shown.axis_label.replace(": ", ":\n"))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    if legend:
        ax.legend(frameon=False)
    return ax


def _mark(ax: Axes, sweep: Any, values: NDArray[np.floating]) -> None:
    """Mark the best model, the smallest about as good, and what is between them."""
    best, smallest, counts = sweep.best_index_, sweep.smallest_index_, sweep.results_["n_components"]
    ax.scatter(counts[best], values[best], marker="*", s=190, color=BEST, edgecolors=ink_of(ax), zorder=5)
    if smallest is not None and smallest != best:
        at = counts[smallest], values[smallest]
        ax.scatter(*at, s=130, facecolors="none", edgecolors=ink_of(ax), linewidths=1.4, zorder=4)
        ax.axvspan(*sorted((counts[smallest], counts[best])), color=GREY, alpha=0.15, linewidth=0, zorder=0)


def _come_closer(ax: Axes, sweep: Any, shown: Criterion, best: int | None) -> None:
    """Limit the axis of a criterion to the models near the best."""
    losses = np.sort(shown.losses(sweep.results_))
    losses = losses[np.isfinite(losses)]
    near = losses[min(len(losses) - 1, max(3, len(losses) // 4))] - losses[0]
    errors = shown.errors(sweep.results_)
    if errors is not None and best is not None and np.isfinite(errors[best]):
        near = max(near, 2.0 * float(errors[best]))
    if near > 0.0:
        low, high = losses[0] - 0.1 * near, losses[0] + 1.1 * near
        ax.set_ylim(*((low, high) if shown.sign > 0 else (-high, -low)))
