"""One way in: whatever the user has becomes a `Source`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from typing import Any

import zarr
from dask.base import is_dask_collection

from dgmm.data.convert import check_shape, to_array
from dgmm.data.dask import dask_source
from dgmm.data.dimensions import check_sample_dims
from dgmm.data.frames import is_table, table_source
from dgmm.data.location import ZARR_MARKERS, is_local, locate, stored_kind
from dgmm.data.memory import MemorySource
from dgmm.data.parquet import parquet_source
from dgmm.data.source import DataError, Source
from dgmm.data.tables import Choice
from dgmm.data.zarr import zarr_source


def open_dataset(
    x: Any,
    columns: Sequence[str] | None = None,
    storage_options: dict[str, Any] | None = None,
    *,
    fill_missing: bool = False,
    sample_dims: Sequence[str] | None = None,
) -> Source:
    """Open rows of numbers, wherever they are. Reads metadata only.

    Parameters
    ----------
    x : Source, str, path, zarr.Array, zarr.Group, Dask collection, DataFrame or array-like
        A path or URL of a Zarr array of shape (n_rows, n_features), of a Zarr group whose variables
        are the columns, as xarray writes it, of a Parquet file or of a folder of them; an open Zarr array
        or group; a Dask array or DataFrame; a table of pandas, Polars, Arrow or what narwhals reads; a NumPy
        array or what `numpy.asarray` takes.
    columns : sequence of str, optional
        The named columns to take, in this order. Default: all that can be features.
    storage_options : dict, optional
        For the file system of a URL: credentials, endpoints.
    fill_missing : bool, default=False
        Take the fill value where a chunk of a Zarr array is missing, rather than refuse the array.
    sample_dims : sequence of str, optional
        The named dimensions of a Zarr group or array that number the rows, from slow to fast; others number
        features, ``TEMP[0]``, ``TEMP[1]``, …. Default: those that all variables share.

    Returns
    -------
    Source
        With float32 rows where all values are float32, else float64. May have no rows.

    Raises
    ------
    DataError
        A ValueError, in scikit-learn's words where it has some: not a table of real numbers, a
        column or chunk that is missing, a masked array, a path to something else.
    TypeError
        For sparse arrays, and objects that are not numbers.
    FileNotFoundError, PermissionError
        If there is nothing at the path, or nothing that may be read.

    Warns
    -----
    DataWarning
        Without ``columns``: of columns that cannot be features and were left out, and of those that by their
        names are no measurements.

    Examples
    --------
    >>> import numpy as np
    >>> source = open_dataset(np.eye(3, dtype=np.float32))
    >>> source.n_rows, source.n_features, source.dtype
    (3, 3, dtype('float32'))
    """
    return _open(x, columns, storage_options, fill_missing, n_dims=2, sample_dims=sample_dims)


def open_weights(x: Any, storage_options: dict[str, Any] | None = None) -> Source:
    """Open one number for each row, as a source of one column.

    Parameters
    ----------
    x : Source, str, path, zarr.Array, Dask array or Series, pandas Series or array-like of shape (n_rows,)
        As for `open_dataset`, of one dimension; or a source, a Parquet file or folder, of one column.
    storage_options : dict, optional
        For the file system of a URL.

    Returns
    -------
    Source
        Of shape (n_rows, 1).

    Raises
    ------
    DataError, TypeError, FileNotFoundError
        As `open_dataset`.

    Examples
    --------
    >>> open_weights([1.0, 2.0]).rows(0, 2).read()
    array([[1.],
           [2.]])
    """
    source = _open(x, None, storage_options, False, n_dims=1)
    if source.n_features != 1:
        raise DataError(
            f"Expected one weight for each row, but {source.name} has {source.n_features} columns"
        )
    return source


def open_fitted(x: Any, features: Iterable[object], **opening: Any) -> Source:
    """Open rows for a mixture that was fitted to named features.

    Parameters
    ----------
    x : object
        As for `open_dataset`.
    features : iterable of str
        The names. Stored tables and Dask frames give these, by name; tables in memory all that can be
        features, in their order, which is scikit-learn's rule.
    **opening
        For `open_dataset`.

    Returns
    -------
    Source
        With other features, where some of those named are not there.

    Raises
    ------
    DataError, TypeError, FileNotFoundError
        As `open_dataset`.
    """
    columns = opening.pop("columns", None)
    fitted = tuple(map(str, features)) if columns is None else None
    return _open(
        x,
        columns,
        opening.get("storage_options"),
        opening.get("fill_missing", False),
        n_dims=2,
        fitted=fitted,
        sample_dims=opening.get("sample_dims"),
    )


def _open(
    x: Any,
    columns: Sequence[str] | None,
    storage_options: dict[str, Any] | None,
    fill_missing: bool,
    *,
    n_dims: int,
    fitted: tuple[str, ...] | None = None,
    sample_dims: Sequence[str] | None = None,
) -> Source:
    if isinstance(columns, str):
        raise TypeError(f"columns= is a list of names; for one column give [{columns!r}]")
    check_sample_dims(sample_dims)
    choice = Choice(None if columns is None else tuple(columns), fitted)
    if isinstance(x, (str, os.PathLike)):
        of_zarr: dict[str, Any] = {"fill_missing": fill_missing, "sample_dims": sample_dims}
        return _open_path(os.fspath(x), choice, storage_options, n_dims, **of_zarr)
    if isinstance(x, (zarr.Array, zarr.Group)):
        return zarr_source(x, choice, n_dims=n_dims, fill_missing=fill_missing, sample_dims=sample_dims)
    if sample_dims is not None:
        raise DataError(f"sample_dims= was given, but {type(x).__name__} has no named dimensions, or is open")
    if is_dask_collection(x):
        return dask_source(x, choice, n_dims=n_dims)
    if callable(getattr(x, "spans", None)):  # isinstance would ask for n_rows, and so count the rows
        if columns is not None:
            raise DataError(f"columns= was given, but {x.name} is open already")
        return x
    if is_table(x):
        return table_source(x, choice, n_dims)
    return _open_array(x, columns, n_dims)


def _open_path(
    path: str, choice: Choice, options: dict[str, Any] | None, n_dims: int, **of_zarr: Any
) -> Source:
    if not path:
        raise FileNotFoundError("the path of the data is empty; give one")
    filesystem, root = locate(path, options)
    if is_local(filesystem) and os.path.exists(root):
        needed = os.R_OK | os.X_OK if os.path.isdir(root) else os.R_OK
        if not os.access(root, needed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    match stored_kind(filesystem, root):
        case "zarr":
            node = _open_zarr(filesystem, root, path, options)
            return zarr_source(node, choice, name=path, n_dims=n_dims, **of_zarr)
        case "parquet":
            if of_zarr["sample_dims"] is not None:
                raise DataError(f"sample_dims= was given, but {path} is a table, without named dimensions")
            return parquet_source(path, choice, options)
    if not filesystem.exists(root):
        raise FileNotFoundError(f"{path} does not exist")
    raise DataError(
        f"{path} is neither a Zarr array or group ({', '.join(ZARR_MARKERS)}) nor a Parquet file or a "
        "folder of them (*.parquet)"
    )


def _open_zarr(filesystem: Any, root: str, path: str, options: dict[str, Any] | None) -> Any:
    try:
        if is_local(filesystem):
            return zarr.open(root, mode="r")
        return zarr.open(path, mode="r", storage_options=options)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be opened as Zarr, its metadata may be damaged: {error!r}") from error


def _open_array(x: Any, columns: Sequence[str] | None, n_dims: int) -> MemorySource:
    what = type(x).__name__
    if columns is not None:
        raise DataError(f"columns= was given, but {what} has no named columns")
    values = to_array(x, what)
    check_shape(values.shape, n_dims, what, values)
    return MemorySource(values[:, None] if n_dims == 1 else values, None, what)
