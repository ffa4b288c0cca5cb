"""Writing rows to a store, from many tasks at once, and leaving a whole store or none.

>>> import tempfile, numpy as np
>>> folder = tempfile.mkdtemp()
>>> with creating(f"{folder}/x.zarr") as path:
...     array = create_zarr(path, (1000, 2), "float32")
...     for start in range(0, 1000, array.chunks[0]):  # or one Dask task for each start
...         write_rows(array, start, np.zeros((min(array.chunks[0], 1000 - start), 2)))
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dgmm.data.fingerprint import KEPT_AS, Fingerprint
from dgmm.data.listing import stored_kind
from dgmm.data.location import is_local, locate, zarr_store
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
from dgmm.data.source import MEBIBYTE, DataError
from dgmm.data.text import redacted

if TYPE_CHECKING:
    import zarr

METADATA = "zarr.json"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class OutputTuning:
    """How output is cut. Half and double: not measured.

    Attributes
    ----------
    chunk_bytes : int
        Of a chunk of a Zarr array.
    group_rows : int
        Rows of a row group of Parquet, at the most.
    """

    chunk_bytes: int = 8 * MEBIBYTE
    group_rows: int = 2**20


OUTPUT = OutputTuning()


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
    """Give the path to write a file or a folder to; what is written appears as ``path`` if all went well.

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
    """Give a folder to write some files to; those that are written appear in the target if all went well.

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


def create_zarr(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    dtype: DTypeLike,
    *,
    storage_options: Mapping[str, object] | None = None,
) -> zarr.Array[Any]:
    """Create a Zarr array (format 3) of checksummed chunks of about 8 MiB of whole rows.

    Parameters
    ----------
    path : str or path
        Where; `creating` gives it.
    shape : sequence of int
        (n_rows,) or (n_rows, n_columns).
    dtype : dtype
        The dtype of the values.
    storage_options : mapping, optional
        For the file system of a URL.

    Returns
    -------
    zarr.Array
        To give to `write_rows`, in this process or, pickled, in others; ``array.chunks[0]`` is the
        number of rows of a chunk.

    Examples
    --------
    >>> import tempfile
    >>> create_zarr(tempfile.mkdtemp() + "/x.zarr", (10_000_000, 4), "float64").chunks
    (262144, 4)
    """
    row_bytes = math.prod(shape[1:]) * np.dtype(dtype).itemsize
    import zarr
    from zarr.codecs import ZstdCodec

    return zarr.create_array(
        zarr_store(path, storage_options),
        shape=tuple(shape),
        chunks=(max(1, min(shape[0], OUTPUT.chunk_bytes // row_bytes)), *shape[1:]),
        dtype=dtype,
        compressors=ZstdCodec(level=1, checksum=True),
        # zarr leaves out chunks of zeros (a label!), which then cannot be told from lost ones
        config={"write_empty_chunks": True},
    )


def write_rows(array: zarr.Array[Any], start: int, rows: ArrayLike) -> None:
    """Write whole chunks of rows. Several tasks may do so at once, each for chunks of its own.

    Parameters
    ----------
    array : zarr.Array
        From `create_zarr`.
    start : int
        The first row, a multiple of ``array.chunks[0]``.
    rows : array-like of shape (n_rows, n_columns) or (n_rows,)
        As many rows as fill chunks, or as are left.

    Raises
    ------
    DataError
        If the rows do not fill whole chunks: another task may be writing to the same chunk.
    FileNotFoundError
        If the array is gone, as the work was given up: Zarr would make its folder again.

    Examples
    --------
    >>> import tempfile
    >>> array = create_zarr(tempfile.mkdtemp() + "/x.zarr", (3,), "int32")
    >>> write_rows(array, 0, [1, 2, 3])
    >>> array[:]
    array([1, 2, 3], dtype=int32)
    """
    rows = np.asarray(rows)
    stop, step = start + len(rows), array.chunks[0]
    if start % step or (stop % step and stop != array.shape[0]) or rows.shape[1:] != array.shape[1:]:
        raise DataError(
            f"rows {start} to {stop} of shape {rows.shape} do not fill whole chunks of shape {array.chunks} "
            f"of a Zarr array of shape {array.shape}"
        )
    from zarr.core.sync import sync

    if not sync((array.store_path / METADATA).exists()):
        raise FileNotFoundError(f"{redacted(array.store_path)} is gone: its chunks are not written any more")
    array[start:stop] = rows


def keep_checksums(array: zarr.Array[Any], written: Fingerprint) -> None:
    """Keep beside an array which rows were written to it: `Fingerprint.kept`, as an attribute.

    Parameters
    ----------
    array : zarr.Array
        From `create_zarr`, all of it written.
    written : Fingerprint
    """
    array.update_attributes({KEPT_AS: written.kept()})


PARQUET: Any = {"compression": "zstd", "write_page_checksum": True}
"""How pyarrow writes what is then marked by `dgmm.data.footers.PART_KEY`."""


def create_parquet(
    path: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None
) -> None:
    """Create a folder for Parquet files.

    Parameters
    ----------
    path : str or path
        Where; `creating` gives it.
    storage_options : mapping, optional
        For the file system of a URL.
    """
    filesystem, root = locate(path, storage_options)
    filesystem.makedirs(root, exist_ok=True)


def write_parquet_part(
    folder: str | os.PathLike[str],
    index: int,
    columns: Mapping[str, NDArray[Any]],
    *,
    storage_options: Mapping[str, object] | None = None,
) -> None:
    """Write one file of a folder of Parquet files: ``part-00000.parquet``, with checksummed pages.

    Parameters
    ----------
    folder : str or path
        From `create_parquet`. Where it is gone, as the work was given up, it is not made again.
    index : int
        The file's number: rows are in the order of these.
    columns : mapping of str to ndarray of shape (n_rows,)
        The columns, the same ones for every file.
    storage_options : mapping, optional
        For the file system of a URL.

    Examples
    --------
    >>> import os, tempfile, numpy as np
    >>> target = tempfile.mkdtemp() + "/labels.parquet"
    >>> with creating(target) as path:
    ...     create_parquet(path)
    ...     for index in range(3):  # or one Dask task for each
    ...         write_parquet_part(path, index, {"label": np.arange(4)})
    >>> sorted(os.listdir(target))
    ['part-00000.parquet', 'part-00001.parquet', 'part-00002.parquet']
    """
    filesystem, root = locate(folder, storage_options)
    import pyarrow as pa
    import pyarrow.parquet as pq

    from dgmm.data.footers import PART_KEY

    with filesystem.open(f"{root}/part-{index:05d}.parquet", "wb") as file:
        pq.write_table(
            pa.table(dict(columns)).replace_schema_metadata({PART_KEY: str(index)}),
            file,
            row_group_size=OUTPUT.group_rows,
            **PARQUET,
        )
