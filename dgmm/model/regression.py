"""Missing features by regression on observed ones, for many patterns at once.

All arrays are of all features, in their order, zero where there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array, DegenerateCovarianceError, precision_factors


class Regressions(NamedTuple):
    """Covariances of which, pattern by pattern, what is observed is eliminated: k of them, P patterns.

    Attributes
    ----------
    factors : ndarray of shape (P, k, D, D)
        U with ``U Uᵀ`` the precision of what is observed.
    halves : ndarray of shape (P, k)
        Half the log determinants of these precisions.
    coefficients : ndarray of shape (P, k, D, D)
        Of the regression of missing features, in rows, on observed ones.
    within : ndarray of shape (P, k, D, D)
        Covariances of what is missing, given what is observed.
    """

    factors: Array
    halves: Array
    coefficients: Array
    within: Array


Regress = Callable[[Array, NDArray[np.bool_]], Regressions]
"""That of a kernel: see `regress`."""


def regress(covariances: Array, known: NDArray[np.bool_]) -> Regressions:
    """Eliminate what is observed from covariance matrices, by factors with the observed features first.

    With ``L Lᵀ`` the covariance and V the transposed inverse of L, in blocks, the precision of the observed
    features is ``V_oo V_ooᵀ``, the coefficients of regression are ``−L_mm V_omᵀ``, and the covariance of what
    is missing is ``L_mm L_mmᵀ``.

    Parameters
    ----------
    covariances : ndarray of shape (k, D, D), or (D, D)
    known : ndarray of shape (P, D), bool
        Which features each pattern has.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance, in the order of a pattern, is not positive definite but for rounding errors.
    """
    n_patterns, n_features = known.shape
    order = np.argsort(~known, axis=1, kind="stable")
    own = covariances.reshape(-1, n_features, n_features)
    ordered = own[:, order[:, :, None], order[:, None, :]].swapaxes(0, 1)
    flat = np.ascontiguousarray(ordered).reshape(-1, n_features, n_features)
    upper = precision_factors(flat).reshape(ordered.shape)
    try:
        lower = np.linalg.cholesky(flat).reshape(ordered.shape)
    except np.linalg.LinAlgError:
        raise DegenerateCovarianceError(None) from None
    is_first = np.arange(n_features) < known.sum(axis=1)[:, None]
    first, last = is_first[:, None, :], ~is_first[:, None, :]
    logs = np.log(np.diagonal(upper, axis1=2, axis2=3))
    lower = np.where(last[..., None] & last[:, :, None], lower, 0.0)
    coefficients = -lower @ np.swapaxes(np.where(first[..., None], upper, 0.0), 2, 3)
    coefficients = np.where(last[..., None] & first[:, :, None], coefficients, 0.0)
    factors = np.where(first[..., None] & first[:, :, None], upper, 0.0)
    left = lower @ np.swapaxes(lower, 2, 3)
    patterns, back = np.arange(n_patterns)[:, None], np.argsort(order, axis=1)
    rows, both = (
        (patterns, slice(None), back),
        (patterns[..., None], slice(None), back[..., None], back[:, None]),
    )
    return Regressions(
        factors[rows].swapaxes(1, 2),
        np.where(first, logs, 0.0).sum(axis=2),
        np.moveaxis(coefficients[both], 3, 1),
        np.moveaxis(left[both], 3, 1),
    )
