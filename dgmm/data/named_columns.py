"""Columns that a user names as side information."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import narwhals as nw
from dask.base import is_dask_collection

from dgmm.data.kinds import is_open, is_table
from dgmm.data.mapped import of_columns
from dgmm.data.open import open_dataset, open_text
from dgmm.data.source import DataError
from dgmm.data.text import listed
from dgmm.data.types import RowsLike


def column_named(
    x: RowsLike, given: str, what: str, storage_options: Mapping[str, object] | None = None
) -> Any:
    """Return the column of rows that a text names; None where it is a path or URL.

    Parameters
    ----------
    x : object
        The rows, as for `open_dataset`.
    given : str
    what : str
        That is known of rows, for messages.
    storage_options : mapping, optional
        For the file system of a URL.

    Returns
    -------
    object or None
        Of numbers, for `dgmm.data.open.open_side_information`; or of text, for `dgmm.data.categories`.

    Raises
    ------
    DataError
        Where it is both, or neither.
    """
    try:
        column = column_of(x, given, storage_options)
    except DataError as error:
        if is_path(given):
            return None
        raise DataError(f"{what}={given!r} is neither a column nor a path: {error}") from None
    if leads_somewhere(given):
        refuse_ambiguous(given, what)
    return column


def is_path(given: str) -> bool:
    """Return whether text is a path or URL, where it is no column."""
    return os.sep in given or leads_somewhere(given)


def leads_somewhere(given: str) -> bool:
    """Return whether text is a URL, or a path of something that is there."""
    return "://" in given or os.path.exists(given)


def refuse_ambiguous(given: str, what: str) -> NoReturn:
    """Refuse a text that is a column of rows and a path.

    Raises
    ------
    DataError
    """
    raise DataError(
        f"{what}={given!r} is a column of the rows, and there is a file of that name, too: give "
        f"{os.path.join('.', given)!r} for the file, or the column itself"
    )


def column_of(x: Any, name: str, storage_options: Mapping[str, object] | None = None) -> Any:
    """Return a column of rows, of numbers or text, by its name.

    Raises
    ------
    DataError
        Where rows have no such column.
    """
    if is_open(x):
        names = list(x.feature_names or ())
        _check_there(name, names, x.name)
        return of_columns(x, [names.index(name)])
    if is_dask_collection(x) and hasattr(x, "columns"):
        _check_there(name, list(x.columns), "the Dask DataFrame")
        return x[name]
    if is_table(x):
        frame = nw.from_native(x) if not isinstance(x, (nw.DataFrame, nw.LazyFrame)) else x
        _check_there(name, frame.collect_schema().names(), type(x).__name__)
        column = frame.select(nw.col(name))
        return (column.collect() if isinstance(column, nw.LazyFrame) else column)[name].to_native()
    try:
        return open_dataset(x, columns=[name], storage_options=storage_options)
    except DataError as error:
        if not isinstance(x, (str, os.PathLike, list, tuple)):
            raise
        try:
            return open_text(x, name, storage_options)
        except (DataError, IndexError):  # no table, or no such column
            raise error from None


def has_column(x: RowsLike, name: str) -> bool:
    """Return whether rows have a column of this name."""
    try:
        column_of(x, name)
    except (DataError, OSError):
        return False
    return True


def _check_there(name: str, names: Sequence[Any], what: str) -> None:
    if name not in names:
        raise DataError(f"{what} has no column {name!r}; it has {listed(map(repr, names))}")
