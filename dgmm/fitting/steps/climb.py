"""EM on rows in memory: one run, or several that compete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dgmm.fitting.steps.accelerated import Extrapolation, StepRule, Steps
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.objective import Objective
from dgmm.model.extrapolation import extrapolated
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics


@dataclass(frozen=True)
class ClimbTuning:
    """How climbs are compared.

    At half and double no log-likelihood fell by 1e-4 nats a row (docs/notes/2026-11-26-tuning.md).

    Attributes
    ----------
    same : float
        Nats a row: mixtures whose log-likelihoods differ by less are the same, and steps of less are none.
    short_steps : int
        EM steps of mixtures that are only to be compared.
    """

    same: float = 1e-4
    short_steps: int = 15


CLIMBS = ClimbTuning()


@dataclass(frozen=True, eq=False)
class Climb:
    """Where EM came to on rows in memory.

    Attributes
    ----------
    parameters : Parameters
    lower_bound : float
        What the objective says of these very parameters, nats a row.
    n_steps : int
        M-steps made, or stood for by extrapolations.
    n_evaluations : int
        Of the work that led there, where that is counted: see `dgmm.fitting.steps.in_memory.WorkDone`.
    """

    parameters: Parameters
    lower_bound: float
    n_steps: int
    n_evaluations: int = 0

    @classmethod
    def of(cls, steps: Steps[Evaluation]) -> Climb:
        """Return where steps have come to."""
        return cls(steps.reached.parameters, steps.reached.lower_bound, steps.n_made)


def log_likelihood(data: Data, parameters: Parameters) -> float:
    """Return the mean log density of the rows under a mixture, nats a row: an E-step without an M-step."""
    (statistics,), _, _ = data.expect([parameters])
    return statistics.log_likelihood / data.moments.weight


@dataclass(frozen=True, eq=False)
class Upwards(StepRule[Evaluation]):
    """Steps end where the lower bound gains little; extrapolations that do not climb are taken back."""

    data: Data
    objective: Objective
    tol: float

    def gain(self, before: Evaluation, after: Evaluation) -> float:
        """Return the gain of the lower bound."""
        return after.lower_bound - before.lower_bound

    def extrapolated(self, path: Sequence[Statistics], longest: float) -> Extrapolation | None:
        """Extrapolate where all sums are about the same points."""
        first, *others = path
        if any(not np.array_equal(first.references, each.references) for each in others):
            return None
        found = extrapolated(path, self.objective.reg_covar, longest)
        if found is None:
            return None
        far, length = found
        start = self.objective.update_unless_cancelled(far, self.data.moments, np.inf)
        return None if start is None else Extrapolation(far, start, length)

    def accepts(self, before: Evaluation, landed: Evaluation) -> bool:
        """Return whether the lower bound is no lower."""
        return landed.lower_bound >= before.lower_bound

    def last(self, before: Evaluation, after: Evaluation) -> Evaluation:
        """Return the higher one."""
        return max(before, after, key=lambda each: each.lower_bound)


def climb(
    data: Data,
    parameters: Parameters,
    objective: Objective,
    n_steps: int,
    tol: float = 0.0,
    *,
    goal: float = np.inf,
) -> Climb:
    """Make EM steps until one gains less than ``tol`` nats a row, or ``n_steps`` are made.

    With a goal, nats a row, they also end where the lower bound has reached it, or where as much as the last
    gain in all the steps that are left would not reach it.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    rule = Upwards(data, objective, tol)
    (evaluation,) = data.evaluate([parameters], objective)
    steps = Steps(evaluation, n_steps, (evaluation.statistics,))
    while steps.reached.lower_bound < goal and not steps.has_ended:
        if goal < np.inf and _hope(steps) < goal:
            break
        (found,) = data.evaluate_each([steps.to_evaluate], objective)
        if isinstance(found, Exception):
            if steps.trial is None:
                raise found
            found = None
        steps = steps.after(found, rule)
    return Climb.of(steps)


def short_climb(data: Data, parameters: Parameters, objective: Objective) -> Climb:
    """Climb as far as tells how good a start is: see `ClimbTuning`; raises as `climb` does."""
    return climb(data, parameters, objective, CLIMBS.short_steps, CLIMBS.same)


def best_distinct(climbs: Iterable[Climb | None], n_wanted: int, same: float | None = None) -> list[Climb]:
    """Return those with the highest lower bounds, one of each that are the ``same``; None is left out."""
    same = CLIMBS.same if same is None else same
    kept: list[Climb] = []
    for each in sorted((each for each in climbs if each is not None), key=lambda each: -each.lower_bound):
        if not kept or kept[-1].lower_bound - each.lower_bound > same:
            kept.append(each)
    return kept[:n_wanted]


def contest(
    data: Data,
    starts: Sequence[Parameters],
    objective: Objective,
    n_steps: int,
    tol: float,
    *,
    n_wanted: int,
) -> list[Climb]:
    """Climb from several starts side by side, and give those that came to their ends.

    They leave before that where a covariance is not positive definite, or where as much as the last gain in
    all the steps that are left would not bring them among the ``n_wanted`` best.

    Parameters
    ----------
    data : Data
    starts : sequence of Parameters
    objective : Objective
    n_steps : int
        EM steps at the most, at least one.
    tol : float
        A climb ends where a step gains less, nats a row.
    n_wanted : int
    """
    rule = Upwards(data, objective, tol)
    begun = data.evaluate_each(starts, objective) if starts else []
    climbing = [Steps(each, n_steps, (each.statistics,)) for each in begun if isinstance(each, Evaluation)]
    ended: list[Steps[Evaluation]] = []
    while climbing:
        evaluated = data.evaluate_each([steps.to_evaluate for steps in climbing], objective)
        after = [
            steps.after(found if isinstance(found, Evaluation) else None, rule)
            for steps, found in zip(climbing, evaluated, strict=True)
            if steps.trial is not None or isinstance(found, Evaluation)
        ]
        reached = sorted(steps.reached.lower_bound for steps in [*ended, *after])
        ended += [steps for steps in after if steps.has_ended]
        bar = reached[-n_wanted] if len(reached) >= n_wanted else -np.inf
        climbing = [steps for steps in after if not steps.has_ended and _hope(steps) >= bar]
    return [Climb.of(steps) for steps in ended]


def _hope(steps: Steps[Evaluation]) -> float:
    """Return what is reached if all steps that are left gain as much as the last, nats a row."""
    return steps.reached.lower_bound + steps.left * steps.gain
