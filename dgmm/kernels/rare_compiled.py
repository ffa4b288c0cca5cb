"""Rows of rare patterns in compiled loops, by completion or elimination; and patterns themselves.

Of rows see `dgmm.kernels.rare`. Where no feature is nearly known from the others, they are completed by the
precisions of what they lack (`dgmm.kernels.completion`), for which a product with one matrix and small
factors do; where components share a covariance, these are of the row alone. Else all that is observed is
eliminated (`dgmm.kernels.elimination`), as it is from covariances for patterns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.rare import (
    Eliminated,
    batches,
    can_be_completed,
    origins_of,
    own_covariances,
    regressed,
    sums_of,
)
from dgmm.model.jit import imported_module
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.regression import Regressions


def eliminate(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Eliminated]:
    """Eliminate what is observed, row by row: see `dgmm.kernels.kernel.Kernel`."""
    way = _completed if can_be_completed(parameters) else _eliminated
    return way(parameters, rows)


def _eliminated(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Eliminated]:
    """Eliminate all that is observed, feature by feature."""
    n_features, covariances = parameters.n_features, np.ascontiguousarray(own_covariances(parameters))
    module, (order, work) = _elimination(), _room(n_features)
    for part, is_known, deviations in batches(parameters.means, rows, n_features**2):
        within = np.zeros((len(deviations), *covariances.shape))
        squares, halves = np.empty(deviations.shape[:2]), np.empty(within.shape[:2])
        module.eliminate(covariances, deviations, is_known, order, work, within, squares, halves)
        sums = regressed(parameters, deviations, sums_of(within))
        yield Eliminated(part, is_known, sums, squares, halves)


def _room(n_features: int) -> tuple[NDArray[np.int64], tuple[Array, ...]]:
    """Return where `dgmm.kernels.elimination` works: ``order`` and ``work``."""
    lanes = _elimination().LANES
    of_features = (n_features, lanes)
    work = (
        *np.empty((3, *of_features)),
        *np.empty((2, n_features, *of_features)),
        *np.empty((2, lanes)),
    )
    return np.empty((lanes, n_features), np.int64), work


def regress(covariances: Array, known: NDArray[np.bool_]) -> Regressions:
    """Do as `dgmm.model.regression.regress`."""
    n_features = known.shape[1]
    own = np.ascontiguousarray(covariances.reshape(-1, n_features, n_features))
    factors, coefficients, within = np.zeros((3, len(known), *own.shape))
    halves = np.empty((len(known), len(own)))
    if not _elimination().regress(own, known, *_room(n_features), factors, halves, coefficients, within):
        raise DegenerateCovarianceError(None)
    return Regressions(factors, -halves, coefficients, within)


def _completed(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Eliminated]:
    """Complete rows by the precisions of what they lack."""
    n_features, family, module = parameters.n_features, parameters.family, _completion()
    factors = parameters.precisions_cholesky
    rest = np.reshape(-family.half_log_determinants(factors, n_features), -1)
    precisions = np.ascontiguousarray(np.reshape(parameters.precisions, (-1, n_features, n_features)))
    origins = origins_of(parameters)
    means = parameters.means - origins
    offsets = means @ precisions[0] if family.is_shared else np.zeros(means.shape)
    lanes = module.LANES
    work = (
        *np.empty((2, n_features, lanes)),
        *np.empty((3, n_features, n_features, lanes)),
        *np.empty((2, lanes)),
    )
    integers = np.empty((n_features, lanes), np.int64), np.empty(lanes, np.int64)
    most = int(np.isnan(rows).sum(axis=1).max(initial=0))
    entries = most * (most + 1) // 2
    for part, is_known, deviations in batches(origins, rows, n_features + most + entries):
        gaps = np.ascontiguousarray(deviations.swapaxes(0, 1))
        products = gaps @ precisions
        squares = np.einsum("knd,knd->nk", gaps, products, order="C")
        if family.is_shared:
            squares = squares - 2.0 * (gaps[0] @ offsets.T) + (means * offsets).sum(axis=1)
        pieces, halves = -(-len(deviations) // lanes), np.empty((len(deviations), len(rest)))
        within = np.empty((pieces, len(rest), entries, lanes))
        filled = np.empty((pieces, len(means), most, lanes))
        arrays = (integers, work, within, filled, squares, halves)
        module.complete(precisions, rest, products, offsets, is_known, *arrays)
        sums = Completed(origins, gaps, is_known, within, filled)
        yield Eliminated(part, is_known, sums, squares, halves)


@dataclass(frozen=True, eq=False)
class Completed:
    """Rows completed by the precisions of what they lack: see `dgmm.model.observed.RowSums`.

    Attributes
    ----------
    origins : ndarray of shape (k, D)
        What deviations are from: see `dgmm.kernels.rare.origins_of`.
    gaps : ndarray of shape (k, n_rows, D)
        Deviations, zero where missing.
    is_known : ndarray of shape (n_rows, D), bool
    within : ndarray of shape (pieces, k, entries, lanes)
        Covariances of what is missing.
    filled : ndarray of shape (pieces, K, most missing, lanes)
        Its deviations.
    """

    origins: Array
    gaps: Array
    is_known: NDArray[np.bool_]
    within: Array
    filled: Array

    def __call__(self, shares: Array, points: Array, is_pooled: bool) -> tuple[Array, Array]:
        """Sum them: observed features by products of matrices, missing ones row by row."""
        gaps, n_features = self.gaps, points.shape[1]
        of_rows = shares.sum(axis=1)[None] if is_pooled else shares.T
        sums = shares.T @ gaps[0] if len(gaps) == 1 else np.einsum("nk,knd->kd", shares, gaps, order="C")
        weighted = np.multiply(0.5 * of_rows[:, :, None], gaps, order="C")
        halves = np.zeros((len(of_rows), n_features, n_features))
        places = np.empty(n_features, np.int64)
        arrays = (self.within, self.filled, places, weighted, sums, halves)
        _completion().add_filled(np.ascontiguousarray(shares), self.is_known, *arrays)
        halves += weighted.swapaxes(1, 2) @ gaps
        counts, moved = shares.sum(axis=0)[:, None], self.origins - points
        between = sums + 0.5 * counts * moved
        halves += between.T @ moved if is_pooled else between[:, :, None] * moved[:, None, :]
        return sums + counts * moved, halves + halves.swapaxes(1, 2)


def _elimination() -> Any:
    return imported_module("dgmm.kernels.elimination")


def _completion() -> Any:
    return imported_module("dgmm.kernels.completion")
