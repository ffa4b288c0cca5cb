"""What a pass of many tasks costs beside the work: measured for a few thousand, reckoned for 1,000 workers.

    python benchmarks/schedule.py [--tasks 512 2048 4096] [--workers 10 100 1000] [--terabytes 0.1 1 10 100]

Measured: an E-step (K = 16, 10 features) over so many spans of a few rows each, where the driver, the
scheduler and a worker of two threads are processes of their own. Seconds are of processors, so that they do
not depend on what else the machine does: the driver's (to make the graph and to send it), and the
scheduler's, a task; and the bytes of parameters that the driver sends.

Reckoned from these: a pass over so many terabytes by so many workers, each of which reads and works on
256 MB a second (docs/benchmarks.md). The driver makes the whole graph, then the scheduler hands out tasks one
after the other, as workers become free; a sum follows for every seven tasks. Workers that wait are what a
schedule loses: the share of their time at work is printed, and what the pass waits for.
"""

from __future__ import annotations

import argparse
import heapq
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr
from common import machine, print_table, rows_of, synthetic_mixture
from distributed import Client

import dgmm
import dgmm.data.source
from dgmm.data.source import span_bytes_for
from dgmm.fitting.steps.expectation import ExpectationWork
from dgmm.kernels.stacking import stack_models
from dgmm.passes.run import run_timed_pass, travels_alone

N_COMPONENTS, N_FEATURES, ROWS_OF_SPAN, REPEATS = 16, 10, 10, 2
BYTES_A_SECOND = 256e6
"""Of a worker."""


@dataclass(frozen=True)
class Cost:
    """What a task costs beside its work: seconds of the driver's and the scheduler's processor."""

    driver: float
    scheduler: float
    sent: int


@contextmanager
def processes(folder: Path) -> Iterator[tuple[Client, psutil.Process]]:
    """Start a scheduler and a worker; give a client, and the scheduler's process."""
    address = folder / "scheduler.json"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started: list[subprocess.Popen[Any]] = []
    at = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address)]
    try:
        started.append(
            subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", *at], **quiet)
        )
        while not address.exists():
            time.sleep(0.1)
        there = json.loads(address.read_text())["address"]
        worker = ["distributed.cli.dask_worker", there, "--nthreads", "2", "--no-dashboard", "--no-nanny"]
        started.append(subprocess.Popen([sys.executable, "-m", *worker], **quiet))
        with Client(there) as client:
            client.wait_for_workers(1)
            yield client, psutil.Process(started[0].pid)
    finally:
        for process in started:
            process.kill()
            process.wait()


def of_processor(process: psutil.Process) -> float:
    """Return the seconds of the processor that a process has had."""
    times = process.cpu_times()
    return times.user + times.system


def measured(n_tasks: int, folder: Path) -> Cost:
    """Measure passes of so many tasks, the least of several."""
    mixture = synthetic_mixture(N_COMPONENTS, N_FEATURES)
    rows = rows_of(mixture, n_tasks * ROWS_OF_SPAN, 0)
    path = folder / f"{n_tasks}.zarr"
    chunks, shards = (ROWS_OF_SPAN, N_FEATURES), (ROWS_OF_SPAN * min(n_tasks, 512), N_FEATURES)
    array = zarr.create_array(path, shape=rows.shape, dtype="f8", chunks=chunks, shards=shards)
    array[:] = rows
    source = dgmm.open_dataset(path)
    assert len(source.spans()) == n_tasks
    work = ExpectationWork(stack_models([mixture], rows.mean(axis=0), np.abs(rows).max(axis=0), rows.dtype))
    expected = work_here(work, rows)
    found: list[Cost] = []
    with processes(folder) as (_, scheduler):
        (folder / "scheduler.json").unlink()
        for _ in range(REPEATS):
            before, of_scheduler = time.process_time(), of_processor(scheduler)
            result = run_timed_pass(source, work, "EM").result
            driver = time.process_time() - before
            found.append(
                Cost(
                    driver / n_tasks,
                    (of_processor(scheduler) - of_scheduler) / n_tasks,
                    len(pickle.dumps(work)) * (1 if travels_alone(work, n_tasks) else n_tasks),
                )
            )
            np.testing.assert_allclose(result.models[0].sums, expected, rtol=1e-9, atol=1e-6)
    return Cost(min(each.driver for each in found), min(each.scheduler for each in found), found[0].sent)


def work_here(work: ExpectationWork, rows: np.ndarray) -> np.ndarray:
    """Return the sums of the same E-step, made here at once."""
    from dgmm.kernels import expect  # noqa: PLC0415

    return expect(work.stack, [(rows, None)])[0].sums


def reckoned(n_tasks: int, seconds: float, n_workers: int, cost: Cost) -> tuple[float, float]:
    """Return the seconds of a pass, and the share of the workers' time in which they work."""
    handed_out = ready = n_tasks * cost.driver
    free = [ready] * min(n_workers, n_tasks)
    end = ready
    for _ in range(n_tasks):
        handed_out = max(handed_out, heapq.heappop(free)) + cost.scheduler * (1 + 1 / 7)
        end = max(end, handed_out + seconds)
        heapq.heappush(free, handed_out + seconds)
    return end, n_tasks * seconds / (end * n_workers)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[512, 2048, 4096])
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--terabytes", type=float, nargs="+", default=[0.1, 1.0, 10.0, 100.0])
    given = parser.parse_args()
    spans = dgmm.data.source.SPANS
    small = ROWS_OF_SPAN * N_FEATURES * 8
    dgmm.data.source.SPANS = replace(spans, smallest_bytes=small, largest_bytes=small, most=2**30)
    table, cost = [], Cost(0.0, 0.0, 0)
    with tempfile.TemporaryDirectory() as folder:
        for n_tasks in given.tasks:
            cost = measured(n_tasks, Path(folder))
            table.append(
                [
                    f"{n_tasks:,}",
                    f"{cost.driver * 1e3:.2f}",
                    f"{cost.scheduler * 1e3:.2f}",
                    f"{cost.sent / 2**20:.1f}",
                ]
            )
    dgmm.data.source.SPANS = spans
    print(machine())
    print_table("Measured", ["tasks", "driver ms a task", "scheduler ms a task", "parameters MiB"], table)
    table = []
    for terabytes in given.terabytes:
        total = int(terabytes * 1e12)
        span_bytes = span_bytes_for(total)
        n_tasks, seconds = -(-total // span_bytes), span_bytes / BYTES_A_SECOND
        for n_workers in given.workers:
            took, busy = reckoned(n_tasks, seconds, n_workers, cost)
            own = {
                "the driver": n_tasks * cost.driver,
                "the scheduler": n_tasks * cost.scheduler * (1 + 1 / 7),
                "work": total / BYTES_A_SECOND / n_workers,
                "tasks too few for the workers": seconds if n_tasks < 2 * n_workers else 0.0,
            }
            table.append(
                [
                    f"{terabytes:g}",
                    f"{n_tasks:,}",
                    f"{seconds:.1f}",
                    f"{n_workers:,}",
                    f"{took:,.0f}",
                    f"{busy:.0%}",
                    max(own, key=lambda name: own[name]),
                ]
            )
    names = ["TB", "tasks", "s a task", "workers", "s a pass", "at work", "longest"]
    print_table("Reckoned from the last", names, table)


if __name__ == "__main__":
    main()
