"""Which mixtures are the same local optimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dgmm.fitting.starts.record import RECORD
from dgmm.fitting.steps.climb import Climb, best_distinct
from dgmm.model.matrices import Array
from dgmm.model.overlap import normal_distances
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class AlikeTuning:
    """When components are in the same place. Half and double: not measured.

    Attributes
    ----------
    distance : float
        Nats, of Bhattacharyya: components that are farther apart are two. As means of one width two standard
        deviations apart.
    """

    distance: float = 0.5


ALIKE = AlikeTuning()


def best_unlike(climbs: Sequence[Climb], n_wanted: int) -> list[Climb]:
    """Return those with the highest lower bounds, one of each that are alike.

    Optima may have one log-likelihood on some rows and not on others: those that differ by less than
    `RecordTuning.alike` are two where a component of one has no partner in the other.
    """
    kept: list[Climb] = []
    for each in best_distinct(climbs, len(climbs)):
        if len(kept) == n_wanted:
            break
        if not any(_are_alike(other, each) for other in kept):
            kept.append(each)
    return kept


def _are_alike(best: Climb, other: Climb) -> bool:
    if best.lower_bound - other.lower_bound > RECORD.alike:
        return False
    _, distances = partners(best.parameters, other.parameters)
    return bool(distances.max() <= ALIKE.distance)


def partners(parameters: Parameters, other: Parameters) -> tuple[NDArray[np.intp], Array]:
    """Pair the components of two mixtures that are alike.

    Parameters
    ----------
    parameters, other : Parameters
        Of one family, and as many components.

    Returns
    -------
    of_other : ndarray of shape (K,)
        The partner of each component, one each.
    distances : ndarray of shape (K,)
        How unlike they are, nats.
    """
    distances = unlikeness(parameters, other)
    components, of_other = linear_sum_assignment(distances)
    return of_other, distances[components, of_other]


def unlikeness(parameters: Parameters, other: Parameters) -> Array:
    """Measure how unlike components are: Bhattacharyya distances, by means and variances alone.

    Returns
    -------
    ndarray of shape (K, K of the other)
        Nats. Their weights do not count.
    """
    gaps = parameters.means[:, None] - other.means[None]
    return normal_distances(gaps, parameters.variances[:, None], other.variances[None]).sum(axis=2)
