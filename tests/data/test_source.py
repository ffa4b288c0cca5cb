"""How rows are cut into spans, and which values are numbers."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgmm.data.source import (
    MEBIBYTE,
    DataError,
    Span,
    check_columns,
    check_no_two,
    cut_into_spans,
    rows_dtype,
    span_bytes_for,
)


@dataclass(frozen=True)
class Piece:
    """A chunk of so many rows and bytes, without any."""

    n_rows: int
    n_bytes: int
    place: str = "here"

    def read(self) -> np.ndarray:
        raise AssertionError("cutting reads nothing")


pieces = st.lists(st.builds(Piece, st.integers(0, 9), st.integers(0, 50)), max_size=30)


@given(pieces, st.integers(0, 60), st.integers(0, 10**6))
def test_spans_hold_every_chunk_once_in_order(chunks, span_size, start):
    spans = cut_into_spans(chunks, span_size, start=start)
    assert [chunk for span in spans for chunk in span.chunks] == chunks
    assert [span.index for span in spans] == list(range(len(spans)))
    for span in spans:
        assert span.start == start
        assert span.n_rows == sum(chunk.n_rows for chunk in span.chunks)
        start += span.n_rows


@given(pieces, st.integers(0, 60))
def test_spans_are_as_large_as_they_may_be(chunks, span_size):
    spans = cut_into_spans(chunks, span_size)
    sizes = [sum(chunk.n_bytes for chunk in span.chunks) for span in spans]
    assert all(size <= span_size or len(span.chunks) == 1 for size, span in zip(sizes, spans, strict=True))
    following = [span.chunks[0].n_bytes for span in spans[1:]]
    assert all(size + first > span_size for size, first in zip(sizes, following, strict=False))


def test_the_size_may_be_another():
    chunks = [Piece(rows, 0) for rows in (3, 1, 4, 1, 5)]
    spans = cut_into_spans(chunks, 5, size_of=lambda chunk: chunk.n_rows)
    assert [span.n_rows for span in spans] == [4, 5, 5]


@pytest.mark.parametrize(
    ("mebibytes", "expected"),
    [
        *((0, 16), (1, 16), (64 * 16, 16), (64 * 100, 100), (64 * 256, 256), (10**6, 256)),
        *((8192 * 256, 256), (8192 * 1000, 1000)),
    ],
)
def test_about_64_spans_that_are_neither_small_nor_large_nor_too_many(mebibytes, expected):
    assert span_bytes_for(mebibytes * MEBIBYTE) == expected * MEBIBYTE


def test_rows_of_a_span():
    assert Span(0, 0, ()).n_rows == 0
    assert Span(0, 0, (Piece(2, 0), Piece(0, 0), Piece(3, 0))).n_rows == 5


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_single_precision_stays(dtype):
    assert rows_dtype(np.dtype(dtype), "x") == np.dtype(np.float32)
    assert rows_dtype(np.dtype(dtype), "x").isnative


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f2", "i1", "u8", ">i4", "?"])
def test_other_numbers_become_double(dtype):
    assert rows_dtype(np.dtype(dtype), "x") == np.dtype(np.float64)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("c16", "Complex data not supported: rows.zarr holds complex numbers"),
        ("M8[ns]", "rows.zarr holds dates"),
        ("m8[s]", "rows.zarr holds time differences"),
        ("U3", "rows.zarr holds text"),
        ("S3", "rows.zarr holds text"),
        ("O", "rows.zarr holds objects"),
        ([("a", "f8")], "rows.zarr holds records"),
    ],
)
def test_what_is_no_number_is_refused(dtype, words):
    with pytest.raises(DataError, match=words):
        rows_dtype(np.dtype(dtype), "rows.zarr")


def test_columns_that_are_not_there_are_named():
    check_columns(["b"], ["a", "b"], "table")
    with pytest.raises(DataError, match="table has no column 'c', 4; it has 'a', 'b'"):
        check_columns(["c", "b", 4], ["a", "b"], "table")


def test_two_columns_of_one_name():
    check_no_two(["a", "a", "b"], ["b"], "table")  # what is not wanted may be there twice
    check_no_two([], ["b"], "table")
    with pytest.raises(DataError, match="table has several columns 'a'"):
        check_no_two(["a", "b", "a"], ["b", "a"], "table")
