"""Warnings about columns that were left out, or look like identifiers."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from dgmm.data.source import DataError, DataWarning
from dgmm.data.text import MOST_LISTED, listed
from dgmm.data.user_warnings import warn_user

IDENTIFIER = re.compile(
    r"_?(?:.*_)?(?:id|ids|uuid|guid|objid|rowid|healpix\w*|hpx\w*)|(?:id|ids)_\w+"
    r"|[Nn]order|[Nn]pix|Unnamed: 0|__index_level_\d+__|[a-z]+(?:ID|Id)"
)
"""Names of columns that say which row it is, or where it is stored."""

TARGET = re.compile(r"target|label|labels|class|cluster", re.IGNORECASE)
"""Names of columns of whole numbers that say what is to be found."""

DATE = re.compile(r"(?:.*_)?(?:date|datetime|timestamp)", re.IGNORECASE)
"""Names of dates, which may be stored as numbers."""


def warn_of_columns(features: Mapping[Hashable, bool | None], left_out: Sequence[str], what: str) -> None:
    """Warn of columns that were left out, and of features that look like no measurements.

    Parameters
    ----------
    features : mapping of str to (bool or None)
        Columns that are taken, and whether their values count: whole numbers, or true and false. None for
        columns of vectors, which identify nothing, whatever they are called.
    left_out : sequence of str
        The others, as `warn_user` is to show them.
    what : str
        What has them, for messages.

    Raises
    ------
    DataError
        Where all features identify rows or are dates.

    Warns
    -----
    DataWarning

    Examples
    --------
    >>> warn_of_columns({"mass": False, "radius": False}, [], "the table")
    >>> try:
    ...     warn_of_columns({"star_id": True}, ["'name' (string)"], "the table")
    ... except DataError as error:
    ...     print(str(error).partition(":")[0])
    the table has no column of measurements
    """
    doubtful = [name for name, counts in features.items() if _is_doubtful(name, counts)]
    kept = [name for name in features if name not in doubtful]
    identifies = [_is_doubtful(name, None if counts is None else False) for name, counts in features.items()]
    if all(identifies):
        beside = f", and {listed(left_out)} cannot be a feature" if left_out else ""
        raise DataError(
            f"{what} has no column of measurements: {listed(map(repr, doubtful))} looks by its name like an "
            f"identifier or a date{beside}; name the columns to take with columns="
        )
    if left_out:
        warn_user(
            f"{what}: column {listed(left_out)} {'was' if len(left_out) == 1 else 'were'} left out; "
            f"say which columns to take with {_as_option(kept or features)}",
            DataWarning,
        )
    if doubtful and kept:
        warn_user(
            f"{what}: column {listed(map(repr, doubtful))} looks by its name like an identifier, a "
            f"date or a target, not a measurement; leave it out with {_as_option(kept)}",
            DataWarning,
        )


def _is_doubtful(name: Hashable, counts: bool | None) -> bool:
    """Return whether a column, by its name, is no measurement: a target only where its values count."""
    if counts is None or not isinstance(name, str):
        return False
    patterns = (IDENTIFIER, DATE, TARGET) if counts else (IDENTIFIER, DATE)
    return any(pattern.fullmatch(name) for pattern in patterns)


def _as_option(names: Iterable[Any]) -> str:
    each = list(names)
    return f"columns={each}" if len(each) <= MOST_LISTED else f"columns=[{', '.join(map(repr, each[:3]))}, …]"
