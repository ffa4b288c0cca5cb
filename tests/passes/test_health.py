"""A cluster that cannot go on is waited for, and given up with an error that says what was lost."""
# pyright: reportPrivateImportUsage=false, reportReturnType=false, reportOptionalMemberAccess=false

import os
from itertools import pairwise

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster, Status, get_worker

from dgmm.data import open_dataset
from dgmm.passes.events import ClusterBack, ClusterWaiting, listening
from dgmm.passes.health import ClusterLostError
from dgmm.passes.parallel import run_tasks
from dgmm.passes.run import run_pass
from tests.dying import Visit, end_at
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("small_spans")

ROWS = np.random.default_rng(1).normal(size=(4_000, 4))
QUICK = {"say-after": 0.1, "lost-after": 0.5, "look-every": 0.05}


def _hang_until(path: str, _: None) -> None:
    """Be as a worker that has stopped."""
    worker = get_worker()
    worker.loop.add_callback(worker.periodic_callbacks["heartbeat"].stop)
    assert until(lambda: os.path.exists(path))


def test_it_is_said_and_the_work_goes_on_when_there_is_one(empty_cluster, stored, caplog):
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
def test_it_is_an_error_in_the_end(empty_cluster, stored, work):
    source = open_dataset(stored(ROWS))
    seen = []
    with (
        Client(empty_cluster.scheduler_address),
        dask.config.set({"dgmm.cluster": QUICK}),
        listening(seen.append),
        pytest.raises(ClusterLostError, match=r"is lost: it has no worker, for .* 0 of \d+ tasks"),
    ):
        run_pass(source, Visit(), "visit") if work == "pass" else run_tasks(end_at, [2], "", "square")
    times = [event.seconds for event in seen if isinstance(event, ClusterWaiting)]
    assert all(later >= 2 * sooner for sooner, later in pairwise(times))
    assert_no_tasks(empty_cluster)


def test_a_scheduler_that_is_gone(empty_cluster, stored):
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


def test_a_cluster_is_asked_for_workers_that_it_was_to_have(empty_cluster, stored):
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


def test_a_connection_that_breaks_is_made_again(empty_cluster, stored):
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


def test_workers_that_take_no_tasks(empty_cluster, stored):
    settings = {"dgmm.cluster": QUICK, "distributed.worker.memory.pause": False}
    with Client(empty_cluster) as client, dask.config.set(settings):
        empty_cluster.scale(1)
        client.wait_for_workers(1)
        (worker,) = empty_cluster.workers.values()
        client.loop.add_callback(setattr, worker, "status", Status.paused)
        with pytest.raises(ClusterLostError, match=r"none of its 1 workers takes tasks \(paused\)"):
            run_pass(open_dataset(stored(ROWS)), Visit(), "visit")


def test_a_worker_without_a_sign_of_life(empty_cluster, stored, tmp_path):
    empty_cluster.scale(1)
    settings = {**QUICK, "silent-after": 0.2}
    with Client(empty_cluster) as client, dask.config.set({"dgmm.cluster": settings}):
        client.wait_for_workers(1)
        try:
            with pytest.raises(ClusterLostError, match="1 of its 1 workers give no sign of life"):
                run_tasks(_hang_until, [str(tmp_path / "go")], None, "hang")
        finally:
            (tmp_path / "go").touch()


def assert_no_tasks(cluster: LocalCluster) -> None:
    assert until(lambda: not cluster.scheduler.tasks)
