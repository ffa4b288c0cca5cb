"""Which floating-point type stored numbers become, and when that rounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dgmm.data.source import DataError, DataWarning, Source
from dgmm.data.user_warnings import warn_user

LARGEST_WHOLE = 2**53
"""Whole numbers up to this are float64 as they are; larger ones are rounded."""


def whole_columns(source: Source) -> NDArray[np.bool_]:
    """Return which columns are whole numbers, as a source says by ``holds_whole``: (n_features,)."""
    return np.broadcast_to(getattr(source, "holds_whole", False), source.n_features)


def warn_of_rounding(source: Source, minimum: NDArray[np.floating], maximum: NDArray[np.floating]) -> None:
    """Warn of whole numbers that float64 rounds: of sources that say by ``holds_whole`` that they have such.

    It is true or false of all features, or of each. Such numbers are hardly ever measurements: rows or
    objects are numbered so.

    Parameters
    ----------
    source : Source
    minimum, maximum : ndarray of shape (n_features,)
        Of its columns, or the first of them.

    Warns
    -----
    DataWarning
        Naming the columns.
    """
    is_whole = whole_columns(source)[: len(minimum)]
    rounded = np.flatnonzero(is_whole & (np.maximum(np.abs(minimum), np.abs(maximum)) > LARGEST_WHOLE))
    if len(rounded):
        names = source.feature_names
        listed = ", ".join(str(i) if names is None else repr(names[i]) for i in rounded[:5].tolist())
        more = f" and {len(rounded) - 5:,} more" if len(rounded) > 5 else ""
        warn_user(
            f"{source.name}: column {listed}{more} holds whole numbers beyond 2^53, which float64 rounds: "
            "their last digits are lost. Identifiers, which are not measurements, are often such numbers: "
            f"leave them out{_leaving(names, rounded)}, or subtract an offset first",
            DataWarning,
        )


def _leaving(names: Sequence[str] | None, left_out: NDArray[np.intp]) -> str:
    """Return the option that leaves features out; nothing where it would be long, or leave nothing."""
    kept = [] if names is None else [name for i, name in enumerate(names) if i not in left_out]
    return f" with columns={kept}" if 0 < len(kept) <= 20 else ""


def is_wide_integer(dtype: np.dtype) -> bool:
    """Return whether a dtype holds whole numbers that float64 may round."""
    return dtype.kind in "iu" and dtype.itemsize >= 8


def rows_dtype(dtype: np.dtype, where: str) -> np.dtype:
    """Return the dtype in which values of some stored dtype are handed on.

    float32 stays; other real numbers and booleans become float64.

    Parameters
    ----------
    dtype : numpy.dtype
        The stored dtype.
    where : str
        What holds it, for the message.

    Returns
    -------
    numpy.dtype
        float32 or float64.

    Raises
    ------
    DataError
        For text, complex, datetime and object values: they are not rows of real numbers.
    """
    if dtype.kind == "c":
        raise DataError(f"Complex data not supported: {where} holds complex numbers (dtype {dtype})")
    if dtype.kind not in "fiub":
        kinds = {
            "M": "dates",
            "m": "time differences",
            "U": "text",
            "S": "text",
            "T": "text",
            "O": "objects",
            "V": "records",
        }
        raise DataError(
            f"{where} holds {kinds.get(dtype.kind, 'values')} (dtype {dtype}); "
            "a mixture is fitted to real numbers: convert them, or leave that column out"
        )
    return np.dtype(np.float32) if dtype.newbyteorder("=") == np.float32 else np.dtype(np.float64)
