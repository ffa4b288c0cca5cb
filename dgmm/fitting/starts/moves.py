"""Moves that EM does not make by itself: a component split in two, two merged into one.

EM climbs to the nearest optimum: it hardly ever moves a component from where there are too many to where
there are too few. A merge and a split do (Ueda, Nakano, Ghahramani and Hinton, 2000, *SMEM*).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from dgmm.model.families import Family
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters


@dataclass(frozen=True, eq=False)
class Move:
    """Components, and what fits their rows better: a split alone, or with a merge of two others.

    Attributes
    ----------
    components : list of int
        The one that is split, and those that are merged.
    parts : Parameters
        What takes their places; one more than these comes last. Their weights sum to 1. A shared covariance
        is what all others have then, too.
    gain : float
        What the log-likelihood gains at least, nats a row.
    """

    components: list[int]
    parts: Parameters
    gain: float

    @property
    def component(self) -> int:
        """The one that is split."""
        return self.components[0]


def apply(parameters: Parameters, move: Move) -> Parameters:
    """Put the parts of a move in the places of its components."""
    n_new = move.parts.n_components - len(move.components)
    places = [*move.components, *range(parameters.n_components, parameters.n_components + n_new)]

    def placed(all_of: Array, own: Array) -> Array:
        changed = np.concatenate([all_of, own[:n_new]])
        changed[places] = own
        return changed

    parts, weight = move.parts, parameters.weights[move.components].sum()
    weights, means = placed(parameters.weights, weight * parts.weights), placed(parameters.means, parts.means)
    if parameters.family.is_shared:
        return replace(parts, weights=weights, means=means)
    return Parameters(
        parameters.family,
        weights,
        means,
        placed(parameters.covariances, parts.covariances),
        placed(parameters.precisions_cholesky, parts.precisions_cholesky),
    )


def merge(parameters: Parameters, first: int, second: int) -> Parameters:
    """Put one component with the same moments in the place of two: where the first was."""
    pair = [first, second]
    weight = parameters.weights[pair].sum()
    share = parameters.weights[pair] / weight if weight > 0.0 else np.full(2, 0.5)
    mean = share @ parameters.means[pair]
    gap = parameters.means[first] - parameters.means[second]
    kept = np.delete(np.arange(parameters.n_components), second)
    at = int(np.flatnonzero(kept == first)[0])
    weights, means = parameters.weights[kept], parameters.means[kept]
    weights[at], means[at] = weight, mean
    between = share[0] * share[1] * np.outer(gap, gap)
    if parameters.family.is_shared:
        covariances = parameters.covariances + parameters.family.of_scatter(weight * between)
    else:
        within = np.tensordot(share, parameters.covariances[pair], 1)
        covariances = parameters.covariances[kept]
        covariances[at] = within + parameters.family.projected(between)
    return Parameters.from_covariances(parameters.family, weights, means, covariances)


def merge_costs(parameters: Parameters) -> Array:
    """Bound what a merge of each two components loses, nats a row (Runnalls, 2007, equation 21).

    Parameters
    ----------
    parameters : Parameters

    Returns
    -------
    ndarray of shape (K, K)
        Symmetric; infinite on the diagonal, and where the merged covariance is not positive definite.
    """
    n_components, n_features = parameters.means.shape
    if n_components == 1:
        return np.full((1, 1), np.inf)
    family, factors = parameters.family, parameters.precisions_cholesky
    first, second = np.triu_indices(n_components, 1)
    pairs = np.stack([first, second])
    weights = np.maximum(parameters.weights[pairs], np.finfo(float).tiny)
    weight = weights.sum(axis=0)
    gaps = parameters.means[first] - parameters.means[second]
    if family.is_shared:  # the covariance of all rows grows a little
        standardized = family.standardize(gaps.T, factors, 0)
        bounds = family.half_log_growth(standardized, weights.prod(axis=0) / weight)
    else:
        share = (weights / weight).reshape(2, len(first), *(1,) * (parameters.covariances.ndim - 1))
        between = (weights.prod(axis=0) / weight**2)[:, None, None] * gaps[:, :, None] * gaps[:, None, :]
        within = (share * parameters.covariances[pairs]).sum(axis=0)
        halves = family.half_log_determinants(factors, n_features)
        merged = _half_log_determinants(family, within + family.projected(between), n_features)
        bounds = (weights * halves[pairs]).sum(axis=0) - weight * merged
    costs = np.full((n_components, n_components), np.inf)
    costs[first, second] = costs[second, first] = bounds
    return costs


def _half_log_determinants(family: Family, covariances: Array, n_features: int) -> Array:
    """Half the log determinants of precisions: −∞ where rounding leaves a covariance that is not definite.

    As of two components on single rows, far apart: their merge costs more than any other.
    """

    def of(some: Array) -> Array:
        return family.half_log_determinants(family.precisions_cholesky(some), n_features)

    try:
        return of(covariances)
    except DegenerateCovarianceError:
        found = np.full(len(covariances), -np.inf)
        for index in range(len(covariances)):
            with suppress(DegenerateCovarianceError):
                found[index] = of(covariances[index : index + 1])[0]
        return found


def cheapest_merges(costs: Array, n_wanted: int, spared: int | None = None) -> list[tuple[int, int]]:
    """Find the pairs of components that it costs least to merge, the cheapest first.

    Parameters
    ----------
    costs : ndarray of shape (K, K)
        As from `merge_costs`; pairs of infinite costs are not merged.
    n_wanted : int
    spared : int, optional
        A component that is not merged.
    """
    first, second = np.triu_indices(len(costs), 1)
    own = costs[first, second]
    may = np.isfinite(own) & (first != spared) & (second != spared)
    order = np.flatnonzero(may)[np.argsort(own[may], kind="stable")[:n_wanted]]
    return [(int(first[pair]), int(second[pair])) for pair in order]
