"""Text of users: names of columns and paths, which may hold any character."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

TURNS = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Ends of lines and changes of direction: what stands after them would not be where it seems to be."""


MOST_LISTED = 20
"""Names that a message lists."""


def listed(names: Iterable[str], most: int = MOST_LISTED) -> str:
    """List the first names, and how many more there are.

    >>> listed("abc", 2)
    'a, b and 1 more'
    """
    each = list(names)
    return ", ".join(each[:most]) + (f" and {len(each) - most} more" if len(each) > most else "")


def printable(text: object) -> str:
    r"""Give a text for a terminal or a page: control characters as Python writes them, others as they are.

    Parameters
    ----------
    text : object
        A name, a path, a message.

    Returns
    -------
    str

    Examples
    --------
    >>> printable("flux [/m²]")
    'flux [/m²]'
    >>> print(printable("two\nlines"))
    two\nlines
    """
    return "".join(repr(sign)[1:-1] if _is_control(sign) else sign for sign in str(text))


def _is_control(sign: str) -> bool:
    return sign in TURNS or unicodedata.category(sign) in {"Cc", "Cs"}
