"""Chunks missing from a Zarr array: found, where Zarr would read the fill value.

They are looked for when an array is opened, in one listing of its store; and while it is read, as chunks can
be lost in between, and be missing in a shard that is there.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import sync
from zarr.storage import StorePath, WrapperStore

from dgmm.data import codecs
from dgmm.data.codecs import is_of_codec, most_unpacked, packing_of, states_size, unpacks_to
from dgmm.data.retrying import persistently_awaited

DAMAGED = (ValueError, RuntimeError, *codecs.DAMAGED)
"""What codecs raise; other errors of the system speak for themselves."""

LARGE_INDEX = 2**16
"""Chunks of a shard from which on it is asked how large the shard is."""

MOST_ABSENT = 10_000
"""Absent chunks that are counted: metadata may promise more of them than memory has room for their names."""

NOWHERE = np.iinfo(np.uint64).max  # the offset and the length of a chunk that is not there
PLAIN = (BytesCodec(endian="little"),)
CHECKED = (*PLAIN, Crc32cCodec())  # 4 bytes more


class MissingChunkError(LookupError):
    """A chunk or shard is not there; its argument says which."""


class _Watched(WrapperStore[Store]):
    """A store that notes what is not there or would unpack to too much; what fails is asked for again."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        super().__init__(array.store)
        self.missing: list[str] = []
        self.too_large: list[str] = []
        self.array = array
        self.packing = packing_of(array)
        self.most = most_unpacked(array)

    async def get(self, key: str, prototype: Any, byte_range: ByteRequest | None = None) -> Any:
        get = super().get
        found = await persistently_awaited(lambda: get(key, prototype, byte_range), key)
        if found is None:  # an error here would leave zarr's other reads at work
            self.missing.append(key)
        elif await self._unpacks_to_more(found, byte_range):
            self.too_large.append(key)
            return None
        return found

    async def _unpacks_to_more(self, found: Any, asked: ByteRequest | None) -> bool:
        if self.packing is None or _is_of_index(self.array, asked):
            return False
        codec, ahead = self.packing
        data = memoryview(found.as_numpy_array()).cast("B")
        pieces = [data]
        if asked is None and self.array.shards is not None:
            pieces = [data[start:stop] for start, stop in _chunks_in(self.array, data)]
        encoded = [each[ahead:] for each in pieces]

        def is_more() -> bool:
            return any((unpacks_to(codec, each, self.most) or 0) > self.most for each in encoded)

        if all(states_size(codec, each) for each in encoded):
            return is_more()
        return await asyncio.to_thread(is_more)  # all reads of the process share the thread of Zarr's loop


Box = tuple[slice, ...]
"""A part of an array: from where to where along each of its dimensions."""


def read_part(array: zarr.Array[Any], box: Box, *, fill_missing: bool = False) -> Any:
    """Read a part of an array.

    Parameters
    ----------
    array : zarr.Array
    box : tuple of slice
        With a start and a stop for each dimension.
    fill_missing : bool, default=False
        Take the fill value where a chunk is missing.

    Returns
    -------
    ndarray

    Raises
    ------
    MissingChunkError
        Where numbers were to be the fill value, as a chunk is not in the store or in its shard.
    ValueError
        Where a chunk would unpack to more bytes than it has, naming it; it is not unpacked. Of `DAMAGED`, as
        the others are.
    """
    store: Any = _Watched(array)
    watched: Any = zarr.AsyncArray(array.metadata, StorePath(store, array.path))
    try:
        values = zarr.Array(watched)[box]
    except OSError as error:
        if not is_of_codec(error):
            raise
        raise ValueError(str(error)) from error
    if store.too_large:
        first = min(store.too_large).removeprefix(f"{array.path}/")
        chunk_bytes = math.prod(array.chunks) * array.dtype.itemsize
        raise ValueError(
            f"{first} unpacks to more than {store.most:,} bytes, but a chunk has only {chunk_bytes:,}"
        )
    if fill_missing:
        return values
    if store.missing:
        raise MissingChunkError(min(store.missing).removeprefix(f"{array.path}/"))
    absent = chunk_not_in_shard(array, box)
    if absent is not None:
        raise MissingChunkError(absent)
    return values


def damaged_chunk(array: zarr.Array[Any], box: Box) -> tuple[str, Box] | None:
    """Find the first chunk of a part of an array that cannot be decoded, by reading one after the other.

    Parameters
    ----------
    array : zarr.Array
    box : tuple of slice
        The part.

    Returns
    -------
    tuple of (str, tuple of slice) or None
        Its key, or its place and the key of its shard, and its part of the array; None where all can be read.
    """
    firsts = [part.start // step for part, step in zip(box, array.chunks, strict=True)]
    lasts = [-(-part.stop // step) for part, step in zip(box, array.chunks, strict=True)]
    per_stored = np.floor_divide(array.shards or array.chunks, array.chunks).tolist()
    for offset in _places([last - first for first, last in zip(firsts, lasts, strict=True)]):
        place = [first + index for first, index in zip(firsts, offset, strict=True)]
        bounds = zip(place, array.chunks, array.shape, strict=True)
        own = tuple(slice(index * step, min((index + 1) * step, size)) for index, step, size in bounds)
        try:
            read_part(array, own, fill_missing=True)
        except DAMAGED:
            stored = tuple(index // several for index, several in zip(place, per_stored, strict=True))
            key = array.metadata.encode_chunk_key(stored)
            inner = "" if array.shards is None else f"{'/'.join(map(str, place))} in shard "
            return f"{inner}{key}", own
    return None


def absent_keys(array: zarr.Array[Any]) -> list[str]:
    """List the first chunks (or shards) of an array that are not in its store, by one listing of it.

    zarr's own count compares each key with all others.
    """
    prefix = f"{array.path}/" if array.path else ""

    async def list_keys() -> set[str]:
        return {key.removeprefix(prefix) async for key in array.store.list_prefix(prefix)}

    steps = array.shards or array.chunks
    sizes = [math.ceil(n / step) for n, step in zip(array.shape, steps, strict=True)]
    keys = map(array.metadata.encode_chunk_key, _places(sizes))
    present = sync(list_keys())
    absent = list(itertools.islice((key for key in keys if key not in present), MOST_ABSENT))
    # A store that cannot list (HTTP) shows nothing; then nothing is known.
    return absent if absent and not sync(array.store.exists(prefix + absent[0])) else []


def _places(sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Count through a grid, the last axis fastest; `itertools.product` would keep every axis in memory."""
    if not sizes:
        yield ()
        return
    for first in range(sizes[0]):
        for rest in _places(sizes[1:]):
            yield (first, *rest)


def chunk_not_in_shard(array: zarr.Array[Any], box: Box) -> str | None:
    """Find a chunk with numbers of a part of an array that its shard does not hold.

    Reads the index of each shard, 16 bytes a chunk (specification of Zarr's codec ``sharding_indexed``).

    Parameters
    ----------
    array : zarr.Array
        In shards or not.
    box : tuple of slice
        The part.

    Returns
    -------
    str or None
        The first one, by its place in the array's grid of chunks and the key of its shard. None where all are
        there, where the array has no shards, and where their index is encoded as no writer does by default.
    """
    is_empty = any(part.start >= part.stop for part in box)
    codec = _sharding_of(array)
    if array.shards is None or codec is None or codec.index_codecs not in (PLAIN, CHECKED) or is_empty:
        return None
    shards = itertools.product(
        *(
            range(part.start // step, math.ceil(part.stop / step))
            for part, step in zip(box, array.shards, strict=True)
        )
    )

    async def look() -> list[str | None]:
        return await asyncio.gather(*(_missing_in(array, codec, shard, box) for shard in shards))

    return next(filter(None, sync(look())), None)


async def _missing_in(
    array: zarr.Array[Any], codec: ShardingCodec, shard: tuple[int, ...], box: Box
) -> str | None:
    key = array.metadata.encode_chunk_key(shard)
    per_shard = np.floor_divide(array.shards or array.chunks, array.chunks)
    index = await _read_index(array, codec, key, math.prod(per_shard.tolist()))
    if index is None:  # whether whole shards may be missing has been asked before
        return None
    absent = np.argwhere((index == NOWHERE).all(axis=1).reshape(per_shard)) + shard * per_shard
    first = absent * array.chunks
    last = first + array.chunks
    # Chunks beyond the array's end are in no shard.
    starts, stops = ([getattr(part, end) for part in box] for end in ("start", "stop"))
    wanted = ((last > starts) & (first < stops) & (first < array.shape)).all(axis=1)
    return next((f"{'/'.join(map(str, place))} in shard {key}" for place in absent[wanted]), None)


def shard_without_room(array: zarr.Array[Any]) -> str | None:
    """Say that the first shard is smaller than its index, where that is large; None where all is well.

    Metadata may promise more chunks in a shard than memory has room for their places.
    """
    if _sharding_of(array) is None or array.shards is None or not math.prod(array.shape):
        return None
    n_chunks = math.prod(np.floor_divide(array.shards, array.chunks).tolist())
    if n_chunks < LARGE_INDEX:
        return None
    key = array.metadata.encode_chunk_key((0,) * array.ndim)
    try:
        n_bytes = sync(array.store.getsize(f"{array.path}/{key}" if array.path else key))
    except FileNotFoundError:
        return None
    if n_bytes >= 16 * n_chunks:
        return None
    return f"shard {key} has {n_bytes:,} bytes, and the index of {n_chunks:,} chunks takes {16 * n_chunks:,}"


def _chunks_in(array: zarr.Array[Any], shard: memoryview) -> list[tuple[int, int]]:
    """Return where the chunks of a whole shard begin and end; none where its index cannot be read here."""
    codec = _sharding_of(array)
    if codec is None or codec.index_codecs not in (PLAIN, CHECKED):
        return []
    n_chunks = math.prod(np.floor_divide(array.shards or array.chunks, array.chunks).tolist())
    n_bytes = 16 * n_chunks + (4 if codec.index_codecs == CHECKED else 0)
    if n_bytes > len(shard):
        return []
    encoded = shard[:n_bytes] if _is_at_start(codec) else shard[-n_bytes:]
    index = np.frombuffer(encoded, "<u8", 2 * n_chunks).reshape(n_chunks, 2)
    return [(int(first), int(first) + int(size)) for first, size in index.tolist() if first != NOWHERE]


def _sharding_of(array: zarr.Array[Any]) -> ShardingCodec | None:
    codec = array.metadata.codecs[0] if isinstance(array.metadata, ArrayV3Metadata) else None
    return codec if isinstance(codec, ShardingCodec) else None


def _is_of_index(array: zarr.Array[Any], request: ByteRequest | None) -> bool:
    """Return whether what is asked for is the index of a shard, which is no chunk."""
    if isinstance(request, SuffixByteRequest):
        return True
    codec = _sharding_of(array)
    begins = isinstance(request, RangeByteRequest) and request.start == 0
    return begins and codec is not None and _is_at_start(codec)


def _is_at_start(codec: ShardingCodec) -> bool:
    # Of an enumeration, which Zarr 3.4 gave up for the text itself.
    return getattr(codec.index_location, "value", codec.index_location) == "start"


async def _read_index(
    array: zarr.Array[Any], codec: ShardingCodec, key: str, n_chunks: int
) -> NDArray[np.uint64] | None:
    """Return offset and length of each chunk, shape (n_chunks, 2), or None where there is no such shard."""
    n_bytes = 16 * n_chunks + (4 if codec.index_codecs == CHECKED else 0)
    request: ByteRequest = RangeByteRequest(0, n_bytes) if _is_at_start(codec) else SuffixByteRequest(n_bytes)
    get = (array.store_path / key).get
    encoded = await persistently_awaited(lambda: get(default_buffer_prototype(), request), key)
    if encoded is None:
        return None
    return np.frombuffer(encoded.to_bytes(), "<u8", 2 * n_chunks).reshape(n_chunks, 2)
