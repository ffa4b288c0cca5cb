"""Which columns of a table are features: one rule for tables of all kinds.

The type that Arrow has for a column decides, in pandas, Polars, Arrow, Parquet, CSV and frames of Dask:

- integers, floating-point numbers, decimals and booleans are features;
- lists of them, all of one length, are as many features: ``name[0]``, ``name[1]``, …;
- text, categories (of numbers too: they are labels), dates, times, bytes, records and nulls alone are not.

Missing values become NaN. Rows are float32 where all features are float32, else float64.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dgmm.data.choice import Choice, check_columns, check_no_two
from dgmm.data.measurements import warn_of_columns
from dgmm.data.source import MEBIBYTE, DataError
from dgmm.data.text import printable

CHUNK_BYTES = 16 * MEBIBYTE
"""Rows of a chunk of a table that is read have about as many bytes. Half and double: not measured."""

ELEMENT = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """A column of a table, as far as features go.

    Attributes
    ----------
    name : str
        Or another label, in a pandas DataFrame without names.
    type : pyarrow.DataType or None
        None where Arrow has no such type.
    described : str
        The type, as the library that holds the column calls it.
    width : int, optional
        Of lists: their length, where all have one; 0 where none is there.
    aside : str, optional
        Why it is not taken unless it is named, though it may hold numbers.
    conflict : str, optional
        Where files differ in it: it cannot be taken.
    settled_by_name : bool
        It can, if it is named.
    is_reported : bool
        Whether a warning names it if it is left out.
    """

    name: Hashable
    type: pa.DataType | None
    described: str
    width: int | None = None
    aside: str | None = None
    conflict: str | None = None
    settled_by_name: bool = False
    is_reported: bool = True

    @classmethod
    def of(cls, field: pa.Field, width: int | None = None) -> Column:
        """Describe a field of an Arrow schema; of lists of varying length, with the width that was found."""
        kind = stored_type(field.type)
        width = kind.list_size if pa.types.is_fixed_size_list(kind) else width
        return cls(field.name, field.type, str(field.type), width)

    @property
    def is_usable(self) -> bool:
        """Whether it can be a feature, or several."""
        return self.type is not None and (is_number(self.type) or (is_vector(self.type) and bool(self.width)))

    @property
    def shown(self) -> str:
        """The name, and what it holds."""
        of = ""
        if self.type is not None and is_vector(self.type) and not self.width:
            of = ", of different lengths" if self.width is None else ", none of which has any number"
        return f"{self.name!r} ({self.aside or self.described + of})"

    @property
    def is_null(self) -> bool:
        """Whether no value is there."""
        if self.type is None:
            return False
        return pa.types.is_null(self.type) or (is_vector(self.type) and self.width == 0)


@dataclass(frozen=True)
class Picked:
    """A column that is read.

    Attributes
    ----------
    name : str
    elements : sequence of int, optional
        Of lists: which elements.
    width : int
        Of lists: their length.
    is_whole : bool
        Its values are whole numbers.
    numbers_of : callable, optional
        Of text: takes values of Arrow to numbers (see `dgmm.data.categories`).
    """

    name: Hashable
    elements: Sequence[int] | None = None
    width: int = 0
    is_whole: bool = False
    numbers_of: Callable[[Any], NDArray[np.floating]] | None = None

    @property
    def n_features(self) -> int:
        """Number of features."""
        return 1 if self.elements is None else len(self.elements)

    @property
    def feature_names(self) -> list[Any]:
        """Names of the features."""
        return [self.name] if self.elements is None else [f"{self.name}[{i}]" for i in self.elements]


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which values of an extension type, or of runs of equal ones, are stored."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def is_number(kind: pa.DataType) -> bool:
    """Return whether values of a type are real numbers, or true and false."""
    types, kind = pa.types, stored_type(kind)
    return (
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    )


def is_vector(kind: pa.DataType) -> bool:
    """Return whether values of a type are lists of real numbers."""
    types, kind = pa.types, stored_type(kind)
    is_list = (
        types.is_fixed_size_list(kind)
        or types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )
    return is_list and is_number(kind.value_type)


def rows_type(kinds: Iterable[pa.DataType]) -> np.dtype:
    """Return the dtype of rows of columns of some types: float32 where all are, else float64."""
    found = [stored_type(kind) for kind in kinds]
    found = [stored_type(kind.value_type) if is_vector(kind) else kind for kind in found]
    single = bool(found) and all(kind == pa.float32() for kind in found)
    return np.dtype(np.float32 if single else np.float64)


def n_features(picked: Iterable[Picked]) -> int:
    """Count the features."""
    return sum(each.n_features for each in picked)


def whole_numbers(picked: Iterable[Picked]) -> tuple[bool, ...]:
    """Say of each feature whether it is of whole numbers."""
    return tuple(each.is_whole for each in picked for _ in range(each.n_features))


def feature_names(picked: Iterable[Picked]) -> tuple[Any, ...]:
    """Name the features."""
    return tuple(name for each in picked for name in each.feature_names)


def pick(columns: Sequence[Column], choice: Choice, what: str, *, by_name: bool = True) -> tuple[Picked, ...]:
    """Pick the columns that are features.

    Parameters
    ----------
    columns : sequence of Column
        All of the table.
    choice : Choice
        Named columns are taken as they are. Without: all that can be features; of the others, and of those
        that look like no measurements, a warning tells.
    what : str
        What the table is, for messages.
    by_name : bool, default=True
        Take the features of a mixture by their names, whatever their order and whatever is beside them.
        Else all that can be features are taken in the order of the table, for scikit-learn's check of it.

    Returns
    -------
    tuple of Picked

    Raises
    ------
    DataError
        Where a column is not there, there twice, or holds no numbers; or no column can be a feature.

    Warns
    -----
    DataWarning
        Of columns that are left out, or that look like identifiers, dates or targets.
    """
    picked = _picked(columns, choice, what, by_name=by_name)
    names = feature_names(picked)
    check_no_two(names, names, what)  # a list's elements may be called as another column
    return picked


def _picked(columns: Sequence[Column], choice: Choice, what: str, *, by_name: bool) -> tuple[Picked, ...]:
    if choice.columns is not None:
        return _texts(columns, choice, what) if choice.is_text else _named(columns, choice.columns, what)
    columns = [column for column in columns if column.name not in choice.aside]
    usable = [column for column in columns if column.is_usable and column.aside is None]
    if choice.fitted is not None:
        wanted = set(choice.fitted)
        named = {name for column in columns for name in _whole(column).feature_names}
        if by_name and wanted <= named:
            return _named(columns, choice.fitted, what)
        _check_numbers([column for column in columns if column.name in wanted], what)
    _check_not_complex(columns, what)
    _check_agreed([column for column in usable if column.conflict is not None])
    if not usable:
        each = ", ".join(column.shown for column in columns) or "no columns"
        raise DataError(f"{what} has no column of numbers; it has {each}")
    check_no_two([column.name for column in columns], [column.name for column in usable], what)
    if choice.fitted is None:
        _tell(columns, usable, what)
    return tuple(map(_whole, usable))


def _whole(column: Column) -> Picked:
    if column.width:
        return Picked(column.name, range(column.width), column.width)
    return Picked(
        column.name, is_whole=column.type is not None and pa.types.is_integer(stored_type(column.type))
    )


def _named(columns: Sequence[Column], wanted: Sequence[str], what: str) -> tuple[Picked, ...]:
    """Pick the named columns, and elements of lists such as ``embedding[3]``."""
    names = [column.name for column in columns]
    by_name = {column.name: column for column in columns}
    found: list[tuple[Column, int | None]] = []
    missing = []
    for name in wanted:
        element = ELEMENT.fullmatch(name) if isinstance(name, str) else None
        vector = by_name.get(element[1]) if element else None
        if name in by_name:
            found.append((by_name[name], None))
        elif element and vector and vector.width and int(element[2]) < vector.width:
            found.append((vector, int(element[2])))
        else:
            missing.append(name)
    check_columns(missing, names, what)
    check_no_two(names, [column.name for column, _ in found], what)
    _check_numbers([column for column, _ in found], what)
    _check_agreed([column for column, _ in found if column.conflict and not column.settled_by_name])
    picked: list[Picked] = []
    for (column, is_element), group in groupby(found, key=lambda each: (each[0], each[1] is not None)):
        elements = [number for _, number in group if number is not None]
        picked.append(
            Picked(column.name, _run(elements), column.width or 0) if is_element else _whole(column)
        )
    return tuple(picked)


def _texts(columns: Sequence[Column], choice: Choice, what: str) -> tuple[Picked, ...]:
    """Pick the named columns, whatever they hold."""
    names, wanted = [column.name for column in columns], choice.columns or ()
    check_columns(wanted, names, what)
    check_no_two(names, wanted, what)
    return tuple(Picked(name, numbers_of=partial(no_numbers, name)) for name in wanted)


def no_numbers(name: Hashable, values: Any) -> NDArray[np.floating]:
    """Refuse a column of text of which no numbers are known."""
    raise DataError(
        f"column '{printable(str(name))}' holds text, which cannot be read as numbers: name one of numbers"
    )


def _check_agreed(columns: Sequence[Column]) -> None:
    """Refuse columns in which files differ."""
    for column in columns:
        by_name = (
            f"name {column.name!r} among columns= to take NaN there, or " if column.settled_by_name else ""
        )
        raise DataError(f"{column.conflict}; {by_name}leave it out with columns=")


def _run(elements: list[int]) -> Sequence[int]:
    """Return consecutive numbers as a range: short where it is pickled, and its values are a slice."""
    run = range(elements[0], elements[-1] + 1)
    return run if list(run) == elements else tuple(elements)


def _check_numbers(columns: Iterable[Column], what: str) -> None:
    wrong = [column for column in columns if not column.is_usable]
    if wrong:
        _check_not_complex(wrong, what)
        raise DataError(
            f"{what}: column {', '.join(column.shown for column in wrong)} does not hold real numbers; "
            "convert it, or leave it out with columns="
        )


def _check_not_complex(columns: Iterable[Column], what: str) -> None:
    wrong = [column.shown for column in columns if column.described.startswith("complex")]
    if wrong:
        raise DataError(
            f"Complex data not supported: {what}: column {', '.join(wrong)} does not hold real numbers; "
            "convert it, or leave it out with columns="
        )


def _tell(columns: Sequence[Column], usable: Sequence[Column], what: str) -> None:
    """Warn of columns that were left out, and of features that look like no measurements."""
    left_out = [column.shown for column in columns if column not in usable and column.is_reported]
    warn_of_columns({column.name: _counts(column) for column in usable}, left_out, what)


def _counts(column: Column) -> bool | None:
    """Return whether values count, as identifiers and targets do; None for lists of them."""
    if column.type is None or is_vector(column.type):
        return None
    kind = stored_type(column.type)
    return pa.types.is_integer(kind) or pa.types.is_boolean(kind)


class OfColumns:
    """What sources of picked columns say of their features.

    Attributes
    ----------
    picked : tuple of Picked
        The columns that are read.
    """

    picked: tuple[Picked, ...]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return n_features(self.picked)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns, and of elements of lists."""
        return feature_names(self.picked)

    @property
    def holds_whole(self) -> tuple[bool, ...]:
        """Which features are whole numbers."""
        return whole_numbers(self.picked)
