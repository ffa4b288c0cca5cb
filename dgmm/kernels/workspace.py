"""Arrays and steps of NumPy's kernel: features, products in tiles, and log-sum-exp.

For a block, the features ``Φ`` (features in rows, data rows in columns, so that every operation runs along
memory) give all log joint densities as ``A = Θ Φ`` and, with the responsibilities R, all sufficient
statistics as ``R Φᵀ``. A block is long, so that threads do not hinder each other at every NumPy call; the
products run over *tiles* of it, views of a few hundred rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import Part, Parts, pieces_of
from dgmm.kernels.priors import RowPriors
from dgmm.kernels.stack import JUST_ONE, Group, Stack
from dgmm.kernels.whitened import WhitenedDensities
from dgmm.model.matrices import Array


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
        The most bytes of a tile's features: of many features, tiles have fewer rows.
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
    tile_bytes: int = 2**22
    gathered_share: float = 1 / 300
    gathered_per_row: float = 1 / 4


BLOCKS = BlockTuning()


def tile_rows(stack: Stack) -> int:
    """Return how many rows a tile has."""
    largest = max(group.natural_parameters.size for group in stack.groups)
    is_small = BLOCKS.tile_rows * largest <= BLOCKS.small_product
    wanted = BLOCKS.tile_rows if is_small else BLOCKS.large_tile_rows
    return min(wanted, max(1, BLOCKS.tile_bytes // (stack.dtype.itemsize * stack.n_table)))


def block_rows(stack: Stack) -> int:
    """Return how many rows a block has at most: whole tiles."""
    row_bytes = stack.dtype.itemsize * (stack.n_table + stack.largest_group)
    rows = min(BLOCKS.block_bytes // row_bytes, BLOCKS.block_rows)
    return tile_rows(stack) * max(1, rows // tile_rows(stack))


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
    priors : RowPriors or None
    """

    rows: NDArray[np.floating]
    weights: Array | None
    start: int
    features: NDArray[np.floating] | None
    priors: RowPriors | None = None


def blocks_of(
    stack: Stack,
    chunks: Parts,
    features: NDArray[np.floating] | None = None,
) -> Iterator[Block]:
    """Cut chunks of rows, their weights if there are any, and their features if known, into blocks."""
    offset, n_rows = 0, block_rows(stack)
    for chunk in chunks:
        start = offset
        for rows, weights, priors, _ in pieces_of(Part.of(chunk), n_rows):
            known = None if features is None else features[:, start : start + n_rows]
            yield Block(rows, weights, start, known, priors)
            start += n_rows
        offset += len(chunk[0])


def write_features(
    table: NDArray[np.floating], rows: NDArray[np.floating], stack: Stack, *, may_lack: bool = False
) -> None:
    """Write the features of rows (n_rows, n_features) to a table (n_table, n_rows), zero of what lacks."""
    n_features, n_table, n_factors = stack.n_features, len(table), stack.n_factors
    table[1] = 1.0
    if n_table == JUST_ONE.stop:
        return
    z = table[stack.deviations]
    np.subtract(rows.T, stack.centre[:, None], out=z, casting="same_kind")
    if stack.has_flags:
        np.isnan(z, out=table[n_features + 2 : n_factors])
    if may_lack or stack.has_flags:
        replace_nan(z)
    if stack.has_norm:
        np.einsum("db,db->b", z, z, out=table[0])
    if n_table > n_factors:
        np.multiply(z, z, out=table[n_factors : n_factors + n_features])
    if n_table > n_factors + n_features:
        first = n_factors + n_features
        for i in range(n_features - 1):
            last = first + n_features - 1 - i
            np.multiply(z[i], z[i + 1 :], out=table[first:last])
            first = last


def replace_nan(values: NDArray[np.floating]) -> None:
    """Put zeros in the place of NaN: by bits, which takes half the time of anything else."""
    bits = values.view(np.dtype(f"i{values.itemsize}"))
    keeps = np.isnan(values).view(np.int8).astype(bits.dtype)
    keeps -= 1  # no bits, or all
    np.bitwise_and(bits, keeps, out=bits)


def tiles(table: NDArray[np.floating], length: int) -> list[NDArray[np.floating]]:
    """View a table (n, rows) as whole tiles (n_tiles, n, length), and a last one (1, n, less rows)."""
    n, n_rows = table.shape
    n_tiles, rest = divmod(n_rows, length)
    whole = table[:, : n_rows - rest].reshape(n, n_tiles, length).transpose(1, 0, 2)
    return ([whole] if n_tiles else []) + ([table[None, :, n_rows - rest :]] if rest else [])


def multiply(
    theta: NDArray[np.floating], features: NDArray[np.floating], out: NDArray[np.floating], length: int
) -> None:
    """Write ``Θ Φ`` to ``out``, in tiles of so many rows."""
    if features.shape[1] <= length:
        np.matmul(theta, features, out=out)
        return
    for each, own in zip(tiles(features, length), tiles(out, length), strict=True):
        np.matmul(theta, each, out=own)


def add_products(
    totals: Array, shares: NDArray[np.floating], features: NDArray[np.floating], length: int
) -> None:
    """Add ``R Φᵀ`` to totals, in float64 from tile to tile."""
    if features.shape[1] <= length:
        np.add(totals, shares @ features.T, out=totals)
        return
    for share, each in zip(tiles(shares, length), tiles(features, length), strict=True):
        products = share @ each.transpose(0, 2, 1)
        np.add(totals, products.sum(axis=0, dtype=np.float64), out=totals)


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
    negligible : float, optional
        Responsibilities below may be zero; by default those that an E-step may leave out.

    Attributes
    ----------
    table : ndarray of shape (n_table, rows)
        Features. It and the others are as long as the longest block that there was.
    densities : ndarray of shape (components of the largest group, rows)
        Log joint densities, then responsibilities.
    whitened : dict
        What evaluates groups that are, by their first rows of the stack.
    """

    def __init__(self, stack: Stack, negligible: float | None = None):
        self.stack, self.tile_rows = stack, tile_rows(stack)
        self.negligible = stack.precision.negligible if negligible is None else negligible
        self.table = np.empty((stack.n_table, 0), stack.dtype)
        self.densities = np.empty((stack.largest_group, 0), stack.dtype)
        self.whitened: dict[int, WhitenedDensities] = {}

    def make_room(self, n_rows: int) -> None:
        """Let arrays be as long as a block of so many rows: few rows take little memory."""
        if n_rows > self.table.shape[1]:
            self.table = np.empty((len(self.table), n_rows), self.table.dtype)
            self.densities = np.empty((len(self.densities), n_rows), self.table.dtype)

    def features(self, block: Block) -> NDArray[np.floating]:
        """Return the features of a block's rows: (n_table, n_rows)."""
        self.make_room(len(block.rows))
        if block.features is not None:
            return block.features
        table = self.table[:, : len(block.rows)]
        write_features(table, block.rows, self.stack)
        return table

    def log_joint(
        self, rows: NDArray[np.floating], table: NDArray[np.floating], group: Group, *, are_final: bool = True
    ) -> NDArray[np.floating]:
        """Compute a group's log joint densities of rows, from their features: (n_components, n_rows), nats.

        Those on the fast path of families whose components share a covariance lack ``−½ zᵀΛz``, which is the
        same for all components. Unless they are final, as more is to be added to them, none is left out.
        """
        self.make_room(len(rows))
        stack, densities = self.stack, self.densities[: len(group.natural_parameters), : len(rows)]
        if group.is_whitened:
            if group.rows.start not in self.whitened:
                self.whitened[group.rows.start] = WhitenedDensities(stack, group, self.negligible)
            self.whitened[group.rows.start].write(rows, densities, may_leave_out=are_final)
            return densities
        multiply(group.natural_parameters, table[group.features], densities, self.tile_rows)
        for entry in (stack.centred[index] for index in stack.centred_in(group)):
            deviations = rows.T - entry.mean[:, None]
            factors = stack.models[entry.model].precisions_cholesky
            y = entry.family.standardize(deviations, factors, entry.component)
            densities[entry.row - group.rows.start] = entry.log_constant - 0.5 * np.einsum("db,db->b", y, y)
        return densities


def weigh(
    group: Group,
    densities: NDArray[np.floating],
    weights: Array | None,
    floor: NDArray[np.floating] | None,
    log_likelihoods: Array,
) -> None:
    """Turn log joint densities of a group into (weighted) responsibilities, and add to log-likelihoods."""
    for run in group.runs:
        own = densities[run.rows].reshape(len(run.models), -1, densities.shape[1])
        log_densities = normalize(own, floor)
        if weights is not None:
            each = weights if weights.ndim == 1 else weights[run.models]
            log_densities *= each
            own *= each[..., None, :]
        log_likelihoods[run.models] += log_densities.sum(axis=-1, dtype=np.float64)
