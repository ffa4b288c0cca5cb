"""Rows of CSV files, plain or compressed, parsed whenever they are read.

Files are cut into blocks of lines (`dgmm.data.lines`), once, when their rows are counted.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from dgmm.data.choice import Choice
from dgmm.data.footers import Footer, columns_of, key_value
from dgmm.data.lines import (
    LINES,
    Block,
    CsvFile,
    blocks_of,
    first_text,
    has_checksum,
    is_compressed,
    line_ends,
    runs,
    texts,
)
from dgmm.data.listing import keys_of
from dgmm.data.revision import Revision, of_files
from dgmm.data.source import DataError, DataWarning, Span, cut_into_spans, span_bytes_for
from dgmm.data.tables import CHUNK_BYTES, OfColumns, Picked, n_features, pick
from dgmm.data.text import listed, redacted
from dgmm.data.user_warnings import warn_user
from dgmm.data.values import fill

logger = logging.getLogger(__name__)

DELIMITERS = ",;\t|"
QUOTED = re.compile(r'"[^"]*"')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class CsvTuning:
    """How the types of columns are inferred from text. Half and double: not measured.

    Attributes
    ----------
    blocks_looked_at : int
        In which a column's first value is looked for.
    """

    blocks_looked_at: int = 16


CSV = CsvTuning()


@dataclass(frozen=True)
class CsvChunk:
    """Rows of blocks: whole ones, where it was cut by `CsvSource.spans`.

    Attributes
    ----------
    filesystem : fsspec.AbstractFileSystem
    blocks : tuple of Block
    skip, n_rows : int
        Rows of the first block that come before, and number of rows.
    picked : tuple of Picked
    kinds : tuple of pyarrow.DataType
        Of each column that is parsed.
    """

    filesystem: Any
    blocks: tuple[Block, ...]
    skip: int
    n_rows: int
    picked: tuple[Picked, ...]
    kinds: tuple[pa.DataType, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, and the text and the columns of one block."""
        row_bytes = 8 * len(self.picked)
        largest = max(((block.size, block.n_rows) for block in self.blocks), default=(0, 0))
        return self.n_rows * row_bytes + 3 * largest[0] + 2 * largest[1] * row_bytes + LINES.block_bytes

    @property
    def place(self) -> str:
        """The files, and the rows in them."""
        if not self.blocks:
            return "no rows"
        first, last = self.blocks[0], self.blocks[-1]
        if first.file == last.file:
            start = first.first + self.skip
            return f"{first.file.path}, rows {start} to {start + self.n_rows}"
        return f"{first.file.path}; …; {last.file.path}"

    def read(self) -> NDArray[np.floating]:
        """Parse the rows; empty fields become NaN.

        Raises
        ------
        DataError
            Where a field is no number, a line has too many of them, or compressed text is damaged.
        """
        rows = np.empty((self.n_rows, n_features(self.picked)))
        at = -self.skip
        for file, blocks in groupby(self.blocks, key=lambda block: block.file):
            for block, text in texts(self.filesystem, file.path, list(blocks)):
                end = min(at + block.n_rows, self.n_rows)
                table = self._parsed(block, text).slice(max(0, -at), end - max(0, at))
                keys = dict(file.keys)
                arrays = [
                    pa.repeat(keys[str(each.name)], len(table))
                    if each.name in keys
                    else table[str(each.name)]
                    for each in self.picked
                ]
                fill(rows[max(0, at) : end], arrays, self.picked, file.path)
                at = end
        return rows

    def _parsed(self, block: Block, text: bytes) -> pa.Table:
        stored = {
            str(each.name): kind
            for each, kind in zip(self.picked, self.kinds, strict=True)
            if each.name not in dict(block.file.keys)
        }
        try:
            table = parse(block.file, text, stored)
        except pa.ArrowException as error:
            raise DataError(
                f"{block.place}: {error}; mend that line, or leave its column out with columns="
            ) from error
        if len(table) != block.n_rows:
            raise DataError(
                f"{block.place}: there are {len(table):,}: the file has changed, open it again; or a quote "
                "stands within a field that is not quoted: quote that field, and double the quote"
            )
        return table


@dataclass(frozen=True, eq=False)
class CsvSource(OfColumns):
    """Rows of CSV files; see `csv_source`.

    Attributes
    ----------
    name : str
    filesystem : fsspec.AbstractFileSystem
    files : tuple of CsvFile
    picked : tuple of Picked
    kinds : tuple of pyarrow.DataType
        Of each column that is parsed.
    """

    name: str
    filesystem: Any
    files: tuple[CsvFile, ...]
    picked: tuple[Picked, ...]
    kinds: tuple[pa.DataType, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows; counted, once, by reading the files."""
        return int(self._starts[-1])

    @property
    def dtype(self) -> np.dtype:
        """float64: text says nothing of precision."""
        return np.dtype(np.float64)

    @cached_property
    def _blocks(self) -> tuple[Block, ...]:
        return tuple(
            block for file in self.files for block in blocks_of(self.filesystem, file) if block.n_rows
        )

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """The first row of each block, and the end of the last."""
        return np.cumsum([0, *(block.n_rows for block in self._blocks)])

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans of chunks of about 16 MiB; a compressed file is one span."""
        spans: list[Span] = []
        span_bytes = span_bytes_for(self.n_rows * 8 * self.n_features)
        at = 0
        for file, group in groupby(self._blocks, key=lambda block: block.file):
            chunks, pending = [], 0
            first = at
            for block in group:
                at += block.n_rows
                pending += max(block.size, 8 * self.n_features * block.n_rows)
                if pending >= CHUNK_BYTES:
                    chunks.append(self.rows(first, at))
                    first, pending = at, 0
            if first < at:
                chunks.append(self.rows(first, at))
            start = spans[-1].start + spans[-1].n_rows if spans else 0
            limit = span_bytes if not is_compressed(file.path) else 2**62
            for span in cut_into_spans(chunks, limit, start=start):
                spans.append(Span(len(spans), span.start, span.chunks))
        return tuple(spans)

    def rows(self, start: int, stop: int) -> CsvChunk:
        """Rows ``start`` to ``stop``; blocks at the ends are parsed whole."""
        if start == stop:
            return CsvChunk(self.filesystem, (), 0, 0, self.picked, self.kinds)
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = int(np.searchsorted(self._starts, stop, side="left"))
        skip = start - int(self._starts[first])
        blocks = self._blocks[first:last]
        return CsvChunk(self.filesystem, blocks, skip, stop - start, self.picked, self.kinds)

    @property
    def finds_damage(self) -> bool:
        """Whether all files are compressed, in formats that have checksums."""
        return all(has_checksum(file.path) for file in self.files)

    def revision(self) -> Revision:
        """What the file system says of the files."""
        return of_files(self.filesystem, [file.path for file in self.files])


def csv_source(name: str, filesystem: Any, paths: Sequence[str], choice: Choice) -> CsvSource:
    """Open CSV files with a header each: reads their first lines.

    Parameters
    ----------
    name : str
        What the user would call them.
    filesystem : fsspec.AbstractFileSystem
    paths : sequence of str
        The files, in the order of their rows; compressed where their names say so.
    choice : Choice

    Returns
    -------
    CsvSource

    Raises
    ------
    DataError
        As `dgmm.data.parquet.parquet_source`.
    """
    headers = [_header(filesystem, path) for path in paths]
    footers = [Footer(file.path, _schema(filesystem, file), (), {}, keys_of(file.path)) for file in headers]
    columns = columns_of(footers, choice)
    picked = pick(columns, choice, name)
    types = {column.name: column.type for column in columns}
    kinds = [types[each.name] for each in picked]
    names = {each.name for each in picked}
    files = tuple(
        CsvFile(
            file.path,
            file.names,
            file.delimiter,
            file.start,
            tuple((key, key_value(value)) for key, value in footer.keys.items() if key in names),
        )
        for file, footer in zip(headers, footers, strict=True)
    )
    if choice.fitted is None and choice.columns is None:
        _warn_of_header([str(each.name) for each in picked], headers[0].path)
    if choice.fitted is None and logger.isEnabledFor(logging.WARNING):  # what is not said is not remembered
        _advise_to_convert(name)
    return CsvSource(name, filesystem, files, picked, tuple(map(_kind, picked, kinds)))


@cache
def _advise_to_convert(name: str) -> None:
    """Say once of each path that it is slow: columns of weights or labels are opened on their own."""
    logger.warning("%s is CSV, which each pass parses again: `dgmm convert` writes it once as Zarr", name)


def _warn_of_header(names: Sequence[str], path: str) -> None:
    """Warn where the names of all features are numbers: the file may have no header, and one row less then.

    Evenly spaced ones are names, as of columns that are numbered, and of wavelengths.
    """
    try:
        numbers = np.array([float(name) for name in names])
    except ValueError:
        return
    steps = np.diff(numbers)
    if np.array_equal(numbers, np.arange(len(names))) or (len(steps) > 1 and np.allclose(steps, steps[0])):
        return
    warn_user(
        f"{redacted(path)}: its first line, which names the columns, holds numbers ({listed(names, 4)}): if "
        "it is a row, put a line with names before it; else say with columns= which are wanted",
        DataWarning,
    )


def _kind(picked: Picked, kind: pa.DataType | None) -> pa.DataType:
    """Return the type that a column is parsed to."""
    if picked.numbers_of is not None:
        return pa.string()
    return pa.bool_() if kind is not None and pa.types.is_boolean(kind) else pa.float64()


def parse(file: CsvFile, text: bytes, kinds: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Parse lines of a file: columns of some types, or all of them, of the types that they look like."""
    if kinds is not None and not kinds:
        raise pa.ArrowInvalid("no column of the file is asked for")
    converting = ConvertOptions(column_types=kinds, include_columns=None if kinds is None else list(kinds))
    return read_csv(
        pa.BufferReader(text),
        ReadOptions(use_threads=False, block_size=max(len(text), 1), column_names=list(file.names)),
        ParseOptions(delimiter=file.delimiter, newlines_in_values=True),
        converting,
    )


def _header(filesystem: Any, path: str) -> CsvFile:
    text = first_text(filesystem, path)
    start = len(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else 0
    ends = line_ends(text[start:])
    end = start + int(ends[0]) + 1 if len(ends) else len(text)
    try:
        line = text[start:end].decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{redacted(path)}: its first line is not UTF-8: {error}; write the file as UTF-8"
        ) from error
    plain = QUOTED.sub("", line)
    delimiter = max(DELIMITERS, key=lambda sign: (plain.count(sign), -DELIMITERS.index(sign)))
    names = next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), [])
    if not names:
        raise DataError(f"{redacted(path)} is empty: its first line names the columns")
    return CsvFile(path, tuple(name or f"Unnamed: {i}" for i, name in enumerate(names)), delimiter, end)


def _schema(filesystem: Any, file: CsvFile) -> pa.Schema:
    """Tell the types of columns from the first lines; of empty ones, from some more."""
    schema = pa.schema([(name, pa.null()) for name in file.names])
    for number, (_, text) in enumerate(runs(filesystem, file)):
        try:
            found = parse(file, text).schema
        except pa.ArrowException as error:
            raise DataError(f"{file.path} cannot be read as CSV: {error}") from error
        pairs = zip(schema, found, strict=True)
        schema = pa.schema([new if pa.types.is_null(old.type) else old for old, new in pairs])
        if number == CSV.blocks_looked_at or not any(pa.types.is_null(field.type) for field in schema):
            break
    return schema
