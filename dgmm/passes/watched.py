"""Passes that verify by checksums that they read the same rows as the first one.

The checksums of each pass are held to those of the first one: at 0.04 ns a byte every pass can have them.
What the store says of its files is asked before a pass, as early notice, and names what was written.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from dgmm.data.ambient import read_now
from dgmm.data.fingerprint import KEPT_AS, Fingerprint
from dgmm.data.revision import Revision, revision_of
from dgmm.data.source import DataError, SameColumns, Source, Span
from dgmm.data.text import listed
from dgmm.passes.events import DataChanged, emit
from dgmm.passes.task import ChunkRows, Result, Work

logger = logging.getLogger(__name__)

RUNS_LOOKED_INTO = 3
"""Runs of rows that changed in which a value that is not finite is looked for, to be named."""

WHAT_TO_DO = (
    "A model of both would describe neither: fit again when nothing writes to the rows, or, if they may "
    "change, with allow_changed_data=True"
)


class DataChangedError(DataError):
    """Rows are others than in an earlier pass: the message says which, and what was written."""


@dataclass(frozen=True)
class Seen:
    """Which rows a pass has read, and which row weights.

    Attributes
    ----------
    rows : Fingerprint
    weights : Fingerprint or None
        Of one feature; None where rows have no weights.
    """

    rows: Fingerprint
    weights: Fingerprint | None = None

    @classmethod
    def nothing(cls, source: Source, weights: Source | None = None) -> Seen:
        """Say that nothing of these has been read."""
        own = None if weights is None else Fingerprint(1, "float64")
        return cls(Fingerprint(source.n_features, str(source.dtype)), own)

    def extended(self, chunk: ChunkRows) -> Seen:
        """Take in a chunk that follows."""
        rows, weights = self.rows.extended(chunk.start, chunk.values), self.weights
        if weights is not None and chunk.weights is not None:
            weights = weights.extended(chunk.start, chunk.weights[:, None])
        return replace(self, rows=rows, weights=weights)

    def __add__(self, other: Seen) -> Seen:
        if self.weights is None or other.weights is None:
            return Seen(self.rows + other.rows)
        return Seen(self.rows + other.rows, self.weights + other.weights)


@dataclass(frozen=True, eq=False)
class Witnessed(Generic[Result]):
    """A result, and what was read for it: they add up side by side."""

    result: Result
    seen: Seen

    def __add__(self, other: Witnessed[Result]) -> Witnessed[Result]:
        return Witnessed(self.result + other.result, self.seen + other.seen)


@dataclass(frozen=True, eq=False)
class WitnessedWork(Generic[Result]):
    """Work, and note of the rows that it is given.

    Attributes
    ----------
    work : Work
    nothing : Seen
        See `Seen.nothing`.
    """

    work: Work[Result]
    nothing: Seen

    def __call__(self, chunks: Iterator[ChunkRows]) -> Witnessed[Result]:
        """Do the work on a span."""
        seen = self.nothing

        def noted() -> Iterator[ChunkRows]:
            nonlocal seen
            for chunk in chunks:
                seen = seen.extended(chunk)
                yield chunk

        rows = noted()
        result = self.work(rows)
        for _ in rows:  # what the work had no need of is read too
            pass
        return Witnessed(result, seen)


@dataclass(frozen=True, eq=False)
class WatchedSource(SameColumns):
    """A source whose passes (`dgmm.passes.run`) are to read the same rows as the first one.

    Attributes
    ----------
    source : Source
    first : Seen
        What the first pass read.
    then : Revision
        What the stores of rows and weights said of themselves before it.
    allowed : bool
        Rows may change: then it is told by an event, and a warning of the log.
    takes_nan : bool
        Rows may lack values.
    """

    first: Seen
    then: Revision
    allowed: bool
    takes_nan: bool

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.source.n_rows

    def spans(self) -> tuple[Span, ...]:
        """Return the spans of the source."""
        return self.source.spans()

    def written(self, weights: Source | None) -> str:
        """Name what was written since the first pass began, as its store says; empty where nothing was."""
        return self.then.described(revision_of_both(self.source, weights))

    def give_notice(self, weights: Source | None) -> None:
        """Say, before a pass, that something was written: whether rows are others, the pass tells."""
        if written := self.written(weights):
            logger.warning(
                "%s was written to since its first pass began: %s; this pass tells whether rows are others",
                self.source.name,
                written,
            )

    def check(self, seen: Seen, weights: Source | None) -> None:
        """Refuse other rows than those of the first pass.

        Raises
        ------
        DataChangedError
            Naming rows and files; where rows may change, for values that are not finite alone.
        """
        rows = seen.rows.differing(self.first.rows)
        of_weights: tuple[tuple[int, int], ...] = ()
        if seen.weights is not None and self.first.weights is not None:
            of_weights = seen.weights.differing(self.first.weights)
        if not rows and not of_weights:
            return
        changed = [_numbered("rows", rows)] if rows else []
        changed += [_numbered("the weights of rows", of_weights)] if of_weights else []
        bad = _not_finite(self.source, rows, takes_nan=self.takes_nan)
        written = self.written(weights)
        message = (
            f"{self.source.name} changed during the fit: {' and '.join(changed)} are not what the first pass "
            f"read{bad and f' ({bad})'}{written and f'; written since then: {written}'}"
        )
        if bad or not self.allowed:
            raise DataChangedError(f"{message}. {WHAT_TO_DO}")
        logger.warning("%s", message)
        emit(DataChanged(message))


def check_kept(source: Source, seen: Seen, *, allowed: bool) -> None:
    """Refuse rows that are not those of which checksums were kept when they were written.

    Each chunk may be whole, and another one: swapped, or of another array.

    Raises
    ------
    DataError
        Naming rows and chunks.
    """
    kept = getattr(source, "kept_checksums", None)
    if kept is None or not (runs := seen.rows.differing_from_kept(kept)):
        return
    message = (
        f"{source.name}: {_numbered('rows', runs)} are not those that dgmm wrote there, though each chunk "
        f"can be read ({source.rows(*runs[0]).place}): chunks have been swapped, or written to since"
    )
    if not allowed:
        raise DataError(
            f"{message}. Write it anew with `dgmm convert`; or, if it is meant to hold these rows, remove "
            f"its attribute {KEPT_AS!r}, or fit it with allow_changed_data=True"
        )
    logger.warning("%s", message)
    emit(DataChanged(message))


def say_unchecked(source: Source) -> None:
    """Say in the log, once a fit, that damage to what is stored would not be found."""
    if getattr(source, "finds_damage", None) is False:
        logger.info("%s: %s", source.name, without_checksums(source.name))


def without_checksums(name: str) -> str:
    """Say what it means that a store has no checksums, and how it gets them."""
    command = f"dgmm convert {shlex.quote(name)} OUT.zarr"
    return f"not found: there are no checksums; `{command}` writes the rows with them"


def revision_of_both(source: Source, weights: Source | None) -> Revision:
    """Ask the stores of rows and of weights what they say of themselves."""
    return revision_of(source) + (Revision() if weights is None else revision_of(weights))


def read_alone(_: Iterator[ChunkRows]) -> int:
    """Do nothing with rows: the work of a pass that is to see which they are."""
    return 0


def _numbered(what: str, runs: Sequence[tuple[int, int]]) -> str:
    return f"{what} {listed((f'{start} to {stop}' for start, stop in _merged(runs)), 3)}"


def _merged(runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join runs of which one begins where another ends."""
    merged: list[tuple[int, int]] = []
    for start, stop in runs:
        if merged and merged[-1][1] == start:
            start = merged.pop()[0]  # noqa: PLW2901
        merged.append((start, stop))
    return merged


def _not_finite(source: Source, runs: Sequence[tuple[int, int]], *, takes_nan: bool) -> str:
    """Find the first value that is not finite in rows that changed, and say where it is; else nothing.

    The first pass had none, and what is made of such values would be blamed on something else.
    """
    some = runs[:RUNS_LOOKED_INTO]
    for span in source.spans():
        start = span.start
        for chunk in span.chunks:
            stop = start + chunk.n_rows
            if any(start < last and first < stop for first, last in some):
                rows = read_now(chunk)
                is_bad = np.isinf(rows) if takes_nan else ~np.isfinite(rows)
                if is_bad.any():
                    row, column = np.argwhere(is_bad)[0].tolist()
                    return f"row {start + row}, column {column}, of {chunk.place} holds {rows[row, column]}"
            start = stop
    return ""
