"""A store of Zarr whose requests fail: all keys are found, and what is there is not taken for missing."""
# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false

import pickle

import dask
import numpy as np
import pytest
import zarr
from zarr.core.sync import sync

from dgmm.data.location import zarr_store
from dgmm.data.missing import absent_keys
from dgmm.data.remote_store import PersistentStore
from dgmm.data.retrying import ReadError
from tests.data import flaky as _flaky  # its scheme

del _flaky
ROWS = np.random.default_rng(0).normal(size=(60, 4))


@pytest.fixture
def store(tmp_path):
    """A store with an array of 12 chunks, and what sets the rate of failures."""
    (tmp_path / "rate").write_text("0")
    zarr.create_array(tmp_path / "x.zarr", data=ROWS, chunks=(10, 2))
    found = zarr_store(f"flaky://{tmp_path}/x.zarr", {"home": str(tmp_path)}, read_only=True)
    with dask.config.set({"dgmm.reads.first-pause": "1ms", "dgmm.reads.tries": 12}):
        yield found, lambda rate: (tmp_path / "rate").write_text(str(rate))


def test_all_requests_are_answered_in_the_end(store):
    persistent, fail_at = store
    assert isinstance(persistent, PersistentStore)

    async def keys() -> set[str]:
        return {key async for key in persistent.list_prefix("")}

    fail_at(0.3)
    for _ in range(5):
        array = zarr.open_array(persistent, mode="r")
        np.testing.assert_array_equal(array[:], ROWS)
        assert absent_keys(array) == []
        assert len(sync(keys())) == 13
        assert sync(persistent.exists("zarr.json"))
        assert not sync(persistent.exists("c/9/9"))


def test_what_does_not_answer_is_not_missing(store):
    persistent, fail_at = store
    array = zarr.open_array(persistent, mode="r")
    fail_at(1)
    with dask.config.set({"dgmm.reads.tries": 2}):
        with pytest.raises(ReadError, match=r"x.zarr/c/0/0 could not be read, 2 times"):
            sync(persistent.exists("c/0/0"))
        with pytest.raises(ReadError, match=r"x.zarr could not be read, 2 times"):
            absent_keys(array)


def test_it_travels(store):
    persistent, _ = store
    there = pickle.loads(pickle.dumps(persistent))
    assert type(there) is PersistentStore
    np.testing.assert_array_equal(zarr.open_array(there, mode="r")[:], ROWS)
