"""Mixtures in tasks of a cluster, on threads and beside event loops: they end, with the bits of others."""
# pyright: reportPrivateImportUsage=false, reportReturnType=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import asyncio
import copy
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
import zarr
from dask.callbacks import Callback
from dask.delayed import delayed
from distributed import Client, LocalCluster, SchedulerPlugin, worker_client
from sklearn.model_selection import GridSearchCV

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSweep
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.usefixtures("short_search"),
    pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    generator = np.random.default_rng(8)
    both = [generator.normal(0, 1, (900, 2)), generator.normal(9, 1, (600, 2))]
    return generator.permutation(np.concatenate(both))


@pytest.fixture(scope="module")
def path(rows, tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("rows") / "rows.zarr")
    zarr.create_array(path, data=rows, chunks=(250, 2))
    return path


@pytest.fixture(scope="module")
def parquet(rows, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    path.mkdir()
    for number, part in enumerate(np.split(rows, 3)):
        pd.DataFrame(part, columns=["a", "b"]).to_parquet(path / f"{number}.parquet")
    return str(path)


def fit(x: Any) -> bytes:
    return GaussianMixture(2, random_state=0).fit(x).means_.tobytes()


def fit_large(x: Any) -> bytes:
    """Of more rows than the sample: a search, k-means, and corrected steps in memory."""
    return GaussianMixture(2, random_state=0, sample_rows=500).fit(x).means_.tobytes()


def fit_by_passes(x: Any) -> bytes:
    """By many passes over little data."""
    own = {"algorithm": "em", "init_params": "kmeans", "sample_rows": 500, "tol": 0.0, "max_iter": 8}
    return GaussianMixture(2, random_state=0, **own).fit(x).means_.tobytes()


def fit_bayesian(x: Any) -> bytes:
    return (
        BayesianGaussianMixture(n_components=3, random_state=0, sample_rows=500, tol=1e-2)
        .fit(x)
        .means_.tobytes()
    )


def sweep(x: Any) -> bytes:
    found = GaussianMixtureSweep([1, 2, 3], random_state=0, sample_rows=500).fit(x)
    return found.best_estimator_.means_.tobytes()


def score(x: Any) -> float:
    return dgmm.GaussianMixture.from_sklearn(given()).score(x)


def predict(x: Any) -> bytes:
    """Compute lazy results."""
    labels = GaussianMixture.from_sklearn(given()).predict(x)
    return np.asarray(labels.compute() if hasattr(labels, "compute") else labels).tobytes()


@cache
def given() -> Any:
    from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

    return SklearnGaussianMixture(2, random_state=0).fit(np.repeat([[0.0, 0.0], [9.0, 9.0]], 30, axis=0))


def fit_array(path: str) -> bytes:
    return fit(da.from_zarr(path))


def score_array(path: str) -> float:
    return score(da.from_zarr(path))


def fit_frame(path: str) -> bytes:
    """Of partitions whose lengths Dask does not know: they are counted."""
    return fit(dd.read_parquet(path))


@pytest.fixture(scope="module")
def busy() -> Iterator[Client]:
    """A cluster of one slot: any task takes all there are."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


STORED = [fit, fit_large, fit_bayesian, sweep, score, predict, fit_array, score_array]


@pytest.fixture(scope="module")
def alone(path, parquet, rows) -> dict[Any, Any]:
    """What they give without a cluster."""
    with dask.config.set(scheduler="threads"):
        found: dict[Any, Any] = {call: call(path) for call in STORED}
        return found | {"frame": fit_frame(parquet), "parquet": fit(parquet), "rows": fit(rows)}


class TestInATask:
    @pytest.mark.parametrize("call", STORED)
    def test_of_a_store(self, call, busy, path, alone):
        assert busy.submit(call, path, pure=False).result(timeout=PATIENCE) == alone[call]

    def test_of_a_folder(self, busy, parquet, alone):
        assert busy.submit(fit, parquet, pure=False).result(timeout=PATIENCE) == alone["parquet"]
        assert busy.submit(fit_frame, parquet, pure=False).result(timeout=PATIENCE) == alone["frame"]

    def test_of_rows_in_memory(self, busy, rows, alone):
        assert busy.submit(fit, rows, pure=False).result(timeout=PATIENCE) == alone["rows"]

    def test_of_chunks_that_the_cluster_holds(self, busy, rows, alone):
        persisted = da.from_array(rows, chunks=(250, 2)).persist()
        assert busy.submit(fit, persisted, pure=False).result(timeout=PATIENCE) == alone[fit_array]
        assert busy.submit(score, persisted, pure=False).result(timeout=PATIENCE) == alone[score_array]

    def test_of_arrays_made_of_futures(self, busy, rows, alone):
        futures = busy.scatter(np.split(rows, 6))
        x = da.concatenate([da.from_delayed(delayed(each), (250, 2), rows.dtype) for each in futures])
        assert busy.submit(fit, x, pure=False).result(timeout=PATIENCE) == alone[fit_array]

    def test_more_of_them_than_slots(self, busy, path, alone):
        found = busy.gather(busy.map(fit_large, [path] * 3, pure=False))
        assert found == [alone[fit_large]] * 3

    def test_as_delayed_calls(self, busy, path, alone):
        assert dask.compute(*[delayed(fit)(path) for _ in range(3)]) == (alone[fit],) * 3

    def test_settings_of_the_process_are_left_alone(self, busy, path):
        before = dict(dask.config.config), set(Callback.active)
        busy.submit(fit_large, path, pure=False).result(timeout=PATIENCE)
        assert (dask.config.config, Callback.active) == before

    def test_grid_search(self, busy, rows):
        search = GridSearchCV(GaussianMixture(random_state=0), {"n_components": [1, 2]}, cv=2, n_jobs=-1)
        with joblib.parallel_config("dask", wait_for_workers_timeout=PATIENCE):
            search.fit(rows)
        assert search.best_params_ == {"n_components": 2}

    def test_one_that_has_given_up_its_slot_has_the_whole_cluster(self, busy, path, alone):
        finished: list[str] = []

        class Finished(SchedulerPlugin):
            def transition(self, key, start, finish, *args, **kwargs):
                if (start, finish) == ("processing", "memory"):
                    finished.append(str(key))

        busy.cluster.scheduler.add_plugin(Finished(), name="finished")
        try:
            assert busy.submit(fit_outside, path, pure=False).result(timeout=PATIENCE) == alone[fit]
            assert any(key.startswith("survey") for key in finished)
            finished.clear()
            busy.submit(fit, path, pure=False).result(timeout=PATIENCE)
            assert not any(key.startswith("survey") for key in finished)
        finally:
            busy.cluster.scheduler.remove_plugin("finished")


def fit_outside(path: str) -> bytes:
    with worker_client():
        return fit(path)


@pytest.mark.parametrize("call", [fit_large, fit_array, score])
def test_in_a_task_of_threads_whose_pool_is_full(call: Callable[[Any], Any], path):
    """A pool of one thread, which runs the task that would wait for it."""
    expected = call(path)
    with ThreadPoolExecutor(1) as pool:
        with dask.config.set(pool=pool, scheduler="threads"):
            assert dask.compute(delayed(call)(path)) == (expected,)
        with dask.config.set(scheduler=pool):
            assert dask.compute(delayed(call)(path)) == (expected,)


@pytest.mark.parametrize("scheduler", ["processes", "synchronous"])
def test_in_tasks_of_local_schedulers(scheduler, path):
    calls = [delayed(fit)(path) for _ in range(2)]
    assert dask.compute(*calls, scheduler=scheduler, num_workers=1) == (fit(path),) * 2


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("call", [fit_large, sweep, fit_array])
def test_on_threads(scheduler, call, path, alone):
    with dask.config.set(scheduler=scheduler, num_workers=3):
        assert call(path) == alone[call]


@pytest.mark.parametrize("call", [fit_array, score])  # of few passes: each starts processes of its own
def test_on_processes(call, path, alone):
    with dask.config.set(scheduler="processes", num_workers=2):
        assert call(path) == alone[call]


class TestOnThreads:
    """Eight at a time: settings that all threads of the process share are as they were before."""

    @pytest.fixture(autouse=True)
    def _threads_that_take_turns(self):
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # a race that may be lost is lost soon
        yield
        sys.setswitchinterval(interval)

    @staticmethod
    def side_by_side(call: Callable[[Any], Any], path: str) -> list[Any]:
        barrier = threading.Barrier(8)

        def begin(_: int) -> Any:
            barrier.wait()
            return call(path)

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(begin, range(8)))

    @pytest.mark.parametrize(
        ("call", "rounds"), [(fit_by_passes, 2), (score, 8), (fit_large, 1), (fit_array, 2)]
    )
    def test_settings(self, call, rounds, path):
        expected = call(path)
        registered = Callback()
        registered.register()  # as a user's progress bar
        before = copy.deepcopy(dask.config.config), set(Callback.active), np.geterr()
        try:
            for _ in range(rounds):
                assert self.side_by_side(call, path) == [expected] * 8
                assert (dask.config.config, Callback.active, np.geterr()) == before
        finally:
            dask.config.set(before[0])
            registered.unregister()


class TestBesideAnEventLoop:
    @pytest.mark.parametrize("call", [fit_large, fit_array, score])
    def test_on_its_thread(self, call, path):
        """The cluster cannot be waited for there: this process does the work."""
        expected = call(path)

        async def main() -> Any:
            async with Client(
                n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", asynchronous=True
            ) as client:
                return call(path), await asyncio.to_thread(call, path), await client.submit(call, path)

        assert asyncio.run(main()) == (expected,) * 3

    def test_of_chunks_that_the_cluster_holds(self, rows):
        x = da.from_array(rows, chunks=(250, 2))

        async def main() -> Any:
            async with Client(
                n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", asynchronous=True
            ) as client:
                persisted = client.persist(x)
                with pytest.raises(RuntimeError, match=r"asyncio\.to_thread"):
                    fit(persisted)
                return await asyncio.to_thread(fit, persisted)

        assert asyncio.run(main()) == fit(x)
