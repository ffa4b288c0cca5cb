"""Reads that are tried again after transient errors, with growing pauses.

Which errors those are is one list, `is_transient`. What is wrong with the rows themselves, or is not there,
or may not be read, is told at once.
"""

from __future__ import annotations

import asyncio
import errno
import gzip
import logging
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TypeVar

from dgmm.data.settings import configured

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
SECTION = "dgmm.reads"


@dataclass(frozen=True)
class ReadSettings:
    """How reads are tried again. Users set these in Dask's configuration, below ``dgmm.reads``.

    Attributes
    ----------
    tries : int
        Of each read, at least one. With 8, one of five failing, three reads in a million fail for good.
    said_from : int
        The failure of a read that is logged as a warning, as later ones are; earlier ones as information.
    first_pause : float
        Seconds before the second try; twice as many before each later one, and up to half of it more or less,
        so that tasks that failed together do not come back together.
    longest_pause : float
        Seconds between two tries at the most.
    """

    tries: int = 8
    said_from: int = 4
    first_pause: float = 0.25
    longest_pause: float = 16.0


READS = ReadSettings()

FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
"""Errors of input and output that stay, however often it is tried: and a gzip file that is none."""

FINAL_NUMBERS = {
    *(errno.EBADF, errno.EINVAL, errno.ENAMETOOLONG, errno.ELOOP, errno.ENODEV, errno.ENXIO, errno.ESPIPE),
    *(errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV),
    *(socket.EAI_NONAME, socket.EAI_FAIL, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)),
}
"""The same, by number; the last are of names of machines that there are not."""

CLIENTS = {
    "aiohttp": {"ClientConnectionError", "ClientPayloadError"},
    "azure": {"ServiceRequestError", "ServiceResponseError", "IncompleteReadError"},
    "botocore": {"HTTPClientError", "ConnectionError", "ResponseStreamingError"},
    "urllib3": {"ProtocolError", "TimeoutError", "NewConnectionError"},
    "httpx": {"TransportError"},
    "google": {"TransportError", "RetryError"},
    "grpc": {"RpcError"},
}
"""Errors of libraries that are no `OSError`, by package and name, with what is made of them."""

BUSY = {408, 425, 429, 500, 502, 503, 504}
"""What a server answers that may answer otherwise later: HTTP's numbers."""

HEEDED = 0.1
"""Seconds after which a pause ends at the latest when nobody waits for the read any more."""

_jitter = random.Random()  # of its own: no random state of anybody's is touched
_count: ContextVar[Count | None] = ContextVar("count", default=None)


class ReadError(OSError):
    """Rows could not be read, however often it was tried: the message says which, how often, and why."""


_thread = threading.local()


def give_up_with(given_up: threading.Event) -> None:
    """Let reads of tasks that this thread runs not be tried again once an event is set."""
    _thread.given_up = given_up


@dataclass
class Count:
    """How many reads were tried again; and until when they are: see `give_up_with`."""

    retries: int = 0
    given_up: threading.Event | None = field(default_factory=lambda: getattr(_thread, "given_up", None))


@contextmanager
def counting(count: Count) -> Iterator[None]:
    """Count the reads that are tried again inside."""
    token = _count.set(count)
    try:
        yield
    finally:
        _count.reset(token)


def is_transient(error: BaseException) -> bool:
    """Return whether a read that failed so may go well another time.

    These do: any `OSError`, with connections that broke and time-outs among them, but for those that say that
    something is not there, may not be read, or is no such thing (`FINAL`, `FINAL_NUMBERS`), and errors of
    gzip; what libraries say of connections (`CLIENTS`), and what a server answers that is busy (`BUSY`).
    """
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return is_transient(error.__cause__)  # fsspec says so of HTTP whatever went wrong
    if isinstance(error, (ReadError, gzip.BadGzipFile, *FINAL)):
        return False
    if isinstance(error, OSError):
        status = _status(error)
        return error.errno not in FINAL_NUMBERS and (status is None or status in BUSY)
    if isinstance(error, HTTPException):
        return True
    kinds = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__]
    if any(name in CLIENTS.get(package, ()) for package, name in kinds):
        return True
    return any(package in (*CLIENTS, "gcsfs") for package, _ in kinds) and _status(error) in BUSY


def _status(error: BaseException) -> int | None:
    """Return the number that a server has answered, if the error says it."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    found = [getattr(error, name, None) for name in ("status", "status_code", "code")]
    found += [metadata.get("HTTPStatusCode"), getattr(response, "status_code", None)]
    numbers = [
        int(each) for each in found if isinstance(each, int) or (isinstance(each, str) and each.isdigit())
    ]
    return next((number for number in numbers if 400 <= number < 600), None)


class Tries:
    """The tries of one read: how long to pause after one that failed.

    Parameters
    ----------
    place : str, or callable that gives it
        What is read, for messages.
    """

    def __init__(self, place: str | Callable[[], str]) -> None:
        self._place = place if isinstance(place, str) else place()
        self._n_tries, self._began = 0, time.monotonic()
        self._settings, self._count = configured(READS, SECTION), _count.get()

    def pause(self, error: BaseException) -> float:
        """Return the seconds until the next try.

        Raises
        ------
        ReadError
            If that was the last one. Errors that are not transient are raised as they are, but named.
        """
        if isinstance(error, ReadError):
            raise error if self._place in str(error) else ReadError(f"{self._place}: {error}") from error
        if type(error) in FINAL and not error.filename and self._place not in str(error):  # type: ignore[attr-defined]
            raise type(error)(f"{self._place}: {error}") from error
        if not is_transient(error):
            raise error
        self._n_tries += 1
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if self._n_tries >= self._settings.tries:
            raise ReadError(
                f"{self._place} could not be read, {self._n_tries} times in "
                f"{time.monotonic() - self._began:.1f} s: {what}"
            ) from error
        growing = self._settings.first_pause * 2 ** (self._n_tries - 1)
        pause = min(growing, self._settings.longest_pause) * _jitter.uniform(0.5, 1.5)
        if self._count is not None:
            self._count.retries += 1
        level = logging.INFO if self._n_tries < self._settings.said_from else logging.WARNING
        logger.log(level, "%s could not be read (%s): again in %.2f s", self._place, what, pause)
        return pause

    @property
    def given_up(self) -> threading.Event:
        """Set when nobody waits for the read any more."""
        given_up = None if self._count is None else self._count.given_up
        return given_up or threading.Event()


def persistently(read: Callable[[], Value], place: str | Callable[[], str]) -> Value:
    """Read something, again where that fails for a reason that may pass.

    Parameters
    ----------
    read : callable
        To be called until it gives something.
    place : str, or callable that gives it
        What is read, for messages.

    Returns
    -------
    object
        What was read.

    Raises
    ------
    ReadError
        An OSError: after `ReadSettings.tries` tries. Other errors as they come.

    Examples
    --------
    >>> answers = [ConnectionResetError("try later"), "rows"]
    >>> def read():
    ...     answer = answers.pop(0)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> persistently(read, "x.zarr")
    'rows'
    """
    tries: Tries | None = None
    while True:
        try:
            return read()
        except Exception as error:
            tries = tries or Tries(place)
            if tries.given_up.wait(tries.pause(error)):
                raise


async def persistently_awaited(read: Callable[[], Awaitable[Value]], place: str) -> Value:
    """Await something, again where `persistently` would read it again."""
    tries: Tries | None = None
    while True:
        try:
            return await read()
        except Exception as error:
            tries = tries or Tries(place)
            ends = time.monotonic() + tries.pause(error)
            while (left := ends - time.monotonic()) > 0:
                await asyncio.sleep(min(left, HEEDED))
                if tries.given_up.is_set():
                    raise
