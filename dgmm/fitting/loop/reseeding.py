"""Re-seeding, around either state machine: components without rows are used elsewhere.

EM never gives a component its rows back. So one that a pass leaves with a row or none takes half of another:
the split that gains most (`dgmm.fitting.starts.growth.reseeded`). The next pass is the test. If all rows are
no less likely, the fit goes on from there as from a start; if they are less likely, it goes on as though
nothing had been tried, and nothing is tried again. No data, no Dask.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.loop.history import record
from dgmm.fitting.loop.plain import EM, Advance
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.parameters import Parameters

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReseedingTuning:
    """How often components are re-seeded; when, is in `dgmm.fitting.few_rows`.

    Attributes
    ----------
    most_trials : int
        Re-seedings of a fit.
    """

    most_trials: int = 5


RESEEDING = ReseedingTuning()


class Reseed(Protocol):
    """Gives components that have emptied another place."""

    def __call__(self, parameters: Parameters, emptied: NDArray[np.intp], /) -> Parameters | None:
        """Return a mixture of as many components; None where none could be better."""
        ...


@dataclass(frozen=True, eq=False)
class Reseeding:
    """Steps of EM, and trials of other places for components that have emptied.

    Attributes
    ----------
    advance : callable
        The same without re-seeding.
    reseed : callable
        See `Reseed`.
    smallest_weight : float
        Components with a smaller weight are empty.
    max_iter : int
        The most passes. A trial needs one, and the fit another one after a trial that failed.
    """

    advance: Advance
    reseed: Reseed
    smallest_weight: float
    max_iter: int

    def __call__(self, state: EM, evaluation: Evaluation) -> EM:
        """Take in a pass with the state's parameters."""
        if state.fallback is not None:
            gain = evaluation.lower_bound - state.lower_bound
            is_better = gain >= 0.0
            outcome = "kept" if is_better else "it goes back"
            logger.info("The re-seeding changed the log-likelihood by %.3g nats a row: %s", gain, outcome)
            if not is_better:
                history = state.fallback.history
                failed = record(history, evaluation, 0, accepted=False)
                return replace(state.fallback, history=(*history, failed))
            state = state.restarted()
        after = self.advance(state, evaluation)
        emptied = np.flatnonzero(evaluation.updated.weights < self.smallest_weight)
        if not len(emptied) or not self._may_try(after):
            return after
        parameters = self.reseed(evaluation.updated, emptied)
        if parameters is None:
            return after
        return replace(after, parameters=parameters, ending=None, fallback=after)

    def _may_try(self, after: EM) -> bool:
        """Return whether a trial may follow this step; the pass before it must have been accepted."""
        trials = [each for each in after.history[1:] if each.inner_steps == 0]
        return (
            after.history[-1].accepted
            and len(trials) < RESEEDING.most_trials
            and all(trial.accepted for trial in trials)
            and after.n_iter <= self.max_iter - 2
        )
