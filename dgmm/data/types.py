"""Type aliases: what users may pass as rows and weights, and what they get for each row.

No library is imported for a type, as that takes a while: a type checker knows their classes, and what runs
knows the names alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NewType, Protocol, TypeAlias

import numpy as np
from narwhals.typing import IntoDataFrame, IntoFrame, IntoSeries
from numpy.typing import NDArray

from dgmm.data.source import Source

if TYPE_CHECKING:
    from dask.array import Array as DaskArray
    from dask.dataframe import DataFrame as DaskDataFrame
    from dask.dataframe import Series as DaskSeries
    from xarray import DataArray, Dataset
    from zarr import Array as ZarrArray
    from zarr import Group as ZarrGroup
else:
    DaskArray, ZarrArray = NewType("DaskArray", object), NewType("ZarrArray", object)
    ZarrGroup = NewType("ZarrGroup", object)
    DaskDataFrame, DaskSeries = NewType("DaskDataFrame", object), NewType("DaskSeries", object)
    DataArray, Dataset = NewType("DataArray", object), NewType("Dataset", object)


class SupportsArray(Protocol):
    """What NumPy makes an array of."""

    def __array__(self) -> NDArray[np.generic]:
        """Return the values."""
        ...


Location: TypeAlias = str | os.PathLike[str]
"""A local path, or a URL that fsspec knows; or a pattern for such."""

Labelled: TypeAlias = DataArray | Dataset
"""Rows that have dimensions and coordinates."""

Stored: TypeAlias = Location | Sequence[Location] | ZarrArray | ZarrGroup
"""Rows that are read when they are needed."""

InMemory: TypeAlias = IntoFrame | SupportsArray | Sequence[Sequence[float]] | Sequence[SupportsArray]
"""Rows that are here: arrays, tables, lists of numbers."""

RowsLike: TypeAlias = Source | Stored | DaskArray | DaskDataFrame | Labelled | InMemory
"""All that `dgmm.open_dataset` takes."""

WeightsLike: TypeAlias = (
    Source | Stored | DaskArray | DaskSeries | Labelled | IntoSeries | SupportsArray | Sequence[float] | float
)
"""A number for each row, or one for all."""

LabelsLike: TypeAlias = (
    Source | Stored | DaskArray | DaskSeries | Labelled | IntoSeries | SupportsArray | Sequence[int]
) | Sequence[Sequence[float]]
"""The number of a component for each row, or a weight for each component."""

GroupsLike: TypeAlias = (
    Source | Stored | DaskArray | DaskSeries | Labelled | IntoSeries | SupportsArray | Sequence[float]
) | Sequence[str]
"""The group of each row: a number, or text."""

RealNumbers: TypeAlias = SupportsArray | Sequence[float] | Sequence[Sequence[float]] | Sequence[SupportsArray]
"""Parameters of a mixture, of whatever shape they have."""

OfRows: TypeAlias = (
    NDArray[np.int64] | NDArray[np.floating] | DaskArray | DataArray | DaskDataFrame | DaskSeries
)
"""Results for each row."""

LikeRows: TypeAlias = NDArray[np.floating] | DaskArray | Labelled | DaskDataFrame | IntoDataFrame
"""Rows, of the kind that was given."""
