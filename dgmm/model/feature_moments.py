"""Moments of each feature over its observed values, of rows that may lack some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array
from dgmm.model.statistics import Moments


@dataclass(frozen=True, eq=False)
class FeatureMoments:
    """Moments of each feature over its observed values: they add up over sets of rows.

    Attributes
    ----------
    n_rows, n_empty : int
        Rows; those of them that lack all features.
    weight : float
        Of the rows.
    weights : ndarray of shape (D,)
        Of the rows that have each feature.
    mean, squares : ndarray of shape (D,)
        Of each feature; squares are weighted sums about the mean.
    minimum, maximum : ndarray of shape (D,)
    n_values : ndarray of shape (D,), int
        Rows that have each feature, whatever they weigh.
    """

    n_rows: int
    n_empty: int
    weight: float
    weights: Array
    mean: Array
    squares: Array
    minimum: Array
    maximum: Array
    n_values: NDArray[np.int64]

    @classmethod
    def nothing(cls, n_features: int) -> FeatureMoments:
        """Return those of no rows."""
        zeros = np.zeros(n_features)
        none = np.full(n_features, np.inf)
        return cls(0, 0, 0.0, zeros, zeros, zeros, none, -none, np.zeros(n_features, np.int64))

    @classmethod
    def of(cls, rows: NDArray[np.floating], weights: Array | None = None) -> FeatureMoments:
        """Compute the moments of rows of shape (n_rows, D), NaN where missing; weights of shape (n_rows,)."""
        if len(rows) == 0:
            return cls.nothing(rows.shape[1])
        is_known = ~np.isnan(rows)
        own = np.ones(len(rows)) if weights is None else weights
        each = own @ is_known
        divisors = np.where(each > 0.0, each, 1.0)
        low = np.where(is_known, rows, np.inf).min(axis=0).astype(np.float64)
        high = np.where(is_known, rows, -np.inf).max(axis=0).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and found by that
            # A first guess near the mean, then its correction, as in `Moments.of`.
            guess = np.where(is_known.any(axis=0), low, 0.0)
            deviations = np.where(is_known, rows - guess, 0.0)
            shift = own @ deviations / divisors
            deviations -= np.where(is_known, shift, 0.0)
            squares = own @ deviations**2
        n_empty = int((~is_known.any(axis=1)).sum())
        mean = np.where(each > 0.0, guess + shift, 0.0)
        n_values = is_known.sum(axis=0, dtype=np.int64)
        return cls(len(rows), n_empty, float(own.sum()), each, mean, squares, low, high, n_values)

    @classmethod
    def of_complete(cls, moments: Moments) -> FeatureMoments:
        """Return what moments of complete rows say of each feature."""
        weights = np.full(len(moments.mean), moments.weight)
        return cls(
            moments.n_rows,
            0,
            moments.weight,
            weights,
            moments.mean,
            moments.squares,
            moments.minimum,
            moments.maximum,
            np.full(len(moments.mean), moments.n_rows, np.int64),
        )

    def __add__(self, other: FeatureMoments) -> FeatureMoments:
        weights = self.weights + other.weights
        divisors = np.where(weights > 0.0, weights, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            difference = other.mean - self.mean
            share = other.weights / divisors
            mean = self.mean + difference * share
            squares = self.squares + other.squares + self.weights * share * difference**2
        return FeatureMoments(
            self.n_rows + other.n_rows,
            self.n_empty + other.n_empty,
            self.weight + other.weight,
            weights,
            mean,
            squares,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
            self.n_values + other.n_values,
        )

    @property
    def n_missing(self) -> NDArray[np.int64]:
        """Rows that lack each feature: shape (D,)."""
        return self.n_rows - self.n_values

    @property
    def variances(self) -> Array:
        """Variances of the observed values: shape (D,)."""
        return self.squares / np.where(self.weights > 0.0, self.weights, 1.0)

    def completed(self, correlations: Array | None) -> Moments:
        """Return the moments of complete rows with these means and variances.

        Parameters
        ----------
        correlations : ndarray of shape (D, D), or None
            None for squares alone.
        """
        squares = self.weight * self.variances
        scatter = squares
        if correlations is not None:
            roots = np.sqrt(squares)
            scatter = correlations * roots[:, None] * roots
            np.fill_diagonal(scatter, squares)
        return Moments(self.n_rows, self.weight, self.mean, scatter, self.minimum, self.maximum)
