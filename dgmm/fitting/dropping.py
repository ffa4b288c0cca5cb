"""Complete cases: rows with missing values left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.data.fingerprint import Fingerprint
from dgmm.data.memory import MemorySource, mapped_from
from dgmm.data.source import DataError, Source
from dgmm.fitting.checks import NotFinite, check_weights, named_column
from dgmm.passes.adapted import AdaptedSource
from dgmm.passes.run import first_pass
from dgmm.passes.task import ChunkRows
from dgmm.passes.watched import Seen

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class CompleteCases:
    """The rows of a source that lack nothing.

    Attributes
    ----------
    source : Source
        Of these rows alone, numbered as they are there.
    weights : Source or None
        Of them; or of all rows, where the source leaves rows out in each pass.
    n_dropped : int
        Rows that are left out.
    seen : Seen
        All rows, and their weights.
    n_passes : int
        That were made to find them.
    """

    source: Source
    weights: Source | None
    n_dropped: int
    seen: Seen
    n_passes: int

    @property
    def fingerprint(self) -> Fingerprint:
        """Of all rows."""
        return self.seen.rows


@dataclass(frozen=True, eq=False)
class Counted:
    """Complete rows of spans.

    Attributes
    ----------
    spans : tuple of (int, int)
        The number of each span's first row, and how many of its rows are complete.
    not_finite : NotFinite
        Infinite values.
    n_values : ndarray of shape (n_features,), int; or 0
        Values of each column; 0 of no rows.
    """

    spans: tuple[tuple[int, int], ...]
    not_finite: NotFinite
    n_values: NDArray[np.int64] | int = 0

    def __add__(self, other: Counted) -> Counted:
        spans, not_finite = self.spans + other.spans, self.not_finite + other.not_finite
        return Counted(spans, not_finite, self.n_values + other.n_values)


def count_complete(chunks: Iterator[ChunkRows]) -> Counted:
    """Count the complete rows of a span: the work of a pass."""
    start, n_complete = None, 0
    not_finite, n_values = NotFinite(), 0
    for chunk in chunks:
        if chunk.weights is not None:
            check_weights(chunk)
        start = chunk.start if start is None else start
        n_complete += int(is_complete(chunk.values).sum())
        n_values += np.isfinite(chunk.values).sum(axis=0)
        not_finite += NotFinite.of(chunk, takes_nan=True)
    return Counted(() if start is None else ((start, n_complete),), not_finite, n_values)


@dataclass(frozen=True)
class WithoutIncomplete:
    """Leaves incomplete rows out of the chunks of a span: see `dgmm.passes.adapted`.

    Attributes
    ----------
    starts : dict of int to int
        For the number of each span's first row, that which it has among complete rows.
    """

    starts: Mapping[int, int]

    def __call__(self, chunks: Iterator[ChunkRows]) -> Iterator[ChunkRows]:
        """Leave them out."""
        number = None
        for chunk in chunks:
            number = self.starts[chunk.start] if number is None else number
            kept = chunk.of_rows(is_complete(chunk.values))
            yield kept._replace(start=number, place=f"{chunk.place} (complete rows alone are counted)")
            number += len(kept.values)


def is_complete(rows: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which rows lack nothing: (n_rows, n_features) to (n_rows,)."""
    return np.logical_not(np.isnan(rows).any(axis=1))


def complete_cases(
    source: Source, weights: Source | None, *, allow_changed_data: bool = False
) -> CompleteCases:
    """Leave out the rows that lack values, in a pass that counts them.

    Of an array in memory the others are copied, if there are any; else each pass leaves them out.

    Parameters
    ----------
    source : Source
    weights : Source or None
        Row weights.
    allow_changed_data : bool, default=False
        Tell of rows that change, rather than refuse them.

    Raises
    ------
    DataError
        For infinite values, with a row and column; where fewer than two rows are left; for rows that change.
    """
    is_here = _is_here(source, weights)
    witnessed, watched = first_pass(
        source,
        count_complete,
        "complete rows",
        weights,
        allow_changed_data=allow_changed_data,
        takes_nan=True,
    )
    found = witnessed.result
    if found.not_finite:
        raise found.not_finite.error(source.feature_names)
    sizes = [size for _, size in found.spans]
    n_rows = sum(sizes)
    n_dropped = source.n_rows - n_rows
    empty = np.flatnonzero(np.broadcast_to(found.n_values, source.n_features) == 0).tolist()
    if empty and source.n_rows:
        named = named_column(empty[0], source.feature_names)
        raise DataError(
            f"{source.name}: {named} holds only NaN, so that missing='drop' leaves no row: "
            "leave this column out"
        )
    if n_rows < 2 <= source.n_rows:
        raise DataError(
            f"missing='drop' leaves {n_rows:,} of the {source.n_rows:,} rows of {source.name}: the others "
            "lack values. missing='marginalize' fits their observed values"
        )
    logger.info("%s: %d of %d rows lack values and are left out", source.name, n_dropped, source.n_rows)
    if n_dropped and is_here:
        source, weights = _kept(source, weights)
    elif n_dropped:
        numbers = np.cumsum([0, *sizes]).tolist()
        starts = {start: number for (start, _), number in zip(found.spans, numbers, strict=False)}
        source = AdaptedSource(watched, WithoutIncomplete(starts), n_rows)
    else:
        source = watched
    return CompleteCases(source, weights, n_dropped, witnessed.seen, 0 if is_here else 1)


def _is_here(source: Source, weights: Source | None) -> bool:
    """Return whether rows and weights are arrays in memory: not mapped from a file, which may not fit."""
    each = [source] if weights is None else [source, weights]
    return all(isinstance(one, MemorySource) and mapped_from(one.values) is None for one in each)


def _kept(source: Source, weights: Source | None) -> tuple[MemorySource, MemorySource | None]:
    """Copy the complete rows of an array in memory, and their weights."""
    assert isinstance(source, MemorySource)
    assert weights is None or isinstance(weights, MemorySource)
    kept = is_complete(source.values)
    name = f"{source.name} without its incomplete rows"
    rows = replace(source, values=source.values[kept], name=name, labels=None)
    return rows, None if weights is None else replace(weights, values=weights.values[kept])
