"""Text files, plain or compressed, in blocks of whole lines."""

from __future__ import annotations

import atexit
import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dgmm.data.codecs import DAMAGED, is_of_codec
from dgmm.data.source import MEBIBYTE, DataError
from dgmm.data.text import redacted

CHECKING = (gzip.open, bz2.open, lzma.open)
"""What opens formats that have checksums: files of Zstandard and LZ4 may have some, and may not."""

QUOTE, NEWLINE, RETURN = b'"\n\r'


SHOWN_BYTES = 60
"""Of a line that a message shows."""


@dataclass(frozen=True)
class LineTuning:
    """How text is read. Half and double: not measured.

    Attributes
    ----------
    block_bytes : int
        Of text that is parsed at once.
    longest_line : int
        Bytes without an end of a line outside quotes, beyond which it is said that a quote is not closed.
    streams_kept : int
        Of compressed files, where a chunk ended, for the one that begins there.
    """

    block_bytes: int = 4 * MEBIBYTE
    longest_line: int = 16 * MEBIBYTE
    streams_kept: int = 8


LINES = LineTuning()


@dataclass(frozen=True)
class CsvFile:
    """How a file is written.

    Attributes
    ----------
    path : str
    names : tuple of str
        Of its columns, from its first line.
    delimiter : str
    start : int
        Bytes before the first row.
    keys : tuple of (str, float)
        Columns that its folders give, and their value.
    """

    path: str
    names: tuple[str, ...]
    delimiter: str
    start: int
    keys: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Block:
    """A run of whole lines of a file.

    Attributes
    ----------
    file : CsvFile
    offset, size : int
        Bytes, of the text as it is without compression.
    first, n_rows : int
        Number of its first row in the file, and of rows.
    """

    file: CsvFile
    offset: int
    size: int
    first: int
    n_rows: int

    @property
    def place(self) -> str:
        """The file, and the rows in it."""
        return f"{redacted(self.file.path)}, rows {self.first} to {self.first + self.n_rows}"


def is_compressed(path: str) -> bool:
    """Return whether a file is compressed, by its name: it can then be read from its start only."""
    return _decompressor(path) is not None


def has_checksum(path: str) -> bool:
    """Return whether a file is of a format that has checksums: text has none."""
    return _decompressor(path) in CHECKING


def first_text(filesystem: Any, path: str) -> bytes:
    """Read what a file begins with, at most as much as a block."""
    with _opened(filesystem, path) as stream, _damage_named(path, redacted(path)):
        return stream.read(LINES.block_bytes)


def line_ends(text: bytes, n_quotes: int = 0) -> NDArray[np.intp]:
    """Find where lines end, outside quotes, of which some come before."""
    signs = np.frombuffer(text, np.uint8)
    inside = (np.cumsum(signs == QUOTE, dtype=np.uint32) + np.uint32(n_quotes & 1)) & 1
    return np.flatnonzero((signs == NEWLINE) & (inside == 0))


def runs(filesystem: Any, file: CsvFile) -> Iterator[tuple[int, bytes]]:
    """Cut a file into runs of whole lines; give where each begins.

    Raises
    ------
    DataError
        Where a line is too long, or a quote is not closed.
    """
    with _opened(filesystem, file.path) as stream, _damage_named(file.path, redacted(file.path)):
        _skip(stream, file.start)
        at, rest, n_quotes = file.start, b"", 0
        while piece := stream.read(LINES.block_bytes):
            ends = line_ends(piece, n_quotes)  # of what is new: lines may have no end
            if len(ends):
                end = int(ends[-1]) + 1
                yield at, rest + piece[:end]
                at, rest = at + len(rest) + end, piece[end:]
                n_quotes = rest.count(QUOTE)
                continue
            rest += piece
            n_quotes += piece.count(QUOTE)
            if len(rest) > LINES.longest_line:
                raise DataError(
                    f"{file.path}: the line at byte {at} is longer than "
                    f"{LINES.longest_line // MEBIBYTE} MiB; is a quote not closed?"
                )
        if n_quotes & 1:  # it would hold all rows to the end of the file
            first = bytes(rest.partition(b"\n")[0][:SHOWN_BYTES]).decode("utf-8", "replace")
            raise DataError(
                f"{redacted(file.path)}: a quote after byte {at} is not closed before the file ends: in the "
                f"line {first!r}, or in one after it; close it, or double those that are part of a text"
            )
        if rest:
            yield at, rest


def blocks_of(filesystem: Any, file: CsvFile) -> Iterator[Block]:
    """Cut a file into blocks, and count the rows of each: reads all of it."""
    first = 0
    for offset, text in runs(filesystem, file):
        ends = line_ends(text)
        if not len(ends) or ends[-1] != len(text) - 1:
            ends = np.append(ends, len(text))
        starts = np.concatenate([[0], ends[:-1] + 1])
        lengths = ends - starts
        returns = np.frombuffer(text, np.uint8)[np.minimum(starts, len(text) - 1)] == RETURN
        n_rows = int(((lengths > 1) | ((lengths == 1) & ~returns)).sum())  # empty lines are no rows
        yield Block(file, offset, len(text), first, n_rows)
        first += n_rows


def _decompressor(path: str) -> Callable[[Any], Any] | None:
    """Return what decompresses a file of such a name."""
    by_arrow = {".zst": "zstd", ".zstd": "zstd", ".lz4": "lz4"}
    suffix = os.path.splitext(path)[1].lower()
    if suffix in by_arrow:
        return lambda file: pa.CompressedInputStream(file, by_arrow[suffix])
    return {".gz": gzip.open, ".gzip": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(suffix)


def _opened(filesystem: Any, path: str) -> Any:
    """Open the text of a file."""
    file, decompress = filesystem.open(path, "rb"), _decompressor(path)
    return file if decompress is None else decompress(file)


@contextmanager
def _damage_named(path: str, place: str) -> Iterator[None]:
    """Say what is damaged, while the text of a file is read."""
    try:
        yield
    except (*DAMAGED, OSError) as error:
        is_damage = isinstance(error, DAMAGED) or is_of_codec(error)
        if not is_damage or not is_compressed(path):
            raise
        raise DataError(f"{place} cannot be decompressed, it may be damaged: {error}") from error


def _skip(stream: Any, n_bytes: int) -> None:
    while n_bytes > 0 and (piece := stream.read(min(n_bytes, LINES.block_bytes))):
        n_bytes -= len(piece)


_streams: dict[tuple[str, int], Any] = {}
"""Compressed files that were read up to some byte: what comes next need not begin at their start."""


@atexit.register
def _close_streams() -> None:
    while _streams:
        _streams.popitem()[1].close()


def texts(filesystem: Any, path: str, blocks: Sequence[Block]) -> Iterator[tuple[Block, bytes]]:
    """Read consecutive blocks of a file."""
    if not is_compressed(path):
        with filesystem.open(path, "rb") as file:
            for block in blocks:
                file.seek(block.offset)
                yield block, file.read(block.size)
        return
    before = [key for key in list(_streams) if key[0] == path and key[1] <= blocks[0].offset]
    key = max(before, key=lambda each: each[1], default=(path, 0))
    stream, at = _streams.pop(key, None), key[1]
    if stream is None:  # none is there, or another thread was faster
        stream, at = _opened(filesystem, path), 0
    try:
        for block in blocks:
            with _damage_named(path, block.place):
                _skip(stream, block.offset - at)
                text = stream.read(block.size)
            at = block.offset + block.size
            yield block, text
    except BaseException:
        stream.close()
        raise
    if len(_streams) < LINES.streams_kept:
        _streams[path, at] = stream
    else:
        stream.close()
