"""Rows of rare patterns in compiled loops, by completion or elimination; and patterns themselves.

Of rows see `dgmm.kernels.rare`. Where no feature is nearly known from the others, they are completed by the
precisions of what they lack (`dgmm.kernels.completion`), for which a product with one matrix and small
factors do. Else all that is observed is eliminated (`dgmm.kernels.elimination`), as it is from covariances
for patterns.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.rare import Eliminated, batches, no_feature_is_known, own_covariances, sums_of
from dgmm.model.jit import imported_module
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.regression import Regressions


def eliminate(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Eliminated]:
    """Eliminate what is observed, row by row: see `dgmm.kernels.kernel.Kernel`."""
    way = _completed if no_feature_is_known(parameters) else _eliminated
    return way(parameters, rows)


def _eliminated(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Eliminated]:
    """Eliminate all that is observed, feature by feature."""
    n_features, covariances = parameters.n_features, np.ascontiguousarray(own_covariances(parameters))
    module, (order, work) = _elimination(), _room(n_features)
    for part, is_known, deviations in batches(parameters, rows, n_features**2):
        within = np.zeros((len(deviations), *covariances.shape))
        squares, halves = np.empty(deviations.shape[:2]), np.empty(within.shape[:2])
        module.eliminate(covariances, deviations, is_known, order, work, within, squares, halves)
        yield Eliminated(part, is_known, deviations, sums_of(within), squares, halves)


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
    side = -(-n_features // module.AT_ONCE) * module.AT_ONCE
    precisions = np.zeros((len(rest), side, side))
    precisions[:, :n_features, :n_features] = parameters.precisions
    lanes = module.LANES
    work = (
        *np.zeros((3, side, lanes)),
        *np.empty((3, n_features, n_features, lanes)),
        *np.empty((2, lanes)),
    )
    integers = np.empty((n_features, lanes), np.int64), np.empty(lanes, np.int64)
    most = int(np.isnan(rows).sum(axis=1).max(initial=0))
    entries = most * (most + 1) // 2
    for part, is_known, deviations in batches(parameters, rows, n_features + entries):
        within = np.empty((-(-len(deviations) // lanes), len(rest), entries, lanes))
        squares, halves = np.empty(deviations.shape[:2]), np.empty((len(deviations), len(rest)))
        module.complete(precisions, rest, deviations, is_known, integers, work, within, squares, halves)
        yield Eliminated(part, is_known, deviations, partial(_sum_within, is_known, within), squares, halves)


def _sum_within(is_known: NDArray[np.bool_], within: Array, shares: Array) -> Array:
    """Sum what `_completed` has: see `dgmm.kernels.rare.Within`."""
    n_features = is_known.shape[1]
    sums = np.zeros((shares.shape[1], n_features, n_features))
    _completion().add_within(
        np.ascontiguousarray(shares), is_known, within, np.empty(n_features, np.int64), sums
    )
    return sums + np.swapaxes(np.tril(sums, -1), 1, 2)


def _elimination() -> Any:
    return imported_module("dgmm.kernels.elimination")


def _completion() -> Any:
    return imported_module("dgmm.kernels.completion")
