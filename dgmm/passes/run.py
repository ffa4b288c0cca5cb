"""Run a pass: spans to tasks, a fixed tree of sums, one result.

The tree adds neighbours in row order, as many at a time (`PassTuning`), whoever computes them and whenever:
the result has the same bits on one thread and on a cluster, and after workers have died.

What a pass goes through, each step only where it applies:

1. `AdaptedSource`: the work gets rows that are made of those stored; one may lie on another.
2. `WatchedSource`, below them: checksums of the rows stored, which are held to the first pass's.
3. The journal (`answered`): what was kept of this pass is given, and nothing below is done.
4. `Parts`: sums of spans that were kept of a pass that had not ended, and those that are new.
5. The spans that are left: at once, if it is the only one and in memory; by a local scheduler of Dask, where
   rows are in memory or there is no cluster (`compute_here`); else on it (`compute_on_cluster`).
"""

from __future__ import annotations

import logging
import pickle
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial, reduce
from operator import add
from typing import Any

from dask._task_spec import convert_legacy_graph, fuse_linear_task_spec
from dask.delayed import Delayed, delayed
from dask.utils import ensure_dict

from dgmm.data.ambient import compute_now, scheduler_for
from dgmm.data.memory import is_in_memory
from dgmm.data.source import Source, Span
from dgmm.passes.adapted import AdaptedSource, AdaptedWork, FeaturesAlone
from dgmm.passes.blas import single_threaded
from dgmm.passes.cluster import Share, client_of, compute_on_cluster
from dgmm.passes.events import PassFinished, PassStarted, SpanFinished, SpansKept, emit, listeners
from dgmm.passes.journal import answered
from dgmm.passes.parts import Node, Parts, Tree
from dgmm.passes.plan import Plan, plan
from dgmm.passes.task import Effort, Result, Timed, Work, span_task
from dgmm.passes.threads import compute_here, scheduler_here
from dgmm.passes.watched import (
    Seen,
    WatchedSource,
    Witnessed,
    WitnessedWork,
    check_kept,
    read_alone,
    revision_of_both,
    say_unchecked,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PassTuning:
    """How the work of a pass is made tasks. Half and double: not measured.

    Attributes
    ----------
    fan_in : int
        Results that one task of the tree adds up: sums have the same bits for the same number alone.
    largest_work, largest_works : int
        Bytes of parameters that travel in every task, and of those in all tasks of a pass; larger ones are a
        task of their own, sent once a worker.
    """

    fan_in: int = 8
    largest_work: int = 2**18
    largest_works: int = 2**24


PASSES = PassTuning()


def run_pass(source: Source, work: Work[Result], purpose: str, weights: Source | None = None) -> Result:
    """Do work on all rows of a source, in one trip over the data, on the ambient Dask scheduler.

    Rows in this process's memory stay here: they are worked on by threads, even if there is a cluster.

    Parameters
    ----------
    source : Source
    work : Work
        Called once for each span.
    purpose : str
        A word or two for progress displays and the dashboard.
    weights : Source, optional
        Row weights, one feature.

    Returns
    -------
    result of the work
        The sum over all spans, in row order.
    """
    return run_timed_pass(source, work, purpose, weights).result


def run_timed_pass(
    source: Source, work: Work[Result], purpose: str, weights: Source | None = None
) -> Timed[Result]:
    """Do work as `run_pass` does it, and tell what its tasks took."""
    if isinstance(source, AdaptedSource):
        return run_timed_pass(source.source, AdaptedWork(work, source.adapt), purpose, weights)
    if isinstance(source, WatchedSource):
        return _watched(source, work, purpose, weights)
    return _answered(source, work, purpose, weights)


def _answered(
    source: Source,
    work: Work[Result],
    purpose: str,
    weights: Source | None,
    check: Callable[[Result], None] | None = None,
) -> Timed[Result]:
    """Make a pass, or give what it gave before; a result that does not pass the check is not kept."""
    planned = plan(source)
    is_here = not planned.spans or (is_in_memory(source) and len(planned.spans) == 1)
    n_bytes = planned.n_rows * source.n_features * source.dtype.itemsize
    emit(PassStarted(purpose, planned.n_rows, len(planned.spans), n_bytes))

    def compute(parts: Parts) -> Timed[Result]:
        # Around all tasks of this process: OpenBLAS does not reliably heed a thread other than the first.
        with single_threaded():
            if is_here:
                timed = _run_here(planned, work, weights)
            else:
                timed = _run_on_dask(source, planned, work, purpose, weights, parts=parts)
        if check is not None:
            check(timed.result)
        return timed

    found = answered("pass", purpose, planned.n_rows, about=work, compute=compute, may_wait=is_here)
    emit(PassFinished(purpose, planned.n_rows, found.seconds))
    retries = found.value.effort.retries
    again = f"; {retries} reads were made again" if retries else ""
    logger.info("%s: a pass over %d rows took %.2f s%s", purpose, planned.n_rows, found.seconds, again)
    return Timed(found.value.result, replace(found.value.effort, elapsed=found.seconds))


def first_pass(
    source: Source,
    work: Work[Result],
    purpose: str,
    weights: Source | None = None,
    *,
    allow_changed_data: bool = False,
    takes_nan: bool = False,
) -> tuple[Witnessed[Result], Source]:
    """Make the first pass over rows that are to stay as they are.

    Parameters
    ----------
    source, work, purpose, weights
        As for `run_pass`.
    allow_changed_data : bool, default=False
        Tell of rows that change (`dgmm.passes.events.DataChanged`), rather than refuse them.
    takes_nan : bool, default=False
        Rows may lack values.

    Returns
    -------
    Witnessed
        The result, and which rows were read: their features, where other columns are beside these.
    Source
        The same one, whose later passes are held to this one, if none was before.

    Raises
    ------
    DataError
        Where rows changed meanwhile, or are not those of which checksums were kept (`Fingerprint.kept`).
    """
    witnessed = WitnessedWork(work, Seen.nothing(source, weights))
    if isinstance(source, FeaturesAlone):  # what is beside features is to stay as it is, too
        of_all, stored = first_pass(
            source.source,
            AdaptedWork(witnessed, source.adapt),
            purpose,
            weights,
            allow_changed_data=allow_changed_data,
            takes_nan=takes_nan,
        )
        return of_all.result, replace(source, source=stored)
    if isinstance(source, (WatchedSource, AdaptedSource)):
        return run_pass(source, witnessed, purpose, weights), source
    before = revision_of_both(source, weights)
    found = run_pass(source, witnessed, purpose, weights)
    say_unchecked(source)
    watched = WatchedSource(source, found.seen, before, allow_changed_data, takes_nan)
    if watched.written(weights):  # it may have read rows of both: another pass tells
        run_pass(watched, read_alone, purpose, weights)
    check_kept(source, found.seen, allowed=allow_changed_data)
    return found, watched


def _watched(
    source: WatchedSource, work: Work[Result], purpose: str, weights: Source | None
) -> Timed[Result]:
    """Make a pass that is to read the rows of the first one; whether it did is checked before it is kept."""
    source.give_notice(weights)
    checked = False

    def check(found: Witnessed[Result]) -> None:
        nonlocal checked
        source.check(found.seen, weights)
        checked = True

    witnessed = WitnessedWork(work, Seen.nothing(source, weights))
    timed = _answered(source.source, witnessed, purpose, weights, check)
    if not checked:  # a pass that was made before
        check(timed.result)
    return Timed(timed.result.result, timed.effort)


def _run_here(planned: Plan, work: Work[Result], weights: Source | None) -> Timed[Result]:
    """Work on the only span without a scheduler: small data should cost no task."""
    if not planned.spans:
        return Timed(work(iter(())), Effort())
    (span,) = planned.spans
    own = None if weights is None else weights.rows(span.start, span.start + span.n_rows)
    task, arguments = span_task(span, work, own)
    result = task.timed(*compute_now(*arguments))
    emit(SpanFinished(span.n_rows))
    return result


def _sum(*results: Any) -> Any:
    return reduce(add, results)


def _run_on_dask(
    source: Source, planned: Plan, work: Work[Result], purpose: str, weights: Source | None, *, parts: Parts
) -> Timed[Result]:
    """Make a pass by tasks of Dask: one for each span that ``parts`` do not know, and a tree of sums.

    The scheduler is the ambient one, and threads for rows of this process's memory. On a cluster, what is
    lost is run again by other names, and what is done is told of as it is done.
    """
    name = f"{purpose.replace(' ', '-')}-{uuid.uuid4().hex[:8]}"
    is_large = travels_alone(work, len(planned.spans))
    shared = [delayed(work, name=f"parameters-{name}", traverse=False)] if is_large else []
    tree = Tree(len(planned.spans), PASSES.fan_in)
    known = parts.begin(tree, _sum)
    missing = tree.missing(known)
    spans = [planned.spans[index] for node in missing for index in tree.leaves(node)]
    if known:
        emit(SpansKept(planned.n_rows - sum(span.n_rows for span in spans)))
    if not missing:
        return tree.value(tree.roots[0], known, _sum)

    def leaf(span: Span, name: str) -> Delayed:
        own = None if weights is None else weights.rows(span.start, span.start + span.n_rows)
        task, arguments = span_task(span, None if is_large else work, own)
        call: Any = delayed(task.timed, name=f"task-{name}", traverse=False)
        return call(*shared, *arguments, dask_key_name=name)

    @lru_cache(maxsize=1)  # the scheduler is chosen by what the first run computes
    def graph(names: tuple[str, ...], run: int) -> list[Delayed]:
        """Name the leaves as told; sums have new names in each run."""
        leaves = {span.index: leaf(span, key) for span, key in zip(spans, names, strict=True)}
        return _fused([_summed(tree, node, leaves, f"{name}-{run}") for node in missing])

    names, to = tuple(f"{name}-{span.index}" for span in spans), listeners()
    roots = graph(names, 0)
    get = scheduler_here() if is_in_memory(source) else scheduler_for(*roots)
    client = None if is_in_memory(source) else client_of(get)

    def done(span: Span, fetch: Callable[[], Any]) -> None:
        emit(SpanFinished(span.n_rows), to)
        parts.done(span.index, fetch, is_here=client is None)

    tell = {name: partial(done, span) for name, span in zip(names, spans, strict=True)}
    if client is None:
        found = compute_here(get, *roots, tell=tell)
    else:
        shares = [
            Share(name, partial(_place, source, span), tell[name])
            for name, span in zip(names, spans, strict=True)
        ]

        def submit(names: tuple[str, ...], run: int) -> tuple[list[Any], list[Any]]:
            # One graph for all keys: as Dask's collections, each task would bring the whole graph along.
            roots = graph(names, run)
            keys = [root.key for root in roots]
            futures = client.get(ensure_dict(roots[0].dask), [*keys, *names], sync=False)
            return futures[: len(keys)], futures[len(keys) :]

        found = compute_on_cluster(client, submit, shares, purpose)
    return tree.value(tree.roots[0], {**known, **dict(zip(missing, found, strict=True))}, _sum)


def travels_alone(work: Work[Any], n_tasks: int) -> bool:
    """Return whether work is a task of its own, and not in each of the tasks."""
    n_bytes = len(pickle.dumps(work, protocol=5))
    return n_bytes > PASSES.largest_work or n_bytes * n_tasks > PASSES.largest_works


def _place(source: Source, span: Span) -> str:
    """Say which rows a span has, and where they are."""
    places = dict.fromkeys(chunk.place for chunk in (span.chunks[0], span.chunks[-1]))
    stored = ("; …; " if len(span.chunks) > 2 else "; ").join(places)
    return f"rows {span.start} to {span.start + span.n_rows} of {source.name} ({stored})"


def _summed(tree: Tree, node: Node, leaves: Mapping[int, Delayed], name: str) -> Delayed:
    """Add up delayed results below a node."""
    nodes = [_summed(tree, child, leaves, name) for child in tree.children(node)]
    if not nodes:
        return leaves[node[1]]
    if len(nodes) == 1:  # a task for a sum of one would be fused with a leaf, and take its name
        return nodes[0]
    level, index = node
    return delayed(_sum, pure=False)(*nodes, dask_key_name=f"sum-{name}-{level - 1}-{index}")


def _fused(roots: Sequence[Delayed]) -> list[Delayed]:
    """Make one task of loading and work; what has Dask do it is a setting that all threads share."""
    graph = {key: task for root in roots for key, task in ensure_dict(root.dask).items()}
    fused = fuse_linear_task_spec(convert_legacy_graph(graph), [root.key for root in roots])
    return [Delayed(root.key, fused) for root in roots]
