"""Mixtures grown beyond the components wanted, then merged back.

Where clusters are of very different sizes and shapes, k-means has components where most rows are, and EM with
moves of single components does not get away from there. Splits go where the likelihood gains; and with more
components than are wanted there are few bad optima, from which merges lead to good ones.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.moves import apply, merged_cheaply
from dgmm.fitting.starts.splits import SPLITS, best_splits
from dgmm.fitting.steps.climb import Climb, short_climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import Family
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GrowthTuning:
    """How mixtures grow, and are pruned.

    Chosen on large data: docs/notes/2026-11-24-starts.md. At half and double no log-likelihood of small data
    fell by 1e-4 nats a row (docs/notes/2026-11-26-tuning.md).

    Attributes
    ----------
    split_at_once, merged_at_once : float
        Shares of the components there are, before EM goes on: so the number of EM runs grows with the
        logarithm of K. Twice as many splits: five passes more.
    most_surplus : int
        Components beyond those that are wanted: with many, work would grow with their square.
    """

    split_at_once: float = 1 / 3
    merged_at_once: float = 1 / 5
    most_surplus: int = 30


GROWTH = GrowthTuning()


def grown(
    data: InMemory, family: Family, n_components: int, objective: Likelihood, *, surplus: float
) -> Climb:
    """Grow a mixture to ``surplus`` times the components wanted, or until none can be split; merge these.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    most = n_components + min(GROWTH.most_surplus, round((surplus - 1.0) * n_components))
    found = short_climb(data, single(family, data.moments, objective), objective)
    while (n_now := found.parameters.n_components) < most:
        n_splits = min(max(1, int(GROWTH.split_at_once * n_now)), most - n_now)
        splits = best_splits(data, found.parameters, objective, SPLITS.few_steps)[:n_splits]
        if not splits:
            break
        found = short_climb(data, reduce(apply, splits, found.parameters), objective)
    return pruned(found, data, n_components, objective)


def pruned(found: Climb, data: InMemory, n_components: int, objective: Likelihood) -> Climb:
    """Merge components of a mixture until there are as many as wanted, with EM between.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    while (n_now := found.parameters.n_components) > n_components:
        n_merges = min(max(1, int(GROWTH.merged_at_once * n_now)), n_now - n_components)
        found = short_climb(data, merged_cheaply(found.parameters, n_merges), objective)
    return found


def single(family: Family, moments: Moments, objective: Likelihood) -> Parameters:
    """Return the mixture of one component: the moments of the rows are its parameters."""
    own = family.repeated(moments.covariance(objective.reg_covar), 1)
    return Parameters.from_covariances(family, np.ones(1), moments.mean[None], own)


def reseeded(
    parameters: Parameters,
    emptied: NDArray[np.intp],
    *,
    sample: Sample,
    objective: Likelihood,
    n_rows_in_all: int | None = None,
) -> Parameters | None:
    """Let components that have emptied take half of another one each: the best split, one after the other.

    Parameters
    ----------
    parameters : Parameters
    emptied : ndarray of int
        Indices of the components that are to have another place.
    sample : Sample
        Rows that tell which split is the best.
    objective : Likelihood
    n_rows_in_all : int, optional
        Rows that the sample is of.

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
    data = InMemory.of(sample.values, sample.weights, n_rows_in_all)
    for component in emptied.tolist():
        best, *_ = [*best_splits(data, found, objective), None]
        if best is None or best.gain <= 0.0:
            return None
        moves.append((component, places[best.component]))
        found = apply(found, best)
        places = np.append(places, component)
    for move in moves:
        logger.info("Component %d emptied: re-seeded by splitting component %d", *move)
    return found.chosen(np.argsort(places))
