"""The task of a pass: read one span, chunk after chunk, and do the pass's work on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dgmm.data.source import Chunk, DataError, LazyChunk, Span
from dgmm.passes.blas import single_threaded_blas


class Additive(Protocol):
    """A partial result: partial results of neighbouring rows add up."""

    def __add__(self, other: Self, /) -> Self: ...


Result_co = TypeVar("Result_co", bound=Additive, covariant=True)


class Rows(NamedTuple):
    """A chunk of rows in memory.

    Attributes
    ----------
    start : int
        Number of the first row in the whole source.
    values : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or None
    place : str
        Where these rows are, for messages.
    """

    start: int
    values: NDArray[np.floating]
    weights: NDArray[np.floating] | None
    place: str

    def pieces(self, n_rows: int) -> Iterator[Rows]:
        """Cut into pieces of at most ``n_rows`` rows: work in passing then needs little memory."""
        for first in range(0, len(self.values), n_rows):
            part = slice(first, first + n_rows)
            weights = None if self.weights is None else self.weights[part]
            yield Rows(self.start + first, self.values[part], weights, self.place)


class Work(Protocol[Result_co]):
    """What a pass does with rows: a picklable callable whose results add up.

    It is called once for each span, with the span's chunks in row order; the span may be empty.
    """

    def __call__(self, chunks: Iterator[Rows], /) -> Result_co:
        """Do the work on a span."""
        ...


def read_ahead(chunks: Iterable[Chunk]) -> Iterator[NDArray[np.floating]]:
    """Read chunks one by one; while one is worked on, a thread reads the next."""
    waiting = iter(chunks)
    first = next(waiting, None)
    if first is None:
        return
    with ThreadPoolExecutor(1, thread_name_prefix="dgmm-read-ahead") as reader:
        ahead = reader.submit(first.read)
        for chunk in waiting:
            rows = ahead.result()
            ahead = reader.submit(chunk.read)
            yield rows
            del rows
        yield ahead.result()


@dataclass(frozen=True, eq=False)
class SpanTask:
    """Reads a span and works on it. Called with the results of its lazy chunks, if there are any.

    Attributes
    ----------
    work : Work or None
        None where the work is too large to be in every task: then it is the first argument.
    start : int
        Number of the span's first row.
    chunks : tuple of Chunk or None
        None where the rows are an argument.
    places : tuple of str
    sizes : tuple of int
        Rows that each chunk is said to have.
    weights : Chunk or None
    lazy_weights : bool
        The row weights are the last argument.
    """

    work: Work[Any] | None
    start: int
    chunks: tuple[Chunk | None, ...]
    places: tuple[str, ...]
    sizes: tuple[int, ...]
    weights: Chunk | None
    lazy_weights: bool

    def __call__(self, *arguments: Any) -> Any:
        """Do the work on the span's rows."""
        given = list(arguments)
        work = given.pop(0) if self.work is None else self.work
        weights = given.pop() if self.lazy_weights else self.weights and self.weights.read()
        with single_threaded_blas():
            return work(self._rows(given, None if weights is None else np.asarray(weights)[:, 0]))

    def _rows(self, given: list[Any], weights: NDArray[np.floating] | None) -> Iterator[Rows]:
        present = [chunk for chunk in self.chunks if chunk is not None]
        values = iter(given) if given else read_ahead(present)
        offset = 0
        for rows, place, size in zip(values, self.places, self.sizes, strict=True):
            if len(rows) != size:  # row numbers and weights would be those of other rows
                raise DataError(
                    f"{place} gives {len(rows)} rows, but was said to have {size}: the data changed since "
                    "they were opened, or the chunk sizes of the Dask collection are wrong"
                )
            own = None if weights is None else weights[offset : offset + len(rows)]
            yield Rows(self.start + offset, rows, own, place)
            offset += len(rows)


def span_task(
    span: Span, work: Work[Any] | None, weights: Chunk | LazyChunk | None
) -> tuple[SpanTask, list[Any]]:
    """Give the task of a span, and the Dask results that it is to be called with."""
    lazy = [chunk.delayed for chunk in span.chunks if isinstance(chunk, LazyChunk)]
    chunks = tuple(None if isinstance(chunk, LazyChunk) else chunk for chunk in span.chunks)
    places = tuple(chunk.place for chunk in span.chunks)
    sizes = tuple(chunk.n_rows for chunk in span.chunks)
    lazy_weights = isinstance(weights, LazyChunk)
    own = None if isinstance(weights, LazyChunk) else weights
    arguments = [*lazy, weights.delayed] if isinstance(weights, LazyChunk) else lazy
    return SpanTask(work, span.start, chunks, places, sizes, own, lazy_weights), arguments
