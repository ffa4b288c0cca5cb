"""The rows of another source, cut as the output is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dgmm.data.source import Chunk, LazyChunk, SameColumns, Source, Span


@dataclass(frozen=True, eq=False)
class Recut(SameColumns):
    """A source whose spans begin and end at given rows.

    Inside a span the rows are read as the source cuts them, so that a stored chunk is read once, or twice
    where it lies across the border of two spans.

    Attributes
    ----------
    source : Source
    edges : sequence of int
        Numbers of rows, ascending: from 0 to the number of all.
    """

    edges: Sequence[int]

    @classmethod
    def every(cls, source: Source, span_rows: int) -> Recut:
        """Cut a source into spans of ``span_rows`` rows each, but for the last."""
        return cls(source, (*range(0, source.n_rows, span_rows), source.n_rows))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.source.n_rows

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans."""
        source, edges = self.source, self.edges
        sizes = [chunk.n_rows for span in source.spans() for chunk in span.chunks]
        spans: list[list[Chunk | LazyChunk]] = [[] for _ in edges[1:]]
        for start, stop in pairwise(np.union1d(np.cumsum([0, *sizes]), edges).astype(int).tolist()):
            spans[int(np.searchsorted(edges, start, side="right")) - 1].append(source.rows(start, stop))
        return tuple(
            Span(index, start, tuple(chunks))
            for index, (start, chunks) in enumerate(zip(edges[:-1], spans, strict=True))
        )
