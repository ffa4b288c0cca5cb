# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
"""Columns of several sources side by side."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr
from dask import config
from dask.delayed import delayed
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm.data import DataError, open_dataset
from dgmm.data.memory import MemorySource, is_in_memory
from dgmm.data.side_by_side import SideBySideSource, with_columns
from dgmm.data.source import LazyChunk
from dgmm.passes.run import run_pass
from tests.data.contract import check_memory, check_pickles, check_source, read, write_parquet

ROWS = np.arange(60.0).reshape(20, 3)
OTHERS = -np.arange(40, dtype=np.float32).reshape(20, 2)
JOINED = np.concatenate([ROWS, OTHERS], axis=1)

KINDS = ("memory", "mapped", "zarr", "parquet", "csv", "dask", "frame")


def stored(kind: str, values: np.ndarray, folder, *, step: int):
    """Return an open source of rows, in chunks of ``step`` rows, where there are such."""
    path, found = str(folder / f"{kind}-{step}"), values
    named = pd.DataFrame(values, columns=[*"abc"[: values.shape[1]]])
    match kind:
        case "mapped":
            np.save(f"{path}.npy", values)
            found = np.load(f"{path}.npy", mmap_mode="r")
        case "zarr":
            zarr.create_array(path, data=values, chunks=(step, 2))
            found = path
        case "parquet":
            found = folder / f"{step}.parquet"
            write_parquet(found, named.to_dict("list"), row_group_size=step)
        case "csv":
            found = f"{path}.csv"
            named.to_csv(found, index=False)
        case "dask":
            found = da.from_array(values, chunks=(step, -1))
        case "frame":
            found = dd.from_pandas(named, npartitions=len(values) // step)
    return open_dataset(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_of_any_kinds(kind, other, tmp_path):
    rows, others = stored(kind, ROWS, tmp_path, step=6), stored(other, OTHERS, tmp_path, step=5)
    source = with_columns(rows, others)
    names = None
    if rows.feature_names is not None:
        names = (*"abc", *("ab" if others.feature_names is not None else ("3", "4")))
    check_source(source, JOINED, names)
    assert [span.start for span in source.spans()] == [span.start for span in rows.spans()]
    chunk = source.spans()[0].chunks[0]
    is_here = kind in {"memory", "mapped"}
    lazy = {"dask", "frame"}
    assert isinstance(chunk, LazyChunk) == (kind in lazy or (other in lazy and not is_here))
    assert is_in_memory(source) == is_here
    if not isinstance(chunk, LazyChunk):
        check_pickles(chunk)


def test_the_wider_dtype_and_all_flags():
    single = with_columns(open_dataset(OTHERS), open_dataset(OTHERS[:, :1]))
    assert single.dtype == np.float32
    assert with_columns(open_dataset(OTHERS), open_dataset(ROWS)).dtype == np.float64
    whole = with_columns(open_dataset(ROWS), open_dataset(np.arange(20)[:, None]))
    assert whole.holds_whole == (False, False, False, True)
    assert single.finds_damage is None
    rows = open_dataset(ROWS)
    assert with_columns(rows) is rows


def test_many_sources_side_by_side(tmp_path):
    parts = [stored(kind, OTHERS, tmp_path, step=4) for kind in ("zarr", "memory", "dask")]
    check_source(with_columns(*parts), np.concatenate([OTHERS] * 3, axis=1))
    again = with_columns(with_columns(parts[0], parts[1]), parts[2])
    check_source(again, np.concatenate([OTHERS] * 3, axis=1))


@given(st.integers(0, 30), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=40)
def test_any_chunks(n_rows, step, other_step):
    rows = np.arange(2.0 * n_rows).reshape(n_rows, 2) + 1.0  # chunks of zeros are not written
    others = -rows[:, :1]
    stores = []
    for values, own in ((rows, step), (others, other_step)):
        array = zarr.create_array({}, shape=values.shape, chunks=(own, 1), dtype="f8")
        array[:] = values
        stores.append(open_dataset(array))
    check_source(with_columns(*stores), np.concatenate([rows, others], axis=1))


def test_the_memory_that_reading_takes():
    values = np.random.default_rng(0).random((4000, 20))
    stores = [zarr.create_array({}, data=values, chunks=(step, 20)) for step in (1000, 700)]
    check_memory(with_columns(*map(open_dataset, stores)).rows(500, 3300))


def test_revisions_of_all_stores(tmp_path):
    rows, others = stored("zarr", ROWS, tmp_path, step=10), stored("zarr", OTHERS, tmp_path, step=7)
    source = with_columns(rows, others)
    before = source.revision()
    zarr.open_array(str(tmp_path / "zarr-7"), mode="a")[0] = 5.0
    assert "zarr-7" in before.described(source.revision())


def test_other_numbers_of_rows():
    with pytest.raises(DataError, match=r"ndarray has 19 rows, but ndarray has 20: .* one row for each"):
        with_columns(open_dataset(ROWS), open_dataset(OTHERS[1:]))
    frame = dd.from_pandas(pd.DataFrame(OTHERS[1:], columns=["a", "b"]), npartitions=3)
    with pytest.raises(DataError, match="has 19 rows"):
        with_columns(open_dataset(ROWS), open_dataset(frame))


def test_a_part_that_gives_other_rows_than_it_said():
    wrong = da.from_delayed(delayed(lambda: OTHERS[:1])(), OTHERS.shape, OTHERS.dtype)
    store = zarr.create_array({}, data=ROWS + 1.0, chunks=(20, 3))
    source = SideBySideSource((open_dataset(store), open_dataset(wrong)))
    with pytest.raises(DataError, match="gives 1 rows for 20 others"):
        read(source.rows(0, 20))


def test_places_of_both(tmp_path):
    rows, others = stored("zarr", ROWS, tmp_path, step=6), stored("dask", OTHERS, tmp_path, step=5)
    assert "zarr-6" in (place := with_columns(rows, others).rows(0, 4).place)
    assert "(beside it: Dask array, chunk 0)" in place


def test_a_pass_over_rows_in_memory_stays_here(tmp_path):
    """What is beside rows in memory is read first: no scheduler is asked that could not see it."""
    source = with_columns(open_dataset(ROWS), stored("dask", OTHERS, tmp_path, step=5))
    with config.set(scheduler=lambda *_, **__: pytest.fail("a scheduler was asked")):
        found = run_pass(source, lambda chunks: sum(chunk.values.sum() for chunk in chunks), "sum")
    assert found == JOINED.sum()
    assert isinstance(source, SideBySideSource)
    assert isinstance(source.sources[1], MemorySource)
