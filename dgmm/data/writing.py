"""Output that is there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dgmm.data.listing import stored_kind
from dgmm.data.location import is_local, locate
from dgmm.data.owner import OwnedError
from dgmm.data.siblings import (
    copy_in_place,
    is_in_sibling,
    put_in_place,
    remove_for_good,
    settle,
    sibling,
    siblings,
)
from dgmm.data.text import redacted

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_target(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    is_file: bool = False,
    storage_options: Mapping[str, object] | None = None,
) -> None:
    """Refuse, before any work, a path that cannot be written to; remove what dead writers have left there.

    Parameters
    ----------
    path, overwrite, is_file, storage_options
        As for `creating`.

    Raises
    ------
    FileExistsError
        If there is something at ``path``, and ``overwrite`` is false or it is a folder of something else.
    IsADirectoryError
        If there is a folder, and a file is to be written.
    OwnedError
        If another process is writing to it, and ``overwrite`` is false.
    FileNotFoundError, PermissionError
        If the folder of a local ``path`` does not exist, or cannot be written to.
    """
    settle(path, storage_options)
    filesystem, root = locate(path, storage_options)
    if not overwrite:
        for each in siblings(path, storage_options):
            if each.owner is not None:
                raise OwnedError(
                    f"{redacted(path)} is being written by {each.owner}; wait for it, or choose another path"
                )
    if filesystem.exists(root):
        if not overwrite:
            raise FileExistsError(f"{redacted(path)} exists; choose another path, or ask to overwrite it")
        if is_file and filesystem.isdir(root):
            raise IsADirectoryError(f"{redacted(path)} is a folder; give the path of a file")
        if (
            filesystem.isdir(root)
            and stored_kind(filesystem, root) not in {"zarr", "parquet"}
            and filesystem.ls(root)
        ):
            raise FileExistsError(
                f"{redacted(path)} is a folder of something else than Zarr or Parquet; choose another path"
            )
    if is_local(filesystem):
        folder = os.path.dirname(root)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"{folder} does not exist; create that folder first")
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} is not writable; choose another path")


@contextmanager
def creating(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    is_file: bool = False,
    storage_options: Mapping[str, object] | None = None,
) -> Iterator[str]:
    """Return the path to write a file or a folder to; what is written appears as ``path`` if all went well.

    On this machine that is in a hidden folder beside ``path``, from which it is renamed in the end. Other
    file systems may not rename: there it is ``path`` itself, or in such a folder, and copied, if something is
    to be overwritten. After an error, what was written is removed, and what was there is still there. What
    processes have left that died while they wrote to this path is removed first.

    Parameters
    ----------
    path : str or path
        The target: a local path, or a URL that fsspec knows.
    overwrite : bool, default=False
        Replace a file, a Zarr store or a folder of Parquet files that is there.
    is_file : bool, default=False
        A file is to be written, which never replaces a folder.
    storage_options : mapping, optional
        For the file system of a URL.

    Yields
    ------
    str
        Where to write.

    Raises
    ------
    OSError
        As `check_target`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp(), "labels.txt")
    >>> with creating(target) as path:
    ...     _ = pathlib.Path(path).write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    check_target(path, overwrite=overwrite, is_file=is_file, storage_options=storage_options)
    filesystem, root = locate(path, storage_options)
    is_replaced = filesystem.exists(root)
    with naming(path), sibling(path, storage_options) as made:
        if not is_local(filesystem) and not is_replaced:
            try:
                yield os.fspath(path)
            except BaseException:
                remove_for_good(filesystem, root)
                raise
            return
        there, output = (locate(each, storage_options)[1] for each in (made.path, made.output))
        yield made.output
        if is_local(filesystem):
            put_in_place(there, output, root, overwrite=overwrite)
        else:
            copy_in_place(filesystem, there, output, root)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name what is written in errors that say that there is no room for it: the system's own name nothing.

    Parameters
    ----------
    path : str or path
        What the user calls it.
    """
    try:
        yield
    except OSError as error:
        is_nameless = error.errno in NO_ROOM and not error.filename
        if is_nameless or is_in_sibling(error.filename):
            error.filename = redacted(os.fspath(path))
        raise


@contextmanager
def creating_in(
    folder: str | os.PathLike[str], names: Sequence[str], *, overwrite: bool = False
) -> Iterator[str]:
    """Return a folder to write some files to; those that are written appear in the target if all went well.

    A target that is not there yet appears with all of them at once; in one that is, each file takes its place
    whole, one after the other. As with `creating`, others are refused from the start.

    Parameters
    ----------
    folder : str or path
        The target, on this machine. It and its parents are made if they are not there.
    names : sequence of str
        Of the files that may be written, at least one.
    overwrite : bool, default=False
        Replace files of these names.

    Yields
    ------
    str
        Where to write.

    Raises
    ------
    OSError
        As `check_target`, of each file.
    """
    root = os.path.abspath(folder)
    if not os.path.lexists(root):
        made = [str(parent) for parent in Path(root).parents if not parent.exists()]
        os.makedirs(os.path.dirname(root), exist_ok=True)
        try:
            with creating(root) as working:
                os.mkdir(working)
                yield working
        except BaseException:
            with suppress(OSError):
                for parent in made:
                    os.rmdir(parent)
            raise
        return
    for name in names:
        check_target(f"{root}/{name}", overwrite=overwrite, is_file=True)
    with naming(root), sibling(f"{root}/{names[0]}") as made_one:
        os.mkdir(made_one.output)
        yield made_one.output
        for name in os.listdir(made_one.output):
            output = f"{made_one.output}/{name}"
            put_in_place(made_one.path, output, f"{root}/{name}", overwrite=overwrite)


def write_file(
    path: str | os.PathLike[str],
    content: bytes,
    *,
    overwrite: bool = False,
    storage_options: Mapping[str, object] | None = None,
) -> None:
    """Write a file, whole or not at all: see `creating`.

    Parameters
    ----------
    path, overwrite, storage_options
        As for `creating`.
    content : bytes
    """
    with creating(path, overwrite=overwrite, is_file=True, storage_options=storage_options) as working:
        filesystem, there = locate(working, storage_options)
        with filesystem.open(there, "wb") as file:
            file.write(content)
            if is_local(filesystem):
                file.flush()
                os.fsync(file.fileno())
