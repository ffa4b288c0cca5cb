"""How chunks of Zarr are encoded: whether damage shows, and how large they are unpacked.

A few kilobytes can unpack to gigabytes, and Zarr finds after that only that these are no chunk of the array.
Encoded bytes are looked into first, as formats of compression say how much is in them, or can be unpacked
piece by piece.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dgmm.data.source import MEBIBYTE

if TYPE_CHECKING:
    import zarr

DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
"""What is raised of compressed bytes that are not what they were; see `is_of_codec` too."""

CHECKING = {
    *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
    *("gzip", "zlib", "bz2", "lzma"),  # which have a checksum of what is in them
}
"""Codecs that find damage, by their names in either format."""

NOT_PACKING = ("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3", "bytes", "transpose")
"""Codecs that do not compress."""

AHEAD = ("crc32", "adler32")
"""Those whose four bytes stand before the others, by default."""

SPARE = (4, MEBIBYTE)
"""How many times the bytes of a chunk, and how many more, are unpacked: filters change widths of numbers."""

UNSTATED = -1
PIECE_BYTES = MEBIBYTE
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def codecs_of(array: zarr.Array[Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the names and settings of a chunk's codecs, in order; within shards, those of inner chunks."""
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        both = [*(metadata.filters or ()), *([metadata.compressor] if metadata.compressor else ())]
        return [(each.codec_id, each.get_config()) for each in both]
    codecs: list[Any] = [codec.to_dict() for codec in metadata.codecs]
    while codecs and codecs[0]["name"] == "sharding_indexed":
        codecs = list(codecs[0]["configuration"]["codecs"])
    return [(each["name"].removeprefix("numcodecs."), each.get("configuration") or {}) for each in codecs]


def finds_damage(array: zarr.Array[Any]) -> bool:
    """Return whether chunks have checksums, or are compressed in a format that has them."""
    return any(
        name in CHECKING or (name == "zstd" and settings.get("checksum"))
        for name, settings in codecs_of(array)
    )


def packing_of(array: zarr.Array[Any]) -> tuple[str, int] | None:
    """Return what compresses chunks last, and the bytes of checksums before it; None where nothing does."""
    ahead = 0
    for name, settings in reversed(codecs_of(array)):
        if name not in NOT_PACKING:
            return name, ahead
        if name in AHEAD and settings.get("location", "start") == "start":
            ahead += 4
    return None


def most_unpacked(array: zarr.Array[Any]) -> int:
    """Return the bytes to which an encoded chunk may unpack."""
    times, more = SPARE
    return times * math.prod(array.chunks) * array.dtype.itemsize + more


def unpacks_to(codec: str, encoded: bytes | memoryview, most: int) -> int | None:
    """Return how many bytes are in a compressed chunk, without taking the memory for them.

    Parameters
    ----------
    codec : str
        What compressed it last.
    encoded : bytes-like
    most : int
        Where it is not stated, it is counted until there are more.

    Returns
    -------
    int or None
        None where this is nothing of that codec, or of one that does not compress.
    """
    data = memoryview(encoded)
    if states_size(codec, data):
        return STATED[codec](data) if codec in STATED else None
    total = 0
    try:
        for size in UNPACKED[codec](data):
            total += size
            if total > most:
                break
    except (*DAMAGED, OSError):
        return None  # who decodes it says what is wrong
    return total


def is_of_codec(error: OSError) -> bool:
    """Return whether a codec raised it: bzip2 and Arrow have no error of their own, and give it no number.

    Stores raise such errors too. It is to be asked where what they raise has been dealt with.
    """
    return type(error) is OSError and error.errno is None


def states_size(codec: str, encoded: bytes | memoryview) -> bool:
    """Return whether `unpacks_to` knows at once; else it unpacks all, which takes as long as to decode it."""
    return codec not in UNPACKED or (codec in STATED and STATED[codec](memoryview(encoded)) != UNSTATED)


def _stated_by_zstd(head: bytes) -> int | None:
    """Return the size of the content that the head of a frame states (RFC 8878), or `UNSTATED`."""
    if len(head) < 6 or not head.startswith(ZSTD_MAGIC):
        return None
    descriptor = head[4]
    is_single = bool(descriptor & 0x20)
    width = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    if width == 0:
        return UNSTATED
    start = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)


def _streamed(data: memoryview) -> Iterator[int]:
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        while piece := stream.read(PIECE_BYTES):
            yield len(piece)


def _inflated(data: memoryview) -> Iterator[int]:
    unpacking = zlib.decompressobj(wbits=47)
    for start in range(0, len(data), PIECE_BYTES):
        rest = bytes(data[start : start + PIECE_BYTES])  # as zlib copies what is left each time
        while rest:
            if unpacking.eof:  # a file of gzip may have several parts
                unpacking = zlib.decompressobj(wbits=47)
            yield len(unpacking.decompress(rest, PIECE_BYTES))
            rest = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail


def _decompressed(opened: Any, data: memoryview) -> Iterator[int]:
    rest = bytes(data)
    while rest:
        unpacking = opened()
        while not unpacking.eof:
            yield len(unpacking.decompress(rest, PIECE_BYTES))
            rest = b""
            if unpacking.needs_input:
                return
        rest = unpacking.unused_data


STATED: dict[str, Callable[[memoryview], int | None]] = {
    "zstd": lambda data: _stated_by_zstd(bytes(data[:18])),
    "blosc": lambda data: int.from_bytes(data[4:8], "little") if len(data) >= 16 else None,
    "lz4": lambda data: int.from_bytes(data[:4], "little") if len(data) >= 4 else None,
}
"""What the first bytes say."""

UNPACKED: dict[str, Callable[[memoryview], Iterator[int]]] = {
    "zstd": _streamed,
    "gzip": _inflated,
    "zlib": _inflated,
    "bz2": partial(_decompressed, bz2.BZ2Decompressor),
    "lzma": partial(_decompressed, lzma.LZMADecompressor),
}
"""What unpacks piece by piece, and gives the sizes of pieces."""
