"""Tasks that run side by side on the ambient scheduler, apart from passes over the rows."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import dask
from dask.delayed import delayed

from dgmm.data.ambient import scheduler_for
from dgmm.passes.blas import single_threaded
from dgmm.passes.events import TaskFinished, TasksFinished, TasksStarted, emit, listeners
from dgmm.passes.run import client_of, gather
from dgmm.passes.threads import compute_here

logger = logging.getLogger(__name__)

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Item, Shared], Result], items: Sequence[Item], shared: Shared, purpose: str
) -> list[Result]:
    """Call a function on each item, side by side, on the ambient Dask scheduler.

    Parameters
    ----------
    function : callable
        Takes an item and what they share. Picklable.
    items : sequence
        They are begun in this order: the longest first leave no thread waiting for the last.
    shared : object
        Sent once to each worker: rows, as a rule.
    purpose : str
        A word or two for progress displays and the dashboard.

    Returns
    -------
    list
        The results, in the order of the items.
    """
    name = f"{purpose.replace(' ', '-')}-{uuid.uuid4().hex[:8]}"
    started = time.perf_counter()
    emit(TasksStarted(purpose, len(items)))
    get = scheduler_for()
    client = client_of(get)
    on_cluster = client is not None
    common: Any = delayed(shared, name=f"shared-{name}", traverse=False) if on_cluster else None
    calls = []
    for index, item in enumerate(items):
        # In order: a cluster goes by priority; a local scheduler, of tasks that need nothing, by name from
        # the last. There `shared` is no task that all need: they would begin in any order after it.
        place = len(items) - index
        task = partial(_single_threaded, function, item)
        task = task if on_cluster else partial(task, shared)
        call: Any = delayed(task, name=f"task-{name}-{index}", traverse=False)
        with dask.annotate(priority=place):  # pyright: ignore[reportPrivateImportUsage]
            arguments = (common,) if on_cluster else ()
            calls.append(call(*arguments, dask_key_name=f"{name}-{place:06d}"))
    keys, to = {call.key for call in calls}, listeners()
    # Around all tasks of this process: OpenBLAS does not reliably heed a thread other than the first.
    with single_threaded():
        if client is None:

            def finished(key: Any) -> None:
                if key in keys:
                    emit(TaskFinished(), to)

            results = list(compute_here(get, *calls, told=finished, optimize_graph=False))
        else:
            futures = client.compute(calls, optimize_graph=False)
            results = gather(futures, futures, [partial(emit, TaskFinished(), to) for _ in futures])
    seconds = time.perf_counter() - started
    emit(TasksFinished(purpose, len(items), seconds))
    logger.info("%s: %d tasks took %.2f s", purpose, len(items), seconds)
    return results


def _single_threaded(function: Callable[[Item, Shared], Result], item: Item, shared: Shared) -> Result:
    with single_threaded():
        return function(item, shared)
