"""Groups as numbers: columns of text, and the place of each value among those that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from dask.base import is_dask_collection
from numpy.typing import NDArray

from dgmm.data.kinds import comes_from
from dgmm.data.source import DataError


def categories_of(x: object) -> NDArray[np.str_] | None:
    """Return the different values of a column of text, in order; None where it holds anything else.

    Parameters
    ----------
    x : object
        A list or an array of text, a Series of pandas, Polars or Dask, a column of a stored table
        (`dgmm.data.open.open_text`), which is read here; or whatever else.

    Raises
    ------
    DataError
        Where some values are text and others are not, naming the first row of these.
    """
    if is_dask_collection(x):
        return _of_dask(x)
    if (stored := _stored(x)) is not None:
        return _of_stored(stored)
    values = _text_in(x)
    return None if values is None else np.unique(values)


def numbers_of(x: Any, categories: NDArray[np.str_]) -> Any:
    """Return the place of each value of a column of text among some, as floating-point numbers.

    Parameters
    ----------
    x : object
        As for `categories_of`, of text.
    categories : ndarray of str
        In order.

    Returns
    -------
    ndarray, or Dask Series or Array, of shape (n_rows,), or Source

    Raises
    ------
    DataError
        For a value that is not among them.
    """
    if is_dask_collection(x):
        places = partial(_places, categories=categories)
        if comes_from(x, "dask", "Array"):
            return x.map_blocks(places, dtype=np.float64, meta=np.empty(0))
        return x.map_partitions(_places_of_series, categories, meta=(x.name, np.float64))
    if (stored := _stored(x)) is not None:
        return _with_numbers(stored, Places(categories))
    values = _text_in(x)
    assert values is not None
    return _places(values, categories)


def places_among(values: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each value among the groups of a fit, which ascend: numbers or text.

    Raises
    ------
    DataError
        For a value that is not among them.
    """
    if known.dtype.kind != "U" and _are_consecutive(known):  # as places of text are
        offsets = np.nan_to_num(values - known[0], nan=-1.0)
        places = np.clip(offsets, 0, len(known) - 1).astype(np.int64)
    else:
        places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    other = known[places] != values
    if other.any():
        value = values[np.flatnonzero(other)[0]]
        shown = repr(str(value)) if known.dtype.kind == "U" else f"{value:g}"
        raise DataError(f"groups holds {shown}, which is none of the {len(known):,} groups of the fit")
    return places


def _are_consecutive(numbers: NDArray[Any]) -> bool:
    """Return whether ascending numbers are the whole ones from the first to the last."""
    return bool(numbers[-1] - numbers[0] == len(numbers) - 1 and (numbers == np.floor(numbers)).all())


@dataclass(frozen=True, eq=False)
class Places:
    """Takes text of Arrow to places among categories: picklable."""

    categories: NDArray[np.str_]

    def __call__(self, values: Any) -> NDArray[np.float64]:
        """Return them."""
        return _places(_with_all(values), self.categories)


@dataclass(frozen=True, eq=False)
class Distinct:
    """Notes the different values of text of Arrow."""

    found: set[str] = field(default_factory=set)

    def __call__(self, values: Any) -> NDArray[np.float64]:
        """Note them, and give zeros for numbers."""
        self.found.update(map(str, _with_all(values.unique())))
        return np.zeros(len(values))


def _with_all(values: Any) -> NDArray[np.object_]:
    """Return values of Arrow, none of which lacks."""
    if values.null_count:
        raise DataError("a column of text has missing values: give those rows a value of their own")
    return values.to_numpy(zero_copy_only=False).astype(object)


def _stored(x: object) -> Any:
    """Return a source of one column of text; None for anything else."""
    picked = getattr(x, "picked", None) or ()
    return x if len(picked) == 1 and getattr(picked[0], "numbers_of", None) is not None else None


def _with_numbers(source: Any, numbers_of: Callable[[Any], NDArray[np.floating]]) -> Any:
    """Return a source, or a chunk, of one column with other numbers for its text."""
    return replace(source, picked=(replace(source.picked[0], numbers_of=numbers_of),))


def _of_stored(source: Any) -> NDArray[np.str_]:
    """Read a column of text, chunk by chunk, for its different values."""
    distinct = Distinct()
    for span in source.spans():
        for chunk in span.chunks:
            _with_numbers(chunk, distinct).read()
    return np.array(sorted(distinct.found), dtype=np.str_)


def _of_dask(x: Any) -> NDArray[np.str_] | None:
    dtype = getattr(x, "dtype", None)
    is_text = getattr(dtype, "kind", "O") in "OUST" or not isinstance(dtype, np.dtype)
    if getattr(x, "ndim", 1) != 1 or not is_text or _is_number(dtype):
        return None
    if comes_from(x, "dask", "Array"):
        import dask.array as da  # noqa: PLC0415 - there is a Dask array, so it is imported

        found = da.unique(x).compute()
    else:
        found = x.unique().compute()
    values = _text_in(np.asarray(found, dtype=object))
    return None if values is None else np.unique(values)


def _is_number(dtype: object) -> bool:
    """Return whether a dtype of pandas is one of numbers."""
    return getattr(dtype, "kind", "O") in "iufb"


def _text_in(x: object) -> NDArray[np.str_] | None:
    """Return text as an array; None where there is none."""
    if isinstance(x, str) or not (isinstance(x, (list, tuple)) or hasattr(x, "__array__")):
        return None
    dtype = getattr(x, "dtype", None)
    if _is_number(dtype) or comes_from(x, "xarray", "Dataset"):
        return None
    values = np.asarray(x, dtype=None if isinstance(dtype, np.dtype) else object)
    if values.ndim != 1 or values.dtype.kind not in "OUST":
        return None
    is_text = np.array([isinstance(value, (str, bytes)) for value in values.tolist()], bool)
    if not is_text.any():
        return None
    if not is_text.all():
        row = int(np.flatnonzero(~is_text)[0])
        raise DataError(
            f"row {row} of a column of text holds {values[row]!r}: give rows without a value a text of their "
            "own"
        )
    return np.array([v.decode() if isinstance(v, bytes) else v for v in values.tolist()], dtype=np.str_)


def _places(values: Any, categories: NDArray[np.str_]) -> NDArray[np.float64]:
    text = _text_in(np.asarray(values, dtype=object))
    if text is None:
        if len(values):
            raise DataError(
                f"a column of text holds {values[0]!r}: give rows without a value a text of their own"
            )
        return np.empty(0)
    return places_among(text, categories).astype(np.float64)


def _places_of_series(series: Any, categories: NDArray[np.str_]) -> Any:
    import pandas as pd  # noqa: PLC0415 - it is a Series of pandas

    return pd.Series(_places(series, categories), index=series.index, name=series.name)
