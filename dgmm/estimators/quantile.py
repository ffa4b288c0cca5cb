"""A quantile of one number of each row, over all rows, in two passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError, Source
from dgmm.fitting.checks import check_weights
from dgmm.model.quantiles import FIRST_SHIFT, MOST_KEPT, Bin, Histogram, next_shift
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

SMALL_SHARE = 1e-5
"""Share of the rows in a bin that needs no further pass."""


@dataclass(frozen=True)
class HistogramWork:
    """The work of a pass that counts numbers.

    Attributes
    ----------
    of : callable
        Gives the numbers, (n_rows,), of a chunk of rows; picklable.
    shift : int
    within : tuple of Bin
        See `Histogram.of`.
    """

    of: Callable[[ChunkRows], NDArray[np.floating]]
    shift: int
    within: tuple[Bin, ...] = ()

    def __call__(self, chunks: Iterator[ChunkRows]) -> Histogram:
        """Count the numbers of a span."""
        total = Histogram.of(np.empty(0), None, self.shift)
        for chunk in chunks:
            if chunk.weights is not None:
                check_weights(chunk)
            values = self.of(chunk)
            if np.isnan(values).any():
                row = chunk.start + int(np.isnan(values).argmax())
                raise DataError(f"the score of row {row}, of {chunk.place}, is NaN: leave such rows out")
            total += Histogram.of(values, chunk.weights, self.shift, self.within)
        return total


def quantile(
    source: Source,
    of: Callable[[ChunkRows], NDArray[np.floating]],
    share: float,
    weights: Source | None = None,
    purpose: str = "quantile",
) -> float:
    """Find a quantile of a number of each row: the same bits on any scheduler.

    It is what ``numpy.quantile`` gives, where at most 2²⁰ rows are as near to it as 2⁻⁸ of its value, or are
    all: the first pass counts numbers by their leading bits, and the second keeps those near the quantile. Of
    more rows, passes are made until a bin has 10⁻⁵ of the weight at most, and the bin's border is given.

    Parameters
    ----------
    source : Source
    of : callable
        Gives the numbers, (n_rows,), of a chunk of rows; picklable.
    share : float
        Of the rows that are to be lower.
    weights : Source, optional
        Weights of the rows: a whole number counts a row that many times.
    purpose : str
        For the progress display.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a number is NaN, or no row has a weight.
    """

    def counted(shift: int, within: tuple[Bin, ...] = ()) -> Histogram:
        return run_pass(source, HistogramWork(of, shift, within), purpose, weights)

    found = counted(0 if source.n_rows <= MOST_KEPT else FIRST_SHIFT)
    total = found.weight
    if total == 0.0:
        raise DataError("sample_weight is zero in every row: no row counts")
    place = max(0.0, (total - 1.0) * share)
    lower = math.floor(place)
    bins = [found.bin_at(lower), found.bin_at(lower + 1)]
    while bins[0].shift and (found.shift == FIRST_SHIFT or _is_coarse(bins, total)):
        within = tuple(dict.fromkeys(bins))
        found = counted(next_shift(within), within)
        bins = [found.bin_at(lower, bins[0]), found.bin_at(lower + 1, bins[1])]
    low, high = bins[0].value, bins[1].value
    part = place - lower
    return low if part == 0.0 or low == high else low + part * (high - low)


def _is_coarse(bins: list[Bin], total: float) -> bool:
    return max(each.weight for each in bins) > SMALL_SHARE * total
