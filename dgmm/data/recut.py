"""The rows of another source in spans of one length: those of what is written."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dgmm.data.source import Chunk, LazyChunk, SameColumns, Span


@dataclass(frozen=True, eq=False)
class Recut(SameColumns):
    """A source whose spans are of ``span_rows`` rows each, but for the last.

    Inside a span the rows are read as the source cuts them, so that a stored chunk is read once, or twice
    where it lies across the border of two spans.

    Attributes
    ----------
    source : Source
    span_rows : int
    """

    span_rows: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.source.n_rows

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans."""
        n_rows, step = self.source.n_rows, self.span_rows
        sizes = [chunk.n_rows for span in self.source.spans() for chunk in span.chunks]
        edges = np.union1d(np.cumsum([0, *sizes]), np.append(np.arange(0, n_rows, step), n_rows))
        pieces = [(int(start), int(stop)) for start, stop in pairwise(edges)]
        spans: list[list[Chunk | LazyChunk]] = [[] for _ in range(0, n_rows, step)]
        for start, stop in pieces:
            spans[start // step].append(self.source.rows(start, stop))
        return tuple(Span(index, index * step, tuple(chunks)) for index, chunks in enumerate(spans))
