"""A journal of results of passes and other long work, so that a repeated call resumes.

Between passes a fit depends on its rows, parameters and seed alone. So its state, whatever that is, need not
be kept: the same call asks for the same work in the same order, and the journal answers what was answered
before. `answered` is what all such work goes through; without a journal it is just done.

>>> from dgmm.data.durable import DurableFolder
>>> from dgmm.data.records import Kinds
>>> from dgmm.passes.entries import CLASSES
>>> folder = DurableFolder.at("memory://journal-example")
>>> for _ in range(2):
...     with journalling(Journal(folder, Kinds(CLASSES))):
...         answered("pass", "EM", 10, about="what to do", compute=lambda parts: print("done") or 42).value
done
42
42
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from dgmm.data.durable import DurableFolder
from dgmm.data.records import Kinds, RecordError, likeness_of, read_record, write_record
from dgmm.data.user_warnings import warn_user
from dgmm.passes.entries import (
    ENTRY,
    PART,
    Answer,
    Entry,
    PartialEntry,
    Reader,
    Request,
    Value,
    in_words,
    name_of,
)
from dgmm.passes.events import Resumed, emit
from dgmm.passes.parts import PartialResult, Parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JournalTuning:
    """When a journal is written. Half and double: not measured.

    Attributes
    ----------
    seconds_waiting : float
        Work in memory that took less, all together, waits for more before it is written: so much of it is
        done again after a death. Passes over more rows than a task reads never wait.
    misses : int
        Times in a row that writing may fail.
    seconds_of_parts : float
        After which what a pass has so far is written, and again after as many: a death costs so much of it.
    near : float
        Share of magnitudes by which sums over a request may differ to be those of the same request, where
        another processor or other versions of libraries round in other ways.
    """

    seconds_waiting: float = 1.0
    misses: int = 3
    seconds_of_parts: float = 60.0
    near: float = 1e-6


JOURNAL = JournalTuning()


class CheckpointWarning(UserWarning):
    """Something is wrong with a checkpoint, and the fit goes on: the message says what is lost."""


def warn(message: str) -> None:
    """Warn of something that is wrong with a checkpoint."""
    warn_user(message, CheckpointWarning)


class Journal:
    """What was answered so far, kept in a folder.

    Parameters
    ----------
    folder : DurableFolder
        It exists, and no other process writes to it.
    kinds : Kinds
        See `Reader`.
    origin : str, default=""
        What the first entry follows.
    exactly : bool, default=True
        Take answers to the very same requests alone, bit for bit; else to those that differ by rounding too.
    check : callable, optional
        Called before anything is written; raises an error where another process writes to the folder by now.
    """

    def __init__(
        self,
        folder: DurableFolder,
        kinds: Kinds,
        origin: str = "",
        *,
        exactly: bool = True,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.kinds = kinds
        self.exactly = exactly
        self.check = check
        self.taken: Counter[str] = Counter()
        self._files = Reader(folder, kinds, origin)
        self._is_replaying = True
        self._before = origin  # the tip before the file whose answers are being taken
        self._left: list[Answer[Any]] = []
        self._used: list[Answer[Any]] = []
        self._pending: list[Answer[Any]] = []
        self._n_misses = 0
        self._partial: list[PartialEntry] = []  # of the pass at which the fit was ended

    @property
    def n_entries(self) -> int:
        """How many files of it there are, of those that were read or written."""
        return self._files.number

    def ask(
        self, request: Request, compute: Callable[[Parts], Value], *, may_wait: bool = False
    ) -> Answer[Value]:
        """Return what was answered before; else do the work, and keep what it gives.

        Parameters
        ----------
        request : Request
        compute : callable
            Does the work. It is given what is there of it, and may tell what is done.
        may_wait : bool, default=False
            Whether a little of such work may wait to be written.
        """
        recorded = self._recorded(request)
        if recorded is not None:
            return recorded
        before = [each.kept for each in self._partial if self._is_of(request, each.request)]
        self._partial.clear()
        parts = Parts(before, partial(self._write_part, request), JOURNAL.seconds_of_parts)
        try:
            value = compute(parts)
        finally:
            parts.end()
        answer = Answer(request, value, parts.seconds)
        if parts.problem is not None:
            warn(f"{self.folder.place}: what a pass had so far could not be written: {parts.problem}")
        self._pending.append(answer)
        if not may_wait or sum(each.seconds for each in self._pending) >= JOURNAL.seconds_waiting:
            self.write()
        if parts.n_written and not self._pending:
            self._remove(PART)
        return answer

    def write(self) -> None:
        """Write what waits to be written.

        Raises
        ------
        OSError
            If that failed, and had failed before: see `JournalTuning`.

        Warns
        -----
        CheckpointWarning
            If it failed; it is tried again with what comes next.
        """
        if not self._pending:
            return
        self.check()
        try:
            self._put()
        except Exception as error:  # file systems of URLs raise what they like
            self._n_misses += 1
            failed = f"{self._next}: it could not be written: {error}"
            if self._n_misses >= JOURNAL.misses:
                raise OSError(f"{failed}; this failed {self._n_misses} times in a row") from error
            warn(
                f"{failed}. What was written before is still there; the fit goes on and tries again, and "
                f"ends after {JOURNAL.misses} failures in a row"
            )

    def finish(self) -> None:
        """Say that all was done: nothing more will be asked.

        Warns
        -----
        CheckpointWarning
            If that cannot be written: what was done is there all the same.
        """
        if self._is_replaying:
            self._read_on()
            if self._left:
                self._give_up("it has more answers than were asked for")
            self._stop_replaying()
        if self._pending or not self._files.is_complete:
            self.check()
            try:
                self._put(is_last=True)
            except Exception as error:
                warn(f"{self._next}: it could not be written: {error}. The fit has ended well")

    @property
    def _next(self) -> str:
        """The file that is written next, for messages."""
        return f"{self.folder.place}/{name_of(self._files.number + 1)}"

    def _put(self, *, is_last: bool = False) -> None:
        """Write the next file, with what waits."""
        data = write_record(Entry(self._files.tip, tuple(self._pending), is_last), self.kinds)
        self.folder.put(name_of(self._files.number + 1), data)
        self._files.follow(data, is_last=is_last)
        self._n_misses = 0
        self._pending.clear()

    def _recorded(self, request: Request) -> Answer[Any] | None:
        """Take the next answer that was there, if it is one to this request."""
        if not self._is_replaying:
            return None
        self._read_on()
        if not self._left:
            self._stop_replaying()
            return None
        found = self._left[0]
        assert found.request is not None
        if not self._is_of(request, found.request):
            self._give_up(
                f"it answers {found.request.purpose!r}, but {request.purpose!r} was asked with other "
                "numbers: the rows, or how they are rounded, have changed"
            )
            self._stop_replaying()
            return None
        self._used.append(self._left.pop(0))
        self.taken[request.kind] += 1
        return found

    def _is_of(self, request: Request, other: Request | None) -> bool:
        """Return whether what was given to another request is an answer to this one."""
        tolerance = None if self.exactly else JOURNAL.near
        return other is not None and request.is_answered_by(other, tolerance)

    def _read_on(self) -> None:
        """Read the next answers that are there, if all that were read have been taken."""
        while not self._left:
            before = self._files.tip
            entry = self._files.next()
            if entry is None:
                return
            self._before, self._left, self._used = before, [*entry.answers], []

    def _give_up(self, why: str) -> None:
        """Leave the answers that were not taken; those of their file that were are to be written anew."""
        self._files = Reader(self.folder, self.kinds, self._before, self._files.number - 1)
        self._pending, self._left = self._used, []
        self._files.damage = f"{name_of(self._files.number + 1)} does not fit: {why}"

    def _stop_replaying(self) -> None:
        """Go over to work that is to be done; say once what was there, and remove what is of no use."""
        self._is_replaying = False
        if self.taken:
            emit(Resumed(self.folder.place, in_words(self.taken)))
            logger.info("Going on from %s: %s", self.folder.place, in_words(self.taken))
        if self._files.damage:
            warn(
                f"{self.folder.place}: {self._files.damage}; what comes before is used, and everything else "
                "is done again"
            )
        self._remove(ENTRY, after=self._files.number)
        self._partial = [*self._read_parts()]

    def _write_part(self, request: Request, number: int, kept: PartialResult) -> None:
        """Write what a pass has so far."""
        self.check()
        if self._pending:
            self._put()
        data = write_record(PartialEntry(self._files.tip, request, kept), self.kinds)
        self.folder.put(f"part-{self._files.number + 1:06d}-{number:06d}.dgmm", data)

    def _read_parts(self) -> Iterator[PartialEntry]:
        """Read what there is of the pass that comes next; what is damaged, or of another, is left out."""
        for name in self.folder.names():
            match = PART.fullmatch(name)
            if match is None or int(match[1]) != self._files.number + 1:
                continue
            with suppress(RecordError):
                found = read_record(self.folder.read(name), self.kinds)
                if isinstance(found, PartialEntry) and found.after == self._files.tip:
                    yield found

    def _remove(self, pattern: re.Pattern[str], after: int = 0) -> None:
        """Remove files of higher numbers; one that cannot be removed does no harm, as it follows nothing."""
        for name in reversed(self.folder.names()):
            match = pattern.fullmatch(name)
            if match is None or int(match[1]) <= after:
                continue
            try:
                self.folder.remove(name)
            except Exception as error:
                logger.warning("%s: %s could not be removed: %s", self.folder.place, name, error)


_journal: ContextVar[Journal | None] = ContextVar("journal", default=None)


@contextmanager
def journalling(journal: Journal | None) -> Iterator[None]:
    """Keep a journal of the work that is asked for inside this context; None for no journal."""
    token = _journal.set(journal)
    try:
        yield
    finally:
        _journal.reset(token)


def answered(
    kind: str,
    purpose: str,
    size: int,
    *,
    about: object,
    compute: Callable[[Parts], Value],
    may_wait: bool = False,
) -> Answer[Value]:
    """Do work, or give what it gave before: see `Journal.ask`.

    Parameters
    ----------
    kind, purpose, size
        See `Request`.
    about : object
        What determines the result, given the rows: see `likeness_of`.
    compute : callable
        Does the work: see `Journal.ask`. What it asks for itself is a part of it.
    may_wait : bool, default=False
        Whether a little of such work may wait to be written.
    """
    journal = _journal.get()
    if journal is None:
        parts = Parts()
        return Answer(None, compute(parts), parts.seconds)

    def computed(parts: Parts) -> Value:
        with journalling(None):
            return compute(parts)

    request = Request(kind, purpose, size, likeness_of((kind, purpose, size, about)))
    return journal.ask(request, computed, may_wait=may_wait)
