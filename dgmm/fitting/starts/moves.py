"""Moves that EM does not make by itself: a component split in two, two merged into one.

EM climbs to the nearest optimum: it hardly ever moves a component from where there are too many to where
there are too few. A merge and a split do (Ueda, Nakano, Ghahramani and Hinton, 2000, *SMEM*).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.splits import LOCAL_STEPS, Split, best_splits, objectives_of, own_rows
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.model.families import Family
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters

logger = logging.getLogger(__name__)

FEW_STEPS = 4
"""EM steps of the halves, where many splits are compared for the few that are tried."""

LOCAL_TOLERANCE = 1e-4
"""Nats for each of these rows: where EM gains less, it ends sooner when a move is judged."""


@dataclass(frozen=True, eq=False)
class Move:
    """A component split and two others merged, with what came of it on their own rows.

    Attributes
    ----------
    components : list of int
        The one that is split and the two that are merged.
    parts : Parameters
        What takes their places: a half, the two merged, the other half. Their weights sum to 1.
    gain : float
        What the log-likelihood gains at least, nats a row.
    """

    components: list[int]
    parts: Parameters
    gain: float


def split_and_merge(
    data: InMemory,
    share: Array,
    parameters: Parameters,
    candidate: Split,
    pair: tuple[int, int],
    *,
    reg_covar: float,
) -> Move:
    """Split one component and merge two others, with some EM steps of the three on their own rows.

    What they gain there is a lower bound of what the mixture gains, as for `best_splits`.

    Parameters
    ----------
    data : InMemory
    share : ndarray of shape (K, n_rows)
        See `dgmm.fitting.starts.splits.shares`.
    parameters : Parameters
    candidate : Split
    pair : (int, int)
        The components to merge.
    reg_covar : float

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    components = [candidate.component, *pair]
    weights = share[components].sum(axis=0, dtype=np.float64)
    own = own_rows(data, weights)
    rows = InMemory.of(data.rows[own], weights[own])
    (objective,) = objectives_of(data, parameters, share, [components], reg_covar)
    before = parameters.part(components)
    alone = climb(rows, before, objective, 0)
    after = merge(split(before, replace(candidate, component=0)), 1, 2)
    after = climb(rows, after, objective, LOCAL_STEPS, LOCAL_TOLERANCE)
    gain = (after.lower_bound - alone.lower_bound) * rows.moments.weight / data.moments.weight
    return Move(components, after.parameters, gain)


def apply(parameters: Parameters, move: Move) -> Parameters:
    """Put the parts of a move in the places of its components."""
    return _with_parts(parameters, move.components, move.parts)


def split(parameters: Parameters, move: Split) -> Parameters:
    """Put the halves in the place of a component: the first there, the second last."""
    return _with_parts(parameters, [move.component, parameters.n_components], move.halves)


def _with_parts(parameters: Parameters, places: list[int], parts: Parameters) -> Parameters:
    """Put parts, whose weights sum to 1, in the places of components; the place after the last is new."""
    n_components = parameters.n_components

    def placed(all_of: Array, own: Array) -> Array:
        changed = np.concatenate([all_of, own[: int(n_components in places)]])
        changed[places] = own
        return changed

    weight = sum(parameters.weights[place] for place in places if place < n_components)
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


def reseeded(
    parameters: Parameters, emptied: NDArray[np.intp], *, sample: Sample, reg_covar: float
) -> Parameters | None:
    """Let components that have emptied take half of another one each: the best split, one after the other.

    Parameters
    ----------
    parameters : Parameters
    emptied : ndarray of int
        Indices of the components that are to have another place.
    sample : Sample
        Rows that tell which split is the best.
    reg_covar : float

    Returns
    -------
    Parameters or None
        The others stay as they are; None where a component is left over, as no split gains or no other is
        left.
    """
    places = np.setdiff1d(np.arange(parameters.n_components), emptied)
    if not len(places):
        return None
    found = parameters.part(places)
    moves = []
    data = InMemory.of(sample.values, sample.weights)
    for component in emptied.tolist():
        best, *_ = [*best_splits(data, found, reg_covar), None]
        if best is None or best.gain <= 0.0:
            return None
        moves.append((component, places[best.component]))
        found = split(found, best)
        places = np.append(places, component)
    for move in moves:
        logger.info("Component %d emptied: re-seeded by splitting component %d", *move)
    return found.chosen(np.argsort(places))


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


def cheapest_merge(costs: Array) -> tuple[int, int]:
    """Find the two components that it costs least to merge, by `merge_costs` or some of them."""
    first, second = np.unravel_index(int(costs.argmin()), costs.shape)
    return int(first), int(second)


def cheapest_merges(costs: Array, n_wanted: int) -> list[tuple[int, int]]:
    """Find the pairs of components that it costs least to merge, by `merge_costs`; the cheapest first."""
    first, second = np.triu_indices(len(costs), 1)
    order = np.argsort(costs[first, second], kind="stable")[:n_wanted]
    return [(int(first[pair]), int(second[pair])) for pair in order]
