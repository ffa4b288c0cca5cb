"""All that the types of rows and weights name is taken."""

from typing import Any, get_args

import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
import zarr

from dgmm.data import open_dataset, open_weights
from dgmm.data.types import (
    DataArray,
    Dataset,
    InMemory,
    Labelled,
    Location,
    RowsLike,
    Stored,
    SupportsArray,
    WeightsLike,
)
from tests.data.contract import rows_of

dd = pytest.importorskip("dask.dataframe")

ROWS = np.arange(12.0).reshape(4, 3)
WEIGHTS = np.arange(4.0)
FRAME = pd.DataFrame(ROWS, columns=["a", "b", "c"])


class Held:
    """An array of another library."""

    def __init__(self, values: np.ndarray):
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.values, dtype)


@pytest.fixture
def stored(tmp_path):
    FRAME.to_parquet(tmp_path / "rows.parquet")
    zarr.create_array(tmp_path / "rows.zarr", data=ROWS, chunks=(2, 3))
    pd.DataFrame({"w": WEIGHTS}).to_parquet(tmp_path / "weights.parquet")
    return tmp_path


KINDS_OF_ROWS = {
    "source": lambda path: open_dataset(ROWS),
    "text": lambda path: str(path / "rows.parquet"),
    "path": lambda path: path / "rows.zarr",
    "pattern": lambda path: f"{path}/rows.par*",
    "paths": lambda path: [path / "rows.parquet"],
    "zarr array": lambda path: zarr.open_array(path / "rows.zarr", mode="r"),
    "Dask array": lambda path: da.from_array(ROWS).rechunk((3, 2)),
    "Dask frame": lambda path: dd.from_pandas(FRAME, npartitions=2),
    "Dataset": lambda path: xr.Dataset({name: ("row", FRAME[name].to_numpy()) for name in FRAME}),
    "DataArray": lambda path: xr.DataArray(ROWS, dims=("row", "feature")),
    "pandas": lambda path: FRAME,
    "Polars": lambda path: pl.DataFrame(ROWS, schema=["a", "b", "c"]),
    "lazy Polars": lambda path: pl.LazyFrame(ROWS, schema=["a", "b", "c"]),
    "Arrow": lambda path: pa.Table.from_pandas(FRAME),
    "another array": lambda path: Held(ROWS),
    "lists": lambda path: ROWS.tolist(),
    "arrays in a list": lambda path: list(ROWS),
}

KINDS_OF_WEIGHTS = {
    "source": lambda path: open_weights(WEIGHTS),
    "path": lambda path: path / "weights.parquet",
    "Dask array": lambda path: da.from_array(WEIGHTS).rechunk(3),
    "Dask series": lambda path: dd.from_pandas(pd.Series(WEIGHTS, name="w"), npartitions=2),
    "DataArray": lambda path: xr.DataArray(WEIGHTS, dims="row"),
    "pandas": lambda path: pd.Series(WEIGHTS),
    "another array": lambda path: Held(WEIGHTS),
    "list": lambda path: WEIGHTS.tolist(),
}


@pytest.mark.parametrize("kind", KINDS_OF_ROWS)
def test_rows(kind, stored):
    np.testing.assert_array_equal(rows_of(open_dataset(KINDS_OF_ROWS[kind](stored))), ROWS)


@pytest.mark.parametrize("kind", KINDS_OF_WEIGHTS)
def test_weights(kind, stored):
    np.testing.assert_array_equal(rows_of(open_weights(KINDS_OF_WEIGHTS[kind](stored))), WEIGHTS[:, None])


def test_the_parts_are_in_the_whole():
    for part in (Stored, Labelled, InMemory, Location):
        assert set(get_args(part)) <= set(get_args(RowsLike))
    assert {*get_args(Stored), DataArray, Dataset, SupportsArray, float} <= set(get_args(WeightsLike))
