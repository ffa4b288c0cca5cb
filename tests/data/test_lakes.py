"""Tables of data lakes: the rows that they have now, not those that their folders hold."""

import sys

import numpy as np
import pyarrow as pa
import pytest

from dgmm import DataWarning, GaussianMixture, open_dataset
from dgmm.data import DataError
from tests.data.contract import check_reads_elsewhere, check_source, read

X = np.arange(40.0)
TABLE = pa.table({"x": X, "y": X[::-1] ** 2})
KEPT = np.column_stack([X, X[::-1] ** 2])[X >= 10]


def delta(folder):
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake(folder, TABLE.slice(0, 20))
    deltalake.write_deltalake(folder, TABLE.slice(20), mode="append")
    deltalake.DeltaTable(folder).delete("x < 10")
    return folder


def iceberg(folder):
    catalogs = pytest.importorskip("pyiceberg.catalog.sql")
    with_tables = catalogs.SqlCatalog("c", uri="sqlite:///:memory:", warehouse=f"file://{folder}")
    with_tables.create_namespace("n")
    table = with_tables.create_table("n.t", schema=TABLE.schema)
    for part in (TABLE.slice(0, 20), TABLE.slice(20)):
        table.append(part)
    table.delete("x < 10")
    with_tables.engine.dispose()
    return table.location().removeprefix("file://")


def lance(folder):
    module = pytest.importorskip("lance")
    module.write_dataset(TABLE.slice(0, 20), folder)
    module.write_dataset(TABLE.slice(20), folder, mode="append")
    module.dataset(folder).delete("x < 10")
    return folder


LAKES = {"delta": (delta, "deltalake"), "iceberg": (iceberg, "pyiceberg"), "lance": (lance, "lance")}


@pytest.mark.parametrize("kind", LAKES)
def test_rows_that_were_removed_are_not_read(kind, tmp_path):
    path = LAKES[kind][0](str(tmp_path / "table"))
    source = open_dataset(path)
    rows = read(source.rows(0, source.n_rows))
    order = np.argsort(rows[:, 0])
    np.testing.assert_array_equal(rows[order], KEPT)
    check_source(open_dataset(path, columns=["y"]), rows[:, [1]], ("y",))
    model = GaussianMixture(1).fit(path)
    np.testing.assert_allclose(model.means_[0], KEPT.mean(axis=0))


@pytest.mark.parametrize("kind", LAKES)
def test_without_its_reader_the_folder_is_refused(kind, tmp_path, monkeypatch):
    make, module = LAKES[kind]
    path = make(str(tmp_path / "table"))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"deleted rows.*pip install 'dgmm\[{kind}\]'"):
        open_dataset(path)


def test_columns_that_folders_of_a_delta_table_give(tmp_path):
    deltalake = pytest.importorskip("deltalake")
    table = TABLE.append_column("year", pa.array(np.repeat([2020, 2021], 20)))
    deltalake.write_deltalake(str(tmp_path), table, partition_by=["year"])
    expected = np.column_stack([X, np.repeat([2020, 2021], 20)])
    check_source(open_dataset(tmp_path, columns=["x", "year"]), expected, ("x", "year"))
    with pytest.warns(DataWarning, match="'year'"):
        assert open_dataset(tmp_path).feature_names == ("x", "y")


def test_columns_that_an_iceberg_table_renamed(tmp_path):
    catalogs = pytest.importorskip("pyiceberg.catalog.sql")
    with_tables = catalogs.SqlCatalog("c", uri="sqlite:///:memory:", warehouse=f"file://{tmp_path}")
    with_tables.create_namespace("n")
    table = with_tables.create_table("n.t", schema=TABLE.schema)
    table.append(TABLE)
    with table.update_schema() as update:
        update.rename_column("x", "z")
    with_tables.engine.dispose()
    with pytest.raises(DataError, match=r"calls column 'x' of .* 'z' now"):
        open_dataset(table.location().removeprefix("file://"))


def test_a_lance_table_of_vectors_read_elsewhere(tmp_path, elsewhere):
    module = pytest.importorskip("lance")
    vectors = np.arange(120, dtype="f4").reshape(40, 3)
    table = pa.table({"e": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 3)})
    module.write_dataset(table, str(tmp_path / "t.lance"))
    source = open_dataset(tmp_path / "t.lance")
    check_source(source, vectors, ("e[0]", "e[1]", "e[2]"))
    check_reads_elsewhere(source.rows(3, 30), elsewhere)
