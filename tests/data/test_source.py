"""How rows are cut into spans."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgmm.data.source import MEBIBYTE, Span, cut_into_spans, span_bytes_for


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
