"""Tasks on a cluster whose workers may die: lost work is done again, and no wait is endless.

Dask itself runs the tasks of a worker that died on others. Here is what it leaves to its users: workers that
are all gone, tasks that it gives up since workers died around them, and a scheduler that is lost.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from dask.utils import format_time

from dgmm.data.ambient import Get, slot_given_up
from dgmm.data.settings import configured
from dgmm.passes.events import ClusterBack, ClusterWaiting, emit

logger = logging.getLogger(__name__)

SECTION = "dgmm.cluster"
NO_WORKER = "it has no worker"
UNCONNECTED = "the connection to its scheduler is closed, and was not made again"
SUMS = "sums of results"


@dataclass(frozen=True)
class ClusterSettings:
    """How long a cluster is waited for. Users set these in Dask's configuration, below ``dgmm.cluster``.

    Attributes
    ----------
    say_after : float
        Seconds in which nothing could go on, after which it is said what is waited for; again after twice as
        long, and so on.
    lost_after : float
        Such seconds after which it is an error.
    silent_after : float
        Seconds without a sign of life after which a worker, or the scheduler, is taken not to work.
    look_every : float
        Seconds between two questions to the scheduler about its workers.
    reruns : int
        How often what is lost of a pass is run again.
    told_within : float
        Seconds after a result in which all tasks before it are to be told of: only progress depends on it.
    """

    say_after: float = 30.0
    lost_after: float = 600.0
    silent_after: float = 30.0
    look_every: float = 5.0
    reruns: int = 3
    told_within: float = 10.0


CLUSTER = ClusterSettings()


class ClusterLostError(RuntimeError):
    """Work that a cluster cannot end: the message says what was lost, and how to go on."""


@dataclass(frozen=True)
class Share:
    """A task that is told of when it is done, and named when workers die of it.

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
    """Give the distributed client behind a scheduler, None for the local schedulers.

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
                f"the cluster at {_address(before[-1])} is lost: {UNCONNECTED}. Connect to a cluster and fit "
                "again; without a client, the work is done on threads of this machine"
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
    told = Told(len(shares))
    watch = Watch(client, settings, purpose, lambda: len(told.done), len(shares))
    names: tuple[str, ...] = tuple(share.name for share in shares)
    held: list[Any] = []
    suspects: set[int] = set()
    try:
        for run in range(settings.reruns + 1):
            watch.check()
            before, (results, own) = held, submit(names, run)
            held = [*results, *own]
            _release(before)
            told.watch(own, shares)
            try:
                found = watch.gathered(results)
                told.wait(settings.told_within)
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
        "`dgmm convert`. Else something in them ends whoever reads them: the workers' logs say what"
        if is_one
        else "Most likely all workers lack memory (--memory, or memory_limit= of a LocalCluster), or they "
        "are ended from outside, whatever they do: their logs, and those of the machine, say why"
    )
    return (
        f"{purpose}: {deaths} workers died at work on {place}, the last at {error.last_worker.address}. {why}"
    )


class Told:
    """Which shares are done: each is told once, whatever is run again."""

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
        """Wait until all is told, but not for long."""
        deadline = time.monotonic() + seconds
        for _ in range(self._n_shares):
            self._called.acquire(timeout=max(0.0, deadline - time.monotonic()))


def _ended(futures: Sequence[Any]) -> threading.Event:
    """Give what is set when all futures are finished, or one has failed."""
    ended, waiting = threading.Event(), {id(future) for future in futures}

    def take_note(future: Any) -> None:
        waiting.discard(id(future))
        if not waiting or future.status != "finished":
            ended.set()

    for future in futures:
        future.add_done_callback(take_note)
    if not futures:
        ended.set()
    return ended


class Watch:
    """Looks after a cluster that is waited for.

    Parameters
    ----------
    client : distributed.Client
    settings : ClusterSettings
    purpose : str
        What is waited for.
    n_done : callable
        Gives how many of its tasks are done.
    n_tasks : int
        Of how many.
    """

    def __init__(
        self, client: Any, settings: ClusterSettings, purpose: str, n_done: Callable[[], int], n_tasks: int
    ) -> None:
        self.died_at = ""
        self._client, self._settings, self._purpose = client, settings, purpose
        self._n_done, self._n_tasks = n_done, n_tasks
        self._done_before = -1
        self._well_at = time.monotonic()
        self._say_at = settings.say_after
        self._trouble: str | None = None
        self._address = _address(client)
        self._asked: concurrent.futures.Future[Any] | None = None
        self._asked_at = self._died_at = -math.inf
        self._heard: dict[str, tuple[float, float]] = {}

    def check(self) -> None:
        """Raise a `ClusterLostError` if the client is closed."""
        if self._client.status in ("closing", "closed"):
            raise ClusterLostError(self._lost(UNCONNECTED))

    def gathered(self, futures: Sequence[Any]) -> list[Any]:
        """Wait for results, and look after the cluster meanwhile."""
        with slot_given_up():
            ended = _ended(futures)
            while not ended.wait(self._settings.look_every):
                self.look()
            # Begun before, it would leave exceptions to asyncio where this is given up.
            fetched = self._on_loop(self._client.gather([*futures], asynchronous=True))
            try:
                while not concurrent.futures.wait([fetched], timeout=self._settings.look_every).done:
                    self.look()
                found = fetched.result()
            finally:
                fetched.cancel()
        self._is_well()
        return found

    def until_connected(self) -> None:
        """Wait until the client is connected again, which it tries by itself."""
        while self._client.status == "connecting":
            time.sleep(min(0.1, self._settings.look_every))
            self.look()
        self.check()

    def _on_loop(self, coroutine: Any) -> concurrent.futures.Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._client.loop.asyncio_loop)

    def look(self) -> None:
        """See whether the work can go on; if not, say so in time, and give up in the end.

        Raises
        ------
        ClusterLostError
        """
        self.check()
        now, n_done = time.monotonic(), self._n_done()
        self._ask(now)
        if self._trouble is None or n_done != self._done_before:
            self._done_before = n_done
            self._is_well()
            return
        waited = now - self._well_at
        if waited >= self._settings.lost_after:
            raise ClusterLostError(self._lost(f"{self._trouble}, for {format_time(waited)}"))
        if waited >= self._say_at:
            left = self._settings.lost_after - waited
            message = (
                f"{self._purpose} waits for the cluster at {self._address}: {self._trouble}, for "
                f"{format_time(waited)}; it is waited for {format_time(left)} more "
                f"({SECTION}.lost-after). {self.advice()}"
            )
            logger.warning("%s", message)
            emit(ClusterWaiting(self._purpose, self._trouble, waited, left))
            self._say_at = 2 * waited
            self._ask_for_workers()

    def _is_well(self) -> None:
        if self._say_at > self._settings.say_after:
            logger.warning("%s: the cluster at %s is at work again", self._purpose, self._address)
            emit(ClusterBack(self._purpose))
        self._well_at, self._say_at = time.monotonic(), self._settings.say_after

    def _ask_for_workers(self) -> None:
        """Ask a cluster that has none for the workers it was to have: nannies give up now and then."""
        planned = getattr(self._client.cluster, "plan", None)
        if planned and self._trouble == NO_WORKER:
            self._client.cluster.scale(len(planned))

    def advice(self) -> str:
        """Say how to go on."""
        return f"Workers are started with `dask worker {self._address}`"

    def _lost(self, what: str) -> str:
        died = f" Workers had died at work on {self.died_at}." if self.died_at else ""
        return (
            f"{self._purpose}: the cluster at {self._address} is lost: {what}. {self._n_done():,} of "
            f"{self._n_tasks:,} tasks were done, and are lost with it.{died} Fit again when there are workers"
        )

    def _ask(self, now: float) -> None:
        """Take the scheduler's last answer, and ask it again how its workers are."""
        if self._client.status == "connecting":
            self._trouble, self._asked = "the connection to its scheduler is lost", None
            return
        if self._asked is not None:
            if not self._asked.done():
                if now - self._asked_at >= self._settings.silent_after:
                    self._trouble = "its scheduler does not answer"
                return
            try:
                self._trouble = self._of_workers(self._asked.result()["workers"], now)
            except (OSError, concurrent.futures.CancelledError):
                self._trouble = "its scheduler does not answer"
        self._asked, self._asked_at = self._on_loop(_identity(self._client)), now

    def _of_workers(self, workers: dict[str, Any], now: float) -> str | None:
        """Say why workers cannot work; None if all can. Times are this machine's: clocks differ."""
        before, self._heard = self._heard, {}
        self._died_at = now if before.keys() - workers.keys() else self._died_at
        for address, each in workers.items():
            seen, at = before.get(address, (None, now))
            self._heard[address] = (each["last_seen"], at if seen == each["last_seen"] else now)
        silent = [each for each, (_, at) in self._heard.items() if now - at >= self._settings.silent_after]
        if not workers:
            return NO_WORKER
        if silent:
            return f"{len(silent):,} of its {len(workers):,} workers give no sign of life ({silent[0]})"
        if all(each["status"] != "running" for each in workers.values()):
            return (
                f"none of its {len(workers):,} workers takes tasks ({next(iter(workers.values()))['status']})"
            )
        dying = now - self._died_at < self._settings.say_after
        return "its workers die one after another, and none ends a task" if dying else None


def _address(client: Any) -> str:
    return getattr(client.scheduler, "address", "an address that is not known")


async def _identity(client: Any) -> Any:
    return await client.scheduler.identity(n_workers=-1)
