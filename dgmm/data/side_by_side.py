"""Columns of several sources side by side: features, then side information.

Measurement errors, labels and groups are columns after the features, so that they are read, cut, checked and
kept with their rows, in the same chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from dgmm.data.ambient import read_now
from dgmm.data.floats import whole_columns
from dgmm.data.memory import MemorySource, is_in_memory
from dgmm.data.retrying import persistently
from dgmm.data.revision import Revision, revision_of
from dgmm.data.source import Chunk, DataError, Labels, LazyChunk, Source, Span


@dataclass(frozen=True)
class SideBySideChunk:
    """Chunks of as many rows, side by side, in one dtype.

    Attributes
    ----------
    parts : tuple of Chunk
    widths : tuple of int
        Columns of each.
    dtype : numpy.dtype
    """

    parts: tuple[Chunk, ...]
    widths: tuple[int, ...]
    dtype: np.dtype

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.parts[0].n_rows

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, and the part that takes most."""
        rows_bytes = self.n_rows * sum(self.widths) * self.dtype.itemsize
        return rows_bytes + max(part.n_bytes for part in self.parts)

    @property
    def place(self) -> str:
        """The places of the parts."""
        return _places(self.parts)

    def read(self) -> NDArray[np.floating]:
        """Read the rows."""
        return side_by_side(self.parts, self.widths, self.dtype)


@dataclass(frozen=True, eq=False)
class SideBySideSource:
    """Rows of one source, each followed by its columns in other sources: see `with_columns`.

    Attributes
    ----------
    sources : tuple of Source
        Of as many rows each. The first one says how they are cut, what they are called and what their
        dimensions are.
    """

    sources: tuple[Source, ...]

    @property
    def name(self) -> str:
        """What the user calls the rows."""
        return self.sources[0].name

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.sources[0].n_rows

    @property
    def widths(self) -> tuple[int, ...]:
        """Columns of each source."""
        return tuple(source.n_features for source in self.sources)

    @property
    def n_features(self) -> int:
        """Number of columns of all together."""
        return sum(self.widths)

    @property
    def dtype(self) -> np.dtype:
        """float32 where all sources are, else float64."""
        return np.result_type(*(source.dtype for source in self.sources))

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the columns, where the rows have names; added columns without names have numbers."""
        rows, *others = self.sources
        if rows.feature_names is None:
            return None
        names = list(rows.feature_names)
        for other in others:
            names += other.feature_names or map(str, range(len(names), len(names) + other.n_features))
        return tuple(names)

    @property
    def holds_whole(self) -> tuple[bool, ...]:
        """Which columns are whole numbers."""
        return tuple(np.concatenate([*map(whole_columns, self.sources)]).tolist())

    @property
    def labels(self) -> Labels | None:
        """Dimensions and coordinates of the rows."""
        return getattr(self.sources[0], "labels", None)

    @property
    def is_in_memory(self) -> bool:
        """Whether all of it is in this process's memory."""
        return all(map(is_in_memory, self.sources))

    @property
    def finds_damage(self) -> bool | None:
        """Whether all that is stored has checksums."""
        found = [getattr(source, "finds_damage", None) for source in self.sources]
        return False if False in found else next((each for each in found if each is not None), None)

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows as the first source does."""
        return tuple(map(self._completed, self.sources[0].spans()))

    def rows(self, start: int, stop: int) -> SideBySideChunk | LazyChunk:
        """Rows ``start`` to ``stop``."""
        return self._beside(self.sources[0].rows(start, stop), start)

    def revision(self) -> Revision:
        """What is said of all stores."""
        return sum(map(revision_of, self.sources), Revision())

    def _completed(self, span: Span) -> Span:
        chunks, start = [], span.start
        for chunk in span.chunks:
            chunks.append(self._beside(chunk, start))
            start += chunk.n_rows
        return replace(span, chunks=tuple(chunks))

    def _beside(self, chunk: Chunk | LazyChunk, start: int) -> SideBySideChunk | LazyChunk:
        """Add the columns of the other sources to a chunk of the first."""
        others = (source.rows(start, start + chunk.n_rows) for source in self.sources[1:])
        parts = (chunk, *others)
        stored = tuple(None if isinstance(part, LazyChunk) else part for part in parts)
        lazy = [part.delayed for part in parts if isinstance(part, LazyChunk)]
        if not lazy:
            return SideBySideChunk(
                tuple(part for part in stored if part is not None), self.widths, self.dtype
            )
        rows_bytes = chunk.n_rows * self.n_features * self.dtype.itemsize
        n_bytes = rows_bytes + sum(part.n_bytes for part in parts)
        joined: Any = delayed(partial(side_by_side, stored, self.widths, self.dtype), traverse=False)
        return LazyChunk(chunk.n_rows, n_bytes, _places(parts), joined(*lazy))


def side_by_side(
    parts: Sequence[Chunk | None],
    widths: Sequence[int],
    dtype: np.dtype,
    *computed: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Read chunks of the same rows, and put them side by side.

    Parameters
    ----------
    parts : sequence of (Chunk or None)
        None for one that is computed.
    widths : sequence of int
        Columns of each.
    dtype : numpy.dtype
        Of the result.
    *computed : ndarray of shape (n_rows, n_columns)
        What is computed, in the order of the parts.

    Returns
    -------
    ndarray of shape (n_rows, sum of widths)

    Raises
    ------
    DataError
        Where parts have other numbers of rows than the first.
    """
    given, first, found = iter(computed), 0, np.empty((0, sum(widths)), dtype)
    for number, (part, width) in enumerate(zip(parts, widths, strict=True)):
        values = next(given) if part is None else persistently(part.read, part.place)
        if number == 0:
            found = np.empty((len(values), sum(widths)), dtype)
        elif len(values) != len(found):
            where = "what is computed of them" if part is None else part.place
            raise DataError(
                f"{where} gives {len(values):,} rows for {len(found):,} others: the data changed since "
                "they were opened, or the chunk sizes of a Dask collection are wrong"
            )
        found[:, first : first + width] = values
        first += width
    return found


def with_columns(rows: Source, *others: Source) -> Source:
    """Add the columns of other sources after those of rows.

    Parameters
    ----------
    rows : Source
    *others : Source
        Of as many rows, in the same order. They are read into memory if the rows are there.

    Returns
    -------
    Source
        Of all columns, in the widest dtype.

    Raises
    ------
    DataError
        Where one has another number of rows.

    Examples
    --------
    >>> rows, labels = MemorySource(np.eye(2)), MemorySource(np.array([[7], [8]]))
    >>> with_columns(rows, labels).rows(0, 2).read()
    array([[1., 0., 7.],
           [0., 1., 8.]])
    """
    for other in others:
        if other.n_rows != rows.n_rows:
            raise DataError(
                f"{other.name} has {other.n_rows:,} rows, but {rows.name} has {rows.n_rows:,}: give "
                "one row for each, in the same order"
            )
    if is_in_memory(rows):
        # Rows in memory are worked on by threads here, which cannot ask a cluster for the other columns.
        others = tuple(
            other
            if is_in_memory(other)
            else MemorySource(read_now(other.rows(0, other.n_rows)), other.feature_names, other.name)
            for other in others
        )
    return SideBySideSource((rows, *others)) if others else rows


def _places(parts: Sequence[Chunk | LazyChunk]) -> str:
    places = list(dict.fromkeys(part.place for part in parts))
    return places[0] if len(places) == 1 else f"{places[0]} (beside it: {'; '.join(places[1:])})"
