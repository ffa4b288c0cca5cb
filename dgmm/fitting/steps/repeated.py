"""Values that many rows have exactly: zeros, codes, whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array


@dataclass(frozen=True)
class RepeatedTuning:
    """Which values are looked at. Half and double: not measured.

    Attributes
    ----------
    n_values : int
        Of all features together, at the most.
    least_share : float
        Of the weight of all rows.
    """

    n_values: int = 64
    least_share: float = 1e-3


REPEATED = RepeatedTuning()


@dataclass(frozen=True, eq=False)
class RepeatedValues:
    """Values that rows repeat, those of most rows first.

    Attributes
    ----------
    features : ndarray of shape (n_values,)
        Their columns.
    shares : ndarray of shape (n_values,)
        Of the weight of all rows.
    members : ndarray of shape (n_values, n_rows), bool
        Which rows have each.
    """

    features: NDArray[np.intp]
    shares: Array
    members: NDArray[np.bool_]


def repeated_values(rows: NDArray[np.floating], weights: Array | None) -> RepeatedValues:
    """Find the values that most rows have, of features that vary.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,), optional
    """
    total = float(len(rows) if weights is None else weights.sum(dtype=np.float64))
    fewest = _fewest_rows(total, weights)
    found: list[tuple[float, int, np.floating]] = []
    for feature, column in enumerate(rows.T):
        ordered = np.sort(column)  # many times as fast as to find which row has which value
        if not (ordered[fewest - 1 :] == ordered[: len(ordered) - fewest + 1]).any():
            continue
        values, which, counts = np.unique(column, return_inverse=True, return_counts=True)
        own = counts if weights is None else np.bincount(which, weights, len(values))
        many = (counts > 1) & (own >= REPEATED.least_share * total)
        if len(values) > 1:
            found += [(float(own[k]) / total, feature, values[k]) for k in np.flatnonzero(many)]
    found.sort(key=lambda each: -each[0])  # stable: of equals the first feature, and the least value
    kept = found[: REPEATED.n_values]
    members = [rows[:, feature] == value for _, feature, value in kept]
    return RepeatedValues(
        np.array([feature for _, feature, _ in kept], np.intp),
        np.array([share for share, _, _ in kept], np.float64),
        np.array(members, bool).reshape(len(kept), len(rows)),
    )


def _fewest_rows(total: float, weights: Array | None) -> int:
    """Return how many rows, of all of this weight, a value has at least if it is looked at."""
    heaviest = 1.0 if weights is None else float(weights.max(initial=np.finfo(float).tiny))
    own = REPEATED.least_share * total / heaviest
    return max(2, math.ceil(own * (1.0 - 1e-6)))  # sums of weights are rounded
