"""Results for every row, written as a Zarr array or as a folder of Parquet files in one pass.

A task reads the rows of one chunk of the output, and writes that chunk: nothing else is in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dgmm.data.fingerprint import Fingerprint
from dgmm.data.recut import Recut
from dgmm.data.source import MEBIBYTE, Source
from dgmm.data.stores import create_parquet, create_zarr, keep_checksums, write_parquet_part, write_rows
from dgmm.data.writing import check_target, creating
from dgmm.estimators.empty_rows import count_in
from dgmm.estimators.rowwise import RowFunction
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows
from dgmm.passes.watched import Seen, Witnessed

TABLES = (".zarr", ".parquet")
PART_BYTES = 32 * MEBIBYTE
PART_ROWS = 2**20


def _count(chunk: ChunkRows, _: NDArray[Any]) -> int:
    return len(chunk.values)


def n_without_values(chunk: ChunkRows, _: NDArray[Any], columns: NDArray[np.intp] | None = None) -> int:
    """Count the rows of a chunk that have no value, or none in some columns: what may be `said` of them."""
    return count_in(chunk.values, columns)


@dataclass(frozen=True)
class Result:
    """What is written for each row.

    Attributes
    ----------
    of : callable
        Gives a chunk's results, of shape (n_rows,) or (n_rows, n_columns), from its `ChunkRows`; picklable.
    columns : tuple of str
        Names of the columns.
    shape : tuple of int
        Of a row's result: () or (n_columns,).
    dtype : numpy.dtype
        In Parquet it may have fields, which are the columns.
    said : callable
        Gives what is to be known in the end of a chunk's rows and their results: what it gives adds up. By
        default the number of rows.
    """

    of: Callable[[ChunkRows], NDArray[Any]]
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    said: Callable[[ChunkRows, NDArray[Any]], Any] = _count

    @classmethod
    def by(cls, function: RowFunction, columns: tuple[str, ...]) -> Result:
        """Return what a function says of each row."""
        return cls(function.of, columns, function.shape, function.dtype)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's result."""
        return math.prod(self.shape) * self.dtype.itemsize

    def of_all(self, chunks: Iterator[ChunkRows]) -> tuple[int, NDArray[Any], Any]:
        """Return where consecutive chunks, at least one, start; their results; and what is `said` of them."""
        start, parts, said = -1, [], None
        for rows in chunks:
            start = rows.start if start < 0 else start
            parts.append(self.of(rows))
            own = self.said(rows, parts[-1])
            said = own if said is None else said + own
        return start, np.concatenate(parts), said


def columns_of(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the columns of results: of one for each row, of several, or of fields."""
    fields = values.dtype.names
    return [values[name] for name in fields] if fields else list(np.atleast_2d(values.T))


@dataclass(frozen=True)
class ZarrWriter:
    """The work of a pass that writes chunks of a Zarr array."""

    array: zarr.Array[Any]
    result: Result

    def __call__(self, chunks: Iterator[ChunkRows]) -> Witnessed[Any]:
        """Write a span, which is one chunk of the array."""
        start, values, said = self.result.of_all(chunks)
        write_rows(self.array, start, values)
        written = Fingerprint(math.prod(self.result.shape), str(self.result.dtype))
        return Witnessed(said, Seen(written.extended(start, values.reshape(len(values), -1))))


@dataclass(frozen=True)
class ParquetWriter:
    """The work of a pass that writes files of a Parquet folder."""

    folder: str
    part_rows: int
    result: Result
    storage_options: Mapping[str, Any] | None

    def __call__(self, chunks: Iterator[ChunkRows]) -> Any:
        """Write a span, which is one file of the folder."""
        start, values, said = self.result.of_all(chunks)
        self.write(start // self.part_rows, values)
        return said

    def write(self, index: int, values: NDArray[Any]) -> None:
        """Write the file of some number."""
        columns = dict(zip(self.result.columns, columns_of(values), strict=True))
        write_parquet_part(self.folder, index, columns, storage_options=self.storage_options)


def check_output(
    path: str, suffixes: Sequence[str], *, overwrite: bool, storage_options: Mapping[str, Any] | None = None
) -> None:
    """Refuse, before any work, an output that cannot be written.

    Raises
    ------
    ValueError
        If the name does not end in one of the suffixes.
    OSError
        As `dgmm.data.writing.check_target`.
    """
    if not path.endswith(tuple(suffixes)):
        stem = path.rstrip("/").rsplit("/", 1)[-1].split(".")[0] or "out"
        raise ValueError(
            f"the output {path} must end in {' or '.join(suffixes)}, as {stem}{suffixes[-1]} does"
        )
    is_file = not path.endswith(TABLES)  # tables are folders
    check_target(path, overwrite=overwrite, is_file=is_file, storage_options=storage_options)


def write(
    source: Source,
    result: Result,
    path: str,
    purpose: str,
    *,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Write a result for each row of a source; all of it, or nothing.

    Parameters
    ----------
    source : Source
    result : Result
    path : str
        Ends in ``.zarr``, for an array, or in ``.parquet``, for a folder of files.
    purpose : str
        A word or two for the progress display.
    overwrite : bool, default=False
        Replace existing output.
    storage_options : mapping, optional
        For the file system of a URL.

    Returns
    -------
    What the result says of all rows; None if there are none.
    """
    with creating(path, overwrite=overwrite, storage_options=storage_options) as working:
        if path.endswith(".zarr"):
            shape = (source.n_rows, *result.shape)
            array = create_zarr(working, shape, result.dtype, storage_options=storage_options)
            if source.n_rows == 0:
                return None
            found = run_pass(Recut.every(source, array.chunks[0]), ZarrWriter(array, result), purpose)
            if result.dtype in (np.float32, np.float64):  # others are read as float64, with other checksums
                keep_checksums(array, found.seen.rows)
            return found.result
        span_rows = max(1, min(PART_ROWS, PART_BYTES // result.row_bytes))
        create_parquet(working, storage_options=storage_options)
        writer = ParquetWriter(working, span_rows, result, storage_options)
        if source.n_rows == 0:
            writer.write(0, np.empty((0, *result.shape), result.dtype))
            return None
        return run_pass(Recut.every(source, span_rows), writer, purpose)
