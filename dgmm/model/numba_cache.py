"""Numba's cache on disk, with checksums that are verified before Numba opens it.

Numba loads what it finds: damaged files raise errors of many kinds, damaged machine code ends the process.
Here each file ends in a checksum of itself. What does not fit is compiled anew; so is, in each process, what
cannot be kept.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

logger = logging.getLogger(__name__)


class DamagedError(OSError):
    """A file does not end in its checksum."""


class CheckedFiles(IndexDataCacheFile):
    """The files of a function: an index of signatures, and one with the machine code of each."""

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:  # type: ignore[override]
        content = io.BytesIO()
        yield content
        with super()._open_for_write(filepath) as file:
            file.write(content.getvalue() + sha256(content.getvalue()).digest())

    def _load_index(self) -> dict[Any, str]:
        try:
            _check(self._index_path)
        except FileNotFoundError:
            return {}
        except OSError as error:
            _warn(self._cache_path, error)
            return {}
        try:
            return super()._load_index()  # pickles end where they end, whatever follows
        except Exception:  # of another version, with classes that this one does not have
            return {}

    def _load_data(self, name: str) -> Any:
        try:
            _check(self._data_path(name))
        except OSError as error:
            _warn(self._cache_path, error)
            raise  # which Numba takes for a file that is not there
        return super()._load_data(name)


class CheckedCache(FunctionCache):
    """What is kept of one function. Whatever goes wrong with it, the function is compiled.

    Parameters
    ----------
    function : callable

    Raises
    ------
    RuntimeError
        If there is no folder that can be written to.
    """

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = CheckedFiles(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}.checked",
            source_stamp=(self._impl.locator.get_source_stamp(), _stamp_of_used(function)),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was kept for a signature; None if there is nothing that can be used."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:  # as of pickles of other versions
            _warn(self._cache_path, error)
            found = None
        if found is None:
            say_compiling()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for a signature, if there is room."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn(self._cache_path, error)


@cache
def say_compiling() -> None:
    """Log that compiling begins, which takes some seconds: once in a process."""
    logger.info("compiling for this machine, once: some seconds, in which nothing else is seen to go on")


def _stamp_of_used(function: Any) -> str:
    """Return a checksum of the modules of this package, other than its own, that a function takes from."""
    checksum = sha256()
    for name in sorted(_used(function)):
        checksum.update(Path(str(sys.modules[name].__file__)).read_bytes())
    return checksum.hexdigest()


def _used(function: Any) -> set[str]:
    """Return the names of these modules, and of those that they take from: all that is called is compiled."""
    found, left = {function.__module__}, [function.__globals__]
    while left:
        names = {str(getattr(value, "__module__", None)) for value in left.pop().values()}
        added = {name for name in names if name.startswith("dgmm.")} - found
        found |= added
        left += [vars(sys.modules[name]) for name in added]
    return found - {function.__module__}


def _check(path: str) -> None:
    """See that a file ends in its checksum.

    Raises
    ------
    DamagedError
        If it does not.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    n_bytes = sha256().digest_size
    if sha256(content[:-n_bytes]).digest() != content[-n_bytes:]:
        raise DamagedError(f"{path} is damaged")


_warned_of: set[str] = set()
"""Folders of which something was said: a process asks for several functions."""


def _warn(folder: str, error: Exception) -> None:
    if folder not in _warned_of:
        _warned_of.add(folder)
        logger.warning(
            "%s: %s. What Numba keeps there is compiled anew, for some seconds; NUMBA_CACHE_DIR can name "
            "another folder",
            folder,
            error,
        )
