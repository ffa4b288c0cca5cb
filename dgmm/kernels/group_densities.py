"""Log densities and responsibilities where groups have weights of their own.

Responsibilities under the weights of all rows, times the ratios of weights, are those under the weights of
groups, but for a factor that is the ratio of densities. So rows of many groups are evaluated together. Where
that leaves the range of float64, each group is evaluated for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels import densities
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

LEAST = 1e-200
"""Sums of responsibilities times ratios below are taken anew: these are zero below 1e-308."""


def responsibilities(
    model: Parameters, rows: NDArray[np.floating], groups: NDArray[np.int64], n_errors: int = 0
) -> Array:
    """Probability of each component given each row and its group.

    Parameters
    ----------
    model : Parameters
        With weights of groups.
    rows : ndarray of shape (n_rows, n_features + n_errors)
    groups : ndarray of shape (n_rows,), int
        From 0.
    n_errors : int, default=0
        Columns of measurement errors: see `dgmm.kernels.measured`.

    Returns
    -------
    ndarray of shape (n_rows, n_components)
    """
    shares, totals = _shares(model, rows, groups, n_errors)
    found = shares / np.maximum(totals, LEAST)[:, None]
    for own, part in _lost(model, totals, groups):
        found[own] = densities.responsibilities(part, rows[own], n_errors)
    return found


def log_densities(
    model: Parameters, rows: NDArray[np.floating], groups: NDArray[np.int64], n_errors: int = 0
) -> Array:
    """Log density of each row in its group: (n_rows,), nats; parameters are as for `responsibilities`."""
    _, totals = _shares(model, rows, groups, n_errors)
    found = densities.log_densities(model, rows, n_errors) + np.log(np.maximum(totals, LEAST))
    for own, part in _lost(model, totals, groups):
        found[own] = densities.log_densities(part, rows[own], n_errors)
    return found


def _shares(
    model: Parameters, rows: NDArray[np.floating], groups: NDArray[np.int64], n_errors: int
) -> tuple[Array, Array]:
    """Return responsibilities times ratios of weights, and their sums over components."""
    assert model.group_weights is not None
    weights = model.weights
    ratios = np.where(weights > 0.0, model.group_weights / np.where(weights > 0.0, weights, 1.0), 0.0)
    shares = densities.responsibilities(model, rows, n_errors) * ratios[groups]
    return shares, shares.sum(axis=1)


def _lost(
    model: Parameters, totals: Array, groups: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.bool_], Parameters]]:
    """Yield the rows of each group whose sums are too small, and the mixture that the group is."""
    assert model.group_weights is not None
    lost = np.logical_not(totals >= LEAST)
    lost |= ((model.weights == 0.0) & (model.group_weights > 0.0)).any(axis=1)[groups]
    for group in np.unique(groups[lost]).tolist():
        weights = model.group_weights[group]
        yield lost & (groups == group), replace(model, weights=weights, group_weights=None)
