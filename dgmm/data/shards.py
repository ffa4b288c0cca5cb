"""Which chunks the shards of a Zarr array hold: those that are not there read as the fill value."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, ShardingCodecIndexLocation
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import sync

NOWHERE = np.iinfo(np.uint64).max  # the offset and the length of a chunk that is not there
PLAIN = (BytesCodec(endian="little"),)
CHECKED = (*PLAIN, Crc32cCodec())  # 4 bytes more


def missing_chunk(array: zarr.Array[Any], start: int, stop: int) -> str | None:
    """Find a chunk with rows ``start`` to ``stop`` that its shard does not hold.

    Reads the index of each shard, 16 bytes a chunk (specification of Zarr's codec ``sharding_indexed``).

    Parameters
    ----------
    array : zarr.Array
        In shards or not.
    start, stop : int
        Rows of it.

    Returns
    -------
    str or None
        The first one, by its place in the array's grid of chunks and the key of its shard. None where all are
        there, where the array has no shards, and where their index is encoded as no writer does by default.
    """
    if array.shards is None or not isinstance(array.metadata, ArrayV3Metadata) or start >= stop:
        return None
    codec = array.metadata.codecs[0]
    if not isinstance(codec, ShardingCodec) or codec.index_codecs not in (PLAIN, CHECKED):
        return None
    shards = itertools.product(
        range(start // array.shards[0], math.ceil(stop / array.shards[0])),
        *(range(math.ceil(n / step)) for n, step in zip(array.shape[1:], array.shards[1:], strict=True)),
    )

    async def look() -> list[str | None]:
        return await asyncio.gather(*(_missing_in(array, codec, shard, start, stop) for shard in shards))

    return next(filter(None, sync(look())), None)


async def _missing_in(
    array: zarr.Array[Any], codec: ShardingCodec, shard: tuple[int, ...], start: int, stop: int
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
    wanted = (last[:, 0] > start) & (first[:, 0] < stop) & (first < array.shape).all(axis=1)
    return next((f"{'/'.join(map(str, place))} in shard {key}" for place in absent[wanted]), None)


async def _read_index(
    array: zarr.Array[Any], codec: ShardingCodec, key: str, n_chunks: int
) -> NDArray[np.uint64] | None:
    """Give offset and length of each chunk, shape (n_chunks, 2), or None where there is no such shard."""
    n_bytes = 16 * n_chunks + (4 if codec.index_codecs == CHECKED else 0)
    at_start = codec.index_location is ShardingCodecIndexLocation.start
    request: ByteRequest = RangeByteRequest(0, n_bytes) if at_start else SuffixByteRequest(n_bytes)
    encoded = await (array.store_path / key).get(default_buffer_prototype(), request)
    if encoded is None:
        return None
    return np.frombuffer(encoded.to_bytes(), "<u8", 2 * n_chunks).reshape(n_chunks, 2)
