"""The commands ``standard-errors`` and ``misfit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

import dgmm
from dgmm import report
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import load_model, open_for
from dgmm.cli.options import Number, missing_in_rows, reading_rows
from dgmm.cli.program import main
from dgmm.cli.side_information import SideInformationOptions, of_fits, of_labelled
from dgmm.estimators.certainty import KINDS, Intervals, StandardErrors
from dgmm.facts import Exhibit, Said, fact
from dgmm.model.information import Kind


@main.command("standard-errors")
@click.argument("model")
@click.argument("data")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="information",
    show_default=True,
    help="sandwich: valid even if the rows do not come from such a mixture.",
)
@click.option(
    "--level",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of confidence intervals.",
)
@of_fits
@missing_in_rows
@reading_rows
@on_a_cluster()
def standard_errors(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    kind: Kind,
    level: float,
    side_information: SideInformationOptions,
    missing: str | None,
) -> Sequence[Said]:
    """Print standard errors of a model's parameters, from the rows of DATA that it was fitted to.

    The parameters themselves, ± their standard errors; with --json, confidence intervals and the covariance
    of all estimates too.
    """
    at_urls = opening["storage_options"]
    mixture = load_model(model, at_urls, data)
    if not isinstance(mixture, dgmm.GaussianMixture):
        raise click.UsageError(
            f"{model} is a {type(mixture).__name__}: its posterior says how certain its parameters are; only "
            "a GaussianMixture has standard errors"
        )
    source = open_for(mixture, data, opening, missing)
    known = side_information.known(data, source, at_urls)
    with cluster.joined(source):
        found = mixture.standard_errors(source, kind, **known)
    return [
        report.rows_fact(source),
        *side_information.facts,
        fact("kind", kind, kind=kind),
        fact(
            "maximum",
            f"{found.distance:.2g} standard errors from these parameters",
            distance=found.distance,
        ),
        _errors(mixture, found, found.intervals(level)),
        *report.groups(mixture, found.group_weights),
    ]


def _errors(mixture: Any, found: StandardErrors, intervals: Intervals) -> Exhibit:
    columns, lines, n_more = report.error_lines(mixture, found)
    shown = report.table(columns, [cells for _, cells in lines])
    shown.caption = f"and {n_more:,} more features: see --json" if n_more else None
    own = {"weights": found.weights, "means": found.means, "covariances": found.covariances}
    if found.group_weights is not None:
        own["group_weights"] = found.group_weights
    return Exhibit(
        shown,
        {
            "standard_errors": own,
            "estimates": {name: getattr(found.estimates, name) for name in own},
            "level": intervals.level,
            "intervals": {name: np.asarray(getattr(intervals, name)) for name in own},
            "parameter_names": found.names,
            "covariance": found.covariance,
        },
    )


@main.command()
@click.argument("model")
@click.argument("data")
@of_labelled
@missing_in_rows
@reading_rows
@on_a_cluster()
def misfit(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    side_information: SideInformationOptions,
    missing: str | None,
) -> Sequence[Said]:
    """Print which components of a model are not Gaussian, judged by the rows of DATA.

    Distances of a component's rows are held against those of a normal distribution.
    """
    at_urls = opening["storage_options"]
    mixture = load_model(model, at_urls, data)
    source = open_for(mixture, data, opening, missing)
    known = side_information.known(data, source, at_urls)
    with cluster.joined(source):
        found = mixture.misfit(source, **known)
    columns, lines = report.misfit_lines(found)
    by_component = ("counts", "distances", "p_values", "beyond_99", "beyond_999", "kurtosis", "skewness")
    described = [
        {
            "component": k,
            "verdict": verdict,
            **{name: getattr(found, name)[k] for name in (*by_component, "histogram")},
        }
        for k, verdict in enumerate(found.verdicts)
    ]
    return [
        report.rows_fact(source),
        *side_information.facts,
        Exhibit(
            report.table(columns, [cells for _, cells in lines]),
            {"misfit": described, "edges": found.edges},
        ),
        Exhibit("\n".join(f"- {sentence}" for sentence in found.sentences), {"sentences": found.sentences}),
    ]
