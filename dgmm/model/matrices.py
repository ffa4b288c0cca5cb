"""Symmetric matrices, many at once: packed as rows of numbers, as covariances of a family, and their factors.

A matrix is *packed* as its diagonal, then the entries above the diagonal row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from dgmm.model.jit import ready_module

Array = NDArray[np.floating]


NOISE = 2 * np.finfo(np.float64).eps
"""Share of a variance that, once the features before are known, rounding errors alone can leave."""

SMALLEST_VARIANCE = 1.0 / np.finfo(np.float64).max
"""Of which the inverse does not overflow."""


@dataclass(frozen=True)
class MatrixTuning:
    """From how many features on matrices are worked on in another way; docs/notes/2026-11-26-wide.md.

    Attributes
    ----------
    compiled_features : int
        Of the largest matrices whose factors are compiled: with more, LAPACK is as fast or faster.
    wide_features : int
        Of the least whose triangles BLAS and LAPACK are told of, matrix by matrix: of smaller ones, calls
        take longer than the half of the work that is spared.
    indexed_features : int
        Of the least for which no arrays of indices are kept, which take as much as a matrix: rows are copied
        one by one.
    most_powers, power_change : int, float
        The most steps of the power method, and the relative change of an eigenvalue that ends them.
    """

    compiled_features: int = 32
    wide_features: int = 128
    indexed_features: int = 512
    most_powers: int = 100
    power_change: float = 1e-4


MATRICES = MatrixTuning()


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
    """Return rows and columns of the entries of a packed matrix, in order: (D (D + 1) / 2,) each."""
    diagonal, (rows, columns) = np.arange(n_features), _above_diagonal(n_features)
    return np.concatenate([diagonal, rows]), np.concatenate([diagonal, columns])


def _rows_above(n_features: int) -> Iterator[tuple[int, slice]]:
    """Yield each row of a matrix, and where packed matrices have what it has right of the diagonal."""
    start = n_features
    for row in range(n_features - 1):
        yield row, slice(start, start := start + n_features - 1 - row)


def pack(symmetric: Array) -> Array:
    """Pack symmetric matrices (..., D, D) as (..., D (D + 1) / 2): diagonal, then above it."""
    n_features = symmetric.shape[-1]
    diagonal = np.diagonal(symmetric, axis1=-2, axis2=-1)
    if n_features < MATRICES.indexed_features:
        above = _above_diagonal(n_features)
        return np.concatenate([diagonal, symmetric[..., above[0], above[1]]], axis=-1)
    packed = np.empty((*symmetric.shape[:-2], n_features * (n_features + 1) // 2), symmetric.dtype)
    packed[..., :n_features] = diagonal
    for row, part in _rows_above(n_features):
        packed[..., part] = symmetric[..., row, row + 1 :]
    return packed


def unpack(packed: Array, n_features: int) -> Array:
    """Undo `pack`: (..., D (D + 1) / 2) to symmetric matrices (..., D, D)."""
    diagonal = np.arange(n_features)
    symmetric = np.empty((*packed.shape[:-1], n_features, n_features))
    symmetric[..., diagonal, diagonal] = packed[..., :n_features]
    if n_features >= MATRICES.indexed_features:
        for row, part in _rows_above(n_features):
            symmetric[..., row, row + 1 :] = symmetric[..., row + 1 :, row] = packed[..., part]
        return symmetric
    above = _above_diagonal(n_features)
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
    n_features = covariances.shape[-1]
    if n_features <= MATRICES.compiled_features:
        module = ready_module("dgmm.model.factors")
        factored = _factored if module is None else module.precision_factors
        bad, factors = factored(np.ascontiguousarray(covariances, np.float64))
        if bad >= 0:
            raise DegenerateCovarianceError(bad)
    elif n_features < MATRICES.wide_features:
        factors = _factors_by_substitution(covariances)
    else:
        factors = np.empty(covariances.shape)
        for component, covariance in enumerate(covariances):
            _factor_of_wide(covariance, component, factors[component])
    with np.errstate(over="ignore"):
        is_bad = ~np.isfinite(np.einsum("kij,kij->k", factors, factors))
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


def _factor_of_wide(covariance: Array, component: int, factor: Array) -> None:
    """Write the factor of one covariance by LAPACK, in the memory that it is to have.

    That is C-contiguous: LAPACK, which goes by columns, sees its transpose.
    """
    factor[:] = covariance
    potrf, trtri = get_lapack_funcs(("potrf", "trtri"), (factor,))
    lower, info = potrf(factor.T, lower=1, overwrite_a=1, clean=1)
    known = np.diagonal(lower) ** 2 > NOISE * np.diagonal(covariance)
    if info != 0 or not known.all():
        raise DegenerateCovarianceError(component)
    inverse, info = trtri(lower, lower=1, overwrite_c=1)
    if info != 0:
        raise DegenerateCovarianceError(component)
    factor[:] = inverse.T  # what is there already, unless LAPACK was given a copy


def products_of_factors(factors: Array) -> Array:
    """Return the precisions ``U Uᵀ`` of upper triangular factors (..., D, D).

    LAPACK makes wide ones of the triangles alone, in a sixth of the arithmetic of a product.
    """
    n_features = factors.shape[-1]
    if n_features < MATRICES.wide_features:
        return factors @ np.swapaxes(factors, -1, -2)
    found = np.array(factors, np.float64, order="C")  # LAPACK, which goes by columns, sees its transpose
    (lauum,) = get_lapack_funcs(("lauum",), (found,))
    for own in found.reshape(-1, n_features, n_features):
        product, _ = lauum(own.T, lower=1, overwrite_c=1)
        own[:] = product.T  # what is there already, unless LAPACK was given a copy
        for row in range(n_features - 1):
            own[row + 1 :, row] = own[row, row + 1 :]
    return found


def times_factor(
    factor: Array, columns: NDArray[np.floating], *, overwrite: bool = False
) -> NDArray[np.floating]:
    """Return ``Uᵀ d`` of an upper triangular factor (D, D) and vectors in columns (D, n).

    It may take their memory with ``overwrite``.
    """
    if len(factor) < MATRICES.wide_features or 0 in columns.shape:
        return factor.T @ columns
    own = factor.astype(columns.dtype, copy=False)
    (trmm,) = get_blas_funcs(("trmm",), (own, columns))
    return trmm(1.0, own.T, columns, lower=1, overwrite_b=overwrite)


def largest_eigenvalue(factor: Array) -> float:
    """Return the largest eigenvalue of a precision ``U Uᵀ``, by the power method: to about a thousandth.

    It is 1 over the variance along the shortest axis, found without an eigendecomposition.
    """
    vector, found = np.sqrt(np.einsum("ij,ij->i", factor, factor)), 0.0
    for _ in range(MATRICES.most_powers):
        vector /= np.sqrt(vector @ vector)
        half = factor.T @ vector
        before, found = found, float(half @ half)
        if found - before <= MATRICES.power_change * found:
            break
        vector = factor @ half
    return found


def trace_by_factor(factor: Array, matrix: Array) -> float:
    """Return the trace of ``U Uᵀ C``, some columns at a time: U is upper triangular, C symmetric."""
    total, step = 0.0, MATRICES.wide_features
    for start in range(0, len(factor), step):
        stop = min(start + step, len(factor))  # below that row these columns are zero
        columns = factor[:stop, start:stop]
        total += float((columns * (matrix[:stop, :stop] @ columns)).sum())
    return total


def add_products_of(total: Array, columns: NDArray[np.floating]) -> Array:
    """Add ``Σ d dᵀ`` of vectors in columns (D, n) to the lower triangle of a matrix, in its memory if it can.

    Both are in the order of Fortran; sums over the columns are in their dtype, the total is float64.
    """
    (syrk,) = get_blas_funcs(("syrk",), (columns,))
    if columns.dtype == total.dtype:
        return syrk(1.0, columns, beta=1.0, c=total, lower=1, overwrite_c=1)
    total += syrk(1.0, columns, lower=1)
    return total


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
