"""Starts that grow: one component is split into more than are wanted, and the surplus is merged again.

Where clusters are of very different sizes and shapes, k-means has components where most rows are, and EM with
moves of single components does not get away from there. Splits go where the likelihood gains; and with more
components than are wanted there are few bad optima, from which merges lead to good ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgmm.fitting.starts.moves import FEW_STEPS, cheapest_merge, merge, merge_costs, split
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.climb import Climb, climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import Family
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments

SPLIT_AT_ONCE, MERGED_AT_ONCE = 1 / 3, 1 / 5
"""Of the components there are, before EM goes on: so the number of EM runs grows with the logarithm of K."""

STEPS, TOLERANCE = 15, 1e-4
"""The most EM steps after splits or merges, and the gain in nats a row that ends them."""

MOST_SURPLUS = 30
"""Components beyond those that are wanted: with many, work would grow with their square."""


@dataclass(frozen=True)
class Grower:
    """Grows mixtures.

    Attributes
    ----------
    family : Family
    n_components : int
        That are wanted.
    reg_covar : float
    """

    family: Family
    n_components: int
    reg_covar: float

    def __call__(self, data: InMemory, surplus: float) -> Climb:
        """Grow a mixture to ``surplus`` times the components wanted, or until none can be split; merge these.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        """
        most = self.n_components + min(MOST_SURPLUS, round((surplus - 1.0) * self.n_components))
        found = self._climb(data, single(self.family, data.moments, self.reg_covar))
        while (n_components := found.parameters.n_components) < most:
            n_splits = min(max(1, int(SPLIT_AT_ONCE * n_components)), most - n_components)
            splits = best_splits(data, found.parameters, self.reg_covar, FEW_STEPS)[:n_splits]
            if not splits:
                break
            parameters = found.parameters
            for move in splits:
                parameters = split(parameters, move)
            found = self._climb(data, parameters)
        while (n_components := found.parameters.n_components) > self.n_components:
            n_merges = min(max(1, int(MERGED_AT_ONCE * n_components)), n_components - self.n_components)
            parameters = found.parameters
            for _ in range(n_merges):
                parameters = merge(parameters, *cheapest_merge(merge_costs(parameters)))
            found = self._climb(data, parameters)
        return found

    def _climb(self, data: InMemory, parameters: Parameters) -> Climb:
        return climb(data, parameters, Likelihood(self.reg_covar), STEPS, TOLERANCE)


def single(family: Family, moments: Moments, reg_covar: float) -> Parameters:
    """Give the mixture of one component: the moments of the rows are its parameters."""
    covariance = moments.scatter / moments.weight + reg_covar * np.eye(len(moments.mean))
    own = family.repeated(covariance, 1)
    return Parameters.from_covariances(family, np.ones(1), moments.mean[None], own)
