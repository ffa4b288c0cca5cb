"""Moves that EM does not make: a component split in two, two merged into one.

EM climbs to the nearest optimum: it hardly ever moves a component from where there are too many to where
there are too few. A merge and a split do (Ueda, Nakano, Ghahramani and Hinton, 2000, *SMEM*).
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.model.families import Family
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters

MERGED_NUMBERS = 2**18
"""Numbers in the covariances of merged pairs that are found at once: not all pairs' of many components."""


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
    between = share[0] * share[1] * parameters.family.outer(gap[None])[0]
    if parameters.family.is_shared:
        covariances = parameters.covariances + weight * between
    else:
        within = np.tensordot(share, parameters.covariances[pair], 1)
        covariances = parameters.covariances[kept]
        covariances[at] = within + between
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
    n_components = parameters.n_components
    costs = np.full((n_components, n_components), np.inf)
    first, second = np.triu_indices(n_components, 1)
    costs[first, second] = costs[second, first] = _pair_costs(parameters, first, second)
    return costs


def merged_cheaply(parameters: Parameters, n_merges: int) -> Parameters:
    """Merge the two components that it costs least to merge, so many times over.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite, or no two components can be merged.
    """
    costs = merge_costs(parameters)
    for _ in range(n_merges):
        pairs = cheapest_merges(costs, 1)
        if not pairs:
            raise DegenerateCovarianceError(None)
        ((first, second),) = pairs
        parameters = merge(parameters, first, second)
        if parameters.family.is_shared:  # its covariance has grown
            costs = merge_costs(parameters)
            continue
        costs = np.delete(np.delete(costs, second, axis=0), second, axis=1)
        own, others = first - (second < first), np.arange(parameters.n_components)
        others = others[others != own]
        costs[own, others] = costs[others, own] = _pair_costs(parameters, np.full(len(others), own), others)
    return parameters


def _pair_costs(parameters: Parameters, first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    """Return the costs of merging pairs of components: (n_pairs,), infinite where that is impossible."""
    family, n_features = parameters.family, parameters.n_features
    of_one = 1 if family.is_shared else math.prod(family.shape_of_one(n_features))
    at_once = max(1, MERGED_NUMBERS // max(of_one, n_features))
    costs = np.empty(len(first))
    for start in range(0, len(first), at_once):
        part = slice(start, start + at_once)
        costs[part] = _costs_of_pairs(parameters, first[part], second[part])
    return costs


def _costs_of_pairs(parameters: Parameters, first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    n_features, family, factors = parameters.n_features, parameters.family, parameters.precisions_cholesky
    pairs = np.stack([first, second])
    weights = np.maximum(parameters.weights[pairs], np.finfo(float).tiny)
    weight = weights.sum(axis=0)
    gaps = parameters.means[first] - parameters.means[second]
    if family.is_shared:  # the covariance of all rows grows a little
        standardized = family.standardize(gaps.T, factors, 0)
        return family.half_log_growth(standardized, weights.prod(axis=0) / weight)
    shape = (len(first), *(1,) * (parameters.covariances.ndim - 1))
    share, between = (weights / weight).reshape(2, *shape), (weights.prod(axis=0) / weight**2).reshape(shape)
    within = (share * parameters.covariances[pairs]).sum(axis=0)
    halves = family.half_log_determinants(factors, n_features)
    merged = _half_log_determinants(family, within + between * family.outer(gaps), n_features)
    return (weights * halves[pairs]).sum(axis=0) - weight * merged


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
