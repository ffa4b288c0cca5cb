"""A file system that fails now and then, as those elsewhere do: ``flaky://`` is a folder of this machine.

Workers of a cluster import this module, and so know the scheme. Each request fails at a rate that a file
``rate`` in the folder says; which ones is drawn from one seed in each process: the same run after run, as far
as requests come in the same order.
"""

from __future__ import annotations

import errno
import random
from pathlib import Path
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

ERRORS = (
    OSError(errno.EIO, "Input/output error"),
    ConnectionResetError("Connection reset by peer"),
    TimeoutError(),
    OSError("Reduce your request rate"),
)


class FlakyFileSystem(AbstractFileSystem):
    """Fails at the rate that stands in the file ``rate`` of the folder ``home``."""

    protocol = "flaky"
    cachable = False

    def __init__(self, home: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.home, self._local, self._random = home, LocalFileSystem(), random.Random(0)

    def fail(self) -> None:
        """Raise an error, or not."""
        if self._random.random() < float(Path(self.home, "rate").read_text()):
            raise self._random.choice(ERRORS)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        self.fail()
        return self._local.info(self._strip_protocol(path))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        self.fail()
        return self._local.ls(self._strip_protocol(path), detail=detail)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        self.fail()
        return bytes(self._local.cat_file(self._strip_protocol(path), start, end))  # pyright: ignore

    def _open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> Any:  # pyright: ignore
        self.fail()
        return FlakyFile(self, self._local.open(path, mode))


class FlakyFile:
    """A file whose reads fail, after the place in it has moved on."""

    def __init__(self, filesystem: FlakyFileSystem, file: Any) -> None:
        self._filesystem, self._file = filesystem, file

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        self._filesystem.fail()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> FlakyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
