"""Rows of rare patterns: a marginal for each row, many rows at a time.

A factor of each component's covariance is made row by row, with the observed features first: what is left of
the covariance when these are eliminated is that of the missing ones, and what is left of the deviations is
their regression. No features are in this, and no sums about a centre: nothing cancels. The compiled kernel
does less where no feature is nearly known from the others (`dgmm.kernels.completion`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array
from dgmm.model.observed import RowSums
from dgmm.model.parameters import LOG_2_PI, Parameters, finite_logs

BATCH_ENTRIES = 2**18
"""Entries of covariances that are worked on at a time: they stay in a cache."""

MOST_KNOWN, MOST_APART = 1e4, 1e6
"""Of a feature's variance in a component to what the others leave of it; and, where components share a
covariance, the squared Mahalanobis distance of a mean from the middle of all. With more, differences of
squares would show rounding errors."""

ROW_SECONDS, FEATURE_SECONDS = 3e-7, 2.5e-8
"""About what a row takes; and more for each component and feature, of families without products."""

ENTRY_SECONDS, PRODUCT_SECONDS, REST_SECONDS = 2e-9, 1e-11, 3e-10
"""Of others: for each entry of a covariance, the cube of its features, and the square for each component."""

NUMPY_SECONDS = 2e-9
"""Of others, by NumPy: for the cube of the features of each covariance."""

COMPLETED_SECONDS, SHARED_SECONDS = (3e-8, 6e-9, 2e-10), (3e-8, 3e-9, 6e-11)
"""Of those that are completed, for each component: in all, for its features, and their square."""


Within = Callable[[Array], Array]
"""Sums the covariances of what rows lack, each times its share: of shares (n_rows, j) gives (j, D, D), or
(j, D) of families without products. Shares are of each component, or any where these share a covariance."""


class Eliminated(NamedTuple):
    """A plain mixture and some rows, of which what is observed is eliminated.

    Attributes
    ----------
    rows : slice
        Which rows.
    is_known : ndarray of shape (n_rows, D), bool
        What they have.
    sums : RowSums
        Of rows completed by regression.
    squares : ndarray of shape (n_rows, K)
        Squared Mahalanobis lengths of what is observed.
    halves : ndarray of shape (n_rows, K), or (n_rows, 1)
        Half the log determinants of its covariances; once, where components share theirs.
    """

    rows: slice
    is_known: NDArray[np.bool_]
    sums: RowSums
    squares: Array
    halves: Array


class Expected(NamedTuple):
    """What a mixture says of rows that lack values.

    Attributes
    ----------
    rows : slice
        Which rows.
    log_joint : ndarray of shape (n_rows, K)
        Log joint densities of what is observed, and the component.
    sums : RowSums
        As in `Eliminated`.
    is_known : ndarray of shape (n_rows, D), bool
        What the rows have.
    entropies : ndarray of shape (n_rows, K), or (n_rows, 1)
        Of what is missing, nats.
    """

    rows: slice
    log_joint: Array
    sums: RowSums
    is_known: NDArray[np.bool_]
    entropies: Array


Eliminate = Callable[[Parameters, NDArray[np.floating]], Iterator[Eliminated]]
"""That of a kernel: see `dgmm.kernels.kernel.Kernel`."""


def batches(
    points: Array, rows: NDArray[np.floating], entries: int
) -> Iterator[tuple[slice, NDArray[np.bool_], Array]]:
    """Cut rows by the entries of a covariance that are kept of each row and of points, (k, D).

    Yields
    ------
    rows : slice
    is_known : ndarray of shape (n_rows, D), bool
    deviations : ndarray of shape (n_rows, k, D)
        From the points, zero where missing.
    """
    step = max(1, BATCH_ENTRIES // (len(points) * entries))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        is_known = ~np.isnan(rows[part])
        deviations = np.where(is_known[:, None, :], rows[part, None, :] - points, 0.0)
        yield part, is_known, deviations


def eliminate(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Eliminated]:
    """Eliminate what is observed by NumPy, of many rows at a time: see `dgmm.kernels.kernel.Kernel`."""
    n_features = parameters.n_features
    for part, is_known, deviations in batches(parameters.means, rows, n_features**2):
        left = np.repeat(own_covariances(parameters)[None], len(deviations), axis=0)
        rest = deviations.copy()
        squares, halves = np.zeros(deviations.shape[:2]), np.zeros(left.shape[:2])
        for feature in range(n_features):
            mine = np.flatnonzero(is_known[:, feature])
            if not len(mine):
                continue
            everyone = len(mine) == len(deviations)
            own, gaps = (left, rest) if everyone else (left[mine], rest[mine])
            pivots = np.sqrt(own[:, :, feature, feature])
            column = own[:, :, :, feature] / pivots[:, :, None]
            standardized = gaps[:, :, feature] / pivots
            gaps -= column * standardized[:, :, None]
            own -= column[:, :, :, None] * column[:, :, None, :]
            if not everyone:
                left[mine], rest[mine] = own, gaps
            squares[mine] += standardized**2
            halves[mine] += np.log(pivots)
        lacks = ~is_known
        left *= (lacks[:, :, None] & lacks[:, None, :])[:, None]
        completed = np.where(is_known[:, None, :], deviations, -rest)
        sums = regressed(parameters, completed, sums_of(left))
        yield Eliminated(part, is_known, sums, squares, halves)


def sums_of(within: Array) -> Within:
    """Sum covariances of each row: (n_rows, K, D, D), or (n_rows, 1, D, D) of one that components share."""
    if within.shape[1] == 1:
        return lambda shares: np.tensordot(shares, within[:, 0], (0, 0))
    return lambda shares: np.einsum("nk,nkij->kij", shares, within, optimize=True)


def regressed(parameters: Parameters, deviations: Array, within: Within) -> RowSums:
    """Sum completed deviations from the components' means, (n_rows, K, D)."""

    def sums(shares: Array, points: Array, is_pooled: bool) -> tuple[Array, Array]:
        gaps = deviations + (parameters.means - points)
        weighted = shares[:, :, None] * gaps
        if not parameters.family.has_products:
            scatter = (weighted * gaps).sum(axis=0) + within(shares)
        elif is_pooled:
            n_features = gaps.shape[2]
            scatter = weighted.reshape(-1, n_features).T @ gaps.reshape(-1, n_features)
            scatter = scatter[None] + within(shares.sum(axis=1, keepdims=True))
        else:
            scatter = weighted.transpose(1, 2, 0) @ gaps.transpose(1, 0, 2) + within(shares)
        return weighted.sum(axis=0), scatter

    return sums


def expected_rows(
    parameters: Parameters, rows: NDArray[np.floating], by: Eliminate = eliminate
) -> Iterator[Expected]:
    """Evaluate a mixture on rows that may lack any features, all of them too.

    Parameters
    ----------
    parameters : Parameters
        A plain mixture: see `dgmm.model.conditional.plain`.
    rows : ndarray of shape (n_rows, n_features)
        NaN where a value is missing.
    by : callable, optional
        What eliminates observed features; by default NumPy.
    """
    n_features, family = parameters.n_features, parameters.family
    constants = finite_logs(parameters.weights)
    whole = -family.half_log_determinants(parameters.precisions_cholesky, n_features)
    eliminated = (by if family.has_products else _independent)(parameters, rows)
    while True:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and found by that
            if (found := next(eliminated, None)) is None:
                return
            n_known = found.is_known.sum(axis=1)[:, None]
            log_joint = constants - 0.5 * (n_known * LOG_2_PI + found.squares) - found.halves
        n_missing = n_features - n_known
        of_missing = np.where(n_missing > 0, whole - found.halves, 0.0)
        entropies = 0.5 * n_missing * (1.0 + LOG_2_PI) + of_missing
        yield Expected(found.rows, log_joint, found.sums, found.is_known, entropies)


def own_covariances(parameters: Parameters) -> Array:
    """Return the covariances, (K, D, D); of components that share theirs that one alone, (1, D, D)."""
    n_features = parameters.n_features
    return np.reshape(parameters.covariances, (-1, n_features, n_features))


def own_entries(parameters: Parameters) -> int:
    """Count the entries of these, or of variances alone."""
    return own_covariances(parameters).size if parameters.family.has_products else parameters.means.size


def origins_of(parameters: Parameters) -> Array:
    """Return what deviations of rows to complete are from.

    Means, (K, D); or the middle of all, (1, D), where components share a covariance.
    """
    means = parameters.means
    return means.mean(axis=0, keepdims=True) if parameters.family.is_shared else means


def can_be_completed(parameters: Parameters) -> bool:
    """Return whether no feature is nearly known from the others, in any component; nor is any width lost.

    Where components share a covariance, nor is any mean far from the others.
    """
    n_features, variances = parameters.n_features, own_covariances(parameters).diagonal(axis1=1, axis2=2)
    precisions = np.reshape(parameters.precisions, (-1, n_features, n_features)).diagonal(axis1=1, axis2=2)
    known = precisions * variances
    if not ((known > 0.0) & (known <= MOST_KNOWN)).all():
        return False
    if not parameters.family.is_shared:
        return True
    gaps = parameters.means - origins_of(parameters)
    return bool(((gaps @ parameters.precisions_cholesky) ** 2).sum(axis=1).max() <= MOST_APART)


def row_seconds(model: Parameters, by: Eliminate = eliminate) -> float:
    """Forecast the seconds that a row takes here, by what eliminates observed features."""
    n_components, n_features = model.means.shape
    if not model.family.has_products:
        return ROW_SECONDS + n_components * FEATURE_SECONDS * n_features
    if by is not eliminate and can_be_completed(model):
        seconds = SHARED_SECONDS if model.family.is_shared else COMPLETED_SECONDS
        return ROW_SECONDS + n_components * sum(each * n_features**i for i, each in enumerate(seconds))
    entries = own_entries(model)
    if by is eliminate:
        return ROW_SECONDS + entries * n_features * NUMPY_SECONDS
    own = entries * (ENTRY_SECONDS + n_features * PRODUCT_SECONDS)
    return ROW_SECONDS + own + n_components * n_features**2 * REST_SECONDS


def _independent(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Eliminated]:
    """Do as `eliminate` for families without products."""
    variances = parameters.variances
    for part, is_known, deviations in batches(parameters.means, rows, parameters.n_features):
        squares = (deviations**2 / variances).sum(axis=2)
        halves = 0.5 * is_known @ np.log(variances).T

        def within(shares: Array, lacks: NDArray[np.bool_] = ~is_known) -> Array:
            return (shares.T @ lacks) * variances

        sums = regressed(parameters, deviations, within)
        yield Eliminated(part, is_known, sums, squares, halves)


def shares_of(log_joint: Array) -> tuple[Array, Array]:
    """Turn log joint densities (n_rows, K) into responsibilities, and log densities (n_rows,)."""
    largest = log_joint.max(axis=1, keepdims=True)
    shares = np.exp(log_joint - np.maximum(largest, np.finfo(float).min))
    totals = shares.sum(axis=1, keepdims=True)
    return shares / totals, (largest + np.log(totals))[:, 0]
