"""Arrow columns written into rows of floating-point numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from dgmm.data.source import DataError
from dgmm.data.tables import Picked


def fill(
    rows: NDArray[np.floating], arrays: Sequence[Any], picked: Sequence[Picked], place: str, first: int = 0
) -> None:
    """Write the values of columns into rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    arrays : sequence of pyarrow.Array or pyarrow.ChunkedArray
        One for each picked column, of n_rows values. Nulls become NaN.
    picked : sequence of Picked
    place : str
        Where the values are, for messages.
    first : int, default=0
        Number of the first row there.

    Raises
    ------
    DataError
        Where lists are of another length than when the table was opened: with the first such row.
    """
    target, at = pa.from_numpy_dtype(rows.dtype), 0
    for values, each in zip(arrays, picked, strict=True):
        end = at + each.n_features
        if each.numbers_of is not None:
            rows[:, at] = each.numbers_of(values)
        elif each.elements is None:
            rows[:, at] = _numbers(values, target)
        else:
            rows[:, at:end] = _vectors(values, each, target, place, first)
        at = end


def _call(function: str, values: Any) -> Any:
    """Call a compute function of Arrow; they are made when it is imported, which no type checker sees."""
    return compute.call_function(function, [values])


def _numbers(values: Any, target: pa.DataType) -> NDArray[np.floating]:
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.cast(values.type.storage_type)
    if pa.types.is_run_end_encoded(values.type):
        values = _call("run_end_decode", values)
    return values.cast(target, safe=False).to_numpy(zero_copy_only=False)


def _vectors(
    values: Any, picked: Picked, target: pa.DataType, place: str, first: int
) -> NDArray[np.floating]:
    """Return the wanted elements of lists: shape (n_rows, n_elements)."""
    assert picked.elements is not None
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.cast(values.type.storage_type)
    if pa.types.is_null(values.type):
        return np.full((len(values), len(picked.elements)), np.nan, target.to_pandas_dtype())
    lengths = _numbers(_call("list_value_length", values), pa.float64())
    present, width = ~np.isnan(lengths), picked.width
    wrong = np.flatnonzero(present & (lengths != width))
    if len(wrong):
        raise DataError(
            f"{place}: column {picked.name!r} has {lengths[wrong[0]]:.0f} numbers in row {first + wrong[0]}, "
            f"where {width} are expected; only lists of one length are features: mend that row, or leave the "
            "column out with columns="
        )
    found = np.full((len(values), len(picked.elements)), np.nan, target.to_pandas_dtype())
    flat = _numbers(_call("list_flatten", values), target).reshape(-1, width)
    elements = picked.elements
    taken = slice(elements.start, elements.stop) if isinstance(elements, range) else list(elements)
    found[present] = flat[:, taken]
    return found


def width_of(values: Any) -> int | None:
    """Return the one length of an array of lists: None where there are several, 0 where there is no list."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.cast(values.type.storage_type)
    found = _call("list_value_length", values).drop_null().unique().to_pylist()
    return None if len(found) > 1 else sum(found)
