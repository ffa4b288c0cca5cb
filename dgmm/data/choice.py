"""What a user has said of columns."""

from __future__ import annotations

from dataclasses import dataclass

from dgmm.data.source import DataError, check_no_two


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
