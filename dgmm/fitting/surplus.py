"""Whether the rows need all components, by BIC on a sample in memory.

By BIC: a component is needed if it adds more to the log-likelihood than half the logarithm of the number of
rows for each of its parameters. Chance adds several times as much to surplus components as to parameters that
are known, as they may be anywhere.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.moves import merged_cheaply
from dgmm.fitting.steps.climb import climb, log_likelihood
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Objective
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.journal import answered
from dgmm.passes.parts import Parts


@dataclass(frozen=True)
class NeedTuning:
    """How components are shown not to be needed. Half and double: not measured.

    Attributes
    ----------
    n_rows, fewest_rows : int
        Of the sample, at the most; and at the least, as with few rows BIC does without components that more
        rows would need.
    n_steps : int
        EM steps of the mixture with fewer components, and of the one with all, on these rows.
    """

    n_rows: int = 2**17
    fewest_rows: int = 2**14
    n_steps: int = 30


NEED = NeedTuning()


@dataclass(frozen=True, eq=False)
class MergedOnSample:
    """Merges components, and lets EM tell on a sample whether that loses: see `AreSurplus` of the loop.

    Attributes
    ----------
    sample : Sample
        Complete rows.
    objective : Objective
    n_rows_in_all : int
    """

    sample: Sample
    objective: Objective
    n_rows_in_all: int

    @cached_property
    def rows(self) -> InMemory:
        """The rows of the sample that are asked."""
        return self._rows(products=False)

    @cached_property
    def rows_with_products(self) -> InMemory:
        """The same, for components that share a covariance: it comes from that of all rows."""
        return self._rows(products=True)

    def _rows(self, *, products: bool) -> InMemory:
        some = self.sample.drawn(NEED.n_rows)
        return InMemory.of(some.values, some.weights, self.n_rows_in_all, products=products)

    def __call__(self, parameters: Parameters, n_components: int) -> bool:
        """Return whether with so many components fewer the rows are described as well."""

        def compute(_: Parts) -> int:
            with suppress(DegenerateCovarianceError):
                return int(self._are_surplus(parameters, n_components))
            return 0

        return bool(
            answered("steps", "surplus", n_components, about=parameters, compute=compute, may_wait=True).value
        )

    def _are_surplus(self, parameters: Parameters, n_components: int) -> bool:
        family, own = parameters.family, parameters.n_parameters_of_one
        data = self.rows_with_products if family.is_shared and family.has_products else self.rows
        worth = 0.5 * np.log(len(data.rows)) * n_components * own / len(data.rows)
        climbed = partial(climb, data, objective=self.objective, n_steps=NEED.n_steps)
        fewer = merged_cheaply(parameters, n_components)
        goal = log_likelihood(data, parameters) - worth
        reached = climbed(fewer, goal=goal)
        if reached.lower_bound < goal:
            return False
        # With all components, too, these rows can be fitted better than all rows are.
        goal = climbed(parameters).lower_bound - worth
        return reached.lower_bound >= goal or climbed(reached.parameters, goal=goal).lower_bound >= goal
