"""Rows grouped by which values they lack: their patterns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.priors import RowPriors
from dgmm.model.jit import in_one_form, ready_module
from dgmm.model.matrices import Array

CODE_BITS, DIRECT_BITS = 64, 12
"""Most features of rows whose patterns the compiled loop tells apart; and of all by a table."""

SPREAD = 0x9E3779B97F4A7C15
"""An odd number that spreads codes over the places of a table, by the upper bits of the product."""


class Grouped(NamedTuple):
    """Rows of a few patterns, pattern after pattern.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
        NaN where a value is missing; those of a pattern as they were in order.
    weights : ndarray of shape (n_rows,) or (n_models, n_rows), or None
        Of these.
    order : ndarray of shape (n_rows,), int, or None
        Where they were; None where that was not asked for.
    ends : ndarray of shape (n_patterns,), int
        Where each pattern ends.
    known : ndarray of shape (n_patterns, n_features), bool
        Which features rows of each have.
    priors : RowPriors or None
        Of these.
    places : ndarray of shape (n_patterns,), int, or None
        Of the patterns in a list of them, where there is one.
    """

    rows: NDArray[np.floating]
    weights: Array | None
    order: NDArray[np.intp] | None
    ends: NDArray[np.intp]
    known: NDArray[np.bool_]
    priors: RowPriors | None = None
    places: NDArray[np.intp] | None = None

    @property
    def segments(self) -> list[slice]:
        """Where each pattern is."""
        return [slice(*each) for each in pairwise([0, *self.ends.tolist()])]

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Rows of each pattern: (n_patterns,)."""
        return np.diff(self.ends, prepend=0)

    @property
    def n_bytes(self) -> int:
        """Bytes of the arrays."""
        return sum(each.nbytes for each in self if each is not None)

    def of(self, chosen: NDArray[np.bool_]) -> Grouped:
        """Return the rows of some patterns."""
        if chosen.all():
            return self
        which = np.repeat(chosen, self.sizes)
        weights = None if self.weights is None else self.weights[..., which]
        ends = np.cumsum(self.sizes[chosen])
        priors = None if self.priors is None else self.priors.of_rows(which)
        places = None if self.places is None else self.places[chosen]
        return Grouped(self.rows[which], weights, None, ends, self.known[chosen], priors, places)


def grouped(
    rows: NDArray[np.floating],
    weights: Array | None = None,
    memory: NDArray[np.uint8] | None = None,
    priors: RowPriors | None = None,
) -> Grouped:
    """Put rows together by what they lack.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or (n_models, n_rows), optional
    memory : ndarray of uint8, optional
        Where they may be put, of at least as many bytes: fresh memory is slow. Then the order is not given.
    priors : RowPriors, optional
    """
    n_rows, n_features = rows.shape
    module = ready_module("dgmm.kernels.grouping") if n_features <= CODE_BITS else None
    if module is None:
        order, ends = _sorted(_digits(np.isnan(rows)))
        found = rows if (order[1:] > order[:-1]).all() else rows.take(order, axis=0)
    else:
        found = in_one_form(rows)
        n_distinct = min(n_rows, 2 ** min(n_features, 32))
        n_bits = n_features if n_features <= DIRECT_BITS else (2 * n_distinct).bit_length()
        place = (1, 0) if n_features <= DIRECT_BITS else (SPREAD, 64 - n_bits)
        table, ends = np.full(2**n_bits, -1, np.int32), np.zeros(n_distinct, np.intp)
        codes, numbers = np.empty(n_distinct, np.uint64), np.empty(n_rows, np.int32)
        ends = ends[: module.number(found, table, *map(np.uint64, place), codes, numbers, ends)]
        has_order = memory is None or weights is not None or priors is not None
        order = np.arange(n_rows) if has_order else None
        if (numbers[1:] < numbers[:-1]).any():
            given, found = found, np.empty_like(found) if memory is None else _view(memory, found)
            module.sort(given, numbers, ends, np.empty(0, np.intp) if order is None else order, found)
    if weights is not None:
        weights = weights[..., order]
    if priors is not None and order is not None:
        priors = priors.of_rows(order)
    starts = np.append(0, ends[:-1])[: len(ends)]
    return Grouped(found, weights, order, ends, ~np.isnan(found[starts]), priors)


def _view(memory: NDArray[np.uint8], rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """View memory as an array such as the rows are."""
    return memory[: rows.nbytes].view(rows.dtype).reshape(rows.shape)


def patterns_of(
    rows: NDArray[np.floating],
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.floating]]]:
    """Yield which features the rows of each pattern have, which rows these are, and these in order."""
    found = grouped(rows)
    assert found.order is not None
    for is_known, segment in zip(found.known, found.segments, strict=True):
        yield is_known, found.order[segment], found.rows[segment]


def by_pattern(rows: NDArray[np.floating]) -> NDArray[np.intp]:
    """Give the order in which rows that lack the same are together: what is evaluated often is to have it."""
    found = grouped(rows)
    assert found.order is not None
    return found.order


def _sorted(digits: NDArray[np.unsignedinteger]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the order in which equal columns are together, as they first come, and where those alike end."""
    n_rows = digits.shape[1]
    order = np.argsort(digits[0], kind="stable")
    for digit in digits[1:]:
        order = order[np.argsort(digit[order], kind="stable")]
    in_order = digits[:, order]
    is_first = np.append(True, (in_order[:, 1:] != in_order[:, :-1]).any(axis=0))[:n_rows]
    starts = np.flatnonzero(is_first)
    ranking = np.argsort(order[starts])  # sorting is stable: the first of those alike came first
    ranks = np.empty_like(ranking)
    ranks[ranking] = np.arange(len(ranking))
    again = np.argsort(ranks[np.cumsum(is_first) - 1], kind="stable")
    sizes = np.diff(np.append(starts, n_rows))
    return order[again], np.cumsum(sizes[ranking])


def _digits(lacks: NDArray[np.bool_]) -> NDArray[np.unsignedinteger]:
    """Return numbers that tell patterns apart: (n_digits, n_rows), of at most 16 bits, which sort fast."""
    n_rows, n_features = lacks.shape
    dtype = np.dtype(np.uint8 if n_features <= 8 else np.uint16)
    n_bits = 8 * dtype.itemsize
    digits = np.zeros((-(-n_features // n_bits), n_rows), dtype)
    for feature, column in enumerate(lacks.T):
        digits[feature // n_bits] |= column.astype(dtype) << (feature % n_bits)
    return digits
