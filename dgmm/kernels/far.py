"""Log densities and responsibilities of rows beyond the range of squares in float64.

Responsibilities have limits there all the same: of components that differ in the width along the row's
direction the widest has the row; of those as wide, the one that lies farthest in that direction; and of those
that agree in this too, each has its share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable


@dataclass(frozen=True)
class FarTuning:
    """Where the range of squares ends, and what of differences is left there.

    By the range of float64 and by its rounding. Half and double: not measured.

    Attributes
    ----------
    distance : float
        Standard deviations, of any component, within which all rows take the usual path: squares of all
        products of two such distances are in range.
    log_density : float
        Log densities below are large for nothing but the row: in differences of them rounding errors are
        left.
    rounding : float
        Relative difference of squares, or products, that rounding may have made.
    """

    distance: float = 1e140
    log_density: float = -1e200
    rounding: float = 64 * float(np.finfo(np.float64).eps)


FAR = FarTuning()


def far_rows(model: Evaluable, rows: NDArray[np.floating], centre: Array) -> NDArray[np.bool_] | None:
    """Return which rows may be too far for the usual path, (n_rows,); None where none is.

    Parameters
    ----------
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features)
    centre : ndarray of shape (n_features,)
        That features will be relative to.
    """
    means = float(np.abs(model.means - centre).max())
    scale = max(1.0, rows.shape[1] * float(np.abs(model.precisions_cholesky).max()))
    limit = FAR.distance / scale
    with np.errstate(over="ignore"):
        extremes = max(float((rows.max(axis=0) - centre).max()), float((centre - rows.min(axis=0)).max()))
        if extremes + means < limit:
            return None
        return ~(np.abs(rows - centre).max(axis=1) + means < limit)


def log_joint_of_far(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Return log joint densities as they are: −∞ where they leave the range. (n_rows, D) to (n_rows, K)."""
    found = np.empty((len(rows), len(model.means)))
    with np.errstate(all="ignore"):
        for k, (mean, constant) in enumerate(zip(model.means, model.log_constants, strict=True)):
            standardized = model.family.standardize((rows - mean).T, model.precisions_cholesky, k)
            squares = (standardized**2).sum(axis=0)
            found[:, k] = constant - 0.5 * np.where(np.isfinite(squares), squares, np.inf)
    return found


def responsibilities_of_far(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Return responsibilities, in the limit where densities do not tell. (n_rows, D) to (n_rows, K)."""
    log_joint = log_joint_of_far(model, rows)
    beyond = log_joint.max(axis=1) < FAR.log_density
    log_joint[beyond] = _in_the_limit(model, rows[beyond])
    shares = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _in_the_limit(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Return logarithms, up to a constant for each row, of what components have of rows beyond all bounds.

    With x = t u the exponent is −½ t² uᵀΛu + t uᵀΛμ − ½ μᵀΛμ and the logarithm of the rest: the first
    coefficient decides, then the second, then the third.
    """
    directions = rows / np.abs(rows).astype(np.float64).max(axis=1, keepdims=True)
    factors = model.precisions_cholesky
    unit = factors / np.abs(factors).max()
    constants = model.log_constants
    shape = len(rows), len(model.means)
    squares, products, rest = np.empty(shape), np.empty(shape), np.empty(shape)
    scales = np.empty(shape)
    for k, mean in enumerate(model.means):
        along = model.family.standardize(directions.T, unit, k)
        own = model.family.standardize(mean[:, None], unit, k)
        squares[:, k] = (along**2).sum(axis=0)
        products[:, k], scales[:, k] = (along * own).sum(axis=0), (np.abs(along * own)).sum(axis=0)
        exact = model.family.standardize(mean[:, None], factors, k)
        with np.errstate(over="ignore"):  # of means beyond the range, too: all of those left share alike
            rest[:, k] = max(constants[k] - 0.5 * float((exact**2).sum()), -np.finfo(np.float64).max)
    left = np.broadcast_to(constants > -np.inf, shape)
    least = np.where(left, squares, np.inf).min(axis=1, keepdims=True)
    left = left & (squares <= least * (1.0 + FAR.rounding))
    most = np.where(left, products, -np.inf).max(axis=1, keepdims=True)
    left &= products >= most - FAR.rounding * np.where(left, scales, 0.0).max(axis=1, keepdims=True)
    return np.where(left, rest, -np.inf)
