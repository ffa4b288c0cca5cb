"""Statistics of a sample corrected to those of all rows.

With the same parameters a sample's components differ from those of all rows by sampling errors: in count,
mean and covariance. As the parameters move, these errors change slowly. So they are measured once, as a
factor for the count and an affine map for the rows of each component, and applied to what the sample says of
other parameters. Counts stay positive and covariances positive definite, and where it was measured it is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.statistics import Statistics


@dataclass(frozen=True, eq=False)
class Calibration:
    """What takes a sample's statistics to those of all rows.

    Means are relative to the reference points of the statistics that it was measured on.

    Attributes
    ----------
    factors : ndarray of shape (K,)
        Counts of all rows over those of the sample.
    weight : float
        Of all rows.
    means, sample_means : ndarray of shape (K, D)
        Of the components, in all rows and in the sample.
    maps : ndarray of shape (K, D, D) or (K, D), or None
        Linear parts of the affine maps; diagonals of them, of families without products. None where
        components share a covariance: it is found from the scatter of all rows. Of rows that lack values
        this depends on the parameters, and has a map too: (1, D, D) or (1, D).
    floor : float
        Added to variances, in both.
    shared : ndarray or None
        The scatter of all rows, where components share a covariance: see `Statistics.shared`.
    group_counts, sample_group_counts : ndarray of shape (n_groups, K), or None
        Counts by groups of rows, in all rows and in the sample. What they change by in the sample, times the
        weight of the group in all rows over that in the sample, is what they change by in all rows: a group
        of which the sample has few rows tells little, and one of which it has none keeps its counts.
    lacking : ndarray of shape (K, D), or None
        As in `Statistics`, of all rows, for a covariance that components share: of which its sum is used.
    """

    factors: Array
    weight: float
    means: Array
    sample_means: Array
    maps: Array | None
    floor: float
    shared: Array | None
    group_counts: Array | None = None
    sample_group_counts: Array | None = None
    lacking: Array | None = None

    @classmethod
    def measured(cls, sample: Statistics, all_rows: Statistics, floor: float) -> Calibration | None:
        """Measure on statistics of the same parameters and references.

        Parameters
        ----------
        sample, all_rows : Statistics
        floor : float
            What an M-step adds to variances.

        Returns
        -------
        Calibration or None
            None where a component has no rows, or no covariance, in either; and where components that share
            a covariance have scatter of their own.
        """
        if not ((sample.counts > 0.0) & (all_rows.counts > 0.0)).all():
            return None
        means, sample_means = all_rows.means, sample.means
        maps = None
        if sample.family.is_shared:
            if sample.scatter.shape[1]:
                return None
            of = _shared_spread
        else:

            def of(statistics: Statistics) -> Array:
                return statistics.spread(floor)

        if not sample.family.is_shared or sample.shared is not None:
            try:
                maps = _maps(of(sample), of(all_rows), has_products=sample.family.has_products)
            except DegenerateCovarianceError:
                return None
        factors = all_rows.counts / sample.counts
        weight = float(all_rows.counts.sum())
        by_group = all_rows.group_counts, sample.group_counts
        of_all = all_rows.shared, *by_group, all_rows.lacking
        return cls(factors, weight, means, sample_means, maps, floor, *of_all)

    def __call__(self, sample: Statistics) -> Statistics:
        """Return the statistics that all rows may have, from those of the sample.

        Parameters
        ----------
        sample : Statistics
            With positive counts. Its log-likelihood is kept, which is not one of all rows.
        """
        return replace(self._moved(sample), group_counts=self._group_counts(sample.group_counts))

    def _group_counts(self, sample: Array | None) -> Array | None:
        """Return the counts by group that all rows may have."""
        if sample is None or self.group_counts is None or self.sample_group_counts is None:
            return None
        of_all, own = (each.sum(axis=1) for each in (self.group_counts, self.sample_group_counts))
        factors = np.where(own > 0.0, of_all / np.where(own > 0.0, own, 1.0), 0.0)
        change = sample - self.sample_group_counts
        return np.maximum(self.group_counts + factors[:, None] * change, 0.0)

    def _moved(self, sample: Statistics) -> Statistics:
        """Return the statistics that all rows may have, but for counts by group."""
        counts = self.factors * sample.counts
        counts *= self.weight / counts.sum()
        shifts = sample.means - self.sample_means
        if sample.family.is_shared:
            moved = sample.with_moments(counts, self.means + shifts, None)
            if self.maps is None:
                return replace(moved, shared=self.shared)
            (scatter,) = self._mapped(_shared_spread(sample))
            return replace(moved, shared=sample.family.of_scatter(scatter), lacking=self.lacking)
        assert self.maps is not None
        mapped = self._mapped(sample.spread(self.floor))
        if self.maps.ndim == 2:
            return sample.with_moments(counts, self.means + self.maps * shifts, mapped - self.floor)
        means = self.means + np.einsum("kij,kj->ki", self.maps, shifts)
        return sample.with_moments(counts, means, mapped - self.floor * np.eye(means.shape[1]))

    def _mapped(self, spread: Array) -> Array:
        """Return the covariances, or variances, of rows that are mapped."""
        assert self.maps is not None
        if self.maps.ndim == 2:
            return self.maps * spread * self.maps
        return self.maps @ spread @ self.maps.swapaxes(1, 2)


def _shared_spread(statistics: Statistics) -> Array:
    """Return the scatter of all rows, where components share a covariance: (1, D, D), or diagonal, (1, D)."""
    assert statistics.shared is not None
    family, n_features = statistics.family, statistics.sums.shape[1]
    form = family.to_matrices if family.has_products else family.variances
    return form(statistics.shared, 1, n_features)


def _maps(sample: Array, all_rows: Array, *, has_products: bool) -> Array:
    """Return matrices A, or diagonals: ``A C Aᵀ`` is the covariance in all rows, C that in the sample."""
    if not has_products:
        if not ((sample > 0.0) & (all_rows > 0.0)).all():
            raise DegenerateCovarianceError(None)
        return np.sqrt(all_rows / sample)
    found = []
    for component, (own, wanted) in enumerate(zip(sample, all_rows, strict=True)):
        try:
            lower, goal = np.linalg.cholesky(own), np.linalg.cholesky(wanted)
        except np.linalg.LinAlgError:
            raise DegenerateCovarianceError(component) from None
        found.append(solve_triangular(lower, goal.T, lower=True, trans=1, check_finite=False).T)
    return np.stack(found)
