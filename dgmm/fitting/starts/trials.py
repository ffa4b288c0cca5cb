"""Proposed mixtures tried in turn, until one gains."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from dgmm.fitting.steps.climb import Climb, climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Objective
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class TrialTuning:
    """How long a proposal is tried.

    Attributes
    ----------
    n_steps, tol : int, float
        EM steps at first, and the gain that ends them, nats a row.
    n_more, more_tol : int, float
        EM steps of a proposal that is not decided then, and the gain that ends them.
    hopeless : float
        Nats a row: a proposal that is worse by this after its first steps is given up, or before that, as
        soon as the last gain in all of them that are left would not do.
    is_enough : bool
        Whether a proposal that gains after its first steps is kept as it is.
    """

    n_steps: int
    tol: float
    n_more: int
    more_tol: float
    hopeless: float
    is_enough: bool


def first_that_gains(
    data: InMemory,
    before: Climb,
    proposals: Iterable[Parameters],
    objective: Objective,
    tuning: TrialTuning,
    *,
    gain: float,
) -> Climb | None:
    """Climb from each proposal until one is better than what was before; None if none is.

    Proposals that come to a covariance which is not positive definite are left out.

    Parameters
    ----------
    data : InMemory
    before : Climb
    proposals : iterable of Parameters
        Asked for one by one.
    objective : Objective
    tuning : TrialTuning
    gain : float
        That a proposal must exceed, nats a row.
    """
    least = before.lower_bound + gain
    for proposal in proposals:
        with suppress(DegenerateCovarianceError):
            bar = before.lower_bound - tuning.hopeless
            tried = hopeful_climb(data, proposal, objective, tuning.n_steps, tuning.tol, bar=bar)
            is_hopeless = tried.lower_bound <= bar
            if not is_hopeless and not (tuning.is_enough and tried.lower_bound > least):
                tried = climb(data, tried.parameters, objective, tuning.n_more, tuning.more_tol)
            if tried.lower_bound > least:
                return tried
    return None


def hopeful_climb(
    data: InMemory, parameters: Parameters, objective: Objective, n_steps: int, tol: float, *, bar: float
) -> Climb:
    """Climb, but no further where as much as the last gain in all the steps that are left stays below a bar.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
    objective : Objective
    n_steps, tol
        Of `climb`.
    bar : float
        Lower bound, nats a row.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    found = climb(data, parameters, objective, n_steps, tol, goal=bar)
    if found.lower_bound < bar or found.n_steps >= n_steps:
        return found
    more = climb(data, found.parameters, objective, n_steps - found.n_steps, tol)
    return replace(more, n_steps=found.n_steps + more.n_steps)
