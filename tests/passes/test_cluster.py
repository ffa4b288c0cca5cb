"""Workers that die, or are not there: the same result, or an error that says what was lost."""
# pyright: reportPrivateImportUsage=false, reportReturnType=false, reportOptionalMemberAccess=false

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster, SchedulerPlugin, Status, get_worker

from dgmm.data import open_dataset
from dgmm.passes.cluster import ClusterLostError, one_cluster
from dgmm.passes.events import ClusterBack, ClusterWaiting, SpanFinished, listening
from dgmm.passes.run import run_pass
from dgmm.passes.tasks import run_tasks
from tests.dying import die, mark
from tests.waiting import until

ROWS = np.random.default_rng(1).normal(size=(4_000, 4))
QUICK = {"say-after": 0.1, "lost-after": 0.5, "look-every": 0.05}


@dataclass(frozen=True)
class Text:
    """Which rows were met, by each task."""

    text: str

    def __add__(self, other: "Text") -> "Text":
        return Text(f"({self.text}+{other.text})")


@dataclass(frozen=True)
class Visit:
    """Sums rows; ends its worker where it meets a row, as often as it is to."""

    at: int = -1
    marks: str = ""
    n_times: int = 0

    def __call__(self, chunks):
        found = ""
        for chunk in chunks:
            if chunk.start <= self.at < chunk.start + len(chunk.values) and mark(self.marks) < self.n_times:
                die()
            found += f"{chunk.start}:{chunk.values.sum().hex()}"
        return Text(found)


def _hang_until(path: str, _: None) -> None:
    """Be as a worker that has stopped."""
    worker = get_worker()
    worker.loop.add_callback(worker.periodic_callbacks["heartbeat"].stop)
    assert until(lambda: os.path.exists(path))


def _end_at(item: int, folder: str) -> int:
    if item == 1 and mark(folder) < 1:
        die()
    return item**2


@pytest.fixture
def empty_cluster() -> Iterator[LocalCluster]:
    """No worker, as yet."""
    with LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=":0") as running:
        yield running
        with dask.config.set({"distributed.comm.timeouts.connect": 1.0}):  # its scheduler may be gone
            running.close()


@pytest.fixture
def at_work() -> Iterator[LocalCluster]:
    """Six workers that may die; a task that one dies of once is given up."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=6, threads_per_worker=1, processes=False, dashboard_address=":0") as running,
        Client(running),
    ):
        yield running


@pytest.mark.usefixtures("small_spans")
class TestNoWorker:
    def test_it_is_said_and_the_work_goes_on_when_there_is_one(self, empty_cluster, stored, caplog):
        seen = []

        def start_one(event):
            seen.append(event)
            if isinstance(event, ClusterWaiting):
                empty_cluster.scale(1)

        source = open_dataset(stored(ROWS))
        expected = run_pass(source, Visit(), "visit")
        settings = {**QUICK, "lost-after": "10 minutes"}
        with Client(empty_cluster), dask.config.set({"dgmm.cluster": settings}), listening(start_one):
            assert run_pass(source, Visit(), "visit") == expected
        waited = [event for event in seen if isinstance(event, ClusterWaiting)]
        assert waited[0].purpose == "visit"
        assert waited[0].reason == "it has no worker"
        assert waited[0].seconds >= 0.1
        assert waited[0].left == pytest.approx(600.0 - waited[0].seconds)
        assert ClusterBack("visit") in seen
        assert "visit waits for the cluster at inproc://" in caplog.text
        assert "visit: the cluster" in caplog.text

    @pytest.mark.parametrize("work", ["pass", "tasks"])
    def test_it_is_an_error_in_the_end(self, empty_cluster, stored, work):
        source = open_dataset(stored(ROWS))
        seen = []
        with (
            Client(empty_cluster.scheduler_address),
            dask.config.set({"dgmm.cluster": QUICK}),
            listening(seen.append),
            pytest.raises(ClusterLostError, match=r"is lost: it has no worker, for .* 0 of \d+ tasks"),
        ):
            run_pass(source, Visit(), "visit") if work == "pass" else run_tasks(_end_at, [2], "", "square")
        times = [event.seconds for event in seen if isinstance(event, ClusterWaiting)]
        assert all(later >= 2 * sooner for sooner, later in pairwise(times))
        assert_no_tasks(empty_cluster)

    def test_a_scheduler_that_is_gone(self, empty_cluster, stored):
        source = open_dataset(stored(ROWS))

        def end(event):
            if isinstance(event, ClusterWaiting):
                empty_cluster.sync(empty_cluster.scheduler.close)

        settings = {**QUICK, "lost-after": "10 minutes"}
        with Client(empty_cluster.scheduler_address) as client:
            client._timeout = 0.2  # seconds for which it looks for a scheduler again
            with (
                dask.config.set({"dgmm.cluster": settings}),
                listening(end),
                pytest.raises(ClusterLostError, match="is lost: the connection to its scheduler is closed"),
            ):
                run_pass(source, Visit(), "visit")

    def test_a_cluster_is_asked_for_workers_that_it_was_to_have(self, empty_cluster, stored):
        source = open_dataset(stored(ROWS))
        expected = run_pass(source, Visit(), "visit")
        settings = {
            "dgmm.cluster": {**QUICK, "say-after": 0.3, "lost-after": "10 minutes"},
            "distributed.deploy.lost-worker-timeout": 0.1,
        }
        with Client(empty_cluster) as client, dask.config.set(settings):
            empty_cluster.scale(1)
            client.wait_for_workers(1)
            (worker,) = empty_cluster.workers.values()
            empty_cluster.sync(worker.close)
            assert run_pass(source, Visit(), "visit") == expected

    def test_a_connection_that_breaks_is_made_again(self, empty_cluster, stored):
        source = open_dataset(stored(ROWS))
        expected = run_pass(source, Visit(), "visit")
        seen = []

        def cut(event):
            if isinstance(event, ClusterWaiting) and not seen:
                seen.append(event)
                client.loop.add_callback(client.scheduler_comm.comm.abort)
                empty_cluster.scale(1)

        settings = {**QUICK, "lost-after": "10 minutes"}
        with (
            Client(empty_cluster.scheduler_address) as client,
            dask.config.set({"dgmm.cluster": settings}),
            listening(cut),
        ):
            assert run_pass(source, Visit(), "visit") == expected
        assert seen

    def test_workers_that_take_no_tasks(self, empty_cluster, stored):
        settings = {"dgmm.cluster": QUICK, "distributed.worker.memory.pause": False}
        with Client(empty_cluster) as client, dask.config.set(settings):
            empty_cluster.scale(1)
            client.wait_for_workers(1)
            (worker,) = empty_cluster.workers.values()
            client.loop.add_callback(setattr, worker, "status", Status.paused)
            with pytest.raises(ClusterLostError, match=r"none of its 1 workers takes tasks \(paused\)"):
                run_pass(open_dataset(stored(ROWS)), Visit(), "visit")

    def test_a_worker_without_a_sign_of_life(self, empty_cluster, stored, tmp_path):
        empty_cluster.scale(1)
        settings = {**QUICK, "silent-after": 0.2}
        with Client(empty_cluster) as client, dask.config.set({"dgmm.cluster": settings}):
            client.wait_for_workers(1)
            try:
                with pytest.raises(ClusterLostError, match="1 of its 1 workers give no sign of life"):
                    run_tasks(_hang_until, [str(tmp_path / "go")], None, "hang")
            finally:
                (tmp_path / "go").touch()

    def test_a_fit_does_not_go_on_here(self, empty_cluster, stored):
        """Dask would: without a client, threads are its default."""
        source = open_dataset(stored(ROWS))
        with one_cluster():
            with Client(empty_cluster):
                empty_cluster.scale(1)
                expected = run_pass(source, Visit(), "visit")
            with pytest.raises(ClusterLostError, match="done on threads of this machine"):
                run_pass(source, Visit(), "visit")
            with pytest.raises(ClusterLostError, match="done on threads of this machine"):
                run_tasks(_end_at, [2], "", "square")
            in_memory = open_dataset(ROWS)
            assert run_pass(in_memory, Visit(), "visit") == run_pass(in_memory, Visit(), "visit")
        assert run_pass(source, Visit(), "visit") == expected


@pytest.mark.usefixtures("small_spans")
class TestWorkersDie:
    @pytest.fixture
    def marks(self, tmp_path) -> str:
        folder = tmp_path / "marks"
        folder.mkdir()
        return str(folder)

    def test_what_is_lost_is_run_again(self, at_work, stored, marks, caplog):
        source = open_dataset(stored(ROWS))
        seen = []
        with listening(seen.append):
            found = run_pass(source, Visit(3210, marks, 2), "visit")
        with dask.config.set(scheduler="synchronous"):
            assert found == run_pass(source, Visit(), "visit")
        assert sum(event.n_rows for event in seen if isinstance(event, SpanFinished)) == len(ROWS)
        assert "work on rows 3000 to 3500 of " in caplog.text
        assert "run again (2 of 3)" in caplog.text

    def test_a_span_that_ends_whoever_reads_it_is_named(self, at_work, stored, marks):
        path = stored(ROWS)
        with (
            dask.config.set({"dgmm.cluster.reruns": 1}),
            pytest.raises(
                ClusterLostError, match=rf"work on rows 3000 to 3500 of {path} \(.*c/6/0\).*--memory"
            ),
        ):
            run_pass(open_dataset(path), Visit(3210, marks, 10**6), "visit")
        assert len(os.listdir(marks)) == 2
        assert run_tasks(_end_at, [2, 3], "", "square") == [4, 9]  # the cluster lives

    def test_workers_that_come_and_die_are_no_hope(self, at_work, stored, marks):
        class Replaced(SchedulerPlugin):
            def remove_worker(self, *_: object, **__: object) -> None:
                at_work.scale(len(at_work.worker_spec) + 1)

        settings = {"lost-after": 1.0, "say-after": 0.5, "look-every": 0.02}
        at_work.scheduler.allowed_failures = 10**6
        at_work.scheduler.add_plugin(Replaced(), name="replaced")
        try:
            with (
                dask.config.set({"dgmm.cluster": settings}),
                pytest.raises(
                    ClusterLostError, match=r"is lost: (its workers die one after|it has no worker)"
                ),
            ):
                run_pass(open_dataset(stored(ROWS)), Visit(10, marks, 10**6), "visit")
        finally:
            at_work.scheduler.remove_plugin("replaced")

    def test_tasks_beside_passes_too(self, at_work, marks):
        assert run_tasks(_end_at, [0, 1, 2, 3], marks, "square") == [0, 1, 4, 9]
        assert len(os.listdir(marks)) == 2


@pytest.mark.slow
def test_faults_made_with_processes():
    """Kills without end, a worker that stops, rows that kill, a scheduler that dies."""
    faults = {
        "kills": r"same bits|ClusterLostError: .*",
        "stopped": "same bits",
        "span that kills": r"ClusterLostError: survey: .* died at work on rows 0 to 200000 of .*",
        "scheduler": r"exit 2, 1 lines: error: .*its scheduler is closed, and was not made again.*",
    }
    script = Path(__file__).parents[2] / "benchmarks" / "worker_deaths.py"
    command = [sys.executable, str(script), "--rows", "200000", "--runs", "2", "--faults", ";".join(faults)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    lines = [line.split(" | ") for line in found.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(lines) == 5
    for fault, _, outcome, *_ in lines:
        assert re.fullmatch(faults[fault.removeprefix("| ")], outcome), (fault, outcome)


def assert_no_tasks(cluster: LocalCluster) -> None:
    assert until(lambda: not cluster.scheduler.tasks)
