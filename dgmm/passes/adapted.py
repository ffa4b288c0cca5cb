"""Passes over rows that are made of others: fewer of them, or with values put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic

from dgmm.data.source import SameColumns, Span
from dgmm.passes.task import ChunkRows, Result, Work

Adapt = Callable[[Iterator[ChunkRows]], Iterator[ChunkRows]]
"""Makes the chunks of a span others: picklable."""


@dataclass(frozen=True, eq=False)
class AdaptedSource(SameColumns):
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

    adapt: Adapt
    n_rows: int

    def spans(self) -> tuple[Span, ...]:
        """Give the spans of what is stored."""
        return self.source.spans()


@dataclass(frozen=True, eq=False)
class AdaptedWork(Generic[Result]):
    """Work on the rows that are made."""

    work: Work[Result]
    adapt: Adapt

    def __call__(self, chunks: Iterator[ChunkRows]) -> Result:
        """Do the work on a span."""
        return self.work(self.adapt(chunks))
