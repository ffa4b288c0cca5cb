"""Expected statistics of complete rows, from what is observed of them.

EM with missing values needs what the complete rows' statistics would be, expected given what is observed and
the component (Ghahramani and Jordan, 1994; Little and Rubin, 2002, chapter 11). With ``u`` the deviation of
a row from a point R, the expectation of all of u under component k is ``G u_o + a``: the observed part as it
is, the missing part by regression (see `dgmm.model.conditional`), with covariance C there. So the expected
sums are linear in those of the observed part,

- ``G s + N a``,
- ``G Q Gᵀ + G s aᵀ + a (G s)ᵀ + N (a aᵀ + C)``,

for the count N, sums s and scatter Q of all rows that have the same features. The M-step after that, and
all that comes of statistics, is that of complete rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dgmm.model.conditional import Conditional
from dgmm.model.families.forms import Variances
from dgmm.model.matrices import Array, unpack
from dgmm.model.parameters import LOG_2_PI, Parameters
from dgmm.model.statistics import Moments, Statistics


@dataclass(frozen=True, eq=False)
class Lift:
    """What takes statistics of observed features to expected ones of all, of rows that lack the same.

    Attributes
    ----------
    given : Conditional
    points : ndarray of shape (K, n_known)
        What the sums of observed features are to be about.
    constants : ndarray of shape (K, D)
        a: zero for observed features.
    matrices : ndarray of shape (K, D, n_known), or None
        G; None of families without products, where missing features have no part of observed ones.
    within : ndarray of shape (K, D, D), or (K, D) of families without products
        ``a aᵀ + C``, or its diagonal.
    entropies : ndarray of shape (K,)
        Of the missing features, given the others, nats.
    """

    given: Conditional
    points: Array
    constants: Array
    matrices: Array | None
    within: Array
    entropies: Array

    @classmethod
    def of(cls, given: Conditional, points: Array) -> Lift:
        """Make it.

        Parameters
        ----------
        given : Conditional
        points : ndarray of shape (K, D)
            What sums are to be about.
        """
        known, missing, family = given.known, given.missing, given.of_known.family
        n_components, n_features = points.shape
        constants, matrices = np.zeros(points.shape), None
        constants[:, missing] = given.means - points[:, missing]
        if given.coefficients is not None:
            gaps = given.of_known.means - points[:, known]
            constants[:, missing] -= (given.coefficients @ gaps[:, :, None])[:, :, 0]
            matrices = np.zeros((n_components, n_features, len(known)))
            matrices[:, known, np.arange(len(known))] = 1.0
            matrices[:, missing] = given.coefficients
            within = constants[:, :, None] * constants[:, None, :]
            own = family.to_matrices(given.covariances, n_components, len(missing))
            within[:, missing[:, None], missing] += own
        else:
            within = constants**2
            within[:, missing] += family.variances(given.covariances, n_components, len(missing))
        halves = family.half_log_determinants(given.precisions_cholesky, len(missing))
        entropies = np.broadcast_to(0.5 * len(missing) * (1.0 + LOG_2_PI) - halves, n_components)
        return cls(given, points[:, known], constants, matrices, within, entropies)

    @property
    def n_known(self) -> int:
        """Number of observed features."""
        return len(self.given.known)


class ExpectedSums:
    """Expected statistics of one model, summed over rows that lack various features.

    Parameters
    ----------
    parameters : Parameters
        A plain mixture: see `dgmm.model.conditional.plain`.
    centre : ndarray of shape (n_features,)
        Of the pass.
    points : ndarray of shape (K, n_features), or None
        What sums are to be about: the centre, but for narrow components. None for the centre of all, with
        one scatter of all rows where components share a covariance.
    """

    def __init__(self, parameters: Parameters, centre: Array, points: Array | None):
        family, (n_components, n_features) = parameters.family, parameters.means.shape
        self.parameters = parameters
        self.is_pooled = family.is_shared and points is None
        self.points = np.tile(centre, (n_components, 1)) if points is None else points
        self.counts, self.sums = np.zeros(n_components), np.zeros((n_components, n_features))
        shape = (n_features, n_features) if family.has_products else (n_features,)
        self.scatter = np.zeros((1 if self.is_pooled else n_components, *shape))
        self.log_likelihood = self.entropy = 0.0

    def add(self, statistics: Statistics, lift: Lift) -> None:
        """Add rows that have the same features.

        Parameters
        ----------
        statistics : Statistics
            Of the observed features alone, under the marginal mixture, about the centre; completed.
        lift : Lift
        """
        counts = statistics.counts
        moved = statistics.references - lift.points
        sums = statistics.sums + counts[:, None] * moved
        self.counts += counts
        self.sums += counts[:, None] * lift.constants
        if lift.matrices is None:
            self.sums[:, lift.given.known] += sums
            self._add(self._squares(statistics, lift, moved))
        else:
            lifted = (lift.matrices @ sums[:, :, None])[:, :, 0]
            self.sums += lifted
            self._add(self._products(statistics, lift, lift.matrices, moved, lifted))
        self.log_likelihood += statistics.log_likelihood
        self.entropy += float(counts @ lift.entropies)

    def _products(
        self, statistics: Statistics, lift: Lift, matrices: Array, moved: Array, lifted: Array
    ) -> Array:
        """Expected products of rows that have the same features: (K, D, D), or (1, D, D) of all together."""
        counts = statistics.counts[:, None, None]
        cross = lifted[:, :, None] * lift.constants[:, None, :]
        others = cross + cross.swapaxes(1, 2) + counts * lift.within
        if not statistics.scatter.shape[1]:
            assert statistics.shared is not None
            shared = matrices[0] @ statistics.shared @ matrices[0].T
            return (shared + others.sum(axis=0))[None]
        own = unpack(statistics.scatter, lift.n_known)
        if moved.any():
            cross = moved[:, :, None] * statistics.sums[:, None, :]
            own += cross + cross.swapaxes(1, 2) + counts * moved[:, :, None] * moved[:, None, :]
        return matrices @ own @ matrices.swapaxes(1, 2) + others

    def _squares(self, statistics: Statistics, lift: Lift, moved: Array) -> Array:
        """Expected squares, where no products are needed: (K, D), or (1, D) of all components together."""
        known, counts = lift.given.known, statistics.counts[:, None]
        others = counts * lift.within
        others[:, known] += moved * (2.0 * statistics.sums + counts * moved)
        scatter, shared = statistics.scatter, statistics.shared
        if scatter.shape[1]:  # of one variance for all features their sum, here divided evenly
            others[:, known] += scatter * (scatter.shape[1] / lift.n_known)
        else:
            assert shared is not None
            others = others.sum(axis=0, keepdims=True)
            others[:, known] += self.parameters.family.variances(shared, 1, lift.n_known)
        return others

    def add_rows(
        self, shares: Array, deviations: Array, within: Array, log_densities: Array, entropies: Array
    ) -> None:
        """Add rows that each have features of their own.

        Parameters
        ----------
        shares : ndarray of shape (n_rows, K)
            Responsibilities, times the weights of rows.
        deviations : ndarray of shape (n_rows, K, D)
            Expected rows less the components' means.
        within : ndarray of shape (n_rows, K, D, D), or (n_rows, K, D) of families without products
            Covariances of what is missing, zero elsewhere.
        log_densities : ndarray of shape (n_rows,)
            Times the weights.
        entropies : ndarray of shape (n_rows, K)
            Of what is missing, nats.
        """
        gaps = deviations + (self.parameters.means - self.points)
        weighted = shares[:, :, None] * gaps
        self.counts += shares.sum(axis=0)
        self.sums += weighted.sum(axis=0)
        if self.parameters.family.has_products:
            found = np.einsum("nki,nkj->kij", weighted, gaps, optimize=True)
            found += np.einsum("nk,nkij->kij", shares, within, optimize=True)
        else:
            found = (weighted * gaps).sum(axis=0) + (shares[:, :, None] * within).sum(axis=0)
        self._add(found)
        self.log_likelihood += float(log_densities.sum())
        self.entropy += float((shares * entropies).sum())

    def _add(self, scatter: Array) -> None:
        self.scatter += scatter.sum(axis=0, keepdims=True) if self.is_pooled else scatter

    def statistics(self) -> Statistics:
        """Give the statistics."""
        family, n_components = self.parameters.family, len(self.counts)
        shared = family.of_scatter(self.scatter[0]) if self.is_pooled else None
        if self.is_pooled:
            scatter = np.empty((n_components, 0))
        elif family.has_products:
            scatter = family.pack_scatter(self.scatter)
        else:
            scatter = cast(Variances, family).pack_squares(self.scatter)
        return Statistics(
            family,
            self.counts,
            self.sums,
            scatter,
            self.points,
            self.log_likelihood,
            shared,
            self.entropy,
        )


@dataclass(frozen=True, eq=False)
class FeatureMoments:
    """Moments of each feature over the values that are observed, of rows that lack some.

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
    """

    n_rows: int
    n_empty: int
    weight: float
    weights: Array
    mean: Array
    squares: Array
    minimum: Array
    maximum: Array

    @classmethod
    def nothing(cls, n_features: int) -> FeatureMoments:
        """Give those of no rows."""
        zeros = np.zeros(n_features)
        none = np.full(n_features, np.inf)
        return cls(0, 0, 0.0, zeros, zeros, zeros, none, -none)

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
        return cls(len(rows), n_empty, float(own.sum()), each, mean, squares, low, high)

    @classmethod
    def of_complete(cls, moments: Moments) -> FeatureMoments:
        """Give what moments of complete rows say of each feature."""
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
        )

    @property
    def variances(self) -> Array:
        """Variances of the observed values: shape (D,)."""
        return self.squares / np.where(self.weights > 0.0, self.weights, 1.0)

    def completed(self, correlations: Array | None) -> Moments:
        """Give the moments of complete rows with these means and variances.

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
