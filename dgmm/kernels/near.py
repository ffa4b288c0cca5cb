"""Components far from a row skipped by bounds, where most are far from most rows.

Of any m directions of the rows, a component's marginal distribution has a Mahalanobis distance that is at
most that of all features: so the marginal mixture, with the constants of the whole one, bounds all log joint
densities from above. Directions are those in which means are apart, in widths of the components
(discriminant analysis), so that few are enough where components are separate. A component that is left out of
a row has less than `NearTuning.left_out` of it, by a bound that counts in all rounding: not by a guess.

Where bounds leave much, rows go the plain way, which is the reference: of the model beforehand, and of every
piece of rows by its first ones, in the order in which rows come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh, get_lapack_funcs

from dgmm.kernels.stack import Group, Stack
from dgmm.model.families.forms import Diagonals
from dgmm.model.jit import compiled_module, in_one_form
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable


@dataclass(frozen=True)
class NearTuning:
    """When components are left out, and how rows are cut for it. Chosen by docs/notes/2026-11-26-near.md.

    Attributes
    ----------
    fewest_components, fewest_diagonal_components : int
        Of a model, for bounds to be worth it: a full one, or one without products of features.
    fewest_rows : int
        That come at once.
    least_work : float
        See `dgmm.kernels.stack.Stack.work`: bounds take some milliseconds to make.
    left_out : float
        What all components together that are left out have of a row at most: 1e9 rows are then less than the
        ten machine epsilons that an M-step adds to every count.
    most_directions : float
        Share of the features.
    many_directions : int
        The most of them, whatever the features.
    block_bytes : int
        Of the bounds of a block of rows.
    component_rows : int
        Rows of a block, for each component: its sums are fetched once for so many, on average.
    trial_rows : int
        Rows of the first block of a piece, which tells whether the others are worth it.
    most_near : float
        Share of all pairs of a row and a component for which there is room: with more, the plain way.
    most_work : float
        Share of the plain way's work that is expected, for bounds to be made.
    bound_error : float
        Nats that bounds are raised by at most for rounding; else they are made in float64.
    shrunk : float
        Of the squares in bounds, for the rounding of factors.
    row_work, scan_work, share_work : float
        What a row takes, however many components there are, in products; what it takes to look at a bound,
        and to make a responsibility of a density.
    pair_work, gather_work, diagonal_pair_work : float
        What a pair takes: in triangles of all features, and for each feature; or for all, where they are
        independent.
    """

    fewest_components: int = 6
    fewest_diagonal_components: int = 24
    fewest_rows: int = 512
    least_work: float = 2.0**29
    left_out: float = 1e-24
    most_directions: float = 0.6
    many_directions: int = 32
    block_bytes: int = 2**23
    component_rows: int = 32
    trial_rows: int = 2**9
    most_near: float = 0.25
    most_work: float = 0.7
    bound_error: float = 4.0
    shrunk: float = 1e-4
    row_work: float = 2500.0
    scan_work: float = 12.0
    share_work: float = 25.0
    pair_work: float = 3.0
    gather_work: float = 60.0
    diagonal_pair_work: float = 500.0


NEAR = NearTuning()

BUFFER_ROWS = 64
"""Rows of a component that are put together."""

LOWEST = -1e4
"""Log constants in bounds are no less than the largest and this, nats: components of no weight would spoil
the rounding of all."""

SAMPLED = 64
"""Components that are looked at for what bounds will leave."""


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


def _features(projected: NDArray[np.floating], *, has_products: bool) -> NDArray[np.floating]:
    """Give the features of columns (m, n), as families have them: 1, v, squares, and products of two."""
    m, n = projected.shape
    table = np.empty((1 + 2 * m + (m * (m - 1) // 2 if has_products else 0), n), projected.dtype)
    table[0] = 1.0
    table[1 : m + 1] = projected
    np.multiply(projected, projected, out=table[m + 1 : 2 * m + 1])
    first = 2 * m + 1
    for i in range(m - 1 if has_products else 0):
        last = first + m - 1 - i
        np.multiply(projected[i], projected[i + 1 :], out=table[first:last])
        first = last
    return table


@dataclass(frozen=True, eq=False)
class Bounds:
    """Upper bounds of log joint densities, from some directions of the rows.

    Attributes
    ----------
    centre : ndarray of shape (D,)
    directions : ndarray of shape (m, D)
    theta : ndarray of shape (K, P)
        Natural parameters of the marginal mixture with the constants of the whole one.
    theta_single : ndarray of shape (K, P), float32
    has_products : bool
        Whether directions depend on each other.
    """

    centre: Array
    directions: Array
    theta: Array
    theta_single: NDArray[np.float32]
    has_products: bool

    def of_rows(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.float32], float] | None:
        """Give bounds (K, n) of rows (n, D), and what rounding may add to them; None if that is too much."""
        projected, reach, most = self._projected(rows)
        magnitudes = np.abs(self.theta)
        # Of what is projected itself, twice as it is squared; then of features and of sums of products.
        of_rows = self._features(most[:, None])[:, 0]
        double = float(np.finfo(np.float64).eps)
        fixed = 2 * (rows.shape[1] + 2) * double * float((magnitudes @ of_rows).max())
        varying = (len(of_rows) + 4) * float((magnitudes @ self._features(reach[:, None])[:, 0]).max())
        single = float(np.finfo(np.float32).eps) * varying
        if fixed + single <= NEAR.bound_error:
            table = self._features(projected.astype(np.float32))
            return np.matmul(self.theta_single, table, dtype=np.float32), fixed + single
        if fixed + double * varying <= NEAR.bound_error:
            found = self.theta @ self._features(projected)
            return found.astype(np.float32), fixed + double * varying
        return None  # also of what is not a number

    def _projected(self, rows: NDArray[np.floating]) -> tuple[Array, Array, Array]:
        """Give places of rows in all directions (m, n), the farthest, and what their terms reach at most."""
        if not self.has_products:  # directions are features
            chosen = self.directions.argmax(axis=1)
            projected = rows.T[chosen] - self.centre[chosen, None]
            reach = np.maximum(projected.max(axis=1), -projected.min(axis=1))
            return projected, reach, reach
        deviations = rows - self.centre
        farthest = np.maximum(deviations.max(axis=0), -deviations.min(axis=0))
        projected = self.directions @ deviations.T
        reach = np.maximum(projected.max(axis=1), -projected.min(axis=1))
        return projected, reach, np.abs(self.directions) @ farthest

    def _features(self, projected: NDArray[np.floating]) -> NDArray[np.floating]:
        return _features(projected, has_products=self.has_products)


def _directions(model: Evaluable) -> Array:
    """Give directions in which means are apart, in widths of components: (m, D), the best first.

    Those of independent features are features, for components to be independent in them too.

    Raises
    ------
    LinAlgError
        Where there are none.
    """
    factors, n_components, n_features = model.precisions_cholesky, *model.means.shape
    most = min(int(NEAR.most_directions * n_features), NEAR.many_directions)
    gaps = model.means - model.means.mean(axis=0)
    if not model.family.has_products:
        apart = np.square(gaps).mean(axis=0) * np.square(factors).mean(axis=0)
        return np.eye(n_features)[np.argsort(-apart, kind="stable")[:most]]
    joined = np.swapaxes(factors, 0, 1).reshape(n_features, -1)
    within = np.linalg.inv(joined @ joined.T / n_components)
    _, vectors = eigh(gaps.T @ gaps / n_components, within, check_finite=False)
    return np.ascontiguousarray(vectors[:, : -1 - most : -1].T)


def _marginal_factors(model: Evaluable, directions: Array) -> Array | None:
    """Give factors (K, m, m) or (K, m) of the precisions of components in some directions.

    None where they are not exact. Those of the first directions alone are the first rows and columns.
    """
    if not model.family.has_products:
        return model.precisions_cholesky[:, directions.argmax(axis=1)]
    (trtrs,) = get_lapack_funcs(("trtrs",), (directions,))
    solved = np.stack([trtrs(factor, directions.T)[0] for factor in model.precisions_cholesky])
    lower = np.linalg.cholesky(np.swapaxes(solved, 1, 2) @ solved)
    factors = np.swapaxes(np.linalg.inv(lower), 1, 2)
    orthogonal = solved @ factors
    errors = np.swapaxes(orthogonal, 1, 2) @ orthogonal - np.eye(len(directions))
    return factors if np.abs(errors).max() <= NEAR.shrunk / len(directions) / 4 else None


def _expected_near(model: Evaluable, factors: Array, places: Array, margin: float) -> Array:
    """Estimate how many components bounds leave of a row, for each number of directions: (m,)."""
    n_features = model.means.shape[1]
    some = np.flatnonzero(model.log_constants >= model.log_constants.max() + LOWEST)  # of others are no rows
    some = some[:: -(-len(some) // SAMPLED)]
    gaps = places[some, None] - places
    y = (gaps[:, :, None, :] @ factors)[:, :, 0] if factors.ndim == 3 else gaps * factors
    lengths = np.cumsum(np.square(y), axis=-1)
    bounds = model.log_constants[:, None] - 0.5 * lengths
    usual = model.log_constants[some] - 0.5 * n_features
    return (bounds > (usual - margin)[:, None, None]).sum(axis=1).mean(axis=0)


def bounds_of(model: Evaluable, centre: Array) -> Bounds | None:
    """Make bounds of a model with as many directions as are the least work; None where that is much."""
    n_components, n_features = model.means.shape
    try:
        directions = _directions(model)
        factors = _marginal_factors(model, directions)
    except LinAlgError:
        return None
    if factors is None:
        return None
    places = (model.means - centre) @ directions.T
    number = np.arange(4, len(directions) + 1, 2)
    if not len(number):
        return None
    near = _expected_near(model, factors, places, margin_of(n_components))[number - 1]
    if model.family.has_products:
        plain = n_features * (n_features + 1) / 2
        pair = NEAR.pair_work * plain + NEAR.gather_work * n_features
        bound = number * (number + 3) / 4  # in float32, twice as fast
    else:
        plain, pair = 4 * n_features + NEAR.share_work, NEAR.diagonal_pair_work
        bound = number
    work = n_components * (bound + NEAR.scan_work) + number * n_features
    work += NEAR.row_work + np.maximum(near, 1.0) * pair
    chosen = int(work.argmin())
    if work[chosen] > NEAR.most_work * n_components * plain:
        return None
    m = int(number[chosen])
    own = (factors[:, :m, :m] if factors.ndim == 3 else factors[:, :m]) * np.sqrt(1.0 - NEAR.shrunk)
    constants = np.maximum(model.log_constants, model.log_constants.max() + LOWEST)
    theta = model.family.natural_parameters(constants, places[:, :m], own)
    with np.errstate(over="ignore"):  # bounds are made in float64 then
        single = theta.astype(np.float32)
    return Bounds(centre, directions[:m], theta, single, model.family.has_products)


def margin_of(n_components: int) -> float:
    """Give how far a component must be behind, in nats, to be left out."""
    return float(np.log(n_components / NEAR.left_out))


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
        """Give the bounds of the model, made once."""
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
    m = min(int(NEAR.most_directions * n_features), NEAR.many_directions)
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
    """Give that of rows that are put together: of 1, their features, and what products read beyond."""
    return BUFFER_ROWS, _width(n_features + _loop().ACROSS) + _loop().ALONG


def block_rows(n_components: int) -> int:
    """Give the rows of a block."""
    wanted = min(NEAR.component_rows * n_components, NEAR.block_bytes // (4 * n_components))
    return max(NEAR.trial_rows, wanted)
