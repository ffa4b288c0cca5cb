"""Tasks in parallel on the ambient scheduler, apart from passes over the rows."""

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
from dgmm.passes.events import TaskFinished, TasksFinished, TasksStarted, emit, listeners
from dgmm.passes.journal import answered
from dgmm.passes.parts import Parts, Tree
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
        compute=lambda parts: _run(function, items, shared, purpose, parts=parts),
    )
    emit(TasksFinished(purpose, len(items), found.seconds))
    logger.info("%s: %d tasks took %.2f s", purpose, len(items), found.seconds)
    return found.value


def _run(
    function: Callable[[Item, Shared], Result],
    items: Sequence[Item],
    shared: Shared,
    purpose: str,
    *,
    parts: Parts,
) -> list[Result]:
    """Compute by tasks of Dask what ``parts`` do not know, the first items first; give all, in order."""
    name = f"{purpose.replace(' ', '-')}-{uuid.uuid4().hex[:8]}"
    get = scheduler_for()
    client = client_of(get)
    common: Any = delayed(shared, name=f"shared-{name}", traverse=False) if client is not None else None
    tree = Tree(len(items), 0)
    known = parts.begin(tree, max)
    missing = [index for _, index in tree.missing(known)]
    # In order: a cluster goes by priority; a local scheduler, of tasks that need nothing, by name from the
    # last. There `shared` is no task that all need: they would begin in any order after it.
    names = tuple(f"{name}-{len(items) - index:06d}" for index in missing)

    def graph(names: tuple[str, ...]) -> list[Any]:
        calls = []
        for index, name in zip(missing, names, strict=True):
            task = partial(_single_threaded, function, items[index])
            task = partial(task, shared) if client is None else task
            call: Any = delayed(task, name=f"task-{name}", traverse=False)
            with dask.annotate(priority=len(items) - index):  # pyright: ignore[reportPrivateImportUsage]
                calls.append(call(*(() if client is None else (common,)), dask_key_name=name))
        return calls

    to = listeners()

    def done(index: int, fetch: Callable[[], Any]) -> None:
        emit(TaskFinished(), to)
        parts.done(index, fetch, is_here=client is None)

    tell = {name: partial(done, index) for index, name in zip(missing, names, strict=True)}

    # Around all tasks of this process: OpenBLAS does not reliably heed a thread other than the first.
    with single_threaded():
        if client is None:
            found = compute_here(get, *graph(names), tell=tell, optimize_graph=False)
        else:
            shares = [
                Share(name, partial("{} {} of {}".format, purpose, index + 1, len(items)), tell[name])
                for index, name in zip(missing, names, strict=True)
            ]

            def submit(names: tuple[str, ...], _: int) -> tuple[list[Any], list[Any]]:
                futures = client.compute(graph(names), optimize_graph=False)
                return futures, futures

            found = compute_on_cluster(client, submit, shares, purpose)
    everything = {**known, **{(0, index): each for index, each in zip(missing, found, strict=True)}}
    return [everything[node] for node in tree.roots]


def _single_threaded(function: Callable[[Item, Shared], Result], item: Item, shared: Shared) -> Result:
    with single_threaded():
        return function(item, shared)
