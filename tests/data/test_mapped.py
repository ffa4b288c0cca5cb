# pyright: reportArgumentType=false
"""Rows that are made of another source's."""

from operator import itemgetter

import dask.array as da
import numpy as np
import pytest
import zarr

from dgmm.data import open_dataset
from dgmm.data.mapped import MappedSource
from dgmm.data.memory import is_in_memory
from tests.data.contract import check_memory, check_pickles, check_source

ROWS = np.arange(60.0).reshape(20, 3)


def source_of(kind: str, values: np.ndarray):
    if kind == "zarr":
        return open_dataset(zarr.create_array({}, data=values, chunks=(6, 2)))
    return open_dataset(da.from_array(values, chunks=(7, 2)) if kind == "dask" else values)


@pytest.mark.parametrize("kind", ["zarr", "dask", "memory"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_and_some_columns(kind, dtype):
    values = ROWS.astype(dtype)
    rows = source_of(kind, values)
    squares = MappedSource(rows, np.square, 3)
    check_source(squares, values**2)
    some = MappedSource(squares, itemgetter((slice(None), [2, 0])), 2, ("z", "x"))
    check_source(some, values[:, [2, 0]] ** 2, ("z", "x"))
    assert [(span.start, span.n_rows) for span in some.spans()] == [
        (span.start, span.n_rows) for span in rows.spans()
    ]
    assert some.name == rows.name
    assert some.revision() == rows.revision()
    assert is_in_memory(some) == (kind == "memory")
    if kind != "dask":
        check_pickles(some.rows(3, 9))


def test_the_memory_that_reading_takes():
    values = np.random.default_rng(0).random((4000, 20))
    stored = zarr.create_array({}, data=values, chunks=(1000, 20))
    for rows in (stored, values):
        check_memory(MappedSource(open_dataset(rows), np.square, 20).rows(500, 3300))
