"""The report of a fit: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes

from dgmm.data.text import printable
from dgmm.data.types import GroupsLike, LabelsLike, Location, RowsLike, WeightsLike
from dgmm.data.writing import write_file
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.sweep import PICTURE_ROWS, GaussianMixtureSweep
from dgmm.pages.certainty import how_sure
from dgmm.pages.components import groups_of, which_is_what
from dgmm.pages.goodness import is_it_good
from dgmm.pages.html import PANEL, Section, bullets, figure, page, paragraph, text
from dgmm.pages.origin import Origin, how_computed, how_it_ended, speed_of
from dgmm.pages.sweep import sweep_page
from dgmm.passes.events import lacked_by_feature
from dgmm.plotting.canvas import label
from dgmm.plotting.palette import GREY, color_of
from dgmm.plotting.subject import UNSURE, Subject, percentage

WEIGHTS_DRAWN = 60
"""Components whose weights are drawn: the heaviest."""


def write_report(
    model: Any,
    path: Location,
    rows: RowsLike | None = None,
    *,
    sample_weight: WeightsLike | None = None,
    labels: LabelsLike | None = None,
    groups: GroupsLike | None = None,
    errors: ErrorsLike | None = None,
    origin: Origin | None = None,
    overwrite: bool = True,
    storage_options: Mapping[str, object] | None = None,
) -> None:
    """Write the report of a fitted mixture, or of a sweep.

    Parameters
    ----------
    model : GaussianMixture, BayesianGaussianMixture or GaussianMixtureSweep
        Fitted.
    path, rows, sample_weight, labels, groups, errors, storage_options
        As for `GaussianMixture.report`.
    origin : Origin, optional
        Where the mixture comes from. Default: from these rows.
    overwrite : bool, default=True
        Replace a file that is there.

    Raises
    ------
    NotFittedError
    ValueError
        For rows that are not such as the mixture was fitted to.
    OSError
        Where the page cannot be written.
    """
    known = {"sample_weight": sample_weight, "labels": labels, "groups": groups, "errors": errors}
    subject = Subject.of(model, rows, PICTURE_ROWS, **known)
    if origin is None:
        origin = Origin(subject.source if rows is not None else None)
    if isinstance(model, GaussianMixtureSweep):
        found = sweep_page(model, subject, origin)
    else:
        found = render(subject, origin)
    write_file(path, found.encode(), overwrite=overwrite, storage_options=storage_options)


def render(subject: Subject, origin: Origin) -> str:
    """Return the page as HTML."""
    subject = replace(subject, source=origin.source or subject.source)
    mixture, found = subject.mixture, subject.parameters
    kind = f"{len(subject.heaviest):,} × {mixture.covariance_type}"
    of_what = f" of {printable(origin.name)}" if origin.name else ""
    shape = (
        f"{subject.n_rows:,} rows × {found.n_features:,} features"
        if subject.n_rows
        else f"{found.n_features:,} features"
    )
    return page(
        f"Mixture{of_what}",
        f"A Gaussian mixture of {shape}",
        f"<strong>{text(kind)}</strong>{bullets(_sentences(subject))}",
        [
            how_many(subject),
            which_is_what(subject),
            is_it_good(subject),
            *how_sure(subject),
            how_it_ended(mixture),
            how_computed(origin, mixture, speed_of(mixture)),
        ],
    )


def _sentences(subject: Subject) -> list[str]:
    """Say what there is to know, if no more is read."""
    mixture, said = subject.mixture, []
    k, *_ = subject.heaviest
    if len(subject.heaviest) > 1:
        said.append(
            f"The heaviest component, {k}, has {percentage(subject.parameters.weights[k])} of the weight."
        )
    if hasattr(mixture, "converged_"):
        said.append(
            "The fit converged."
            if mixture.converged_
            else "The fit stopped before it converged: see how it ended."
        )
    if hasattr(mixture, "measurement_errors_"):
        said.append("The rows were measured with errors: the mixture is that of their true values.")
    if subject.rows is not None and not subject.lacks_errors and len(subject.heaviest) > 1:
        said.append(
            f"{percentage(subject.share_unsure)} of the rows are less than {percentage(UNSURE)} sure to be "
            "of their component."
        )
    n_dropped = getattr(mixture, "n_rows_dropped_", 0)
    if n_dropped:
        said.append(f"{n_dropped:,} rows that lack values were left out.")
    if n_incomplete := getattr(mixture, "n_rows_incomplete_", 0):
        by_feature = lacked_by_feature(mixture.n_missing_.tolist(), subject.names)
        said.append(f"{n_incomplete:,} rows lack values, and count by what is observed: {by_feature}.")
    return said


def how_many(subject: Subject) -> Section:
    """Say how many components there are, and show their weights."""
    mixture, found = subject.mixture, subject.parameters
    n_drawn, n_all = len(subject.heaviest), found.n_components
    if hasattr(mixture, "elbo_"):
        said = (
            f"Up to {n_all:,} components were allowed, and {n_drawn:,} have rows: variational Bayes empties "
            "components that the rows do not need."
        )
    else:
        said = (
            f"The number of components was given: {n_all:,}. dgmm sweep or "
            "GaussianMixtureSweep shows whether another number fits better: it fits many in the same passes."
        )
    return Section("number", "How many components", paragraph(said) + _weights(subject) + groups_of(mixture))


def _weights(subject: Subject) -> str:
    chosen, weights = subject.heaviest[:WEIGHTS_DRAWN], subject.parameters.weights

    def draw(ax: Axes) -> None:
        ax.bar(range(len(chosen)), weights[chosen], color=[color_of(k) for k in chosen], width=0.75)
        step = -(-len(chosen) // 12)
        places: Sequence[int] = range(0, len(chosen), step)
        ax.set_xticks(places, [str(chosen[place]) for place in places])
        ax.axhline(1.0 / len(subject.heaviest), color=GREY, linewidth=1.0, linestyle="--")
        label(ax, "component", "weight")

    left = len(subject.heaviest) - len(chosen)
    more = f"; {left:,} lighter ones are not drawn" if left else ""
    caption = f"Weights of the components, the heaviest first{more}. The dashed line: if all were equal."
    return figure(draw, caption, size=(PANEL[0], 2.5))
