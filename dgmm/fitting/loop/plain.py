"""The state machine of EM: a finished E-step in, the next state out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dgmm.fitting.loop.history import PassRecord, record
from dgmm.fitting.loop.stopping import Ending, Stopping
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.parameters import Parameters


@dataclass(frozen=True, eq=False)
class EM:
    """The state of one fit.

    Attributes
    ----------
    initialization : int
        Which start it came from.
    parameters : Parameters
        After the last M-step.
    lower_bound : float
        Log-likelihood of the parameters that went into the last E-step, nats a row; −inf before it.
    history : tuple of PassRecord
        Of every E-step so far.
    ending : Ending or None
        None while it goes on.
    fallback : EM or None
        Where the fit goes on if the next pass says that ``parameters``, which were re-seeded, lose: see
        `dgmm.fitting.loop.reseeding`.
    best : Evaluation or None
        The pass that ``parameters`` come from; None before the first.
    """

    initialization: int
    parameters: Parameters
    lower_bound: float = -np.inf
    history: tuple[PassRecord, ...] = ()
    ending: Ending | None = None
    fallback: EM | None = None
    best: Evaluation | None = None

    @property
    def lower_bounds(self) -> tuple[float, ...]:
        """Log-likelihoods of what went into every E-step so far, nats a row."""
        return tuple(record.log_likelihood for record in self.history)

    @property
    def n_iter(self) -> int:
        """Number of E-steps over all rows."""
        return len(self.history)

    @property
    def converged(self) -> bool:
        """Whether it ended because it converged."""
        return self.ending is not None and self.ending.converged

    @property
    def error(self) -> Exception | None:
        """Why it could not go on, if it could not."""
        return None if self.ending is None else self.ending.error

    def restarted(self) -> Self:
        """Take its parameters as a start: what they have is found by the next pass."""
        return replace(self, lower_bound=-np.inf, ending=None, fallback=None)


Advance = Callable[[EM, Evaluation], EM]
"""Takes a state and what a pass said of its parameters to the next state."""


def begin(initialization: int, parameters: Parameters, max_iter: int, lower_bound: float = -np.inf) -> EM:
    """Begin a fit; it ends at once where no iteration is allowed."""
    if max_iter > 0:
        return EM(initialization, parameters, lower_bound)
    # A start's weights are shares of all rows, most of which may have no component yet.
    proportions = parameters.weights / parameters.weights.sum()
    ending = Ending(converged=False, message="No iterations were asked for.")
    return EM(initialization, replace(parameters, weights=proportions), ending=ending)


def advance(state: EM, evaluation: Evaluation, stopping: Stopping) -> EM:
    """Take in an E-step of the state's parameters."""
    gain = evaluation.lower_bound - state.lower_bound
    is_start = state.n_iter == 0 or state.lower_bound == -np.inf
    history = (*state.history, record(state.history, evaluation, 0 if is_start else 1, accepted=True))
    ending = stopping.ending(history, gain)
    return replace(
        state,
        parameters=evaluation.updated,
        lower_bound=evaluation.lower_bound,
        history=history,
        ending=ending,
        best=None if ending is None else evaluation,  # nothing asks before, and it may be large
    )


def failed(state: EM, error: Exception) -> EM:
    """Take in that a pass with the state's parameters gave no M-step: the fit ends there.

    Where they were re-seeded, it goes on as though that had not been tried.
    """
    if state.fallback is None:
        return replace(state, ending=Ending(converged=False, message=str(error), error=error))
    lost = PassRecord(-np.inf, np.inf, 0, accepted=False, seconds=np.nan)
    return replace(state.fallback, history=(*state.fallback.history, lost))
