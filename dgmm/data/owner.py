"""Folders that one process owns at a time, and how others see that it died.

The owner of a folder holds a lock of the operating system on a file in it, which ends with the process,
however that ends, and has written there who it is. Where a lock does not tell (the stores of URLs know none,
and network file systems may keep them to one machine), it also gives a sign of life from time to time: an
owner that has been silent for long is taken for dead.

>>> import tempfile
>>> folder = tempfile.mkdtemp()
>>> with owned(folder):
...     owner_of(folder).pid == os.getpid()
True
>>> owner_of(folder) is None
True
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from dgmm.data.location import is_local, locate
from dgmm.data.locks import is_unlocked, lock, unlock
from dgmm.data.text import redacted

OWNER_FILE = ".owner"
"""Where the owner of a folder holds its lock, and says who it is."""

LOCAL = ("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "overlay", "ramfs")
LOCAL += ("reiserfs", "tmpfs", "vfat", "xfs", "zfs")
"""File systems that one kernel alone can write to: a lock that can be had is nobody's."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnerTuning:
    """Signs of life of owners whose lock others may not see. Half and double: not measured.

    Attributes
    ----------
    seconds_between : float
        Of an owner's signs of life.
    seconds_silent : float
        After which an owner is taken for dead, where nothing else tells; clocks of machines differ by less.
    """

    seconds_between: float = 60.0
    seconds_silent: float = 900.0


OWNER = OwnerTuning()


class OwnedError(OSError):
    """A folder has another owner, which is alive."""


@dataclass(frozen=True)
class Owner:
    """A process, as others can recognise it.

    Attributes
    ----------
    host : str
        Name of its machine.
    machine : str
        What the operating system was given as its own number when it was installed.
    boot : str
        Number of this run of the kernel: the same in all containers of a machine.
    namespace : str
        Where its number is a number of processes.
    pid : int
    started : str
        When it was started, in the kernel's own count.
    since : float
        When it came to own the folder, in seconds since 1970.
    sign : float
        When it gave its last sign of life that stands in the file, in seconds since 1970.
    """

    host: str
    machine: str
    boot: str
    namespace: str
    pid: int
    started: str
    since: float
    sign: float = field(compare=False)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since)
        return f"process {self.pid} on {self.host} (since {since:%Y-%m-%d %H:%M:%S})"


@dataclass(frozen=True)
class Ownership:
    """That this process owns a folder.

    Attributes
    ----------
    owner : Owner
        This process.
    folder : str
    """

    owner: Owner
    folder: str
    _filesystem: Any = field(repr=False)
    _path: str = field(repr=False)

    def check(self) -> None:
        """See that no other process has taken the folder, as one that was silent for long may lose it.

        Raises
        ------
        OwnedError
            If it is another's now.
        """
        found = _read(self._filesystem, self._path)
        if found != self.owner:
            raise OwnedError(_refusal(self.folder, found))


@contextmanager
def owned(
    folder: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None
) -> Iterator[Ownership]:
    """Own a folder for as long as it is worked in.

    No two own a folder where locks reach: on a machine's own disks, and on network file systems that pass
    them on. Of two that take a folder of a URL at the very same moment, both may believe for an instant that
    they have it: `Ownership.check` tells the one that lost it.

    Parameters
    ----------
    folder : str or path
        It is there; a local path, or a URL that fsspec knows. What a dead owner has left in it stays.
    storage_options : mapping, optional
        For the file system of a URL.

    Yields
    ------
    Ownership
        Whose `check` may be asked before what must not be done by two.

    Raises
    ------
    OwnedError
        If a living process owns it: the message names that one. This process may be it, on another thread.
    OSError
        If the owner's file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with owned(folder), owned(folder):
    ...     pass
    Traceback (most recent call last):
    dgmm.data.owner.OwnedError: ... is in use by process ... on ...; wait for it, or choose another path
    """
    with claimed(folder, storage_options=storage_options) as (filesystem, path, descriptor):
        ownership = Ownership(this_process(), os.fspath(folder), filesystem, path)
        _write(ownership, descriptor)
        ownership.check()
        ended = threading.Event()
        alive = threading.Thread(
            target=_give_signs_of_life, args=(ownership, ended), name="dgmm-owner", daemon=True
        )
        alive.start()
        try:
            yield ownership
        finally:
            ended.set()
            alive.join()
            with suppress(OSError):  # the folder may be gone, and this is no reason to fail
                if os.getpid() == ownership.owner.pid and _read(filesystem, path) == ownership.owner:
                    filesystem.rm_file(path)


@contextmanager
def claimed(
    folder: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None
) -> Iterator[tuple[Any, str, int | None]]:
    """Keep others from a folder that nobody alive owns, without a word of it: to remove it from a full disk.

    Parameters
    ----------
    folder, storage_options
        As for `owned`.

    Yields
    ------
    filesystem : fsspec.AbstractFileSystem
    path : str
        Of the owner's file in it.
    descriptor : int or None
        The file, open and locked; None where there are no locks.

    Raises
    ------
    OSError
        As `owned`.
    """
    filesystem, root = locate(folder, storage_options)
    path = f"{root.rstrip('/')}/{OWNER_FILE}"
    try:
        descriptor = lock(path) if is_local(filesystem) else None
    except BlockingIOError:
        raise OwnedError(_refusal(os.fspath(folder), _read(filesystem, path))) from None
    try:
        before = _read(filesystem, path)
        if before is not None and _may_live(before, filesystem, path, has_lock=descriptor is not None):
            raise OwnedError(_refusal(os.fspath(folder), before))
        yield filesystem, path, descriptor
    finally:
        if descriptor is not None:
            unlock(descriptor)


def owner_of(
    folder: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None
) -> Owner | None:
    """Return the owner of a folder, if it is alive, or may be.

    Parameters
    ----------
    folder, storage_options
        As for `owned`.
    """
    filesystem, root = locate(folder, storage_options)
    path = f"{root.rstrip('/')}/{OWNER_FILE}"
    found = _read(filesystem, path)
    if found is None:
        return None
    if not is_local(filesystem):
        return found if _may_live(found, filesystem, path, has_lock=False) else None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        has_lock = is_unlocked(descriptor)
        lives = has_lock is False or _may_live(found, filesystem, path, has_lock=bool(has_lock))
    finally:
        os.close(descriptor)
    return found if lives else None


@cache
def _kernel() -> tuple[str, str, str]:
    """Return the host's name, the machine's number and that of this run of its kernel."""
    return socket.gethostname(), _text("/etc/machine-id"), _text("/proc/sys/kernel/random/boot_id")


def this_process() -> Owner:
    """Return this process as an owner from now on."""
    host, machine, boot = _kernel()
    pid, now = os.getpid(), time.time()
    return Owner(host, machine, boot, _namespace(), pid, _started(pid), now, now)


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return the time at which a process was started, in ticks since the boot; nothing if it is not alive."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()  # from the third one on: see proc(5)
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _may_live(owner: Owner, filesystem: Any, path: str, *, has_lock: bool) -> bool:
    """Return whether an owner may be alive, where its lock could be had or there are no locks."""
    here = this_process()
    if owner.boot == here.boot and here.boot:
        if has_lock:
            return False
        if owner.namespace == here.namespace:
            return _started(owner.pid) == owner.started
    elif has_lock and _kind_of_disk(os.path.dirname(path)) in LOCAL:
        return False
    elif (owner.host, owner.machine) == (here.host, here.machine) and here.machine:
        return False  # of an earlier run of this machine
    sign = max(owner.sign, os.stat(path).st_mtime) if is_local(filesystem) else owner.sign
    return time.time() - sign < OWNER.seconds_silent


def _kind_of_disk(folder: str) -> str:
    """Return the type of the file system that a folder is in; nothing where the kernel does not tell."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _text("/proc/self/mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split(" ")[2] == number:
            return kind.split(" ")[0]
    return ""


def _write(ownership: Ownership, descriptor: int | None) -> None:
    content = json.dumps(asdict(replace(ownership.owner, sign=time.time()))).encode()
    if descriptor is None:
        ownership._filesystem.pipe_file(ownership._path, content)
        return
    os.ftruncate(descriptor, 0)
    n_written = 0
    while n_written < len(content):  # where there is room for a part, only the next part is refused
        n_written += os.pwrite(descriptor, content[n_written:], n_written)


def _read(filesystem: Any, path: str) -> Owner | None:
    """Read who owns a folder; None where nobody has said so, or not to the end."""
    try:
        found = Owner(**json.loads(filesystem.cat_file(path)))
        model = asdict(this_process())
        is_one = all(type(value) is type(model[name]) for name, value in asdict(found).items())
        return found if is_one and str(found) else None
    except (OSError, ValueError, TypeError, OverflowError):
        return None


def _give_signs_of_life(ownership: Ownership, ended: threading.Event) -> None:
    """Tell others from time to time that the owner lives."""
    while not ended.wait(OWNER.seconds_between):
        try:
            if is_local(ownership._filesystem):
                os.utime(ownership._path)
            else:
                ownership.check()
                _write(ownership, None)
        except OSError as error:
            logger.warning(
                "%s: no sign of life could be given: %s", redacted(ownership.folder), redacted(error)
            )


def _refusal(folder: str, owner: Owner | None) -> str:
    who = "another process" if owner is None else str(owner)
    return f"{redacted(folder)} is in use by {who}; wait for it, or choose another path"
