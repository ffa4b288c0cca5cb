"""Rows of a Parquet file, or of a folder of files, local or remote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dgmm.data.choice import Choice
from dgmm.data.footers import (
    BUFFER_BYTES,
    Footer,
    check_parts,
    columns_of,
    finds_damage,
    key_value,
    opened,
    read_footer,
)
from dgmm.data.revision import Revision, of_files
from dgmm.data.source import MEBIBYTE, DataError, Span, cut_into_spans, span_bytes_for
from dgmm.data.tables import CHUNK_BYTES, OfColumns, Picked, n_features, pick, rows_type
from dgmm.data.text import redacted
from dgmm.data.values import fill

BATCH_BYTES = 4 * MEBIBYTE
"""Of rows that are in Arrow's form at once. Half and double: not measured."""

GROUP_BYTES = 8 * 1024 * MEBIBYTE
"""Of the rows of a row group, which are in memory at once: a few kB can say that there are so many."""

PAGE_BYTES = 2 * MEBIBYTE
"""Of a page, encoded and decoded: writers make pages of 1 MiB."""


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
    keys : tuple of (str, float)
        Columns that the path gives, and their value in all rows.
    """

    path: str
    row_groups: tuple[int, ...]
    skip: int
    n_rows: int
    keys: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class ParquetChunk:
    """Whole row groups, where it was cut by `ParquetSource.spans`; read page by page.

    Attributes
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where the files are.
    pieces : tuple of Piece
        In row order.
    picked : tuple of Picked
        The columns.
    dtype : numpy.dtype
        float32 or float64.
    """

    filesystem: Any
    pieces: tuple[Piece, ...]
    picked: tuple[Picked, ...]
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
        rows_bytes = self.n_rows * n_features(self.picked) * self.dtype.itemsize
        return rows_bytes + 2 * BATCH_BYTES + len(self.picked) * (PAGE_BYTES + BUFFER_BYTES)

    @property
    def place(self) -> str:
        """The files and the row groups."""
        places = []
        for piece in self.pieces:
            first, last = piece.row_groups[0], piece.row_groups[-1]
            groups = f"row group {first}" if first == last else f"row groups {first} to {last}"
            places.append(f"{redacted(piece.path)}, {groups}")
        return "; ".join(places) if len(places) <= 2 else f"{places[0]}; …; {places[-1]}"

    def read(self) -> NDArray[np.floating]:
        """Read the rows; nulls become NaN.

        Raises
        ------
        DataError
            If a page is damaged, a file has changed, or lists are not of one length.
        """
        rows = np.empty((self.n_rows, n_features(self.picked)), self.dtype)
        start = 0
        for piece in self.pieces:
            self._read_piece(piece, rows[start : start + piece.n_rows])
            start += piece.n_rows
        return rows

    def _read_piece(self, piece: Piece, rows: NDArray[np.floating]) -> None:
        """Read the rows of a piece, batch by batch, into their place."""
        keys = dict(piece.keys)
        stored = [str(each.name) for each in self.picked if each.name not in keys]
        batch_rows = max(1, BATCH_BYTES // max(1, rows.itemsize * rows.shape[1]))
        end = -piece.skip
        with opened(self.filesystem, piece.path) as file:
            before = sum(file.metadata.row_group(i).num_rows for i in range(piece.row_groups[0]))
            batches = file.iter_batches(
                batch_rows, row_groups=list(piece.row_groups), columns=stored, use_threads=False
            )
            while end < piece.n_rows:
                batch = next(batches, None)
                if batch is None:
                    raise DataError(f"{piece.path} has fewer rows than when it was opened; open it again")
                start, end = end, end + len(batch)
                batch = batch.slice(max(0, -start), piece.n_rows - max(0, start))
                arrays = [
                    pa.repeat(keys[str(each.name)], len(batch))
                    if each.name in keys
                    else batch.column(str(each.name))
                    for each in self.picked
                ]
                first = before + piece.skip + max(0, start)
                fill(rows[max(0, start) : max(0, end)], arrays, self.picked, piece.path, first)


@dataclass(frozen=True, eq=False)
class ParquetSource(OfColumns):
    """Rows of Parquet files that have the same columns; see `parquet_source`.

    Attributes
    ----------
    name : str
        The path or URL that was opened.
    filesystem : fsspec.AbstractFileSystem
        Where the files are.
    picked : tuple of Picked
        The columns that are read.
    dtype : numpy.dtype
        float32 or float64.
    row_groups : tuple of (str, int, int)
        File, number in the file, and number of rows, of every row group that has rows.
    keys : mapping of str to tuple of (str, float)
        For each file, the columns picked that its path gives.
    finds_damage : bool
        All pages are known to have checksums, as dgmm writes them: footers of others do not tell.
    """

    name: str
    filesystem: Any
    picked: tuple[Picked, ...]
    dtype: np.dtype
    row_groups: tuple[tuple[str, int, int], ...]
    keys: Mapping[str, tuple[tuple[str, float], ...]]
    finds_damage: bool = False

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._starts[-1])

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """The first row of each row group, and the end of the last."""
        return np.cumsum([0, *(n_rows for _, _, n_rows in self.row_groups)])

    @property
    def files(self) -> dict[str, int]:
        """The files that have rows, in the order of these, and how many."""
        found: dict[str, int] = {}
        for path, _, n_rows in self.row_groups:
            found[path] = found.get(path, 0) + n_rows
        return found

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
                n_rows = min(end, stop) - at - skip
                pieces.append(Piece(path, numbers, skip, n_rows, self.keys.get(path, ())))
                at = end
        return ParquetChunk(self.filesystem, tuple(pieces), self.picked, self.dtype)

    def revision(self) -> Revision:
        """What the file system says of the files."""
        return of_files(self.filesystem, list(dict.fromkeys(path for path, _, _ in self.row_groups)))


def parquet_source(
    name: str,
    filesystem: Any,
    paths: Sequence[str],
    choice: Choice,
    keys: Mapping[str, Mapping[str, str | None]] | None = None,
) -> ParquetSource:
    """Make a source of Parquet files: reads the files' footers only.

    Parameters
    ----------
    name : str
        What the user would call them.
    filesystem : fsspec.AbstractFileSystem
        Where the files are.
    paths : sequence of str
        The files, in the order of their rows.
    choice : Choice
        Default: all columns that can be features, but for those that pandas (or Dask) calls the index, and
        those that the names of folders give.
    keys : mapping, optional
        For each file, columns that are not in it, and their value in all its rows. Default: what its folders
        say.

    Returns
    -------
    ParquetSource

    Raises
    ------
    DataError
        If a file is not Parquet, or a column is missing or does not hold real numbers, naming the file.
    """
    footers = [read_footer(filesystem, path, None if keys is None else keys.get(path, {})) for path in paths]
    footers = [footer for footer in footers if any(footer.counts)] or footers[:1]
    check_parts(footers)
    columns = columns_of(footers, choice)
    picked = pick(columns, choice, name)
    kinds = {column.name: column.type for column in columns if column.type is not None}
    names = {str(each.name) for each in picked}
    dtype = rows_type(kinds[each.name] for each in picked)
    _check_sizes(footers, n_features(picked) * dtype.itemsize)
    return ParquetSource(
        name,
        filesystem,
        picked,
        dtype,
        tuple((footer.path, i, n) for footer in footers for i, n in enumerate(footer.counts) if n),
        {
            footer.path: tuple((key, key_value(value)) for key, value in footer.keys.items() if key in names)
            for footer in footers
        },
        all(finds_damage(footer) for footer in footers),
    )


def _check_sizes(footers: Sequence[Footer], row_bytes: int) -> None:
    """Refuse row groups that no memory should be taken for, before any is."""
    for footer in footers:
        for number, n_rows in enumerate(footer.counts):
            if n_rows * row_bytes > GROUP_BYTES:
                size, most = n_rows * row_bytes / 2**30, GROUP_BYTES / 2**30
                raise DataError(
                    f"{footer.path}: row group {number} says that it has {n_rows:,} rows, {size:,.0f} GiB in "
                    f"memory, and {most:,.0f} are the most: its footer is damaged, or the file is to be "
                    "written anew in smaller row groups"
                )
