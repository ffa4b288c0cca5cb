"""Rows of a Zarr array, or of a group of named columns, local or remote, format 2 or 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dgmm.data.convert import check_shape
from dgmm.data.missing import MissingChunkError, absent_keys, read_complete
from dgmm.data.source import MEBIBYTE, DataError, Span, check_columns, rows_dtype, span_bytes_for

CHUNK_BYTES = 8 * MEBIBYTE
DECODED_AT_ONCE = 10  # zarr's default `async.concurrency`


@dataclass(frozen=True, eq=False)
class ZarrChunk:
    """A band of rows: whole chunks of the store, where it was cut by `ZarrSource.spans`.

    Pickles as the store's address and the array's metadata.

    Attributes
    ----------
    arrays : tuple of zarr.Array
        One 2-D array, or one 1-D array for each column.
    start, stop : int
        The rows.
    dtype : numpy.dtype
        float32 or float64.
    name : str
        What the user would call the array or group.
    fill_missing : bool
        Take the fill value where a chunk is missing.
    """

    arrays: tuple[zarr.Array[Any], ...]
    start: int
    stop: int
    dtype: np.dtype
    name: str
    fill_missing: bool

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, and what is in flight for the array that needs most.

        That is the stored values before conversion, the chunks being decoded, and their encoded bytes (of
        all chunks where they lie in shards), taken to be as many as the decoded ones.
        """
        n_features = sum(math.prod(array.shape[1:]) for array in self.arrays)
        return self.n_rows * n_features * self.dtype.itemsize + max(map(self._bytes_in_flight, self.arrays))

    @property
    def place(self) -> str:
        """The array, the rows, and the keys of the first and the last chunk (or shard)."""
        array = self.arrays[0]
        if self.n_rows == 0:
            return f"{self.name}, no rows"
        rows = _stored_rows(array)
        keys = [_chunk_key(array, row // rows) for row in (self.start, self.stop - 1)]
        return f"{self.name}, rows {self.start} to {self.stop}, chunk {' to '.join(dict.fromkeys(keys))}"

    def read(self) -> NDArray[np.floating]:
        """Read the rows.

        Raises
        ------
        DataError
            If a chunk is missing, or cannot be decoded.
        """
        if self.arrays[0].ndim == 2:
            return np.asarray(self._stored(self.arrays[0]), dtype=self.dtype)
        rows = np.empty((self.n_rows, len(self.arrays)), self.dtype)
        for column, array in enumerate(self.arrays):
            rows[:, column] = self._stored(array)
        return rows

    def _stored(self, array: zarr.Array[Any]) -> Any:
        try:
            if self.fill_missing:
                return array[self.start : self.stop]
            return read_complete(array, self.start, self.stop)
        except MissingChunkError as error:
            column = f", column {array.basename!r}" if array.ndim == 1 and len(self.arrays) > 1 else ""
            raise DataError(_lacks(self.name + column, str(error), array)) from None
        except (ValueError, RuntimeError) as error:  # what codecs raise; OSError speaks for itself
            raise DataError(f"{self.place} cannot be decoded, it may be damaged: {error}") from error

    def _bytes_in_flight(self, array: zarr.Array[Any]) -> int:
        row_chunks = _chunks_met(self.start, self.stop, array.chunks[0])
        column_chunks = math.prod(map(math.ceil, np.divide(array.shape[1:], array.chunks[1:])))
        chunk_bytes = math.prod(array.chunks) * array.dtype.itemsize
        met_bytes = row_chunks * column_chunks * chunk_bytes
        at_once = DECODED_AT_ONCE**2 if array.shards else DECODED_AT_ONCE
        decoding = min(met_bytes, at_once * chunk_bytes)
        encoded = met_bytes if array.shards else decoding
        return self.n_rows * math.prod(array.shape[1:]) * array.dtype.itemsize + encoded + decoding


@dataclass(frozen=True, eq=False)
class ZarrSource:
    """Rows of one 2-D Zarr array, or of 1-D arrays that are the columns.

    Parameters
    ----------
    arrays : tuple of zarr.Array
        One array of shape (n_rows, n_features), or n_features arrays of shape (n_rows,).
    name : str
        What the user would call the array or group.
    feature_names : tuple of str, optional
        Names of the columns.
    fill_missing : bool, default=False
        Take the fill value where a chunk is missing.

    Raises
    ------
    DataError
        If a chunk is missing, naming it; if the arrays do not fit together, or hold no real numbers.
    """

    arrays: tuple[zarr.Array[Any], ...]
    name: str
    feature_names: tuple[str, ...] | None = None
    fill_missing: bool = False

    def __post_init__(self) -> None:
        names = [self.name] if self.feature_names is None else map(self._column_name, self.feature_names)
        for array, name in zip(self.arrays, names, strict=True):
            rows_dtype(array.dtype, name)
            if not self.fill_missing:
                _check_complete(array, name)

    def _column_name(self, column: str) -> str:
        return f"{self.name}, column {column!r}"

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.arrays[0].shape[0]

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.arrays[0].shape[1] if self.arrays[0].ndim == 2 else len(self.arrays)

    @property
    def dtype(self) -> np.dtype:
        """float32 where all arrays are, else float64."""
        return np.result_type(*(rows_dtype(array.dtype, self.name) for array in self.arrays))

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans of whole shards, and these into bands of whole chunks of about 8 MiB.

        A shard that is larger than a span is cut between its chunks: they can be read one by one.
        """
        row_bytes = self.n_features * self.dtype.itemsize
        span_bytes = span_bytes_for(self.n_rows * row_bytes)
        chunk_rows = max(array.chunks[0] for array in self.arrays)
        shard_rows = max(_stored_rows(array) for array in self.arrays)
        unit = shard_rows if shard_rows * row_bytes <= span_bytes else chunk_rows
        span_rows = _whole(span_bytes // row_bytes, unit)
        band_rows = _whole(CHUNK_BYTES // row_bytes, chunk_rows)
        starts = range(0, self.n_rows, span_rows)
        return tuple(
            Span(
                index,
                start,
                tuple(
                    self.rows(first, min(first + band_rows, start + span_rows, self.n_rows))
                    for first in range(start, min(start + span_rows, self.n_rows), band_rows)
                ),
            )
            for index, start in enumerate(starts)
        )

    def rows(self, start: int, stop: int) -> ZarrChunk:
        """Rows ``start`` to ``stop``."""
        return ZarrChunk(self.arrays, start, stop, self.dtype, self.name, self.fill_missing)


def zarr_source(
    node: zarr.Array[Any] | zarr.Group,
    columns: Sequence[str] | None = None,
    *,
    name: str | None = None,
    n_dims: int = 2,
    fill_missing: bool = False,
) -> ZarrSource:
    """Make a source of an array, or of the 1-D arrays of a group.

    Parameters
    ----------
    node : zarr.Array or zarr.Group
        An array of shape (n_rows, n_features), or (n_rows,) for weights; or a group.
    columns : sequence of str, optional
        The arrays of a group to take, in this order. Default: all 1-D arrays of numbers, by name.
    name : str, optional
        What the user would call it. Default: its address in the store.
    n_dims : int, default=2
        2 for rows, 1 for weights.
    fill_missing : bool, default=False
        Take the fill value where a chunk is missing.

    Returns
    -------
    ZarrSource

    Raises
    ------
    DataError
        As `ZarrSource`.
    """
    name = str(node.store_path).removeprefix("file://") if name is None else name
    if isinstance(node, zarr.Array):
        if columns is not None:
            raise DataError(f"columns= was given, but {name} is one Zarr array, without named columns")
        check_shape(node.shape, n_dims, name)
        return ZarrSource((node,), name, None, fill_missing)
    if n_dims == 1:
        raise DataError(f"{name} is a Zarr group; give the path of the 1-D array in it")
    available = dict(sorted(node.arrays()))
    if columns is None:
        columns = [key for key, array in available.items() if array.ndim == 1 and array.dtype.kind in "fiub"]
    check_columns(columns, list(available), name)
    arrays = tuple(available[column] for column in columns)
    _check_columns_fit(columns, arrays, name)
    return ZarrSource(arrays, name, tuple(columns), fill_missing)


def _check_columns_fit(columns: Sequence[str], arrays: Sequence[Any], name: str) -> None:
    if not arrays:
        raise DataError(
            f"{name} is a Zarr group without 1-D arrays of numbers; give the path of an array in it"
        )
    for column, array in zip(columns, arrays, strict=True):
        if array.ndim != 1:
            raise DataError(f"{name}: column {column!r} has shape {array.shape}; columns are 1-D arrays")
        if array.shape != arrays[0].shape:
            raise DataError(
                f"{name}: column {column!r} has {array.shape[0]} rows, but {columns[0]!r} has "
                f"{arrays[0].shape[0]}; pick columns of one length with columns="
            )


def _check_complete(array: zarr.Array[Any], name: str) -> None:
    """Refuse an array of which a chunk (or shard) is not in the store."""
    absent = absent_keys(array)
    if absent:
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise DataError(_lacks(name, f"{absent[0]}{others}", array))


def _lacks(name: str, chunks: str, array: zarr.Array[Any]) -> str:
    return (
        f"{name} lacks chunk {chunks}; restore it, or, if its rows are meant to hold the "
        f"fill value {array.fill_value} (writers may leave such chunks out), open with fill_missing=True"
    )


def _whole(wanted: int, unit: int) -> int:
    """Give the largest multiple of ``unit`` up to ``wanted``, but at least one."""
    return max(1, wanted // unit) * unit


def _chunks_met(start: int, stop: int, step: int) -> int:
    return math.ceil(stop / step) - start // step


def _stored_rows(array: zarr.Array[Any]) -> int:
    return (array.shards or array.chunks)[0]


def _chunk_key(array: zarr.Array[Any], row: int) -> str:
    return array.metadata.encode_chunk_key((row, 0)[: array.ndim])
