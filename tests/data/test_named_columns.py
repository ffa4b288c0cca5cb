"""Columns that say something of each row: by name, of whatever has names."""
# pyright: reportArgumentType=false

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import zarr

from dgmm.data import DataError, DataWarning, open_dataset
from dgmm.data.ambient import read_now
from dgmm.data.categories import categories_of
from dgmm.data.named_columns import column_named, column_of, has_column
from dgmm.data.open import open_side_information, open_without


@pytest.fixture
def table():
    return pd.DataFrame(
        {"a": np.arange(6.0), "kind": [0, 1, 0, -1, 1, 0], "who": list("ppqqrr"), "b": np.arange(6.0) ** 2}
    )


@pytest.fixture(params=["pandas", "polars", "polars lazy", "arrow", "dask", "parquet", "csv"])
def rows(request, table, tmp_path):
    """The table, as everything that has columns of text too."""
    table.to_parquet(tmp_path / "rows.parquet", row_group_size=4)
    table.to_csv(tmp_path / "rows.csv", index=False)
    return {
        "pandas": table,
        "polars": pl.from_pandas(table),
        "polars lazy": pl.from_pandas(table).lazy(),
        "arrow": pa.Table.from_pandas(table),
        "dask": dd.from_pandas(table, npartitions=2),
        "parquet": tmp_path / "rows.parquet",
        "csv": str(tmp_path / "rows.csv"),
    }[request.param]


def values(source):
    return read_now(source.rows(0, source.n_rows))


def test_numbers_and_text_by_name(rows, table):
    kind = open_side_information(column_of(rows, "kind"))
    assert (kind.n_rows, kind.n_features) == (6, 1)
    np.testing.assert_array_equal(values(kind)[:, 0], table["kind"])
    categories = categories_of(column_of(rows, "who"))
    assert categories is not None
    assert categories.tolist() == ["p", "q", "r"]
    assert has_column(rows, "who")
    assert not has_column(rows, "nobody")
    with pytest.raises(
        DataError, match=r"groups='nobody' is neither a column nor a path: .* no column 'nobody'"
    ):
        column_named(rows, "nobody", "groups")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_text_of_files_where_numbers_are_wanted_is_refused_by_name(table, tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    table.to_parquet(path) if kind == "parquet" else table.to_csv(path, index=False)
    with pytest.raises(DataError, match="column 'who' holds text"):
        values(open_side_information(column_of(path, "who")))


def test_rows_without_them(rows):
    """Nothing is told of what was taken aside."""
    source = open_without(rows, ["kind", "who"])
    assert source.feature_names == ("a", "b")
    with pytest.warns(DataWarning, match="column 'who' .* was left out"):
        assert open_without(rows, ["kind"]).feature_names == ("a", "b")


def test_columns_of_what_is_open(table):
    source = open_dataset(table[["a", "kind", "b"]], columns=["a", "kind", "b"])
    np.testing.assert_array_equal(values(column_of(source, "kind"))[:, 0], table["kind"])
    left = open_without(source, ["kind"])
    assert left.feature_names == ("a", "b")
    np.testing.assert_array_equal(values(left), table[["a", "b"]])


def test_a_column_and_a_file_of_one_name(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    zarr.create_array("kind", data=np.zeros(6))
    with pytest.raises(DataError, match="labels='kind' is a column of the rows, and there is a file"):
        column_named(table, "kind", "labels")
    assert column_named(table, "./kind", "labels") is None
    assert column_named(table.to_numpy(object), "kind", "labels") is None
