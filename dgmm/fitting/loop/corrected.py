"""The state machine of corrected EM: few passes, each followed by EM in memory.

The log-likelihood that a pass gives belongs to the parameters that went in. So every pass is also the test
of the M-steps that were made in memory before it: parameters are accepted only if all rows together are no
less likely, and after a loss the fit goes back to the best ones and makes fewer M-steps in memory. With one
M-step it is plain EM, which does not lose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, Self

from dgmm.fitting.loop.history import record, since_start
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.loop.stopping import Stopping
from dgmm.fitting.loop.surplus import Plateaus
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class CorrectedTuning:
    """How many M-steps are made in memory after a pass, and when they end before that.

    What was tried is in docs/notes/2026-11-23-corrected-em.md, which counts the passes of whole fits on large
    data; half and double on small data are in docs/notes/2026-11-26-tuning.md: the same log-likelihoods, but
    by other passes.

    Attributes
    ----------
    first_steps : int
        After the first pass. 4, growing as 1.5 n + 1: one to two passes more. Double, on small data: 3.7
        more.
    most_steps : int
        After any pass. Half and double: the same on small data.
    growth : float
        Factor after a pass that gained. Half, which is no growth: 5.7 passes more. Double: as many.
    growth_after_loss : float
        The same where a pass has shown before that there can be too many. Half and double: as many passes.
    shrinking : int
        Divides the steps after a pass that lost, or gained less than one step had promised. Half: 6.7 passes
        more; double: as many.
    negligible : float
        Nats a row: an M-step that promises less has converged, and ends the steps. Half and double:
        the same passes.
    most_stirred : float
        An extrapolation is good if the M-step after it promises no more than so many times what the one
        before it did: it stirs up what EM damps fast, and that is gone two steps later. 2 and 30: the same
        passes.
    """

    first_steps: int = 8
    most_steps: int = 256
    growth: float = 2.0
    growth_after_loss: float = 1.25
    shrinking: int = 4
    negligible: float = 1e-12
    most_stirred: float = 5.0


CORRECTED = CorrectedTuning()


class Refine(Protocol):
    """Makes M-steps from a finished pass: the first on all rows, the others in memory."""

    def __call__(self, evaluation: Evaluation, n_steps: int, /) -> tuple[Parameters, int]:
        """Return the parameters after at most ``n_steps``, and how many were made, or stood for."""
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
    n_needed : int or None
        Whether fewer components are surplus may be asked: see `dgmm.fitting.loop.surplus`.
    """

    inner_steps: int = 0
    n_needed: int | None = None

    def restarted(self) -> Self:
        """Take its parameters as a start."""
        return replace(super().restarted(), best=None, inner_steps=0, n_needed=None)


def begin(state: EM) -> CorrectedEM:
    """Begin where a fit by EM would begin; the log-likelihood of a start is found by the first pass."""
    return CorrectedEM(state.initialization, state.parameters, ending=state.ending)


def advance(
    state: CorrectedEM,
    evaluation: Evaluation,
    stopping: Stopping,
    refine: Refine,
    plateaus: Plateaus | None = None,
) -> CorrectedEM:
    """Take in a pass with the state's parameters; on a plateau the fit ends, where those are looked for."""
    best, gain = state.best, evaluation.lower_bound - state.lower_bound
    accepted = best is None or gain >= 0.0
    # A pass that gained less than one EM step would have gained made too many steps, as one that lost did.
    is_good = accepted and (best is None or gain >= best.promised_gain)
    if best is None or accepted:
        best = evaluation
    history = (*state.history, record(state.history, evaluation, state.inner_steps, accepted=accepted))
    advanced = replace(state, best=best, lower_bound=best.lower_bound, history=history)
    ending = stopping.ending(history, gain)
    if ending is None and plateaus is not None:
        n_needed = best.parameters.n_components if state.n_needed is None else state.n_needed
        ending, n_needed = plateaus.ending(history, best.parameters, n_needed)
        advanced = replace(advanced, n_needed=n_needed)
    if ending is not None:
        return replace(advanced, parameters=best.parameters, ending=ending)
    parameters, made = refine(best, _next_steps(advanced, is_good=is_good))
    return replace(advanced, parameters=parameters, inner_steps=made)


def _next_steps(state: CorrectedEM, *, is_good: bool) -> int:
    n_steps = state.inner_steps
    if not is_good:
        return max(1, n_steps // CORRECTED.shrinking)
    if n_steps == 0:
        return CORRECTED.first_steps
    has_lost = not all(record.accepted for record in since_start(state.history))
    growth = CORRECTED.growth_after_loss if has_lost else CORRECTED.growth
    return min(CORRECTED.most_steps, math.ceil(growth * n_steps))
