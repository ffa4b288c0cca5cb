"""Rows of a Zarr array, or of the variables of a group, local or remote, format 2 or 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dgmm.data.choice import Choice, check_no_two
from dgmm.data.codecs import finds_damage
from dgmm.data.convert import check_shape
from dgmm.data.dimensions import check_sizes, choose_sample_dims, feature_names, parts
from dgmm.data.fingerprint import KEPT_AS
from dgmm.data.floats import is_wide_integer, rows_dtype
from dgmm.data.missing import (
    DAMAGED,
    MOST_ABSENT,
    MissingChunkError,
    absent_keys,
    damaged_chunk,
    shard_without_room,
)
from dgmm.data.revision import Revision, most_keys
from dgmm.data.source import MEBIBYTE, DataError, Span, span_bytes_for
from dgmm.data.text import redacted
from dgmm.data.variables import Variable, dimensions_of
from dgmm.data.zarr_group import chosen_arrays, own_metadata


@dataclass(frozen=True)
class BandTuning:
    """How rows are cut into bands, which are read at once. Half and double: not measured.

    Attributes
    ----------
    wanted_bytes : int
        Of a band of whole stored chunks.
    largest_bytes : int
        Of a band of rows that are numbered by several dimensions: it is cut within stored chunks, which are
        then decoded several times.
    """

    wanted_bytes: int = 8 * MEBIBYTE
    largest_bytes: int = 64 * MEBIBYTE


BANDS = BandTuning()


@dataclass(frozen=True, eq=False)
class ZarrChunk:
    """A band of rows: whole chunks of the store, where it was cut by `ZarrSource.spans`.

    Pickles as the store's address and the metadata of arrays.

    Attributes
    ----------
    variables : tuple of Variable
        Side by side, the columns.
    start, stop : int
        The rows.
    dtype : numpy.dtype
        float32 or float64.
    name : str
        What the user would call the array or group.
    fill_missing : bool
        Take the fill value where a chunk is missing.
    """

    variables: tuple[Variable, ...]
    start: int
    stop: int
    dtype: np.dtype
    name: str
    fill_missing: bool

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: the rows, and what is in flight for the variable that needs most."""
        n_features = sum(variable.n_features for variable in self.variables)
        in_flight = (v.bytes_in_flight(part) for v in self.variables for part in self._parts(v))
        return self.n_rows * n_features * self.dtype.itemsize + max(in_flight, default=0)

    @property
    def place(self) -> str:
        """The array, the rows, and the keys of the first and the last chunk (or shard)."""
        if self.n_rows == 0:
            return f"{self.name}, no rows"
        variable = self.variables[0]
        ends = [np.unravel_index(row, variable.sample_shape) for row in (self.start, self.stop - 1)]
        keys = [variable.chunk_key([int(index) for index in end]) for end in ends]
        marked = " (NaN stands for what attributes say is missing or not valid)"
        return (
            f"{self.name}, rows {self.start} to {self.stop}, chunk {' to '.join(dict.fromkeys(keys))}"
            f"{marked if any(each.coding.marks_missing for each in self.variables) else ''}"
        )

    def read(self) -> NDArray[np.floating]:
        """Read the rows.

        Raises
        ------
        DataError
            If a chunk is missing, cannot be decoded, or is larger than the memory.
        """
        try:
            return self._read()
        except MemoryError as error:
            raise DataError(
                f"{self.place}: {self.n_bytes / 2**30:,.1f} GiB are read at once, and there is not as much "
                f"memory ({error}): its metadata may be damaged; else write it anew in smaller chunks"
            ) from error

    def _read(self) -> NDArray[np.floating]:
        if len(self.variables) == len(self.variables[0].sample_axes) == 1:
            return np.asarray(self._stored(self.variables[0], (slice(self.start, self.stop),)), self.dtype)
        rows = np.empty((self.n_rows, sum(each.n_features for each in self.variables)), self.dtype)
        column = 0
        for variable in self.variables:
            first, last = 0, column + variable.n_features
            for part in self._parts(variable):
                n_rows = math.prod(own.stop - own.start for own in part)
                rows[first : first + n_rows, column:last] = self._stored(variable, part)
                first += n_rows
            column = last
        return rows

    def _parts(self, variable: Variable) -> list[tuple[slice, ...]]:
        return list(parts(variable.sample_shape, self.start, self.stop))

    def _stored(self, variable: Variable, part: tuple[slice, ...]) -> Any:
        try:
            return variable.read(part, fill_missing=self.fill_missing)
        except MissingChunkError as error:
            raise DataError(_lacks(variable.label, str(error), variable.array)) from None
        except DAMAGED as error:
            found, place = damaged_chunk(variable.array, variable.box(part)), self.place
            if found is not None:
                key, box = found
                own = box[variable.sample_axes[0]]
                rows = f"rows {own.start} to {own.stop}, " if len(variable.sample_axes) == 1 else ""
                place = f"{variable.label}, {rows}chunk {key}"
            raise DataError(f"{place} cannot be decoded, it may be damaged: {error}") from error


@dataclass(frozen=True, eq=False)
class ZarrSource:
    """Rows of Zarr arrays: of one, or of several side by side.

    Parameters
    ----------
    variables : tuple of Variable
        Side by side, the columns; all with the same rows.
    name : str
        What the user would call the array or group.
    feature_names : tuple of str, optional
        Names of the columns.
    fill_missing : bool, default=False
        Take the fill value where a chunk is missing.

    Raises
    ------
    DataError
        If a chunk is missing, naming it.
    """

    variables: tuple[Variable, ...]
    name: str
    feature_names: tuple[str, ...] | None = None
    fill_missing: bool = False

    def __post_init__(self) -> None:
        if not self.fill_missing:
            for variable in self.variables:
                _check_complete(variable)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return math.prod(self.variables[0].sample_shape)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return sum(variable.n_features for variable in self.variables)

    @property
    def dtype(self) -> np.dtype:
        """float32 where the values of all arrays are, else float64."""
        return np.result_type(*(variable.dtype for variable in self.variables))

    @property
    def holds_whole(self) -> bool:
        """Whether an array is of whole numbers that float64 may round."""
        return any(is_wide_integer(variable.array.dtype) for variable in self.variables)

    @property
    def finds_damage(self) -> bool:
        """Whether all chunks have checksums."""
        return all(finds_damage(variable.array) for variable in self.variables)

    @property
    def kept_checksums(self) -> object:
        """What was kept of rows when they were written, see `Fingerprint.kept`; None where nothing was."""
        variable = self.variables[0]
        as_written = len(self.variables) == 1 and variable.is_as_stored
        return variable.array.attrs.get(KEPT_AS) if as_written else None

    def spans(self) -> tuple[Span, ...]:
        """Cut the rows into spans of whole shards, and these into bands of whole chunks of about 8 MiB.

        A shard that is larger than a span is cut between its chunks: they can be read one by one.
        """
        row_bytes = self.n_features * self.dtype.itemsize
        span_bytes = span_bytes_for(self.n_rows * row_bytes)
        chunk_rows = self._chunk_rows(BANDS.largest_bytes // row_bytes)
        inner = math.prod(self.variables[0].sample_shape[1:])
        shard_rows = max(variable.stored_rows() * inner for variable in self.variables)
        unit = shard_rows if shard_rows * row_bytes <= span_bytes else chunk_rows
        span_rows = _whole(span_bytes // row_bytes, unit)
        band_rows = _whole(BANDS.wanted_bytes // row_bytes, chunk_rows)
        starts = range(0, self.n_rows, span_rows)
        return tuple(
            Span(
                index,
                start,
                tuple(
                    self.rows(first, min(first + band_rows, start + span_rows, self.n_rows))
                    for first in range(start, min(start + span_rows, self.n_rows), band_rows)
                ),
            )
            for index, start in enumerate(starts)
        )

    def _chunk_rows(self, most: int) -> int:
        """Return the rows of a stored chunk: along the first dimension that numbers rows, if not too many.

        Else along the second, and so on: then chunks are decoded for each index of the ones before.
        """
        shape = self.variables[0].sample_shape
        sizes = [max(sizes) for sizes in zip(*(v.chunk_sizes() for v in self.variables), strict=True)]
        along = [max(1, size * math.prod(shape[axis + 1 :])) for axis, size in enumerate(sizes)]
        return next((n_rows for n_rows in along if n_rows <= most), along[-1])

    def rows(self, start: int, stop: int) -> ZarrChunk:
        """Rows ``start`` to ``stop``."""
        return ZarrChunk(self.variables, start, stop, self.dtype, self.name, self.fill_missing)

    def revision(self) -> Revision:
        """What the stores say of the arrays' metadata and of their chunks, or of some of these."""
        most = max(1, most_keys(self.variables[0].array.store) // len(self.variables))
        return sum((variable.revision(most) for variable in self.variables), Revision())


def zarr_source(
    node: zarr.Array[Any] | zarr.Group,
    choice: Choice | None = None,
    *,
    name: str | None = None,
    n_dims: int = 2,
    fill_missing: bool = False,
    sample_dims: Sequence[str] | None = None,
) -> ZarrSource:
    """Make a source of an array, or of the variables of a group.

    Shapes, chunks and attributes are those of each array's own metadata, whatever has been consolidated.

    Parameters
    ----------
    node : zarr.Array or zarr.Group
        An array of shape (n_rows, n_features), or (n_rows,) for weights; or a group.
    choice : Choice or None, default=None
        The arrays of a group to take, in this order, or those of a mixture's features, where all are there.
        Default: all data variables of numbers, by name; coordinates, and what says where values are, are not
        among them.
    name : str, optional
        What the user would call it. Default: its address in the store.
    n_dims : int, default=2
        2 for rows, 1 for weights.
    fill_missing : bool, default=False
        Take the fill value where a chunk is missing.
    sample_dims : sequence of str, optional
        Names of the dimensions that number the rows; others number features.

    Returns
    -------
    ZarrSource

    Raises
    ------
    DataError
        As `ZarrSource`; if the variables do not fit together, or hold no real numbers.

    Warns
    -----
    DataWarning
        If variables of a group are left out as they hold no numbers, or by their names are no measurements.
    """
    choice = choice or Choice()
    name = redacted(node.store_path).removeprefix("file://") if name is None else name
    if isinstance(node, zarr.Array):
        if choice.columns is not None:
            raise DataError(f"columns= was given, but {name} is one Zarr array, without named columns")
        return _of_array(own_metadata(node), sample_dims, name, n_dims, fill_missing=fill_missing)
    if n_dims == 1:
        raise DataError(f"{name} is a Zarr group; give the path of the 1-D array in it")
    arrays = chosen_arrays(node, choice, name)
    dimensions = {column: dimensions_of(array) for column, array in arrays.items()}
    chosen = choose_sample_dims(dimensions, sample_dims, name)
    variables = {
        column: Variable.of(array, chosen, f"{name}, column {column!r}") for column, array in arrays.items()
    }
    check_sizes({column: variable.sample_shape for column, variable in variables.items()}, name)
    names = [
        feature
        for column, variable in variables.items()
        for feature in feature_names(column, variable.feature_shape)
    ]
    check_no_two(names, names, name)
    return ZarrSource(tuple(variables.values()), name, tuple(names), fill_missing)


def _of_array(
    array: zarr.Array[Any], sample_dims: Sequence[str] | None, name: str, n_dims: int, *, fill_missing: bool
) -> ZarrSource:
    own = dimensions_of(array)
    rows_dtype(array.dtype, name)  # before its shape: of records, fields would be columns
    if sample_dims is None or n_dims == 1:
        check_shape(array.shape, n_dims, name)
        sample_dims = own[:1]
    chosen = choose_sample_dims({name: own}, sample_dims, name)
    return ZarrSource((Variable.of(array, chosen, name),), name, None, fill_missing)


def _check_complete(variable: Variable) -> None:
    """Refuse an array of which a chunk (or shard) is not in the store."""
    absent = absent_keys(variable.array)
    if absent:
        at_least = "at least " if len(absent) == MOST_ABSENT else ""
        others = f" and {at_least}{len(absent) - 1:,} more" if len(absent) > 1 else ""
        raise DataError(_lacks(variable.label, f"{absent[0]}{others}", variable.array))
    short = shard_without_room(variable.array)
    if short:
        raise DataError(f"{variable.label}: {short}; its metadata or that shard is damaged")


def _lacks(name: str, chunks: str, array: zarr.Array[Any]) -> str:
    return (
        f"{name} lacks chunk {chunks}; restore it, or, if its rows are meant to hold the "
        f"fill value {array.fill_value} (writers may leave such chunks out), open with fill_missing=True"
    )


def _whole(wanted: int, unit: int) -> int:
    """Return the largest multiple of ``unit`` up to ``wanted``, but at least one."""
    return max(1, wanted // unit) * unit
