"""Tables in memory (pandas, Polars, Arrow, others by narwhals) and partitions of Dask frames."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dgmm.data.choice import Choice, check_columns, check_no_two
from dgmm.data.convert import check_shape, text_names
from dgmm.data.kinds import comes_from, is_pandas
from dgmm.data.memory import MemorySource
from dgmm.data.source import DataError
from dgmm.data.tables import (
    ELEMENT,
    Column,
    Picked,
    feature_names,
    is_number,
    is_vector,
    n_features,
    pick,
    rows_type,
    whole_numbers,
)
from dgmm.data.values import fill, width_of

CATEGORIES = pa.dictionary(pa.int32(), pa.string())
"""The type of pandas' categories: of whatever they are, they are labels."""


def column_names(x: Any, features: Iterable[str] = ()) -> list[Hashable]:
    """Name the columns of a table in memory, and those of the features that are elements of one.

    Parameters
    ----------
    x : DataFrame, Table or RecordBatch
        Of what `table_source` takes.
    features : iterable of str, optional
        Such as ``embedding[3]``.
    """
    if isinstance(x, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        names: list[Hashable] = [*x.schema.names]
    else:
        names = [*x.columns] if is_pandas(x) else [*nw.from_native(x).collect_schema().names()]
    elements = {name: ELEMENT.fullmatch(name) for name in features}
    return names + [name for name, found in elements.items() if found and found[1] in names]


def table_source(x: Any, choice: Choice, n_dims: int = 2) -> MemorySource:
    """Make a source of a table in memory.

    Parameters
    ----------
    x : DataFrame, Table or RecordBatch
        Of pandas, Polars, Arrow, or what narwhals reads. Of a lazy frame the columns that are features are
        computed.
    choice : Choice
    n_dims : int, default=2
        2 for rows, 1 for weights, which a table is not.

    Returns
    -------
    MemorySource

    Raises
    ------
    DataError, TypeError
        As `dgmm.data.tables.pick`, and where column labels are text and other things.
    """
    what = type(x).__name__
    if is_pandas(x):
        check_shape(x.shape, n_dims, what)
        picked = pick(pandas_columns(x, what), choice, what, by_name=False)
        names = text_names([name for each in picked for name in each.feature_names])
        rows = pandas_rows(x, picked, what)
        return MemorySource(rows, names, what, whole=whole_numbers(picked))
    table = _arrow_table(x, choice)
    check_shape(table.shape, n_dims, what)
    widths = [width_of(values) if is_vector(values.type) else None for values in table.columns]
    columns = [Column.of(field, width) for field, width in zip(table.schema, widths, strict=True)]
    picked = pick(columns, choice, what, by_name=False)
    arrays = [table.column(each.name) for each in picked]
    rows = np.empty((table.num_rows, n_features(picked)), rows_type(values.type for values in arrays))
    fill(rows, arrays, picked, what)
    return MemorySource(rows, feature_names(picked), what, whole=whole_numbers(picked))


def table_like(x: Any, rows: NDArray[np.floating], names: Sequence[str] | None) -> Any:
    """Make a table of rows, of the kind of another table.

    Parameters
    ----------
    x : DataFrame, Table or RecordBatch
        Of what `table_source` takes. Of pandas it gives the index too; of a lazy frame the table is computed.
    rows : ndarray of shape (n_rows, n_features)
    names : sequence of str or None
        Of the columns. None where the labels of a frame of pandas are not text.

    Returns
    -------
    DataFrame or Table
    """
    if is_pandas(x):
        return type(x)(rows, index=x.index, columns=x.columns if names is None else names)
    assert names is not None, "the columns of a table have names"
    columns = dict(zip(names, rows.T, strict=True))
    if isinstance(x, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        return pa.table(columns)
    frame = nw.from_native(x)
    is_eager = isinstance(frame, nw.DataFrame) or frame.implementation.is_polars()
    made = nw.from_dict(columns, backend=frame.implementation if is_eager else "pyarrow")
    return made if isinstance(x, (nw.DataFrame, nw.LazyFrame)) else made.to_native()


def _arrow_table(x: Any, choice: Choice) -> pa.Table:
    """Return a table of Arrow; columns that are not taken may be without rows."""
    if isinstance(x, pa.Table):
        return x
    if isinstance(x, (pa.RecordBatch, pa.RecordBatchReader)):
        return pa.table(x)
    frame = nw.from_native(x)
    wide = [name for name, kind in frame.collect_schema().items() if kind in (nw.Int128, nw.UInt128)]
    if wide:  # Arrow has no such numbers
        frame = frame.with_columns(nw.col(*wide).cast(nw.Float64))
    empty = frame.head(0)
    schema = (empty.collect("pyarrow") if isinstance(empty, nw.LazyFrame) else empty).to_arrow().schema
    names = [field.name for field in schema if is_number(field.type) or is_vector(field.type)]
    if choice.columns is not None:
        elements = map(ELEMENT.fullmatch, choice.columns)
        wanted = {*choice.columns, *(element[1] for element in elements if element)}
        names = [name for name in names if name in wanted]
    if not names:
        return schema.empty_table()
    some = frame.select(names)
    table = (some.collect("pyarrow") if isinstance(some, nw.LazyFrame) else some).to_arrow()
    nothing = {field.name: pa.nulls(table.num_rows, field.type) for field in schema}
    return pa.table(nothing | dict(zip(table.column_names, table.columns, strict=True)))


def pandas_columns(frame: Any, what: str) -> list[Column]:
    """Describe the columns of a pandas frame; objects are what Arrow makes of them.

    Parameters
    ----------
    frame : pandas.DataFrame
    what : str
        What it is, for messages.

    Returns
    -------
    list of Column
    """
    columns = described(frame)
    for position, column in enumerate(columns):
        if column.described == "object" or (column.type is not None and is_vector(column.type)):
            values = _to_arrow(frame.iloc[:, position], what)
            width = width_of(values) if is_vector(values.type) else None
            columns[position] = Column(column.name, values.type, column.described, width)
    return columns


def described(frame: Any) -> list[Column]:
    """Describe the columns of a frame of pandas or Dask by their dtypes alone.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    list of Column
        Objects without a type, lists without a width.
    """
    return [
        Column(name, _arrow_type(dtype), str(dtype))
        for name, dtype in zip(frame.columns, frame.dtypes, strict=True)
    ]


def _arrow_type(dtype: Any) -> pa.DataType | None:
    """Return Arrow's type for a dtype of pandas; None for objects and what Arrow lacks."""
    if isinstance(dtype, np.dtype):
        if dtype.kind not in "fiub":
            return None
        known = dtype.kind != "f" or dtype.itemsize <= 8  # Arrow lacks longer ones
        return pa.from_numpy_dtype(dtype.newbyteorder("=")) if known else pa.float64()
    if dtype.name == "category":
        return CATEGORIES
    if hasattr(dtype, "pyarrow_dtype"):
        return dtype.pyarrow_dtype
    if comes_from(dtype, "pandas", "BaseMaskedDtype"):
        return _arrow_type(dtype.numpy_dtype)
    return _arrow_type(dtype.subtype) if comes_from(dtype, "pandas", "SparseDtype") else None


def pandas_rows(
    frame: Any, picked: Sequence[Picked], place: str, dtype: np.dtype | None = None
) -> NDArray[np.floating]:
    """Return the rows of a pandas frame.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its columns may be in any order.
    picked : sequence of Picked
    place : str
        What it is, for messages.
    dtype : numpy.dtype, optional
        Of the rows. Default: float32 where all columns are, else float64.

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        A view, where that is possible.

    Raises
    ------
    DataError
        Where a column is missing, or does not hold real numbers.
    """
    names, labels = [each.name for each in picked], list(frame.columns)
    check_columns(names, labels, place)
    check_no_two(labels, names, place)
    chosen = frame if names == labels else frame.iloc[:, [labels.index(name) for name in names]]
    columns = described(chosen)
    if all(column.type is not None and is_number(column.type) for column in columns):
        if dtype is None:
            dtype = rows_type(column.type for column in columns if column.type is not None)
        return chosen.to_numpy(dtype=dtype, na_value=np.nan)
    arrays = [_to_arrow(chosen.iloc[:, position], place) for position in range(len(names))]
    for each, column, values in zip(picked, columns, arrays, strict=True):
        fits = is_number(values.type) if each.elements is None else is_vector(values.type)
        if not fits and not pa.types.is_null(values.type):
            raise DataError(
                f"{place}: column {column.shown} does not hold real numbers; convert it, or leave it out "
                "with columns="
            )
    kind = rows_type(values.type for values in arrays) if dtype is None else dtype
    rows = np.empty((len(frame), n_features(picked)), kind)
    fill(rows, arrays, picked, place)
    return rows


def _to_arrow(series: Any, what: str) -> Any:
    """Return a column of pandas to Arrow; numbers of several kinds, as objects, become float64."""
    if str(series.dtype) == "category":
        return pa.nulls(len(series), CATEGORIES)  # they are not read
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        present = series[series.notna()]
        wrong = [
            position
            for position, value in enumerate(present)
            if not isinstance(value, (Real, Decimal, np.bool_))
        ]
        if not wrong:
            try:
                return pa.array(series.astype(float), from_pandas=True)
            except OverflowError as error:
                raise DataError(
                    f"{what}: column {series.name!r} ({series.dtype}) has numbers beyond the range of "
                    f"float64: {error}; scale or convert that column, or leave it out with columns="
                ) from error
        if len(wrong) == len(present):
            return pa.nulls(len(series), pa.binary())  # things that are no numbers, all of them
        first = wrong[0]
        raise DataError(
            f"{what}: column {series.name!r} ({series.dtype}) holds numbers, but {present.iloc[first]!r} in "
            f"row {present.index[first]!r}; convert that column, or leave it out with columns="
        ) from None


def check_promised(labels: Iterable[Hashable], promised: Sequence[Hashable], place: str) -> None:
    """Refuse a partition with a column that the frame was not said to have, or one twice."""
    extra = [label for label in labels if label not in promised]
    if extra:
        raise DataError(
            f"{place} has column {', '.join(map(repr, extra))}, which is not among the columns that Dask "
            "promised; leave it out there, or name the columns to take with columns="
        )
