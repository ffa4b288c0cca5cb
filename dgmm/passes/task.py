"""The task of a pass: read one span, chunk after chunk, and do the pass's work on it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dgmm.data.retrying import Count, counting, persistently
from dgmm.data.source import Chunk, DataError, LazyChunk, Span
from dgmm.passes.blas import single_threaded


class Additive(Protocol):
    """A partial result: partial results of neighbouring rows add up."""

    def __add__(self, other: Self, /) -> Self: ...


Result = TypeVar("Result", bound=Additive)
Result_co = TypeVar("Result_co", bound=Additive, covariant=True)


@dataclass(frozen=True)
class Effort:
    """What tasks took, added up over all of them.

    Seconds are those of threads: two threads that work for a second make two. A thread's seconds go by while
    it waits for the interpreter or for a core, too. Reading runs ahead on a thread of its own, so both may go
    on at the same time, and a pass takes less than their sum.

    Attributes
    ----------
    n_rows : int, default=0
        Rows that were worked on.
    reading : float, default=0.0
        Seconds of reading and decoding chunks. NaN for Dask collections: there it is a part of Dask's own
        tasks.
    computing : float, default=0.0
        Seconds of the work itself, without waiting for rows.
    elapsed : float, default=0.0
        Seconds that passes took, from their beginning to their end: of none, while one goes on.
    retries : int, default=0
        Reads that failed and were made again.
    """

    n_rows: int = 0
    reading: float = 0.0
    computing: float = 0.0
    elapsed: float = 0.0
    retries: int = 0

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.n_rows + other.n_rows,
            self.reading + other.reading,
            self.computing + other.computing,
            self.elapsed + other.elapsed,
            self.retries + other.retries,
        )


@dataclass(frozen=True, eq=False)
class Timed(Generic[Result]):
    """A result and what it took: they add up side by side, so that time has no part in the result."""

    result: Result
    effort: Effort

    def __add__(self, other: Timed[Result]) -> Timed[Result]:
        return Timed(self.result + other.result, self.effort + other.effort)


@dataclass
class Clock:
    """What a task took so far: seconds of reading, which its other thread adds to, and of not working."""

    reading: float = 0.0
    not_working: float = 0.0
    count: Count = field(default_factory=Count)

    def read(self, chunk: Chunk) -> NDArray[np.floating]:
        """Read a chunk, again where that fails for a reason that may pass."""
        started = time.perf_counter()
        with counting(self.count):
            rows = persistently(chunk.read, lambda: chunk.place)
        self.reading += time.perf_counter() - started
        return rows


class ChunkRows(NamedTuple):
    """The rows of a chunk, in memory.

    Attributes
    ----------
    start : int
        Number of the first row in the whole source.
    values : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or None
    place : str
        Where these rows are, for messages.
    side_information : ndarray of shape (n_rows, n_columns), or None
        What is known of each row beyond its features, where that was taken apart from them (see
        `dgmm.passes.adapted`).
    """

    start: int
    values: NDArray[np.floating]
    weights: NDArray[np.floating] | None
    place: str
    side_information: NDArray[np.floating] | None = None

    def of_rows(self, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> ChunkRows:
        """Return some of the rows, with all that they carry; ``start`` stays as it is."""
        weights, columns = (
            None if each is None else each[which] for each in (self.weights, self.side_information)
        )
        return ChunkRows(self.start, self.values[which], weights, self.place, columns)

    def pieces(self, n_rows: int) -> Iterator[ChunkRows]:
        """Cut into pieces of at most ``n_rows`` rows: work in passing then needs little memory."""
        for first in range(0, len(self.values), n_rows):
            yield self.of_rows(slice(first, first + n_rows))._replace(start=self.start + first)


class Work(Protocol[Result_co]):
    """What a pass does with rows: a picklable callable whose results add up.

    It is called once for each span, with the span's chunks in row order; the span may be empty.
    """

    def __call__(self, chunks: Iterator[ChunkRows], /) -> Result_co:
        """Do the work on a span."""
        ...


def read_ahead(
    chunks: Iterable[Chunk], clock: Clock | None = None
) -> Generator[NDArray[np.floating], None, None]:
    """Read chunks one by one; while one is worked on, a thread reads the next, if there are several.

    Who does not take all of them is to close it. Left to the garbage collector it may wait for its thread
    inside whatever is at work by then: the start of another thread, which holds a lock that this needs.
    """
    clock = clock or Clock()
    listed = [*chunks]
    if not listed:
        return
    first, *waiting = listed
    if not waiting:  # there is nothing to read ahead, and small data should cost no thread
        yield clock.read(first)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="dgmm-read-ahead") as reader:
        ahead = reader.submit(clock.read, first)
        for chunk in waiting:
            rows = ahead.result()
            ahead = reader.submit(clock.read, chunk)
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
        return self.timed(*arguments).result

    def timed(self, *arguments: Any) -> Timed[Any]:
        """Do the work on the span's rows, and tell what it took."""
        given, clock = list(arguments), Clock()
        work = given.pop(0) if self.work is None else self.work
        weights = given.pop() if self.lazy_weights else self.weights and clock.read(self.weights)
        own = None if weights is None else np.asarray(weights, np.float64)[:, 0]  # their sums are large
        started = time.perf_counter()
        reader = read_ahead([chunk for chunk in self.chunks if chunk is not None], clock)
        with single_threaded(), closing(reader):
            result = work(self._rows(given or reader, own, clock))
        computing = time.perf_counter() - started - clock.not_working
        reading = np.nan if given else clock.reading
        return Timed(result, Effort(sum(self.sizes), reading, computing, retries=clock.count.retries))

    def _rows(
        self, values: Iterable[Any], weights: NDArray[np.floating] | None, clock: Clock
    ) -> Iterator[ChunkRows]:
        left_work, offset = time.perf_counter(), 0
        for rows, place, size in zip(values, self.places, self.sizes, strict=True):
            if len(rows) != size:  # row numbers and weights would be those of other rows
                raise DataError(
                    f"{place} gives {len(rows):,} rows, but was said to have {size:,}: the data changed "
                    "since they were opened, or the chunk sizes of the Dask collection are wrong"
                )
            own = None if weights is None else weights[offset : offset + len(rows)]
            clock.not_working += time.perf_counter() - left_work
            yield ChunkRows(self.start + offset, rows, own, place)
            left_work = time.perf_counter()
            offset += len(rows)
        clock.not_working += time.perf_counter() - left_work


def span_task(
    span: Span, work: Work[Any] | None, weights: Chunk | LazyChunk | None
) -> tuple[SpanTask, list[Any]]:
    """Return the task of a span, and the Dask results that it is to be called with."""
    lazy = [chunk.delayed for chunk in span.chunks if isinstance(chunk, LazyChunk)]
    chunks = tuple(None if isinstance(chunk, LazyChunk) else chunk for chunk in span.chunks)
    places = tuple(chunk.place for chunk in span.chunks)
    sizes = tuple(chunk.n_rows for chunk in span.chunks)
    lazy_weights = isinstance(weights, LazyChunk)
    own = None if isinstance(weights, LazyChunk) else weights
    arguments = [*lazy, weights.delayed] if isinstance(weights, LazyChunk) else lazy
    return SpanTask(work, span.start, chunks, places, sizes, own, lazy_weights), arguments
