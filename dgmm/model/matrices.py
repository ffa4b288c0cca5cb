"""Symmetric matrices, many at once: packed as rows of numbers, as covariances of a family, and their factors.

A matrix is *packed* as its diagonal, then the entries above the diagonal row by row.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dgmm.model.jit import ready_module

Array = NDArray[np.floating]


NOISE = 2 * np.finfo(np.float64).eps
"""Share of a variance that, once the features before are known, rounding errors alone can leave."""

SMALLEST_VARIANCE = 1.0 / np.finfo(np.float64).max
"""Of which the inverse does not overflow."""

COMPILED_FEATURES = 32
"""Features of the largest matrices whose factors are compiled: with more, LAPACK is as fast or faster."""


class DegenerateCovarianceError(ValueError):
    """A component's covariance is not positive definite; the message is scikit-learn's.

    Attributes
    ----------
    component : int or None
        The first such component; None where all share one covariance.
    """

    def __init__(self, component: int | None):
        where = "" if component is None else f" (Component {component}.)"
        super().__init__(
            "Fitting the mixture model failed because some components have "
            "ill-defined empirical covariance (for instance caused by singleton "
            "or collapsed samples). Try to decrease the number of components, "
            f"increase reg_covar, or scale the input data.{where}"
        )
        self.component = component

    def __reduce__(self):
        """Rebuild from the component: exceptions cross processes by pickle."""
        return type(self), (self.component,)


class OverflowedError(ValueError, FloatingPointError):
    """Sums or densities leave the range of float64: the message says of what."""


@lru_cache
def _above_diagonal(n_features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the entries above the diagonal: to find them takes longer than to use them."""
    return np.triu_indices(n_features, 1)


def packed_entries(n_features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give rows and columns of the entries of a packed matrix, in order: (D (D + 1) / 2,) each."""
    diagonal, (rows, columns) = np.arange(n_features), _above_diagonal(n_features)
    return np.concatenate([diagonal, rows]), np.concatenate([diagonal, columns])


def pack(symmetric: Array) -> Array:
    """Pack symmetric matrices (..., D, D) as (..., D (D + 1) / 2): diagonal, then above it."""
    above = _above_diagonal(symmetric.shape[-1])
    diagonal = np.diagonal(symmetric, axis1=-2, axis2=-1)
    return np.concatenate([diagonal, symmetric[..., above[0], above[1]]], axis=-1)


def unpack(packed: Array, n_features: int) -> Array:
    """Undo `pack`: (..., D (D + 1) / 2) to symmetric matrices (..., D, D)."""
    above = _above_diagonal(n_features)
    diagonal = np.arange(n_features)
    symmetric = np.empty((*packed.shape[:-1], n_features, n_features))
    symmetric[..., diagonal, diagonal] = packed[..., :n_features]
    symmetric[..., above[0], above[1]] = packed[..., n_features:]
    symmetric[..., above[1], above[0]] = packed[..., n_features:]
    return symmetric


def precision_factors(covariances: Array) -> Array:
    """Upper triangular factors U of the precisions ``U Uᵀ`` of covariances: (K, D, D) to the same.

    They are transposed inverses of the Cholesky factors.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite, or its precision overflows: the first such component.
    """
    if covariances.shape[-1] > COMPILED_FEATURES:
        factors = _factors_by_substitution(covariances)
    else:
        module = ready_module("dgmm.model.factors")
        factored = _factored if module is None else module.precision_factors
        bad, factors = factored(np.ascontiguousarray(covariances, np.float64))
        if bad >= 0:
            raise DegenerateCovarianceError(bad)
    with np.errstate(over="ignore"):
        is_bad = ~np.isfinite(np.square(factors).sum(axis=(1, 2)))
    if is_bad.any():
        raise DegenerateCovarianceError(int(is_bad.argmax()))
    return factors


def _factored(covariances: Array) -> tuple[int, Array]:
    """Do as `dgmm.model.factors.precision_factors`, feature by feature, of all components at once."""
    left = np.array(np.moveaxis(covariances, 0, -1), order="C")  # what the features before do not explain
    least = NOISE * np.diagonal(covariances, axis1=1, axis2=2).T
    turned, sums = np.zeros(left.shape), np.zeros(left.shape)
    bad = np.zeros(len(covariances), bool)
    with np.errstate(all="ignore"):  # what is bad is found, and what overflows is refused by the caller
        for i, pivots in enumerate(least):
            bad |= ~(left[i, i] > pivots)
            root = np.sqrt(left[i, i])
            inverse = 1.0 / root
            np.multiply(-sums[i, :i], inverse, out=turned[i, :i])
            turned[i, i] = inverse
            column = left[i + 1 :, i] / root
            left[i + 1 :, i + 1 :] -= column[:, None] * column
            sums[i + 1 :, : i + 1] += column[:, None] * turned[i, : i + 1]
    return int(bad.argmax()) if bad.any() else -1, np.ascontiguousarray(turned.transpose(2, 1, 0))


def _factors_by_substitution(covariances: Array) -> Array:
    """Compute `precision_factors` by forward substitution of all components at once.

    A call of LAPACK for each would take most of the time of an EM step on few rows.
    """
    try:
        lower = np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        raise DegenerateCovarianceError(_first_without_factor(covariances)) from None
    known = np.diagonal(lower, axis1=1, axis2=2) ** 2 > NOISE * np.diagonal(covariances, axis1=1, axis2=2)
    if not known.all():
        raise DegenerateCovarianceError(int((~known).any(axis=1).argmax()))
    inverse = np.zeros_like(lower)
    with np.errstate(all="ignore"):  # what overflows is refused by the caller
        for row in range(lower.shape[-1]):
            pivot = lower[:, row, row, None]
            inverse[:, row, row] = 1.0 / pivot[:, 0]
            done = lower[:, row, None, :row] @ inverse[:, :row, :row]
            inverse[:, row, :row] = -done[:, 0] / pivot
    return np.ascontiguousarray(np.swapaxes(inverse, 1, 2))


def _first_without_factor(covariances: Array) -> int | None:
    for component, covariance in enumerate(covariances):
        try:
            np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return component
    return None


def upper_factor(precision: Array) -> Array:
    """Upper triangular U with ``U Uᵀ = precision``: a Cholesky factor of the matrix turned by 180°."""
    return np.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1]
