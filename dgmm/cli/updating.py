"""The commands ``update`` and ``forget``, which take rows into a model and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from dgmm import report
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import load_model, open_for, save_model
from dgmm.cli.options import missing_in_updates, overwriting, reading_rows, to_a_model
from dgmm.cli.output import check_output
from dgmm.cli.program import main
from dgmm.cli.side_information import SideInformationOptions, side_information_options, weights_of_rows
from dgmm.facts import Said


@main.command()
@click.argument("model")
@click.argument("data")
@to_a_model
@click.option("--name", help="A name for these rows, to forget them by.  [default: update 1, update 2, …]")
@side_information_options(weights_of_rows)
@missing_in_updates
@overwriting
@reading_rows
@on_a_cluster()
def update(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    out: str,
    name: str | None,
    side_information: SideInformationOptions,
    missing: str | None,
    overwrite: bool,
) -> Sequence[Said]:
    """Add the rows of DATA to MODEL, without reading its earlier rows again.

    It is a step of EM, in which the rows that were there keep the responsibilities that they had.
    """
    check_output(out, (".npz",), overwrite=overwrite, storage_options=opening["storage_options"])
    mixture = load_model(model, opening["storage_options"], data)
    source = open_for(mixture, data, opening, missing)
    known = side_information.parts(data, opening["storage_options"])
    with cluster.joined(source):
        mixture.update(source, **known, name=name)
    return [report.rows_fact(source), *_saved(mixture, out, opening, overwrite=overwrite)]


@main.command()
@click.argument("model")
@click.argument("data", required=False)
@to_a_model
@click.option("--name", help="The name of the rows, instead of DATA: the rows need not exist any more.")
@side_information_options(weights_of_rows)
@overwriting
@reading_rows
@on_a_cluster()
def forget(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str | None,
    out: str,
    name: str | None,
    side_information: SideInformationOptions,
    overwrite: bool,
) -> Sequence[Said]:
    """Remove the rows of DATA from MODEL: all rows of an update, or of its fit.

    The model is then, to the last bit, what it would be if their sums had not been added.
    """
    if (data is None) == (name is None):
        raise click.UsageError("give the rows to forget as DATA, or the --name that they were added by")
    check_output(out, (".npz",), overwrite=overwrite, storage_options=opening["storage_options"])
    mixture = load_model(model, opening["storage_options"], data)
    if data is None:
        mixture.forget(name=name)
        return _saved(mixture, out, opening, overwrite=overwrite)
    source = open_for(mixture, data, opening)
    known = side_information.parts(data, opening["storage_options"])
    with cluster.joined(source):
        mixture.forget(source, **known)
    return [report.rows_fact(source), *_saved(mixture, out, opening, overwrite=overwrite)]


def _saved(mixture: Any, out: str, opening: dict[str, Any], *, overwrite: bool) -> list[Said]:
    save_model(mixture, out, opening["storage_options"], overwrite=overwrite)
    return [report.partitions_fact(mixture), report.bound_fact(mixture), report.written("model", out)]
