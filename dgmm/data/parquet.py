"""Rows of a Parquet file, or of a folder of files, local or remote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dgmm.data.location import is_local, locate, parquet_files
from dgmm.data.source import (
    MEBIBYTE,
    DataError,
    Span,
    check_columns,
    check_no_two,
    cut_into_spans,
    span_bytes_for,
)
from dgmm.data.tables import Choice

CHUNK_BYTES = 16 * MEBIBYTE
BATCH_BYTES = 4 * MEBIBYTE
BUFFER_BYTES = 64 * 1024
PAGE_BYTES = 2 * MEBIBYTE  # encoded and decoded: writers make pages of 1 MiB


@dataclass(frozen=True)
class Piece:
    """Rows of consecutive row groups of one file.

    Attributes
    ----------
    path : str
        The file.
    row_groups : tuple of int
        Their numbers.
    skip : int
        Rows of the first row group that come before.
    n_rows : int
        Number of rows.
    """

    path: str
    row_groups: tuple[int, ...]
    skip: int
    n_rows: int


@dataclass(frozen=True)
class ParquetChunk:
    """Whole row groups, where it was cut by `ParquetSource.spans`; read page by page.

    Attributes
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where the files are.
    pieces : tuple of Piece
        In row order.
    columns : tuple of str
        The columns.
    dtype : numpy.dtype
        float32 or float64.
    """

    filesystem: Any
    pieces: tuple[Piece, ...]
    columns: tuple[str, ...]
    dtype: np.dtype

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(piece.n_rows for piece in self.pieces)

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, one batch in Arrow's form, one page for each column.

        From the numbers of rows and columns alone: the sizes in Parquet's metadata are of encoded values.
        """
        rows_bytes = self.n_rows * len(self.columns) * self.dtype.itemsize
        return rows_bytes + 2 * BATCH_BYTES + len(self.columns) * (PAGE_BYTES + BUFFER_BYTES)

    @property
    def place(self) -> str:
        """The files and the row groups."""
        places = []
        for piece in self.pieces:
            first, last = piece.row_groups[0], piece.row_groups[-1]
            groups = f"row group {first}" if first == last else f"row groups {first} to {last}"
            places.append(f"{piece.path}, {groups}")
        return "; ".join(places) if len(places) <= 2 else f"{places[0]}; …; {places[-1]}"

    def read(self) -> NDArray[np.floating]:
        """Read the rows; nulls become NaN.

        Raises
        ------
        DataError
            If a page is damaged, or a file has changed.
        """
        rows = np.empty((self.n_rows, len(self.columns)), self.dtype)
        start = 0
        for piece in self.pieces:
            self._read_piece(piece, rows[start : start + piece.n_rows])
            start += piece.n_rows
        return rows

    def _read_piece(self, piece: Piece, rows: NDArray[np.floating]) -> None:
        target = pa.from_numpy_dtype(self.dtype)
        batch_rows = max(1, BATCH_BYTES // max(1, rows.itemsize * rows.shape[1]))
        end = -piece.skip
        with _opened(self.filesystem, piece.path) as file:
            batches = file.iter_batches(
                batch_rows, row_groups=list(piece.row_groups), columns=list(self.columns), use_threads=False
            )
            while end < piece.n_rows:
                batch = next(batches, None)
                if batch is None:
                    raise DataError(f"{piece.path} has fewer rows than when it was opened; open it again")
                start, end = end, end + len(batch)
                batch = batch.slice(max(0, -start), piece.n_rows - max(0, start))
                for column, name in enumerate(self.columns):
                    values = batch.column(name).cast(target, safe=False)
                    rows[max(0, start) : max(0, end), column] = values.to_numpy(zero_copy_only=False)


@dataclass(frozen=True, eq=False)
class ParquetSource:
    """Rows of Parquet files that have the same columns; see `parquet_source`.

    Attributes
    ----------
    name : str
        The path or URL that was opened.
    filesystem : fsspec.AbstractFileSystem
        Where the files are.
    feature_names : tuple of str
        The columns that are read.
    dtype : numpy.dtype
        float32 or float64.
    row_groups : tuple of (str, int, int)
        File, number in the file, and number of rows, of every row group that has rows.
    """

    name: str
    filesystem: Any
    feature_names: tuple[str, ...]
    dtype: np.dtype
    row_groups: tuple[tuple[str, int, int], ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._starts[-1])

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return len(self.feature_names)

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """The first row of each row group, and the end of the last."""
        return np.cumsum([0, *(n_rows for _, _, n_rows in self.row_groups)])

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans of whole row groups, these into chunks of row groups of about 16 MiB."""
        row_bytes = self.n_features * self.dtype.itemsize
        largest = max(1, CHUNK_BYTES // row_bytes)
        chunks, first = [], 0
        while first < len(self.row_groups):
            within = np.searchsorted(self._starts, self._starts[first] + largest, side="right") - 1
            last = max(first + 1, int(within))
            chunks.append(self.rows(int(self._starts[first]), int(self._starts[last])))
            first = last
        return cut_into_spans(chunks, span_bytes_for(self.n_rows * row_bytes))

    def rows(self, start: int, stop: int) -> ParquetChunk:
        """Rows ``start`` to ``stop``; row groups at the ends are decoded whole."""
        pieces: list[Piece] = []
        if start < stop:
            first = int(np.searchsorted(self._starts, start, side="right")) - 1
            last = int(np.searchsorted(self._starts, stop, side="left"))
            at = int(self._starts[first])
            for path, groups in groupby(self.row_groups[first:last], key=lambda group: group[0]):
                numbers, counts = zip(*((number, n_rows) for _, number, n_rows in groups), strict=True)
                end = at + sum(counts)
                skip = max(0, start - at)
                pieces.append(Piece(path, numbers, skip, min(end, stop) - at - skip))
                at = end
        return ParquetChunk(self.filesystem, tuple(pieces), self.feature_names, self.dtype)


def parquet_source(path: str, choice: Choice, storage_options: dict[str, Any] | None = None) -> ParquetSource:
    """Open a Parquet file or a folder of them: reads the files' footers only.

    Parameters
    ----------
    path : str
        A file, a folder, or a URL that fsspec knows.
    columns : sequence of str, optional
        The columns to read, in this order. Default: all columns of numbers of the first file with rows, but
        for those that pandas (or Dask) calls the index.
    storage_options : dict, optional
        For fsspec.

    Returns
    -------
    ParquetSource
        Of the files in natural order of their names: ``part.2`` before ``part.10``.

    Raises
    ------
    DataError
        If a file is not Parquet, or a column is missing or does not hold real numbers, naming the file.
    """
    filesystem, root = locate(path, storage_options)
    footers = [_read_footer(filesystem, file_path) for file_path in parquet_files(filesystem, root)]
    if not footers:
        raise DataError(f"{path} holds no Parquet file")
    footers = [footer for footer in footers if any(footer.counts)] or footers[:1]
    schema = footers[0].schema
    index = (schema.pandas_metadata or {}).get("index_columns", [])  # names, and ranges as dicts
    columns = choice.columns
    if columns is None and choice.fitted is not None and set(choice.fitted) <= set(schema.names):
        columns = choice.fitted
    if columns is None:
        columns = [field.name for field in schema if _is_number(field.type) and field.name not in index]
    if not columns:
        raise DataError(f"{path} has no column of numbers; it has {_describe(schema)}")
    for footer in footers:
        _check_schema(footer.schema, columns, footer.path)
    single = all(footer.schema.field(name).type == pa.float32() for footer in footers for name in columns)
    return ParquetSource(
        path,
        filesystem,
        tuple(columns),
        np.dtype(np.float32 if single else np.float64),
        tuple((footer.path, i, n) for footer in footers for i, n in enumerate(footer.counts) if n),
    )


@dataclass(frozen=True)
class _Footer:
    path: str
    schema: pa.Schema
    counts: tuple[int, ...]
    """Rows of each row group."""


def _read_footer(filesystem: Any, path: str) -> _Footer:
    with _opened(filesystem, path) as file:
        metadata = file.metadata
        counts = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        return _Footer(path, file.schema_arrow, counts)


@contextmanager
def _opened(filesystem: Any, path: str) -> Iterator[pq.ParquetFile]:
    """Open a file, pages verified, read through a small buffer: else a whole column chunk is held."""
    where = path if is_local(filesystem) else filesystem.open(path)
    try:
        with pq.ParquetFile(where, page_checksum_verification=True, buffer_size=BUFFER_BYTES) as file:
            yield file
    except (FileNotFoundError, PermissionError):
        raise
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet, it may be damaged: {error}") from error


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return (
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    )


def _describe(schema: Iterable[pa.Field]) -> str:
    return ", ".join(f"{field.name!r} ({field.type})" for field in schema)


def _check_schema(schema: pa.Schema, columns: Sequence[str], path: str) -> None:
    check_columns(columns, schema.names, path)
    check_no_two(schema.names, columns, path)
    wrong = [field for field in map(schema.field, columns) if not _is_number(field.type)]
    if wrong:
        raise DataError(
            f"{path}: column {_describe(wrong)} does not hold real numbers; "
            "choose columns of numbers with columns="
        )
