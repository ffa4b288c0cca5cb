"""Rows computed from another source's, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from dgmm.data.memory import is_in_memory
from dgmm.data.revision import Revision, revision_of
from dgmm.data.source import Chunk, Labels, LazyChunk, Source, Span

OfRows = Callable[[NDArray[np.floating]], NDArray[np.floating]]
"""Takes rows (n_rows, n_columns) to as many others: picklable."""


@dataclass(frozen=True)
class MappedChunk:
    """A chunk whose rows are made others when it is read.

    Attributes
    ----------
    chunk : Chunk
    function : callable
        See `OfRows`.
    row_bytes : int
        Of a row that is made.
    """

    chunk: Chunk
    function: OfRows
    row_bytes: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.chunk.n_rows

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, and those that are made of them."""
        return self.chunk.n_bytes + self.n_rows * self.row_bytes

    @property
    def place(self) -> str:
        """Where these rows are."""
        return self.chunk.place

    def read(self) -> NDArray[np.floating]:
        """Read the rows, and make others of them."""
        return self.function(self.chunk.read())


@dataclass(frozen=True, eq=False)
class MappedSource:
    """Rows made of another source's, as many and cut the same.

    Attributes
    ----------
    source : Source
    function : callable
        See `OfRows`.
    n_features : int
        Number of columns that it gives.
    feature_names : tuple of str or None
        Their names.
    made_dtype : numpy.dtype, optional
        Of what the function gives, if that is not the dtype of the rows.
    """

    source: Source
    function: OfRows
    n_features: int
    feature_names: tuple[str, ...] | None = None
    made_dtype: np.dtype | None = None

    @property
    def name(self) -> str:
        """What the user calls the rows that others are made of."""
        return self.source.name

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.source.n_rows

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the rows that are made."""
        return self.source.dtype if self.made_dtype is None else self.made_dtype

    @property
    def labels(self) -> Labels | None:
        """Dimensions and coordinates of the rows."""
        return getattr(self.source, "labels", None)

    @property
    def is_in_memory(self) -> bool:
        """Whether they are in this process's memory."""
        return is_in_memory(self.source)

    @property
    def finds_damage(self) -> bool | None:
        """Whether what is stored has checksums."""
        return getattr(self.source, "finds_damage", None)

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows as the other source does."""
        spans = self.source.spans()
        return tuple(replace(span, chunks=tuple(map(self._mapped, span.chunks))) for span in spans)

    def rows(self, start: int, stop: int) -> MappedChunk | LazyChunk:
        """Rows ``start`` to ``stop``."""
        return self._mapped(self.source.rows(start, stop))

    def revision(self) -> Revision:
        """What the other source's store says of itself."""
        return revision_of(self.source)

    def _mapped(self, chunk: Chunk | LazyChunk) -> MappedChunk | LazyChunk:
        row_bytes = self.n_features * self.dtype.itemsize
        if not isinstance(chunk, LazyChunk):
            return MappedChunk(chunk, self.function, row_bytes)
        made: Any = delayed(self.function, traverse=False)
        n_bytes = chunk.n_bytes + chunk.n_rows * row_bytes
        return LazyChunk(chunk.n_rows, n_bytes, chunk.place, made(chunk.delayed))


def of_columns(source: Source, which: Sequence[int]) -> MappedSource:
    """Return some columns of a source, in this order."""
    names = source.feature_names
    named = None if names is None else tuple(names[column] for column in which)
    return MappedSource(source, partial(_columns, list(which)), len(which), named)


def _columns(which: list[int], rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return rows[:, which]
