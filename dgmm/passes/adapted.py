"""Passes over rows that are made of others: fewer of them, or with values put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic

import numpy as np

from dgmm.data.source import Chunk, LazyChunk, Source, Span
from dgmm.passes.task import ChunkRows, Result, Work

Adapt = Callable[[Iterator[ChunkRows]], Iterator[ChunkRows]]
"""Makes the chunks of a span others: picklable."""


@dataclass(frozen=True, eq=False)
class AdaptedSource:
    """A source whose rows a pass takes as they are made of those stored.

    `spans` and `rows` are of what is stored: only passes (`dgmm.passes.run`) make it other rows.

    Attributes
    ----------
    source : Source
        What is stored, of as many rows as weights have.
    adapt : callable
        See `Adapt`.
    n_rows : int
        Of the rows that are made.
    """

    source: Source
    adapt: Adapt
    n_rows: int

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.source.name

    @property
    def n_features(self) -> int:
        """Number of features."""
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
        """Which features are whole numbers."""
        return getattr(self.source, "holds_whole", False)

    def spans(self) -> tuple[Span, ...]:
        """Give the spans of what is stored."""
        return self.source.spans()

    def rows(self, start: int, stop: int) -> Chunk | LazyChunk:
        """Give rows that are stored."""
        return self.source.rows(start, stop)


@dataclass(frozen=True, eq=False)
class AdaptedWork(Generic[Result]):
    """Work on the rows that are made."""

    work: Work[Result]
    adapt: Adapt

    def __call__(self, chunks: Iterator[ChunkRows]) -> Result:
        """Do the work on a span."""
        return self.work(self.adapt(chunks))
