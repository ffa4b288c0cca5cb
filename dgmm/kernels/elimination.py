"""Observed features eliminated from covariances, row by row, compiled by Numba: see `dgmm.kernels.rare`."""

from __future__ import annotations

import numpy as np

from dgmm.model.jit import REORDERED, compiled


@compiled(REORDERED)
def _put_first(is_known, row, order):
    """Order features: the observed ones, whose number is given, then the missing ones."""
    n_features = is_known.shape[1]
    n_known = 0
    for feature in range(n_features):
        if is_known[row, feature]:
            order[n_known] = feature
            n_known += 1
    last = n_known
    for feature in range(n_features):
        if not is_known[row, feature]:
            order[last] = feature
            last += 1
    return n_known


@compiled(REORDERED)
def _factor(covariances, k, order, n_known, lower):
    """Fill the columns of the observed features, and give half their log determinant."""
    half = 0.0
    for i in range(len(order)):
        for j in range(min(i + 1, n_known)):
            value = covariances[k, order[i], order[j]]
            for m in range(j):
                value -= lower[i, m] * lower[j, m]
            if i == j:
                lower[i, i] = np.sqrt(value)
                half += np.log(lower[i, i])
            else:
                lower[i, j] = value / lower[j, j]
    return half


@compiled(REORDERED)
def _complete(deviations, row, k, order, n_known, lower, standardized):
    """Complete deviations, and give the squared length of the observed ones."""
    square = 0.0
    for i in range(len(order)):
        value = 0.0
        for m in range(min(i, n_known)):
            value += lower[i, m] * standardized[m]
        if i < n_known:
            standardized[i] = (deviations[row, k, order[i]] - value) / lower[i, i]
            square += standardized[i] * standardized[i]
        else:
            deviations[row, k, order[i]] = value
    return square


@compiled(REORDERED)
def _subtract(covariances, row, k, order, n_known, lower, within):
    """Fill the covariance of what is missing, given the observed features."""
    for i in range(n_known, len(order)):
        for j in range(n_known, i + 1):
            value = covariances[k, order[i], order[j]]
            for m in range(n_known):
                value -= lower[i, m] * lower[j, m]
            within[row, k, order[i], order[j]] = value
            within[row, k, order[j], order[i]] = value


@compiled(REORDERED, is_kept=True)
def eliminate(covariances, deviations, is_known, lower, order, standardized, within, squares, halves):
    """Do as `dgmm.kernels.rare.eliminate`, in place.

    With the observed features first, ``lower`` has a row's Cholesky factor, as far as that is of them: dot
    products are of its rows, which lie in one piece.

    Parameters
    ----------
    covariances : ndarray of shape (K, D, D), or (1, D, D) of one that all components share
    deviations : ndarray of shape (n_rows, K, D)
        Completed here.
    is_known : ndarray of shape (n_rows, D), bool
    lower : ndarray of shape (D, D)
    order : ndarray of shape (D,), int
    standardized : ndarray of shape (D,)
        Where to work.
    within : ndarray of shape (n_rows, K, D, D), or (n_rows, 1, D, D)
        Zeros, filled here.
    squares : ndarray of shape (n_rows, K)
        Filled here.
    halves : ndarray of shape (n_rows, K), or (n_rows, 1)
        Filled here.
    """
    n_rows, n_components, _ = deviations.shape
    n_own = len(covariances)
    for row in range(n_rows):
        n_known = _put_first(is_known, row, order)
        for k in range(n_components):
            if k < n_own:
                halves[row, k] = _factor(covariances, k, order, n_known, lower)
                _subtract(covariances, row, k, order, n_known, lower, within)
            squares[row, k] = _complete(deviations, row, k, order, n_known, lower, standardized)
