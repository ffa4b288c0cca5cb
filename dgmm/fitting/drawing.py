"""Random rows to look at, from all chunks of a source or from some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.data.memory import MemorySource
from dgmm.data.source import DataError, SameColumns, Source, Span
from dgmm.fitting.sample import Sample
from dgmm.fitting.survey import SurveyWork
from dgmm.passes.run import run_pass


@dataclass(frozen=True)
class DrawingTuning:
    """How much is read to draw some rows. Half and double: not measured.

    Attributes
    ----------
    largest_bytes : int
        Bytes of rows up to which all are read; of more, as many chunks as have so many.
    fewest_chunks : int
        Chunks that are read at least: rows of a chunk are often alike.
    """

    largest_bytes: int = 2**28
    fewest_chunks: int = 16


DRAWING = DrawingTuning()


@dataclass(frozen=True, eq=False)
class SomeChunks(SameColumns):
    """Some chunks of a source, each a span with the number that its first row has there.

    Attributes
    ----------
    chosen : tuple of Span
    """

    chosen: tuple[Span, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows of these chunks."""
        return sum(span.n_rows for span in self.chosen)

    def spans(self) -> tuple[Span, ...]:
        """Return the chunks."""
        return self.chosen


def some_of(source: Source, seed: int) -> Source:
    """Return a source itself where it is small; else every so many-th of its chunks, from a random one on.

    Each chunk is as likely as any other to be among them.
    """
    row_bytes = source.n_features * source.dtype.itemsize
    if isinstance(source, MemorySource) or source.n_rows * row_bytes <= DRAWING.largest_bytes:
        return source
    starts, chunks = [], []
    for span in source.spans():
        start = span.start
        for chunk in span.chunks:
            if chunk.n_rows:
                starts.append(start)
                chunks.append(chunk)
            start += chunk.n_rows
    wanted = len(chunks) * DRAWING.largest_bytes // (source.n_rows * row_bytes)
    step = len(chunks) / max(wanted, DRAWING.fewest_chunks)
    if step <= 1.0:
        return source
    first = np.random.default_rng(seed).uniform(0.0, step)
    numbers = np.arange(first, len(chunks), step).astype(int).tolist()
    spans = [Span(index, starts[number], (chunks[number],)) for index, number in enumerate(numbers)]
    return SomeChunks(source, tuple(spans))


def draw(source: Source, n_rows: int, seed: int = 0) -> NDArray[np.floating]:
    """Draw rows at random, without replacement: the same ones for the same rows and seed.

    Of large data not all is read: see `some_of`.

    Parameters
    ----------
    source : Source
    n_rows : int
        The most to draw.
    seed : int, default=0

    Returns
    -------
    ndarray of shape (at most n_rows, n_features)
        In row order. Values may be missing, NaN.

    Raises
    ------
    DataError
        If there are no rows, or values are infinite.
    """
    if source.n_rows == 0:
        raise DataError(f"{source.name} has no rows")
    some = some_of(source, seed)
    takes_all = some.n_rows <= n_rows
    work = SurveyWork(
        some.n_rows,
        some.n_features,
        some.dtype,
        n_rows,
        seed,
        weighted=False,
        takes_all=takes_all,
        products=False,
        takes_nan=True,
    )
    found = run_pass(some, work, "sample")
    if found.not_finite:
        raise found.not_finite.error(source.feature_names)
    return Sample.joined(found.drawn, n_rows).drawn(n_rows).values
