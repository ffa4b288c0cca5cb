"""Cholesky factors of small precision matrices, compiled by Numba: faster there than LAPACK.

Sums are made in the order in which `dgmm.model.matrices` makes them by NumPy, to the same bits.
"""

from __future__ import annotations

import numpy as np

from dgmm.model.jit import EXACT, MAKES_ARRAYS, compiled
from dgmm.model.matrices import NOISE


@compiled({**EXACT, **MAKES_ARRAYS}, is_kept=True)
def precision_factors(covariances):
    """Compute upper triangular factors U of the precisions ``U Uᵀ``: transposed inverses of Cholesky factors.

    Parameters
    ----------
    covariances : ndarray of shape (K, D, D), float64

    Returns
    -------
    bad : int
        The first matrix that is not positive definite, or −1.
    factors : ndarray of shape (K, D, D)
        Of all matrices before that.
    """
    n_components, n_features, _ = covariances.shape
    factors = np.zeros((n_components, n_features, n_features))
    lower = np.empty((n_features, n_features))
    for k in range(n_components):
        covariance, upper = covariances[k], factors[k]
        for i in range(n_features):
            for j in range(i):
                value = covariance[i, j]
                for m in range(j):
                    value -= lower[i, m] * lower[j, m]
                lower[i, j] = value / lower[j, j]
            value = covariance[i, i]
            for m in range(i):
                value -= lower[i, m] * lower[i, m]
            if not value > NOISE * covariance[i, i]:
                return k, factors
            lower[i, i] = np.sqrt(value)
            upper[i, i] = 1.0 / lower[i, i]
            for j in range(i):
                value = 0.0
                for m in range(j, i):
                    value += lower[i, m] * upper[j, m]
                upper[j, i] = -value * upper[i, i]
    return -1, factors
