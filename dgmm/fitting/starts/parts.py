"""Some components of a mixture, fitted while the others keep their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.starts.moves import Move
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import EMStep, Likelihood
from dgmm.model.families import Family
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics


@dataclass(frozen=True)
class PartTuning:
    """Which rows are a component's own, and when sums over those of others are taken again.

    Attributes
    ----------
    smallest_share : float
        Rows with a smaller responsibility are not a component's own.
    smallest_within : float
        Share of all squares of a feature: where those about the components' means are less, differences of
        sums lose digits.
    """

    smallest_share: float = 1e-3
    smallest_within: float = 1e-6


PARTS = PartTuning()


@dataclass(frozen=True, eq=False)
class SharedPart(Likelihood):
    """Maximum likelihood of some components that share their covariance with others, which keep their rows.

    What the covariance gains on the rows of these, it can lose on those of others. The lower bound is of
    both; per row of the part, as everything about it.

    Attributes
    ----------
    family : Family
    n_features : int
    scatter : ndarray
        Of the other components' rows, weighted, about the mean of each component; in the form of one
        covariance, as all covariances here.
    weight : float
        Of these rows.
    """

    family: Family
    n_features: int
    scatter: Array
    weight: float

    def update(self, statistics: Statistics, moments: Moments) -> Parameters:
        """M-step."""
        updated = super().update(statistics, moments)
        covariance = self.covariance(updated.covariances, moments.weight)
        return Parameters.from_covariances(self.family, updated.weights, updated.means, covariance)

    def covariance(self, own: Array, weight: float) -> Array:
        """Return the covariance of all components, from that of the part's, whose rows have this weight."""
        others = self.scatter + self.weight * self.reg_covar * self.family.identity(self.n_features)
        return (others + weight * own) / (self.weight + weight)

    def lower_bound(self, step: EMStep) -> float:
        """Log-likelihood of the part, and what the others have of it by the shared covariance."""
        return super().lower_bound(step) + self.of_others(step.evaluated) / step.moments.weight

    def of_others(self, parameters: Parameters) -> float:
        """Return the part of the others' expected log-likelihood that depends on the covariance, nats."""
        half_log_determinant = float(
            self.family.half_log_determinants(parameters.precisions_cholesky, self.n_features)
        )
        trace = self.family.trace(parameters.precisions, self.scatter, self.n_features)
        return self.weight * half_log_determinant - 0.5 * trace


def shares(data: InMemory, parameters: Parameters) -> Array:
    """Return the weight of each row that each component has: (K, n_rows)."""
    share = data.responsibilities(parameters)
    return share if data.row_weights is None else share * data.row_weights


def own_rows(data: InMemory, share: Array) -> NDArray[np.intp]:
    """Find the rows of which components have more than a small part, (n_rows,), whatever they weigh."""
    weights = 1.0 if data.row_weights is None else data.row_weights
    return np.flatnonzero(share > PARTS.smallest_share * weights)


def objectives_of(
    data: InMemory,
    parameters: Parameters,
    share: Array,
    parts: Sequence[Sequence[int]],
    objective: Likelihood,
) -> list[Likelihood]:
    """Return what parts of a mixture climb, each of some components, on their rows while others keep theirs.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
    share : ndarray of shape (K, n_rows)
        See `shares`.
    parts : sequence of sequence of int
        The components of each.
    objective : Likelihood
        What the whole mixture climbs.
    """
    family = parameters.family
    if not family.is_shared:
        return [objective] * len(parts)
    deviations = data.rows - data.moments.mean
    counts = share.sum(axis=1, dtype=np.float64)
    means = share.astype(np.float64) @ deviations / np.maximum(counts, np.finfo(float).tiny)[:, None]

    def scatter_of(which: NDArray[np.intp]) -> Array:
        """Scatter of the rows of several components, about the mean of each."""
        gaps = ((share[k][:, None], deviations - means[k]) for k in which)
        return sum(((weights * gap).T @ gap for weights, gap in gaps), np.zeros_like(total))

    total, everything = data.moments.scatter, np.arange(len(share))
    within = total - (counts[:, None] * means).T @ means
    cancels = (np.diagonal(within) < PARTS.smallest_within * np.diagonal(total)).any()
    objectives: list[Likelihood] = []
    for part in parts:
        others = np.setdiff1d(everything, part)
        scatter = scatter_of(others) if cancels else within - scatter_of(np.asarray(part))
        weight = float(counts[others].sum())
        own = family.of_scatter(scatter)
        objectives.append(SharedPart(objective.reg_covar, family, parameters.n_features, own, weight))
    return objectives


def split_by_members(
    data: InMemory,
    parameters: Parameters,
    objective: Likelihood,
    n_steps: int,
    component: int,
    *,
    share: Array,
    member: NDArray[np.bool_],
) -> Move:
    """Split one component on its own rows: those that are members, and the others.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
        Of a family whose components have covariances of their own.
    objective : Likelihood
    n_steps : int
        EM steps of the two parts.
    component : int
    share : ndarray of shape (K, n_rows)
        See `shares`.
    member : ndarray of bool, of shape (n_rows,)

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    own = own_rows(data, share[component])
    weights, has, family = share[component][own], member[own], parameters.family
    rows = data.part(own, weights, products=family.has_products)
    parts = [
        rows.part(which, weights[which], products=family.has_products).moments
        for which in (has.nonzero()[0], (~has).nonzero()[0])
    ]
    weight, floor = rows.moments.weight, objective.reg_covar
    start = Parameters.from_covariances(
        family,
        np.array([each.weight for each in parts]) / weight,
        np.stack([each.mean for each in parts]),
        np.concatenate([family.repeated(each.covariance(floor), 1) for each in parts]),
    )
    alone = climb(rows, parameters.part([component]), objective, 0)
    after = climb(rows, start, objective, n_steps)
    gain = (after.lower_bound - alone.lower_bound) * weight / data.moments.weight
    return Move([component], after.parameters, gain)
