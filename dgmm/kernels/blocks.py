"""The E-step of blocks of rows: several models, one table of features, two matrix products.

For a block, the features ``Φ`` (features in rows, data rows in columns, so that every operation runs along
memory) give all log joint densities as ``A = Θ Φ`` and, with the responsibilities R, all sufficient
statistics as ``R Φᵀ``. A block is long, so that threads do not hinder each other at every NumPy call; the
products run over *tiles* of it, views of a few hundred rows. Where most responsibilities are zero, the
sums of a component are taken over its own rows alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.stack import Group, Stack
from dgmm.model.families import Family
from dgmm.model.matrices import Array, pack
from dgmm.model.statistics import Statistics


class Block(NamedTuple):
    """Rows that are worked on at once: whole tiles, and what is less than one at the end of a chunk.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or (n_models, n_rows), or None
    start : int
        Number of rows before it.
    features : ndarray of shape (n_table, n_rows), or None
        See `features_of`; None where they are not known yet.
    """

    rows: NDArray[np.floating]
    weights: Array | None
    start: int
    features: NDArray[np.floating] | None


def blocks_of(
    stack: Stack,
    chunks: Iterable[tuple[NDArray[np.floating], Array | None]],
    features: NDArray[np.floating] | None = None,
) -> Iterator[Block]:
    """Cut chunks of rows, their weights if there are any, and their features if known, into blocks."""
    offset = 0
    for rows, weights in chunks:
        for start in range(0, len(rows), stack.block_rows):
            part = slice(start, start + stack.block_rows)
            known = None if features is None else features[:, offset + start : offset + part.stop]
            yield Block(rows[part], None if weights is None else weights[..., part], offset + start, known)
        offset += len(rows)


def write_features(table: NDArray[np.floating], rows: NDArray[np.floating], stack: Stack) -> None:
    """Write the features of rows (n_rows, n_features) to a table (n_table, n_rows)."""
    n_features, n_table = stack.n_features, len(table)
    table[1] = 1.0
    z = table[stack.deviations]
    np.subtract(rows.T, stack.centre[:, None], out=z, casting="same_kind")
    if stack.has_norm:
        np.einsum("db,db->b", z, z, out=table[0])
    if n_table > n_features + 2:
        np.multiply(z, z, out=table[n_features + 2 : 2 * n_features + 2])
    if n_table > 2 * n_features + 2:
        first = 2 * n_features + 2
        for i in range(n_features - 1):
            last = first + n_features - 1 - i
            np.multiply(z[i], z[i + 1 :], out=table[first:last])
            first = last


def tiles(table: NDArray[np.floating], tile_rows: int) -> list[NDArray[np.floating]]:
    """View a table (n, rows) as whole tiles (n_tiles, n, tile_rows), and a last one (1, n, less rows)."""
    n, n_rows = table.shape
    n_tiles, rest = divmod(n_rows, tile_rows)
    whole = table[:, : n_rows - rest].reshape(n, n_tiles, tile_rows).transpose(1, 0, 2)
    return ([whole] if n_tiles else []) + ([table[None, :, n_rows - rest :]] if rest else [])


class Workspace:
    """The arrays that the work on blocks writes to: allocated once, as threads wait for each other's memory.

    Parameters
    ----------
    stack : Stack
        Says which features and how many components there are.
    negligible : float, default=0.0
        Responsibilities below are made zero, at the cost of a look at each.

    Attributes
    ----------
    table : ndarray of shape (n_table, block_rows)
        Features.
    densities : ndarray of shape (components of the largest group, block_rows)
        Log joint densities, then responsibilities.
    largest, totals : ndarray of shape (n_models, block_rows)
        Of log-sum-exp, of as many models as go through it at once.
    floor : ndarray of shape (block_rows,) or None
        Log responsibilities below are made zero.
    """

    def __init__(self, stack: Stack, negligible: float = 0.0):
        n_rows = stack.block_rows
        self.stack = stack
        self.table = np.empty((stack.n_table, n_rows), stack.dtype)
        self.densities = np.empty((stack.largest_group, n_rows), stack.dtype)
        most = max(len(run.models) for group in stack.groups for run in group.runs)
        self.largest = np.empty((most, n_rows), stack.dtype)
        self.totals = np.empty((most, n_rows), stack.dtype)
        # A row, as np.maximum takes more than twice as long with a scalar.
        self.floor = np.full(n_rows, np.log(negligible), stack.dtype) if negligible > 0.0 else None

    def features(self, block: Block) -> NDArray[np.floating]:
        """Give the features of a block's rows: (n_table, n_rows)."""
        if block.features is not None:
            return block.features
        table = self.table[:, : len(block.rows)]
        write_features(table, block.rows, self.stack)
        return table

    def log_joint(
        self, rows: NDArray[np.floating], table: NDArray[np.floating], group: Group
    ) -> NDArray[np.floating]:
        """Compute a group's log joint densities of rows, from their features: (n_components, n_rows), nats.

        Those on the fast path of families whose components share a covariance lack ``−½ zᵀΛz``, which is the
        same for all components.
        """
        stack, densities = self.stack, self.densities[: len(group.natural_parameters), : len(rows)]
        features, outs = tiles(table[group.features], stack.tile_rows), tiles(densities, stack.tile_rows)
        for each, out in zip(features, outs, strict=True):
            np.matmul(group.natural_parameters, each, out=out)
        for entry in (stack.centred[index] for index in stack.centred_in(group)):
            deviations = rows.T - entry.mean[:, None]
            factors = stack.models[entry.model].precisions_cholesky
            y = entry.family.standardize(deviations, factors, entry.component)
            densities[entry.row - group.rows.start] = entry.log_constant - 0.5 * np.einsum("db,db->b", y, y)
        return densities

    def normalize(self, log_densities: NDArray[np.floating]) -> NDArray[np.floating]:
        """Turn log joint densities (..., n_components, n_rows) into responsibilities, in place.

        By log-sum-exp. Those that are negligible are zero, if any are to be.

        Returns
        -------
        ndarray of shape (..., n_rows)
            Log densities of the rows, the logarithms of the sums; until the next call.
        """
        *n_models, _, n_rows = log_densities.shape
        largest, totals = (
            table[: math.prod(n_models), :n_rows].reshape(*n_models, 1, n_rows)
            for table in (self.largest, self.totals)
        )
        np.max(log_densities, axis=-2, out=largest, keepdims=True)
        np.maximum(largest, np.finfo(largest.dtype).min, out=largest)  # −∞ less itself is not a number
        log_densities -= largest
        if self.floor is None:
            np.exp(log_densities, out=log_densities)
        else:  # exp takes ten to fifty times as long where it underflows: there it is spared
            floor = self.floor[:n_rows]
            np.maximum(log_densities, floor, out=log_densities)
            np.exp(log_densities, out=log_densities)
            log_densities -= np.exp(floor)
        np.sum(log_densities, axis=-2, out=totals, keepdims=True)
        largest += np.log(totals)
        np.reciprocal(totals, out=totals)  # multiplications are cheaper than divisions
        log_densities *= totals
        return largest[..., 0, :]


class Accumulator:
    """Sums over blocks for all models of a stack."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.totals: list[Array] = [np.zeros(group.natural_parameters.shape) for group in stack.groups]
        side = stack.n_features + 1
        self.gathered = {
            index: np.zeros((len(group.natural_parameters), side, side))
            for index, group in enumerate(stack.groups)
            if stack.gathered_per_row(group)
        }
        self.log_likelihoods = np.zeros(len(stack.rows))
        nothing = np.zeros((stack.n_features, 0))
        self.centred_sums: list[Array] = [np.zeros(stack.n_features) for _ in stack.centred]
        self.centred_scatter = [entry.family.scatter(nothing, np.zeros(0)) for entry in stack.centred]

    def add(
        self,
        number: int,
        rows: NDArray[np.floating],
        table: NDArray[np.floating],
        responsibilities: NDArray[np.floating],
    ) -> None:
        """Add a block to a group, by its number: rows, features, (weighted) responsibilities (K, n_rows)."""
        tile_rows, group, totals = self.stack.tile_rows, self.stack.groups[number], self.totals[number]
        if number not in self.gathered or not self._gather(number, table, responsibilities):
            shares = tiles(responsibilities, tile_rows)
            features = tiles(table[group.features], tile_rows)
            for share, each in zip(shares, features, strict=True):
                products = share @ each.transpose(0, 2, 1)
                np.add(totals, products.sum(axis=0, dtype=np.float64), out=totals)
        for index in self.stack.centred_in(group):
            entry = self.stack.centred[index]
            share = responsibilities[entry.row - group.rows.start]
            own = np.flatnonzero(share)
            deviations, share = rows[own].T - entry.reference[:, None], share[own]
            self.centred_sums[index] += deviations @ share
            self.centred_scatter[index] += entry.family.scatter(deviations, share)

    def _gather(
        self, index: int, table: NDArray[np.floating], responsibilities: NDArray[np.floating]
    ) -> bool:
        """Add a group's block component by component, each over its own rows, if they are few enough."""
        n_components, n_rows = responsibilities.shape
        is_own = responsibilities != 0.0
        if np.count_nonzero(is_own) > self.stack.gathered_per_row(self.stack.groups[index]) * n_rows:
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
        """Give the sums of a group's features, however they were taken."""
        totals = self.totals[index]
        if index not in self.gathered:
            return totals
        gathered = self.gathered[index]
        return totals + np.concatenate([gathered[:, 0], pack(gathered[:, 1:, 1:])], axis=1)

    def statistics(self) -> tuple[Statistics, ...]:
        """Give the statistics of each model, in the order of the models."""
        by_model = {}
        for number, group in enumerate(self.stack.groups):
            totals = self._sums(number)
            for index in group.models:
                rows = self.stack.rows[index]
                own = totals[rows.start - group.rows.start : rows.stop - group.rows.start]
                by_model[index] = self._statistics_of(index, group.family, own)
        return tuple(by_model[index] for index in range(len(by_model)))

    def _statistics_of(self, model: int, family: Family, sums_of_features: Array) -> Statistics:
        """Put the sums about the means in the place of those about the centre, where there are such."""
        counts, sums, scatter = family.split_sums(sums_of_features, self.stack.n_features)
        sums, references = sums.copy(), np.zeros(sums.shape)
        narrow = [index for index, entry in enumerate(self.stack.centred) if entry.model == model]
        if narrow:  # components that share a covariance have scatter only then, and then all of them
            own = np.zeros((len(counts), len(self.centred_scatter[narrow[0]])))
            own[:, : scatter.shape[1]] = scatter
            scatter = own
        for index in narrow:
            entry = self.stack.centred[index]
            sums[entry.component] = self.centred_sums[index]
            scatter[entry.component] = self.centred_scatter[index]
            references[entry.component] = entry.reference - self.stack.centre
        log_likelihood = float(self.log_likelihoods[model])
        return Statistics(family, counts.copy(), sums, scatter.copy(), references, log_likelihood)


def expect(
    stack: Stack,
    chunks: Iterable[tuple[NDArray[np.floating], Array | None]],
    features: NDArray[np.floating] | None = None,
) -> tuple[Statistics, ...]:
    """E-step by NumPy: see `dgmm.kernels.kernel.Kernel.expect`."""
    accumulator = Accumulator(stack)
    workspace = Workspace(stack, stack.negligible)
    for block in blocks_of(stack, chunks, features):
        table = workspace.features(block)
        for number, group in enumerate(stack.groups):
            densities = workspace.log_joint(block.rows, table, group)
            for run in group.runs:
                own = densities[run.rows].reshape(len(run.models), -1, len(block.rows))
                log_densities = workspace.normalize(own)
                if block.weights is not None:
                    weights = block.weights if block.weights.ndim == 1 else block.weights[run.models]
                    log_densities *= weights
                    own *= weights[..., None, :]
                accumulator.log_likelihoods[run.models] += log_densities.sum(axis=-1, dtype=np.float64)
            accumulator.add(number, block.rows, table, densities)
    return accumulator.statistics()


def features_of(stack: Stack, rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute the features of rows, as far as the models of a stack use them: (n_table, n_rows)."""
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
    """Give responsibilities and log densities in one model, by NumPy: none of them are left out."""
    for workspace, log_joint in _log_joint(stack, rows, features):
        log_densities = workspace.normalize(log_joint)
        yield log_joint, log_densities


def label(stack: Stack, rows: NDArray[np.floating]) -> Iterator[NDArray[np.integer]]:
    """Give the most probable component of each row in one model, by NumPy."""
    for _, log_joint in _log_joint(stack, rows, None):
        yield log_joint.argmax(axis=0)


def _log_joint(
    stack: Stack, rows: NDArray[np.floating], features: NDArray[np.floating] | None
) -> Iterator[tuple[Workspace, NDArray[np.floating]]]:
    """Compute the log joint densities (K, n) in one model, block by block."""
    workspace = Workspace(stack)
    for block in blocks_of(stack, [(rows, None)], features):
        yield workspace, workspace.log_joint(block.rows, workspace.features(block), stack.groups[0])


def library_bytes() -> int:
    """Forecast nothing: NumPy is there anyway."""
    return 0


def working_bytes(stack: Stack) -> int:
    """Forecast the bytes that `expect` allocates beyond the rows, temporary arrays included."""
    return stack.working_bytes


def assign(
    stack: Stack,
    chunks: Iterable[tuple[NDArray[np.floating], Array | None]],
    responsibilities_of: Callable[[NDArray[np.floating], int], Array],
) -> Statistics:
    """Sum the statistics of given responsibilities, instead of a model's own.

    Parameters
    ----------
    stack : Stack
        See `dgmm.kernels.stack.blank_stack`.
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
