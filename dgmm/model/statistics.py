"""Additive sufficient statistics: sums over blocks, chunks and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dgmm.model.families import Deviations, Family
from dgmm.model.families.forms import Variances
from dgmm.model.matrices import Array

SMALLEST_COUNT = 10 * np.finfo(np.float64).eps
"""Added to every count in an M-step, as in scikit-learn."""

FEW_COLUMNS = 16
"""Of fewer, extremes are found of a copy in which each column is together: in a tenth of the time."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sufficient statistics of one model: responsibility-weighted sums over rows.

    Passes and tasks give sums; `completed` adds what a family needs of all rows but once. Sums and scatter
    are about ``references``: the centre of the pass, or, of components that are too narrow for that, points
    of their own.

    Attributes
    ----------
    family : Family
        The covariance structure of the model.
    counts : ndarray of shape (n_components,)
        Sums of responsibilities (times row weights).
    sums : ndarray of shape (n_components, n_features)
        Sums of ``r (z − reference)``.
    scatter : ndarray of shape (n_components, n_scatter)
        Packed sums of ``r (z − reference)(z − reference)ᵀ``; no columns where components share a covariance,
        unless they are on the centred path.
    references : ndarray of shape (n_components, n_features)
        In the data's own coordinates: less the centre, they would be rounded where rows are far from it. Not
        added: statistics with other references do not add up.
    log_likelihood : float
        Sum of the rows' log densities (times row weights) under the parameters that went in, nats. Until the
        statistics are completed it lacks the quadratic term that all components share.
    shared : ndarray or None
        Of families whose components share a covariance, once completed: the scatter of all rows about the
        centre, in the form of one covariance. Of rows that lack values a pass gives it, as it depends on the
        parameters (see `dgmm.model.observed`): such statistics are complete as they are.
    entropy_of_missing : float
        Entropy of the values that rows lack, given what is observed of them and their components, summed as
        the others, nats.
    group_counts : ndarray of shape (n_groups, n_components), or None
        The counts by the groups that rows are of, where groups have weights of their own.
    lacking : ndarray of shape (n_components, n_features), or None
        Of the counts, those of rows that lack each feature; None of complete rows. What an M-step adds to
        variances is for observed values: what is expected of the others varies as the model that went in
        does, which has it already.
    """

    family: Family
    counts: Array
    sums: Array
    scatter: Array
    references: Array
    log_likelihood: float
    shared: Array | None = None
    entropy_of_missing: float = 0.0
    group_counts: Array | None = None
    lacking: Array | None = None

    def __add__(self, other: Statistics) -> Statistics:
        assert (self.shared is None) == (other.shared is None), "completed statistics are of all rows"
        return Statistics(
            self.family,
            self.counts + other.counts,
            self.sums + other.sums,
            self.scatter + other.scatter,
            self.references,
            self.log_likelihood + other.log_likelihood,
            None if self.shared is None or other.shared is None else self.shared + other.shared,
            self.entropy_of_missing + other.entropy_of_missing,
            None
            if self.group_counts is None or other.group_counts is None
            else self.group_counts + other.group_counts,
            self.lacking
            if other.lacking is None
            else other.lacking + (0.0 if self.lacking is None else self.lacking),
        )

    def __rmul__(self, factor: float) -> Statistics:
        return Statistics(
            self.family,
            factor * self.counts,
            factor * self.sums,
            factor * self.scatter,
            self.references,
            factor * self.log_likelihood,
            None if self.shared is None else factor * self.shared,
            factor * self.entropy_of_missing,
            None if self.group_counts is None else factor * self.group_counts,
            None if self.lacking is None else factor * self.lacking,
        )

    @classmethod
    def concatenated(cls, models: Sequence[Statistics]) -> Statistics:
        """Return the statistics of the components of several models of a family, one model after the other.

        Not of one whose components share a covariance.
        """
        return cls(
            models[0].family,
            np.concatenate([each.counts for each in models]),
            np.concatenate([each.sums for each in models]),
            np.concatenate([each.scatter for each in models]),
            np.concatenate([each.references for each in models]),
            sum(each.log_likelihood for each in models),
        )

    def of_all_rows(self, scatter: Array) -> Statistics:
        """Add what a family needs of all rows but once: the scatter, where components share a covariance.

        Parameters
        ----------
        scatter : ndarray of shape (n_features, n_features), or (n_features,)
            Weighted sums of squares and products of all rows about the centre, or of squares alone where the
            family needs no others.
        """
        if self.shared is not None or not self.family.is_shared:
            return self
        return replace(self, shared=self.family.of_scatter(scatter))

    def completed(self, scatter: Array, precisions_cholesky: Array) -> Statistics:
        """Add it as `of_all_rows` does, and what the log-likelihood lacks without.

        Where components share a covariance, features have no squares, as the quadratic term cancels from
        responsibilities: the log-likelihood lacks ``−½ tr(Λ S)``. Not on the centred path, which has the
        whole log densities, and scatter.

        Parameters
        ----------
        scatter : ndarray
            As for `of_all_rows`.
        precisions_cholesky : ndarray
            Of the model that went in.
        """
        whole, family = self.of_all_rows(scatter), self.family
        if whole is self or whole.shared is None or self.scatter.shape[1]:
            return whole
        trace = family.trace_by_factor(precisions_cholesky, whole.shared, self.sums.shape[1])
        return replace(whole, log_likelihood=self.log_likelihood - 0.5 * trace)

    def deviations(self, floor: float, added: float = 0.0) -> Deviations:
        """Return what an M-step needs for covariances.

        Parameters
        ----------
        floor : float
            What the M-step adds to variances: values that rows lack are without it here.
        added : float, default=0.0
            To every count: see `SMALLEST_COUNT`.
        """
        counts = self.counts + added
        offsets = self.sums / counts[:, None]
        if self.lacking is None or floor == 0.0:
            return Deviations(counts, offsets, self.scatter, self.shared)
        squares, family = floor * self.lacking, self.family
        if family.is_shared and not self.scatter.shape[1]:
            assert self.shared is not None, "the statistics were not completed with the scatter of all rows"
            whole = squares.sum(axis=0)
            own = family.of_scatter(np.diag(whole) if family.has_products else whole)
            return Deviations(counts, offsets, self.scatter, self.shared - own)
        packed = squares if family.has_products else cast(Variances, family).pack_squares(squares)
        scatter = self.scatter.copy()
        scatter[:, : packed.shape[1]] -= packed  # squares come before products
        return Deviations(counts, offsets, scatter, self.shared)

    def is_centred(self, centre: Array) -> NDArray[np.bool_]:
        """Return whether the sums of each component are about a point of its own: (n_components,).

        ``centre`` is that of the pass.
        """
        has_own_scatter = self.family.is_shared and self.scatter.shape[1] > 0
        return np.logical_or((self.references != centre).any(axis=1), has_own_scatter)

    @property
    def is_off(self) -> bool:
        """Whether sums are about a point farther from a component's rows than these are from their mean."""
        counts, n_features = self.counts + SMALLEST_COUNT, self.sums.shape[1]
        offsets = np.square(self.sums / counts[:, None])
        if self.family.is_shared:
            offsets = (counts @ offsets / counts.sum())[None]
        if self.family.is_round:
            offsets = offsets.mean(axis=1, keepdims=True)
        squares = self.family.mean_squares(self.scatter, self.shared, counts, n_features)
        return bool((offsets > 0.5 * squares).any())

    def cancels(self, counts: Array, covariances: Array, largest_ratio: float) -> bool:
        """Return whether variances are too small beside the sums that they were made from.

        The sums about the centre then leave only rounding errors of the variances: they are to be taken
        again, about the components' means.

        Parameters
        ----------
        counts : ndarray of shape (n_components,)
            What the sums were divided by.
        covariances : ndarray
            What was made of them, in the family's form.
        largest_ratio : float
            Of squares to variance: see `dgmm.kernels.stack.Stack.largest_ratio`.
        """
        n_components, n_features = self.sums.shape
        squares = self.family.mean_squares(self.scatter, self.shared, counts, n_features)
        variances = self.family.variances(covariances, n_components, n_features)
        return bool((squares / largest_ratio > variances).any())

    @property
    def means(self) -> Array:
        """Means of the components' rows, less the reference points: (n_components, n_features)."""
        return self.sums / self.counts[:, None]

    def covariances(self, floor: float = 0.0) -> Array:
        """Return the covariances of the components' rows as matrices, with a floor added to variances.

        Returns
        -------
        ndarray of shape (n_components, n_features, n_features)
        """
        n_components, n_features = self.sums.shape
        own = self.family.covariances(self.deviations(floor), floor)
        return self.family.to_matrices(own, n_components, n_features)

    def spread(self, floor: float = 0.0) -> Array:
        """Return what `covariances` gives; of families without products the variances alone, (K, D).

        Where components share a covariance it is there once: (1, D, D) or (1, D).
        """
        n_components, n_features = self.sums.shape
        own = self.family.covariances(self.deviations(floor), floor)
        form = self.family.to_matrices if self.family.has_products else self.family.variances
        return form(own, 1 if self.family.is_shared else n_components, n_features)

    def with_moments(self, counts: Array, means: Array, covariances: Array | None) -> Statistics:
        """Return the statistics of components with these moments, about the same reference points.

        Parameters
        ----------
        counts : ndarray of shape (n_components,)
        means : ndarray of shape (n_components, n_features)
            As `means`.
        covariances : ndarray of shape (n_components, n_features, n_features), or None
            As `covariances`, less the floor, whatever rows lack; None where components share one, which is
            that of all rows. Of families without products variances will do, (n_components, n_features).
        """
        sums, by_group = counts[:, None] * means, self.group_counts
        if by_group is not None:  # in the shares of groups that they have
            by_group = by_group * (counts / np.maximum(self.counts, SMALLEST_COUNT))
        if covariances is None:
            return replace(self, counts=counts, sums=sums, group_counts=by_group)
        if covariances.ndim == 2:
            packed = cast(Variances, self.family).pack_squares(covariances + means**2)
        else:
            packed = self.family.pack_scatter(covariances + means[:, :, None] * means[:, None, :])
        scatter = counts[:, None] * packed
        return replace(self, counts=counts, sums=sums, scatter=scatter, group_counts=by_group, lacking=None)

    def of(self, components: NDArray[np.bool_] | Sequence[int]) -> Statistics:
        """Return the statistics of some components, or of all in another order."""
        return replace(
            self,
            counts=self.counts[components],
            sums=self.sums[components],
            scatter=self.scatter[components],
            references=self.references[components],
            group_counts=None if self.group_counts is None else self.group_counts[:, components],
            lacking=None if self.lacking is None else self.lacking[components],
        )

    def replaced(self, components: NDArray[np.bool_], others: Statistics) -> Statistics:
        """Put others in the place of some components' statistics."""
        counts, sums, scatter = self.counts.copy(), self.sums.copy(), self.scatter.copy()
        counts[components], sums[components] = others.counts, others.sums
        scatter[components] = others.scatter
        shared = self.shared if others.shared is None else others.shared
        by_group = self.group_counts
        if by_group is not None and others.group_counts is not None:
            by_group = by_group.copy()
            by_group[:, components] = others.group_counts
        lacking = self.lacking
        if lacking is not None or others.lacking is not None:
            lacking = np.zeros(sums.shape) if lacking is None else lacking.copy()
            lacking[components] = 0.0 if others.lacking is None else others.lacking
        found = replace(self, counts=counts, sums=sums, scatter=scatter, shared=shared)
        return replace(found, group_counts=by_group, lacking=lacking)


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, weight, mean, scatter and extremes of rows.

    Merging is that of Chan, Golub and LeVeque (1983): no cancellation, whatever the offset of the data.

    Attributes
    ----------
    n_rows : int
    weight : float
        Sum of the row weights; the number of rows where there are none.
    mean : ndarray of shape (n_features,)
    scatter : ndarray of shape (n_features, n_features) or (n_features,)
        Weighted sums of squares and products about the mean; or of squares alone.
    minimum, maximum : ndarray of shape (n_features,)
    """

    n_rows: int
    weight: float
    mean: Array
    scatter: Array
    minimum: Array
    maximum: Array

    @classmethod
    def of(cls, rows: np.ndarray, weights: Array | None = None, *, products: bool = True) -> Moments:
        """Compute the moments of rows of shape (n_rows, n_features), weights of shape (n_rows,).

        Without ``products``, the scatter is sums of squares alone.
        """
        n_rows, n_features = rows.shape
        with np.errstate(over="ignore"):
            total = float(n_rows if weights is None else weights.sum())
        if n_rows == 0 or total == 0.0:
            zeros, nothing = np.zeros(n_features), np.full(n_features, np.inf)
            low, high = (nothing, -nothing) if n_rows == 0 else _extremes(rows)
            scatter = np.zeros((n_features, n_features) if products else n_features)
            return cls(n_rows, 0.0, zeros, scatter, low, high)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and found by that
            # A first guess near the mean, then its correction: sums stay small about a far mean. Features
            # come first, as sums along few columns are slow.
            guess = rows[0].astype(np.float64)
            deviations = np.subtract(rows.T, guess[:, None], order="C")
            own = None if weights is None else np.asarray(weights, np.float64)
            shift = (deviations.sum(axis=1) if own is None else deviations @ own) / total
            deviations -= shift[:, None]
            if own is not None:
                deviations *= np.sqrt(own)
            scatter = deviations @ deviations.T if products else np.einsum("dn,dn->d", deviations, deviations)
        return cls(n_rows, total, guess + shift, scatter, *_extremes(rows))

    def __add__(self, other: Moments) -> Moments:
        weight = self.weight + other.weight
        if weight == 0.0:
            mean, scatter = self.mean, self.scatter
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                difference = other.mean - self.mean
                mean = self.mean + difference * (other.weight / weight)
                between = self.weight * (other.weight / weight)
                is_matrix = self.scatter.ndim == 2
                squares = np.outer(difference, difference) if is_matrix else difference**2
                scatter = self.scatter + other.scatter + between * squares
        return Moments(
            self.n_rows + other.n_rows,
            weight,
            mean,
            scatter,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
        )

    @property
    def squares(self) -> Array:
        """Weighted sums of squares about the mean: shape (n_features,)."""
        return np.diagonal(self.scatter) if self.scatter.ndim == 2 else self.scatter

    def covariance(self, floor: float) -> Array:
        """Return covariances, or variances alone, as the scatter is, with a floor added to the variances."""
        found = self.scatter / self.weight
        return found + (floor * np.eye(len(found)) if found.ndim == 2 else floor)

    @property
    def extent(self) -> Array:
        """Largest distance of a row from the mean, per feature: shape (n_features,)."""
        return np.maximum(self.maximum - self.mean, self.mean - self.minimum)


def _extremes(rows: np.ndarray) -> tuple[Array, Array]:
    """Return the least and the largest value of each feature of rows, (n_rows, n_features), at least one."""
    columns = np.ascontiguousarray(rows.T) if rows.shape[1] < FEW_COLUMNS else rows.T
    return columns.min(axis=1).astype(np.float64), columns.max(axis=1).astype(np.float64)
