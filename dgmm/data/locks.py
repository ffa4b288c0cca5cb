"""Locks of the operating system on files, which end with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from dataclasses import dataclass

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems say that know no locks."""


@dataclass(frozen=True)
class LockTuning:
    """How a lock is tried. Half and double: not measured.

    Attributes
    ----------
    times_tried, seconds_between_tries : int, float
        How often, and the pauses: others hold it for an instant to see whether it is held.
    """

    times_tried: int = 5
    seconds_between_tries: float = 0.02


LOCK = LockTuning()


def lock(path: str) -> int | None:
    """Open a file, made if it is not there, and lock it; None where the file system knows no locks.

    The lock ends with this process, or with `unlock`: a forked child does not hold it.

    Parameters
    ----------
    path : str

    Returns
    -------
    int or None
        The open file, to give to `unlock`.

    Raises
    ------
    BlockingIOError
        If another has the lock.
    """
    for _ in range(LOCK.times_tried):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _held.add(descriptor)
        has_lock = _try_lock(descriptor, fcntl.LOCK_EX)
        if has_lock and _is_there(descriptor, path):
            return descriptor
        unlock(descriptor)
        if has_lock is None:
            return None
        time.sleep(LOCK.seconds_between_tries)
    raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), path)


def is_unlocked(descriptor: int) -> bool | None:
    """Return whether no other has locked an open file, and keep others from it until it is closed.

    None where there are no locks.
    """
    return _try_lock(descriptor, fcntl.LOCK_SH)


def _try_lock(descriptor: int, kind: int) -> bool | None:
    """Lock a file if no other has locked it; None where there are no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


def _is_there(descriptor: int, path: str) -> bool:
    """Return whether an open file still is the one of a path: its last owner may just have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


_held: set[int] = set()
"""Open files on which this process holds locks."""


def unlock(descriptor: int) -> None:
    """Close a file that `lock` has given."""
    if descriptor in _held:  # else this is a forked child, which has closed it
        _held.discard(descriptor)
        os.close(descriptor)


def _close_in_child() -> None:
    """Close what a forked child has of its parent: it would keep the parent's locks beyond its death."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
