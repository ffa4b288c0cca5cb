"""Fit a mixture to a folder of Parquet files on a Dask cluster, and write each row's component beside it.

The cluster is a small one on this machine; any other that a `Client` joins will do.

    python examples/parquet_on_a_cluster.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster

from dgmm import GaussianMixture

N_FILES = 6
ROWS_PER_FILE = 20_000
KINDS = pd.DataFrame(
    {"length": [5.0, 6.0, 6.6], "width": [3.4, 2.8, 3.0], "weight": [0.2, 0.5, 0.3]}, index=["a", "b", "c"]
)


def write_files(folder: Path) -> None:
    """Write the measurements of three kinds of flowers, a file at a time."""
    for number in range(N_FILES):
        rng = np.random.default_rng(number)
        kind = rng.choice(KINDS.index, ROWS_PER_FILE, p=KINDS["weight"])
        frame = KINDS.loc[kind, ["length", "width"]].reset_index(names="kind")
        frame[["length", "width"]] += 0.12 * rng.standard_normal((ROWS_PER_FILE, 2))
        frame.to_parquet(folder / f"part-{number}.parquet")


def main() -> None:
    """Fit, predict lazily, and write the labels with the rows."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        measured, labelled = Path(folder, "measured"), Path(folder, "labelled")
        measured.mkdir()
        write_files(measured)

        flowers = dd.read_parquet(measured)
        columns = flowers[["length", "width"]]
        gmm = GaussianMixture(3, sample_rows=10_000, random_state=0).fit(columns)
        print("features:", list(gmm.feature_names_in_))
        print(pd.DataFrame(gmm.means_, columns=gmm.feature_names_in_).round(2))

        # Nothing is computed until the labels are written, file by file.
        flowers.assign(component=gmm.predict(columns)).to_parquet(labelled)

        table = pd.read_parquet(labelled).groupby(["kind", "component"]).size().unstack(fill_value=0)
        print(table)
        found = gmm.means_[table.to_numpy().argmax(axis=1)]
        np.testing.assert_allclose(found, KINDS[["length", "width"]], atol=0.02)
        share_right = table.max(axis=1).sum() / table.to_numpy().sum()
        print(f"{share_right:.1%} of {N_FILES * ROWS_PER_FILE:,} flowers are with their own kind")
        assert share_right > 0.98


if __name__ == "__main__":
    main()
