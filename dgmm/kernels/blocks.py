"""NumPy's kernel: several models, one table of features, two matrix products a block.

Where most responsibilities are zero, the sums of a component are taken over its own rows alone. Of rows that
lack values see `dgmm.kernels.pattern_blocks`; of how blocks are worked on, `dgmm.kernels.workspace`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import Parts
from dgmm.kernels.pattern_blocks import PatternSums
from dgmm.kernels.priors import no_counts
from dgmm.kernels.rare import eliminate
from dgmm.kernels.stack import Group, Stack
from dgmm.kernels.sums import statistics_of
from dgmm.kernels.whitened import WhitenedSums, own_bytes, row_bytes
from dgmm.kernels.workspace import (
    BLOCKS,
    Workspace,
    add_products,
    block_rows,
    blocks_of,
    normalize,
    tile_rows,
    weigh,
    write_features,
)
from dgmm.model.matrices import Array, pack
from dgmm.model.regression import regress
from dgmm.model.statistics import Statistics

__all__ = [
    "Accumulator",
    "assign",
    "eliminate",
    "evaluate",
    "expect",
    "features_of",
    "label",
    "library_bytes",
    "missing",
    "pattern_sums",
    "regress",
    "working_bytes",
]


def gathered_per_row(stack: Stack, group: Group) -> float:
    """Return the largest number of responsibilities in a row for sums over each component's own rows.

    On average over a block, zeros not counted; zero where it is never so, as every row has one of each model.
    """
    if group.is_whitened:
        return 0.0
    n_components = len(group.natural_parameters)
    most = stack.n_features * min(BLOCKS.gathered_share * n_components, BLOCKS.gathered_per_row)
    return most if group.family.has_all_features and most > len(group.models) else 0.0


class Accumulator:
    """Sums over blocks for all models of a stack."""

    def __init__(self, stack: Stack):
        self.stack, self.tile_rows = stack, tile_rows(stack)
        self.totals: list[Array] = [np.zeros(group.natural_parameters.shape) for group in stack.groups]
        side = stack.n_features + 1
        self.gathered = {
            index: np.zeros((len(group.natural_parameters), side, side))
            for index, group in enumerate(stack.groups)
            if gathered_per_row(stack, group)
        }
        self.log_likelihoods = np.zeros(len(stack.rows))
        self.squares = np.zeros((len(stack.rows), stack.n_features))
        self.counts_by_group = no_counts(stack)
        self.whitened = {
            index: WhitenedSums(stack, group) for index, group in enumerate(stack.groups) if group.is_whitened
        }
        nothing = np.zeros((stack.n_features, 0))
        self.centred_sums: dict[int, Array] = {}
        self.centred_scatter: dict[int, Array] = {}
        for group in (each for each in stack.groups if not each.is_whitened):
            for index in stack.centred_in(group):
                self.centred_sums[index] = np.zeros(stack.n_features)
                self.centred_scatter[index] = group.family.scatter(nothing, np.zeros(0))

    def add(
        self,
        number: int,
        rows: NDArray[np.floating],
        table: NDArray[np.floating],
        responsibilities: NDArray[np.floating],
    ) -> None:
        """Add a block to a group, by its number: rows, features, (weighted) responsibilities (K, n_rows)."""
        group, totals = self.stack.groups[number], self.totals[number]
        if group.is_whitened:
            self.whitened[number].add(rows, responsibilities, totals[:, 0])
            return
        if number not in self.gathered or not self._gather(number, table, responsibilities):
            add_products(totals, responsibilities, table[group.features], self.tile_rows)
        for index in self.stack.centred_in(group):
            entry = self.stack.centred[index]
            share = responsibilities[entry.row - group.rows.start]
            own = np.flatnonzero(share)
            deviations, share = rows[own].T - entry.reference[:, None], share[own]
            self.centred_sums[index] += deviations @ share
            self.centred_scatter[index] += entry.family.scatter(deviations, share)

    def add_squares(self, z: NDArray[np.floating], weights: Array | None) -> None:
        """Add squares of deviations (D, n_rows), with weights (n,) or (n_models, n) or None."""
        squares = np.square(z, dtype=np.float64)
        self.squares += squares.sum(axis=1) if weights is None else weights @ squares.T

    def _gather(
        self, index: int, table: NDArray[np.floating], responsibilities: NDArray[np.floating]
    ) -> bool:
        """Add a group's block component by component, each over its own rows, if they are few enough."""
        n_components, n_rows = responsibilities.shape
        is_own = responsibilities != 0.0
        if np.count_nonzero(is_own) > gathered_per_row(self.stack, self.stack.groups[index]) * n_rows:
            return False
        own = np.flatnonzero(is_own)  # component after component
        ends = np.searchsorted(own, n_rows * np.arange(1, n_components + 1)).tolist()
        linear = table[1 : self.stack.n_features + 2]  # one and z: products of two of them are all features
        features = linear.take(own % n_rows, axis=1).astype(np.float64, copy=False)
        weighted = features * responsibilities.take(own)
        totals = self.gathered[index]
        for component, (start, end) in enumerate(pairwise([0, *ends])):
            totals[component] += weighted[:, start:end] @ features[:, start:end].T
        return True

    def _sums(self, index: int) -> Array:
        """Return the sums of a group's features, however they were taken."""
        totals = self.totals[index]
        if index not in self.gathered:
            return totals
        gathered = self.gathered[index]
        return totals + np.concatenate([gathered[:, 0], pack(gathered[:, 1:, 1:])], axis=1)

    def statistics(self) -> tuple[Statistics, ...]:
        """Return the statistics of each model, in the order of the models."""
        totals = [self._sums(index) for index in range(len(self.totals))]
        for number, own in self.whitened.items():
            for component, index in enumerate(self.stack.centred_in(self.stack.groups[number])):
                scatter = own.scatter(component)
                self.centred_sums[index], self.centred_scatter[index] = own.sums[component], scatter
        return statistics_of(
            self.stack,
            totals,
            [(self.centred_sums[index], self.centred_scatter[index]) for index in sorted(self.centred_sums)],
            self.log_likelihoods,
            squares=self.squares,
            counts_by_group=self.counts_by_group,
        )


def expect(
    stack: Stack,
    chunks: Parts,
    features: NDArray[np.floating] | None = None,
) -> tuple[Statistics, ...]:
    """E-step by NumPy: see `dgmm.kernels.kernel.Kernel.expect`."""
    accumulator = Accumulator(stack)
    workspace = Workspace(stack)
    # Zeros serve where sums are gathered alone. A row, as np.maximum takes twice as long with a scalar.
    floor = np.log(stack.precision.negligible)
    takes_own = accumulator.gathered or any(group.is_whitened for group in stack.groups)
    floor = np.full(block_rows(stack), floor, stack.dtype) if takes_own else None
    for block in blocks_of(stack, chunks, features):
        table = workspace.features(block)
        if stack.adds_squares:
            accumulator.add_squares(table[stack.deviations], block.weights)
        for number, group in enumerate(stack.groups):
            densities = workspace.log_joint(block.rows, table, group, are_final=block.priors is None)
            if block.priors is not None:
                block.priors.add_to(densities, group)
            weigh(group, densities, block.weights, floor, accumulator.log_likelihoods)
            if block.priors is not None:
                block.priors.add_counts(densities, accumulator.counts_by_group[number])
            accumulator.add(number, block.rows, table, densities)
    return accumulator.statistics()


pattern_sums = PatternSums

tied_rows = None


def features_of(stack: Stack, rows: NDArray[np.floating]) -> NDArray[np.floating] | None:
    """Compute the features of rows, as far as the models of a stack use them: (n_table, n_rows)."""
    if all(group.is_whitened for group in stack.groups):
        return None
    table = np.empty((stack.n_table, len(rows)), stack.dtype)
    write_features(table, rows, stack)
    return table


def evaluate(
    stack: Stack,
    rows: NDArray[np.floating],
    features: NDArray[np.floating] | None = None,
    *,
    negligible: float | None = None,
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """Yield responsibilities and log densities in one model, by NumPy: none of them are left out."""
    for log_joint in _log_joint(stack, rows, features, negligible):
        log_densities = normalize(log_joint, None)
        yield log_joint, log_densities


def label(stack: Stack, rows: NDArray[np.floating]) -> Iterator[NDArray[np.integer]]:
    """Yield the most probable component of each row in one model, by NumPy."""
    for log_joint in _log_joint(stack, rows, None, None):
        yield log_joint.argmax(axis=0)


def _log_joint(
    stack: Stack, rows: NDArray[np.floating], features: NDArray[np.floating] | None, negligible: float | None
) -> Iterator[NDArray[np.floating]]:
    """Compute the log joint densities (K, n) in one model, block by block."""
    workspace = Workspace(stack, negligible)
    for block in blocks_of(stack, [(rows, None)], features):
        yield workspace.log_joint(block.rows, workspace.features(block), stack.groups[0])


def missing() -> None:
    """Say that nothing is: NumPy is there anyway."""


def library_bytes() -> int:
    """Forecast nothing more than is there anyway."""
    return 0


def working_bytes(stack: Stack) -> int:
    """Forecast the bytes that `expect` allocates beyond the rows, temporary arrays included."""
    # Densities of this block and the last; the rows' largest ones, totals and log densities.
    n_table = stack.n_table + 2 * stack.largest_group + 3
    has_centred = any(stack.centred_in(group) for group in stack.groups if not group.is_whitened)
    n_centred = 4 * stack.n_features if has_centred else 0
    # Gathered rows, once as they are and once weighted, with their places.
    n_gathered = 2 * (stack.n_features + 2) * max(gathered_per_row(stack, group) for group in stack.groups)
    row = stack.dtype.itemsize * n_table + 8 * (n_centred + n_gathered) + row_bytes(stack)
    return int(row * block_rows(stack)) + own_bytes(stack)


def assign(
    stack: Stack,
    chunks: Parts,
    responsibilities_of: Callable[[NDArray[np.floating], int], Array],
) -> Statistics:
    """Sum the statistics of given responsibilities, instead of a model's own.

    Parameters
    ----------
    stack : Stack
        See `dgmm.kernels.stacking.blank_stack`.
    chunks : iterable of (rows, weights)
    responsibilities_of : callable
        Given a block of rows and the number of rows before it, returns (n_components, rows of the block).

    Returns
    -------
    Statistics
        Its log-likelihood is zero.
    """
    workspace, accumulator = Workspace(stack), Accumulator(stack)
    for block in blocks_of(stack, chunks):
        share = responsibilities_of(block.rows, block.start)
        if block.weights is not None:
            share = share * block.weights
        accumulator.add(0, block.rows, workspace.features(block), share)
    return accumulator.statistics()[0]
