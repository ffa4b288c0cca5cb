"""Remote file systems that retry each request.

fsspec takes an error of a listing for an empty folder, and one of a request for a file that is not there.
Here such an answer is asked for twice, or rows would be missing without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem

from dgmm.data.retrying import ReadError, is_transient, persistently


class PersistentFile:
    """A file that is open for reading, whose reads are made again where they fail.

    Parameters
    ----------
    file : file object
        In binary mode.
    path : str
        For messages.
    """

    def __init__(self, file: Any, path: str) -> None:
        self._file, self._path = file, path

    def read(self, size: int = -1) -> bytes:
        """Read bytes from where the file is."""
        at = self._file.tell()

        def read() -> bytes:
            if self._file.tell() != at:
                self._file.seek(at)
            return self._file.read(size)

        return persistently(read, self._path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> PersistentFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class PersistentFileSystem:
    """A file system of fsspec whose requests for what is there are made again where they fail.

    Whatever is not below is its own.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    """

    def __init__(self, filesystem: Any) -> None:
        self.filesystem = filesystem

    def __getattr__(self, name: str) -> Any:
        return getattr(self.filesystem, name)

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        return type(self), (self.filesystem,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PersistentFileSystem) and self.filesystem == other.filesystem

    def __hash__(self) -> int:
        return hash(self.filesystem)

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        """Open a file."""
        opening = partial(self.filesystem.open, path, mode, **options)
        return PersistentFile(persistently(opening, path), path) if mode == "rb" else opening()

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Return what is known of a file or folder."""
        return persistently(lambda: self.filesystem.info(path, **options), path)

    def exists(self, path: str, **options: Any) -> bool:
        """Return whether there is something."""
        return self.filesystem.exists(path, **options) or self._is_so(path, bool)

    def isdir(self, path: str) -> bool:
        """Return whether there is a folder."""
        return self.filesystem.isdir(path) or self._is_so(path, lambda info: info.get("type") == "directory")

    def _is_so(self, path: str, is_so: Callable[[dict[str, Any]], bool]) -> bool:
        """Ask again where fsspec says no: it may be an error."""
        try:
            return is_so(self.info(path))
        except ReadError:
            raise
        except Exception:  # whatever a file system says of what is not there
            return False

    def ls(self, path: str, **options: Any) -> list[Any]:
        """List a folder."""
        return persistently(lambda: self.filesystem.ls(path, **options), path)

    def find(self, path: str, **options: Any) -> Any:
        """List all files below a folder that may be looked into; a file is itself."""
        if options or not walks(self.filesystem):
            return persistently(lambda: self.filesystem.find(path, **options), path)
        path = self.filesystem._strip_protocol(path)
        if not self.isdir(path):
            return [path] if self.exists(path) else []
        found, folders = [], [path]
        while folders:
            with suppress(PermissionError):
                files, more = parted(folder := folders.pop(), self.ls(folder, detail=True))
                found, folders = found + files, folders + more
        return sorted(found)

    def glob(self, path: str, **options: Any) -> Any:
        """List what matches a pattern."""
        if walks(self.filesystem):
            options = {"on_error": _raise_transient, **options}
        try:
            return persistently(lambda: self.filesystem.glob(path, **options), path)
        except FileNotFoundError:
            return []


def _raise_transient(error: OSError) -> None:
    """Tell fsspec what to do of a folder that cannot be listed."""
    if is_transient(error):
        raise error


def parted(folder: str, entries: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the files and the folders of a listing, in which the folder itself may be."""
    below = [entry for entry in entries if entry["name"].rstrip("/") != folder.rstrip("/")]
    folders = [entry["name"] for entry in below if entry["type"] == "directory"]
    return [entry["name"] for entry in below if entry["type"] != "directory"], folders


def walks(filesystem: Any) -> bool:
    """Return whether a file system lists what is below a folder as fsspec does, folder by folder."""
    kind = type(getattr(filesystem, "sync_fs", filesystem))
    own = kind._find if issubclass(kind, AsyncFileSystem) else kind.find
    return own in (AsyncFileSystem._find, AbstractFileSystem.find)
