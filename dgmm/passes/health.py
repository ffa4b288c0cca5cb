"""Whether a cluster can go on with its work: its workers, its scheduler, and the connection to it.

No wait is silent or for ever: what is waited for is said, and in the end it is an error.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dask.utils import format_time

from dgmm.data.ambient import slot_given_up
from dgmm.passes.events import ClusterBack, ClusterWaiting, emit

logger = logging.getLogger("dgmm.passes.cluster")  # one name for all that is logged of clusters

SECTION = "dgmm.cluster"
NO_WORKER = "it has no worker"
UNCONNECTED = "the connection to its scheduler is closed, and was not made again"


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


def _ended(futures: Sequence[Any]) -> threading.Event:
    """Return what is set when all futures are finished, or one has failed."""
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
        self._address = address_of(client)
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
        died = f" Workers had died while working on {self.died_at}." if self.died_at else ""
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
        return "its workers die one after another, and none finishes a task" if dying else None


def address_of(client: Any) -> str:
    """Return the address of a client's scheduler."""
    return getattr(client.scheduler, "address", "an address that is not known")


async def _identity(client: Any) -> Any:
    return await client.scheduler.identity(n_workers=-1)
