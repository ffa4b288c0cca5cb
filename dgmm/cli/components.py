"""The commands ``components`` and ``merge``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, cast

import click
import numpy as np

from dgmm import report
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import load_model, open_for
from dgmm.cli.options import at_urls, missing_in_rows, overwriting, reading_rows
from dgmm.cli.output import TABLES, Result, check_output, write
from dgmm.cli.program import main
from dgmm.cli.side_information import SideInformation, of_judged
from dgmm.estimators.errors import ErrorsLike
from dgmm.facts import Exhibit, Said, fact

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
    side_information: SideInformation,
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
    labels = merges.labels(n_clusters)
    members = [np.flatnonzero(labels == label) for label in range(n_clusters)]
    shares = [mixture.weights_[own].sum() for own in members]
    found = [
        [str(label), f"{weight:.4f}", _joined(own)]
        for label, (weight, own) in enumerate(zip(shares, members, strict=True))
    ]
    whole = merges.entropies[-1]
    return [
        report.rows_fact(source),
        *side_information.facts,
        Exhibit(
            report.table(["clusters", "merged", "with", "entropy, nats a row"], lines) if lines else "",
            {
                "merges": [
                    dict(zip(("n_clusters", "merged", "with", "entropy"), step, strict=True))
                    for step in steps
                ]
            },
        ),
        fact("entropy", f"{whole:.5f} nats a row, of {n_components:,} components", entropy=whole),
        fact("clusters", n_clusters, n_clusters=n_clusters),
        *([] if out is None else [report.written("labels", out)]),
        Exhibit(
            report.table(["cluster", "weight", "components"], found),
            {
                "clusters": [
                    {"cluster": label, "weight": weight, "components": own}
                    for label, (weight, own) in enumerate(zip(shares, members, strict=True))
                ]
            },
        ),
    ]


def _joined(numbers: Any) -> str:
    return ", ".join(map(str, sorted(numbers)))
