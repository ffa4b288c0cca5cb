"""Where paths and URLs lead."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dgmm.data.remote import PersistentFileSystem

if TYPE_CHECKING:
    from zarr.storage import FsspecStore


def locate(
    path: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None
) -> tuple[Any, str]:
    """Find the file system of a path or URL.

    Parameters
    ----------
    path : str or path
        A local path, or a URL that fsspec knows.
    storage_options : mapping, optional
        For the file system.

    Returns
    -------
    filesystem : PersistentFileSystem
        One of fsspec, whose requests are made again where they fail.
    root : str
        The path in it.
    """
    text = os.fspath(path)
    if "://" not in text:  # fsspec would take "::" and "~" in names for more than they are
        home = text.startswith("~" + os.sep)
        root = os.path.abspath(os.path.expanduser(text) if home else text)
        return PersistentFileSystem(LocalFileSystem()), root
    filesystem, root = fsspec.core.url_to_fs(text, **(storage_options or {}))
    return PersistentFileSystem(filesystem), root


def portable(path: str) -> str:
    """Return a path or URL as another process may use it: absolute, and fit to be kept.

    URLs are without credentials, and without what follows a question mark, which may be such. Of paths in
    the home folder of the user ``~`` is said alone.

    >>> portable("s3://me:secret@bucket/x.zarr?token=secret")
    's3://bucket/x.zarr'
    """
    if "://" in path:
        return re.sub(r"//[^/]*@", "//", path.partition("?")[0])
    found, home = locate(path)[1], os.path.expanduser("~")
    return f"~{found.removeprefix(home)}" if found.startswith(home + os.sep) else found


def is_local(filesystem: Any) -> bool:
    """Return whether a file system is this machine's own, where plain paths lead to the same files."""
    return type(getattr(filesystem, "filesystem", filesystem)) is LocalFileSystem


def zarr_store(
    path: str | os.PathLike[str],
    storage_options: Mapping[str, object] | None = None,
    *,
    read_only: bool = False,
) -> str | FsspecStore:
    """Return Zarr a store: the local path, or one of the file system of a URL.

    Given a URL, Zarr would decide by its scheme whether that is fsspec's: ``memory://`` is not, from 3.4 on.

    Parameters
    ----------
    path, storage_options
        As for `locate`.
    read_only : bool, default=False

    Returns
    -------
    str or zarr.storage.FsspecStore
    """
    filesystem, root = locate(path, storage_options)
    if is_local(filesystem):
        return root
    from zarr.storage import FsspecStore  # noqa: PLC0415

    from dgmm.data.remote_store import PersistentStore  # noqa: PLC0415

    options = dict(storage_options or {})
    kind = PersistentStore if read_only else FsspecStore
    return kind.from_url(os.fspath(path), storage_options=options, read_only=read_only)
