"""Quantiles over passes: additive histograms of leading bits, finer from pass to pass.

As integers, the 64 bits of a number (those of a negative one turned round) are in the numbers' order. A bin
is all numbers that have the same leading bits: its borders do not depend on the data, so that counts add up
to the same whole numbers however rows are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array

SIGN = np.uint64(1 << 63)
LEADING_BITS = 20
"""Bits by which a pass refines: of the first pass, the sign, the exponent and 8 of the fraction."""
FIRST_SHIFT = 64 - LEADING_BITS
MOST_KEPT = 2**20
"""Rows of which all bits are kept."""


def keys_of(values: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Return integers in the order of numbers, none of which is NaN."""
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # −0 becomes 0
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def value_of(key: int) -> float:
    """Return the number of a key: undo `keys_of`."""
    bits = np.array(key, np.uint64)
    return float(np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float64))


@dataclass(frozen=True)
class Bin:
    """A bin of a histogram of all numbers.

    Attributes
    ----------
    prefix : int
        The leading bits of its numbers' keys.
    shift : int
        How many bits are not among them; 0 where the bin is one number.
    below : float
        Weight of the numbers below the bin.
    weight : float
        Of the numbers in it.
    n_rows : int
        How many these are.
    """

    prefix: int
    shift: int
    below: float
    weight: float
    n_rows: int

    @property
    def first(self) -> int:
        """The key of its least number."""
        return self.prefix << self.shift

    @property
    def value(self) -> float:
        """Its least number."""
        return value_of(self.first)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Weights of numbers by the leading bits of their keys; of different rows they add up.

    Attributes
    ----------
    shift : int
        How many bits are not looked at.
    prefixes : ndarray of shape (n_bins,), uint64
        Of the bins that are not empty, ascending.
    weights : ndarray of shape (n_bins,)
    counts : ndarray of shape (n_bins,), int64
        Numbers of rows.
    """

    shift: int
    prefixes: NDArray[np.uint64]
    weights: Array
    counts: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        values: NDArray[np.floating],
        weights: NDArray[np.floating] | None,
        shift: int,
        within: Sequence[Bin] = (),
    ) -> Histogram:
        """Count numbers.

        Parameters
        ----------
        values : ndarray of shape (n_rows,)
            None is NaN.
        weights : ndarray of shape (n_rows,) or None
            Rows without weight are not counted.
        shift : int
        within : sequence of Bin
            Coarser bins: numbers in others are not counted. All are, where there are none.
        """
        keys = keys_of(values)
        kept = np.ones(len(keys), bool) if weights is None else weights > 0.0
        if within:
            kept &= np.any([(keys >> np.uint64(each.shift)) == each.prefix for each in within], axis=0)
        prefixes = keys[kept] >> np.uint64(shift)
        own = None if weights is None else weights[kept]
        return cls._summed(shift, prefixes, own, None)

    @classmethod
    def _summed(
        cls, shift: int, prefixes: NDArray[np.uint64], weights: Array | None, counts: NDArray[np.int64] | None
    ) -> Histogram:
        """Sum what has the same prefix; weights and counts of 1 by default."""
        if not len(prefixes):
            return cls(shift, prefixes, np.zeros(0), np.zeros(0, np.int64))
        low = prefixes.min()
        width = int(prefixes.max() - low) + 1
        if width <= 2**LEADING_BITS:  # counting is faster than sorting
            places, found = (prefixes - low).astype(np.int64), None
        else:
            found, places = np.unique(prefixes, return_inverse=True)
        # Counts are exact as float64: there are fewer than 2^53 rows.
        n_rows = np.bincount(places, counts)
        sums = np.asarray(n_rows if weights is None else np.bincount(places, weights), np.float64)
        there = np.flatnonzero(n_rows)
        found = low + there.astype(np.uint64) if found is None else found
        return cls(shift, found, sums[there], n_rows[there].astype(np.int64))

    def __add__(self, other: Histogram) -> Histogram:
        return self._summed(
            self.shift,
            np.concatenate([self.prefixes, other.prefixes]),
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.counts, other.counts]),
        )

    @property
    def weight(self) -> float:
        """Weight of all numbers."""
        return float(self.weights.sum())

    def bin_at(self, position: float, parent: Bin | None = None) -> Bin:
        """Return the bin of the number that comes after some weight of others.

        Parameters
        ----------
        position : float
            That weight: with weights of 1, the place in ascending order, from 0.
        parent : Bin, optional
            The coarser bin that it is known to be in.
        """
        mine, below = slice(None), 0.0
        if parent is not None:
            coarse = self.prefixes >> np.uint64(parent.shift - self.shift)
            first, last = np.searchsorted(coarse, np.array([parent.prefix, parent.prefix + 1], np.uint64))
            mine, below = slice(first, last), parent.below
        ends = below + np.cumsum(self.weights[mine])
        index = min(int(np.searchsorted(ends, position, side="right")), len(ends) - 1)
        weight = float(self.weights[mine][index])
        return Bin(
            int(self.prefixes[mine][index]),
            self.shift,
            float(ends[index]) - weight,
            weight,
            int(self.counts[mine][index]),
        )


def next_shift(bins: Sequence[Bin]) -> int:
    """Choose how many bits the next pass does not look at, within these bins of one shift."""
    n_rows = sum(each.n_rows for each in bins)
    return 0 if n_rows <= MOST_KEPT else max(0, bins[0].shift - LEADING_BITS)
