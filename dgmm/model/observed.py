"""Expected statistics of complete rows, given their observed values.

EM with missing values needs what the complete rows' statistics would be, expected given what is observed and
the component (Ghahramani and Jordan, 1994; Little and Rubin, 2002, chapter 11). With ``u`` the deviation of
a row from a point R, the expectation of all of u under component k is ``G u_o + a``: the observed part as it
is, the missing part by regression (see `dgmm.model.conditional`), with covariance C there. So the expected
sums are linear in those of the observed part,

- ``G s + N a``,
- ``G Q Gᵀ + B aᵀ + a Bᵀ + N C`` with ``B = G s + ½ N a``,

for the count N, sums s and scatter Q of all rows that have the same features. The M-step after that, and
all that comes of statistics, is that of complete rows.

Whatever rows lack, all arrays here are of all features, zero where there is nothing: many patterns are worked
on at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dgmm.model.families.forms import Variances
from dgmm.model.matrices import Array, unpack
from dgmm.model.parameters import LOG_2_PI, Parameters, finite_logs
from dgmm.model.regression import Regress, regress
from dgmm.model.statistics import Statistics


@dataclass(frozen=True, eq=False)
class Lifts:
    """A mixture on the features that rows have, and what takes sums of these to expected ones of all.

    For each of P patterns of missing features; k is K, or 1 where components share a covariance.

    Attributes
    ----------
    known : ndarray of shape (P, D), bool
        Which features rows have.
    log_constants : ndarray of shape (P, K)
        Log joint densities at the components' means, of the observed features.
    factors : ndarray of shape (P, k, D, D), or (P, k, D) of families without products
        U with ``U Uᵀ`` the precision of the observed features, zero elsewhere; or its roots.
    constants : ndarray of shape (P, K, D)
        a: zero for observed features.
    matrices : ndarray of shape (P, k, D, D), or None
        G, with zeros in the columns of what is missing; None of families without products, where missing
        features have no part of observed ones.
    within : ndarray of shape (P, k, D, D), or (P, K, D) of families without products
        C; or its diagonal.
    entropies : ndarray of shape (P, K)
        Of the missing features, given the others, nats.
    """

    known: NDArray[np.bool_]
    log_constants: Array
    factors: Array
    constants: Array
    matrices: Array | None
    within: Array
    entropies: Array

    @classmethod
    def of(
        cls, parameters: Parameters, known: NDArray[np.bool_], origins: Array, by: Regress = regress
    ) -> Lifts:
        """Make them.

        Parameters
        ----------
        parameters : Parameters
            A plain mixture: see `dgmm.model.conditional.plain`.
        known : ndarray of shape (P, D), bool
        origins : ndarray of shape (K, D)
            What sums are to be about.
        by : callable, optional
            What eliminates observed features from covariances; by default NumPy.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance, in the order of a pattern, is not positive definite but for rounding errors.
        """
        n_known = known.sum(axis=1)[:, None]
        gaps = parameters.means - origins
        constants = np.where(known[:, None, :], 0.0, gaps)
        if parameters.family.has_products:
            factors, halves, matrices, within = by(parameters.covariances, known)
            constants -= (matrices @ gaps[:, :, None])[..., 0]
            diagonal, family = np.arange(known.shape[1]), parameters.family
            matrices[:, :, diagonal, diagonal] = known[:, None, :]
            whole = family.half_log_determinants(parameters.precisions_cholesky, known.shape[1])
            rest = np.where(n_known < known.shape[1], whole - halves, 0.0)
        else:
            variances = parameters.variances
            factors = np.where(known[:, None, :], 1.0 / np.sqrt(variances), 0.0)
            logs, matrices = 0.5 * np.log(variances), None
            # No product of matrices: its rounding would depend on how many patterns there are.
            halves, rest = (-np.where(each[:, None, :], logs, 0.0).sum(axis=2) for each in (known, ~known))
            within = np.where(known[:, None, :], 0.0, variances)
            if parameters.family.is_shared:
                factors = factors[:, :1]
        n_missing = known.shape[1] - n_known
        log_constants = finite_logs(parameters.weights) - 0.5 * n_known * LOG_2_PI + halves
        entropies = np.broadcast_to(0.5 * n_missing * (1.0 + LOG_2_PI) - rest, log_constants.shape)
        return cls(known, log_constants, factors, constants, matrices, within, entropies)

    @classmethod
    def joined(cls, pieces: Sequence[tuple[Lifts, int]]) -> Lifts:
        """Return patterns that were made with others, each by its number there."""

        def stacked(name: str) -> Any:
            return np.stack([getattr(own, name)[number] for own, number in pieces])

        has_matrices = pieces[0][0].matrices is not None
        names = [each.name for each in fields(cls) if has_matrices or each.name != "matrices"]
        return cls(**{"matrices": None, **{name: stacked(name) for name in names}})

    def natural_parameters(self, parameters: Parameters, centre: Array) -> Array:
        """Return those of the observed features: (P, K, features of the family), for z zero where missing."""
        means = np.where(self.known[:, None, :], parameters.means - centre, 0.0)
        factors = parameters.precisions_cholesky
        if parameters.family.has_products:
            factors = self.factors[:, 0] if parameters.family.is_shared else self.factors
        return parameters.family.natural_parameters(self.log_constants, means, factors)


RowSums = Callable[[Array, Array, bool], tuple[Array, Array]]
"""Sums rows that each have features of their own, as they are expected, times shares: of shares (n_rows, K),
points (K, D) that sums are to be about, and whether products are to be of all components together, gives sums
(K, D) and products (K, D, D), or (1, D, D) of all; of families without products (K, D) of squares."""


def _products(statistics: Statistics, lifted: Array, lifts: Lifts, matrices: Array) -> tuple[Array, Array]:
    """Expected products, and ``G Q Gᵀ`` of them: (K, D, D), or (1, D, D) of all components together."""
    counts, own, n_features = statistics.counts, statistics.shared, matrices.shape[-1]
    halves = lifted + 0.5 * counts[..., None] * lifts.constants
    if own is None:
        own = unpack(statistics.scatter, n_features)
        cross = halves.transpose(1, 2, 0) @ lifts.constants.swapaxes(0, 1)
    else:
        own, counts = own[:, None], counts.sum(axis=1, keepdims=True)
        cross = (halves.reshape(-1, n_features).T @ lifts.constants.reshape(-1, n_features))[None]
    found = cross + cross.swapaxes(1, 2) + np.einsum("pk,pkij->kij", counts, lifts.within)
    completed = (matrices @ own @ matrices.swapaxes(2, 3)).sum(axis=0)
    return found + completed, completed


def _squares(statistics: Statistics, lifts: Lifts) -> Array:
    """Expected squares, where no products are needed: (K, D)."""
    found = (statistics.counts[..., None] * (lifts.constants**2 + lifts.within)).sum(axis=0)
    # Of one variance for all features there is their sum, here divided evenly.
    n_features, n_own = lifts.known.shape[1], statistics.scatter.shape[2]
    return found + statistics.scatter.sum(axis=0) * (n_own / n_features)


class ExpectedSums:
    """Expected statistics of one model, summed over rows that lack various features.

    Parameters
    ----------
    parameters : Parameters
        A plain mixture: see `dgmm.model.conditional.plain`.
    points : ndarray of shape (K, n_features)
        What sums are to be about.
    is_pooled : bool
        There is one scatter, of all rows: components share a covariance, and have sums about one point.
    n_groups : int, default=0
        Groups of rows that are counted apart.
    """

    def __init__(self, parameters: Parameters, points: Array, *, is_pooled: bool, n_groups: int = 0):
        family, (n_components, n_features) = parameters.family, parameters.means.shape
        self.parameters, self.points, self.is_pooled = parameters, points, is_pooled
        self.counts, self.sums = np.zeros(n_components), np.zeros((n_components, n_features))
        shape = (n_features, n_features) if family.has_products else (n_features,)
        self.scatter = np.zeros((1 if self.is_pooled else n_components, *shape))
        self.log_likelihood = self.entropy = 0.0
        self.group_counts = np.zeros((n_groups, n_components)) if n_groups else None
        self.lacking = np.zeros((n_components, n_features))

    def add(self, statistics: Statistics, lifts: Lifts) -> None:
        """Add rows, pattern by pattern.

        Parameters
        ----------
        statistics : Statistics
            With an axis of patterns before all others: see `dgmm.kernels.kernel.PatternSums`.
        lifts : Lifts
        """
        counts, sums = statistics.counts, statistics.sums
        self.counts += counts.sum(axis=0)
        self.lacking += counts.T @ ~lifts.known
        if lifts.matrices is None:
            self._add(_squares(statistics, lifts))
        else:
            sums = (lifts.matrices @ sums[..., None])[..., 0]
            products, completed = _products(statistics, sums, lifts, lifts.matrices)
            self._add(products)
            if statistics.shared is not None:
                # What is observed of a row is as far from the centre as the row completed from there.
                model, n_features = self.parameters, completed.shape[-1]
                trace = model.family.trace_by_factor(model.precisions_cholesky, completed[0], n_features)
                self.log_likelihood -= 0.5 * trace
        self.sums += (sums + counts[..., None] * lifts.constants).sum(axis=0)
        self.log_likelihood += statistics.log_likelihood
        self.entropy += float((counts * lifts.entropies).sum())
        if self.group_counts is not None and statistics.group_counts is not None:
            self.group_counts += statistics.group_counts

    def add_rows(
        self,
        shares: Array,
        sums: RowSums,
        is_known: NDArray[np.bool_],
        log_densities: Array,
        entropies: Array,
    ) -> None:
        """Add rows that each have features of their own.

        Parameters
        ----------
        shares : ndarray of shape (n_rows, K)
            Responsibilities, times the weights of rows.
        sums : RowSums
            Of these rows.
        is_known : ndarray of shape (n_rows, n_features), bool
            What they have.
        log_densities : ndarray of shape (n_rows,)
            Times the weights.
        entropies : ndarray of shape (n_rows, K), or (n_rows, 1)
            Of what is missing, nats.
        """
        found = sums(shares, self.points, self.is_pooled)
        entropy = float((shares * entropies).sum())
        lacking = shares.T @ ~is_known
        log_likelihood = float(log_densities.sum())
        self.add_sums(shares.sum(axis=0), *found, lacking, log_likelihood=log_likelihood, entropy=entropy)

    def add_sums(
        self,
        counts: Array,
        sums: Array,
        scatter: Array,
        lacking: Array,
        *,
        log_likelihood: float,
        entropy: float,
    ) -> None:
        """Add expected sums of complete rows, however they were found.

        Parameters
        ----------
        counts, sums, lacking, log_likelihood
            As in `Statistics`.
        scatter : ndarray of shape (K, D, D), or (K, D) of families without products
            Or of all components together, where it is pooled.
        entropy : float
            As ``entropy_of_missing`` in `Statistics`.
        """
        self.counts += counts
        self.sums += sums
        self._add(scatter)
        self.lacking += lacking
        self.log_likelihood += log_likelihood
        self.entropy += entropy

    def _add(self, scatter: Array) -> None:
        self.scatter += scatter.sum(axis=0, keepdims=True) if self.is_pooled else scatter

    def statistics(self) -> Statistics:
        """Return the statistics."""
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
            self.group_counts,
            self.lacking,
        )
