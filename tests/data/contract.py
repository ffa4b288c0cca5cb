"""What every source must keep: the same rows in the same order, whatever holds them."""

import pickle
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dask.base import compute

from dgmm.data import Chunk, LazyChunk, Source
from tests.memory import traced_peak

OVERHEAD_BYTES = 256 * 1024  # Python's own objects: modules, metadata, event loops


def read(chunk: Chunk | LazyChunk) -> np.ndarray:
    """Read a chunk of either kind, here."""
    if isinstance(chunk, LazyChunk):
        return compute(chunk.delayed, scheduler="sync")[0]
    return chunk.read()


def rows_of(source: Source) -> np.ndarray:
    """Read all rows of a source."""
    return read(source.rows(0, source.n_rows))


def write_parquet(path: Path, columns: Mapping[str, object], **options: Any) -> pa.Table:
    """Write columns to a Parquet file, and give them as a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    pq.write_table(table, path, **options)
    return table


def read_pickled(data: bytes) -> np.ndarray:
    """Read a pickled chunk; runs in another process."""
    return read(pickle.loads(data))


def check_source(source: Source, expected: np.ndarray, feature_names: tuple[str, ...] | None = None) -> None:
    """Hold a source against the rows that it must give, bit for bit."""
    assert isinstance(source.name, str)
    assert source.n_rows == len(expected)
    assert source.n_features == expected.shape[1]
    assert source.dtype == expected.dtype
    assert source.dtype.isnative
    assert source.feature_names == feature_names
    check_spans(source, expected)
    assert source.revision() == source.revision()  # nothing was written
    check_row_ranges(source, expected)


def check_spans(source: Source, expected: np.ndarray) -> None:
    start = 0
    spans = source.spans()
    for index, span in enumerate(spans):
        assert span.index == index
        assert span.start == start
        assert span.n_rows == sum(chunk.n_rows for chunk in span.chunks)
        for chunk in span.chunks:
            check_chunk(chunk, expected[start : start + chunk.n_rows])
            start += chunk.n_rows
    assert start == len(expected)
    again = source.spans()
    assert [(span.start, span.n_rows) for span in again] == [(span.start, span.n_rows) for span in spans]


def check_row_ranges(source: Source, expected: np.ndarray) -> None:
    """Each row beside a border of chunks begins a range and ends one, within a chunk and across."""
    n = len(expected)
    borders, start = {0, 1, n // 3, n // 2, n - 1, n}, 0
    for span in source.spans()[:2]:
        for chunk in span.chunks[:3]:
            start += chunk.n_rows
            borders |= {start - 1, start, start + 1}
    points = sorted(point for point in borders if 0 <= point <= n)
    for a, b in [*pairwise(points), *zip(points, points[3:], strict=False), (0, 0), (0, n)]:
        check_chunk(source.rows(a, b), expected[a:b])


def check_chunk(chunk: Chunk | LazyChunk, expected: np.ndarray) -> None:
    rows = read(chunk)
    assert isinstance(rows, np.ndarray)
    assert rows.shape == expected.shape
    assert rows.dtype == expected.dtype
    assert rows.dtype.isnative
    np.testing.assert_array_equal(rows, expected)
    assert chunk.n_rows == len(rows)
    assert chunk.n_bytes >= rows.nbytes
    assert isinstance(chunk.place, str)


def check_pickles(chunk: Chunk | LazyChunk) -> None:
    """A chunk reads the same after pickling, in this process."""
    np.testing.assert_array_equal(read(cloudpickle.loads(cloudpickle.dumps(chunk))), read(chunk))


def check_reads_elsewhere(chunk: Chunk | LazyChunk, run: Callable, largest: int = 20_000) -> None:
    """A chunk of a store is small when pickled, and reads the same in another process."""
    data = cloudpickle.dumps(chunk)
    assert len(data) < largest
    np.testing.assert_array_equal(run(read_pickled, data), read(chunk))


def chunk_starts(source: Source) -> list[int]:
    """Return the first row of each chunk."""
    counts = [chunk.n_rows for span in source.spans() for chunk in span.chunks]
    return np.cumsum([0, *counts])[:-1].tolist()


def check_memory(chunk: Chunk | LazyChunk) -> None:
    """Reading needs no more memory than the chunk says."""
    nbytes = read(chunk).nbytes
    peak = traced_peak(lambda: read(chunk), chunk.n_bytes + OVERHEAD_BYTES)
    assert nbytes <= peak + OVERHEAD_BYTES
    assert peak <= chunk.n_bytes + OVERHEAD_BYTES


def type_name(parameter: object) -> str:
    """Name a test's parameter: the same in every process, as pytest-xdist needs."""
    return parameter if isinstance(parameter, str) else type(parameter).__name__
