"""Warnings about rows without any value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataWarning, Source
from dgmm.data.memory import MemorySource
from dgmm.data.text import plural
from dgmm.data.user_warnings import warn_user
from dgmm.estimators.rowwise import RowFunction

FILLED = "no value at all: such rows are all filled in the same way, from the whole mixture"
REGRESSED = (
    "none of the known features: targets given nothing have the mean and covariance of the whole mixture"
)
JUDGED = (
    "no value at all: such rows all get the same results: the weights of the mixture, and a log density of 0"
)
"""What rows lack, and what becomes of them."""

NOT_COUNTED = "They are not counted, as lazy results are computed piece by piece"

COUNTED_TOGETHER = 2**16
"""Rows without values are counted in so many rows at a time."""


def count_in(rows: NDArray[np.floating], columns: NDArray[np.intp] | None = None) -> int:
    """Count the rows, of shape (n_rows, n_columns), that have no value at all, or none in some columns."""
    rows = rows if columns is None else rows[:, columns]
    return 0 if rows.dtype.kind != "f" else int(np.isnan(rows).all(axis=1).sum())


def warn_without_values(n_empty: int, n_rows: int, what: str) -> None:
    """Warn of rows that lack values, if there are some: ``what`` says which, and what becomes of them."""
    if n_empty:
        have = plural(n_empty, "has", "have")
        warn_user(f"{n_empty:,} of {n_rows:,} rows {have} {what}", DataWarning)


@dataclass(frozen=True, eq=False)
class Warned:
    """A picklable function of rows that may have no value at all, which warns of them.

    Attributes
    ----------
    compute : callable
        See `dgmm.estimators.rowwise.RowFunction`.
    what : str
        What rows lack, and what becomes of them.
    n_features : int
        Of rows: what else is known of them follows.
    columns : ndarray of int or None
        Features that count. None: all do.
    """

    compute: Callable[..., NDArray[Any]]
    what: str
    n_features: int
    columns: NDArray[np.intp] | None = None

    def __call__(self, rows: NDArray[np.floating], *numbered: int) -> NDArray[Any]:
        """Compute, and warn."""
        if count_in(rows[:, : self.n_features], self.columns):
            warn_user(f"Some rows have {self.what}. {NOT_COUNTED}", DataWarning)
        return self.compute(rows, *numbered)


def warning_of_empty(
    function: RowFunction, source: Source, what: str, columns: NDArray[np.intp] | None = None
) -> RowFunction:
    """Warn about rows without any value: at once if they are in memory, else as they are computed.

    Parameters
    ----------
    function : RowFunction
    source : Source
    what : str
        What rows lack, and what becomes of them.
    columns : ndarray of int or None
        Features that count. None: all do.

    Returns
    -------
    RowFunction
        That warns, unless this did.

    Warns
    -----
    DataWarning
        With their number, for rows in memory.
    """
    if not isinstance(source, MemorySource):
        return replace(function, compute=Warned(function.compute, what, source.n_features, columns))
    starts = range(0, source.n_rows, COUNTED_TOGETHER)
    n_empty = sum(count_in(source.values[start : start + COUNTED_TOGETHER], columns) for start in starts)
    warn_without_values(n_empty, source.n_rows, what)
    return function
