"""Hidden temporary folders next to the targets of output.

A sibling ``.NAME.8f14e45f.tmp`` of a target ``NAME`` belongs to the process that writes (`owned`). It holds
the output under the name of the target, and an empty file ``.complete`` while that takes its place by more
than one step: then whoever finds it without a living owner takes the last steps.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import has_magic
from typing import Any

from dgmm.data.location import is_local, locate
from dgmm.data.owner import OWNER_FILE, Owner, claimed, owned, owner_of
from dgmm.data.renaming import exchange, rename_to_new
from dgmm.data.source import MEBIBYTE
from dgmm.data.text import redacted

COMPLETE = ".complete"
"""Says that the output is whole, and on its way to its place."""

NAME = re.compile(r"(?s)\.(?P<target>.+)\.[0-9a-f]{8}\.tmp")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SiblingTuning:
    """How output is moved, and removed where it is not to be. Half and double: not measured.

    Attributes
    ----------
    copied_bytes : int
        That are in memory while a file is copied.
    removals, seconds_between, times_gone : int, float, int
        How often it is tried to remove what tasks of a cluster may still be writing to, with which pauses,
        and how often it has to be gone in a row.
    seconds_untouched : float
        After which a sibling that says of no owner is taken for left behind.
    """

    copied_bytes: int = 8 * MEBIBYTE
    removals: int = 50
    seconds_between: float = 0.1
    times_gone: int = 2
    seconds_untouched: float = 3600.0


SIBLING = SiblingTuning()


@dataclass(frozen=True)
class Sibling:
    """A hidden folder (or a file, of older versions) that was made to write a target.

    Attributes
    ----------
    path : str
        In its file system.
    target : str
        What it was made for.
    owner : Owner or None
        Who works in it, if that process lives, or may live.
    is_owned : bool
        Whether it tells of an owner, dead or alive.
    """

    path: str
    target: str
    owner: Owner | None
    is_owned: bool

    @property
    def output(self) -> str:
        """Where in it the output is."""
        return f"{self.path}/{os.path.basename(self.target)}"


@contextmanager
def sibling(
    path: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None
) -> Iterator[Sibling]:
    """Own a new hidden folder beside a target; it is removed in the end, unless its output is complete.

    Parameters
    ----------
    path : str or path
        The target.
    storage_options : mapping, optional
        For the file system of a URL.

    Yields
    ------
    Sibling
    """
    filesystem, target, parent, name = _parts(path, storage_options)
    folder = f"{parent}.{name}.{uuid.uuid4().hex[:8]}.tmp"
    there = locate(folder, storage_options)[1]
    filesystem.makedirs(there, exist_ok=False)
    try:
        with owned(folder, storage_options=storage_options) as ownership:
            made = Sibling(folder, target, ownership.owner, is_owned=True)
            output = locate(made.output, storage_options)[1]
            try:
                yield made
            except BaseException:
                if not filesystem.exists(f"{there}/{COMPLETE}"):
                    remove_for_good(filesystem, output)
                raise
            _remove_or_say(filesystem, there, but=OWNER_FILE)
    finally:
        if not filesystem.exists(f"{there}/{COMPLETE}"):
            _remove_or_say(filesystem, there)


def siblings(
    path: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None
) -> list[Sibling]:
    """List the hidden siblings of a target.

    Parameters
    ----------
    path, storage_options
        As for `sibling`.
    """
    _, _, parent, name = _parts(path, storage_options)
    return [each for each in siblings_in(parent, storage_options) if each.target == parent + name]


def siblings_in(
    folder: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None
) -> list[Sibling]:
    """List the hidden siblings of all targets in a folder.

    Parameters
    ----------
    folder : str or path
    storage_options : mapping, optional
        For the file system of a URL.
    """
    filesystem, _, parent, _ = _parts(f"{os.fspath(folder).rstrip('/')}/target", storage_options)
    there = locate(parent, storage_options)[1].rstrip("/")
    found = []
    for each in _names(filesystem, there):
        match = NAME.fullmatch(each)
        if match is not None:
            owner = owner_of(parent + each, storage_options=storage_options)
            is_owned = filesystem.exists(f"{there}/{each}/{OWNER_FILE}")
            found.append(Sibling(parent + each, parent + match["target"], owner, is_owned))
    return found


def is_in_sibling(path: object) -> bool:
    """Return whether a path leads into a hidden sibling, which says nothing to a user."""
    return isinstance(path, str) and any(NAME.fullmatch(part) for part in path.split("/"))


def settle(path: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None) -> None:
    """Put right what the dead have left beside a target: what is complete takes its place, the rest goes.

    What cannot be removed stays, without an error. So does what says of no owner, as of a process that died
    at once, or of an older version.

    Parameters
    ----------
    path, storage_options
        As for `sibling`.
    """
    for each in siblings(path, storage_options):
        if each.owner is None and (each.is_owned or is_complete(each, storage_options)):
            with suppress(OSError):  # as where another process does the same
                discard(each, storage_options)


def is_complete(left: Sibling, storage_options: Mapping[str, object] | None = None) -> bool:
    """Return whether a sibling holds output on its way to its place."""
    filesystem, there = locate(left.path, storage_options)
    return filesystem.exists(f"{there}/{COMPLETE}")


def discard(left: Sibling, storage_options: Mapping[str, object] | None = None) -> None:
    """Remove a sibling whose owner is dead; what is complete in it takes its place first.

    Parameters
    ----------
    left : Sibling
    storage_options : mapping, optional
        For the file system of a URL.

    Raises
    ------
    OwnedError
        If its owner lives after all.
    OSError
        If it cannot be removed.
    """
    filesystem, there = locate(left.path, storage_options)
    if not filesystem.isdir(there):  # of an older version
        filesystem.rm_file(there)
        return
    with claimed(left.path, storage_options=storage_options):
        output, target = (locate(each, storage_options)[1] for each in (left.output, left.target))
        if filesystem.exists(f"{there}/{COMPLETE}") and filesystem.exists(output):
            if not is_local(filesystem):
                copy_in_place(filesystem, there, output, target)
            elif not os.path.lexists(target):
                os.rename(output, target)
                logger.warning("%s was complete, but its writer died before it was in place", target)
        _remove(filesystem, there, but=OWNER_FILE)
    _remove(filesystem, there)


def put_in_place(there: str, output: str, target: str, *, overwrite: bool) -> None:
    """Rename output to its target on this machine. Where the kernel can exchange them, one is always there.

    Parameters
    ----------
    there : str
        The sibling that holds the output.
    output, target : str
    overwrite : bool
        Else nothing is replaced, not even what has appeared meanwhile. What is replaced is in the sibling.

    Raises
    ------
    FileExistsError
        If something is there that is not to be replaced.
    """
    if not overwrite:
        rename_to_new(output, target)
    elif os.path.isfile(output) and not os.path.isdir(target):
        os.replace(output, target)
    else:
        try:
            rename_to_new(output, target)
        except FileExistsError:
            if not exchange(output, target):
                _rename_in_two_steps(there, output, target)


def _rename_in_two_steps(there: str, output: str, target: str) -> None:
    """Let the old one step aside, where the kernel cannot exchange; `settle` puts right a death between."""
    old = f"{there}/.old"
    with open(f"{there}/{COMPLETE}", "wb"):
        pass
    try:
        os.rename(target, old)
        try:
            os.rename(output, target)
        except BaseException:
            if not os.path.lexists(target):
                os.rename(old, target)
            raise
    finally:
        os.unlink(f"{there}/{COMPLETE}")


def copy_in_place(filesystem: Any, there: str, output: str, target: str) -> None:
    """Replace a target where file systems may not rename: what was written stays until all is there.

    File by file, as fsspec takes some characters of names for patterns, and not all of its file systems move.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    there : str
        The sibling that holds the output.
    output, target : str
    """
    new = {target + path.removeprefix(output): path for path in filesystem.find(output)}
    filesystem.pipe_file(f"{there}/{COMPLETE}", b"")
    try:
        for path, source in new.items():
            filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            with filesystem.open(source, "rb") as reader, filesystem.open(path, "wb") as writer:
                shutil.copyfileobj(reader, writer, SIBLING.copied_bytes)
        for path in set(filesystem.find(target)) - set(new):
            filesystem.rm_file(path)
    except BaseException as error:
        message = f"{redacted(target)} is incomplete; everything that belongs in it is in {redacted(output)}"
        error.add_note(message)
        logger.error(message)
        raise
    filesystem.rm_file(f"{there}/{COMPLETE}")


def size_and_touch(
    left: Sibling, storage_options: Mapping[str, object] | None = None
) -> tuple[int, float | None]:
    """Return the bytes of all files of a sibling, and when it was last written to, in seconds since 1970.

    None for when, where the file system does not say.
    """
    filesystem, there = locate(left.path, storage_options)
    found = filesystem.find(there, withdirs=True, detail=True).values()
    times = [each["mtime"] for each in (*found, filesystem.info(there)) if "mtime" in each]
    return sum(each["size"] or 0 for each in found if each["type"] == "file"), max(times, default=None)


def _parts(
    path: str | os.PathLike[str], storage_options: Mapping[str, object] | None
) -> tuple[Any, str, str, str]:
    """Return a target's file system, its path or URL, that of its folder with the last slash, its name."""
    filesystem, root = locate(path, storage_options)
    text = root if is_local(filesystem) else os.fspath(path).rstrip("/")
    parent, slash, name = text.rpartition("/")
    return filesystem, text, parent + slash, name


def _names(filesystem: Any, folder: str) -> list[str]:
    """List the names in a folder; none where it is not there, or cannot be read."""
    try:
        if is_local(filesystem):  # without asking of each what it is
            return sorted(os.listdir(folder or "/"))
        filesystem.invalidate_cache()
        return sorted(path.rstrip("/").rpartition("/")[2] for path in filesystem.ls(folder, detail=False))
    except (OSError, NotImplementedError):
        return []


def _remove(filesystem: Any, path: str, *, but: str = "") -> None:
    """Remove a file or a folder, if it is there; or all in a folder but one file."""
    if but:
        for name in _names(filesystem, path):
            if name != but:
                _remove(filesystem, f"{path}/{name}")
    elif not is_local(filesystem):
        for file in filesystem.find(path):  # file by file, as a path may be taken for a pattern
            filesystem.rm_file(file)
        if filesystem.isdir(path) and not has_magic(path):
            filesystem.rm(path, recursive=True)
    elif os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _remove_or_say(filesystem: Any, path: str, *, but: str = "") -> None:
    try:
        _remove(filesystem, path, but=but)
    except OSError as error:
        logger.warning("%s could not be removed: %s", redacted(path), redacted(error))


def remove_for_good(filesystem: Any, path: str) -> None:
    """Remove what may be there; some tasks of a cluster may still be writing to it, and make it again.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    path : str
    """
    times_gone = 0
    for _ in range(SIBLING.removals):
        with suppress(OSError):
            _remove(filesystem, path)
        times_gone = 0 if filesystem.exists(path) else times_gone + 1
        if times_gone == SIBLING.times_gone:
            return
        time.sleep(SIBLING.seconds_between)
    if times_gone == 0:
        logger.warning("%s could not be removed", redacted(path))
