"""The command ``outliers``, which finds rows of low density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from dgmm import report
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import load_model, names_of_features, open_for
from dgmm.cli.options import Finite, Number, missing_in_rows, overwriting, reading_rows
from dgmm.cli.output import Result, check_output, write
from dgmm.cli.program import main
from dgmm.cli.side_information import SideInformationOptions, of_weighted
from dgmm.estimators.empty_rows import count_in, warn_without_values
from dgmm.estimators.errors import refuse_measured
from dgmm.estimators.outlier_scores import SCORED, score_function, surprise_function
from dgmm.estimators.quantile import quantile
from dgmm.estimators.rowwise import RowFunction
from dgmm.estimators.validation import open_sample_weight
from dgmm.facts import Exhibit, Said, fact
from dgmm.passes.task import ChunkRows

CONTAMINATION = 0.01
"""The share of rows to call outliers, where neither it nor a threshold is given."""
LISTED = 10
"""Rows that are shown."""


@dataclass(frozen=True)
class OutlierTable:
    """What is written of each row: whether it is an outlier, its log density, and of outliers what is odd.

    Of features that a row lacks nothing is said.

    Attributes
    ----------
    scores, surprises : RowFunction
    threshold : float
        In nats: outliers have a lower log density.
    names : tuple of str
        Of the features.
    n_shown : int
        How many features are named, those of the greatest surprise first.
    """

    scores: RowFunction
    surprises: RowFunction
    threshold: float
    names: tuple[str, ...]
    n_shown: int

    @property
    def dtype(self) -> np.dtype:
        """The columns."""
        widest = f"U{max(map(len, self.names))}"
        numbers = range(1, self.n_shown + 1)
        features = [
            (f"{name}_{number}", kind)
            for number in numbers
            for name, kind in (("feature", widest), ("value", "f8"), ("surprise", "f8"))
        ]
        return np.dtype([("outlier", "?"), ("log_density", "f8"), *features])

    def of(self, chunk: ChunkRows) -> NDArray[Any]:
        """Return the table of a chunk: a field for each column."""
        found = np.zeros(len(chunk.values), self.dtype)
        for number in range(1, self.n_shown + 1):
            found[f"value_{number}"] = found[f"surprise_{number}"] = np.nan
        found["log_density"] = self.scores.of(chunk)
        found["outlier"] = found["log_density"] < self.threshold
        odd = np.flatnonzero(found["outlier"])
        rows = chunk.values[odd]
        surprises = self.surprises.of(chunk._replace(values=rows))
        order = np.argsort(-surprises, axis=1, kind="stable")
        for number, features in enumerate(order.T[: self.n_shown], start=1):
            there = np.flatnonzero(~np.isnan(rows[np.arange(len(odd)), features]))
            places, own = (there, features[there]), odd[there]
            found[f"feature_{number}"][own] = np.array(self.names)[features[there]]
            found[f"value_{number}"][own], found[f"surprise_{number}"][own] = rows[places], surprises[places]
        return found


@dataclass(frozen=True, eq=False)
class Unlikeliest:
    """How many outliers there are, and the rows of the lowest densities, at most `LISTED` of them.

    And how many rows have no value at all.
    """

    n_outliers: int
    n_empty: int
    numbers: NDArray[np.intp]
    rows: NDArray[Any]

    @classmethod
    def of(cls, chunk: ChunkRows, rows: NDArray[Any]) -> Unlikeliest:
        """Take note of a chunk's rows of an `OutlierTable`."""
        odd = np.flatnonzero(rows["outlier"])
        return cls(len(odd), count_in(chunk.values), chunk.start + odd, rows[odd])._cut()

    def __add__(self, other: Unlikeliest) -> Unlikeliest:
        joined = np.concatenate([self.numbers, other.numbers]), np.concatenate([self.rows, other.rows])
        counts = self.n_outliers + other.n_outliers, self.n_empty + other.n_empty
        return Unlikeliest(*counts, *joined)._cut()

    def _cut(self) -> Unlikeliest:
        least = np.argsort(self.rows["log_density"], kind="stable")[:LISTED]
        return replace(self, numbers=self.numbers[least], rows=self.rows[least])


@main.command()
@click.argument("model")
@click.argument("data")
@click.option("--out", required=True, metavar="TABLE.parquet", help="Where to write.")
@click.option(
    "--contamination",
    type=Number(0, 0.5, min_open=True),
    help=f"The share of DATA to call outliers. [default: {CONTAMINATION}]",
)
@click.option("--threshold", type=Finite(), help="Call rows below this log density (nats) outliers, instead.")
@click.option(
    "--features",
    "n_shown",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Features to name for each outlier.",
)
@of_weighted
@missing_in_rows
@overwriting
@reading_rows
@on_a_cluster()
def outliers(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str,
    out: str,
    contamination: float | None,
    threshold: float | None,
    n_shown: int,
    side_information: SideInformationOptions,
    missing: str | None,
    overwrite: bool,
) -> Sequence[Said]:
    """Write which rows of DATA are outliers, and which features make them so.

    The table has a line for each row, in their order: outlier, log_density, and of outliers feature_1,
    value_1 and surprise_1, feature_2, …: the features whose values the others let expect least, and −log of
    the chance of one as far out, in nats: 7 are one in a thousand. Of a row that lacks values, log_density is
    what is to be expected of it complete. With weights, --contamination is a share of these.
    """
    if contamination is not None and threshold is not None:
        raise click.UsageError(
            "give --contamination or --threshold, not both: either says which rows are outliers"
        )
    storage_options = opening["storage_options"]
    check_output(out, (".parquet",), overwrite=overwrite, storage_options=storage_options)
    mixture = load_model(model, storage_options, data)
    refuse_measured(mixture, "outliers")
    source = open_for(mixture, data, opening, missing)
    own = side_information.parts(data, storage_options)
    weights = open_sample_weight(own.get("sample_weight"), source)
    scores = score_function(mixture, source)
    with cluster.joined(source):
        if threshold is None:
            called = CONTAMINATION if contamination is None else contamination
            threshold = quantile(source, scores.of, called, weights, "threshold")
        table = OutlierTable(
            scores,
            surprise_function(mixture, source),
            threshold,
            names_of_features(mixture, source),
            min(n_shown, source.n_features),
        )
        result = Result(table.of, tuple(table.dtype.names or ()), (), table.dtype, Unlikeliest.of)
        found = write(source, result, out, "outliers", overwrite=overwrite, storage_options=storage_options)
    warn_without_values(found.n_empty, source.n_rows, SCORED)
    share = found.n_outliers / source.n_rows
    return [
        report.rows_fact(source),
        fact(
            "outliers",
            f"{found.n_outliers:,} ({share:.3%})",
            n_outliers=found.n_outliers,
            share=share,
        ),
        fact("threshold", f"{threshold:.6f} nats", threshold=threshold),
        report.written("table", out),
        Exhibit(laid_out(found) if found.n_outliers else "", {"unlikeliest": described(found)}),
        Exhibit("", {"n_rows_without_values": found.n_empty}),
    ]


def described(found: Unlikeliest) -> list[dict[str, Any]]:
    """Return the least likely rows: their numbers, log densities, and most surprising features."""
    columns = found.rows.dtype.names or ()
    n_features = sum(name.startswith("feature_") for name in columns)
    return [
        {
            "row": number,
            "log_density": row["log_density"],
            "features": [
                {name: row[f"{name}_{i}"] for name in ("feature", "value", "surprise")}
                for i in range(1, n_features + 1)
                if row[f"feature_{i}"]
            ],
        }
        for number, row in zip(found.numbers, found.rows, strict=True)
    ]


def laid_out(found: Unlikeliest) -> Any:
    """Lay out the least likely rows."""
    lines = []
    for each in described(found):
        odd = [f"{one['feature']} = {one['value']:.5g} ({one['surprise']:.1f})" for one in each["features"]]
        lines.append([str(each["row"]), f"{each['log_density']:.2f}", *odd])
    n_columns = max(3, *map(len, lines))
    lines = [line + [""] * (n_columns - len(line)) for line in lines]
    columns = ["row", "log density", "most surprising (nats)", *[""] * (n_columns - 3)]
    table = report.table(columns, lines)
    rest = found.n_outliers - len(lines)
    table.caption = f"and {rest:,} more outliers in the table" if rest else None
    return table
