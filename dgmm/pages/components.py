"""The part of a page that says which component is what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dgmm.data.text import shortened, with_deviation
from dgmm.estimators.described import outstanding_features
from dgmm.model.matrices import Array
from dgmm.pages.html import PANEL, Section, component, figure, grid, paragraph, table, text
from dgmm.plotting import plot_components, plot_density, plot_mixture
from dgmm.plotting.canvas import label, tick_names
from dgmm.plotting.layers import draw_ellipses, draw_members
from dgmm.plotting.palette import ON_DARK, ON_LIGHT, color_of, marker_of
from dgmm.plotting.subject import Axis, Subject, percentage
from dgmm.report import group_lines, standard_deviations

MOST_LISTED = 40
"""Components of a table: the heaviest."""
FEATURES_LISTED = 6
"""Features of a table: those that tell components apart best."""
MOST_OVERLAPS = 24
"""Components up to which their overlap is drawn."""
DISTINCT = 0.5
"""Standard deviations of the whole from which on a component's mean is called high or low."""


def which_is_what(subject: Subject) -> Section:
    """Name components by what they stand out by, and show them."""
    figures, found = _pairs(subject), subject.parameters
    if found.n_components > 1:
        if found.n_features > 1:
            caption = "Means of the components beside those of the whole, in its standard deviations."
            height = max(PANEL[1], 1.6 + 0.22 * min(len(subject.heaviest), 24))
            figures.append(
                figure(lambda ax: plot_components(subject, ax=ax), caption, size=(PANEL[0], height))
            )
        if _is_judged(subject) and 1 < len(subject.heaviest) <= MOST_OVERLAPS:
            figures.append(_overlap_figure(overlaps(subject), sorted(subject.heaviest)))
    return Section("components", "Which component is what", f"{_table(subject)}\n{grid(figures)}")


def groups_of(mixture: Any) -> str:
    """Lay out the weights of groups, of a mixture that has some."""
    if not hasattr(mixture, "groups_"):
        return ""
    columns, lines, left_out = group_lines(mixture)
    said = "Weights in each group of rows; those above are of all rows."
    note = paragraph(f"Not listed: {left_out.removeprefix('and ')}.", "note") if left_out else ""
    return table(said, columns, [[*map(text, line)] for line in lines]) + note


def named(subject: Subject, components: Sequence[int]) -> list[str]:
    """Name components by the features in which each differs most from all others together."""
    found = subject.parameters
    weights = found.weights / found.weights.sum()
    centre = weights @ found.means
    whole = np.sqrt(weights @ (found.variances + np.square(found.means - centre)))
    names = []
    outstanding = outstanding_features(subject.mixture, components=components)
    for k, features in zip(components, outstanding, strict=True):
        said = []
        for i in features:
            shift = (found.means[k, i] - centre[i]) / (whole[i] or 1.0)
            narrow = np.sqrt(found.variances[k, i]) < whole[i]
            how = (
                ("high" if shift > 0.0 else "low")
                if abs(shift) > DISTINCT
                else "narrow"
                if narrow
                else "wide"
            )
            said.append(f"{how} {shortened(subject.names[i], 40)}")
        names.append(", ".join(said) or "as the whole")
    return names


def _table(subject: Subject) -> str:
    found, deviations = subject.parameters, standard_deviations(subject.mixture)
    features, heaviest = sorted(subject.telling_features(FEATURES_LISTED)), subject.heaviest
    listed = heaviest[:MOST_LISTED]
    names = named(subject, listed) if found.n_components > 1 else ["the whole"]
    overlap = overlaps(subject) if _is_judged(subject) and found.n_components > 1 else None
    columns = ["component", "weight", "stands out by", *(shortened(subject.names[i], 40) for i in features)]
    rows = []
    for k, name in zip(listed, names, strict=True):
        values = [with_deviation(found.means[k, i], deviations[k, i]) for i in features]
        cells = [component(k), text(percentage(found.weights[k])), text(name), *map(text, values)]
        rows.append([*cells, *([] if overlap is None else [text(most_overlap(overlap, k))])])
    if overlap is not None:
        columns.append("overlaps most with")
    left_out = [
        *([f"{len(heaviest) - MOST_LISTED:,} lighter components"] if len(heaviest) > MOST_LISTED else []),
        *(
            [f"{found.n_components - len(heaviest):,} without rows"]
            if len(heaviest) < found.n_components
            else []
        ),
        *(
            [f"{found.n_features - len(features):,} other features"]
            if len(features) < found.n_features
            else []
        ),
    ]
    note = paragraph(f"Not listed: {' and '.join(left_out)}.", "note") if left_out else ""
    caption = "Components, the heaviest first: means ± standard deviations"
    return table(caption, columns, rows, left=[2]) + note


def _pairs(subject: Subject) -> list[str]:
    """Draw the components in planes of the features that tell them apart best."""
    axes = subject.axes(None, 3)
    if len(axes) == 1:
        what = "" if subject.rows is None else ", over a histogram of the rows"
        return [
            figure(lambda ax: plot_mixture(subject, ax=ax), f"Densities of the components, and of all{what}.")
        ]
    numbers = [int(axis.numbers[0]) for axis in axes]
    planes = [(0, 1), (0, 2), (1, 2)][: 1 if len(axes) == 2 else 3]
    found = []
    for i, j in planes:
        about = f"{axes[i].label} and {axes[j].label}"
        rows = "" if subject.rows is None else ", over rows in the colours of their components"

        def drawn(ax: Axes, pair: tuple[Axis, Axis] = (axes[i], axes[j])) -> None:
            draw_members(ax, subject, pair)
            draw_ellipses(ax, subject, pair)
            label(ax, pair[0].label, pair[1].label)

        found.append(figure(drawn, f"{about}: ellipses hold 68 % of a component{rows}."))
    pair = [numbers[0], numbers[1]]
    found.append(
        figure(
            lambda ax: plot_density(subject, features=pair, ax=ax),
            f"The density of the mixture in {axes[0].label} and {axes[1].label}.",
        )
    )
    return found


def _is_judged(subject: Subject) -> bool:
    """Return whether there are rows whose components the mixture can tell without their errors."""
    return subject.rows is not None and not subject.lacks_errors


def overlaps(subject: Subject) -> Array:
    """Estimate how much components share rows.

    Returns
    -------
    ndarray of shape (n_components, n_components)
        Mean responsibility of component j for the rows of component i: rows sum to 1.
    """
    share, weights = subject.responsibilities, subject.known.weights
    own = share if weights is None else share * (weights / weights.mean())[:, None]
    counts = np.maximum(own.sum(axis=0), np.finfo(float).tiny)
    return own.T @ share / counts[:, None]


def most_overlap(overlap: Array, k: int) -> str:
    """Say with which other component one shares most, and how much of its rows."""
    others = overlap[k].copy()
    others[k] = 0.0
    most = int(others.argmax())
    return f"{most} ({percentage(float(others[most]))})" if others[most] >= 0.0005 else "none"


def _overlap_figure(whole: Array, components: Sequence[int]) -> str:
    overlap, n_components = whole[np.ix_(components, components)], len(components)

    def draw(ax: Axes) -> None:
        ax.imshow(overlap, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
        for i, j in np.ndindex(overlap.shape):
            if overlap[i, j] >= 0.005 and n_components <= 12:
                color = ON_DARK if overlap[i, j] > 0.6 else ON_LIGHT
                ax.text(j, i, f"{overlap[i, j]:.2f}", ha="center", va="center", fontsize=7.5, color=color)
        numbers = [str(k) for k in components]
        tick_names(ax.xaxis, range(n_components), numbers)
        tick_names(ax.yaxis, range(n_components), numbers)
        for place, k in enumerate(components):
            ax.plot(
                -0.03,
                place,
                marker_of(k),
                color=color_of(k),
                transform=ax.get_yaxis_transform(),
                clip_on=False,
            )
        ax.tick_params(length=0)
        ax.tick_params(axis="y", pad=12)
        ax.set(xlabel="component", ylabel="rows of")
        ax.spines[:].set_visible(False)

    caption = (
        "Overlap: the mean probability of one component (across) for the rows of another (down). 1.00 on the "
        "diagonal: its rows belong to no other."
    )
    return figure(draw, caption, size=(PANEL[0], max(PANEL[1], 1.3 + 0.22 * n_components)))
