"""Full components of many features: densities and sums from deviations, as products of matrices.

With ``y = Uᵀ(x − μ)`` a log joint density is ``c − ½‖y‖²``, and the sums of a component are products of the
deviations of its own rows: no table of all products of two features, and nothing that cancels.

U is upper triangular, so that the first entries of y need the first features alone. The squared length of
these only grows with the others, so ``c − ½‖y₁‖²`` is a bound. Rows whose bound is far below what another
component has of them are left out: their responsibility is negligible, whatever the other features say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.stack import Centred, Group, Stack
from dgmm.model.matrices import Array, add_products_of, pack, times_factor


@dataclass(frozen=True)
class WhitenedTuning:
    """How rows are cut, and when they are left out. Chosen by docs/notes/2026-11-26-wide.md.

    Attributes
    ----------
    piece_rows : int
        Rows that a product of matrices takes at once.
    leading_share : float
        Of the features that bounds are of: with more they are nearer, and cost as the square of it.
    fewest_components : int
        Of a model, for bounds to be worth it.
    most_near : float
        Share of all pairs of a row and a component that the bounds leave: with more, all are evaluated, which
        takes no copies.
    """

    piece_rows: int = 512
    leading_share: float = 1 / 8
    fewest_components: int = 4
    most_near: float = 0.5


WHITENED = WhitenedTuning()

Rows = NDArray[np.floating]
Which = NDArray[np.intp] | None
"""Numbers of rows; None for all."""


class Whitened:
    """The work on blocks of rows of a whitened group.

    Parameters
    ----------
    stack : Stack
    group : Group
    """

    def __init__(self, stack: Stack, group: Group):
        self.stack, self.group = stack, group
        self.entries: list[Centred] = [stack.centred[index] for index in stack.centred_in(group)]
        self.buffer = np.empty((0, stack.n_features), stack.dtype)

    def pieces(self, rows: Rows, which: Which, point: Array) -> Iterator[tuple[slice, Rows]]:
        """Yield deviations (n, D) from a point, piece by piece: each takes the place of the last."""
        n_rows = len(rows) if which is None else len(which)
        if len(self.buffer) < min(n_rows, WHITENED.piece_rows):
            self.buffer = np.empty((min(n_rows, WHITENED.piece_rows), rows.shape[1]), self.buffer.dtype)
        for start in range(0, n_rows, WHITENED.piece_rows):
            part = slice(start, min(start + WHITENED.piece_rows, n_rows))
            own = rows[part] if which is None else rows.take(which[part], axis=0)
            yield part, np.subtract(own, point, out=self.buffer[: len(own)], casting="same_kind")


class WhitenedDensities(Whitened):
    """Log joint densities; ``negligible`` are responsibilities that may be made zero."""

    def __init__(self, stack: Stack, group: Group, negligible: float):
        super().__init__(stack, group)
        self.margin = -float(np.log(negligible))
        leading = slice(max(1, int(WHITENED.leading_share * stack.n_features)))
        self.n_leading = leading.stop
        self.leading = [
            np.ascontiguousarray(self._factor(entry)[leading, leading], stack.dtype) for entry in self.entries
        ]

    def _factor(self, entry: Centred) -> Array:
        return self.stack.models[entry.model].precisions_cholesky[entry.component]

    def write(self, rows: Rows, densities: NDArray[np.floating], *, may_leave_out: bool = True) -> None:
        """Write those of rows (n, D) to an array (K, n): −∞ where responsibilities are negligible.

        None may be left out where more is to be added to them.
        """
        for run in self.group.runs:
            size = (run.rows.stop - run.rows.start) // len(run.models)
            for first in range(run.rows.start, run.rows.stop, size):
                numbers = range(first, first + size)
                may = may_leave_out and size >= WHITENED.fewest_components
                if not may or not self._write_near(rows, densities, numbers):
                    for number in numbers:
                        densities[number] = self._exact(rows, None, number)

    def _write_near(self, rows: Rows, densities: NDArray[np.floating], numbers: range) -> bool:
        """Write those of one model where they may matter; False where that is not worth it."""
        own, every = densities[numbers.start : numbers.stop], np.arange(len(rows))
        leading = np.ascontiguousarray(rows[:, : self.n_leading])
        for number in numbers:
            densities[number] = self._bounds(leading, number)
        winners = own.argmax(axis=0)
        best = np.empty(len(rows), densities.dtype)
        for number in numbers:
            which = np.flatnonzero(winners == number - numbers.start)
            best[which] = self._exact(rows, which, number)
        near = own >= best - self.margin
        if np.count_nonzero(near) > WHITENED.most_near * near.size:
            return False
        near[winners, every] = False
        own[:] = -np.inf
        own[winners, every] = best
        for number, is_near in zip(numbers, near, strict=True):
            which = np.flatnonzero(is_near)
            densities[number, which] = self._exact(rows, which, number)
        return True

    def _bounds(self, leading: Rows, number: int) -> NDArray[np.floating]:
        """Return bounds of the log joint densities of a component, from leading features: (n,)."""
        entry, factor = self.entries[number], self.leading[number]
        deviations = (leading - entry.mean[: self.n_leading]).astype(factor.dtype, copy=False)
        y = deviations @ factor
        return entry.log_constant - 0.5 * np.einsum("nd,nd->n", y, y)

    def _exact(self, rows: Rows, which: Which, number: int) -> NDArray[np.floating]:
        """Return the log joint densities of rows with a component: (n,)."""
        entry = self.entries[number]
        found = np.empty(len(rows) if which is None else len(which), self.buffer.dtype)
        for part, deviations in self.pieces(rows, which, entry.mean):
            y = times_factor(self._factor(entry), deviations.T, overwrite=True)
            np.einsum("dn,dn->n", y, y, out=found[part])
        return np.subtract(entry.log_constant, 0.5 * found, out=found)


class WhitenedSums(Whitened):
    """Sums of deviations, and of their products, over the rows that each component has.

    Attributes
    ----------
    sums : ndarray of shape (K, D)
    products : list of ndarray of shape (D, D)
        In the order of Fortran, of which the triangles above the diagonal are not used.
    """

    def __init__(self, stack: Stack, group: Group):
        super().__init__(stack, group)
        n_features = stack.n_features
        self.sums = np.zeros((len(self.entries), n_features))
        self.products: list[Array] = [np.zeros((n_features, n_features), order="F") for _ in self.entries]

    def add(self, rows: Rows, responsibilities: NDArray[np.floating], counts: Array) -> None:
        """Add rows (n, D), with (weighted) responsibilities (K, n); their sums are added to counts (K,)."""
        counts += responsibilities.sum(axis=1, dtype=np.float64)
        for number, entry in enumerate(self.entries):
            which = np.flatnonzero(responsibilities[number])
            shares = responsibilities[number, which]
            for part, deviations in self.pieces(rows, which, entry.reference):
                self.sums[number] += shares[part] @ deviations
                np.multiply(deviations, np.sqrt(shares[part])[:, None], out=deviations)
                self.products[number] = add_products_of(self.products[number], deviations.T)

    def scatter(self, number: int) -> Array:
        """Return the packed scatter of a component, once: its products are forgotten."""
        products, self.products[number] = self.products[number], np.zeros((0, 0))
        return pack(products.T)


def row_bytes(stack: Stack) -> int:
    """Forecast the bytes that a row takes, beside its densities: what may matter of it, and where."""
    most = max((len(each.natural_parameters) for each in stack.groups if each.is_whitened), default=0)
    n_leading = int(WHITENED.leading_share * stack.n_features)
    return 2 * most + 4 * 8 + 3 * 8 * n_leading if most else 0


def own_bytes(stack: Stack) -> int:
    """Forecast the bytes of sums, as they are added up and as statistics, and of pieces."""
    n_components = sum(len(each.natural_parameters) for each in stack.groups if each.is_whitened)
    if not n_components:
        return 0
    n_features, n_leading = stack.n_features, int(WHITENED.leading_share * stack.n_features)
    n_scatter = n_features * (n_features + 1) // 2
    n_pieces = 5 * WHITENED.piece_rows * n_features
    return 8 * (n_components * (n_features**2 + n_scatter + n_leading**2) + n_scatter + n_pieces)
