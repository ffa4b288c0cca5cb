"""The contract of a data source: rows that are read span by span.

A `Source` describes a table of numbers, wherever it lives, and cuts it into `Span` s: runs of rows
that one task reads from first to last, one `Chunk` at a time. The cut depends on the data alone,
so that a result does not depend on who computes it. Every source passes the contract tests of
``tests/data/contract.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dgmm.data.revision import Revision, revision_of

MEBIBYTE = 2**20


@dataclass(frozen=True)
class SpanTuning:
    """How rows are cut into spans: a pass has a task for each, and its sums are theirs, added up in order.

    Half and double: not measured. See docs/notes/2026-11-23-passes.md.

    Attributes
    ----------
    wanted : int
        Spans of a source, if they are not too small or too large then: enough that threads or workers end at
        about the same time.
    smallest_bytes : int
        Of the rows of a span: each costs a task, and its first chunk is read while no work goes on.
    largest_bytes : int
        More spans than are wanted, rather than larger ones: what a worker that dies had done is done again.
    most : int
        Spans, however large they are then: making, sending and following a task takes the driver and the
        scheduler some milliseconds, which no number of workers shortens: docs/notes/2026-11-26-schedule.md.
    largest_lazy_bytes : int
        The same as ``largest_bytes`` of Dask collections: all chunks of a task are in memory at once.
    """

    wanted: int = 64
    smallest_bytes: int = 16 * MEBIBYTE
    largest_bytes: int = 256 * MEBIBYTE
    most: int = 8192
    largest_lazy_bytes: int = 32 * MEBIBYTE


SPANS = SpanTuning()


class DataError(ValueError):
    """Rows that cannot be used: the message says what is wrong, where, and what to do."""


class DataWarning(UserWarning):
    """Rows may not be what their owner means by them: the message says which columns, and what to do."""


@runtime_checkable
class Chunk(Protocol):
    """The least run of rows that is read at once: small, immutable, picklable; holds no rows."""

    @property
    def n_rows(self) -> int:
        """Number of rows, at least 0."""
        ...

    @property
    def n_bytes(self) -> int:
        """Peak bytes of memory that `read` needs, the returned rows included."""
        ...

    @property
    def place(self) -> str:
        """Where these rows are, for messages: a file and chunk, a partition."""
        ...

    def read(self) -> NDArray[np.floating]:
        """Read the rows.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            float32 where the source's dtype is float32, else float64. May be a view.
        """
        ...


@dataclass(frozen=True)
class LazyChunk:
    """A chunk of a Dask collection: its rows are a Dask task's result, not something to read.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    n_bytes : int
        Bytes of the rows in memory.
    place : str
        Where these rows are, for messages.
    delayed : dask.delayed.Delayed
        Gives an ndarray of shape (n_rows, n_features), float32 or float64.
    """

    n_rows: int
    n_bytes: int
    place: str
    delayed: Any


@dataclass(frozen=True)
class Span:
    """A run of consecutive rows that one task reads, chunk after chunk.

    Attributes
    ----------
    index : int
        Position among the spans of its source.
    start : int
        Number of its first row in the whole source, from 0.
    chunks : tuple of Chunk or LazyChunk
        In row order. Empty chunks are allowed.
    """

    index: int
    start: int
    chunks: tuple[Chunk | LazyChunk, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(chunk.n_rows for chunk in self.chunks)


class Source(Protocol):
    """A table of numbers, cut into spans.

    Opening a source reads metadata only. Row counts that are not in the metadata (Dask collections
    of unknown length) are counted, once, when `n_rows` is first asked for.
    """

    @property
    def name(self) -> str:
        """What the user would call it, for messages: a path, ``"Dask array"``, …."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def n_features(self) -> int:
        """Number of columns."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the rows that chunks give: float32 or float64."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the columns, where the data names them."""
        ...

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans, in row order: by bytes and by the data alone."""
        ...

    def rows(self, start: int, stop: int) -> Chunk | LazyChunk:
        """Rows ``start`` to ``stop`` as one chunk; both are in range."""
        ...

    def revision(self) -> Revision:
        """Ask the store what it says of itself now: cheap, no rows are read."""
        ...


@dataclass(frozen=True, eq=False)
class SameColumns:
    """What a source has of another one whose columns it has, whatever its rows are.

    Attributes
    ----------
    source : Source
    """

    source: Source

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.source.name

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.source.n_features

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the rows."""
        return self.source.dtype

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the columns."""
        return self.source.feature_names

    @property
    def holds_whole(self) -> object:
        """Which columns are whole numbers."""
        return getattr(self.source, "holds_whole", False)

    def rows(self, start: int, stop: int) -> Chunk | LazyChunk:
        """Rows of the other source, ``start`` to ``stop``, as one chunk."""
        return self.source.rows(start, stop)

    @property
    def finds_damage(self) -> bool | None:
        """Whether what is stored has checksums."""
        return getattr(self.source, "finds_damage", None)

    def revision(self) -> Revision:
        """What the other source's store says of itself."""
        return revision_of(self.source)


class Labels(Protocol):
    """Dimensions and coordinates of rows, of a source whose rows have such."""

    def put(self, values: Any, name: str) -> Any:
        """Return results for each row, of shape (n_rows, …), their dimensions and coordinates, and a name."""
        ...

    def put_rows(self, values: Any) -> Any:
        """Return rows of the same features, (n_rows, n_features), the form of what was given."""
        ...


def cut_into_spans(
    chunks: Iterable[Chunk | LazyChunk],
    span_size: int,
    *,
    size_of: Callable[[Chunk | LazyChunk], int] = attrgetter("n_bytes"),
    start: int = 0,
) -> tuple[Span, ...]:
    """Group consecutive chunks into spans of about the same size.

    Parameters
    ----------
    chunks : iterable of Chunk or LazyChunk
        In row order.
    span_size : int
        A span is closed before the chunk that would take it past this size.
    size_of : callable
        Gives the size of a chunk; its bytes by default.
    start : int, default=0
        Number of the first row.

    Returns
    -------
    tuple of Span
    """
    spans: list[Span] = []
    group: list[Chunk | LazyChunk] = []
    size = 0

    def close() -> None:
        nonlocal group, start, size
        if group:
            span = Span(len(spans), start, tuple(group))
            spans.append(span)
            start, group, size = start + span.n_rows, [], 0

    for chunk in chunks:
        if group and size + size_of(chunk) > span_size:
            close()
        group.append(chunk)
        size += size_of(chunk)
    close()
    return tuple(spans)


def span_bytes_for(total_bytes: int) -> int:
    """Choose the bytes of a span from the bytes of all rows: about 64 spans, 16 to 256 MiB each.

    They are larger only where there would be too many of them.
    """
    own = min(max(total_bytes // SPANS.wanted, SPANS.smallest_bytes), SPANS.largest_bytes)
    return max(own, -(-total_bytes // SPANS.most))
