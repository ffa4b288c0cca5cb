"""Tables of data lakes, by their own readers: Delta, Iceberg, Lance."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dgmm.data.choice import Choice
from dgmm.data.footers import opened
from dgmm.data.listing import Kind, natural
from dgmm.data.location import is_local, locate
from dgmm.data.parquet import parquet_source
from dgmm.data.revision import Revision
from dgmm.data.source import DataError, Source, Span, cut_into_spans, span_bytes_for
from dgmm.data.tables import CHUNK_BYTES, Column, OfColumns, Picked, n_features, pick, rows_type
from dgmm.data.text import redacted
from dgmm.data.values import fill

READERS = {"delta": "deltalake", "iceberg": "pyiceberg", "lance": "lance"}
"""Modules that know which rows there are; each comes with the extra of its table's name."""

NOT_IN_FILES = {
    "deletionVectors": "rows that are deleted in files",
    "columnMapping": "columns renamed in files",
}
"""Features of Delta tables by which files do not say what the table holds."""


def lake_source(
    kind: Kind, name: str, filesystem: Any, root: str, *, choice: Choice, options: Mapping[str, Any] | None
) -> Source:
    """Open a table of a data lake, as it is now.

    Parameters
    ----------
    kind : "delta", "iceberg" or "lance"
    name : str
        What the user calls it.
    filesystem : fsspec.AbstractFileSystem
    root : str
        Its folder.
    choice : Choice
    options : mapping or None
        For file systems; what knows the table is given them too.

    Returns
    -------
    Source

    Raises
    ------
    ModuleNotFoundError
        Where what knows which rows there are is not installed.
    DataError
        Where files do not say what the table holds; as `dgmm.data.parquet.parquet_source`.
    """
    where, name = root if is_local(filesystem) else name, redacted(name)
    try:
        module = importlib.import_module(READERS[kind])
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} is a table of {kind.capitalize()}, whose folder may still hold deleted rows; to "
            f"read it: pip install 'dgmm[{kind}]'",
            name=error.name,
        ) from error
    if kind == "lance":
        return lance_source(module, name, where, choice, options)
    if kind == "delta":
        keys = _files_of_delta(module, name, where, options)
        paths = {locate(f"{where}/{path}", options)[1]: values for path, values in keys.items()}
    else:
        paths = {path: {} for path in _files_of_iceberg(name, filesystem, root, options)}
    if not paths:
        raise DataError(f"{name} has no rows")
    return parquet_source(name, filesystem, sorted(paths, key=natural), choice, paths)


def _files_of_delta(
    module: Any, name: str, where: str, options: Mapping[str, Any] | None
) -> dict[str, dict[str, str | None]]:
    """Return the files of a Delta table, and the values of the columns that its folders are of."""
    table = module.DeltaTable(
        where, storage_options={key: str(each) for key, each in (options or {}).items()}
    )
    used: set[str] = set(table.protocol().reader_features or ())
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        used.add("columnMapping")
    for feature, what in NOT_IN_FILES.items():
        if feature in used:
            raise DataError(
                f"{name} has {what} ({feature}), which cannot be read; rewrite the table without it"
            )
    found = {}
    for action in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        values = {
            key.removeprefix("partition."): None if value is None else str(value)
            for key, value in action.items()
            if key.startswith("partition.")
        }
        found[action["path"]] = values
    return found


def _files_of_iceberg(name: str, filesystem: Any, root: str, options: Mapping[str, Any] | None) -> list[str]:
    """Return the files of an Iceberg table, whose columns are those of its schema."""
    from pyiceberg.table import StaticTable  # noqa: PLC0415 - an extra

    versions = [path for path in filesystem.find(f"{root}/metadata") if path.endswith(".metadata.json")]
    newest = max(versions, key=lambda path: natural(os.path.basename(path)))
    where = newest if is_local(filesystem) else filesystem.unstrip_protocol(newest)
    table = StaticTable.from_metadata(where, {key: str(each) for key, each in (options or {}).items()})
    names = {field.field_id: field.name for field in table.schema().fields}
    paths = []
    for task in table.scan().plan_files():
        if task.delete_files:
            raise DataError(f"{name} has delete files, which cannot be read; compact the table")
        path = locate(task.file.file_path, options)[1]
        with opened(filesystem, path) as file:
            for field in file.schema_arrow:
                number = int((field.metadata or {}).get(b"PARQUET:field_id", -1))
                if names.get(number, field.name) != field.name:
                    raise DataError(
                        f"{name} calls column {field.name!r} of {path} {names[number]!r} now, which "
                        "cannot be read; rewrite the table"
                    )
        paths.append(path)
    return paths


@dataclass(frozen=True)
class LanceChunk:
    """Consecutive rows of one version of a Lance table.

    Attributes
    ----------
    where : str
    version : int
    start, stop : int
    picked : tuple of Picked
    dtype : numpy.dtype
    options : mapping or None
    """

    where: str
    version: int
    start: int
    stop: int
    picked: tuple[Picked, ...]
    dtype: np.dtype
    options: Mapping[str, Any] | None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, and as many in Arrow's form, of twice the width at the most."""
        return 3 * self.n_rows * n_features(self.picked) * self.dtype.itemsize + CHUNK_BYTES

    @property
    def place(self) -> str:
        """The table and the rows."""
        return f"{self.where}, rows {self.start} to {self.stop}"

    def read(self) -> NDArray[np.floating]:
        """Read the rows; nulls become NaN."""
        rows = np.empty((self.n_rows, n_features(self.picked)), self.dtype)
        if self.n_rows:
            table = _opened_lance(self.where, self.version, self.options).to_table(
                columns=[str(each.name) for each in self.picked], offset=self.start, limit=self.n_rows
            )
            arrays = [table[str(each.name)] for each in self.picked]
            fill(rows, arrays, self.picked, self.where, self.start)
        return rows


@dataclass(frozen=True, eq=False)
class LanceSource(OfColumns):
    """Rows of one version of a Lance table; see `lance_source`."""

    name: str
    where: str
    version: int
    n_rows: int
    picked: tuple[Picked, ...]
    dtype: np.dtype
    options: Mapping[str, Any] | None

    @cached_property
    def _chunk_rows(self) -> int:
        return max(1, CHUNK_BYTES // (self.n_features * self.dtype.itemsize))

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans of chunks of about 16 MiB."""
        starts = range(0, self.n_rows, self._chunk_rows)
        chunks = [self.rows(start, min(start + self._chunk_rows, self.n_rows)) for start in starts]
        return cut_into_spans(chunks, span_bytes_for(self.n_rows * self.n_features * self.dtype.itemsize))

    def rows(self, start: int, stop: int) -> LanceChunk:
        """Rows ``start`` to ``stop``."""
        return LanceChunk(self.where, self.version, start, stop, self.picked, self.dtype, self.options)

    def revision(self) -> Revision:
        """The version that is read, which stays what it is."""
        return Revision(((self.name, f"version {self.version}"),))


def lance_source(
    module: Any, name: str, where: str, choice: Choice, options: Mapping[str, Any] | None
) -> LanceSource:
    """Make a source of the rows that a Lance table has now, also if it is written to meanwhile."""
    table = module.dataset(where, storage_options=options)
    columns = [Column.of(field) for field in table.schema]
    picked = pick(columns, choice, name)
    kinds = {column.name: column.type for column in columns if column.type is not None}
    dtype = rows_type(kinds[each.name] for each in picked)
    return LanceSource(name, where, table.version, table.count_rows(), picked, dtype, options)


def _opened_lance(where: str, version: int, options: Mapping[str, Any] | None) -> Any:
    return importlib.import_module(READERS["lance"]).dataset(where, version=version, storage_options=options)
