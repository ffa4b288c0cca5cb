"""Fits that a callback watches and may end, around either state machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from dgmm.data.text import counted
from dgmm.fitting.loop.plain import EM, Advance
from dgmm.fitting.loop.stopping import Ending
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.fitting.steps.objective import Objective

Watch: TypeAlias = Callable[[EM, Objective], bool]
"""Takes a fit as it is if it ends after this pass, and what it climbs; tells whether it shall end."""


@dataclass(frozen=True, eq=False)
class Watching:
    """Steps of a fit, each of which is shown to whoever watches.

    Attributes
    ----------
    advance : callable
        The same without.
    watch : callable
        See `Watch`.
    objective : Objective
    """

    advance: Advance
    watch: Watch
    objective: Objective

    def __call__(self, state: EM, evaluation: Evaluation) -> EM:
        """Take in a pass with the state's parameters."""
        after = self.advance(state, evaluation)
        ended = stopped(after, evaluation)
        return ended if self.watch(ended, self.objective) else after


def stopped(state: EM, evaluation: Evaluation) -> EM:
    """Return a fit as it is if it ends after a pass, which is ``evaluation``, at the user's wish.

    Where it has ended, or tries what only the next pass would tell, that is what it is without.
    """
    if state.fallback is not None:
        return stopped(state.fallback, evaluation)
    if state.ending is not None:
        return state
    number = counted(state.n_iter, "iteration")
    ending = Ending(converged=False, message=f"Stopped by a callback after {number}.", at_wish=True)
    if state.best is not None:  # corrected EM has it, and goes back to it
        return replace(state, parameters=state.best.parameters, ending=ending)
    return replace(state, ending=ending, best=evaluation if state.history[-1].accepted else None)
