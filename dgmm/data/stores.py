"""Zarr arrays and Parquet files as dgmm writes them, with checksums.

>>> import tempfile, numpy as np
>>> from dgmm.data.writing import creating
>>> folder = tempfile.mkdtemp()
>>> with creating(f"{folder}/x.zarr") as path:
...     array = create_zarr(path, (1000, 2), "float32")
...     for start in range(0, 1000, array.chunks[0]):  # or one Dask task for each start
...         write_rows(array, start, np.zeros((min(array.chunks[0], 1000 - start), 2)))
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dgmm.data.fingerprint import KEPT_AS, Fingerprint
from dgmm.data.location import locate, zarr_store
from dgmm.data.source import MEBIBYTE, DataError
from dgmm.data.text import redacted

if TYPE_CHECKING:
    import zarr


METADATA = "zarr.json"


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
        Where; `dgmm.data.writing.creating` gives it.
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
        Where; `dgmm.data.writing.creating` gives it.
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
    >>> from dgmm.data.writing import creating
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
