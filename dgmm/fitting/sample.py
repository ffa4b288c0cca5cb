"""A random sample of the rows: those with the smallest keyed hashes of their numbers.

Samples of parts of the rows merge to that of all, whichever way the rows are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.data.memory import MemorySource
from dgmm.kernels.precision import LARGEST_FLOAT32


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows drawn at random: those with the smallest hashes.

    Attributes
    ----------
    hashes : ndarray of shape (n_drawn,), uint64
    numbers : ndarray of shape (n_drawn,)
        Row numbers.
    values : ndarray of shape (n_drawn, n_features)
    weights : ndarray of shape (n_drawn,) or None
    side_information : ndarray of shape (n_drawn, n_columns), or None
        What is known of the rows beyond their features.
    """

    hashes: NDArray[np.uint64]
    numbers: NDArray[np.int64]
    values: NDArray[np.floating]
    weights: NDArray[np.floating] | None
    side_information: NDArray[np.floating] | None = None

    @property
    def row_weight(self) -> float:
        """Mean weight of the rows that have any."""
        positive = np.ones(1) if self.weights is None else self.weights[self.weights > 0.0]
        return float(positive.mean()) if len(positive) else 0.0

    @property
    def counting(self) -> NDArray[np.floating]:
        """The rows that have a weight above zero: shape (n, n_features)."""
        return self.values if self.weights is None else self.values[self.weights > 0.0]

    @property
    def informative(self) -> tuple[Sample, NDArray[np.float64]]:
        """The rows that have a weight above zero and any value, and what each weighs: (n,)."""
        counts = np.ones(len(self.values)) if self.weights is None else self.weights.astype(np.float64)
        kept = (counts > 0.0) & ~np.isnan(self.values).all(axis=1)
        return self.part(kept), counts[kept]

    @property
    def mean(self) -> NDArray[np.floating]:
        """Mean of the rows, whatever they weigh: shape (n_features,)."""
        return self.values.mean(axis=0, dtype=np.float64)

    def sources(
        self, name: str, feature_names: tuple[str, ...] | None = None
    ) -> tuple[MemorySource, MemorySource | None]:
        """Return the rows and their weights as sources: of all rows, where there are not more."""
        weights = None if self.weights is None else MemorySource(self.weights[:, None])
        return MemorySource(self.values, feature_names, name), weights

    def in_single_precision(self, centre: NDArray[np.floating]) -> Sample:
        """Return the rows less a centre, as float32: what is far from zero would lose digits otherwise.

        As float64 where squares would leave the range of float32. Weights are divided by their mean: others
        cast them to the dtype of the rows.
        """
        above = self.values.max(axis=0, initial=-np.inf) - centre
        below = centre - self.values.min(axis=0, initial=np.inf)
        sizes = np.maximum(np.maximum(above, below), 0.0)  # of the deviations, without a copy of them
        # Of a column that does not vary, rounding errors of its mean are left.
        sizes[sizes < 8 * np.finfo(float).eps * np.abs(centre)] = 0.0
        in_range = (sizes < LARGEST_FLOAT32) & ((sizes > 1.0 / LARGEST_FLOAT32) | (sizes == 0.0))
        weights = None if self.weights is None else self.weights / (self.row_weight or 1.0)
        values = np.empty(self.values.shape, np.float32 if in_range.all() else np.float64)
        np.subtract(self.values, centre, out=values, casting="same_kind")
        return replace(self, values=values, weights=weights)

    @classmethod
    def joined(cls, parts: Sequence[Sample], size: int | None = None) -> Sample:
        """Join samples of different rows, one at least; with a size those that have the smallest hashes.

        That is one copy of them.
        """
        parts = [part for part in parts if len(part.hashes)] or parts[:1]
        hashes = np.concatenate([part.hashes for part in parts])
        n_kept = len(hashes) if size is None else min(size, len(hashes))
        if n_kept == len(hashes) and len(parts) == 1:  # spares a copy
            return parts[0]
        last = np.partition(hashes, n_kept - 1)[n_kept - 1]
        kept = [part.hashes <= last for part in parts]
        weights = [part.weights for part in parts if part.weights is not None]
        columns = [part.side_information for part in parts if part.side_information is not None]
        return cls(
            _gathered([part.hashes for part in parts], kept),
            _gathered([part.numbers for part in parts], kept),
            _gathered([part.values for part in parts], kept),
            _gathered(weights, kept) if weights else None,
            _gathered(columns, kept) if columns else None,
        )

    def part(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> Sample:
        """Return some of its rows, by a mask or by their places."""
        weights, columns = (
            None if each is None else each[kept] for each in (self.weights, self.side_information)
        )
        return replace(
            self,
            hashes=self.hashes[kept],
            numbers=self.numbers[kept],
            values=self.values[kept],
            weights=weights,
            side_information=columns,
        )

    def drawn(self, size: int) -> Sample:
        """Keep the rows with the ``size`` smallest hashes, in row order."""
        kept = None if len(self.hashes) <= size else self.smallest(size)
        numbers = self.numbers if kept is None else self.numbers[kept]
        if not (numbers[1:] > numbers[:-1]).all():
            order = np.argsort(numbers, kind="stable")
            kept = order if kept is None else kept[order]
        return self if kept is None else self.part(kept)

    def smallest(self, size: int) -> NDArray[np.intp]:
        """Return the places of the ``size`` smallest hashes, all different: (size,), ascending."""
        if not 0 < size < len(self.hashes):
            return np.arange(max(0, min(size, len(self.hashes))))
        return np.flatnonzero(self.hashes <= np.partition(self.hashes, size - 1)[size - 1])


def _gathered(arrays: Sequence[NDArray], kept: Sequence[NDArray[np.bool_]]) -> NDArray:
    """Join the rows of arrays that are kept, with no more than one copy of them at a time."""
    ends = np.cumsum([np.count_nonzero(own) for own in kept]).tolist()
    found = np.empty((ends[-1], *arrays[0].shape[1:]), np.result_type(*arrays))
    for array, own, begin, end in zip(arrays, kept, [0, *ends], ends, strict=False):
        found[begin:end] = array[own]
    return found


def hash_numbers(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash row numbers with a key: splitmix64 (Steele, Lea and Flood 2014).

    Parameters
    ----------
    seed : int
        The key, 0 to 2⁶⁴ − 1.
    numbers : ndarray of int, of any shape

    Returns
    -------
    ndarray of the shape of numbers, uint64
        Uniform, as if independent.
    """
    with np.errstate(over="ignore"):
        key = _mix(np.array([seed], np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        return _mix((numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + key)


def uniform_numbers(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Draw a number between 0 and 1, exclusively, for each row number: from its hash, by the key alone.

    Parameters
    ----------
    seed, numbers
        As for `hash_numbers`.

    Returns
    -------
    ndarray of the shape of numbers
    """
    return ((hash_numbers(seed, numbers) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
