"""Requests that fail: what is there is found, all of it, and what could not be read is named."""
# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false, reportReturnType=false

import pickle
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
import zarr
from dask.tokenize import tokenize
from distributed import Client, LocalCluster

import dgmm
from dgmm.data import open_dataset
from dgmm.data.location import locate
from dgmm.data.retrying import ReadError
from dgmm.data.source import DataError
from dgmm.fitting.fingerprint import fingerprint
from tests.data.flaky import FlakyFileSystem

FILES = ["a/1.parquet", "a/2.parquet", "b/3.parquet", "b/c/4.parquet"]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with dask.config.set({"dgmm.reads.first-pause": "1ms", "dgmm.reads.tries": 12}):
        yield


@pytest.fixture
def fail_at(tmp_path):
    """A function that sets the rate of failures, 0 at first."""
    (tmp_path / "rate").write_text("0")
    return lambda rate: (tmp_path / "rate").write_text(str(rate))


@pytest.fixture
def filesystem(tmp_path, fail_at):
    """A file system with some files."""
    for name in FILES:
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123456789" * 10)
    return locate(f"flaky://{tmp_path}/files", {"home": str(tmp_path)})[0]


def at(folder: Path, name: str) -> dict:
    return {"x": f"flaky://{folder}/{name}", "storage_options": {"home": str(folder)}}


class TestRequests:
    def test_all_files_are_found(self, filesystem, tmp_path, fail_at):
        root = f"{tmp_path}/files"
        fail_at(0.3)
        for _ in range(10):
            assert filesystem.find(root) == [f"{root}/{name}" for name in FILES]
            assert filesystem.find(f"{root}/{FILES[0]}") == [f"{root}/{FILES[0]}"]
            assert filesystem.find(f"{root}/none") == []
            assert filesystem.glob(f"{root}/a/*.parquet") == [f"{root}/{name}" for name in FILES[:2]]
            assert filesystem.glob(f"{root}/none/*.parquet") == []
            assert len(filesystem.ls(root)) == 2

    def test_what_is_there_is_there(self, filesystem, tmp_path, fail_at):
        root = f"{tmp_path}/files"
        fail_at(0.3)
        for _ in range(10):
            assert filesystem.exists(f"{root}/{FILES[0]}")
            assert not filesystem.exists(f"{root}/none")
            assert filesystem.isdir(f"{root}/b")
            assert not filesystem.isdir(f"{root}/{FILES[0]}")
            assert filesystem.info(f"{root}/{FILES[0]}")["size"] == 100

    def test_files_are_read_from_where_they_were(self, filesystem, tmp_path, fail_at):
        fail_at(0.3)
        for _ in range(10):
            with filesystem.open(f"{tmp_path}/files/{FILES[0]}") as file:
                assert file.read(7) == b"0123456"
                file.seek(15)
                assert file.read(7) == b"5678901"
                assert len(file.read()) == 100 - 22

    def test_nothing_is_taken_for_gone_if_nothing_answers(self, filesystem, tmp_path, fail_at):
        root = f"{tmp_path}/files"
        fail_at(1)
        requests = (filesystem.exists, filesystem.isdir, filesystem.find, filesystem.ls, filesystem.open)
        with dask.config.set({"dgmm.reads.tries": 2}):
            for request in requests:
                with pytest.raises(ReadError, match=f"{root} could not be read, 2 times"):
                    request(root)

    def test_it_travels_and_is_the_same_then(self, filesystem):
        there = pickle.loads(pickle.dumps(filesystem))
        assert there == filesystem
        assert hash(there) == hash(filesystem)
        assert tokenize(there) == tokenize(filesystem)
        assert isinstance(there.filesystem, FlakyFileSystem)
        assert there != filesystem.filesystem


@pytest.fixture
def stores(tmp_path, fail_at, three_clusters) -> list[str]:
    """The same rows in stores of all kinds; each has several files."""
    zarr.create_array(tmp_path / "x.zarr", data=three_clusters, chunks=(100, 1))
    # Given as data=, Zarr 3.1.0 writes chunks of a shard at once, and loses some.
    array = zarr.create_array(
        tmp_path / "shards.zarr",
        shape=three_clusters.shape,
        dtype=three_clusters.dtype,
        chunks=(100, 2),
        shards=(500, 2),
    )
    array[:] = three_clusters
    for kind in ("x.parquet", "x.csv"):
        for number, part in enumerate(np.split(three_clusters, 3)):
            path = tmp_path / kind / f"folder{number // 2}" / f"{number}.{kind[2:]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame = pd.DataFrame(part, columns=["a", "b"])
            frame.to_csv(path, index=False) if kind == "x.csv" else frame.to_parquet(path, row_group_size=200)
    pd.DataFrame(three_clusters, columns=["a", "b"]).to_csv(tmp_path / "x.csv.gz", index=False)
    return ["x.zarr", "shards.zarr", "x.parquet", "x.csv", "x.csv.gz"]


class TestRows:
    def test_a_fifth_of_all_requests_may_fail(self, stores, tmp_path, fail_at):
        for name in stores:
            fail_at(0)
            expected = fingerprint(str(tmp_path / name))
            fail_at(0.2)
            for _ in range(3):
                assert fingerprint(open_dataset(**at(tmp_path, name))) == expected, name

    def test_a_read_that_always_fails_names_its_chunk(self, stores, tmp_path, fail_at):
        places = {
            "x.zarr": r"x.zarr, rows 0 to .*chunk c/0/0 to c/29/0: .*/c/\d+/\d could not be read, 2 times",
            "x.parquet": r"folder0/0.parquet, row groups 0 to 4; .*\d.parquet could not be read, 2 times",
            "x.csv": r"folder\d/\d.csv, rows 0 to 1000: .*\d.csv could not be read, 2 times",
        }
        for name, place in places.items():
            fail_at(0)
            source = open_dataset(**at(tmp_path, name))
            assert source.n_rows == 3000
            fail_at(1)
            with dask.config.set({"dgmm.reads.tries": 2}), pytest.raises(ReadError, match=place):
                fingerprint(source)

    def test_damaged_files_are_said_to_be_so_at_once(self, stores, tmp_path):
        path = tmp_path / "x.csv.gz"
        source = open_dataset(str(path))
        assert source.n_rows == 3000
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"x.csv.gz.* cannot be decompressed, it may be damaged"):
            source.rows(0, 3000).read()  # pyright: ignore[reportAttributeAccessIssue]

    @pytest.mark.usefixtures("stores")
    def test_on_a_cluster_of_processes(self, tmp_path, fail_at):
        def fit(name: str) -> np.ndarray:
            source = open_dataset(**at(tmp_path, name))
            return dgmm.GaussianMixture(3, random_state=0, sample_rows=500).fit(source).means_

        stores = ["x.zarr", "x.parquet", "x.csv"]
        expected = {name: fit(name) for name in stores}
        fail_at(0.2)
        with (
            LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster,
            Client(cluster),
        ):
            for name in stores:
                np.testing.assert_array_equal(fit(name), expected[name], err_msg=name)
