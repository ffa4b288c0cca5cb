# pyright: reportAttributeAccessIssue=false
"""What a fit comes to when workers die, stop, or are lost with their scheduler: fault and outcome.

    python benchmarks/worker_deaths.py [--runs 20] [--rows 2000000] [--faults "kills;stopped;scheduler"]

Each run is a process of its own with a cluster of two worker processes, and fits the same Zarr array by 40
passes of EM. Its outcome is right if it is the hash of a fit on threads, or one clear error; a process that
does not end in five minutes is said to hang. Clusters are waited for less long than by default: 60 s.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import dask.config
import numpy as np
from common import make_zarr, print_table, synthetic_mixture
from distributed import Client, LocalCluster

import dgmm

ROOT = Path(__file__).resolve().parent.parent
FAULTS = (
    *("none", "kills", "kills 10 s apart", "kills, one worker"),
    *("no nannies", "stopped", "span that kills", "scheduler"),
)
LONGEST = 300.0
SETTINGS = {
    "dgmm.cluster": {"say-after": "5s", "lost-after": "60s"},
    "distributed.scheduler.worker-ttl": "10s",
}


def fingerprint(data: str) -> str:
    """Fit, and hash the fitted parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = dgmm.GaussianMixture(
            8, random_state=0, sample_rows=20_000, algorithm="em", max_iter=40, tol=0.0
        )
        mixture.fit(data)
    arrays = (mixture.weights_, mixture.means_, mixture.covariances_)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


@contextmanager
def often(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Do something every so often, on a thread, as long as this is."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            do()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def tell(found: dict[str, Any]) -> NoReturn:
    """Print how a run ended, and end at once: a cluster whose workers were killed may not close."""
    print(json.dumps(found), flush=True)
    os._exit(0)


def one_run(fault: str, seed: int, data: str) -> NoReturn:
    """Fit while a fault is made, and say how it ended."""
    rng, n_kills = random.Random(seed), 0
    n_workers = 1 if fault == "kills, one worker" else 2

    def kill() -> None:
        nonlocal n_kills
        pids = [pid for each in list(cluster.workers.values()) if (pid := getattr(each, "pid", None))]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(pids), signal.SIGKILL)
                n_kills += 1

    def lose_all() -> None:
        """Close the nannies, as if they had given up for good."""
        nonlocal n_kills
        if not n_kills:
            n_kills = len(cluster.workers)
            cluster.scale(0)

    def stop() -> None:
        nonlocal n_kills
        if not n_kills:
            n_kills = 1
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGSTOP)

    do = {"none": lambda: None, "stopped": stop, "no nannies": lose_all}.get(fault, kill)
    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster),
        often(10.0 if fault == "kills 10 s apart" else 1.7, do),
    ):
        started = time.perf_counter()
        try:
            outcome = fingerprint(data)
        except Exception as error:  # which one is the outcome
            outcome = f"{type(error).__name__}: {error}"
        tell({"outcome": outcome, "seconds": time.perf_counter() - started, "kills": n_kills})


def span_that_kills(data: str) -> NoReturn:
    """Fit rows of which some end whoever reads them."""
    from distributed.diagnostics.plugin import WorkerPlugin  # noqa: PLC0415

    class Deadly(WorkerPlugin):
        """Make reading some rows end the process, as want of memory does."""

        def setup(self, worker: Any) -> None:
            import dgmm.data.zarr as module  # noqa: PLC0415

            read = module.ZarrChunk.read

            def deadly(chunk: Any) -> Any:
                if chunk.start <= 100_000 < chunk.stop:
                    time.sleep(0.3)
                    os._exit(1)
                return read(chunk)

            module.ZarrChunk.read = deadly

    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Deadly())
        started = time.perf_counter()
        try:
            outcome = fingerprint(data)
        except Exception as error:  # which one is the outcome
            outcome = f"{type(error).__name__}: {error}"
        tell({"outcome": outcome, "seconds": time.perf_counter() - started, "kills": 0})


def scheduler_killed(data: str, folder: str) -> dict[str, Any]:
    """Run the command line on a cluster whose scheduler is killed."""
    address = Path(folder, "scheduler.json")
    dask_command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = []
    try:
        scheduler = subprocess.Popen(
            [*dask_command, "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(address)], **quiet
        )
        started.append(scheduler)
        while not address.exists():
            time.sleep(0.1)
        there = json.loads(address.read_text())["address"]
        worker = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            there,
            "--nthreads",
            "1",
            "--no-dashboard",
        ]
        started.append(subprocess.Popen(worker, **quiet))
        command = [sys.executable, "-m", "dgmm", "fit", data, "-k", "8", "--seed", "0", "--algorithm", "em"]
        command += [
            "--sample-rows",
            "20000",
            "--tol",
            "0",
            "--max-iter",
            "400",
            "--out",
            f"{folder}/model.npz",
            "--scheduler",
            there,
        ]
        fit = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(fit)
        assert fit.stderr is not None
        fit.stderr.readline()  # of the first pass
        time.sleep(2.0)
        scheduler.kill()
        at = time.perf_counter()
        said = fit.stderr.read()
        fit.wait(LONGEST)
        lines = [line for line in said.splitlines() if "rows/s" not in line and "tasks in" not in line]
        return {
            "outcome": f"exit {fit.returncode}, {len(lines)} lines: {' / '.join(lines)}",
            "seconds": time.perf_counter() - at,
            "kills": 1,
        }
    finally:
        for process in started:
            process.kill()
            process.wait()


def in_a_process(fault: str, seed: int, data: str) -> dict[str, Any]:
    """Make a run in a process of its own, and end it and its workers if it hangs."""
    command = [sys.executable, __file__, "--child", fault, str(seed), data]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        text, _ = process.communicate(timeout=LONGEST)
        return json.loads(text.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, json.JSONDecodeError):
        return {"outcome": "HUNG", "seconds": LONGEST, "kills": -1}
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def child(fault: str, seed: int, data: str) -> None:
    """Print how one run ended."""
    if fault == "span that kills":
        span_that_kills(data)
    if fault != "scheduler":
        one_run(fault, seed, data)
    with tempfile.TemporaryDirectory() as folder:
        found = scheduler_killed(data, folder)
    tell(found)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of kills without end; of other faults one")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--faults", default=";".join(FAULTS), help="separated by ;")
    parser.add_argument("--child", nargs=3)
    given = parser.parse_args()
    if given.child:
        fault, seed, data = given.child
        child(fault, int(seed), data)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "rows.zarr")
        make_zarr(Path(data), synthetic_mixture(8, 8), given.rows, max(1, given.rows // 40))
        with dask.config.set(scheduler="threads"):
            expected = fingerprint(data)
        for fault in given.faults.split(";"):
            for seed in range(given.runs if fault == "kills" else 1):
                found = in_a_process(fault, seed, data)
                same = "same bits" if found["outcome"] == expected else found["outcome"]
                table.append([fault, str(seed), same[:400], f"{found['seconds']:.0f} s", str(found["kills"])])
                print(*table[-1], sep="; ", file=sys.stderr, flush=True)
    print_table("Faults", ["fault", "seed", "outcome", "took", "kills"], table)
    assert not any(np.char.startswith([row[2] for row in table], "HUNG"))


if __name__ == "__main__":
    main()
