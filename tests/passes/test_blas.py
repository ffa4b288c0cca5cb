from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dgmm.data import open_dataset
from dgmm.passes.blas import single_threaded_blas
from dgmm.passes.run import run_pass


class LookWork:
    def __call__(self, chunks):
        assert all(len(chunk.values) for chunk in chunks)
        return max(n_threads())


def n_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def three_threads():
    with threadpool_limits(3, user_api="blas"):
        yield


def test_nested_and_restored():
    with single_threaded_blas():
        assert n_threads() == {1}
        with single_threaded_blas():
            assert n_threads() == {1}
        assert n_threads() == {1}
    assert n_threads() == {3}


def test_restored_after_an_error():
    with pytest.raises(KeyError), single_threaded_blas():
        raise KeyError
    assert n_threads() == {3}


def test_other_threads_come_and_go():
    def work(_):
        with single_threaded_blas():
            return n_threads()

    with single_threaded_blas(), ThreadPoolExecutor(4) as pool:
        assert all(found == {1} for found in pool.map(work, range(50)))
        assert n_threads() == {1}
    assert n_threads() == {3}


@pytest.mark.usefixtures("small_spans")
def test_a_pass_has_one_thread_and_restores_it():
    assert run_pass(open_dataset(np.ones((4000, 2))), LookWork(), "look") == 4  # 4 spans of one thread each
    assert n_threads() == {3}
