# pyright: reportArgumentType=false
import dask.array as da
import numpy as np
import pytest
import zarr

from dgmm.data import open_dataset
from dgmm.data.recut import Recut
from tests.data.contract import check_source

ROWS = np.arange(60.0).reshape(20, 3)


@pytest.mark.parametrize("kind", ["zarr", "dask", "memory"])
@pytest.mark.parametrize("span_rows", [1, 3, 6, 20, 50])
def test_spans_of_one_length(kind, span_rows):
    x = ROWS
    if kind == "zarr":
        x = zarr.create_array({}, shape=ROWS.shape, chunks=(5, 3), dtype="f8")
        x[:] = ROWS
    elif kind == "dask":
        x = da.from_array(ROWS, chunks=((7, 0, 8, 5), (3,)))
    source = Recut.every(open_dataset(x), span_rows)
    check_source(source, ROWS)
    lengths = [span.n_rows for span in source.spans()]
    assert set(lengths[:-1]) <= {span_rows}
    assert lengths[-1] <= span_rows


def test_no_rows():
    assert Recut.every(open_dataset(ROWS[:0]), 5).spans() == ()


@pytest.mark.parametrize("edges", [(0, 20), (0, 1, 19, 20), (0, 5, 6, 15, 20)])
def test_spans_between_rows(edges):
    source = Recut(open_dataset(da.from_array(ROWS, chunks=((7, 0, 8, 5), (3,)))), edges)
    check_source(source, ROWS)
    assert [span.start for span in source.spans()] == list(edges[:-1])
