# pyright: reportPrivateImportUsage=false, reportReturnType=false
"""Clusters, and passes of many spans on little data."""

from collections.abc import Iterator
from dataclasses import replace

import dask
import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster

import dgmm.data.memory
import dgmm.data.source


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def small_spans(monkeypatch) -> None:
    """Spans of 16 kB, so that little data has many of them."""
    small = replace(dgmm.data.source.SPANS, smallest_bytes=16_000, largest_bytes=16_000)
    monkeypatch.setattr(dgmm.data.source, "SPANS", small)
    monkeypatch.setattr(dgmm.data.memory, "SLICE_BYTES", 8_000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two workers of one thread in this process; nobody computes there without a `client`.

    They end with their module: their threads tell each other that they live, whatever else runs.
    """
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as running:
        yield running


@pytest.fixture
def client(cluster) -> Iterator[Client]:
    """The ambient scheduler is the cluster while the test runs."""
    with Client(cluster) as connected:
        yield connected


@pytest.fixture
def empty_cluster() -> Iterator[LocalCluster]:
    """No worker, as yet."""
    with LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=":0") as running:
        yield running
        with dask.config.set({"distributed.comm.timeouts.connect": 1.0}):  # its scheduler may be gone
            running.close()


@pytest.fixture
def stored(tmp_path):
    """A function that writes rows as a Zarr array and gives its path."""

    def store(rows: np.ndarray, chunk: int = 500) -> str:
        path = str(tmp_path / f"rows-{len(list(tmp_path.iterdir()))}.zarr")
        zarr.create_array(path, data=rows, chunks=(chunk, *rows.shape[1:]))
        return path

    return store
