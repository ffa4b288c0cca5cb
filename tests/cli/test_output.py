"""Results for every row, as Zarr and as Parquet: the same values, whole or not at all."""

# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false, reportOperatorIssue=false
import os
from dataclasses import dataclass, replace
from pathlib import Path

import dask
import numpy as np
import pyarrow.dataset
import pytest
import zarr
from distributed import Client, LocalCluster

from dgmm.cli import output
from dgmm.cli.output import Result, check_output, write
from dgmm.data import open_dataset, stores
from dgmm.passes.task import ChunkRows
from tests.dying import die, mark


def sums(rows: ChunkRows) -> np.ndarray:
    return rows.values.sum(axis=1)


def swapped(rows: ChunkRows) -> np.ndarray:
    return rows.values[:, ::-1].astype(np.float64)


ONE = Result(sums, ("sum",), (), np.dtype(np.float32))
TWO = Result(swapped, ("b", "a"), (2,), np.dtype(np.float64))


def test_bytes_of_a_row():
    assert (ONE.row_bytes, TWO.row_bytes) == (4, 16)


@pytest.mark.parametrize("result", [ONE, TWO], ids=["one column", "two columns"])
def test_zarr_has_every_row_in_its_place(rows_zarr, three_clusters, tmp_path: Path, result):
    path = str(tmp_path / "out.zarr")
    write(open_dataset(rows_zarr), result, path, "test")
    expected = three_clusters.sum(axis=1) if result is ONE else three_clusters[:, ::-1]
    found = zarr.open_array(path, mode="r")
    assert found.dtype == result.dtype
    np.testing.assert_array_equal(found[:], expected)


@pytest.mark.parametrize("part_rows", [1, 700, 10**6])
def test_parquet_has_files_in_order(rows_zarr, three_clusters, tmp_path: Path, monkeypatch, part_rows):
    monkeypatch.setattr(output, "PART_ROWS", max(part_rows, 400))
    path = tmp_path / "out.parquet"
    write(open_dataset(rows_zarr), TWO, str(path), "test")
    files = sorted(path.glob("*.parquet"))
    assert len(files) == -(-len(three_clusters) // max(part_rows, 400))
    table = pyarrow.dataset.dataset([str(file) for file in files]).to_table()
    assert table.column_names == ["b", "a"]
    np.testing.assert_array_equal(np.column_stack([table["a"], table["b"]]), three_clusters)


@dataclass(frozen=True)
class Dying:
    """Ends its worker twice: what that has written is written again."""

    marks: str

    def __call__(self, rows: ChunkRows, values: np.ndarray) -> int:
        if rows.start == 1400 and mark(self.marks) < 2:
            die()
        return len(values)


@pytest.mark.parametrize("suffix", ["zarr", "parquet"])
def test_a_task_that_is_run_again_writes_the_same(rows_zarr, tmp_path: Path, monkeypatch, suffix):
    monkeypatch.setattr(output, "PART_ROWS", 700)
    monkeypatch.setattr(stores, "OUTPUT", replace(stores.OUTPUT, chunk_bytes=700 * 16))
    source = open_dataset(rows_zarr)
    once, again, marks = (str(tmp_path / name) for name in (f"once.{suffix}", f"again.{suffix}", "marks"))
    write(source, TWO, once, "test")
    Path(marks).mkdir()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=4, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        assert write(source, replace(TWO, said=Dying(marks)), again, "test") == source.n_rows
    files = [path.relative_to(once) for path in Path(once).rglob("*") if path.is_file()]
    assert len(files) >= 5
    assert sorted(files) == sorted(
        path.relative_to(again) for path in Path(again).rglob("*") if path.is_file()
    )
    assert all(Path(once, path).read_bytes() == Path(again, path).read_bytes() for path in files)
    assert len(os.listdir(marks)) == 3


@pytest.mark.parametrize("suffix", [".zarr", ".parquet"])
@pytest.mark.parametrize("result", [ONE, TWO], ids=["one column", "two columns"])
def test_no_rows_give_an_empty_table(tmp_path: Path, suffix, result):
    path = str(tmp_path / f"out{suffix}")
    write(open_dataset(np.empty((0, 2), np.float32)), result, path, "test")
    if suffix == ".zarr":
        assert zarr.open_array(path, mode="r").shape == (0, *result.shape)
    else:
        table = pyarrow.dataset.dataset(path).to_table()
        assert (table.num_rows, tuple(table.column_names)) == (0, result.columns)


def fails_at_the_end(rows: ChunkRows) -> np.ndarray:
    if rows.start + len(rows.values) == 3000:
        raise ValueError("not these rows")
    return sums(rows)


@pytest.mark.parametrize("suffix", [".zarr", ".parquet"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_leaves_what_was_there(rows_zarr, tmp_path: Path, monkeypatch, suffix, overwrite):
    monkeypatch.setattr(output, "PART_ROWS", 500)
    folder = tmp_path / "there"
    folder.mkdir()
    path = folder / f"out{suffix}"
    if overwrite:
        zarr.create_array(path, data=np.arange(4.0))
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match="not these rows"):
        write(
            open_dataset(rows_zarr),
            Result(fails_at_the_end, ("sum",), (), ONE.dtype),
            str(path),
            "test",
            overwrite=overwrite,
        )
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["out.csv", "out", "outzarr", "out.zarr/x"])
def test_another_suffix_is_refused(tmp_path: Path, name):
    with pytest.raises(ValueError, match=r"must end in \.zarr or \.parquet"):
        check_output(str(tmp_path / name), output.TABLES, overwrite=False)


def test_what_is_there_is_refused_unless_it_is_to_be_overwritten(tmp_path: Path):
    table, file = tmp_path / "out.zarr", tmp_path / "model.npz"
    check_output(str(table), output.TABLES, overwrite=False)
    table.mkdir()
    file.touch()
    for path, suffixes in ((table, output.TABLES), (file, [".npz"])):
        with pytest.raises(FileExistsError):
            check_output(str(path), suffixes, overwrite=False)
        check_output(str(path), suffixes, overwrite=True)
