"""The files of a journal: answers to requests, chained by checksums."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dgmm.data.durable import DurableFolder
from dgmm.data.records import Kinds, Likeness, RecordError, digest_of, read_record
from dgmm.data.text import counted
from dgmm.passes.parts import PartialResult, Tree

WORK = {
    "pass": ("pass", "passes"),
    "tasks": ("round of tasks", "rounds of tasks"),
    "steps": ("round of steps on a sample", "rounds of steps on a sample"),
}
"""Kinds of work, and what a person calls one of them, and several."""

ENTRY = re.compile(r"entry-(\d{6})\.dgmm")
PART = re.compile(r"part-(\d{6})-(\d{6})\.dgmm")

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked for.

    Attributes
    ----------
    kind : str
        One of `WORK`.
    purpose : str
        A word or two for a person.
    size : int
        Rows, or tasks.
    likeness : Likeness
        Of what is to be done.
    """

    kind: str
    purpose: str
    size: int
    likeness: Likeness

    def is_answered_by(self, other: Request, tolerance: float | None) -> bool:
        """Return whether the answer to another request answers this one; None asks for the same bits."""
        same = self.likeness.is_same(other.likeness)
        return same or (tolerance is not None and self.likeness.is_near(other.likeness, tolerance))


@dataclass(frozen=True, eq=False)
class Answer(Generic[Value]):
    """What was done for a request.

    Attributes
    ----------
    request : Request or None
        None where there is no journal.
    value : object
    seconds : float
        That it took.
    """

    request: Request | None
    value: Value
    seconds: float


@dataclass(frozen=True, eq=False)
class Entry:
    """A file of a journal: answers, and which file they follow.

    Attributes
    ----------
    after : str
        Checksum of the file before it; of the first, what the journal is of.
    answers : tuple of Answer
    is_last : bool
        Whether all was done with these.
    """

    after: str
    answers: tuple[Answer[Any], ...]
    is_last: bool = False


@dataclass(frozen=True, eq=False)
class PartialEntry:
    """A file of what a pass had at some time.

    Attributes
    ----------
    after : str
        Checksum of the entry before the one that the pass will be in.
    request : Request
    kept : PartialResult
        What it had since the file before.
    """

    after: str
    request: Request
    kept: PartialResult


CLASSES = (Likeness, Request, Answer, Entry, PartialEntry, PartialResult, Tree)
"""What the files of a journal are made of, beside what is answered."""


@dataclass(frozen=True)
class Extent:
    """What a journal holds.

    Attributes
    ----------
    counts : mapping of str to int
        Requests of each kind that are answered.
    is_complete : bool
        Whether all was done.
    damage : str
        What is wrong with the file where it ends; empty if nothing is.
    """

    counts: Mapping[str, int]
    is_complete: bool
    damage: str

    def __str__(self) -> str:
        return in_words(self.counts)


def in_words(counts: Mapping[str, int]) -> str:
    """Say how many requests were answered."""
    found = [counted(counts[kind], *words) for kind, words in WORK.items() if counts.get(kind)]
    return ", ".join(found) or "nothing"


def name_of(number: int) -> str:
    """Return the name of the file of an entry; they are counted from 1."""
    return f"entry-{number:06d}.dgmm"


@dataclass(eq=False)
class Reader:
    """Reads a journal, file by file, as far as they are whole and follow each other.

    Attributes
    ----------
    folder : DurableFolder
    kinds : Kinds
        With `CLASSES`, and those of what is answered.
    tip : str
        Checksum that the next file follows: of the one before it.
    number : int
        Of the last file that was read.
    is_complete : bool
        Whether that is the last of all.
    damage : str
        What is wrong with the next file, where it cannot be used.
    """

    folder: DurableFolder
    kinds: Kinds
    tip: str
    number: int = 0
    is_complete: bool = False
    damage: str = ""

    def next(self) -> Entry | None:
        """Read the next file; None if there is none that can be used."""
        name = name_of(self.number + 1)
        try:
            data = self.folder.read(name)
        except FileNotFoundError:
            return None
        try:
            entry = read_record(data, self.kinds)
            if not isinstance(entry, Entry) or entry.after != self.tip:
                raise RecordError("it does not follow the one before it")
        except RecordError as error:
            self.damage = f"{name} is damaged, or of another fit: {error}"
            return None
        self.follow(data, is_last=entry.is_last)
        return entry

    def follow(self, data: bytes, *, is_last: bool) -> None:
        """Go on after a file."""
        self.number, self.tip, self.is_complete = self.number + 1, digest_of(data), is_last

    def extent(self) -> Extent:
        """Read all that is left."""
        counts: Counter[str] = Counter()
        while (entry := self.next()) is not None:
            counts.update(each.request.kind for each in entry.answers if each.request is not None)
        return Extent(counts, self.is_complete, self.damage)
