"""Rows of several sources, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dgmm.data.choice import Choice
from dgmm.data.floats import whole_columns
from dgmm.data.revision import Revision, revision_of
from dgmm.data.source import Chunk, DataError, Source, Span

Place = TypeVar("Place")


@dataclass(frozen=True)
class JoinedChunk:
    """Chunks of stores, one after another, in one dtype.

    Attributes
    ----------
    parts : tuple of Chunk
    n_features : int
    dtype : numpy.dtype
    """

    parts: tuple[Chunk, ...]
    n_features: int
    dtype: np.dtype

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(part.n_rows for part in self.parts)

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, and the part that takes most."""
        rows_bytes = self.n_rows * self.n_features * self.dtype.itemsize
        return rows_bytes + max((part.n_bytes for part in self.parts), default=0)

    @property
    def place(self) -> str:
        """The places of the parts."""
        places = [part.place for part in self.parts] or ["no rows"]
        return "; ".join(places) if len(places) <= 2 else f"{places[0]}; …; {places[-1]}"

    def read(self) -> NDArray[np.floating]:
        """Read the rows."""
        rows = np.empty((self.n_rows, self.n_features), self.dtype)
        start = 0
        for part in self.parts:
            rows[start : start + part.n_rows] = part.read()
            start += part.n_rows
        return rows


@dataclass(frozen=True, eq=False)
class JoinedSource:
    """Rows of several stores that have the same features.

    Attributes
    ----------
    sources : tuple of Source
        At least one.
    name : str
        What the user would call them.
    """

    sources: tuple[Source, ...]
    name: str

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._starts[-1])

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.sources[0].n_features

    @property
    def dtype(self) -> np.dtype:
        """float32 where all sources are, else float64."""
        return np.result_type(*(source.dtype for source in self.sources))

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the columns."""
        return self.sources[0].feature_names

    @property
    def holds_whole(self) -> NDArray[np.bool_]:
        """Which features are whole numbers in all sources."""
        return np.logical_and.reduce([*map(whole_columns, self.sources)])

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """The first row of each source, and the end of the last."""
        return np.cumsum([0, *(source.n_rows for source in self.sources)])

    def spans(self) -> tuple[Span, ...]:
        """Return the spans of the sources."""
        found: list[Span] = []
        for source, start in zip(self.sources, self._starts.tolist(), strict=False):
            for span in source.spans():
                chunks = (
                    span.chunks if source.dtype == self.dtype else tuple(map(self._converted, span.chunks))
                )
                found.append(replace(span, index=len(found), start=start + span.start, chunks=chunks))
        return tuple(found)

    def rows(self, start: int, stop: int) -> JoinedChunk:
        """Rows ``start`` to ``stop``."""
        parts = []
        for source, first in zip(self.sources, self._starts.tolist(), strict=False):
            here, there = max(start - first, 0), min(stop - first, source.n_rows)
            if here < there:
                parts.append(source.rows(here, there))
        return JoinedChunk(tuple(parts), self.n_features, self.dtype)

    @property
    def finds_damage(self) -> bool:
        """Whether all that is stored has checksums."""
        return all(getattr(source, "finds_damage", None) is not False for source in self.sources)

    def revision(self) -> Revision:
        """What is said of all stores."""
        return sum(map(revision_of, self.sources), Revision())

    def _converted(self, chunk: Any) -> JoinedChunk:
        return JoinedChunk((chunk,), self.n_features, self.dtype)


def joined(
    open_one: Callable[[Place, Choice], Source], places: Sequence[Place], choice: Choice, name: str
) -> Source:
    """Open several stores as one, columns by their names.

    Parameters
    ----------
    open_one : callable
        Opens a store.
    places : sequence
        The stores, at least one.
    choice : Choice
        Of columns. The first store decides where the user does not.
    name : str
        What the user would call them.

    Returns
    -------
    Source

    Raises
    ------
    DataError
        Where their features differ.
    """
    first = open_one(places[0], choice)
    if len(places) == 1:
        return first
    if first.feature_names is not None and choice.columns is None:
        choice = Choice(fitted=first.feature_names)
    sources = (first, *(open_one(place, choice) for place in places[1:]))
    for source in sources:
        if (source.n_features, source.feature_names) != (first.n_features, first.feature_names):
            raise DataError(
                f"{source.name} has other features than {first.name}: {_features(source)}, not "
                f"{_features(first)}; name the columns to take with columns="
            )
    return JoinedSource(sources, name)


def _features(source: Source) -> str:
    names = source.feature_names
    return f"{source.n_features:,} without names" if names is None else ", ".join(map(repr, names))
