# pyright: reportAttributeAccessIssue=false
"""What is in a compressed chunk is known before it is unpacked; whether damage would show, from metadata."""

import bz2
import gzip
import lzma
import subprocess
import sys
import zlib

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest
import zarr
from numcodecs import CRC32, LZ4, Blosc, Fletcher32, GZip, Shuffle, Zstd
from numcodecs import Zlib as Zlib2
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from dgmm.data import DataError, codecs, open_dataset
from dgmm.data.codecs import finds_damage, unpacks_to

CONTENT = np.random.default_rng(0).integers(0, 4, 300_000, np.uint8).tobytes()


def zstd_without_size(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


PACKED = {
    "zstd": lambda data: bytes(Zstd(3).encode(data)),
    "zstd, streamed": zstd_without_size,
    "blosc": lambda data: bytes(Blosc().encode(data)),
    "lz4": lambda data: bytes(LZ4().encode(data)),
    "gzip": gzip.compress,
    "gzip, in two parts": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
}


@pytest.mark.parametrize("how", PACKED)
@pytest.mark.parametrize("size", [1, 300, 70_000, 300_000])
def test_what_is_in_a_chunk(how, size):
    encoded = PACKED[how](CONTENT[:size])
    codec = how.partition(",")[0]
    assert unpacks_to(codec, encoded, 10**9) == size
    told = unpacks_to(codec, encoded, size - 1)
    assert told is not None
    assert told > size - 1


@pytest.mark.parametrize("how", PACKED)
@pytest.mark.parametrize("content", [CONTENT, bytes(300_000), CONTENT[:5000] + bytes(100_000)], ids=len)
def test_pieces_add_up(how, content, monkeypatch):
    """Encoded bytes of several pieces, and pieces that unpack to many."""
    monkeypatch.setattr(codecs, "PIECE_BYTES", 1000)
    assert unpacks_to(how.partition(",")[0], PACKED[how](content), 10**9) == len(content)


@pytest.mark.parametrize("codec", [*PACKED, "shuffle", "snappy"])
@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(40))])
def test_what_is_no_chunk_is_left_to_who_decodes_it(codec, data):
    codec = codec.partition(",")[0]
    told = unpacks_to(codec, data, 100)
    assert told is None or codec in {"blosc", "lz4", "bz2", "lzma", "gzip", "zlib"}


def array(**layout) -> "zarr.Array":
    return zarr.create_array({}, shape=(20, 2), chunks=(5, 2), dtype="f8", **layout)


def test_whether_damage_shows():
    checked = ZstdCodec(checksum=True)
    for layout in (
        {"compressors": checked},
        {"compressors": checked, "shards": (10, 2)},
        {"compressors": [ZstdCodec(), Crc32cCodec()]},
        {"compressors": GzipCodec()},
        {"compressors": Zlib2(), "zarr_format": 2},
        {"compressors": None, "filters": [Fletcher32()], "zarr_format": 2},
    ):
        assert finds_damage(array(**layout)), layout
    for layout in (
        {},
        {"compressors": None},
        {"compressors": BloscCodec()},
        {"shards": (10, 2)},
        {"zarr_format": 2},
        {"compressors": Blosc(), "filters": [Shuffle(8)], "zarr_format": 2},
    ):
        assert not finds_damage(array(**layout)), layout


BOMBS = {
    "zstd": ({"compressors": ZstdCodec()}, Zstd()),
    "blosc": ({"compressors": BloscCodec()}, Blosc()),
    "gzip": ({"compressors": GzipCodec()}, GZip(1)),
    "zstd of format 2": ({"compressors": Zstd(), "zarr_format": 2}, Zstd()),
    "with a checksum before": ({"compressors": CRC32(), "filters": [Zstd()], "zarr_format": 2}, Zstd()),
    "in a shard": ({"compressors": ZstdCodec(), "shards": (8, 2)}, Zstd()),
}

MEASURED = """
import resource, sys
import pyarrow, zarr
from dgmm.data import DataError, open_dataset

def kilobytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

sources = [open_dataset(path) for path in sys.argv[1:]]
before = kilobytes()
for source in sources:
    try:
        source.rows(0, 8).read()
    except DataError as error:
        assert "unpacks to more than" in str(error), error
        print(kilobytes() - before)
"""


def test_a_chunk_that_unpacks_beyond_its_header_takes_no_memory(tmp_path):
    zeros, paths = bytes(2**28), []
    for number, (layout, codec) in enumerate(BOMBS.values()):
        path = tmp_path / f"{number}.zarr"
        made = zarr.create_array(path, shape=(8, 2), chunks=(4, 2), dtype="f8", **layout)
        made[:] = 1.0
        encoded = bytes(codec.encode(zeros))
        if made.shards is not None:  # whose index tells of two such chunks
            index = np.array([0, len(encoded)] * 2, "<u8").tobytes()
            encoded += index + google_crc32c.value(index).to_bytes(4, "little")
        if isinstance(layout["compressors"], CRC32):
            encoded = bytes(CRC32().encode(encoded))
        key = "1.0" if made.metadata.zarr_format == 2 else "c/0/0" if made.shards else "c/1/0"
        (path / key).write_bytes(encoded)
        paths.append(str(path))
    command = [sys.executable, "-c", MEASURED, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = list(map(int, done.stdout.split()))
    assert len(told) == len(BOMBS)
    assert max(told) < 60_000  # of 262,144


def test_a_shard_has_room_for_its_index(tmp_path):
    """A shard of 10⁹ chunks by its metadata, in 600 bytes: found when it is opened, not when it is read."""
    path = tmp_path / "x.zarr"
    zarr.create_array(path, shape=(10**9, 1), chunks=(1, 1), shards=(10**9, 1), dtype="f8")
    (path / "c/0").mkdir(parents=True)
    (path / "c/0/0").write_bytes(bytes(600))
    with pytest.raises(DataError, match=r"shard c/0/0 has 600 bytes, and the index of 1,000,000,000 chunks"):
        open_dataset(path)


def test_a_chunk_that_no_memory_has_room_for(tmp_path):
    path = tmp_path / "x.zarr"
    zarr.create_array(path, shape=(2**50, 1), chunks=(2**50, 1), dtype="f8", compressors=None)
    (path / "c/0").mkdir(parents=True)
    (path / "c/0/0").write_bytes(bytes(600))
    with pytest.raises(DataError, match=r"rows 0 to 1125899906842624, chunk c/0/0: .* GiB are read at once"):
        open_dataset(path).spans()[0].chunks[0].read()


@pytest.mark.parametrize(("chunk", "n_rows"), [(1000, 10**12), (1, 10**18)])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_of_more_chunks_than_can_be_counted(tmp_path, chunk, n_rows, zarr_format):
    path = tmp_path / "x.zarr"
    zarr.create_array(path, shape=(n_rows, 1), chunks=(chunk, 1), dtype="f8", zarr_format=zarr_format)
    with pytest.raises(DataError, match="and at least 9,999 more"):
        open_dataset(path)
