"""Facts about something, for people as text and for machines as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from rich.table import Table

from dgmm.data.text import printable


@dataclass(frozen=True)
class Fact:
    """A line with a name.

    Attributes
    ----------
    name, text : str
        For people.
    values : mapping of str to object
        For machines: everything that the text is made of, rounded to nothing.
    """

    name: str
    text: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Exhibit:
    """A table, or a text of any number of lines.

    Attributes
    ----------
    shown : rich.table.Table or str
        For people; an empty text is not shown.
    values : mapping of str to object
        For machines.
    """

    shown: Table | str
    values: Mapping[str, Any] = field(default_factory=dict)


Said = Fact | Exhibit
"""What a command says."""


def fact(name: str, text: object, **values: Any) -> Fact:
    """Make a fact."""
    return Fact(name, str(text), values)


def laid_out(facts: Sequence[Fact]) -> str:
    """Lay out names and texts, one fact a line."""
    width = max(len(each.name) for each in facts)
    return "\n".join(f"{each.name:<{width}}  {printable(each.text)}" for each in facts)


def pages(said: Iterable[Said]) -> Iterable[Table | str]:
    """Yield what is to be shown to people, in order: facts that follow each other as one text."""
    for kind, group in groupby(said, type):
        if kind is Fact:
            yield laid_out([each for each in group if isinstance(each, Fact)])
        else:
            yield from (each.shown for each in group if isinstance(each, Exhibit) and each.shown)


def as_json(said: Iterable[Said]) -> str:
    """Return the values of all that is said as one JSON object, with numbers to their last digit.

    What JSON has no number for, NaN and infinities, is ``null``.

    Raises
    ------
    ValueError
        If two of what is said have a value of the same name.
    """
    whole: dict[str, Any] = {}
    for each in said:
        twice = whole.keys() & each.values.keys()
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))} is said twice")
        whole |= {name: _plain(value) for name, value in each.values.items()}
    return json.dumps(whole, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """Make of a value what JSON has."""
    match value:
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [
                _plain(each) for each in (sorted(value) if isinstance(value, (set, frozenset)) else value)
            ]
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
    return str(value)
