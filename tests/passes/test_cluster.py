"""Workers that die: the same result, or an error that says what was lost."""
# pyright: reportPrivateImportUsage=false, reportReturnType=false, reportOptionalMemberAccess=false

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster, SchedulerPlugin

from dgmm.data import open_dataset
from dgmm.passes.cluster import one_cluster
from dgmm.passes.events import SpanFinished, listening
from dgmm.passes.health import ClusterLostError
from dgmm.passes.parallel import run_tasks
from dgmm.passes.run import run_pass
from tests.dying import Visit, end_at

ROWS = np.random.default_rng(1).normal(size=(4_000, 4))
QUICK = {"say-after": 0.1, "lost-after": 0.5, "look-every": 0.05}


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
def test_a_fit_does_not_go_on_here(empty_cluster, stored):
    """Dask would: without a client, threads are its default."""
    source = open_dataset(stored(ROWS))
    with one_cluster():
        with Client(empty_cluster):
            empty_cluster.scale(1)
            expected = run_pass(source, Visit(), "visit")
        with pytest.raises(ClusterLostError, match="done on threads of this machine"):
            run_pass(source, Visit(), "visit")
        with pytest.raises(ClusterLostError, match="done on threads of this machine"):
            run_tasks(end_at, [2], "", "square")
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
                ClusterLostError, match=rf"working on rows 3000 to 3500 of {path} \(.*c/6/0\).*--memory"
            ),
        ):
            run_pass(open_dataset(path), Visit(3210, marks, 10**6), "visit")
        assert len(os.listdir(marks)) == 2
        assert run_tasks(end_at, [2, 3], "", "square") == [4, 9]  # the cluster lives

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
        assert run_tasks(end_at, [0, 1, 2, 3], marks, "square") == [0, 1, 4, 9]
        assert len(os.listdir(marks)) == 2


@pytest.mark.slow
def test_faults_made_with_processes():
    """Kills without end, a worker that stops, rows that kill, a scheduler that dies."""
    faults = {
        "kills": r"same bits|ClusterLostError: .*",
        "stopped": "same bits",
        "span that kills": r"ClusterLostError: survey: .* died while working on rows 0 to 200000 of .*",
        # A command may have said by then which step of the fit it had come to.
        "scheduler": r"exit 2, . lines: (\[step .* / )?error: .*its scheduler is closed, .* not made again.*",
    }
    script = Path(__file__).parents[2] / "benchmarks" / "worker_deaths.py"
    command = [sys.executable, str(script), "--rows", "200000", "--runs", "2", "--faults", ";".join(faults)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    lines = [line.split(" | ") for line in found.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(lines) == 5
    for fault, _, outcome, *_ in lines:
        assert re.fullmatch(faults[fault.removeprefix("| ")], outcome), (fault, outcome)
