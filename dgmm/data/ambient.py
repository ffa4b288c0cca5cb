"""Which scheduler computes Dask tasks: the ambient one, or this process where waiting would deadlock.

A task of a cluster holds one of its slots. If it waited for other tasks there, and all slots were taken by
such as itself, none would ever end. So it does its work on its own thread: that is what its slot is for, and
it takes no more memory than the worker's threads are counted for. The same holds for a task of a pool of
threads that the user has given to Dask. A task that has given up its slot (``distributed.worker_client`` or
``secede``) has the whole cluster, as any other client.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dask.callbacks
import dask.config
import dask.local
import dask.multiprocessing
import dask.threaded
from dask._task_spec import convert_legacy_graph
from dask.base import compute, get_scheduler
from dask.utils import ensure_dict
from numpy.typing import NDArray

from dgmm.data.retrying import persistently
from dgmm.data.source import Chunk, LazyChunk

Get = Callable[..., Any]
"""Dask's word for a scheduler: it takes a graph and keys, and gives their values."""


def holds_a_slot() -> bool:
    """Return whether this is a task that others may wait for.

    It is one of a cluster that has not given up its slot, or of a pool that the user has set for Dask.
    """
    if any(_is_thread_of(dask.config.get(name, None)) for name in ("pool", "scheduler")):
        return True
    if "distributed" not in sys.modules:  # it takes half a second to import, and no task runs without
        return False
    from distributed import get_worker  # noqa: PLC0415
    from distributed.threadpoolexecutor import thread_state  # noqa: PLC0415

    try:
        get_worker()
    except ValueError:
        return False
    return getattr(thread_state, "proceed", True)


@contextmanager
def slot_given_up() -> Iterator[None]:
    """While a cluster is waited for: give up the slot that this thread holds there, and take it again."""
    if not holds_a_slot():
        yield
        return
    from distributed import worker_client  # noqa: PLC0415

    with worker_client():
        yield


def scheduler_for(*collections: Any) -> Get:
    """Choose who computes.

    Parameters
    ----------
    *collections : Dask collections
        That may hold data of a cluster.

    Returns
    -------
    callable
        A scheduler of Dask; that of a cluster is its client's ``get``.

    Raises
    ------
    RuntimeError
        Where data is on a cluster that this thread cannot wait for.
    """
    if holds_a_slot() and all(map(_is_complete, collections)):
        return dask.local.get_sync
    if "distributed" not in sys.modules and not dask.config.get("scheduler", None):
        return dask.threaded.get  # Dask would import it, to ask for a client
    if _is_on_event_loop() and not dask.config.get("admin.async-client-fallback", None):
        if not all(map(_is_complete, collections)):
            raise RuntimeError(
                "these rows are in the memory of a cluster, for which the thread of its client's event loop "
                "cannot wait: call this on another thread, as `await asyncio.to_thread(mixture.fit, X)` does"
            )
        return dask.threaded.get
    return get_scheduler() or dask.threaded.get


def _is_thread_of(pool: Any) -> bool:
    """Return whether this is a thread of a pool."""
    return threading.current_thread() in getattr(pool, "_threads", ())


def _is_complete(collection: Any) -> bool:
    """Return whether a graph needs no cluster: of persisted chunks it has the names alone."""
    graph = convert_legacy_graph(ensure_dict(collection.__dask_graph__()))
    return all(name in graph for task in graph.values() for name in task.dependencies)


def _is_on_event_loop() -> bool:
    """Return whether a cluster is to compute whose client is not to be waited for on this thread."""
    if "distributed" not in sys.modules:
        return False
    from distributed import Client  # noqa: PLC0415

    named = dask.config.get("scheduler", None)
    if isinstance(named, Client):
        return named.asynchronous
    if named not in (None, "dask.distributed", "distributed"):
        return False
    try:
        return Client.current().asynchronous
    except ValueError:  # there is none
        return False


def compute_now(*collections: Any) -> tuple[Any, ...]:
    """Compute Dask collections, as ``dask.compute`` does, whatever thread or task this is."""
    if not collections:
        return ()
    get = scheduler_for(*collections)
    return compute(*collections, scheduler=get, **callbacks_for(get))


def read_now(chunk: Chunk | LazyChunk) -> NDArray[Any]:
    """Read the rows of a chunk, or compute them, apart from any pass."""
    if isinstance(chunk, LazyChunk):
        return compute_now(chunk.delayed)[0]
    return persistently(chunk.read, chunk.place)


def callbacks_for(get: Get, when_done: Callable[[Any, Any], None] | None = None) -> dict[str, Any]:
    """Return arguments for ``dask.compute`` so that callbacks are not looked up in what all threads share.

    Dask takes those that the user has registered out of `dask.callbacks.Callback.active` while it computes.
    Where several threads compute, some are lost, or are there for good.

    Parameters
    ----------
    get : callable
        A scheduler; other than Dask's local ones take no callbacks.
    when_done : callable, optional
        Called with the key and the result of each task that has ended.
    """
    own = get.func if isinstance(get, partial) else get
    local = (dask.threaded.get, dask.local.get_sync, dask.local.get_async, dask.multiprocessing.get)
    if own not in local:
        return {}
    callbacks = list(dask.callbacks.Callback.active)
    if when_done is not None:
        callbacks.append((None, None, None, lambda key, result, *_: when_done(key, result), None))
    return {"callbacks": callbacks}
