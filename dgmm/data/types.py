"""Names of types: what users may pass as rows and as weights, and what they get for each row.

Libraries that are extras are not imported for a type: a type checker knows their classes, and what runs knows
the names alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NewType, Protocol, TypeAlias

import dask.array as da
import numpy as np
import zarr
from narwhals.typing import IntoDataFrame, IntoFrame, IntoSeries
from numpy.typing import NDArray

from dgmm.data.source import Source

if TYPE_CHECKING:
    from dask.dataframe import DataFrame as DaskDataFrame
    from dask.dataframe import Series as DaskSeries
    from xarray import DataArray, Dataset
else:
    DaskDataFrame, DaskSeries = NewType("DaskDataFrame", object), NewType("DaskSeries", object)
    DataArray, Dataset = NewType("DataArray", object), NewType("Dataset", object)


class SupportsArray(Protocol):
    """What NumPy makes an array of."""

    def __array__(self) -> NDArray[np.generic]:
        """Give the values."""
        ...


Location: TypeAlias = str | os.PathLike[str]
"""A local path, or a URL that fsspec knows; or a pattern for such."""

Labelled: TypeAlias = DataArray | Dataset
"""Rows that have dimensions and coordinates."""

Stored: TypeAlias = Location | Sequence[Location] | zarr.Array | zarr.Group
"""Rows that are read when they are needed."""

InMemory: TypeAlias = IntoFrame | SupportsArray | Sequence[Sequence[float]] | Sequence[SupportsArray]
"""Rows that are here: arrays, tables, lists of numbers."""

RowsLike: TypeAlias = Source | Stored | da.Array | DaskDataFrame | Labelled | InMemory
"""All that `dgmm.open_dataset` takes."""

WeightsLike: TypeAlias = (
    Source | Stored | da.Array | DaskSeries | Labelled | IntoSeries | SupportsArray | Sequence[float] | float
)
"""A number for each row, or one for all."""

RealNumbers: TypeAlias = SupportsArray | Sequence[float] | Sequence[Sequence[float]] | Sequence[SupportsArray]
"""Parameters of a mixture, of whatever shape they have."""

OfRows: TypeAlias = (
    NDArray[np.int64] | NDArray[np.floating] | da.Array | DataArray | DaskDataFrame | DaskSeries
)
"""Results for each row."""

LikeRows: TypeAlias = NDArray[np.floating] | da.Array | Labelled | DaskDataFrame | IntoDataFrame
"""Rows, of the kind that was given."""
