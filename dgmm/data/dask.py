"""Rows of a Dask array or DataFrame: each chunk is a task of the graph that the user built."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import pyarrow as pa
from dask.array.utils import meta_from_array
from dask.base import collections_to_expr
from dask.core import flatten
from dask.delayed import Delayed, delayed
from numpy.typing import NDArray

from dgmm.data.ambient import compute_now
from dgmm.data.choice import Choice
from dgmm.data.convert import check_shape, refuse_kind, series_dtype, text_names, to_array
from dgmm.data.floats import is_wide_integer, rows_dtype
from dgmm.data.frames import check_promised, described, pandas_rows
from dgmm.data.revision import Revision
from dgmm.data.source import SPANS, DataError, Labels, LazyChunk, Span, cut_into_spans, span_bytes_for
from dgmm.data.tables import (
    Column,
    Picked,
    feature_names,
    is_vector,
    n_features,
    pick,
    rows_type,
    whole_numbers,
)

PLANS_QUERIES = not hasattr(da.Array, "to_delayed")
"""Whether Dask's arrays are expressions: its setting ``array.query-planning``, which holds for a process."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DaskSource:
    """Rows of a Dask collection, one chunk for each block of rows; see `dask_source`.

    Attributes
    ----------
    blocks : dask.array.Array, or dask.dataframe.DataFrame where Dask plans queries of arrays
        Each chunk or partition gives rows, an ndarray of shape (n_rows, n_features).
    counts : tuple of float
        Rows of each block; NaN where Dask does not know it.
    n_features : int
        Number of columns.
    dtype : dtype
        float32 or float64.
    name : str
        What the user would call it.
    feature_names : tuple of str or None
        Names of the columns.
    picked : tuple of Picked or None
        The columns of a DataFrame that are read.
    labels : Labels or None
        Dimensions and coordinates that results for each row are to have.
    holds_whole : bool or tuple of bool
        Whether values, or those of each feature, are whole numbers.
    """

    blocks: Any  # Dask's collections have no common type to a type checker
    counts: tuple[float, ...]
    n_features: int
    dtype: np.dtype
    name: str
    feature_names: tuple[str, ...] | None = None
    picked: tuple[Picked, ...] | None = None
    labels: Labels | None = None
    holds_whole: bool | tuple[bool, ...] = False

    @property
    def n_rows(self) -> int:
        """Number of rows; counted, once, where Dask does not know it."""
        return int(self._starts[-1])

    @property
    def starts(self) -> tuple[int, ...]:
        """The number of each block's first row; counted, once, where Dask does not know it."""
        return tuple(map(int, self._starts[:-1]))

    @cached_property
    def _delayed(self) -> list[Delayed]:
        """One task for each block: what loads it and what converts it are fused into one."""
        if not PLANS_QUERIES:
            return list(self.blocks.to_delayed(optimize_graph=True).ravel())
        optimized = collections_to_expr([self.blocks]).optimize()
        graph = optimized.__dask_graph__()
        return [Delayed(key, graph) for key in flatten(optimized.__dask_keys__())]

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """The first row of each block, and the end of the last."""
        counts = self.counts
        if any(map(math.isnan, counts)):
            # Of these very blocks: one column alone would be cheaper to read, but Dask reads fewer columns in
            # larger partitions.
            counts = compute_now(*(delayed(len)(block) for block in self._delayed))
        return np.cumsum([0, *counts])

    def spans(self) -> tuple[Span, ...]:
        """Group the blocks into spans of at most 32 MiB, or of one block."""
        starts = self._starts.tolist()
        chunks = [self._chunk(i, i + 1, 0, stop - start) for i, (start, stop) in enumerate(pairwise(starts))]
        total_bytes = self.n_rows * self.n_features * self.dtype.itemsize
        return cut_into_spans(chunks, min(span_bytes_for(total_bytes), SPANS.largest_lazy_bytes))

    def rows(self, start: int, stop: int) -> LazyChunk:
        """Rows ``start`` to ``stop``, taken from the blocks that hold them."""
        first = int(np.searchsorted(self._starts[:-1], start, side="right")) - 1
        last = max(first + 1, int(np.searchsorted(self._starts, stop, side="left")))
        return self._chunk(first, last, start - int(self._starts[first]), stop - start)

    def revision(self) -> Revision:
        """Nothing: a collection is named by what is to be computed, not by what that gives."""
        return Revision()

    def _chunk(self, first: int, last: int, skip: int, n_rows: int) -> LazyChunk:
        """Take ``n_rows`` rows of blocks ``first`` to ``last``, without the ``skip`` first ones."""
        blocks = self._delayed[first:last]
        if n_rows == self._starts[last] - self._starts[first]:
            rows = blocks[0] if len(blocks) == 1 else delayed(np.concatenate)(blocks)
        else:
            rows = delayed(_cut)(blocks, skip, skip + n_rows)
        chunks = f"chunk {first}" if last == first + 1 else f"chunks {first} to {last - 1}"
        n_bytes = n_rows * self.n_features * self.dtype.itemsize
        return LazyChunk(n_rows, n_bytes, f"{self.name}, {chunks}", rows)


def dask_source(x: Any, choice: Choice, *, n_dims: int = 2) -> DaskSource:
    """Make a source of a Dask array, DataFrame or Series. Computes nothing.

    Parameters
    ----------
    x : dask.array.Array, dask.dataframe.DataFrame or dask.dataframe.Series
        Of shape (n_rows, n_features), or (n_rows,) for weights.
    choice : Choice
        Of the columns of a DataFrame, which are found by their names in each partition.
    n_dims : int, default=2
        2 for rows, 1 for weights.

    Returns
    -------
    DaskSource

    Raises
    ------
    DataError
        If the shape is wrong, or the values are not real numbers; naming the column.
    TypeError
        If the array is sparse.
    """
    if isinstance(x, da.Array):
        return _from_array(x, choice, n_dims)
    name = f"Dask {type(x).__name__}"
    meta = getattr(x, "_meta", None)
    if meta is None or not hasattr(x, "map_partitions") or meta.ndim not in (1, 2):
        raise DataError(f"{name} is not a table; give a Dask array or DataFrame")
    if meta.ndim == 1:
        check_shape((math.nan,), n_dims, name)
        if choice.columns is not None:
            raise DataError(f"columns= was given, but {name} has no named columns")
        dtype = series_dtype(x.dtype, x.name, name)
        blocks = _of_partitions(x, 1, dtype, _to_rows, 1, dtype, name)
        return DaskSource(blocks, _unknown(x), 1, dtype, name)
    check_shape((math.nan, len(x.columns)), n_dims, name)
    columns = list(map(_as_promised, described(x)))
    picked = pick(columns, choice, name)
    if choice.fitted is None and _parses_csv(x):
        logger.warning(
            "%s reads CSV, which each pass parses again: persist() it, or use `dgmm convert`", name
        )
    promised, wanted = list(x.columns), [each.name for each in picked]
    x = x if wanted == promised else x[wanted]  # which readers of files take note of
    kinds = {column.name: column.type for column in columns if column.type is not None}
    dtype = rows_type(kinds[name] for name in wanted)
    wide, names = n_features(picked), text_names(feature_names(picked))
    blocks = _of_partitions(x, wide, dtype, _rows_of_partition, picked, promised, dtype, name=name)
    whole = whole_numbers(picked)
    return DaskSource(blocks, _unknown(x), wide, dtype, name, names, picked, holds_whole=whole)


def _of_partitions(
    frame: Any,
    n_features: int,
    dtype: np.dtype,
    function: Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> Any:
    """Apply to partitions a function that gives rows."""
    if PLANS_QUERIES:  # as arrays they would have no shape: to Dask they are partitions such as these
        return frame.map_partitions(function, *arguments, meta=frame._meta, enforce_metadata=False, **options)
    return frame.map_partitions(function, *arguments, meta=np.empty((0, n_features), dtype), **options)


def _unknown(frame: Any) -> tuple[float, ...]:
    return (math.nan,) * frame.npartitions


def _parses_csv(x: Any) -> bool:
    """Return whether computing a frame parses CSV."""
    readers = (getattr(node, "func", None) for node in x.expr.walk()) if hasattr(x, "expr") else ()
    return any(getattr(getattr(each, "func", each), "__name__", "") == "_read_csv" for each in readers)


def _as_promised(column: Column) -> Column:
    """Say what is to be expected of a column: objects are taken to be numbers until they are there."""
    if column.type is None and column.described == "object":
        return replace(column, type=pa.float64())
    if column.type is not None and is_vector(column.type):
        return replace(column, aside=f"{column.described}, of a length that only computing it would tell")
    return column


def _from_array(x: Any, choice: Choice, n_dims: int) -> DaskSource:
    """Take a Dask array for rows: blocks of whole rows, as floats."""
    name = "Dask array"
    if choice.columns is not None:
        raise DataError(f"columns= was given, but a {name} has no named columns")
    refuse_kind(meta_from_array(x), name)
    check_shape(x.shape, n_dims, name)
    if n_dims == 2 and math.isnan(x.shape[1]):
        raise DataError(f"{name} has an unknown number of columns; call its compute_chunk_sizes() first")
    dtype = rows_dtype(x.dtype, name)
    n_features = x.shape[1] if n_dims == 2 else 1
    if n_dims == 2 and x.numblocks[1] > 1:
        x = x.rechunk({1: -1}, method="tasks")
    blocks = x.map_blocks(
        _to_rows,
        n_features,
        dtype,
        name,
        dtype=dtype,
        meta=np.empty((0, 0), dtype),
        chunks=(x.chunks[0], (n_features,)),
        new_axis=None if n_dims == 2 else 1,
    )
    whole = is_wide_integer(x.dtype)
    return DaskSource(blocks, x.chunks[0], n_features, dtype, name, holds_whole=whole)


def _rows_of_partition(
    frame: Any,
    picked: Sequence[Picked],
    promised: Sequence[Hashable],
    dtype: np.dtype,
    *,
    name: str,
    partition_info: dict[str, Any] | None = None,
) -> NDArray[np.floating]:
    """Return the rows of a partition, whose columns may stand in another order than was promised."""
    place = f"{name}, partition {partition_info['number']}" if partition_info else name
    check_promised(frame.columns, promised, place)
    return pandas_rows(frame, picked, place, dtype)


def _to_rows(block: Any, n_features: int, dtype: np.dtype, name: str) -> NDArray[np.floating]:
    """Turn what a task gave into rows; it may not be what the collection promised."""
    rows = to_array(block, name)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != n_features:
        raise DataError(
            f"{name} has a chunk of shape {rows.shape}, where {n_features:,} columns were promised"
        )
    with np.errstate(over="ignore"):  # extended precision beyond the range of float64 is infinite
        return np.asarray(rows, dtype=dtype)


def _cut(blocks: list[NDArray[np.floating]], start: int, stop: int) -> NDArray[np.floating]:
    """Join blocks and take rows ``start`` to ``stop``; a copy, so that the blocks can be freed."""
    n_after = sum(map(len, blocks)) - stop
    parts = list(blocks)
    parts[-1] = parts[-1][: len(parts[-1]) - n_after]
    parts[0] = parts[0][start:]
    return np.concatenate(parts)
