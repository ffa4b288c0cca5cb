"""From whatever a user passes to a `Source`; libraries are imported when they are needed.

The module for a kind of rows is imported when there are such rows, as it imports their libraries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from dask.base import is_dask_collection

from dgmm.data.choice import Choice
from dgmm.data.convert import check_shape, to_array
from dgmm.data.dimensions import check_sample_dims
from dgmm.data.kinds import comes_from, is_labelled, is_open, is_table
from dgmm.data.mapped import of_columns
from dgmm.data.memory import MemorySource
from dgmm.data.paths import open_paths, paths_of
from dgmm.data.source import DataError, Source
from dgmm.data.text import counted
from dgmm.data.types import RowsLike, WeightsLike


def open_dataset(
    x: RowsLike,
    columns: Sequence[str] | None = None,
    storage_options: Mapping[str, object] | None = None,
    *,
    fill_missing: bool = False,
    sample_dims: Sequence[str] | None = None,
) -> Source:
    """Open rows of numbers, wherever they are. Reads metadata only.

    Parameters
    ----------
    x : Source, str, path, list of paths, zarr.Array, zarr.Group, xarray or Dask object, table or array-like
        A path or URL of a Zarr array of shape (n_rows, n_features), of a Zarr group whose variables
        are the columns, as xarray writes it, of a Parquet or CSV file or a folder of them, of a table of
        Delta, Iceberg or Lance; a pattern such as ``*.parquet``, or a list of such paths, whose rows follow
        one another; an open Zarr array or group; an xarray Dataset, whose data variables are the features,
        or DataArray, whose last dimension numbers them; a Dask array or DataFrame; a table of pandas,
        Polars, Arrow or what narwhals reads; a NumPy array or what `numpy.asarray` takes.
    columns : sequence of str, optional
        The named columns to take, in this order. Default: all that can be features.
    storage_options : mapping, optional
        For the file system of a URL: credentials, endpoints.
    fill_missing : bool, default=False
        Take the fill value where a chunk of a Zarr array is missing, rather than refuse the array.
    sample_dims : sequence of str, optional
        The named dimensions of a Zarr group or array, or of an xarray object, that number the rows, from slow
        to fast; others number features, ``TEMP[0]``, ``TEMP[1]``, …. Default: those that all variables share.

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


def open_weights(x: WeightsLike, storage_options: Mapping[str, object] | None = None) -> Source:
    """Open one number for each row, as a source of one column.

    Parameters
    ----------
    x : Source, str, path, zarr.Array, Dask array or Series, pandas Series or array-like of shape (n_rows,)
        As for `open_dataset`, of one dimension; or a source, a Parquet file or folder, of one column.
    storage_options : mapping, optional
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
    source = _open(x, storage_options=storage_options, n_dims=1)
    if source.n_features != 1:
        raise DataError(
            f"Expected one weight for each row, but {source.name} has {counted(source.n_features, 'column')}"
        )
    return source


def open_side_information(x: Any, storage_options: Mapping[str, object] | None = None) -> Source:
    """Open what is known of each row: one number, or several.

    Parameters
    ----------
    x : object
        As for `open_weights`, or for `open_dataset`.
    storage_options : mapping, optional
        For the file system of a URL.

    Returns
    -------
    Source
    """
    n_dims = getattr(x, "ndim", None)
    if n_dims is None and isinstance(x, (list, tuple)) and not paths_of(x):
        n_dims = np.ndim(x)
    if n_dims is not None or not paths_of(x):
        return _open(x, storage_options=storage_options, n_dims=2 if n_dims == 2 else 1)
    try:
        return _open(x, storage_options=storage_options, n_dims=1)
    except DataError:  # an array of two dimensions: what else is wrong is found again
        return _open(x, storage_options=storage_options, n_dims=2)


def open_text(x: Any, column: str, storage_options: Mapping[str, object] | None = None) -> Source:
    """Open a column of text of a stored table: for `dgmm.data.categories`, which makes numbers of it.

    Parameters
    ----------
    x : str, path or list of paths
        As for `open_dataset`.
    column : str
    storage_options : mapping, optional
        For the file system of a URL.

    Returns
    -------
    Source
        Of one column.

    Raises
    ------
    DataError, FileNotFoundError
        As `open_dataset`.
    """
    choice = Choice((column,), is_text=True)
    return open_paths(paths_of(x), choice, storage_options, 2, fill_missing=False, sample_dims=None)


def open_without(x: RowsLike, aside: Iterable[str], **opening: Any) -> Source:
    """Open rows for their features: all columns that can be, except some, without a warning about these.

    Parameters
    ----------
    x : object
        As for `open_dataset`.
    aside : iterable of str
        Names of columns, of numbers or not.
    **opening
        For `open_dataset`.
    """
    return _open(x, aside=tuple(aside), n_dims=2, **opening)


def open_fitted(x: RowsLike, features: Iterable[object], **opening: Any) -> Source:
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
    return _open(x, columns, n_dims=2, fitted=fitted, **opening)


def _open(
    x: Any,
    columns: Sequence[str] | None = None,
    storage_options: Mapping[str, object] | None = None,
    fill_missing: bool = False,
    *,
    n_dims: int,
    fitted: tuple[str, ...] | None = None,
    aside: tuple[str, ...] = (),
    sample_dims: Sequence[str] | None = None,
) -> Source:
    """Open rows by what they are: paths, Zarr, what xarray or Dask has, a source, or in memory."""
    if isinstance(columns, str):
        raise TypeError(f"columns= is a list of names; for one column give [{columns!r}]")
    check_sample_dims(sample_dims)
    choice = Choice(None if columns is None else tuple(columns), fitted, aside=aside)
    paths = paths_of(x)
    if paths:
        of_zarr: dict[str, Any] = {"fill_missing": fill_missing, "sample_dims": sample_dims}
        try:
            return open_paths(paths, choice, storage_options, n_dims, **of_zarr)
        except FileNotFoundError as error:
            if n_dims == 2 or isinstance(x, (str, os.PathLike)):
                raise
            message = f"a list of text must hold numbers or existing paths: {error}"
            raise DataError(message) from error
    if comes_from(x, "zarr", "Array", "Group"):
        from dgmm.data.zarr import zarr_source

        return zarr_source(x, choice, n_dims=n_dims, fill_missing=fill_missing, sample_dims=sample_dims)
    if is_labelled(x):
        from dgmm.data.labelled import labelled_source

        return labelled_source(x, choice, sample_dims, n_dims=n_dims)
    if sample_dims is not None:
        raise DataError(
            f"sample_dims= was given, but {type(x).__name__} has no named dimensions, or is already open"
        )
    if is_dask_collection(x):
        from dgmm.data.dask import dask_source

        return dask_source(x, choice, n_dims=n_dims)
    if is_open(x):
        if columns is not None:
            raise DataError(f"columns= was given, but {x.name} is already open")
        names = x.feature_names or ()
        return of_columns(x, [i for i, name in enumerate(names) if name not in aside]) if aside else x
    return _open_in_memory(x, choice, n_dims)


def _open_in_memory(x: Any, choice: Choice, n_dims: int) -> MemorySource:
    if is_table(x):
        from dgmm.data.frames import table_source

        return table_source(x, choice, n_dims)
    what = type(x).__name__
    if choice.columns is not None:
        raise DataError(f"columns= was given, but {what} has no named columns")
    values = to_array(x, what)
    check_shape(values.shape, n_dims, what, values)
    return MemorySource(values[:, None] if n_dims == 1 else values, None, what)
