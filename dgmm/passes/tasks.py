"""Tasks that run side by side on the ambient scheduler, apart from passes over the rows."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import dask
from dask.delayed import delayed

from dgmm.data.ambient import scheduler_for
from dgmm.passes.blas import single_threaded
from dgmm.passes.cluster import Share, client_of, compute_on_cluster
from dgmm.passes.events import Listener, TaskFinished, TasksFinished, TasksStarted, emit, listeners
from dgmm.passes.journal import answered
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
    emit(TasksStarted(purpose, len(items)))
    found = answered(
        "tasks",
        purpose,
        len(items),
        about=(function, items, shared),
        compute=lambda: _run(function, items, shared, purpose),
    )
    emit(TasksFinished(purpose, len(items), found.seconds))
    logger.info("%s: %d tasks took %.2f s", purpose, len(items), found.seconds)
    return found.value


def _run(
    function: Callable[[Item, Shared], Result], items: Sequence[Item], shared: Shared, purpose: str
) -> list[Result]:
    name = f"{purpose.replace(' ', '-')}-{uuid.uuid4().hex[:8]}"
    get = scheduler_for()
    client = client_of(get)
    common: Any = delayed(shared, name=f"shared-{name}", traverse=False) if client is not None else None
    # In order: a cluster goes by priority; a local scheduler, of tasks that need nothing, by name from the
    # last. There `shared` is no task that all need: they would begin in any order after it.
    names = tuple(f"{name}-{len(items) - index:06d}" for index in range(len(items)))

    def graph(names: tuple[str, ...], _: int) -> tuple[list[Any], list[Any]]:
        calls = []
        for index, (item, name) in enumerate(zip(items, names, strict=True)):
            task = partial(_single_threaded, function, item)
            task = partial(task, shared) if client is None else task
            call: Any = delayed(task, name=f"task-{name}", traverse=False)
            with dask.annotate(priority=len(items) - index):  # pyright: ignore[reportPrivateImportUsage]
                calls.append(call(*(() if client is None else (common,)), dask_key_name=name))
        return calls, calls

    to = listeners()
    # Around all tasks of this process: OpenBLAS does not reliably heed a thread other than the first.
    with single_threaded():
        if client is None:
            told = _telling(names, to)
            return list(compute_here(get, *graph(names, 0)[0], told=told, optimize_graph=False))
        shares = [
            Share(
                name,
                partial("{} {} of {}".format, purpose, index + 1, len(items)),
                partial(emit, TaskFinished(), to),
            )
            for index, name in enumerate(names)
        ]
        return compute_on_cluster(client, graph, shares, purpose, optimize_graph=False)


def _single_threaded(function: Callable[[Item, Shared], Result], item: Item, shared: Shared) -> Result:
    with single_threaded():
        return function(item, shared)


def _telling(names: Sequence[str], to: tuple[Listener, ...]) -> Callable[[Any], None]:
    """Make what tells that a task of one of these names is done."""
    keys = set(names)

    def finished(key: Any) -> None:
        if key in keys:
            emit(TaskFinished(), to)

    return finished
