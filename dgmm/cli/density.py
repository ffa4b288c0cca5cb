"""The commands ``marginal``, ``condition``, ``impute`` and ``regress``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import click

from dgmm import report
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import features_found, load_model, names_of_features, open_for, save_model
from dgmm.cli.options import at_urls, features_option, overwriting, reading_rows, seeded, to_a_model
from dgmm.cli.output import TABLES, Result, check_output, n_without_values, write
from dgmm.cli.program import main
from dgmm.estimators.empty_rows import FILLED, REGRESSED, warn_without_values
from dgmm.estimators.features import column_names
from dgmm.estimators.imputing import METHODS
from dgmm.facts import Exhibit, Said

to_a_table = click.option("--out", required=True, metavar="ROWS.zarr|.parquet", help="Where to write.")


def _values(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, float]:
    values: dict[str, float] = {}
    for pair in pairs:
        feature, _sign, text = pair.rpartition("=")
        if feature in values:
            raise click.BadParameter(f"{feature!r} is given twice")
        try:
            values[feature] = float(text)
        except ValueError:
            feature = ""
        if not feature:
            raise click.BadParameter(f"{pair!r} is not of the form FEATURE=1.5")
    return values


def _save(
    mixture: Any, out: str, storage_options: dict[str, Any] | None, *, overwrite: bool
) -> Sequence[Said]:
    save_model(mixture, out, storage_options, overwrite=overwrite)
    names = column_names(getattr(mixture, "feature_names_in_", None), mixture.n_features_in_)
    return [report.features_fact(names), report.written("model", out), report.components(mixture)]


@main.command()
@click.argument("model")
@features_option("--features", "Features to keep, in this order.")
@to_a_model
@overwriting
@at_urls
def marginal(
    *, model: str, features: list[str], out: str, overwrite: bool, storage_option: dict[str, Any] | None
) -> Sequence[Said]:
    """Write the marginal model of some features."""
    check_output(out, (".npz",), overwrite=overwrite, storage_options=storage_option)
    mixture = load_model(model, storage_option)
    return _save(
        mixture.marginal(features_found(mixture, features)), out, storage_option, overwrite=overwrite
    )


@main.command()
@click.argument("model")
@click.argument("known", nargs=-1, required=True, metavar="FEATURE=VALUE...", callback=_values)
@to_a_model
@overwriting
@at_urls
def condition(
    *,
    model: str,
    known: dict[str, float],
    out: str,
    overwrite: bool,
    storage_option: dict[str, Any] | None,
) -> Sequence[Said]:
    """Write the conditional model: of the other features, given values of some."""
    check_output(out, (".npz",), overwrite=overwrite, storage_options=storage_option)
    mixture = load_model(model, storage_option)
    values = dict(zip(features_found(mixture, [*known]), known.values(), strict=True))
    return _save(mixture.condition(values), out, storage_option, overwrite=overwrite)


@main.command()
@click.argument("model")
@click.argument("data")
@to_a_table
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="mean",
    show_default=True,
    help="What replaces a missing value: its conditional mean, a random draw, or its mode.",
)
@seeded
@overwriting
@reading_rows
@on_a_cluster()
def impute(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    out: str,
    method: Any,
    seed: int,
    overwrite: bool,
) -> Sequence[Said]:
    """Write the rows of DATA with missing values filled in, given the observed ones.

    Values that are there stay as they are. In Parquet the columns are called as the model's features, or
    x0, x1, …
    """
    storage_options = opening["storage_options"]
    check_output(out, TABLES, overwrite=overwrite, storage_options=storage_options)
    mixture = load_model(model, storage_options, data)
    source = open_for(mixture, data, opening)
    function = mixture._imputation(source, method, seed)
    names = names_of_features(mixture, source)
    with cluster.joined(source):
        result = replace(Result.by(function, names), said=n_without_values)
        n_empty = write(source, result, out, "impute", overwrite=overwrite, storage_options=storage_options)
    warn_without_values(n_empty, source.n_rows, FILLED)
    return [
        report.rows_fact(source),
        report.features_fact(names),
        report.written("imputed", out),
        Exhibit("", {"n_rows_without_values": n_empty}),
    ]


@main.command()
@click.argument("model")
@click.argument("data")
@features_option("--targets", "Features to predict.")
@features_option("--known", "Features that DATA has.  [default: all others]", is_required=False)
@to_a_table
@overwriting
@reading_rows
@on_a_cluster()
def regress(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    targets: list[str],
    known: list[str] | None,
    out: str,
    overwrite: bool,
) -> Sequence[Said]:
    """Write predictions of some features of each row, given others.

    That is a mean and a covariance for each row of DATA. In Parquet the columns are called as the targets,
    and cov(A, A), cov(A, B), …: covariances row by row.
    """
    storage_options = opening["storage_options"]
    check_output(out, TABLES, overwrite=overwrite, storage_options=storage_options)
    mixture = load_model(model, storage_options, data)
    given = None if known is None else features_found(mixture, known)
    source, function, _, columns = mixture._regression(
        data, features_found(mixture, targets), given, **opening
    )
    if source.n_rows == 0:
        raise ValueError(f"{data} has no rows")
    names = tuple(map(str, function.columns or ()))
    with cluster.joined(source):
        said = partial(n_without_values, columns=columns)
        result = replace(Result.by(function, names), said=said)
        n_empty = write(source, result, out, "regress", overwrite=overwrite, storage_options=storage_options)
    warn_without_values(n_empty, source.n_rows, REGRESSED)
    return [
        report.rows_fact(source),
        report.columns_fact(names, out),
        Exhibit("", {"n_rows_without_values": n_empty}),
    ]
