"""Upper bounds of log joint densities from a few directions of the rows, which tell what components are near.

Of any m directions of the rows, a component's marginal distribution has a Mahalanobis distance that is at
most that of all features: so the marginal mixture, with the constants of the whole one, bounds all log joint
densities from above. Directions are those in which means are apart, in widths of the components
(discriminant analysis), so that few are enough where components are separate. Bounds count in all rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh, get_lapack_funcs

from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable


@dataclass(frozen=True)
class BoundsTuning:
    """How bounds are made, and when they are worth it. Chosen by docs/notes/2026-11-26-near.md.

    Attributes
    ----------
    left_out : float
        What all components together that are left out have of a row at most: 1e9 rows are then less than the
        ten machine epsilons that an M-step adds to every count.
    most_directions : float
        Share of the features.
    many_directions : int
        The most of them, whatever the features.
    most_work : float
        Share of the work without bounds that is expected, for bounds to be made.
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

    left_out: float = 1e-24
    most_directions: float = 0.6
    many_directions: int = 32
    most_work: float = 0.7
    bound_error: float = 4.0
    shrunk: float = 1e-4
    row_work: float = 2500.0
    scan_work: float = 12.0
    share_work: float = 25.0
    pair_work: float = 3.0
    gather_work: float = 60.0
    diagonal_pair_work: float = 500.0


BOUNDS = BoundsTuning()

LOWEST = -1e4
"""Log constants in bounds are no less than the largest and this, nats: components of no weight would spoil
the rounding of all."""

SAMPLED = 64
"""Components that are looked at for what bounds will leave."""


def _features(projected: NDArray[np.floating], *, has_products: bool) -> NDArray[np.floating]:
    """Return the features of columns (m, n), as families have them: 1, v, squares, and products of two."""
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
        if fixed + single <= BOUNDS.bound_error:
            table = self._features(projected.astype(np.float32))
            return np.matmul(self.theta_single, table, dtype=np.float32), fixed + single
        if fixed + double * varying <= BOUNDS.bound_error:
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


def most_directions(n_features: int) -> int:
    """Return the most directions that bounds may have."""
    return min(int(BOUNDS.most_directions * n_features), BOUNDS.many_directions)


def _directions(model: Evaluable) -> Array:
    """Return directions in which means are apart, in widths of components: (m, D), the best first.

    Those of independent features are features, for components to be independent in them too.

    Raises
    ------
    LinAlgError
        Where there are none.
    """
    factors, n_components, n_features = model.precisions_cholesky, *model.means.shape
    most = most_directions(n_features)
    gaps = model.means - model.means.mean(axis=0)
    if not model.family.has_products:
        apart = np.square(gaps).mean(axis=0) * np.square(factors).mean(axis=0)
        return np.eye(n_features)[np.argsort(-apart, kind="stable")[:most]]
    joined = np.swapaxes(factors, 0, 1).reshape(n_features, -1)
    within = np.linalg.inv(joined @ joined.T / n_components)
    _, vectors = eigh(gaps.T @ gaps / n_components, within, check_finite=False)
    return np.ascontiguousarray(vectors[:, : -1 - most : -1].T)


def _marginal_factors(model: Evaluable, directions: Array) -> Array | None:
    """Return factors (K, m, m) or (K, m) of the precisions of components in some directions.

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
    return factors if np.abs(errors).max() <= BOUNDS.shrunk / len(directions) / 4 else None


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
        pair = BOUNDS.pair_work * plain + BOUNDS.gather_work * n_features
        bound = number * (number + 3) / 4  # in float32, twice as fast
    else:
        plain, pair = 4 * n_features + BOUNDS.share_work, BOUNDS.diagonal_pair_work
        bound = number
    work = n_components * (bound + BOUNDS.scan_work) + number * n_features
    work += BOUNDS.row_work + np.maximum(near, 1.0) * pair
    chosen = int(work.argmin())
    if work[chosen] > BOUNDS.most_work * n_components * plain:
        return None
    m = int(number[chosen])
    own = (factors[:, :m, :m] if factors.ndim == 3 else factors[:, :m]) * np.sqrt(1.0 - BOUNDS.shrunk)
    constants = np.maximum(model.log_constants, model.log_constants.max() + LOWEST)
    theta = model.family.natural_parameters(constants, places[:, :m], own)
    with np.errstate(over="ignore"):  # bounds are made in float64 then
        single = theta.astype(np.float32)
    return Bounds(centre, directions[:m], theta, single, model.family.has_products)


def margin_of(n_components: int) -> float:
    """Return how far a component must be behind, in nats, to be left out."""
    return float(np.log(n_components / BOUNDS.left_out))
