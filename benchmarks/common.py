"""What the benchmarks share: synthetic mixtures with known truth, timing, tables, the machine's name."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from threadpoolctl import threadpool_info
from zarr.codecs import ZstdCodec

from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters


def synthetic_mixture(n_components: int, n_features: int, seed: int = 0) -> Parameters:
    """Make a full-covariance mixture whose components overlap a little."""
    generator = np.random.default_rng(seed)
    means = generator.normal(size=(n_components, n_features)) * 4.0
    factors = generator.normal(size=(n_components, n_features, n_features)) / np.sqrt(n_features)
    covariances = factors @ np.swapaxes(factors, 1, 2) + 0.2 * np.eye(n_features)
    weights = generator.dirichlet(np.full(n_components, 5.0))
    return Parameters.from_covariances(FAMILIES["full"], weights, means, covariances)


def rows_of(mixture: Parameters, n_rows: int, seed: int) -> np.ndarray:
    """Draw rows of a mixture, quickly."""
    generator = np.random.default_rng(seed)
    labels = np.sort(generator.choice(mixture.n_components, size=n_rows, p=mixture.weights))
    rows = generator.standard_normal((n_rows, mixture.n_features))
    factors = np.linalg.cholesky(mixture.covariance_matrices)
    bounds = np.searchsorted(labels, np.arange(mixture.n_components + 1))
    for k, factor in enumerate(factors):
        own = slice(bounds[k], bounds[k + 1])
        rows[own] = mixture.means[k] + rows[own] @ factor.T
    return rows[generator.permutation(n_rows)]


def make_zarr(path: Path, mixture: Parameters, n_rows: int, chunk_rows: int) -> None:
    """Write rows of a mixture as a Zarr array, chunk by chunk; keeps one that is there already.

    Every eighth chunk is drawn, the others are its rows moved around: drawing 10⁸ rows would take longer
    than the benchmark.
    """
    if path.exists():
        return
    temporary = path.with_name(path.name + ".tmp")
    array = zarr.create_array(
        temporary,
        shape=(n_rows, mixture.n_features),
        chunks=(chunk_rows, mixture.n_features),
        dtype="f8",
        compressors=ZstdCodec(level=1, checksum=True),
        overwrite=True,
    )
    generator = np.random.default_rng(1)
    rows = rows_of(mixture, chunk_rows, 0)
    for number, start in enumerate(range(0, n_rows, chunk_rows)):
        if number % 8 == 0:
            rows = rows_of(mixture, chunk_rows, number)
        stop = min(start + chunk_rows, n_rows)
        array[start:stop] = np.roll(rows, int(generator.integers(chunk_rows)), axis=0)[: stop - start]
    temporary.rename(path)


def seconds_of(function: Callable[[], Any], repeats: int) -> float:
    """Return the median time of calls, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def machine() -> str:
    """Name the machine and the day."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    kernels = {
        info.get("architecture", info["internal_api"])
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    blas = f"BLAS kernels for {', '.join(sorted(kernels))}"
    return f"{date.today()}, {model}, {os.cpu_count()} cores, NumPy {np.__version__}, {blas}"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {title}\n\n{machine()}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
