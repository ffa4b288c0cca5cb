"""Rows of an array in memory, or of a memory map, which is read piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data.floats import is_wide_integer, rows_dtype
from dgmm.data.location import locate
from dgmm.data.revision import Revision, of_files
from dgmm.data.source import MEBIBYTE, Labels, Span, cut_into_spans, span_bytes_for

SLICE_BYTES = 4 * MEBIBYTE
"""Of the slices of an array that are its chunks: nothing is read, so they are as small as serves the work."""


@dataclass(frozen=True, eq=False)
class MemoryChunk:
    """A slice of an array, converted when it is read.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_features)
        A view, of the array's own dtype; pickles as these rows alone.
    place : str
        Where these rows are, for messages.
    """

    values: NDArray[Any]
    place: str

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    @property
    def n_bytes(self) -> int:
        """Bytes of the slice, and of its conversion to floating point where it needs one."""
        dtype = rows_dtype(self.values.dtype, self.place)
        converted = 0 if dtype == self.values.dtype else self.values.size * dtype.itemsize
        return self.values.nbytes + converted

    def read(self) -> NDArray[np.floating]:
        """Return the rows: a view, where their dtype is float32 or float64 already.

        Extended precision beyond the range of float64 is infinite.
        """
        with np.errstate(over="ignore"):
            return np.asarray(self.values, dtype=rows_dtype(self.values.dtype, self.place))


@dataclass(frozen=True, eq=False)
class MemorySource:
    """Rows of a 2-D array of real numbers.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Real numbers of any dtype.
    feature_names : tuple of str, optional
        Names of the columns.
    name : str, default="array"
        What the user would call it.
    labels : Labels, optional
        Dimensions and coordinates that results for each row are to have.
    whole : tuple of bool, optional
        Which features were whole numbers in the table that these rows are of.

    Examples
    --------
    >>> import numpy as np
    >>> source = MemorySource(np.arange(6).reshape(3, 2))
    >>> source.rows(1, 3).read()
    array([[2., 3.],
           [4., 5.]])
    """

    values: NDArray[Any]
    feature_names: tuple[str, ...] | None = None
    name: str = "array"
    labels: Labels | None = None
    whole: tuple[bool, ...] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.values.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """float32 where the array is, else float64."""
        return rows_dtype(self.values.dtype, self.name)

    @property
    def is_in_memory(self) -> bool:
        """Whether it is in this process's memory: see `is_in_memory`."""
        return True

    @property
    def holds_whole(self) -> bool | tuple[bool, ...]:
        """Whether the array, or which of its columns, is of whole numbers that float64 may round."""
        return is_wide_integer(self.values.dtype) if self.whole is None else self.whole

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans of slices of about 4 MiB."""
        row_bytes = self.n_features * self.dtype.itemsize
        step = max(1, SLICE_BYTES // row_bytes)
        chunks = [self.rows(start, min(start + step, self.n_rows)) for start in range(0, self.n_rows, step)]
        return cut_into_spans(chunks, span_bytes_for(self.n_rows * row_bytes))

    def rows(self, start: int, stop: int) -> MemoryChunk:
        """Rows ``start`` to ``stop``, a view."""
        return MemoryChunk(self.values[start:stop], f"{self.name}, rows {start} to {stop}")

    def revision(self) -> Revision:
        """What is said of the file that the array is mapped from; nothing is known of memory."""
        mapped = mapped_from(self.values)
        return Revision() if mapped is None else of_files(*_file(mapped))


def is_in_memory(source: object) -> bool:
    """Return whether a source's rows are in this process's memory, or mapped to it: work stays here."""
    return getattr(source, "is_in_memory", False)


def own_rows(source: object, dtype: np.dtype) -> NDArray[Any] | None:
    """Return the very rows of a source, where they are in memory, row by row, as this dtype; else None."""
    if not isinstance(source, MemorySource) or mapped_from(source.values) is not None:
        return None
    values = source.values
    is_plain = type(values) is np.ndarray and values.dtype == dtype and values.flags.c_contiguous
    return values if is_plain else None


def mapped_from(values: object) -> np.memmap | None:
    """Return the map of a file that an array is, or is a view of; None for one in memory."""
    while isinstance(values, np.ndarray):
        if isinstance(values, np.memmap):
            return values
        values = values.base
    return None


def _file(mapped: np.memmap) -> tuple[Any, list[str]]:
    filesystem, path = locate(mapped.filename or "")
    return filesystem, [path] if mapped.filename else []
