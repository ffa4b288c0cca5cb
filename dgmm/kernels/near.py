"""Rows of models most of whose components are far from most rows: only the near ones are evaluated, exactly.

Bounds (`dgmm.kernels.bounds`) tell which components are near: one that is left out of a row has less than
`BoundsTuning.left_out` of it. Where bounds leave much, rows go the plain way, which is the reference: of the
model beforehand, and of every piece of rows by its first ones, in the order in which rows come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.bounds import Bounds, bounds_of, margin_of, most_directions
from dgmm.kernels.stack import Group, Stack
from dgmm.model.families.forms import Diagonals
from dgmm.model.jit import compiled_module, in_one_form
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable


@dataclass(frozen=True)
class NearTuning:
    """Which models bounds are for, and how rows are cut for them. Chosen by docs/notes/2026-11-26-near.md.

    Attributes
    ----------
    fewest_components, fewest_diagonal_components : int
        Of a model, for bounds to be worth it: a full one, or one without products of features.
    fewest_rows : int
        That come at once.
    least_work : float
        See `dgmm.kernels.stack.Stack.work`: bounds take some milliseconds to make.
    block_bytes : int
        Of the bounds of a block of rows.
    component_rows : int
        Rows of a block, for each component: its sums are fetched once for so many, on average.
    trial_rows : int
        Rows of the first block of a piece, which tells whether the others are worth it.
    most_near : float
        Share of all pairs of a row and a component for which there is room: with more, the plain way.
    """

    fewest_components: int = 6
    fewest_diagonal_components: int = 24
    fewest_rows: int = 512
    least_work: float = 2.0**29
    block_bytes: int = 2**23
    component_rows: int = 32
    trial_rows: int = 2**9
    most_near: float = 0.25


NEAR = NearTuning()

BUFFER_ROWS = 64
"""Rows of a component that are put together."""


class Exact(NamedTuple):
    """A model as the compiled loop takes it.

    Attributes
    ----------
    means, origins : ndarray of shape (K, D)
        Sums are about the origins.
    factors : ndarray of shape (K, D, width), or (K, 1, D)
        ``U``, with zeros: the Mahalanobis distance of x is ``‖Uᵀ(x − μ)‖``; or its diagonal.
    log_constants : ndarray of shape (K,)
    has_products : bool
        Whether features depend on each other.
    """

    means: Array
    origins: Array
    factors: Array
    log_constants: Array
    has_products: bool


class Pairs(NamedTuple):
    """What the compiled loop writes to: rows of a block, and pairs of these and components.

    Attributes
    ----------
    rows, values : ndarray of shape (n_pairs,)
        Numbers of rows, and log joint densities, then responsibilities: first of the components with the
        largest bound, in the order of these, then of others.
    starts, ends : ndarray of shape (K + 1,)
        Where the first of a component begin, and its others.
    order, winners : ndarray of shape (n_rows,)
    limits : ndarray of shape (n_rows,), float32
    largest, totals : ndarray of shape (n_rows,)
    buffer, weighted : ndarray of shape (BUFFER_ROWS, width)
    product, squares : ndarray of shape (ACROSS, ALONG)
        See `dgmm.kernels.near_tiles`.
    """

    rows: NDArray[np.int64]
    values: Array
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    order: NDArray[np.int64]
    winners: NDArray[np.int32]
    limits: NDArray[np.float32]
    largest: Array
    totals: Array
    buffer: Array
    weighted: Array
    product: Array
    squares: Array


def may_leave_out(stack: Stack, group: Group) -> bool:
    """Tell whether components of a group may be left out: it is one model, of some size, and of many rows."""
    if group.family.has_all_features:
        fewest = NEAR.fewest_components
    elif isinstance(group.family, Diagonals) and not group.family.is_shared and not stack.centred_in(group):
        fewest = NEAR.fewest_diagonal_components
    else:
        return False
    return (
        len(group.models) == 1
        and len(group.natural_parameters) >= fewest
        and stack.work >= NEAR.least_work
        and stack.extent is None
        and not stack.has_flags
    )


def _loop() -> Any:
    return compiled_module("dgmm.kernels.near_tiles")


class NearRows:
    """The rows of one model most of whose components are far from most of them.

    Parameters
    ----------
    stack : Stack
    group : Group
        For which `may_leave_out` holds.
    origins : ndarray of shape (K, D)
        What sums are about.
    """

    def __init__(self, stack: Stack, group: Group, origins: Array):
        (self.number,) = group.models
        self.stack, self.origins = stack, origins
        self.negligible = float(np.log(stack.precision.negligible))
        self.work: Pairs | None = None
        self.exact: Exact | None = None

    @property
    def model(self) -> Evaluable:
        """What is evaluated."""
        return self.stack.models[self.number]

    def bounds(self) -> Bounds | None:
        """Return the bounds of the model, made once."""
        key = b"near %d" % self.number
        if key not in self.stack.ready:
            self.stack.ready[key] = bounds_of(self.model, self.stack.centre)
        return self.stack.ready[key]

    def add(self, rows: NDArray[np.floating], weights: Array, gathered: Array) -> tuple[int, float]:
        """Add the first of some rows (n, D), of weights (n,) or (0,), to sums of products or of squares.

        Returns
        -------
        int
            How many rows were added: those that are left go the plain way.
        float
            Their log-likelihood.
        """
        if len(rows) < NEAR.fewest_rows or (bounds := self.bounds()) is None:
            return 0, 0.0
        rows, weights = in_one_form(rows), in_one_form(weights, np.float64)
        exact, work = self._exact(), self._work()
        start, log_likelihood = 0, 0.0
        while start < len(rows):
            end = min(start + (len(work.order) if start else NEAR.trial_rows), len(rows))
            if (found := bounds.of_rows(rows[start:end])) is None:
                break
            margin = margin_of(len(found[0])) + found[1]
            own = weights[start:end]
            added = _loop().expect(
                rows[start:end], own, found[0], margin, self.negligible, exact, work, gathered
            )
            if np.isnan(added):
                break
            start, log_likelihood = end, log_likelihood + added
        return start, log_likelihood

    def _exact(self) -> Exact:
        if self.exact is None:
            model, has_products = self.model, self.model.family.has_products
            n_components, n_features = model.means.shape
            factors = np.zeros((n_components, n_features if has_products else 1, _width(n_features)))
            own = model.precisions_cholesky
            factors[:, :, :n_features] = own if has_products else own[:, None, :]
            origins, constants = np.array(self.origins), np.array(model.log_constants, np.float64)
            self.exact = Exact(np.array(model.means), origins, factors, constants, has_products)
        return self.exact

    def _work(self) -> Pairs:
        if self.work is None:
            self.work = workspace(*self.model.means.shape)
        return self.work


def workspace(n_components: int, n_features: int) -> Pairs:
    """Allocate what the compiled loop writes to."""
    n_rows, n_pairs = block_rows(n_components), _most_pairs(n_components)
    buffers, in_registers = np.zeros((2, *_buffer_shape(n_features))), (_loop().ACROSS, _loop().ALONG)
    return Pairs(
        np.empty(n_pairs, np.int64),
        np.empty(n_pairs),
        np.zeros(n_components + 1, np.int64),
        np.zeros(n_components + 1, np.int64),
        np.empty(n_rows, np.int64),
        np.empty(n_rows, np.int32),
        np.empty(n_rows, np.float32),
        np.empty(n_rows),
        np.empty(n_rows),
        buffers[0],
        buffers[1],
        np.empty(in_registers),
        np.empty(in_registers),
    )


def own_bytes(stack: Stack, group: Group) -> int:
    """Forecast the bytes that bounds, exact densities and their workspace take for a group."""
    n_components, n_features = len(group.natural_parameters), stack.n_features
    n_rows = block_rows(n_components)
    if stack.n_rows is not None:
        n_rows = min(n_rows, max(stack.n_rows, NEAR.trial_rows))
    m = most_directions(n_features)
    of_rows = n_features * 8 * 2 + m * 12 + 4 * (2 * m + m * (m + 1) // 2) + 4 * n_components
    of_model = 8 * n_features * (_width(n_features) + 2 * m + 3) + 24 * m * (m + 4)
    buffers = 16 * math.prod(_buffer_shape(n_features))
    return n_rows * (of_rows + 36) + 16 * _most_pairs(n_components) + n_components * of_model + buffers


def _most_pairs(n_components: int) -> int:
    return int(block_rows(n_components) * max(2.0, NEAR.most_near * n_components))


def _width(n_features: int) -> int:
    along = _loop().ALONG
    return -(-n_features // along) * along


def _buffer_shape(n_features: int) -> tuple[int, int]:
    """Return that of rows that are put together: of 1, their features, and what products read beyond."""
    return BUFFER_ROWS, _width(n_features + _loop().ACROSS) + _loop().ALONG


def block_rows(n_components: int) -> int:
    """Return the rows of a block."""
    wanted = min(NEAR.component_rows * n_components, NEAR.block_bytes // (4 * n_components))
    return max(NEAR.trial_rows, wanted)
