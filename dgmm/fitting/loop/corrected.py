"""Corrected EM, as a state machine: few passes, each followed by EM in memory. No data, no Dask.

The log-likelihood that a pass gives belongs to the parameters that went in. So every pass is also the test
of the M-steps that were made in memory before it: parameters are accepted only if all rows together are no
less likely, and after a loss the fit goes back to the best ones and makes fewer M-steps in memory. With one
M-step it is plain EM, which does not lose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, Self

from dgmm.fitting.loop.history import course, record
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.loop.stopping import Stopping
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.parameters import Parameters

FIRST_STEPS, MOST_STEPS = 8, 256
"""M-steps after the first pass, and the most after any."""

GROWTH, GROWTH_AFTER_LOSS = 2.0, 1.25
"""How M-steps grow after a gain: slowly where a pass has shown before that there can be too many."""


class Refine(Protocol):
    """Makes M-steps from a finished pass: the first on all rows, the others in memory."""

    def __call__(self, evaluation: Evaluation, n_steps: int, /) -> tuple[Parameters, int]:
        """Give the parameters after at most ``n_steps``, and how many were made, or stood for."""
        ...


def m_step_alone(evaluation: Evaluation, n_steps: int) -> tuple[Parameters, int]:
    """Make the M-step on all rows alone: with it, corrected EM is plain EM."""
    return evaluation.updated, min(n_steps, 1)


@dataclass(frozen=True, eq=False)
class CorrectedEM(EM):
    """The state of one fit by corrected EM.

    Attributes
    ----------
    parameters : Parameters
        What goes into the next pass; once ended, the best.
    lower_bound : float
        Log-likelihood of the best parameters, nats a row: it never falls.
    best : Evaluation or None
        The pass with the highest log-likelihood; None before the first.
    inner_steps : int
        M-steps that led from the best parameters to ``parameters``.
    """

    best: Evaluation | None = None
    inner_steps: int = 0

    def restarted(self) -> Self:
        """Take its parameters as a start."""
        return replace(super().restarted(), best=None, inner_steps=0)


def begin(state: EM) -> CorrectedEM:
    """Begin where a fit by EM would begin; the log-likelihood of a start is found by the first pass."""
    return CorrectedEM(state.initialization, state.parameters, ending=state.ending)


def advance(state: CorrectedEM, evaluation: Evaluation, stopping: Stopping, refine: Refine) -> CorrectedEM:
    """Take in a pass with the state's parameters."""
    best, gain = state.best, evaluation.lower_bound - state.lower_bound
    accepted = best is None or gain >= 0.0
    # A pass that gained less than one EM step would have gained made too many steps, as one that lost did.
    is_good = accepted and (best is None or gain >= best.promised_gain)
    if best is None or accepted:
        best = evaluation
    history = (*state.history, record(state.history, evaluation, state.inner_steps, accepted=accepted))
    advanced = replace(state, best=best, lower_bound=best.lower_bound, history=history)
    ending = stopping.ending(history, gain)
    if ending is not None:
        return replace(advanced, parameters=best.parameters, ending=ending)
    parameters, made = refine(best, _next_steps(advanced, is_good=is_good))
    return replace(advanced, parameters=parameters, inner_steps=made)


def _next_steps(state: CorrectedEM, *, is_good: bool) -> int:
    n_steps = state.inner_steps
    if not is_good:
        return max(1, n_steps // 4)
    if n_steps == 0:
        return FIRST_STEPS
    growth = GROWTH if all(record.accepted for record in course(state.history)) else GROWTH_AFTER_LOSS
    return min(MOST_STEPS, math.ceil(growth * n_steps))
