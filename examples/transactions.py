"""Fit a mixture to a folder of transactions, and write each one's component beside its number.

The folder is as a database exports it: partitions by month, numbers that identify rows, text and dates. Only
what was measured is fitted.

    python examples/transactions.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dgmm import GaussianMixture, open_dataset

MONTHS = ("2026-01", "2026-02", "2026-03")
ROWS_A_MONTH = 20_000
MEASURED = ["amount_log", "hour", "distance_km"]
KINDS = pd.DataFrame(
    {
        "amount_log": [1.5, 3.2, 5.0],
        "hour": [8.5, 18.0, 13.0],
        "distance_km": [2.0, 6.0, 40.0],
        "share": [0.5, 0.35, 0.15],
    },
    index=["coffee", "groceries", "travel"],
)
WIDTHS = np.array([0.3, 1.2, 1.5])


def write_month(folder: Path, number: int, month: str) -> None:
    """Write a month's transactions, in an order of columns of its own."""
    rng = np.random.default_rng(number)
    kind = rng.choice(KINDS.index, ROWS_A_MONTH, p=KINDS["share"])
    measured = KINDS.loc[kind, MEASURED].to_numpy() + WIDTHS * rng.standard_normal((ROWS_A_MONTH, 3))
    frame = pd.DataFrame(measured, columns=MEASURED)
    frame["tx_id"] = 2**53 + number * ROWS_A_MONTH + rng.permutation(ROWS_A_MONTH)
    frame["merchant"] = kind
    frame["booked"] = pd.Timestamp(month) + pd.to_timedelta(rng.integers(0, 28, ROWS_A_MONTH), unit="D")
    path = folder / f"month={month}"
    path.mkdir(parents=True)
    columns = list(frame.columns) if number % 2 else list(frame.columns)[::-1]
    frame[columns].to_parquet(path / "part-0.parquet")


def main() -> None:
    """Fit the measured columns, and write the labels, partition by partition."""
    with tempfile.TemporaryDirectory() as root:
        folder, labelled = Path(root, "transactions"), Path(root, "labelled")
        for number, month in enumerate(MONTHS):
            write_month(folder, number, month)

        # Without columns= a warning would name what is left out (merchant, booked, month) and what looks like
        # no measurement (tx_id).
        transactions = open_dataset(folder, columns=MEASURED)
        print(f"{transactions.n_rows:,} transactions of {', '.join(transactions.feature_names or ())}")
        gmm = GaussianMixture(3, sample_rows=10_000, random_state=0).fit(transactions)
        print(pd.DataFrame(gmm.means_, columns=gmm.feature_names_in_).round(2))

        # The model finds its columns by their names, so that each file goes in as it is.
        for path in sorted(folder.glob("month=*/*.parquet")):
            labels = np.asarray(gmm.predict(path))
            target = labelled / path.relative_to(folder)
            target.parent.mkdir(parents=True)
            numbers = pq.ParquetFile(path).read(columns=["tx_id"])
            pq.write_table(numbers.append_column("component", pa.array(labels)), target)

        written = pd.read_parquet(labelled)[["tx_id", "component"]]
        stored = pd.read_parquet(folder)[["tx_id", "merchant"]]
        table = stored.merge(written, on="tx_id", validate="one_to_one")
        counts = table.groupby(["merchant", "component"]).size().unstack(fill_value=0)
        print(counts)
        found = np.asarray(gmm.means_)[counts.loc[KINDS.index].to_numpy().argmax(axis=1)]
        np.testing.assert_allclose(found, KINDS[MEASURED], atol=0.15)
        assert len(table) == len(MONTHS) * ROWS_A_MONTH
        assert counts.max(axis=1).sum() / len(table) > 0.97


if __name__ == "__main__":
    main()
