"""Zarr arrays and Parquet files: what tasks write is read again, and damage is found."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from dask.base import compute
from dask.config import set as set_config
from dask.delayed import delayed

from dgmm.data import DataError, open_dataset, open_weights
from dgmm.data.stores import create_parquet, create_zarr, write_parquet_part, write_rows
from dgmm.data.writing import creating
from tests.data.contract import check_source, read


def fill(array, values):
    step = array.chunks[0]
    return [
        delayed(write_rows)(array, start, values[start : start + step])
        for start in range(0, len(values), step)
    ]


class TestZarr:
    @pytest.mark.parametrize("scheduler", ["threads", "processes"])
    def test_tasks_write_their_chunks(self, tmp_path, generator, scheduler):
        values = generator.random((300_000, 10))
        with creating(tmp_path / "x.zarr") as path:
            array = create_zarr(path, values.shape, values.dtype)
            with set_config({"multiprocessing.context": "spawn"}):
                compute(*fill(array, values), scheduler=scheduler)
            assert not (tmp_path / "x.zarr").exists()
        assert array.nchunks == 3
        assert os.listdir(tmp_path) == ["x.zarr"]
        check_source(open_dataset(tmp_path / "x.zarr"), values)

    def test_labels_of_zero_are_written(self, tmp_path):
        with creating(tmp_path / "labels.zarr") as path:
            write_rows(create_zarr(path, (5,), "int32"), 0, np.zeros(5))
        check_source(open_weights(tmp_path / "labels.zarr"), np.zeros((5, 1)))

    def test_no_rows(self, tmp_path):
        create_zarr(tmp_path / "x.zarr", (0, 3), "float64")
        check_source(open_dataset(tmp_path / "x.zarr"), np.empty((0, 3)))

    def test_a_flipped_bit_is_found(self, tmp_path, generator):
        write_rows(create_zarr(tmp_path / "x.zarr", (100, 2), "f8"), 0, generator.random((100, 2)))
        file = tmp_path / "x.zarr" / "c" / "0" / "0"
        data = bytearray(file.read_bytes())
        data[500] ^= 1
        file.write_bytes(data)
        with pytest.raises(DataError, match="may be damaged"):
            read(open_dataset(tmp_path / "x.zarr").rows(0, 1))

    @pytest.mark.parametrize(("start", "n_rows"), [(1, 99), (0, 50), (0, 101)])
    def test_parts_of_chunks_are_refused(self, start, n_rows):
        array = zarr.create_array({}, shape=(150, 2), chunks=(100, 2), dtype="f8")
        with pytest.raises(DataError, match="do not fill whole chunks"):
            write_rows(array, start, np.ones((n_rows, 2)))
        with pytest.raises(DataError, match="do not fill whole chunks"):
            write_rows(array, 0, np.ones((150, 1)))


class TestParquet:
    def test_tasks_write_their_files(self, tmp_path):
        with creating(tmp_path / "labels.parquet") as path:
            create_parquet(path)
            parts = [{"label": np.full(3, i), "p": np.full(3, i / 10)} for i in range(12)]
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda i: write_parquet_part(path, i, parts[i]), reversed(range(12))))
        expected = np.repeat(np.arange(12), 3)
        check_source(
            open_dataset(tmp_path / "labels.parquet", columns=["label", "p"]),
            np.column_stack([expected, expected / 10]),
            ("label", "p"),
        )

    def test_row_groups_are_bounded(self, tmp_path):
        create_parquet(tmp_path / "x")
        write_parquet_part(tmp_path / "x", 0, {"label": np.zeros(2**20 + 1, "i1")})
        assert pq.read_metadata(tmp_path / "x" / "part-00000.parquet").num_row_groups == 2
