"""The E-step of blocks of rows: several models, one table of features, two matrix products.

For a block, the features ``Φ`` (features in rows, data rows in columns, so that every operation runs along
memory) give all log joint densities as ``A = Θ Φ`` and, with the responsibilities R, all sufficient
statistics as ``R Φᵀ``. A block is long, so that threads do not hinder each other at every NumPy call; the
products run over *tiles* of it, views of a few hundred rows. Where most responsibilities are zero, the
sums of a component are taken over its own rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.stack import Group, Stack
from dgmm.kernels.sums import statistics_of
from dgmm.model.matrices import Array, pack
from dgmm.model.statistics import Statistics


@dataclass(frozen=True)
class BlockTuning:
    """How rows are cut for NumPy and BLAS, and when sums are taken over a component's own rows.

    Chosen by docs/notes/2026-11-23-numpy-kernel.md. Half and double: not measured
    (docs/notes/2026-11-26-kernels.md).

    Attributes
    ----------
    block_bytes : int
        Of a block's features and densities. Smaller blocks are in a nearer cache and up to a fifth faster on
        one thread, but threads then hinder each other at every NumPy call.
    block_rows : int
        The most rows of a block.
    tile_rows, large_tile_rows : int
        Rows of a tile; the larger where a product of smaller tiles has more multiplications than
        ``small_product``.
    small_product : int
        Multiplications: OpenBLAS has a path without packing below, which is up to twice as fast, and packing
        wants longer rows.
    tile_bytes : int
        The most bytes of a tile's features: of full models of hundreds of features, tiles have fewer rows.
    gathered_share : float
        The sums of full models are taken component by component, each over its own rows, where no more
        responsibilities than this share, times the number of features, are not zero: that is faster then.
    gathered_per_row : float
        And no more in a row than this, times the number of features: what is gathered is then smaller than
        the features.
    """

    block_bytes: int = 2**23
    block_rows: int = 3 * 2**13
    tile_rows: int = 512
    large_tile_rows: int = 1024
    small_product: int = 10**6
    tile_bytes: int = 2**25
    gathered_share: float = 1 / 300
    gathered_per_row: float = 1 / 4


BLOCKS = BlockTuning()


def tile_rows(stack: Stack) -> int:
    """Give how many rows a tile has."""
    largest = max(group.natural_parameters.size for group in stack.groups)
    is_small = BLOCKS.tile_rows * largest <= BLOCKS.small_product
    wanted = BLOCKS.tile_rows if is_small else BLOCKS.large_tile_rows
    return min(wanted, max(1, BLOCKS.tile_bytes // (stack.dtype.itemsize * stack.n_table)))


def block_rows(stack: Stack) -> int:
    """Give how many rows a block has at most: whole tiles."""
    row_bytes = stack.dtype.itemsize * (stack.n_table + stack.largest_group)
    rows = min(BLOCKS.block_bytes // row_bytes, BLOCKS.block_rows)
    return tile_rows(stack) * max(1, rows // tile_rows(stack))


def gathered_per_row(stack: Stack, group: Group) -> float:
    """Give the largest number of responsibilities in a row for sums over each component's own rows.

    On average over a block, zeros not counted; zero where it is never so, as every row has one of each model.
    """
    n_components = len(group.natural_parameters)
    most = stack.n_features * min(BLOCKS.gathered_share * n_components, BLOCKS.gathered_per_row)
    return most if group.family.has_all_features and most > len(group.models) else 0.0


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
    offset, n_rows = 0, block_rows(stack)
    for rows, weights in chunks:
        for start in range(0, len(rows), n_rows):
            part = slice(start, start + n_rows)
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


def tiles(table: NDArray[np.floating], length: int) -> list[NDArray[np.floating]]:
    """View a table (n, rows) as whole tiles (n_tiles, n, length), and a last one (1, n, less rows)."""
    n, n_rows = table.shape
    n_tiles, rest = divmod(n_rows, length)
    whole = table[:, : n_rows - rest].reshape(n, n_tiles, length).transpose(1, 0, 2)
    return ([whole] if n_tiles else []) + ([table[None, :, n_rows - rest :]] if rest else [])


def normalize(log_joint: NDArray[np.floating], floor: NDArray[np.floating] | None) -> NDArray[np.floating]:
    """Turn log joint densities (..., n_components, n_rows) into responsibilities, in place, by log-sum-exp.

    Parameters
    ----------
    log_joint : ndarray
    floor : ndarray of shape (n_rows or more,), or None
        Log responsibilities below are made zero.

    Returns
    -------
    ndarray of shape (..., n_rows)
        Log densities of the rows, the logarithms of the sums.
    """
    largest = log_joint.max(axis=-2, keepdims=True)
    np.maximum(largest, np.finfo(largest.dtype).min, out=largest)  # −∞ less itself is not a number
    log_joint -= largest
    if floor is None:
        np.exp(log_joint, out=log_joint)
    else:  # exp takes ten to fifty times as long where it underflows: there it is spared
        floor = floor[: log_joint.shape[-1]]
        np.maximum(log_joint, floor, out=log_joint)
        np.exp(log_joint, out=log_joint)
        log_joint -= np.exp(floor)
    totals = log_joint.sum(axis=-2, keepdims=True)
    largest += np.log(totals)
    log_joint *= np.reciprocal(totals, out=totals)  # multiplications are cheaper than divisions
    return largest[..., 0, :]


class Workspace:
    """The large arrays that the work on blocks writes to: allocated once, as fresh memory is slow.

    Parameters
    ----------
    stack : Stack
        Says which features and how many components there are.

    Attributes
    ----------
    table : ndarray of shape (n_table, block_rows)
        Features.
    densities : ndarray of shape (components of the largest group, block_rows)
        Log joint densities, then responsibilities.
    """

    def __init__(self, stack: Stack):
        n_rows = block_rows(stack)
        self.stack, self.tile_rows = stack, tile_rows(stack)
        self.table = np.empty((stack.n_table, n_rows), stack.dtype)
        self.densities = np.empty((stack.largest_group, n_rows), stack.dtype)

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
        features, outs = tiles(table[group.features], self.tile_rows), tiles(densities, self.tile_rows)
        for each, out in zip(features, outs, strict=True):
            np.matmul(group.natural_parameters, each, out=out)
        for entry in (stack.centred[index] for index in stack.centred_in(group)):
            deviations = rows.T - entry.mean[:, None]
            factors = stack.models[entry.model].precisions_cholesky
            y = entry.family.standardize(deviations, factors, entry.component)
            densities[entry.row - group.rows.start] = entry.log_constant - 0.5 * np.einsum("db,db->b", y, y)
        return densities


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
        group, totals = self.stack.groups[number], self.totals[number]
        if number not in self.gathered or not self._gather(number, table, responsibilities):
            shares = tiles(responsibilities, self.tile_rows)
            features = tiles(table[group.features], self.tile_rows)
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
        """Give the sums of a group's features, however they were taken."""
        totals = self.totals[index]
        if index not in self.gathered:
            return totals
        gathered = self.gathered[index]
        return totals + np.concatenate([gathered[:, 0], pack(gathered[:, 1:, 1:])], axis=1)

    def statistics(self) -> tuple[Statistics, ...]:
        """Give the statistics of each model, in the order of the models."""
        totals = [self._sums(index) for index in range(len(self.totals))]
        centred = [*zip(self.centred_sums, self.centred_scatter, strict=True)]
        return statistics_of(self.stack, totals, centred, self.log_likelihoods)


def expect(
    stack: Stack,
    chunks: Iterable[tuple[NDArray[np.floating], Array | None]],
    features: NDArray[np.floating] | None = None,
) -> tuple[Statistics, ...]:
    """E-step by NumPy: see `dgmm.kernels.kernel.Kernel.expect`."""
    accumulator = Accumulator(stack)
    workspace = Workspace(stack)
    # Zeros serve where sums are gathered alone. A row, as np.maximum takes twice as long with a scalar.
    floor = np.log(stack.precision.negligible)
    floor = np.full(block_rows(stack), floor, stack.dtype) if accumulator.gathered else None
    for block in blocks_of(stack, chunks, features):
        table = workspace.features(block)
        for number, group in enumerate(stack.groups):
            densities = workspace.log_joint(block.rows, table, group)
            for run in group.runs:
                own = densities[run.rows].reshape(len(run.models), -1, len(block.rows))
                log_densities = normalize(own, floor)
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
    for log_joint in _log_joint(stack, rows, features):
        log_densities = normalize(log_joint, None)
        yield log_joint, log_densities


def label(stack: Stack, rows: NDArray[np.floating]) -> Iterator[NDArray[np.integer]]:
    """Give the most probable component of each row in one model, by NumPy."""
    for log_joint in _log_joint(stack, rows, None):
        yield log_joint.argmax(axis=0)


def _log_joint(
    stack: Stack, rows: NDArray[np.floating], features: NDArray[np.floating] | None
) -> Iterator[NDArray[np.floating]]:
    """Compute the log joint densities (K, n) in one model, block by block."""
    workspace = Workspace(stack)
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
    n_centred = 4 * stack.n_features if stack.centred else 0
    # Gathered rows, once as they are and once weighted, with their places.
    n_gathered = 2 * (stack.n_features + 2) * max(gathered_per_row(stack, group) for group in stack.groups)
    return int((stack.dtype.itemsize * n_table + 8 * (n_centred + n_gathered)) * block_rows(stack))


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
