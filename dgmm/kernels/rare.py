"""Rows whose missing features few others share: each with its own marginal, many at a time.

A factor of each component's covariance is made row by row, with the observed features first: what is left of
the covariance when these are eliminated is that of the missing ones, and what is left of the deviations is
their regression. No features are in this, and no sums about a centre: nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_2_PI, Parameters, finite_logs

BATCH_ENTRIES = 2**18
"""Entries of covariances that are worked on at a time: they stay in a cache."""


ROW_SECONDS, FEATURE_SECONDS = 3e-7, 2.5e-8
"""About what a row takes; and more for each component and feature, of families without products."""

ENTRY_SECONDS, PRODUCT_SECONDS, REST_SECONDS = 2e-9, 1e-11, 3e-10
"""Of others: for each entry of a covariance, the cube of its features, and the square for each component."""


class Expected(NamedTuple):
    """What a mixture says of rows that lack values.

    Attributes
    ----------
    rows : slice
        Which rows.
    log_joint : ndarray of shape (n_rows, K)
        Log joint densities of what is observed, and the component.
    deviations, within, entropies : ndarray
        As `dgmm.model.observed.ExpectedSums.add_rows` takes them. What components share they have once.
    """

    rows: slice
    log_joint: Array
    deviations: Array
    within: Array
    entropies: Array


Eliminate = Callable[[Parameters, Array, NDArray[np.bool_]], tuple[Array, Array, Array, Array]]
"""That of a kernel: see `dgmm.kernels.kernel.Kernel`."""


def eliminate(
    parameters: Parameters, deviations: Array, is_known: NDArray[np.bool_]
) -> tuple[Array, Array, Array, Array]:
    """Eliminate what is observed by NumPy, of all rows at a time: see `dgmm.kernels.kernel.Kernel`."""
    left = np.repeat(own_covariances(parameters)[None], len(deviations), axis=0)
    rest = deviations.copy()
    squares, halves = np.zeros(deviations.shape[:2]), np.zeros(left.shape[:2])
    for feature in range(deviations.shape[2]):
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
    return np.where(is_known[:, None, :], deviations, -rest), left, squares, halves


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
    n_components, n_features = parameters.means.shape
    constants = finite_logs(parameters.weights)
    has_products = parameters.family.has_products
    entries = n_components * n_features * (n_features if has_products else 1)
    step = max(1, BATCH_ENTRIES // entries)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        own = rows[part]
        is_known = ~np.isnan(own)
        n_known = is_known.sum(axis=1)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and found by that
            deviations = np.where(is_known[:, None, :], own[:, None, :] - parameters.means, 0.0)
            eliminated = by if has_products else _independent
            deviations, within, squares, halves = eliminated(parameters, deviations, is_known)
            log_joint = constants - 0.5 * (n_known * LOG_2_PI + squares) - halves
        n_missing = n_features - n_known
        whole = -parameters.family.half_log_determinants(parameters.precisions_cholesky, n_features)
        entropies = 0.5 * n_missing * (1.0 + LOG_2_PI) + np.where(n_missing > 0, whole - halves, 0.0)
        yield Expected(part, log_joint, deviations, within, entropies)


def own_covariances(parameters: Parameters) -> Array:
    """Give the covariances, (K, D, D); of components that share theirs that one alone, (1, D, D)."""
    n_features = parameters.n_features
    return np.reshape(parameters.covariances, (-1, n_features, n_features))


def row_seconds(model: Parameters) -> float:
    """Forecast the seconds that a row takes here."""
    n_components, n_features = model.means.shape
    if not model.family.has_products:
        return ROW_SECONDS + n_components * FEATURE_SECONDS * n_features
    entries = own_covariances(model).size
    own = entries * (ENTRY_SECONDS + n_features * PRODUCT_SECONDS)
    return ROW_SECONDS + own + n_components * n_features**2 * REST_SECONDS


def _independent(
    parameters: Parameters, deviations: Array, is_known: NDArray[np.bool_]
) -> tuple[Array, Array, Array, Array]:
    """Do as `eliminate` for families without products: ``within`` are variances, (n_rows, K, D)."""
    variances = parameters.variances
    within = np.where(is_known[:, None, :], 0.0, variances)
    squares = (deviations**2 / variances).sum(axis=2)
    halves = 0.5 * is_known @ np.log(variances).T
    return deviations, within, squares, halves


def shares_of(log_joint: Array) -> tuple[Array, Array]:
    """Turn log joint densities (n_rows, K) into responsibilities, and log densities (n_rows,)."""
    largest = log_joint.max(axis=1, keepdims=True)
    shares = np.exp(log_joint - np.maximum(largest, np.finfo(float).min))
    totals = shares.sum(axis=1, keepdims=True)
    return shares / totals, (largest + np.log(totals))[:, 0]
