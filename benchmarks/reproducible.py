"""The same bits for every scheduler: 1, 2, 3 workers, threads or processes, and twice in a row.

    python benchmarks/reproducible.py [ROWS]

Fits the same Zarr array everywhere and prints a hash of the parameters.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.config
import numpy as np
from common import make_zarr, print_table, synthetic_mixture
from distributed import Client, LocalCluster

import dgmm


@contextmanager
def cluster(n_workers: int, processes: bool) -> Iterator[None]:
    """Compute on a cluster on this machine."""
    options: dict[str, Any] = {"n_workers": n_workers, "threads_per_worker": 1, "processes": processes}
    with LocalCluster(dashboard_address="127.0.0.1:0", **options) as made, Client(made):
        yield


def fingerprint(data: Path) -> str:
    """Fit, and hash the fitted parameters."""
    mixture = dgmm.GaussianMixture(12, random_state=0, sample_rows=20_000, max_iter=6, tol=0.0)
    mixture.fit(data)
    arrays = (mixture.weights_, mixture.means_, mixture.covariances_, np.asarray(mixture.lower_bounds_))
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def main() -> None:
    """Run the benchmark."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    ways = {
        "threads": lambda: dask.config.set(scheduler="threads"),
        "threads, again": lambda: dask.config.set(scheduler="threads"),
        "one thread": lambda: dask.config.set(scheduler="synchronous"),
        "processes": lambda: dask.config.set(scheduler="processes", num_workers=2),
        "1 worker": lambda: cluster(1, True),
        "2 workers": lambda: cluster(2, True),
        "3 workers": lambda: cluster(3, True),
        "2 workers, again": lambda: cluster(2, True),
        "2 workers that are threads": lambda: cluster(2, False),
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.zarr"
        make_zarr(data, synthetic_mixture(12, 6), n_rows, 10_000)
        for name, way in ways.items():
            started = time.perf_counter()
            with way():
                found = fingerprint(data)
            rows.append((name, found, f"{time.perf_counter() - started:.1f}"))
    print_table(f"Parameters of a fit to {n_rows:,} rows", ["computed by", "hash", "seconds"], rows)
    assert len({found for _, found, _ in rows}) == 1, "the bits differ"


if __name__ == "__main__":
    import warnings

    warnings.filterwarnings("ignore", message="Best performing initialization did not converge")
    main()
