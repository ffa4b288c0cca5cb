"""A folder of small files, each there whole or not at all, flushed to disk.

>>> import tempfile
>>> folder = DurableFolder.at(tempfile.mkdtemp() + "/notes")
>>> folder.create()
>>> folder.put("first", b"1 2 3")
>>> folder.names(), folder.read("first")
(['first'], b'1 2 3')
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dgmm.data.location import is_local, locate
from dgmm.data.text import redacted

UNFINISHED = ".tmp"
"""How names of files end that are being written."""


@dataclass(frozen=True)
class DurableFolder:
    """A folder of a file system.

    On this machine a file is written beside its place, flushed to the disk, and renamed; then the folder is
    flushed too. Stores of objects put a file in one piece by themselves.

    Attributes
    ----------
    filesystem : fsspec.AbstractFileSystem
    root : str
        The folder's path there.
    place : str
        What the user calls it.
    """

    filesystem: Any = field(repr=False)
    root: str
    place: str

    @classmethod
    def at(
        cls, path: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None
    ) -> DurableFolder:
        """Return the folder at a path or URL, whether it exists or not.

        Parameters
        ----------
        path : str or path
        storage_options : mapping, optional
            For the file system of a URL.
        """
        filesystem, root = locate(path, storage_options)
        return cls(filesystem, root.rstrip("/") or root, redacted(os.fspath(path)))

    @property
    def is_local(self) -> bool:
        """Whether it is of this machine's own file system."""
        return is_local(self.filesystem)

    def path_of(self, name: str) -> str:
        """Return the path of a file in the file system."""
        return f"{self.root}/{name}"

    def create(self) -> None:
        """Create the folder, if it is not there.

        Raises
        ------
        OSError
        """
        try:
            self.filesystem.makedirs(self.root, exist_ok=True)
        except FileExistsError:
            raise FileExistsError(f"{self.place} is a file: give a folder") from None
        if self.is_local:
            _flush_folder(os.path.dirname(self.root))

    def names(self) -> list[str]:
        """Return the names of the files that are there, sorted; none if there is no folder."""
        self.filesystem.invalidate_cache(self.root)
        try:
            found = self.filesystem.ls(self.root, detail=False)
        except FileNotFoundError:
            return []
        names = (path.rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if not name.endswith(UNFINISHED))

    def has(self, name: str) -> bool:
        """Return whether a file is there."""
        return self.filesystem.exists(self.path_of(name))

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        """
        return self.filesystem.cat_file(self.path_of(name))

    def put(self, name: str, data: bytes) -> None:
        """Write a file, in the place of an older one: all of it is there when this returns, or nothing.

        Raises
        ------
        OSError
            If it cannot be written: the older one is there then.
        """
        path = self.path_of(name)
        if not self.is_local:
            self.filesystem.pipe_file(path, data)
            return
        unfinished = path + UNFINISHED
        try:
            with open(unfinished, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                os.remove(unfinished)
            raise
        _flush_folder(self.root)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            self.filesystem.rm_file(self.path_of(name))


def _flush_folder(path: str) -> None:
    """Flush a folder to the disk: the names of what is in it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # of file systems that cannot
            raise
    finally:
        os.close(handle)
