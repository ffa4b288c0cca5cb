"""Extrapolated EM (SQUAREM): from two steps to where many would lead.

EM crawls where components overlap: each step is nearly the one before. Two steps in a row say how fast they
shrink, and so how far many more would go (SQUAREM; Varadhan and Roland, 2008, *Simple and globally convergent
methods for accelerating the convergence of any EM algorithm*). Sufficient statistics are extrapolated, in
coordinates that keep counts positive and covariances positive definite; whoever asks tests the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.statistics import Statistics


@dataclass(frozen=True)
class ExtrapolationTuning:
    """How far extrapolations go, in steps of EM. Half and double: not measured.

    Attributes
    ----------
    first : float
        The most that a first one may be.
    shortest : float
        The least that this becomes.
    growth : float
        How it grows beyond an extrapolation that was good, and shrinks after one that was not.
    """

    first: float = 4.0
    shortest: float = 2.0
    growth: float = 4.0


EXTRAPOLATION = ExtrapolationTuning()


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Coordinates of statistics near others.

    Half the squared distance of two points nearby is the Kullback–Leibler divergence of the joint
    distributions of component and row, in nats a row: lengths do not depend on units of features.

    A component that had n of N rows, and the Cholesky factor L of its covariance, when the coordinates were
    made, has ``2 √count``, ``√n L⁻¹ mean``, and of the Cholesky factor of ``L⁻¹ covariance L⁻ᵀ`` the
    logarithms of the diagonal, times ``√(2 n)``, and the entries below it, times ``√n``; all over √N.

    Attributes
    ----------
    floor : float
        What an M-step adds to variances.
    counts : ndarray of shape (K,)
    means : ndarray of shape (K, D)
        Less the reference points.
    factors : ndarray of shape (K, D, D) or (K, D)
        Lower Cholesky factors of the covariances; of families without products standard deviations. One
        alone, where components share a covariance.
    """

    floor: float
    counts: Array
    means: Array
    factors: Array

    @classmethod
    def about(cls, statistics: Statistics, floor: float) -> Coordinates:
        """Make coordinates near these statistics, with positive counts.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        """
        factors = _lower(statistics.spread(floor))
        return cls(floor, statistics.counts, statistics.means, factors)

    @property
    def _scales(self) -> Array:
        """``√(n / N)``: shape (K, 1)."""
        return np.sqrt(self.counts / self.counts.sum())[:, None]

    def of(self, statistics: Statistics) -> Array:
        """Return the coordinates of statistics with the same reference points: one row a component.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        """
        counts = 2.0 * np.sqrt(statistics.counts / self.counts.sum())[:, None]
        shifts = statistics.means - self.means
        if self.factors.ndim == 2:
            parts = [counts, self._scales * (shifts / self.factors)]
            if not statistics.family.is_shared:
                widths = np.log(_lower(statistics.spread(self.floor)) / self.factors)
                parts.append(self._scales * (np.sqrt(2.0) * widths))
            return np.concatenate(parts, axis=1)
        n_factors, n_features = self.factors.shape[:2]  # one, where all components share a covariance
        columns = shifts.reshape(n_factors, -1, n_features).swapaxes(1, 2)
        shifts = np.linalg.solve(self.factors, columns).swapaxes(1, 2).reshape(shifts.shape)
        parts = [counts, self._scales * shifts]
        if not statistics.family.is_shared:
            lower = _lower(statistics.covariances(self.floor))
            inner = np.linalg.solve(self.factors, lower)
            below = np.tril_indices(inner.shape[1], -1)
            logarithms = np.sqrt(2.0) * np.log(np.diagonal(inner, axis1=1, axis2=2))
            parts += [self._scales * logarithms, self._scales * inner[:, below[0], below[1]]]
        return np.concatenate(parts, axis=1)

    def statistics(self, coordinates: Array, like: Statistics) -> Statistics:
        """Return the statistics at these coordinates, with as many rows in all as where they were made."""
        n_features = self.means.shape[1]
        counts = coordinates[:, 0] ** 2
        counts *= self.counts.sum() / counts.sum()
        standardized = coordinates[:, 1:] / self._scales
        if self.factors.ndim == 2:
            means, variances = self.means + self.factors * standardized[:, :n_features], None
            if not like.family.is_shared:
                widths = self.factors * np.exp(standardized[:, n_features:] / np.sqrt(2.0))
                variances = widths**2 - self.floor
            return like.with_moments(counts, means, variances)
        shifts = self.factors @ standardized[:, :n_features, None]
        covariances = None
        if not like.family.is_shared:
            inner = np.zeros(self.factors.shape)
            diagonal, below = np.arange(n_features), np.tril_indices(n_features, -1)
            inner[:, diagonal, diagonal] = np.exp(standardized[:, n_features : 2 * n_features] / np.sqrt(2.0))
            inner[:, below[0], below[1]] = standardized[:, 2 * n_features :]
            lower = self.factors @ inner
            covariances = lower @ lower.swapaxes(1, 2) - self.floor * np.eye(n_features)
        means = self.means + shifts[:, :, 0]
        return like.with_moments(counts, means, covariances)


def extrapolated(path: Sequence[Statistics], floor: float, longest: float) -> tuple[Statistics, float] | None:
    """Extrapolate from the statistics of three E-steps, with M-steps between.

    Parameters
    ----------
    path : sequence of three Statistics
        With the same reference points, completed.
    floor : float
        What an M-step adds to variances.
    longest : float
        The most length.

    Returns
    -------
    (Statistics, float) or None
        With a length a: about where 2 a M-steps from the first lead, as far as steps are slow. None where
        that is no further than the last of them, or no mixture.
    """
    if any(statistics.counts.min() <= 0.0 for statistics in path):
        return None
    try:
        coordinates = Coordinates.about(path[0], floor)
        first, second, third = (coordinates.of(statistics) for statistics in path)
    except DegenerateCovarianceError:
        return None
    step = second - first
    change = third - second - step
    turn = float(np.linalg.norm(change))
    length = min(longest, float(np.linalg.norm(step)) / turn) if turn > 0.0 else longest
    if length <= 1.0:
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no mixture
        far = coordinates.statistics(first + 2.0 * length * step + length**2 * change, path[2])
    is_finite = all(np.isfinite(part).all() for part in (far.counts, far.sums, far.scatter))
    return (far, length) if is_finite else None


def next_longest(longest: float, length: float, *, is_good: bool) -> float:
    """Return the most length of the next extrapolation, after one that was good or not."""
    tuning = EXTRAPOLATION
    return max(longest, tuning.growth * length) if is_good else max(tuning.shortest, length / tuning.growth)


def _lower(matrices: Array) -> Array:
    """Return the Cholesky factors of matrices (K, D, D), or the roots of variances (K, D)."""
    if matrices.ndim == 2:
        if not (matrices > 0.0).all():
            raise DegenerateCovarianceError(None)
        return np.sqrt(matrices)
    try:
        return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        raise DegenerateCovarianceError(None) from None
