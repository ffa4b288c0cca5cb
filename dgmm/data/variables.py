"""One Zarr array as columns of a table: its axes in order, and its numbers decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.metadata import ArrayV3Metadata

from dgmm.data.conventions import Coding, coding_of
from dgmm.data.dimensions import Dimensions, Part
from dgmm.data.missing import Box, read_part
from dgmm.data.revision import Revision, evenly, of_keys
from dgmm.data.source import DataError

DECODED_AT_ONCE = 10  # zarr's default `async.concurrency`
DIMENSIONS_KEY = "_ARRAY_DIMENSIONS"
"""Attribute of format 2 with the names of the dimensions, as xarray writes it."""

DOCUMENTS = {2: (".zarray", ".zattrs"), 3: ("zarr.json",)}
"""Keys of the metadata of an array, by the format."""

MASK_BYTES = 4
"""Bytes that decoding takes for each number beside the values."""


def dimensions_of(array: zarr.Array[Any]) -> tuple[str, ...]:
    """Return the names of an array's dimensions; numbers where it has none, as xarray names them."""
    names: Any = array.attrs.get(DIMENSIONS_KEY)
    if isinstance(array.metadata, ArrayV3Metadata):
        names = array.metadata.dimension_names
    if not isinstance(names, (list, tuple)) or len(names) != array.ndim:
        names = [None] * array.ndim
    return tuple(f"dim_{axis}" if name is None else str(name) for axis, name in enumerate(names))


def is_named(array: zarr.Array[Any]) -> bool:
    """Return whether an array has names for its dimensions."""
    return dimensions_of(array) != tuple(f"dim_{axis}" for axis in range(array.ndim))


@dataclass(frozen=True, eq=False)
class Variable:
    """An array whose axes number rows and features.

    Attributes
    ----------
    array : zarr.Array
    coding : Coding
        How its numbers are decoded.
    sample_axes, feature_axes : tuple of int
        The axes that number rows, and those that number features, from slow to fast.
    label : str
        What a user would call it, for messages.
    """

    array: zarr.Array[Any] = field(repr=False)  # it tells of URLs with all that they hold
    coding: Coding
    sample_axes: tuple[int, ...]
    feature_axes: tuple[int, ...]
    label: str

    @classmethod
    def of(cls, array: zarr.Array[Any], sample_dims: Dimensions, label: str) -> Variable:
        """Take an array over some dimensions, which number the rows; the others number its features.

        Raises
        ------
        DataError
            If it does not hold numbers, or is described by attributes that cannot be understood.
        """
        own = dimensions_of(array)
        if math.prod(array.chunks) == 0 and array.ndim:
            raise DataError(f"{label} has chunks of shape {array.chunks}: its metadata is damaged")
        # In format 2 the fill value is xarray's `_FillValue`; of other writers it is what is not written yet.
        means_missing = array.metadata.zarr_format == 2 and is_named(array)
        coding = coding_of(
            array.attrs.asdict(), array.dtype, label, array.fill_value if means_missing else None
        )
        samples = tuple(own.index(dim) for dim in sample_dims)
        return cls(array, coding, samples, tuple(i for i in range(array.ndim) if i not in samples), label)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Rows along each dimension that numbers them."""
        return tuple(self.array.shape[axis] for axis in self.sample_axes)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Features along each dimension that numbers them; empty for one feature."""
        return tuple(self.array.shape[axis] for axis in self.feature_axes)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return math.prod(self.feature_shape)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.coding.dtype

    @property
    def is_as_stored(self) -> bool:
        """Whether rows are those of the array, number by number."""
        return not self.coding.changes and self.sample_axes == (0,) and self.array.ndim <= 2

    def chunk_sizes(self) -> tuple[int, ...]:
        """Rows of a chunk along each dimension that numbers rows."""
        return tuple(self.array.chunks[axis] for axis in self.sample_axes)

    def stored_rows(self) -> int:
        """Rows of a stored file (a chunk, or a shard of them) along the first of these dimensions."""
        return (self.array.shards or self.array.chunks)[self.sample_axes[0]]

    def read(self, part: Part, *, fill_missing: bool) -> NDArray[Any]:
        """Read a part of the rows.

        Parameters
        ----------
        part : tuple of slice
            Along each dimension that numbers rows.
        fill_missing : bool
            Take the fill value where a chunk is missing.

        Returns
        -------
        ndarray of shape (rows of the part, n_features)

        Raises
        ------
        MissingChunkError
            Where a chunk is missing.
        """
        box = self.box(part)
        stored: Any = read_part(self.array, box, fill_missing=fill_missing)
        values = self.coding.decode(np.asarray(stored)).transpose(self.sample_axes + self.feature_axes)
        return values.reshape(-1, self.n_features) if self.n_features else values.reshape(len(values), 0)

    def box(self, part: Part) -> Box:
        """Return where the numbers of a part of the rows are: along each axis of the array."""
        box = [slice(0, size) for size in self.array.shape]
        for axis, own in zip(self.sample_axes, part, strict=True):
            box[axis] = own
        return tuple(box)

    def chunk_key(self, place: Sequence[int]) -> str:
        """Return the key of the stored file that holds the first number of a row."""
        where = [0] * self.array.ndim
        for axis, index in zip(self.sample_axes, place, strict=True):
            where[axis] = index // (self.array.shards or self.array.chunks)[axis]
        return self.array.metadata.encode_chunk_key(tuple(where))

    def revision(self, most: int) -> Revision:
        """Ask the store after the array's metadata, and at most so many of its chunks (or shards)."""
        array = self.array
        steps = array.shards or array.chunks
        grid = [math.ceil(size / step) for size, step in zip(array.shape, steps, strict=True)]
        # In Python's numbers: a grid may have more chunks than an index of NumPy can count.
        numbers = evenly(math.prod(grid), most)
        keys = [array.metadata.encode_chunk_key(_place(number, grid)) for number in numbers]
        prefix = f"{array.path}/" if array.path else ""
        documents = DOCUMENTS[array.metadata.zarr_format]
        return of_keys(array.store, [prefix + key for key in (*documents, *keys)])

    def bytes_in_flight(self, part: Part) -> int:
        """Forecast the bytes that reading a part takes beside the rows.

        That is the stored values before they are decoded, the decoded ones, the chunks being decompressed,
        and their compressed bytes (of all chunks where they lie in shards), taken to be as many as those.
        """
        array, box = self.array, self.box(part)
        n_met = math.prod(
            max(0, -(-own.stop // step) - own.start // step)
            for own, step in zip(box, array.chunks, strict=True)
        )
        chunk_bytes = math.prod(array.chunks) * array.dtype.itemsize
        met_bytes = n_met * chunk_bytes
        at_once = DECODED_AT_ONCE**2 if array.shards else DECODED_AT_ONCE
        decoding = min(met_bytes, at_once * chunk_bytes)
        encoded = met_bytes if array.shards else decoding
        n_values = math.prod(own.stop - own.start for own in box)
        width = np.dtype(self.coding.decoded).itemsize
        values = n_values * (width + array.dtype.itemsize + MASK_BYTES) if self.coding.changes else 0
        turned = 0 if self.sample_axes + self.feature_axes == tuple(range(array.ndim)) else n_values * width
        return n_values * array.dtype.itemsize + max(encoded + decoding, values + turned)


def _place(number: int, grid: Sequence[int]) -> tuple[int, ...]:
    """Return the place of a chunk in the grid of them, the last axis fastest."""
    place = []
    for size in reversed(grid):
        number, index = divmod(number, size)
        place.append(index)
    return tuple(reversed(place))
