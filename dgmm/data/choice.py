"""Which columns a user chose, and whether they exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from dgmm.data.source import DataError


@dataclass(frozen=True)
class Choice:
    """What a user has said of the columns.

    Attributes
    ----------
    columns : tuple of str, optional
        Those to take, in this order.
    fitted : tuple of str, optional
        Without ``columns``: the features of a mixture that is to be evaluated.
    is_text : bool
        The columns may hold text: see `dgmm.data.categories`.
    aside : tuple of str
        Without ``columns``: those that are no features, and are not told of.
    """

    columns: tuple[str, ...] | None = None
    fitted: tuple[str, ...] | None = None
    is_text: bool = False
    aside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.columns is not None and not self.columns:
            raise DataError("columns= is empty; name the columns to take, or leave it out to take all")
        if self.columns is not None:
            check_no_two(self.columns, self.columns, "columns=")


def check_no_two(names: Iterable[Hashable], wanted: Iterable[Hashable], where: str) -> None:
    """Raise a `DataError` if two columns have the same name, one of those wanted."""
    counts = Counter(names)
    twice = next((name for name in wanted if counts[name] > 1), None)
    if twice is not None:
        raise DataError(f"{where} has several columns {twice!r}; give them names of their own")


def check_columns(wanted: Sequence[Hashable], available: Sequence[Hashable], where: str) -> None:
    """Raise a `DataError` that names the columns that are not there."""
    missing = [column for column in wanted if column not in available]
    if missing:
        raise DataError(
            f"{where} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, available))}"
        )
