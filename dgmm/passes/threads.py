"""Threads of this process: how many, and none left at work when the caller goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import dask.config
import dask.local
import dask.threaded
from dask.base import compute
from dask.system import CPU_COUNT

from dgmm.data.ambient import Get, callbacks_for, holds_a_slot
from dgmm.data.retrying import give_up_with


def n_threads() -> int:
    """Return how many threads to use here.

    As many as Dask would: as set, else one for each processor of this process. One in a task that holds a
    slot: there are as many such tasks at once as there are to be threads.
    """
    return 1 if holds_a_slot() else dask.config.get("num_workers", None) or CPU_COUNT


def scheduler_here() -> Get:
    """Choose who works on rows in the memory of this process."""
    return dask.local.get_sync if holds_a_slot() else dask.threaded.get


def compute_here(
    get: Get, *collections: Any, tell: Mapping[str, Callable[[Callable[[], Any]], None]], **options: Any
) -> tuple[Any, ...]:
    """Compute Dask collections on a local scheduler.

    Parameters
    ----------
    get : callable
        The scheduler.
    *collections : Dask collections
    tell : mapping of str to callable
        For keys of tasks, what is called when they have ended, with what gives their result; where the
        scheduler is one of Dask's own.
    **options : object
        For ``dask.compute``.
    """
    waiting = dict(tell)

    def report(key: Any, result: Any) -> None:
        # Fusing may have put the names of the tasks that load the rows before the task's own.
        name = next((name for name in waiting if str(key).endswith(name)), None)
        if name is not None:
            waiting.pop(name)(lambda: result)

    with threads_of_our_own(get) as threads:
        return compute(*collections, scheduler=get, **callbacks_for(get, report), **threads, **options)


@contextmanager
def threads_of_our_own(get: Get) -> Iterator[dict[str, Any]]:
    """Return arguments for Dask's `compute` with which no task is at work any more when this ends.

    After an error or an interrupt Dask leaves its threads at work, maybe on files that the caller removes.

    Parameters
    ----------
    get : callable
        A local scheduler; other than threads are left as they are, and so is a pool that the user has set.
    """
    if get is not dask.threaded.get or dask.config.get("pool", None) is not None:
        yield {}
        return
    ended = threading.Event()
    pool = ThreadPoolExecutor(
        n_threads(), thread_name_prefix="dgmm", initializer=give_up_with, initargs=(ended,)
    )
    try:
        yield {"pool": pool}
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)
