"""Results for each row: in memory for rows in memory, lazy for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import is_dask_collection
from dask.delayed import delayed
from numpy.typing import NDArray

from dgmm.data import Source, Span
from dgmm.data.convert import to_array
from dgmm.data.floats import rows_dtype
from dgmm.data.kinds import comes_from, is_table
from dgmm.data.memory import Labels, is_in_memory
from dgmm.data.source import cut_into_spans
from dgmm.data.types import OfRows, RowsLike
from dgmm.fitting.checks import OF_A_CHUNK, NotFinite
from dgmm.fitting.errors import check_errors
from dgmm.passes.blas import single_threaded
from dgmm.passes.task import ChunkRows, span_task
from dgmm.passes.threads import n_threads

if TYPE_CHECKING:
    from dgmm.data.tables import Picked

FILL_THEM = "leave these rows out, or fill them with a `MixtureImputer`"
JUDGE_THEM = (
    "leave these rows out, judge them by their observed values (set_params(missing='marginalize') of the "
    "mixture, without another fit), or fill them with a `MixtureImputer`"
)
"""What to do with rows that lack values, where they are not taken."""

LARGEST_BLOCK_BYTES = 2**25
"""Bytes of results that a task of a stored table gives, where its chunks allow."""


@dataclass(frozen=True, eq=False)
class RowFunction:
    """A function of each row: picklable.

    Attributes
    ----------
    compute : callable
        Takes rows, (n_rows, n_features), to their results, (n_rows, …). Picklable. Where results depend on
        row numbers, it takes that of the first row too.
    dtype : dtype
        Of the results.
    name : str
        Of a result for each row, where it has a name.
    columns : tuple of str or int, or None
        Names of a row's results, where it has several.
    feature_names : tuple of str or None
        For messages.
    takes_nan : bool, default=False
        Values may be NaN. They may not be infinite.
    is_numbered : bool, default=False
        Results depend on row numbers: those of the whole, however it is cut. Rows of Dask collections are
        counted for them, where Dask does not know how many there are.
    gives_rows : bool, default=False
        Results are rows as those that were given: of a table they are a table, of the same kind.
    n_errors : int, default=0
        Columns of measurement errors that follow the features of rows.
    advice : str
        What to do with rows that lack values, where they are not taken.
    n_behind : int, default=0
        Columns of what else is known of rows, behind these.
    """

    compute: Callable[..., NDArray[Any]]
    dtype: np.dtype
    name: str
    columns: tuple[str, ...] | tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    takes_nan: bool = False
    is_numbered: bool = False
    gives_rows: bool = False
    n_errors: int = 0
    advice: str = FILL_THEM
    n_behind: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row's result."""
        return () if self.columns is None else (len(self.columns),)

    def of(self, chunk: ChunkRows) -> NDArray[Any]:
        """Compute the results of a chunk's rows: (n_rows, …).

        Raises
        ------
        DataError
            Where a value is not finite.
        """
        if bad := self.not_finite(chunk):
            raise bad.error(self.feature_names, self.advice, OF_A_CHUNK)
        return self.of_finite(chunk)

    def not_finite(self, chunk: ChunkRows) -> NotFinite:
        """Look for values that it does not take in a chunk."""
        return NotFinite.of(self._apart(chunk), takes_nan=self.takes_nan)

    def of_finite(self, chunk: ChunkRows) -> NDArray[Any]:
        """Compute the results of rows that have none such."""
        if self.n_errors:
            check_errors(self._apart(chunk), self.n_errors)
        with single_threaded():
            found = self.compute(chunk.values, *([chunk.start] if self.is_numbered else []))
        with np.errstate(over="ignore"):  # a log density beyond the range of float32 is −∞
            return found.astype(self.dtype, copy=False)

    def _apart(self, chunk: ChunkRows) -> ChunkRows:
        """Take the columns of a chunk that follow its features apart: first those of errors."""
        n_features = chunk.values.shape[1] - self.n_errors - self.n_behind
        return chunk._replace(
            values=chunk.values[:, :n_features], side_information=chunk.values[:, n_features:]
        )

    def __call__(self, chunks: Iterator[ChunkRows]) -> NDArray[Any]:
        """Compute the results of a span's rows."""
        parts = [self.of(chunk) for chunk in chunks]
        return np.concatenate([np.empty((0, *self.shape), self.dtype), *parts])

    def of_block(
        self, block: NDArray[Any], starts: tuple[int, ...] | None = None, block_info: Any = None
    ) -> NDArray[Any]:
        """Compute the results of a block of a Dask array; Dask says which block it is.

        ``starts`` has the number of each block's first row, where that is needed.
        """
        if not block_info:
            return self._of_part(block, "a chunk of the Dask array")
        (number, *_), ((start, _), *_) = (
            block_info[0][name] for name in ("chunk-location", "array-location")
        )
        start = start if starts is None else starts[number]
        place = f"chunk {number} of the Dask array"
        return self._of_part(block, place, None if np.isnan(start) else int(start))

    def of_partition(
        self,
        frame: Any,
        picked: Sequence[Picked],
        dtype: np.dtype,
        starts: tuple[int, ...] | None = None,
        partition_info: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute the results of a partition of a Dask DataFrame, of the columns picked: with its index.

        ``starts`` is as for `of_block`.
        """
        import pandas as pd  # noqa: PLC0415 - an extra, and there is a frame of it

        from dgmm.data.frames import pandas_rows  # noqa: PLC0415

        which = "a partition" if partition_info is None else f"partition {partition_info['number']}"
        place = f"{which} of the Dask DataFrame"
        rows = pandas_rows(frame, picked, place, dtype)
        if starts is None or partition_info is None:
            start, place = 0, place + " (rows counted within it)"
        else:
            start = starts[partition_info["number"]]
        values = self.of(ChunkRows(start, rows, None, place))
        if values.ndim == 2:
            return pd.DataFrame(values, index=frame.index, columns=self.columns)
        return pd.Series(values, index=frame.index, name=self.name)

    def _of_part(self, part: Any, place: str, start: int | None = None) -> NDArray[Any]:
        """Compute the results of rows that begin at some number, if that is known."""
        rows = to_array(part, place)
        rows = rows.astype(rows_dtype(rows.dtype, place), copy=False)
        place += " (rows counted within it)" if start is None else ""
        return self.of(ChunkRows(start or 0, rows, None, place))


def evaluate(function: RowFunction, x: RowsLike | None, source: Source) -> OfRows:
    """Compute a function of each row.

    Parameters
    ----------
    function : RowFunction
    x : object
        What the user gave: decides on the kind of the result; None where the source has more beside it.
    source : Source
        The same, opened.

    Returns
    -------
    ndarray, dask.array.Array, xarray.DataArray, or Dask DataFrame or Series
        NumPy for rows in memory, but a table for rows of a table; a frame or series with the index for a
        Dask DataFrame; with the dimensions and coordinates of the rows, lazy or not, for what xarray has;
        else a lazy Dask array.
    """
    if not is_in_memory(source):
        return _lazy(function, x, source)
    values, labels = _in_memory(function, source), getattr(source, "labels", None)
    if labels is not None:
        return _labelled(function, labels, values)
    if function.gives_rows and is_table(x):
        from dgmm.data.frames import table_like  # noqa: PLC0415

        return table_like(x, values, source.feature_names)
    return values


def _labelled(function: RowFunction, labels: Labels, values: Any) -> Any:
    return labels.put_rows(values) if function.gives_rows else labels.put(values, function.name)


def _lazy(function: RowFunction, x: Any, source: Source) -> Any:
    from dgmm.data.dask import DaskSource  # noqa: PLC0415 - it takes half a second, and is used by now

    starts = source.starts if function.is_numbered and isinstance(source, DaskSource) else None
    if isinstance(source, DaskSource) and source.labels is not None:
        return _labelled(function, source.labels, _of_dask_array(function, source.blocks, starts))
    if isinstance(source, DaskSource) and source.picked is not None and is_dask_collection(x):
        frame: Any = x
        read = frame[[each.name for each in source.picked]]
        meta = function.of_partition(read._meta, source.picked, source.dtype)
        return read.map_partitions(
            function.of_partition, source.picked, source.dtype, starts=starts, meta=meta
        )
    if isinstance(source, DaskSource) and comes_from(x, "dask", "Array"):
        return _of_dask_array(function, x, starts)
    values, labels = _of_spans(function, source), getattr(source, "labels", None)
    return values if labels is None else _labelled(function, labels, values)


def _in_memory(function: RowFunction, source: Source) -> NDArray[Any]:
    result = np.empty((source.n_rows, *function.shape), function.dtype)

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


def _of_dask_array(function: RowFunction, x: Any, starts: tuple[int, ...] | None) -> Any:
    x = x.rechunk({1: -1}) if x.numblocks[1] > 1 else x
    meta = np.empty((0, *function.shape), function.dtype)
    if function.shape:
        chunks = (x.chunks[0], function.shape)
        return x.map_blocks(function.of_block, starts=starts, dtype=function.dtype, chunks=chunks, meta=meta)
    return x.map_blocks(
        function.of_block, starts=starts, dtype=function.dtype, chunks=(x.chunks[0],), drop_axis=1, meta=meta
    )


def _of_spans(function: RowFunction, source: Source) -> Any:
    import dask.array as da  # noqa: PLC0415

    row_bytes = function.dtype.itemsize * int(np.prod(function.shape, dtype=int))
    blocks = []
    for piece in _pieces(source, max(1, LARGEST_BLOCK_BYTES // row_bytes)):
        task, arguments = span_task(piece, function, None)
        block = delayed(task, traverse=False, pure=False)(*arguments)
        shape = (piece.n_rows, *function.shape)
        blocks.append(da.from_delayed(block, shape, function.dtype))
    if not blocks:
        return da.zeros((0, *function.shape), dtype=function.dtype)
    return da.concatenate(blocks)


def _pieces(source: Source, n_rows: int) -> Iterator[Span]:
    """Cut spans between chunks into pieces of at most ``n_rows`` rows, but of one chunk at least."""
    for span in source.spans():
        yield from cut_into_spans(span.chunks, n_rows, size_of=attrgetter("n_rows"), start=span.start)
