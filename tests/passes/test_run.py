# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false
import dataclasses
import subprocess
import sys
from dataclasses import dataclass

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import SchedulerPlugin

import dgmm.data.source
from dgmm.data import open_dataset, open_weights
from dgmm.passes.events import PassFinished, PassStarted, SpanFinished, listening
from dgmm.passes.run import run_pass, run_timed_pass
from tests.waiting import PATIENCE, until


@dataclass(frozen=True)
class Visited:
    """Text of how results were added: shows the shape of the tree."""

    text: str
    total: float

    def __add__(self, other):
        return Visited(f"({self.text}+{other.text})", self.total + other.total)


@dataclass(frozen=True)
class VisitWork:
    def __call__(self, chunks):
        total, rows = 0.0, []
        for chunk in chunks:
            weights = np.ones(len(chunk.values)) if chunk.weights is None else chunk.weights
            total += float(weights @ chunk.values.sum(axis=1))
            rows.append(f"{chunk.start}:{chunk.start + len(chunk.values)}")
        return Visited(" ".join(rows), total)


@dataclass(frozen=True, eq=False)
class LargeWork(VisitWork):
    ballast: np.ndarray


@dataclass(frozen=True)
class FailingWork:
    at: int

    def __call__(self, chunks):
        for chunk in chunks:
            if chunk.start <= self.at < chunk.start + len(chunk.values):
                raise ZeroDivisionError(f"row {self.at}")
        return 0.0


@pytest.fixture(params=["threads", "synchronous", "cluster"])
def scheduler(request):
    if request.param == "cluster":
        request.getfixturevalue("client")
        yield request.param
    else:
        with dask.config.set(scheduler=request.param):
            yield request.param


ROWS = np.random.default_rng(1).normal(size=(11_000, 4))


def sources(stored):
    return {
        "memory": open_dataset(ROWS),
        "zarr": open_dataset(stored(ROWS)),
        "dask": open_dataset(da.from_array(ROWS, chunks=(500, 2))),
    }


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("kind", ["memory", "zarr", "dask"])
def test_the_tree_and_its_order_are_fixed(kind, stored, scheduler):
    source = sources(stored)[kind]
    assert len(source.spans()) == 22
    found = run_pass(source, VisitWork(), "visit")
    groups = []
    for first in range(0, 22, 8):
        text = ""
        for index in range(first, min(first + 8, 22)):
            rows = range(index * 500, (index + 1) * 500)
            chunks = [rows] if kind != "memory" else [rows[:250], rows[250:]]
            leaf = " ".join(f"{chunk.start}:{chunk.stop}" for chunk in chunks)
            text = f"({text}+{leaf})" if text else leaf
        groups.append(text)
    assert found.text == f"(({groups[0]}+{groups[1]})+{groups[2]})"
    assert found.total == pytest.approx(ROWS.sum())


@pytest.mark.usefixtures("small_spans", "scheduler")
@pytest.mark.parametrize("kind", ["memory", "zarr", "dask"])
@pytest.mark.parametrize("of_weights", ["memory", "zarr", "dask"])
def test_weights_meet_their_rows(kind, of_weights, stored):
    weights = np.arange(11_000.0)
    own = {
        "memory": weights,
        "zarr": stored(weights, 700),
        "dask": da.from_array(weights, chunks=900),
    }[of_weights]
    found = run_pass(sources(stored)[kind], VisitWork(), "visit", open_weights(own))
    assert found.total == pytest.approx(weights @ ROWS.sum(axis=1))


@pytest.mark.usefixtures("small_spans", "scheduler")
def test_large_parameters_are_a_task_of_their_own(stored):
    work = LargeWork(np.zeros(2**17))
    found = run_pass(sources(stored)["zarr"], work, "visit")
    assert found.total == pytest.approx(ROWS.sum())


@pytest.mark.usefixtures("client")
def test_a_graph_has_what_its_tasks_have_and_no_more(stored, monkeypatch):
    """Of 200 tasks about 2 kB each; Dask's warning would be an error here."""
    spans = dataclasses.replace(dgmm.data.source.SPANS, smallest_bytes=320, largest_bytes=320)
    monkeypatch.setattr(dgmm.data.source, "SPANS", spans)
    source = open_dataset(stored(ROWS[:2000], 10))
    assert len(source.spans()) == 200
    limit, work = "distributed.admin.large-graph-warning-threshold", LargeWork(np.zeros(2**14))  # 131 kB
    with dask.config.set({limit: "1 MiB"}):
        assert run_pass(source, work, "visit").total == pytest.approx(ROWS[:2000].sum())


@pytest.mark.usefixtures("small_spans", "scheduler")
@pytest.mark.parametrize("kind", ["memory", "zarr", "dask"])
def test_an_error_in_a_task_keeps_its_type(kind, stored):
    source = sources(stored)[kind]
    with pytest.raises(ZeroDivisionError, match="row 3210"):
        run_pass(source, FailingWork(3210), "fail")
    assert run_pass(source, VisitWork(), "visit").total == pytest.approx(ROWS.sum())


@pytest.mark.usefixtures("scheduler")
def test_wrong_chunk_sizes_are_found():
    """Row numbers and weights would silently be those of other rows."""
    x = da.from_array(np.ones((10, 2)), chunks=(5, 2)).map_blocks(
        lambda block: block[:4], chunks=((5, 5), (2,))
    )
    with pytest.raises(ValueError, match="gives 4 rows, but was said to have 5"):
        run_pass(open_dataset(x), VisitWork(), "visit")


@pytest.mark.usefixtures("small_spans", "scheduler")
@pytest.mark.parametrize("kind", ["memory", "zarr", "dask"])
def test_events_count_every_row(kind, stored):
    seen = []
    with listening(seen.append):
        run_pass(sources(stored)[kind], VisitWork(), "visit")
        # A cluster tells of spans from another thread.
        assert until(lambda: sum(isinstance(event, SpanFinished) for event in seen) == 22)
    assert seen[0] == PassStarted("visit", 11_000, 22, 352_000)
    assert sum(event.n_rows for event in seen if isinstance(event, SpanFinished)) == 11_000
    (finished,) = [event for event in seen if isinstance(event, PassFinished)]
    assert finished.n_rows == 11_000
    assert finished.seconds > 0.0


@pytest.mark.usefixtures("small_spans", "scheduler")
@pytest.mark.parametrize("kind", ["memory", "zarr", "dask"])
def test_what_the_tasks_took(kind, stored):
    timed = run_timed_pass(sources(stored)[kind], VisitWork(), "visit")
    assert timed.result == run_pass(sources(stored)[kind], VisitWork(), "visit")
    assert timed.effort.n_rows == 11_000
    assert timed.effort.computing > 0.0
    assert np.isnan(timed.effort.reading) if kind == "dask" else timed.effort.reading > 0.0


def test_no_rows(stored):
    for x in (np.empty((0, 2)), stored(np.empty((0, 2))), da.empty((0, 2))):
        assert run_pass(open_dataset(x), VisitWork(), "visit").total == 0.0


def test_one_span_in_memory_makes_no_task():
    computed = []

    class Counting(dask.callbacks.Callback):
        def _start(self, dsk):
            computed.append(dsk)

    with Counting():
        run_pass(open_dataset(ROWS), VisitWork(), "visit")
    assert not computed


class Finished(SchedulerPlugin):
    """Counts the tasks that a scheduler has run."""

    def __init__(self):
        self.keys = []

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            self.keys.append(str(key))


@pytest.mark.usefixtures("small_spans")
class TestTasksOnACluster:
    @pytest.fixture
    def finished(self, cluster, client):
        plugin = Finished()
        cluster.scheduler.add_plugin(plugin, name="finished")
        yield plugin
        cluster.scheduler.remove_plugin("finished")

    def test_of_a_store_one_for_each_span_and_the_tree(self, finished, stored):
        run_pass(sources(stored)["zarr"], VisitWork(), "visit")
        assert len(finished.keys) == 22 + 3 + 1

    def test_of_a_dask_array_at_most_two_for_each_span_and_the_tree(self, finished, stored):
        run_pass(open_dataset(da.from_array(ROWS, chunks=(500, 4))), VisitWork(), "visit")
        assert len(finished.keys) <= 2 * 22 + 3 + 1  # loading and work are one; its alias is the other

    @pytest.mark.parametrize("n_spans", [1, 2, 9, 65])
    @pytest.mark.parametrize("lazy", [False, True])
    def test_groups_of_one_in_the_tree(self, client, stored, n_spans, lazy):
        """A sum of one would be fused with its span's task, whose name is then not to be found."""
        rows = np.ones((500 * n_spans, 4))
        source = open_dataset(da.from_array(rows, chunks=(500, 4)) if lazy else stored(rows))
        assert len(source.spans()) == n_spans
        assert run_pass(source, VisitWork(), "visit").total == rows.sum()

    def test_nothing_is_left_behind(self, cluster, client, stored):
        source = sources(stored)["zarr"]
        for at in (100, 5000, 10_900):
            run_pass(source, VisitWork(), "visit")
            with pytest.raises(ZeroDivisionError):
                run_pass(source, FailingWork(at), "fail")
        assert run_pass(source, VisitWork(), "visit").total == pytest.approx(ROWS.sum())
        assert_no_tasks(cluster)

    @pytest.mark.usefixtures("interrupts")
    def test_an_interrupt_leaves_nothing_behind(self):
        result = subprocess.run(
            [sys.executable, "-c", INTERRUPTED], check=False, capture_output=True, text=True, timeout=PATIENCE
        )
        assert result.stdout.strip() == "interrupted, no tasks left", result.stderr


# In a process of its own: an interrupt between a lock and what guards it leaves the lock shut for good.
INTERRUPTED = """
import _thread, dataclasses, time
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
import dgmm.data.source
from dgmm.data import open_dataset
from dgmm.fitting.survey import SurveyWork
from dgmm.passes.events import SpanFinished, listening
from dgmm.passes.run import run_pass
from tests.waiting import until

spans = dgmm.data.source.SPANS
dgmm.data.source.SPANS = dataclasses.replace(spans, smallest_bytes=16_000, largest_bytes=16_000)

def slow(block):
    time.sleep(0.2)
    return block

def interrupt(event):
    if isinstance(event, SpanFinished):
        _thread.interrupt_main()

with (
    LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
    Client(cluster),
):
    x = da.from_array(np.ones((11_000, 4)), chunks=(500, 4)).map_blocks(slow, meta=np.empty((0, 0)))
    try:
        with listening(interrupt):
            run_pass(open_dataset(x), SurveyWork(11_000, 4, np.dtype(float), 10, 0, False, False), "visit")
    except KeyboardInterrupt:
        print("interrupted,", "no tasks left" if until(lambda: not cluster.scheduler.tasks) else "tasks left")
"""


def assert_no_tasks(cluster):
    assert until(lambda: not cluster.scheduler.tasks)
