"""Columns of text as numbers."""
# pyright: reportArgumentType=false

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest

from dgmm.data import DataError
from dgmm.data.categories import categories_of, numbers_of

TEXT = ["b", "a", "c", "a"]

COLUMNS = {
    "list": TEXT,
    "array": np.array(TEXT),
    "objects": np.array(TEXT, dtype=object),
    "bytes": np.array(TEXT, dtype="S1"),
    "pandas": pd.Series(TEXT),
    "category": pd.Series(TEXT, dtype="category"),
    "polars": pl.Series(TEXT),
    "dask": dd.from_pandas(pd.Series(TEXT, name="x"), npartitions=2),
    "dask array": da.from_array(np.array(TEXT), chunks=3),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_text_of_all_kinds(column):
    categories = categories_of(column)
    assert categories is not None
    assert categories.tolist() == ["a", "b", "c"]
    numbers = numbers_of(column, categories)
    assert np.asarray(numbers).tolist() == [1.0, 0.0, 2.0, 0.0]
    assert numbers.dtype == np.float64


@pytest.mark.parametrize(
    "column",
    [
        [1, 2],
        np.arange(3),
        np.eye(2),
        pd.Series([1.5, None]),
        "groups.zarr",
        dd.from_pandas(pd.Series([1, 2]), npartitions=1),
        da.arange(3),
        pd.Series([1, 2], dtype="category"),
    ],
)
def test_what_holds_no_text(column):
    assert categories_of(column) is None


def test_values_that_are_no_text_or_not_known():
    with pytest.raises(DataError, match="row 1 of a column of text holds 3"):
        categories_of(["a", 3])
    with pytest.raises(DataError, match="row 2 of a column of text holds nan"):
        categories_of(pd.Series(["a", "b", None]).to_numpy())
    with pytest.raises(DataError, match="groups holds 'z', which is none of the 2 groups of the fit"):
        numbers_of(["a", "z"], np.array(["a", "b"]))
