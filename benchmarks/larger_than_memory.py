"""An array of 8 GiB in 10,000 chunks, fitted by two workers of 1 GiB: memory, speed of a pass, the scheduler.

    python benchmarks/larger_than_memory.py FOLDER [--gib 8]

Makes the array in FOLDER if it is not there (one to two minutes). Then

1. ``dgmm fit … --workers 2 --memory 1GiB``, while the resident memory of every process is sampled;
2. a pass on one thread against reading alone and arithmetic alone, in turn, on the same rows;
3. a pass on a cluster: the share of the workers' time in which no task ran.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import make_zarr, print_table, synthetic_mixture
from distributed import Client, LocalCluster, get_task_stream

import dgmm
from dgmm.data import Source
from dgmm.fitting.steps.expectation import ExpectationWork
from dgmm.kernels import expect, working_bytes
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import stack_models
from dgmm.passes.blas import single_threaded
from dgmm.passes.plan import plan
from dgmm.passes.run import run_pass
from dgmm.passes.task import read_ahead, span_task

MEBIBYTE = 2**20
N_FEATURES, N_COMPONENTS, N_CHUNKS = 10, 16, 10_000


def fit_and_watch(data: Path, memory: str) -> tuple[float, float, list[float], str]:
    """Fit through the command line: seconds, peak of the driver and of the workers in MiB, what it said."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dgmm", "fit", str(data), "-k", str(N_COMPONENTS), "--seed", "0"]
        command += ["--out", f"{folder}/model.npz", "--max-iter", "3", "--sample-rows", "100000"]
        command += ["--workers", "2", "--memory", memory]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        watched, peaks = psutil.Process(process.pid), {}
        while process.poll() is None:
            for each in [watched, *watched.children(recursive=True)]:
                try:
                    peaks[each.pid] = max(peaks.get(each.pid, 0), each.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.05)
        said = process.stdout.read() if process.stdout else ""
        if process.returncode:
            raise RuntimeError(said)
        others = sorted(
            (value / MEBIBYTE for pid, value in peaks.items() if pid != process.pid), reverse=True
        )
        return time.perf_counter() - started, peaks[process.pid] / MEBIBYTE, others[:2], said


def ready_stack(source: Source) -> Stack:
    """Make the true mixture ready for evaluation."""
    mixture = synthetic_mixture(N_COMPONENTS, N_FEATURES)
    return stack_models([mixture], mixture.means.mean(axis=0), np.full(N_FEATURES, 50.0), source.dtype)


def a_pass_and_its_parts(source: Source, ready: Stack, n_spans: int) -> list[tuple[float, float, float]]:
    """Time tasks of a pass on this thread, and the reading alone and the arithmetic alone of their rows."""
    times = []
    for span in source.spans()[:n_spans]:
        chunks = [chunk for chunk in span.chunks if hasattr(chunk, "read")]
        for chunk in chunks:
            chunk.read()  # pyright: ignore[reportAttributeAccessIssue] - into the page cache for all three
        task, _ = span_task(span, ExpectationWork(ready), None)
        started = time.perf_counter()
        whole = task()
        in_a_pass = time.perf_counter() - started
        with single_threaded():
            started = time.perf_counter()
            rows = list(read_ahead(chunks))  # pyright: ignore[reportArgumentType]
            reading = time.perf_counter() - started
            started = time.perf_counter()
            alone = expect(ready, [(part, None) for part in rows])
            arithmetic = time.perf_counter() - started
        np.testing.assert_array_equal(whole.models[0].sums, alone[0].sums)
        times.append((in_a_pass, reading, arithmetic))
    return times


def idle_share(data: Path, ready: Stack) -> tuple[float, int]:
    """Return the share of two workers' time in which no task of a pass ran, and the number of tasks."""
    source = dgmm.open_dataset(data)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="1GiB", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        run_pass(source, ExpectationWork(ready), "warm up")
        with get_task_stream(client) as recorded:  # pyright: ignore[reportGeneralTypeIssues]
            started = time.time()
            run_pass(source, ExpectationWork(ready), "measured")
            ended = time.time()
    stream: Any = recorded.data  # pyright: ignore[reportAttributeAccessIssue] - not typed by distributed
    computed = [
        piece["stop"] - piece["start"]
        for task in stream
        for piece in task["startstops"]
        if piece["action"] == "compute"
    ]
    return 1.0 - sum(computed) / (2 * (ended - started)), len(stream)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gib", type=float, default=8.0)
    options = parser.parse_args()
    n_rows = int(options.gib * 2**30) // (8 * N_FEATURES)
    data = options.folder / f"rows-{options.gib:g}gib.zarr"
    make_zarr(data, synthetic_mixture(N_COMPONENTS, N_FEATURES), n_rows, -(-n_rows // N_CHUNKS))
    source = dgmm.open_dataset(data)
    ready = ready_stack(source)
    planned = plan(source)
    forecast = planned.process_bytes(1, working_bytes(ready)) / MEBIBYTE

    seconds, driver, workers, said = fit_and_watch(data, "1GiB")
    print(said)
    times = a_pass_and_its_parts(source, ready, 9)[1:]
    ratio = statistics.median(whole / (reading + arithmetic) for whole, reading, arithmetic in times)
    share, n_tasks = idle_share(data, ready)
    rows = [
        ("rows", f"{n_rows:,}"),
        ("chunks", f"{N_CHUNKS:,}"),
        ("spans", len(planned.spans)),
        ("fit, seconds", f"{seconds:.0f}"),
        ("peak memory of the workers, MiB", ", ".join(f"{peak:.0f}" for peak in workers)),
        ("their forecast, MiB", f"{forecast:.0f}"),
        ("forecast / peak", ", ".join(f"{forecast / peak:.2f}" for peak in workers)),
        ("peak memory of the driver, MiB", f"{driver:.0f}"),
        ("a pass / (reading + arithmetic), one thread", f"{ratio:.2f}"),
        ("tasks of a pass on the cluster", n_tasks),
        ("workers' time without a task", f"{share:.1%}"),
    ]
    print_table(f"{options.gib:g} GiB on two workers of 1 GiB", ["what", "value"], rows)


if __name__ == "__main__":
    main()
