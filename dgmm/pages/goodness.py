"""The part of a page that says whether a mixture fits its rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dgmm.estimators.components import ComponentMixture
from dgmm.pages.html import Section, bullets, component, figure, paragraph, side_by_side, table, text
from dgmm.plotting import plot_uncertainty
from dgmm.plotting.fits import SURE, can_draw, draw_log_densities, draw_quantiles
from dgmm.plotting.layers import draw_curves
from dgmm.plotting.side_information import effective_number
from dgmm.plotting.subject import UNSURE, Axis, Subject, percentage
from dgmm.report import misfit_lines

FEATURES_COMPARED = 20
"""Features whose distributions are compared in a table: those that tell components apart best."""
FEATURES_DRAWN = 3
"""Features whose distributions are drawn: those that fit least."""
MOST_LISTED = 24
"""Components of a table: the heaviest."""


@dataclass(frozen=True)
class Distance:
    """How far the distribution of rows along an axis is from the mixture's (Kolmogorov's distance).

    Attributes
    ----------
    axis : Axis
    largest : float
        Largest difference of the shares of rows below a value.
    n_rows : int
        That have a value.
    n_effective : float
        Rows of equal weight that say as much.
    """

    axis: Axis
    largest: float
    n_rows: int
    n_effective: float

    @property
    def is_chance(self) -> bool:
        """Whether it is so small that chance explains it, in 95 of 100 cases."""
        return self.largest * self.n_effective**0.5 <= SURE

    @property
    def verdict(self) -> str:
        """What it means."""
        if self.is_chance:
            return "no more than chance explains"
        return "small" if self.largest < 0.02 else "seen" if self.largest < 0.05 else "large"


def is_it_good(subject: Subject, held_out: str = "") -> Section:
    """Compare rows with the mixture.

    Parameters
    ----------
    subject : Subject
    held_out : str
        A sentence on rows that no model was fitted to.
    """
    key, title = "goodness", "Is it a good fit"
    if subject.rows is None:
        said = "No rows were given for this report: give them, and it compares them with the mixture."
        return Section(key, title, paragraph(said) + (paragraph(held_out) if held_out else ""))
    if subject.lacks_errors:
        said = (
            "The mixture describes the true values, and rows measured with errors spread wider. This page "
            "does not have the errors, and does not compare them: give errors=, as for the fit."
        )
        return Section(key, title, paragraph(said) + (paragraph(held_out) if held_out else ""))
    distances = [
        distance for axis in _compared(subject) if (distance := distance_along(subject, axis)).n_rows
    ]
    worst = sorted(distances, key=lambda each: -each.largest)[:FEATURES_DRAWN]
    n_drawn, n_rows = len(subject.rows), subject.n_rows
    of_all = (
        f"of all {n_rows:,} rows"
        if n_drawn == n_rows
        else f"of {n_drawn:,} of the {n_rows:,} rows, drawn at random"
    )
    if subject.known.weights is not None:
        of_all += ", as they weigh"
    parts = [
        paragraph(_verdict(distances)),
        *([paragraph(held_out)] if held_out else []),
        paragraph(f"Figures and pictures of this section are {of_all}.", "note"),
        _distances_table(subject, distances),
        *_pictures(subject, [each.axis for each in worst]),
        "<h3>Rows that are undecided</h3>",
        _uncertain(subject),
        _misfit(subject),
    ]
    return Section(key, title, "\n".join(parts))


def _compared(subject: Subject) -> list[Axis]:
    return subject.axes(None, FEATURES_COMPARED)


def distance_along(subject: Subject, axis: Axis) -> Distance:
    """Compare the distribution of rows along an axis with the mixture's."""
    points = subject.rows_along([axis])
    values, weights = points.places[:, 0], points.weights
    if len(values) == 0:
        return Distance(axis, 0.0, 0, 0.0)
    # A value that many rows have stands for all those nearer to it than to others: it may be rounded.
    distinct, which = np.unique(values, return_inverse=True)
    between = 0.5 * (distinct[:-1] + distinct[1:])
    counts = np.bincount(which, weights=weights)
    observed = np.cumsum(counts)[:-1] / counts.sum()
    expected = subject.margin(axis).shares_below(between)
    largest = float(np.abs(observed - expected).max(initial=0.0))
    return Distance(axis, largest, len(values), effective_number(weights, len(values)))


def _verdict(distances: Sequence[Distance]) -> str:
    others = [each for each in distances if not each.is_chance]
    if not others:
        return "In no feature do the rows differ from the mixture by more than chance explains."
    worst = max(others, key=lambda each: each.largest)
    return (
        f"In {len(others):,} of {len(distances):,} features the rows differ from the mixture by more than "
        f"chance explains; most in {worst.axis.label}, where the shares of rows below a value differ by up "
        f"to {percentage(worst.largest)}."
    )


def _distances_table(subject: Subject, distances: Sequence[Distance]) -> str:
    rows = [
        [text(each.axis.label), f"{each.n_rows:,}", percentage(each.largest), text(each.verdict)]
        for each in sorted(distances, key=lambda each: -each.largest)
    ]
    left_out = subject.parameters.n_features - len(distances)
    note = paragraph(f"{left_out:,} other features are not compared.", "note") if left_out else ""
    caption = "How far the distribution of each feature is from the mixture's"
    columns = ["feature", "rows with a value", "largest difference", "that is"]
    return table(caption, columns, rows, left=[0, 3]) + note


def _pictures(subject: Subject, axes: Sequence[Axis]) -> list[str]:
    found = []
    for axis in axes:
        label = axis.label
        found.append(
            side_by_side(
                figure(
                    lambda ax, axis=axis: draw_curves(ax, subject, axis),
                    f"{label}: the rows as a histogram, the components, and the mixture as a line.",
                ),
                figure(
                    lambda ax, axis=axis: draw_quantiles(ax, subject, axis),
                    f"{label}: quantiles of the rows against the mixture's. On the line they agree; the band "
                    "is what chance explains.",
                ),
            )
        )
    if can_draw(subject):
        found.append(
            figure(
                lambda ax: draw_log_densities(None, ax, subject),
                "All features together: log densities of the rows against those of rows that the mixture "
                "draws, quantile by quantile.",
            )
        )
    return found


def _uncertain(subject: Subject) -> str:
    shares = subject.responsibilities
    own, unsure, known = shares.argmax(axis=1), subject.unsure, subject.known
    whole = paragraph(
        f"{percentage(subject.share_unsure)} of the rows are less than {percentage(UNSURE)} sure to be of "
        "their most probable component."
    )
    if subject.parameters.n_components == 1:
        return paragraph("There is one component: all rows are of it.")
    rows = []
    for k in subject.heaviest[:MOST_LISTED]:
        mine = own == k
        if mine.any():
            sure, doubted = known.mean(shares[:, k], mine), known.mean(unsure, mine)
            cells = [f"{known.count(mine):,.0f}", percentage(doubted), percentage(sure)]
            rows.append([component(k), *cells])
    caption = f"Rows by their most probable component, and how many are less than {percentage(UNSURE)} sure"
    laid_out = table(caption, ["component", "rows", "uncertain", "mean probability"], rows)
    drawn = figure(
        lambda ax: plot_uncertainty(subject, ax=ax),
        "Rows in the colours of their components, the larger the less sure it is which these are.",
    )
    return whole + laid_out + drawn


def _misfit(subject: Subject) -> str:
    """Say which components are not Gaussian, where a mixture can say so."""
    mixture, rows = subject.mixture, subject.drawn_rows
    if not isinstance(mixture, ComponentMixture):
        return ""
    is_judged = np.asarray(np.isfinite(rows).all(axis=1) | mixture._takes_nan)
    if not is_judged.any():  # none is complete, of a mixture that takes no others
        return ""
    known = subject.known.part(is_judged)
    with warnings.catch_warnings():  # rows here need no names
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        found = mixture.misfit(
            rows[is_judged],
            known.weights,
            labels=known.labels,
            groups=known.groups_of(mixture),
            errors=known.errors,
        )
    listed = set(subject.heaviest[:MOST_LISTED])
    columns, lines = misfit_lines(found)
    columns[-1] = "that is"
    shown = [[component(k), *map(text, cells)] for k, (_, *cells) in lines if k in listed]
    caption = "How far each component's rows are from Gaussian"
    return f"<h3>Components that are not Gaussian</h3>{bullets(found.sentences)}" + table(
        caption, columns, shown, left=[len(columns) - 1]
    )
