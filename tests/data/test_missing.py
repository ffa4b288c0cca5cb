"""Chunks that are not in a Zarr store, or not in their shard."""

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from dgmm.data.missing import MissingChunkError, absent_keys, chunk_not_in_shard, read_part

ROWS = np.arange(60.0).reshape(20, 3) + 1


def part(start: int, stop: int) -> tuple[slice, slice]:
    """Return whole rows as a part of the array."""
    return slice(start, stop), slice(0, 3)


def create(path: Path, zarr_format: Literal[2, 3] = 3, shards: tuple[int, int] | None = None) -> zarr.Array:
    """Make an array of chunks of 3 × 2, seven by two of them; in a group, if its name says so."""
    if path.name == "inside":
        zarr.create_group(path.parent, zarr_format=zarr_format)
    return zarr.create_array(
        path, shape=ROWS.shape, chunks=(3, 2), shards=shards, dtype="float64", zarr_format=zarr_format
    )


@pytest.fixture(params=["", "inside"])
def path(request, tmp_path: Path) -> Path:
    """A place of its own, or in a group."""
    return tmp_path / "rows.zarr" / request.param


def opened(path: Path) -> zarr.Array:
    """Open the array, by way of its group if it is in one."""
    if path.name != "inside":
        return zarr.open_array(path, mode="r")
    array = zarr.open_group(path.parent, mode="r")[path.name]
    assert isinstance(array, zarr.Array)
    return array


@pytest.mark.parametrize(("zarr_format", "key"), [(2, "{}.{}"), (3, "c/{}/{}")])
def test_every_chunk_that_is_lost_is_found(path, zarr_format, key):
    create(path, zarr_format)[:] = ROWS
    array = opened(path)
    assert absent_keys(array) == []
    np.testing.assert_array_equal(read_part(array, part(0, 20)), ROWS)
    lost = [key.format(6, 1), key.format(2, 0)]
    for each in lost:
        (path / each).unlink()
    assert sorted(absent_keys(array)) == sorted(lost)


@pytest.mark.parametrize(("zarr_format", "key"), [(2, "2.0"), (3, "c/2/0")])
def test_rows_beside_a_lost_chunk_are_read(path, zarr_format, key):
    create(path, zarr_format)[:] = ROWS
    (path / key).unlink()
    array = opened(path)
    for start in range(20):
        for stop in range(start + 1, 21):
            if stop <= 6 or start >= 9:
                np.testing.assert_array_equal(read_part(array, part(start, stop)), ROWS[start:stop])
            else:
                with pytest.raises(MissingChunkError, match=f"^{key}$"):
                    read_part(array, part(start, stop))


def test_a_chunk_that_is_lost_after_opening(path):
    create(path)[:] = ROWS
    array = opened(path)
    assert absent_keys(array) == []
    shutil.rmtree(path / "c" / "1")
    with pytest.raises(MissingChunkError, match="c/1/0"):
        read_part(array, part(0, 20))


@pytest.mark.parametrize("kept", [(slice(0, 3), slice(0, 2)), (slice(15, 20), slice(2, 3))])
def test_chunks_that_a_shard_does_not_hold(path, kept):
    array = create(path, shards=(9, 4))
    array[kept] = ROWS[kept]  # the rest is written nowhere
    array = opened(path)
    is_there = np.zeros((7, 2), bool)
    rows, columns = (
        range(each.start // step, -(-each.stop // step)) for each, step in zip(kept, (3, 2), strict=True)
    )
    is_there[np.ix_(rows, columns)] = True
    present = {f"c/{row // 3}/0" for row, _ in np.argwhere(is_there)}
    assert set(absent_keys(array)) == {"c/0/0", "c/1/0", "c/2/0"} - present
    for start in range(20):
        for stop in range(start + 1, 21):
            # Only shards that are there tell of their chunks.
            missing = [
                f"{row}/{column} in shard c/{row // 3}/0"
                for row, column in np.argwhere(~is_there).tolist()
                if f"c/{row // 3}/0" in present and row * 3 < stop and start < row * 3 + 3
            ]
            assert chunk_not_in_shard(array, part(start, stop)) == (missing[0] if missing else None)


@pytest.mark.parametrize("shards", [(9, 2), (9, 4), (21, 4)])
def test_whole_shards_lack_nothing(path, shards):
    create(path, shards=shards)[:] = ROWS
    array = opened(path)
    assert absent_keys(array) == []
    assert chunk_not_in_shard(array, part(0, 20)) is None
    assert chunk_not_in_shard(array, part(7, 7)) is None
    np.testing.assert_array_equal(read_part(array, part(2, 19)), ROWS[2:19])


def test_without_shards_nothing_is_asked_of_them(path):
    create(path)[:] = ROWS
    assert chunk_not_in_shard(opened(path), part(0, 20)) is None


@pytest.mark.parametrize("index_location", ["start", "end"])
@pytest.mark.parametrize(
    "compressor", [BloscCodec(), ZstdCodec(), GzipCodec(), None], ids=["blosc", "zstd", "gzip", "none"]
)
def test_chunks_beside_one_that_a_writer_left_out_of_its_shard_are_read(tmp_path, compressor, index_location):
    """The index of a shard whose first chunk is not there begins with bytes that are no head of a chunk."""
    shards: Any = {"shape": (20, 2), "index_location": index_location}
    rows = np.concatenate([np.zeros((5, 2)), ROWS[5:, :2]])
    array = zarr.create_array(
        tmp_path / "x.zarr",
        shape=rows.shape,
        chunks=(5, 2),
        shards=shards,
        dtype="f8",
        compressors=compressor,
    )
    array[:] = rows
    for start, stop in ((0, 20), (5, 20), (5, 7), (0, 7)):
        box = (slice(start, stop), slice(0, 2))
        np.testing.assert_array_equal(read_part(array, box, fill_missing=True), rows[start:stop])
        if start:
            np.testing.assert_array_equal(read_part(array, box), rows[start:stop])
        else:
            with pytest.raises(MissingChunkError, match=r"^0/0 in shard c/0/0$"):
                read_part(array, box)
