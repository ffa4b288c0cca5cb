"""The commands ``predict``, ``score``, ``sample``, ``info``, ``convert`` and ``demo``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
import numpy as np

import dgmm
from dgmm import report
from dgmm.cli.checkpoints import checkpoint_facts, is_checkpoint
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.kept_columns import Together, write_with_columns
from dgmm.cli.models import following_advice, load_model, open_for, open_rows
from dgmm.cli.options import (
    at_urls,
    missing_in_rows,
    names_of,
    overwriting,
    reading_rows,
    seeded,
)
from dgmm.cli.output import TABLES, Result, check_output, n_without_values, write
from dgmm.cli.program import main
from dgmm.cli.side_information import (
    SideInformationOptions,
    groups_to_judge,
    of_errors,
    of_judged,
    side_information_options,
)
from dgmm.data.source import Source
from dgmm.data.writing import check_target
from dgmm.estimators.base import Quantity
from dgmm.estimators.empty_rows import JUDGED, warn_without_values
from dgmm.estimators.features import column_names
from dgmm.estimators.model_file import is_model_file
from dgmm.facts import Exhibit, Said, fact
from dgmm.model.criteria import aic, bic

COLUMNS = {"labels": ("label",), "log_densities": ("log_density",)}
"""What is written of each row, but of probabilities: a column for each component."""
DRAWN_TOGETHER = 2**23
"""Bytes of new rows that a task draws."""


@main.command()
@click.argument("model")
@click.argument("data")
@click.option("--out", required=True, metavar="LABELS.zarr|.parquet", help="Where to write.")
@click.option("--proba", is_flag=True, help="Probabilities of the components instead of labels.")
@click.option("--scores", is_flag=True, help="Log densities, in nats, instead of labels.")
@click.option(
    "--keep",
    multiple=True,
    metavar="A,B",
    callback=names_of,
    help="Columns of Parquet files to copy to the output: labels, log densities and probabilities are "
    "then written with them to the folder --out, in files as those of DATA.",
)
@side_information_options(groups_to_judge, *of_errors)
@missing_in_rows
@overwriting
@reading_rows
@on_a_cluster()
def predict(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    out: str,
    proba: bool,
    scores: bool,
    keep: list[str] | None,
    side_information: SideInformationOptions,
    missing: str | None,
    overwrite: bool,
) -> Sequence[Said]:
    """Write the most probable component of each row of DATA.

    They are written chunk by chunk, in the order of the rows. In Parquet the columns are called label;
    proba_0, proba_1, …; or log_density.
    """
    if proba and scores:
        raise click.UsageError("give --proba or --scores, not both")
    at_urls = {"overwrite": overwrite, "storage_options": opening["storage_options"]}
    if keep is None:
        check_output(out, TABLES, **at_urls)
    elif out.rstrip("/").endswith((".zarr", ".npz")):
        raise click.UsageError(
            f"with --keep a folder of Parquet files is written: --out {out} is named otherwise"
        )
    else:
        check_target(out.rstrip("/"), **at_urls)
    mixture = load_model(model, opening["storage_options"], data)
    source = open_for(mixture, data, opening, missing)
    wanted: tuple[Quantity, ...] = (
        ("labels",) if keep is None else ("labels", "log_densities", "responsibilities")
    )
    if proba or scores:
        wanted = ("responsibilities",) if proba else ("log_densities",)
    own = side_information.parts(data, opening["storage_options"]).get("groups")
    measured = side_information.measured(data, source, opening["storage_options"])
    rows, results = measured.joined, []
    for quantity in wanted:
        rows, function = mixture._judged(quantity, measured, own)
        columns = COLUMNS.get(quantity, tuple(f"proba_{k}" for k in range(len(mixture.weights_))))
        results.append(replace(Result.by(function, columns), said=n_without_values))
    result = results[0] if len(results) == 1 else Together.of(results)
    with cluster.joined(source):
        if keep is None:
            n_empty = write(rows, result, out, "predict", **at_urls)
        else:
            n_empty = write_with_columns(source, rows, result, keep, out.rstrip("/"), **at_urls)
    warn_without_values(n_empty, source.n_rows, JUDGED)
    return [
        report.rows_fact(source),
        *side_information.facts,
        report.columns_fact((*(keep or ()), *result.columns), out),
        Exhibit("", {"n_rows_without_values": n_empty}),
    ]


@main.command()
@click.argument("model")
@click.argument("data")
@of_judged
@missing_in_rows
@reading_rows
@on_a_cluster()
def score(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    side_information: SideInformationOptions,
    missing: str | None,
) -> Sequence[Said]:
    """Print how well a model describes DATA.

    That is its log-likelihood; and, but of a Bayesian model, BIC and AIC. Weights of rows count rows.
    """
    at_urls = opening["storage_options"]
    mixture = load_model(model, at_urls, data)
    source = open_for(mixture, data, opening, missing)
    known = side_information.known(data, source, at_urls)
    with cluster.joined(source):
        scored = mixture._scored(source, **known)
    mean = scored.total / scored.weight
    found: list[Said] = [
        report.rows_fact(source),
        *side_information.facts,
        fact("log-likelihood", f"{mean:.6f} nats a row", log_likelihood=mean),
    ]
    if hasattr(mixture, "bic"):
        n_parameters = mixture._n_parameters(known.get("groups"))
        by_bayes = bic(scored.total, n_parameters, scored.weight)
        by_akaike = aic(scored.total, n_parameters)
        found += [
            fact("BIC", f"{by_bayes:.3f}", bic=by_bayes),
            fact("AIC", f"{by_akaike:.3f}", aic=by_akaike),
        ]
    return found


@main.command()
@click.argument("model")
@click.option("-n", "--rows", type=click.IntRange(1), required=True, help="Number of rows to draw.")
@click.option("--out", required=True, metavar="X.zarr|.parquet", help="Where to write.")
@seeded
@overwriting
@at_urls
@on_a_cluster()
def sample(
    *,
    cluster: Cluster,
    model: str,
    rows: int,
    out: str,
    seed: int,
    overwrite: bool,
    storage_option: dict[str, Any] | None,
) -> Sequence[Said]:
    """Draw random rows from a model and write them, chunk by chunk."""
    check_output(out, TABLES, overwrite=overwrite, storage_options=storage_option)
    mixture = load_model(model, storage_option).set_params(random_state=seed)
    drawn, _ = mixture.sample(rows, chunks=DRAWN_TOGETHER // (8 * mixture.n_features_in_) or 1)
    names = column_names(getattr(mixture, "feature_names_in_", None), mixture.n_features_in_)
    source = dgmm.open_dataset(drawn)
    with cluster.joined(source):
        result = rows_of(source, names)
        write(source, result, out, "sample", overwrite=overwrite, storage_options=storage_option)
    return [report.rows_fact(source), report.features_fact(names), report.written("sample", out)]


@main.command()
@click.argument("path", metavar="MODEL|CHECKPOINT|DATA")
@click.option("--fingerprint", is_flag=True, help="Read all rows of DATA, to compare them with a model's.")
@reading_rows
@on_a_cluster()
def info(*, cluster: Cluster, path: str, fingerprint: bool, opening: dict[str, Any]) -> Sequence[Said]:
    """Say what a model file or a data set holds, or how far a checkpoint is."""
    if is_checkpoint(path, opening["storage_options"]):
        return checkpoint_facts(path, opening["storage_options"])
    if not is_model_file(path):
        source = dgmm.open_dataset(path, **opening)
        facts = [*report.source_facts(source), *report.checksum_facts(source)]
        if fingerprint:
            with cluster.joined(source):
                facts.append(report.fingerprint_fact(str(dgmm.fingerprint(source))))
        return facts
    mixture = load_model(path, opening["storage_options"])
    return [
        fact("model", path, model=path),
        fact(
            "features",
            mixture.n_features_in_,
            n_features=mixture.n_features_in_,
            feature_names=getattr(mixture, "feature_names_in_", None),
        ),
        *report.model_facts(mixture),
        report.components(mixture),
        *report.groups(mixture),
    ]


def rows_of(source: Source, names: tuple[str, ...] = ()) -> Result:
    """Return what is written for the rows themselves."""
    return Result(attrgetter("values"), names, (source.n_features,), np.dtype(source.dtype))


@main.command()
@click.argument("data")
@click.argument("out", metavar="OUT.zarr")
@overwriting
@reading_rows
@on_a_cluster()
def convert(
    *, cluster: Cluster, opening: dict[str, Any], data: str, out: str, overwrite: bool
) -> Sequence[Said]:
    """Write DATA as one Zarr array with checksummed chunks, which is the fastest to read.

    The numbers stay as they are, float32 or float64; others become float64.
    """
    check_output(out, (".zarr",), overwrite=overwrite, storage_options=opening["storage_options"])
    with following_advice():
        source = open_rows(data, opening)
    with cluster.joined(source):
        write(
            source,
            rows_of(source),
            out,
            "convert",
            overwrite=overwrite,
            storage_options=opening["storage_options"],
        )
    found = dgmm.open_dataset(out, storage_options=opening["storage_options"])
    return [*report.source_facts(found), Exhibit("", {"out": out})]


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="dgmm-demo",
    show_default=True,
    help="Folder for the stars, the model and the picture.",
)
@click.option("-k", "--components", type=click.IntRange(1, 24), default=12, show_default=True)
@on_a_cluster(workers=2)
def demo(*, cluster: Cluster, out: Path, components: int) -> Sequence[Said]:
    """Fit a mixture to the brightest stars of Gaia DR3, draw it, and compare sizes."""
    from dgmm import demo as gaia  # noqa: PLC0415 - it needs an extra

    with cluster.joined():
        model, picture = gaia.run(out, components)
        page = gaia.choose(out)
    described = report.table(gaia.DESCRIPTION_COLUMNS, gaia.describe(model))
    return [
        *report.model_facts(model),
        Exhibit(described, report.components(model).values),
        fact("picture", picture, picture=picture),
        fact("sweep", page, sweep=page),
        fact("data", gaia.CREDIT, data=gaia.CREDIT),
    ]
