"""The commands ``components`` and ``merge``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, cast

import click
import numpy as np
from numpy.typing import NDArray

from dgmm import report
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import load_model, open_for
from dgmm.cli.options import at_urls, missing_in_rows, overwriting, reading_rows
from dgmm.cli.output import TABLES, Result, check_output, write
from dgmm.cli.program import main
from dgmm.cli.side_information import SideInformationOptions, of_judged
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.merging import ComponentMerges
from dgmm.facts import Exhibit, Said, fact
from dgmm.model.matrices import Array

PAIRS_SHOWN = 10
"""Pairs of components that are shown, those that overlap most first."""


@main.command()
@click.argument("model")
@at_urls
def components(*, model: str, storage_option: dict[str, Any] | None) -> Sequence[Said]:
    """Print the components of a model, what distinguishes each, and which overlap."""
    mixture = load_model(model, storage_option)
    coefficients = mixture.overlap()
    pairs = sorted(combinations(range(len(coefficients)), 2), key=lambda pair: -coefficients[pair])
    lines = [[f"{i} and {j}", f"{coefficients[i, j]:.4f}"] for i, j in pairs[:PAIRS_SHOWN]]
    table = report.table(["components", "overlap (Bhattacharyya: 0 to 1)"], lines) if lines else ""
    return [report.components(mixture), Exhibit(table, {"overlap": coefficients})]


@main.command()
@click.argument("model")
@click.argument("data")
@click.option(
    "-k",
    "--clusters",
    type=click.IntRange(1),
    help="Number of clusters.  [default: at the elbow of the entropy]",
)
@click.option("--out", metavar="LABELS.zarr|.parquet", help="Where to write the cluster of each row.")
@of_judged
@missing_in_rows
@overwriting
@reading_rows
@on_a_cluster()
def merge(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    clusters: int | None,
    out: str | None,
    side_information: SideInformationOptions,
    missing: str | None,
    overwrite: bool,
) -> Sequence[Said]:
    """Merge components that share rows of DATA into clusters, pair by pair.

    Each merge is the one that makes the rows' clusters surest: that lowers the entropy of assignments most.
    """
    storage_options = opening["storage_options"]
    if out is not None:
        check_output(out, TABLES, overwrite=overwrite, storage_options=storage_options)
    mixture = load_model(model, storage_options, data)
    n_components = len(mixture.weights_)
    if clusters is not None and clusters > n_components:
        raise click.UsageError(f"-k {clusters} is more than the {n_components:,} components of {model}")
    source = open_for(mixture, data, opening, missing)
    known = side_information.parts(data, storage_options)
    measured = side_information.measured(data, source, storage_options)
    with cluster.joined(source):
        merges = mixture.merge(source, **known, errors=cast(ErrorsLike | None, measured.given))
        n_clusters = merges.n_clusters if clusters is None else clusters
        if out is not None:
            rows, function = mixture._judged("responsibilities", measured, known.get("groups"))
            function = merges.of_shares(function, n_clusters, "label")
            result = Result.by(function, ("label",))
            write(rows, result, out, "predict", overwrite=overwrite, storage_options=storage_options)
    whole = merges.entropies[-1]
    return [
        report.rows_fact(source),
        *side_information.facts,
        _steps(merges, n_components),
        fact("entropy", f"{whole:.5f} nats a row, of {n_components:,} components", entropy=whole),
        fact("clusters", n_clusters, n_clusters=n_clusters),
        *([] if out is None else [report.written("labels", out)]),
        _clusters(merges.labels(n_clusters), mixture.weights_),
    ]


def _steps(merges: ComponentMerges, n_components: int) -> Exhibit:
    """Show which components were merged, and how undecided rows are then."""
    steps = [
        (n_components - number, first, second, entropy)
        for number, ((first, second), entropy) in enumerate(
            zip(merges.merges, merges.entropies[-2::-1].tolist(), strict=True), start=1
        )
    ]
    lines = [
        [str(left), _joined(first), _joined(second), f"{entropy:.5f}"]
        for left, first, second, entropy in steps
    ]
    table = report.table(["clusters", "merged", "with", "entropy, nats a row"], lines) if lines else ""
    names = ("n_clusters", "merged", "with", "entropy")
    return Exhibit(table, {"merges": [dict(zip(names, step, strict=True)) for step in steps]})


def _clusters(labels: NDArray[np.int64], weights: Array) -> Exhibit:
    """Show the clusters that components of some labels make, with their weights."""
    members = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    clusters = [(label, weights[own].sum(), own) for label, own in enumerate(members)]
    lines = [[str(label), f"{weight:.4f}", _joined(own)] for label, weight, own in clusters]
    names = ("cluster", "weight", "components")
    return Exhibit(
        report.table([*names], lines),
        {"clusters": [dict(zip(names, cluster, strict=True)) for cluster in clusters]},
    )


def _joined(numbers: Any) -> str:
    return ", ".join(map(str, sorted(numbers)))
