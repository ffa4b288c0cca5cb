"""Passes over rows that are made of those stored: filtered, completed, or features alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, cast

from dgmm.data.floats import whole_columns
from dgmm.data.source import SameColumns, Source, Span
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

    @property
    def n_side_columns(self) -> int:
        """Number of columns of side information."""
        return getattr(self.source, "n_side_columns", 0)

    def spans(self) -> tuple[Span, ...]:
        """Return the spans of what is stored."""
        return self.source.spans()


@dataclass(frozen=True, eq=False)
class AdaptedWork(Generic[Result]):
    """Work on the rows that are made."""

    work: Work[Result]
    adapt: Adapt

    def __call__(self, chunks: Iterator[ChunkRows]) -> Result:
        """Do the work on a span."""
        return self.work(self.adapt(chunks))


@dataclass(frozen=True)
class Apart:
    """Takes the columns that follow the features of rows apart: they become `ChunkRows.side_information`."""

    n_features: int

    def __call__(self, chunks: Iterator[ChunkRows]) -> Iterator[ChunkRows]:
        """Take them apart."""
        for chunk in chunks:
            features, others = chunk.values[:, : self.n_features], chunk.values[:, self.n_features :]
            yield chunk._replace(values=features, side_information=others)


@dataclass(frozen=True, eq=False)
class FeaturesAlone(AdaptedSource):
    """A source whose first columns alone are features; the others are their side information."""

    @classmethod
    def of(cls, source: Source, n_features: int) -> FeaturesAlone:
        """Take so many columns of a source for features."""
        return cls(source, Apart(n_features), source.n_rows)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return cast(Apart, self.adapt).n_features

    @property
    def n_side_columns(self) -> int:
        """Number of the other columns."""
        return self.source.n_features - self.n_features

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the features."""
        names = self.source.feature_names
        return None if names is None else names[: self.n_features]

    @property
    def holds_whole(self) -> object:
        """Which features are whole numbers."""
        return tuple(whole_columns(self.source)[: self.n_features].tolist())
