"""The arrays that the compiled loop reads, works in and adds to."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.stack import Group, Stack
from dgmm.kernels.tile_tuning import CACHE_LINE, TILES, UNROLLED
from dgmm.model.jit import imported_module, in_one_form
from dgmm.model.matrices import Array


def loop() -> Any:
    """Return the module of the loop: many times in each step, so the environment is not asked whether to."""
    return imported_module("dgmm.kernels.tiles")


def padded(number: int) -> int:
    """Return a number of components or features as the loop takes them: a multiple of four."""
    return -(-number // UNROLLED) * UNROLLED


@cache
def pairs_of(n_products: int, n_padded: int, n_features: int) -> NDArray[np.int64]:
    """Return the two factors of the first products in the feature table, then of padding: (n_padded, 2).

    The table begins with the factors themselves: ‖z‖², 1, the deviations, and flags if there are any.
    """
    pairs = np.ones((n_padded, 2), np.int64)
    n_squares = min(n_products, n_features)
    pairs[:n_squares] = 2 + np.arange(n_squares)[:, None]
    if n_products > n_squares:  # the others are a matrix of all features
        above = np.transpose(np.triu_indices(n_features, 1))
        pairs[n_squares:n_products] = 2 + above[: n_products - n_squares]
    return pairs


class Model(NamedTuple):
    """A group of models of one family, as the loop takes them: K components together, P features.

    K and P are padded to multiples of four, with zeros; C components are *centred* (see
    `dgmm.kernels.stack`). float64, but for what is said to have the dtype of products. For rows that lack
    values, theta, precision factors and log constants have an axis of patterns before others, as all sums.

    Attributes
    ----------
    theta : ndarray of shape (K, P)
        Natural parameters, of the dtype of products; zero for centred components.
    first_feature : int
        The row of the feature table with which those of the family begin: 0 is ‖z‖², 1 is 1.
    pairs : ndarray of shape (products, 2), int64
        The factors of each feature that is no factor itself.
    at_once : int
        Features of a panel: the loop makes as many before it uses them.
    bounds : ndarray of shape (n_models + 1,), int64
        Where the components of each model begin, and where the last end.
    negligible : floating
        Logarithm of the responsibilities below which they are zero, of the dtype of products.
    centre : ndarray of shape (D,)
    slots : ndarray of shape (K,), int64
        The buffer of each component; −1 for those whose rows are never gathered.
    origins : ndarray of shape (K, D)
        Points about which gathered sums are.
    centred : ndarray of shape (C,), int64
        Which components are centred.
    means : ndarray of shape (C, D)
    precision_factors : ndarray of shape (C, D, D)
        ``Uᵀ``: the Mahalanobis distance of x is ``‖Uᵀ(x − μ)‖``.
    log_constants : ndarray of shape (C,)
        Log joint densities at the means.
    gathers : bool
        Whether the rows of all components are gathered where few responsibilities are not zero.
    """

    theta: NDArray[np.floating]
    first_feature: int
    pairs: NDArray[np.int64]
    at_once: int
    bounds: NDArray[np.int64]
    negligible: np.floating
    centre: Array
    slots: NDArray[np.int64]
    origins: Array
    centred: NDArray[np.int64]
    means: Array
    precision_factors: Array
    log_constants: Array
    gathers: bool


class Priors(NamedTuple):
    """What is known of rows, as the loop takes it (`dgmm.kernels.priors.RowPriors`); empty where nothing is.

    Attributes
    ----------
    log_priors : ndarray of shape (K, n_places)
    places, groups : ndarray of shape (n_rows,), int64
        No groups where no counts are taken by them.
    """

    log_priors: Array
    places: NDArray[np.int64]
    groups: NDArray[np.int64]


NOTHING_KNOWN = Priors(in_one_form(np.empty((0, 0))), np.empty(0, np.int64), np.empty(0, np.int64))


class Workspace(NamedTuple):
    """What the loop writes to while it works on a tile, of the dtype of products.

    The last axis is of the rows of a tile, and a few more that are not used.

    Attributes
    ----------
    table : ndarray of shape (n_factors + features at once, rows)
        Factors, then products.
    factors : ndarray of shape (n_factors, rows)
        Of the table: D + 2, or 2 D + 2 with flags.
    products : ndarray of shape (features at once, rows)
        Of the table.
    densities : ndarray of shape (K, rows)
        Log joint densities, then responsibilities.
    largest, totals : ndarray of shape (rows,)
    deviations : ndarray of shape (D + 1, rows)
        From the mean of a centred component.
    buffers : ndarray of shape (n_buffers, 1 + side, rows)
        Gathered rows of components: their responsibilities, then 1 and deviations, ``side`` of them with the
        zeros that make it a multiple of four.
    weighted : ndarray of shape (4, rows)
        Factors of gathered rows, times their responsibilities.
    filled : ndarray of shape (n_buffers,), int64
        Rows in each buffer.
    """

    table: NDArray[np.floating]
    factors: NDArray[np.floating]
    products: NDArray[np.floating]
    densities: NDArray[np.floating]
    largest: NDArray[np.floating]
    totals: NDArray[np.floating]
    deviations: NDArray[np.floating]
    buffers: NDArray[np.floating]
    weighted: NDArray[np.floating]
    filled: NDArray[np.int64]


class Sums(NamedTuple):
    """What the loop adds to, float64.

    Attributes
    ----------
    features : ndarray of shape (K, P)
        Weighted by responsibilities.
    gathered : ndarray of shape (n_buffers, side, side)
        The same of gathered rows: of products of 1 and deviations, in the blocks on and above the diagonal.
    log_likelihoods : ndarray of shape (n_models,)
    squares : ndarray of shape (n_models, D) or (0, D)
        Of deviations of all rows from the centre, where models need them: in the first if rows weigh the same
        for all.
    counts : ndarray of shape (K, n_groups)
        Of responsibilities, by the groups of rows.
    """

    features: Array
    gathered: Array
    log_likelihoods: Array
    squares: Array
    counts: Array


def gathers_rows(stack: Stack, group: Group) -> bool:
    """Return whether rows may be gathered for all components of a group: full ones with many features."""
    several = len(group.natural_parameters) > 2 * len(group.models) and not group.is_whitened
    return group.family.has_all_features and stack.n_features >= TILES.gathers_from and several


class Shapes(NamedTuple):
    """Of what the loop writes to and adds to, for a group of models.

    Attributes
    ----------
    components, features : int
        Padded.
    at_once : int
        Features of a panel.
    buffers, side : int
        Of gathered rows; the factors of a row in one, padded.
    deviations : int
        Rows of the table of deviations of a centred component.
    factors : int
        Of a row.
    """

    components: int
    features: int
    at_once: int
    buffers: int
    side: int
    deviations: int
    factors: int

    @classmethod
    def of(cls, stack: Stack, group: Group) -> Shapes:
        """Find them."""
        n_components, n_own = group.natural_parameters.shape
        n_features = padded(n_own)
        n_panels = -(-n_features // TILES.panel_features)
        n_centred = len(stack.centred_in(group))
        return cls(
            padded(n_components),
            n_features,
            padded(-(-n_features // n_panels)),  # panels of about one size
            n_components if gathers_rows(stack, group) else n_centred,
            padded(stack.n_features + 1),
            stack.n_features + 1 if n_centred else 0,
            stack.n_factors,
        )

    @property
    def n_numbers(self) -> tuple[int, int]:
        """Numbers in the workspace for each row of a tile, and in parameters and sums."""
        rows = self.factors + self.at_once + self.components + 2 + self.deviations + padded(1)
        others = 3 * self.components * self.features + self.buffers * self.side**2
        return rows + self.buffers * (self.side + 1), others


def workspace_of(shapes: Shapes, dtype: np.dtype) -> Workspace:
    """Allocate what the loop writes to.

    Tables begin with a cache line: else each vector would be in two. Their rows are longer by one than a
    power of two: else these would compete for the same few places of the caches.
    """
    line = CACHE_LINE // dtype.itemsize
    width = TILES.tile_rows + line
    gathered = shapes.buffers * (shapes.side + 1)
    sizes = [
        shapes.factors + shapes.at_once,
        shapes.components,
        1,
        1,
        shapes.deviations,
        gathered,
        padded(1),
    ]
    memory = np.zeros(sum(sizes) * width + line, dtype)
    start = -memory.ctypes.data % CACHE_LINE // dtype.itemsize
    tables = memory[start : start + sum(sizes) * width].reshape(-1, width)
    table, densities, largest, totals, deviations, buffers, weighted = (
        tables[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)
    )
    buffers = buffers.reshape(shapes.buffers, shapes.side + 1, width)
    filled = np.zeros(shapes.buffers, np.int64)
    factors, products = table[: shapes.factors], table[shapes.factors :]
    return Workspace(
        table, factors, products, densities, largest[0], totals[0], deviations, buffers, weighted, filled
    )
