"""From array-likes in memory to an ndarray, or to an error that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from dgmm.data.choice import check_no_two
from dgmm.data.floats import rows_dtype
from dgmm.data.kinds import comes_from
from dgmm.data.source import DataError

RESHAPE = (
    "Reshape your data either using array.reshape(-1, 1) if your data has a single feature or "
    "array.reshape(1, -1) if it contains a single sample."
)


def text_names(columns: Sequence[Any]) -> tuple[str, ...] | None:
    """Return column labels as feature names: scikit-learn's rule, only where all are text.

    Raises
    ------
    TypeError
        Where some are text, in scikit-learn's words.
    DataError
        Where two are the same text.
    """
    kinds = sorted({"str" if isinstance(name, str) else type(name).__name__ for name in columns})
    if "str" not in kinds:
        return None
    if len(kinds) > 1:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{kinds} as feature name / column name types. If you want feature names to be stored and "
            "validated, you must convert them all to strings, by using X.columns = X.columns.astype(str) "
            "for example."
        )
    check_no_two(columns, columns, "the DataFrame")
    return tuple(map(str, columns))


def check_shape(shape: Sequence[float], n_dims: int, what: str, values: object = None) -> None:
    """Refuse a table or a list of weights of the wrong number of dimensions, or without columns.

    Parameters
    ----------
    shape : sequence of int
        Its shape; the number of rows may be NaN (unknown).
    n_dims : int
        2 for rows, 1 for weights.
    what : str
        What it is, for the message.
    values : object, optional
        The values, to be shown where it is one dimension short.

    Raises
    ------
    DataError
        In scikit-learn's words.
    """
    got = {0: "scalar", 1: "1D", 2: "2D"}.get(len(shape), f"{len(shape)}D")
    if n_dims == 1 and len(shape) != 1:
        raise DataError(f"Expected 1D array, got {got} array instead (shape={tuple(shape)}): {what}")
    if n_dims == 2 and len(shape) < 2:
        shown = f"\narray={values}" if values is not None else f" {what} of shape {tuple(shape)}"
        raise DataError(f"Expected 2D array, got {got} array instead:{shown}.\n{RESHAPE}")
    if len(shape) > 2:
        raise DataError(f"Found array with dim {len(shape)}, while dim <= 2 is required: {what}")
    if n_dims == 2 and shape[1] == 0:
        raise DataError(
            f"Found array with 0 feature(s) (shape={tuple(shape)}) while a minimum of 1 is required: {what}"
        )


def refuse_kind(values: object, what: str) -> None:
    """Refuse sparse and masked arrays, and matrices: densifying or unmasking is the user's decision.

    Parameters
    ----------
    values : object
        An array, the empty array that a Dask collection has as its ``meta``, or lists of arrays.
    what : str
        What holds it, for the message.

    Raises
    ------
    TypeError
        For a sparse array, or a `numpy.matrix`, in scikit-learn's words.
    DataError
        For a masked array.
    """
    if scipy.sparse.issparse(values) or comes_from(values, "sparse", "SparseArray"):
        raise TypeError(
            f"Sparse data was passed for {what}, but dense data is required. "
            "Use '.toarray()' to convert to a dense numpy array."
        )
    if isinstance(values, np.matrix):
        raise TypeError(
            f"np.matrix is not supported: {what}. Please convert to a numpy array with np.asarray. For more "
            "information see: https://numpy.org/doc/stable/reference/generated/numpy.matrix.html"
        )
    if _holds_masked(values):
        raise DataError(
            f"{what} is (or holds) a masked array, whose masked values are missing data; "
            "fill them with .filled(value), where NaN is a missing value like any other, or drop their rows "
            "with numpy.ma.compress_rows"
        )


def _holds_masked(values: object) -> bool:
    """Return whether this is a masked array, or a list with one: NumPy would take what lies under masks."""
    if isinstance(values, (list, tuple)):
        return any(map(_holds_masked, values))
    return isinstance(values, np.ma.MaskedArray)


def to_array(values: Any, what: str) -> NDArray[Any]:
    """Turn what NumPy understands into an array of real numbers, without a copy where possible.

    Parameters
    ----------
    values : object
        An array, a pandas Series, nested lists, anything with ``__array__``.
    what : str
        What it is, for messages.

    Returns
    -------
    ndarray
        Of any shape, and of the dtype of the values; objects, and pandas' nullable numbers, are
        converted to float64 (or float32).

    Raises
    ------
    DataError
        If the values are not real numbers, or ragged.
    TypeError
        If the values are sparse, or objects that are not numbers.
    """
    refuse_kind(values, what)
    if comes_from(values, "pandas", "Series"):
        return _of_series(values, what)
    try:
        given = np.asanyarray(values)
        array = np.asarray(given, np.float64 if given.dtype.kind == "O" and given.ndim > 0 else None)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{what}: {error}") from error
    if array.dtype.kind == "O":
        raise DataError(
            f"{what} is neither an array, a table nor a path: to NumPy it is one object. Give rows as an "
            "array, a table of pandas, Polars or Arrow, an object of Dask or xarray, or a path; those of an "
            "iterator as a list, or piece by piece to partial_fit"
        )
    refuse_kind(given, what)  # variables of netCDF4, for example, give masked arrays
    rows_dtype(array.dtype, what)
    return array


def series_dtype(dtype: Any, label: object, what: str, kinds: str = "fiub") -> np.dtype:
    """Return the dtype of the numbers of a pandas Series: float32 if they are, else float64.

    Parameters
    ----------
    dtype : dtype
        Of the series.
    label : object
        Its name.
    what : str
        What it is, for the message.
    kinds : str
        The NumPy kinds of dtype to accept.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    DataError
        Where it does not hold real numbers.
    """
    kind = _pandas_kind(dtype)
    if kind not in kinds:
        complex_data = "Complex data not supported: " if kind == "c" else ""
        raise DataError(
            f"{complex_data}{what}: column {label!r} ({dtype}) does not hold real numbers; convert it"
        )
    is_single = str(dtype).lower() in {"float32", "float[pyarrow]"}
    return np.dtype(np.float32 if is_single else np.float64)


def _pandas_kind(dtype: Any) -> str:
    """Return the NumPy kind of a pandas dtype: its own ``kind`` calls text and categories objects too."""
    if isinstance(dtype, np.dtype):
        return dtype.kind
    numeric = getattr(dtype, "_is_numeric", False) or getattr(dtype, "_is_boolean", False)
    return dtype.kind if numeric else "?"


def _of_series(values: Any, what: str) -> NDArray[Any]:
    dtype = series_dtype(values.dtype, values.name, what, "fiubO")
    try:
        return values.to_numpy(dtype=dtype, na_value=np.nan)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{what}: {error}; convert that column") from error
