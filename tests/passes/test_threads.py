"""Threads of a pass: how many, whose they are, and that none is at work afterwards."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import dask.config
import dask.threaded
import pytest
from dask.base import compute
from dask.delayed import delayed
from dask.local import get_sync
from dask.system import CPU_COUNT

from dgmm.data.retrying import Count, counting, persistently, persistently_awaited
from dgmm.passes.threads import n_threads, threads_of_our_own
from tests.waiting import PATIENCE


def test_as_many_threads_as_dask_would_use():
    with dask.config.set(num_workers=3):
        assert n_threads() == 3
    with dask.config.set(num_workers=None):
        assert n_threads() == CPU_COUNT


def test_the_threads_are_as_many_and_have_our_name():
    here = threading.Barrier(3, timeout=PATIENCE)  # breaks unless three tasks run at once

    def name() -> str:
        here.wait()
        return threading.current_thread().name

    with dask.config.set(num_workers=3), threads_of_our_own(dask.threaded.get) as arguments:
        names = compute(*(delayed(name)() for _ in range(3)), **arguments)
    assert len(set(names)) == 3
    assert all(each.startswith("dgmm") for each in names)


def test_after_an_error_no_task_is_at_work():
    started, ended = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        time.sleep(0.3)
        ended.set()

    def fails() -> None:
        started.wait(PATIENCE)
        raise ValueError("this task fails")

    with dask.config.set(num_workers=2):
        with (
            pytest.raises(ValueError, match="this task fails"),
            threads_of_our_own(dask.threaded.get) as arguments,
        ):
            compute(delayed(slow)(), delayed(fails)(), **arguments)
        assert ended.is_set()


@pytest.mark.parametrize("awaited", [False, True])
def test_after_an_error_no_read_is_tried_again(awaited):
    """Else this test would take an hour."""
    tried = threading.Event()

    def read() -> None:
        tried.set()
        raise ConnectionResetError

    async def read_there() -> None:
        read()

    def reads() -> None:
        with counting(Count()):
            asyncio.run(persistently_awaited(read_there, "x")) if awaited else persistently(read, "x")

    def fails() -> None:
        tried.wait(PATIENCE)
        raise ValueError("this task fails")

    pauses = {"dgmm.reads.first-pause": "1 hour", "dgmm.reads.longest-pause": "1 hour"}
    with (
        dask.config.set({"num_workers": 2, **pauses}),
        pytest.raises(ValueError, match="this task fails"),
        threads_of_our_own(dask.threaded.get) as arguments,
    ):
        compute(delayed(reads)(), delayed(fails)(), **arguments)


def test_another_scheduler_and_a_pool_of_the_users_are_left_alone():
    with threads_of_our_own(get_sync) as arguments:
        assert arguments == {}
    with ThreadPoolExecutor(1) as pool, dask.config.set(pool=pool):
        with threads_of_our_own(dask.threaded.get) as arguments:
            assert arguments == {}
        assert pool.submit(lambda: 1).result() == 1
