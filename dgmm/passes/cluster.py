"""Tasks on a cluster whose workers may die: lost work is done again.

Dask itself runs the tasks of a worker that died on others. Here is what it leaves to its users: tasks that it
gives up since workers died around them, or that were cancelled. Whether the cluster can go on at all is for
`dgmm.passes.health` to say.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from dgmm.data.ambient import Get
from dgmm.data.settings import configured
from dgmm.passes.health import CLUSTER, SECTION, UNCONNECTED, ClusterLostError, Watch, address_of

logger = logging.getLogger(__name__)

SUMS = "sums of results"


@dataclass(frozen=True)
class Share:
    """A task that is reported when it is done, and named if workers die of it.

    Attributes
    ----------
    name : str
        Its key in Dask's graph; another one for each run of it.
    place : callable
        Says which rows it is about, for messages.
    tell : callable
        Called when it is done, with what fetches its result.
    """

    name: str
    place: Callable[[], str]
    tell: Callable[[Callable[[], Any]], None]


Submit = Callable[[tuple[str, ...], int], tuple[list[Any], list[Any]]]
"""Begins a run, of the names of shares and its number: gives the futures of results, and of shares."""


_joined: ContextVar[list[Any] | None] = ContextVar("joined", default=None)


@contextmanager
def one_cluster() -> Iterator[None]:
    """Hold all that is computed inside to the cluster that it began on: see `client_of`."""
    token = _joined.set([])
    try:
        yield
    finally:
        _joined.reset(token)


def client_of(get: Get) -> Any | None:
    """Return the distributed client behind a scheduler, None for the local schedulers.

    Raises
    ------
    ClusterLostError
        Where it is a local one only as the client that was used inside `one_cluster` has given up: Dask would
        go on here, with all of the data.
    """
    owner, before = getattr(get, "__self__", None), _joined.get()
    if not hasattr(owner, "scheduler_info"):
        if before and before[-1].status == "closed":
            raise ClusterLostError(
                f"the cluster at {address_of(before[-1])} is lost: {UNCONNECTED}. Connect to a cluster and "
                "fit again; without a client, the work is done on threads of this machine"
            )
        return None
    if before is not None:
        before[:] = [owner]
    return owner


def compute_on_cluster(client: Any, submit: Submit, shares: Sequence[Share], purpose: str) -> list[Any]:
    """Compute on a cluster; what is lost as workers die is run again.

    Whatever happens, no tasks stay behind on a cluster that is not ours.

    Parameters
    ----------
    client : distributed.Client
    submit : callable
        Begins a run. A share that is named as before is not computed again.
    shares : sequence of Share
    purpose : str
        A word or two, for messages.

    Returns
    -------
    list
        The results wanted.

    Raises
    ------
    ClusterLostError
        Where no worker is there for too long, the scheduler is lost, or workers die of the same work again
        and again.
    """
    from distributed import CancelledError, KilledWorker  # noqa: PLC0415 - whoever has a client has it
    from distributed.scheduler import NoValidWorkerError, NoWorkerError  # noqa: PLC0415

    settings = configured(CLUSTER, SECTION)
    reported = SharesDone(len(shares))
    watch = Watch(client, settings, purpose, lambda: len(reported.done), len(shares))
    names: tuple[str, ...] = tuple(share.name for share in shares)
    held: list[Any] = []
    suspects: set[int] = set()
    try:
        for run in range(settings.reruns + 1):
            watch.check()
            before, (results, own) = held, submit(names, run)
            held = [*results, *own]
            _release(before)
            reported.watch(own, shares)
            try:
                found = watch.gathered(results)
                reported.wait(settings.told_within)
                return found
            except KilledWorker as error:
                blamed = {index for index, future in enumerate(own) if future.status == "error"}
                suspects = suspects & blamed or blamed  # who was only near the one that kills is not so again
                watch.died_at = " or ".join(shares[index].place() for index in sorted(suspects)[:3])
                if run == settings.reruns:
                    raise ClusterLostError(
                        _killing(watch.died_at or SUMS, len(suspects) == 1, purpose, error, run + 1)
                    ) from error
                kept = [future.status == "finished" for future in own]
                logger.warning(
                    "%s: workers died again and again at work on %s; what is lost is run again (%d of %d)",
                    *(purpose, watch.died_at or SUMS, run + 1, settings.reruns),
                )
            except CancelledError as error:
                if run == settings.reruns:
                    raise ClusterLostError(
                        f"{purpose}: its tasks were cancelled {run + 1} times, at last as {error}; fit again "
                        "when the cluster is well"
                    ) from error
                kept = [False] * len(own)
                logger.info("%s: its tasks are gone, and are run again: %s", purpose, error)
                watch.until_connected()
            except (NoWorkerError, NoValidWorkerError) as error:
                raise ClusterLostError(f"{purpose}: {error}; {watch.advice()}") from error
            held = [future for future, keep in zip(own, kept, strict=True) if keep]
            still = {id(future) for future in held}  # a result may be a share, too
            _release([future for future in (*own, *results) if id(future) not in still])
            names = tuple(
                name if keep else f"{share.name}-again{run + 1}"
                for name, share, keep in zip(names, shares, kept, strict=True)
            )
        raise AssertionError("the last run ends in a result or an error")
    finally:
        _release(held)


def _release(futures: Sequence[Any]) -> None:
    for future in futures:
        future.release()


def _killing(place: str, is_one: bool, purpose: str, error: Any, runs: int) -> str:
    deaths = runs * (error.allowed_failures + 1)
    why = (
        "Most likely these rows take more memory than a worker has: give each more (--memory, or "
        "memory_limit= of a LocalCluster), start fewer threads in each, or make smaller chunks with "
        "`dgmm convert`. Otherwise something in these rows crashes the workers: their logs say what"
        if is_one
        else "Most likely all workers lack memory (--memory, or memory_limit= of a LocalCluster), or they "
        "are killed from outside: their logs, and those of the machine, say why"
    )
    last = error.last_worker.address
    return f"{purpose}: {deaths} workers died while working on {place}, the last at {last}. {why}"


class SharesDone:
    """Which shares are done: each is reported once, whatever is run again."""

    def __init__(self, n_shares: int) -> None:
        self.done: set[int] = set()
        self._called = threading.Semaphore(0)
        self._n_shares = n_shares

    def watch(self, futures: Sequence[Any], shares: Sequence[Share]) -> None:
        """Tell a share when its future is done."""
        # Callbacks run on a thread of their own, maybe after the results.
        self._called = called = threading.Semaphore(0)
        for index, (future, share) in enumerate(zip(futures, shares, strict=True)):
            future.add_done_callback(partial(self._finished, index=index, tell=share.tell, called=called))

    def _finished(
        self, future: Any, index: int, tell: Callable[[Callable[[], Any]], None], called: threading.Semaphore
    ) -> None:
        try:
            if future.status == "finished" and index not in self.done:
                self.done.add(index)
                tell(future.result)
        finally:
            called.release()

    def wait(self, seconds: float) -> None:
        """Wait until all are reported, but not for long."""
        deadline = time.monotonic() + seconds
        for _ in range(self._n_shares):
            self._called.acquire(timeout=max(0.0, deadline - time.monotonic()))
