"""Threads of this process: how many, and that none is at work when its caller goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import dask.config
import dask.threaded
from dask.system import CPU_COUNT


def n_threads() -> int:
    """Give how many threads Dask would use here: as set, else one for each processor of this process."""
    return dask.config.get("num_workers", None) or CPU_COUNT


@contextmanager
def threads_of_our_own(get: Callable[..., Any] | None) -> Iterator[dict[str, Any]]:
    """Give arguments for Dask's `compute` with which no task is at work any more when this ends.

    After an error or an interrupt Dask leaves its threads at work, maybe on files that the caller removes.

    Parameters
    ----------
    get : callable or None
        A local scheduler; other than threads are left as they are, and so is a pool that the user has set.
    """
    if get not in (None, dask.threaded.get) or dask.config.get("pool", None) is not None:
        yield {}
        return
    pool = ThreadPoolExecutor(n_threads(), thread_name_prefix="dgmm")
    try:
        yield {"pool": pool}
    finally:
        pool.shutdown(cancel_futures=True)
