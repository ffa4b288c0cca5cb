# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import dask
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dgmm import GaussianMixture
from dgmm.data import open_dataset
from dgmm.passes.blas import single_threaded
from dgmm.passes.parallel import run_tasks
from dgmm.passes.run import run_pass


class LookWork:
    def __call__(self, chunks):
        assert all(len(chunk.values) for chunk in chunks)
        return max(n_threads() | n_threads("openmp"))


def n_threads(of="blas"):
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == of}


@pytest.fixture(autouse=True)
def three_threads():
    with threadpool_limits(3, user_api="blas"), threadpool_limits(8, user_api="openmp"):
        yield


def test_nested_and_restored():
    with single_threaded():
        assert n_threads() == {1}
        with single_threaded():
            assert n_threads() == {1}
        assert n_threads() == {1}
    assert n_threads() == {3}


def test_restored_after_an_error():
    with pytest.raises(KeyError), single_threaded():
        raise KeyError
    assert n_threads() == {3}


def test_other_threads_come_and_go():
    def work(_):
        with single_threaded():
            return n_threads()

    with single_threaded(), ThreadPoolExecutor(4) as pool:
        assert all(found == {1} for found in pool.map(work, range(50)))
        assert n_threads() == {1}
    assert n_threads() == {3}


def test_the_last_to_leave_need_not_be_the_first_that_came():
    """And who has left may live on, as threads of a pool do, and keep nobody from setting the number."""
    entered, may_leave = Event(), Event()

    def first():
        with single_threaded():
            entered.set()
            may_leave.wait()

    def last():
        with single_threaded():
            entered.wait()
            may_leave.set()
            coming.result()
            return n_threads()

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        coming = one.submit(first)
        entered.wait()
        assert other.submit(last).result() == {1}
        assert n_threads() == {3}
        with threadpool_limits(2, user_api="blas"):
            assert n_threads() == {2}
        with single_threaded():
            assert n_threads() == {1}
    assert n_threads() == {3}


def test_whoever_set_the_number_before():
    """Here the main thread did, and is alive: others set it all the same."""

    def inside():
        with single_threaded():
            return n_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() == {1}
    assert n_threads() == {3}


@pytest.mark.usefixtures("small_spans")
def test_a_pass_has_one_thread_and_restores_it():
    assert run_pass(open_dataset(np.ones((4000, 2))), LookWork(), "look") == 4  # 4 spans of one thread each
    assert n_threads() == {3}


def test_openmp_threads_are_those_of_the_caller():
    """libgomp keeps their number for each thread."""
    before = n_threads("openmp")
    assert before == {8}
    with ThreadPoolExecutor(1) as pool:
        of_another = pool.submit(n_threads, "openmp").result()
        with single_threaded():
            assert n_threads("openmp") == {1}
            assert pool.submit(n_threads, "openmp").result() == of_another
    assert n_threads("openmp") == before


def look(item, shared):
    return n_threads() | n_threads("openmp")


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_tasks_have_one_thread(scheduler):
    with dask.config.set(scheduler=scheduler):
        assert run_tasks(look, range(4), None, "look") == [{1}] * 4
    assert n_threads() == {3}


@pytest.mark.usefixtures("client")
def test_tasks_of_a_cluster_have_one_thread():
    assert run_tasks(look, range(4), None, "look") == [{1}] * 4


ROWS = np.random.default_rng(0).normal(size=(20_000, 5))


def fitted(seed=0, init_params="kmeans"):
    mixture = GaussianMixture(8, random_state=seed, init_params=init_params, tol=1e9)
    return mixture.fit(ROWS).means_.tobytes()


def test_k_means_gives_the_same_bits_on_any_number_of_threads():
    """scikit-learn adds up in the order in which its threads end."""
    found = {fitted() for _ in range(6)}
    with threadpool_limits(1, user_api="openmp"):
        assert found == {fitted()}


def test_fits_on_threads_restore_the_number_and_give_the_bits_that_they_give_alone():
    """k-means sets the number of BLAS threads itself, and puts back what it found."""
    alone = [fitted(seed) for seed in range(4)]
    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(fitted, [0, 1, 2, 3] * 2)) == alone * 2
        assert n_threads() == {3}
