"""Whether a store was written to, by sizes, times and tags, without reading rows.

The sizes, times and tags of files tell at once that something was written, not that it is other than it was:
a file may be touched, copied or written anew with the same numbers. Which numbers were read is what checksums
tell.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgmm.data.kinds import comes_from
from dgmm.data.location import is_local
from dgmm.data.text import listed

if TYPE_CHECKING:
    from zarr.abc.store import Store
    from zarr.storage import FsspecStore


@dataclass(frozen=True)
class RevisionTuning:
    """How many files are asked after: with more, as many, evenly spaced. Not measured by halves and doubles.

    Attributes
    ----------
    local_files : int
        On this machine: 4 to 10 µs each.
    remote_files : int
        Elsewhere: a request each, all at once where the file system can.
    """

    local_files: int = 10_000
    remote_files: int = 64


REVISIONS = RevisionTuning()

MARKED_BY = (
    *("size", "mtime", "ino", "created", "modified", "updated", "mtime_ns"),
    *("ETag", "etag", "LastModified", "last_modified", "Last-Modified"),
    *("version_id", "VersionId", "generation", "checksum", "md5Hash", "content_md5", "crc32c"),
)
"""What file systems of fsspec say of a file that changes when it is written."""

GONE = "gone"


@dataclass(frozen=True)
class Revision:
    """What a store says of itself at some time.

    Attributes
    ----------
    marks : tuple of (str, str)
        A file, a chunk or a table, and a mark of it that changes when it is written. Empty where nothing is
        known, as of Dask collections.

    Examples
    --------
    >>> before, after = Revision((("a.parquet", "10-1"),)), Revision((("a.parquet", "10-2"),))
    >>> before.differences(after)
    ('a.parquet',)
    """

    marks: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.marks)

    def __add__(self, other: Revision) -> Revision:
        return Revision((*self.marks, *other.marks))

    def __str__(self) -> str:
        """Return 16 hexadecimal digits for all marks, wherever they are; nothing where nothing is known."""
        text = "\n".join(mark for _, mark in self.marks)
        return hashlib.sha256(text.encode()).hexdigest()[:16] if self else ""

    def differences(self, other: Revision) -> tuple[str, ...]:
        """Return the places of which both know something, and not the same."""
        theirs = dict(other.marks)
        return tuple(place for place, mark in self.marks if theirs.get(place, mark) != mark)

    def described(self, other: Revision) -> str:
        """Name what differs, for a message; empty where nothing does."""
        return listed(self.differences(other), 3)


def revision_of(source: Any) -> Revision:
    """Ask a source for its revision; nothing is known of one that cannot say."""
    found: Callable[[], Revision] | None = getattr(source, "revision", None)
    return found() if callable(found) else Revision()


def of_files(filesystem: Any, paths: Sequence[str]) -> Revision:
    """Ask a file system of fsspec after files.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    paths : sequence of str

    Returns
    -------
    Revision
    """
    if is_local(filesystem):
        return _joined((path, _local_mark(path)) for path in some_of(paths, REVISIONS.local_files))
    with suppress(OSError, NotImplementedError):
        filesystem.invalidate_cache()
    return _joined((path, _mark(filesystem, path)) for path in some_of(paths, REVISIONS.remote_files))


def of_keys(store: Store, keys: Sequence[str]) -> Revision:
    """Ask a store of Zarr after documents and chunks.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Local, of fsspec, or a zip file; nothing is known of others.
    keys : sequence of str
        See `most_keys` for how many are asked after.

    Returns
    -------
    Revision
    """
    from zarr.core.sync import sync
    from zarr.storage import FsspecStore, LocalStore, ZipStore

    if isinstance(store, LocalStore):
        paths = [os.path.join(store.root, key) for key in keys]
        return _joined((path, _local_mark(path)) for path in paths)
    if isinstance(store, ZipStore):
        path = os.fspath(store.path)
        return _joined([(path, _local_mark(path))])
    if not isinstance(store, FsspecStore):
        return Revision()
    return sync(_of_remote(store, [f"{store.path}/{key}" for key in keys]))


def most_keys(store: Store) -> int:
    """Return how many keys of a store may be asked after."""
    return REVISIONS.local_files if comes_from(store, "zarr", "LocalStore") else REVISIONS.remote_files


def some_of(paths: Sequence[str], most: int) -> list[str]:
    """Return at most so many of all paths, evenly spaced, the first and the last among them."""
    return [paths[i] for i in evenly(len(paths), most)]


def evenly(n: int, most: int) -> list[int]:
    """Return at most ``most`` of the numbers below ``n``, evenly spaced."""
    if n <= most:
        return list(range(n))
    return sorted({i * (n - 1) // (most - 1) for i in range(most)}) if most > 1 else [0]


async def _of_remote(store: FsspecStore, paths: Sequence[str]) -> Revision:
    with suppress(OSError, NotImplementedError):
        store.fs.invalidate_cache()

    async def mark(path: str) -> tuple[str, str | None]:
        try:
            return path, _of_info(await store.fs._info(path))
        except FileNotFoundError:
            return path, GONE
        except OSError:
            return path, None

    return _joined(await asyncio.gather(*map(mark, paths)))


def _joined(marks: Iterable[tuple[str, str | None]]) -> Revision:
    return Revision(tuple((place, mark) for place, mark in marks if mark))


def _local_mark(path: str) -> str | None:
    """Return the mark of a file of this machine; None where it cannot be told now."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return GONE
    except OSError:
        return None
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"


def _mark(filesystem: Any, path: str) -> str | None:
    try:
        return _of_info(filesystem.info(path))
    except FileNotFoundError:
        return GONE
    except OSError:
        return None


def _of_info(info: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={info[key]}" for key in MARKED_BY if info.get(key) is not None)
