"""Results next to columns of the input, such as identifiers, in files as the input's.

The columns go through as they are stored, of whatever type: as numbers, identifiers would lose digits. A task
reads one file of the input, and writes the file of the same name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dgmm.cli.output import Result, columns_of
from dgmm.data.location import locate
from dgmm.data.recut import Recut
from dgmm.data.source import DataError, Source
from dgmm.data.stores import OUTPUT, PARQUET, create_parquet
from dgmm.data.text import listed, redacted
from dgmm.data.writing import creating
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 2**16
"""Rows of carried columns that are decoded at once."""


@dataclass(frozen=True)
class Together:
    """Several results of each row, as one with fields; picklable.

    Attributes
    ----------
    results : tuple of Result
    dtype : numpy.dtype
        With a field for each of their columns.
    """

    results: tuple[Result, ...]
    dtype: np.dtype

    @classmethod
    def of(cls, results: Sequence[Result]) -> Result:
        """Return the result that has the columns of all."""
        fields = [(name, each.dtype) for each in results for name in each.columns]
        dtype = np.dtype(fields)
        names, first = tuple(name for name, _ in fields), results[0]
        return Result(cls(tuple(results), dtype), names, (), dtype, first.said)

    def __call__(self, chunk: ChunkRows) -> NDArray[Any]:
        """Compute them."""
        found = np.empty(len(chunk.values), self.dtype)
        for each in self.results:
            for name, column in zip(each.columns, columns_of(each.of(chunk)), strict=True):
                found[name] = column
        return found


@dataclass(frozen=True)
class FileWriter:
    """The work of a pass that writes a file for each file of the input.

    Attributes
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where the input is.
    files : mapping of int to (str, str)
        The input's and the output's path, by the number of the file's first row.
    carried : tuple of str
        Columns of the input.
    result : Result
    folder : str
        The output.
    storage_options : mapping or None
        For the file system of the output.
    """

    filesystem: Any
    files: Mapping[int, tuple[str, str]]
    carried: tuple[str, ...]
    result: Result
    folder: str
    storage_options: Mapping[str, Any] | None

    def __call__(self, chunks: Iterator[ChunkRows]) -> Any:
        """Write a file."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

        from dgmm.data.footers import opened  # noqa: PLC0415

        chunk = next(chunks)
        path, name = self.files[chunk.start]
        filesystem, root = locate(self.folder, self.storage_options)
        filesystem.makedirs(posixpath.dirname(f"{root}/{name}"), exist_ok=True)
        with opened(self.filesystem, path) as stored, filesystem.open(f"{root}/{name}", "wb") as file:
            check_carried(self.carried, stored.schema_arrow.names, path)
            batches = stored.iter_batches(BATCH_ROWS, columns=list(self.carried), use_threads=False)
            carried = _CarriedColumns(batches, path)
            table, said = self._table(chunk, carried)
            with pq.ParquetWriter(file, table.schema, **PARQUET) as writer:
                writer.write_table(table, OUTPUT.group_rows)
                for chunk in chunks:
                    table, own = self._table(chunk, carried)
                    said += own
                    writer.write_table(table, OUTPUT.group_rows)
        return said

    def _table(self, chunk: ChunkRows, carried: _CarriedColumns) -> tuple[pa.Table, Any]:
        """Put results next to the carried columns, and return what is to be said of them."""
        values = self.result.of(chunk)
        table = carried.rows(len(chunk.values))
        for name, column in zip(self.result.columns, columns_of(values), strict=True):
            table = table.append_column(name, [np.ascontiguousarray(column)])
        return table, self.result.said(chunk, values)


class _CarriedColumns:
    """Carried columns of a file, taken a chunk at a time.

    Parameters
    ----------
    batches : iterator of pyarrow.RecordBatch
    path : str
        Of the file, for messages.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], path: str) -> None:
        self._batches, self._path = batches, path
        self._left: list[pa.RecordBatch] = []

    def rows(self, n_rows: int) -> pa.Table:
        """Return the next rows."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        from dgmm.data.footers import PART_KEY  # noqa: PLC0415

        while sum(map(len, self._left)) < n_rows:
            batch = next(self._batches, None)
            if batch is None:
                raise DataError(
                    f"{redacted(self._path)} has fewer rows than when it was opened; open it again"
                )
            self._left.append(batch)
        table = pa.Table.from_batches(self._left).replace_schema_metadata({PART_KEY: ""})
        self._left = table.slice(n_rows).to_batches()
        return table.slice(0, n_rows)


def check_carried(carried: Sequence[str], there: Sequence[str], path: str) -> None:
    """Refuse columns that a file lacks.

    Raises
    ------
    DataError
    """
    for name in carried:
        if name not in there:
            raise DataError(
                f"--keep: {redacted(path)} has no column {name!r}; it has {listed(there)}. Columns that "
                "folders name are in the names of the output's folders, too"
            )


def write_with_columns(
    source: Source,
    rows: Source,
    result: Result,
    carried: Sequence[str],
    path: str,
    *,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Write results beside columns of Parquet files, in files of the same names; all of it, or nothing.

    Parameters
    ----------
    source : Source
        Of Parquet files: says which there are.
    rows : Source
        Its rows, and what else the result takes of them.
    result : Result
    carried : sequence of str
        Columns of the files, as they are stored there.
    path : str
        The folder to write.
    overwrite : bool, default=False
        Replace existing output.
    storage_options : mapping, optional
        For the file system of a URL.

    Returns
    -------
    What the result says of all rows.

    Raises
    ------
    DataError
        For a column that a file lacks, or that has the name of a result.
    """
    from dgmm.data.footers import opened  # noqa: PLC0415 - slow to import
    from dgmm.data.parquet import ParquetSource  # noqa: PLC0415

    if not isinstance(source, ParquetSource):
        raise DataError(
            f"--keep copies columns of Parquet files, and {source.name} is not Parquet: leave --keep "
            "out; results are written in the order of the rows"
        )
    paths, edges = list(source.files), (0, *accumulate(source.files.values()))
    if twice := sorted(set(carried) & set(result.columns)):
        raise DataError(f"--keep: a result is also called {twice[0]!r}, so that column cannot be copied")
    with opened(source.filesystem, paths[0]) as first:
        check_carried(carried, first.schema_arrow.names, paths[0])
    names = _names_of(paths)
    files = dict(zip(edges, zip(paths, names, strict=True), strict=False))
    with creating(path, overwrite=overwrite, storage_options=storage_options) as working:
        create_parquet(working, storage_options=storage_options)
        writer = FileWriter(
            source.filesystem, files, tuple(dict.fromkeys(carried)), result, working, storage_options
        )
        return run_pass(Recut(rows, edges), writer, "predict")


def _names_of(paths: Sequence[str]) -> list[str]:
    """Return the paths of the output's files below its folder: those of the input's below theirs.

    Folders that name columns (``year=2026``) are kept, if all files are in one of them, too.
    """
    root = posixpath.commonpath([posixpath.dirname(each) for each in paths])
    while "=" in posixpath.basename(root):
        root = posixpath.dirname(root)
    return [posixpath.relpath(each, root) for each in paths]
