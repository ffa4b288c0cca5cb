import os
import uuid
from pathlib import Path

import dask.array as da
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from dgmm.data import open_dataset
from dgmm.data import revision as revision_module
from dgmm.data.recut import Recut
from dgmm.data.revision import Revision, RevisionTuning, evenly, revision_of
from tests.data.contract import write_parquet

ROWS = np.arange(24.0).reshape(12, 2)
LATER = 10**9
"""Nanoseconds: two writes of a test may fall into one tick of a file system's clock."""


def write_zarr(where, **layout):
    array = zarr.create_array(where, shape=ROWS.shape, dtype="f8", chunks=(3, 2), overwrite=True, **layout)
    array[:] = ROWS
    return array


def later(path: Path) -> None:
    """Let a file be of a later time, as it was written later."""
    told = path.stat()
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns + LATER))


class TestLocal:
    @pytest.mark.parametrize("zarr_format", [2, 3])
    def test_a_chunk_of_zarr_that_is_rewritten_is_named(self, tmp_path, zarr_format):
        array = write_zarr(tmp_path / "x.zarr", zarr_format=zarr_format)
        source = open_dataset(tmp_path / "x.zarr")
        before = source.revision()
        assert source.revision() == before
        array[4] = 0.0
        key = "1.0" if zarr_format == 2 else "c/1/0"
        later(tmp_path / "x.zarr" / key)
        assert before.differences(source.revision()) == (f"{tmp_path}/x.zarr/{key}",)
        assert str(source.revision()) != str(before)

    def test_of_shards_and_of_groups(self, tmp_path):
        group = zarr.create_group(tmp_path / "g.zarr")
        for name in "ab":
            array = group.create_array(name, shape=(12,), dtype="f8", chunks=(2,), shards=(6,))
            array[:] = np.arange(12.0)
        source = open_dataset(tmp_path / "g.zarr")
        before = source.revision()
        later(tmp_path / "g.zarr/b/c/1")
        assert before.differences(source.revision()) == (f"{tmp_path}/g.zarr/b/c/1",)

    def test_metadata_that_change_are_named(self, tmp_path):
        write_zarr(tmp_path / "x.zarr")
        source = open_dataset(tmp_path / "x.zarr")
        before = source.revision()
        zarr.open_array(tmp_path / "x.zarr").resize((6, 2))
        changed = before.differences(source.revision())
        assert f"{tmp_path}/x.zarr/zarr.json" in changed
        assert f"{tmp_path}/x.zarr/c/3/0" in changed  # which resizing removes

    def test_files_of_parquet_and_csv(self, tmp_path):
        for name in "ab":
            write_parquet(tmp_path / "p" / f"{name}.parquet", {"x": ROWS[:, 0]})
        (tmp_path / "t.csv").write_text("x,y\n1,2\n")
        for path, file in (("p", "p/b.parquet"), ("t.csv", "t.csv")):
            source = open_dataset(tmp_path / path)
            before = source.revision()
            later(tmp_path / file)
            assert before.differences(source.revision()) == (str(tmp_path / file),)

    def test_a_file_of_the_same_time_that_was_put_in_place_of_another(self, tmp_path):
        path = tmp_path / "x.parquet"
        write_parquet(path, {"x": ROWS[:, 0]})
        source, told = open_dataset(path), path.stat()
        before = source.revision()
        write_parquet(tmp_path / "y", {"x": -ROWS[:, 0]})
        os.utime(tmp_path / "y", ns=(told.st_atime_ns, told.st_mtime_ns))
        (tmp_path / "y").rename(path)
        assert before.differences(source.revision()) == (str(path),)

    def test_what_an_array_is_mapped_from(self, tmp_path):
        np.save(tmp_path / "x.npy", ROWS)
        source = open_dataset(np.load(tmp_path / "x.npy", mmap_mode="r")[2:])
        before = source.revision()
        later(tmp_path / "x.npy")
        assert before.differences(source.revision()) == (str(tmp_path / "x.npy"),)

    def test_several_stores_as_one(self, tmp_path):
        for name in "ab":
            write_zarr(tmp_path / f"{name}.zarr")
        source = open_dataset([tmp_path / "a.zarr", tmp_path / "b.zarr"])
        before = source.revision()
        assert Recut.every(source, 5).revision() == before
        later(tmp_path / "b.zarr/c/0/0")
        assert before.differences(source.revision()) == (f"{tmp_path}/b.zarr/c/0/0",)

    def test_of_many_files_some_are_asked_after(self, tmp_path, monkeypatch):
        monkeypatch.setattr(revision_module, "REVISIONS", RevisionTuning(local_files=3))
        write_zarr(tmp_path / "x.zarr")
        places = [place for place, _ in open_dataset(tmp_path / "x.zarr").revision().marks]
        assert places == [f"{tmp_path}/x.zarr/{key}" for key in ("zarr.json", "c/0/0", "c/1/0", "c/3/0")]


@pytest.fixture
def url():
    """A folder of fsspec's memory."""
    name = f"/{uuid.uuid4().hex}"
    yield f"memory:/{name}"
    filesystem = fsspec.filesystem("memory")
    filesystem.rm(name, recursive=True)


class TestElsewhere:
    def test_zarr(self, url):
        write_zarr(f"{url}/x.zarr")
        source = open_dataset(f"{url}/x.zarr")
        before = source.revision()
        assert before
        assert source.revision() == before
        zarr.open_array(f"{url}/x.zarr", mode="r+")[11] = 0.0
        (place,) = before.differences(source.revision())
        assert place.endswith("x.zarr/c/3/0")

    def test_parquet(self, url):
        def write(rows):
            with fsspec.open(f"{url}/x.parquet", "wb") as file:
                pq.write_table(pa.table({"x": rows}), file)

        write(ROWS[:, 0])
        source = open_dataset(f"{url}/x.parquet")
        before = source.revision()
        assert before
        assert source.revision() == before
        write(-ROWS[:, 0])
        (place,) = before.differences(source.revision())
        assert place.endswith("x.parquet")


def test_nothing_is_known_of_memory_and_of_what_is_computed():
    collection = da.from_array(ROWS, chunks="auto")
    for rows in (ROWS, collection, zarr.create_array({}, data=ROWS)):
        found = open_dataset(rows).revision()
        assert not found
        assert str(found) == ""
    assert revision_of(object()) == Revision()


def test_what_one_of_both_does_not_know_is_no_difference():
    one, other = Revision((("a", "1"), ("b", "1"))), Revision((("b", "2"), ("c", "1")))
    assert one.differences(other) == ("b",)
    assert one.described(one) == ""


@pytest.mark.parametrize(("n", "most"), [(0, 5), (3, 5), (10**18, 4), (100, 99), (7, 1)])
def test_numbers_are_evenly_spaced(n, most):
    found = evenly(n, most)
    assert len(found) == min(n, most)
    assert found == sorted(set(found))
    if 1 < most < n:
        assert (found[0], found[-1]) == (0, n - 1)
        steps = np.diff(np.array(found, object))
        assert max(steps) - min(steps) <= 1
