"""Results that have a value for each row: in memory for rows in memory, lazy for all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

import dask.array as da
import numpy as np
from dask.base import is_dask_collection
from dask.delayed import delayed
from numpy.typing import NDArray

from dgmm.data import Source, Span
from dgmm.data.convert import to_array
from dgmm.data.dask import DaskSource
from dgmm.data.frames import pandas_rows
from dgmm.data.memory import MemorySource
from dgmm.data.source import cut_into_spans, rows_dtype
from dgmm.data.tables import Picked
from dgmm.fitting.survey import NotFinite
from dgmm.kernels import densities
from dgmm.model.parameters import Evaluable
from dgmm.passes.blas import single_threaded
from dgmm.passes.task import Rows, span_task
from dgmm.passes.threads import n_threads

LARGEST_BLOCK_BYTES = 2**25
"""Bytes of results that a task of a stored table gives, where its chunks allow."""

Quantity = Literal["labels", "responsibilities", "log_densities"]


@dataclass(frozen=True, eq=False)
class RowFunction:
    """A quantity of each row under a model: a picklable function of rows.

    Attributes
    ----------
    model : Evaluable
    quantity : str
        A function of `dgmm.kernels.densities`.
    feature_names : tuple of str or None
        For messages.
    floats : dtype
        Of results that are real numbers.
    """

    model: Evaluable
    quantity: Quantity
    feature_names: tuple[str, ...] | None = None
    floats: np.dtype = field(default_factory=lambda: np.dtype(np.float64))

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the results."""
        return np.dtype(np.int64) if self.quantity == "labels" else self.floats

    @property
    def columns(self) -> tuple[int, ...]:
        """The shape of a row's result."""
        return (len(self.model.means),) if self.quantity == "responsibilities" else ()

    def of(self, chunk: Rows) -> NDArray[Any]:
        """Compute the quantity of a chunk's rows: (n_rows, …).

        Raises
        ------
        DataError
            Where a value is not finite.
        """
        bad = NotFinite.of(chunk)
        if bad:
            raise bad.error(self.feature_names)
        with single_threaded():
            found = getattr(densities, self.quantity)(self.model, chunk.values)
        with np.errstate(over="ignore"):  # a log density beyond the range of float32 is −∞
            return found.astype(self.dtype, copy=False)

    def __call__(self, chunks: Iterator[Rows]) -> NDArray[Any]:
        """Compute the quantity of a span's rows."""
        parts = [self.of(chunk) for chunk in chunks]
        return np.concatenate([np.empty((0, *self.columns), self.dtype), *parts])

    def of_block(self, block: NDArray[Any], block_info: Any = None) -> NDArray[Any]:
        """Compute the quantity of a block of a Dask array; Dask says which block it is."""
        if not block_info:
            return self._of_part(block, "a chunk of the Dask array")
        (number, *_), ((start, _), *_) = (
            block_info[0][name] for name in ("chunk-location", "array-location")
        )
        place = f"chunk {number} of the Dask array"
        return self._of_part(block, place, None if np.isnan(start) else int(start))

    def of_partition(
        self,
        frame: Any,
        picked: Sequence[Picked],
        dtype: np.dtype,
        partition_info: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute the quantity of a partition of a Dask DataFrame, of the columns picked: with its index."""
        import pandas as pd  # noqa: PLC0415 - an extra, and there is a frame of it

        which = "a partition" if partition_info is None else f"partition {partition_info['number']}"
        place = f"{which} of the Dask DataFrame"
        rows = pandas_rows(frame, picked, place, dtype)
        values = self.of(Rows(0, rows, None, place + " (rows counted within it)"))
        if values.ndim == 2:
            return pd.DataFrame(values, index=frame.index)
        return pd.Series(values, index=frame.index, name=self.result_name)

    def _of_part(self, part: Any, place: str, start: int | None = None) -> NDArray[Any]:
        """Compute the quantity of rows that begin at some number, if that is known."""
        rows = to_array(part, place)
        rows = rows.astype(rows_dtype(rows.dtype, place), copy=False)
        place += " (rows counted within it)" if start is None else ""
        return self.of(Rows(start or 0, rows, None, place))

    @property
    def result_name(self) -> str:
        """The name of a result for each row, where it has one."""
        return {"labels": "label", "responsibilities": "probability"}.get(self.quantity, "log_density")


def evaluate(function: RowFunction, x: Any, source: Source) -> Any:
    """Compute a quantity of each row.

    Parameters
    ----------
    function : RowFunction
    x : object
        What the user gave: decides on the kind of the result.
    source : Source
        The same, opened.

    Returns
    -------
    ndarray, dask.array.Array, xarray.DataArray, or Dask DataFrame or Series
        NumPy for rows in memory; a frame or series with the index for a Dask DataFrame; with the dimensions
        and coordinates of the rows, lazy or not, for what xarray has; else a lazy Dask array.
    """
    if isinstance(source, (MemorySource, DaskSource)) and source.labels is not None:
        is_here = isinstance(source, MemorySource)
        values = _in_memory(function, source) if is_here else _of_dask_array(function, source.blocks)
        return source.labels.put(values, function.result_name)
    if isinstance(source, MemorySource):
        return _in_memory(function, source)
    if isinstance(source, DaskSource) and source.picked is not None and is_dask_collection(x):
        read = x[[each.name for each in source.picked]]
        meta = function.of_partition(read._meta, source.picked, source.dtype)
        return read.map_partitions(function.of_partition, source.picked, source.dtype, meta=meta)
    if is_dask_collection(x) and isinstance(x, da.Array):
        return _of_dask_array(function, x)
    return _of_spans(function, source)


def _in_memory(function: RowFunction, source: MemorySource) -> NDArray[Any]:
    result = np.empty((source.n_rows, *function.columns), function.dtype)

    def fill(span: Any) -> None:
        task, _ = span_task(span, function, None)
        result[span.start : span.start + span.n_rows] = task()

    spans = source.spans()
    if len(spans) == 1:
        fill(spans[0])
    elif spans:
        with single_threaded(), ThreadPoolExecutor(n_threads()) as executor:
            list(executor.map(fill, spans))
    return result


def _of_dask_array(function: RowFunction, x: Any) -> Any:
    x = x.rechunk({1: -1}) if x.numblocks[1] > 1 else x
    meta = np.empty((0, *function.columns), function.dtype)
    if function.columns:
        chunks = (x.chunks[0], function.columns)
        return x.map_blocks(function.of_block, dtype=function.dtype, chunks=chunks, meta=meta)
    return x.map_blocks(
        function.of_block, dtype=function.dtype, chunks=(x.chunks[0],), drop_axis=1, meta=meta
    )


def _of_spans(function: RowFunction, source: Source) -> Any:
    row_bytes = function.dtype.itemsize * int(np.prod(function.columns, dtype=int))
    blocks = []
    for piece in _pieces(source, max(1, LARGEST_BLOCK_BYTES // row_bytes)):
        task, arguments = span_task(piece, function, None)
        block = delayed(task, traverse=False, pure=False)(*arguments)
        shape = (piece.n_rows, *function.columns)
        blocks.append(da.from_delayed(block, shape, function.dtype))
    if not blocks:
        return da.zeros((0, *function.columns), dtype=function.dtype)
    return da.concatenate(blocks)


def _pieces(source: Source, n_rows: int) -> Iterator[Span]:
    """Cut spans between chunks into pieces of at most ``n_rows`` rows, but of one chunk at least."""
    for span in source.spans():
        yield from cut_into_spans(span.chunks, n_rows, size_of=attrgetter("n_rows"), start=span.start)
