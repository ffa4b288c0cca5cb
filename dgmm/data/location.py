"""Paths and URLs: where they lead, and what is there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem

ZARR_MARKERS = ("zarr.json", ".zarray", ".zgroup")
PARQUET_MAGIC = b"PAR1"
PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")


def locate(path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """Find the file system of a path or URL.

    Parameters
    ----------
    path : str or path
        A local path, or a URL that fsspec knows.
    storage_options : mapping, optional
        For the file system.

    Returns
    -------
    filesystem : fsspec.AbstractFileSystem
    root : str
        The path in it.
    """
    text = os.fspath(path)
    if "://" not in text:  # fsspec would take "::" and "~" in names for more than they are
        home = text.startswith("~" + os.sep)
        return LocalFileSystem(), os.path.abspath(os.path.expanduser(text) if home else text)
    return fsspec.core.url_to_fs(text, **(storage_options or {}))


def is_local(filesystem: Any) -> bool:
    """Say whether a file system is this machine's own, where plain paths lead to the same files."""
    return isinstance(filesystem, LocalFileSystem)


def stored_kind(filesystem: Any, root: str) -> Literal["zarr", "parquet"] | None:
    """Recognise what is stored, by what is there and not by its name.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where it is.
    root : str
        A path in it.

    Returns
    -------
    "zarr", "parquet" or None
        None for something else, and for nothing.
    """
    if any(filesystem.exists(f"{root}/{marker}") for marker in ZARR_MARKERS):
        return "zarr"
    if filesystem.isdir(root):
        return "parquet" if parquet_files(filesystem, root) else None
    if not filesystem.exists(root):
        return None
    with filesystem.open(root, "rb") as file:
        return "parquet" if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC else None


def parquet_files(filesystem: Any, root: str) -> list[str]:
    """List the Parquet files of a folder (or give the file itself), in natural order, without hidden ones.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where they are.
    root : str
        A path in it.

    Returns
    -------
    list of str
    """
    if not filesystem.isdir(root):
        return [root]

    def hidden(path: str) -> bool:
        return any(part.startswith((".", "_")) for part in path.removeprefix(root).split("/"))

    paths = [path for path in filesystem.find(root) if path.endswith(PARQUET_SUFFIXES) and not hidden(path)]
    return sorted(paths, key=_natural)


def _natural(path: str) -> list[tuple[str, int]]:
    """Order by the numbers in a name as numbers."""
    return [(text, int(digits or -1)) for text, digits in re.findall(r"(\D*)(\d*)", path)]
