"""From rows to a fitted mixture: survey, starts, EM."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from dgmm.data.memory import MemorySource
from dgmm.data.source import Source
from dgmm.fitting import corrected, loop
from dgmm.fitting.bayesian_moves import GAIN, candidates, improve, rows_to_move_on
from dgmm.fitting.care import concerns
from dgmm.fitting.correction import CorrectedSteps
from dgmm.fitting.expectation import Data
from dgmm.fitting.loop import EM, StoppingRule
from dgmm.fitting.moves import reseeded
from dgmm.fitting.objective import Evidence, Goal, Likelihood, Objective
from dgmm.fitting.reseeding import FEWEST_ROWS, Reseeding, Step
from dgmm.fitting.search import search
from dgmm.fitting.starts import Given, StartMethod, start, with_given
from dgmm.fitting.survey import Sample, survey
from dgmm.model.parameters import Parameters
from dgmm.model.variational import Posterior
from dgmm.passes.events import (
    Event,
    InitializationFinished,
    InitializationStarted,
    IterationFinished,
    PassFinished,
    emit,
    listening,
)

logger = logging.getLogger(__name__)

SAMPLE_ROWS = 250_000
SAMPLE_BYTES = 2**28

MOVE_PASSES = 3
"""Passes after which a move of components must have gained."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What to fit, and how.

    Attributes
    ----------
    method : StartMethod
        The mixture's covariance type and number of components, and how a start is found.
    given : Given
    algorithm : str
        ``em``, ``corrected`` (EM), or ``auto``: corrected with more than ``sample_rows`` rows.
    tol : float or None
        See `StoppingRule` and `Goal.tolerance`; None for the default.
    max_iter : int
    n_init : int
        Number of starts; the best is kept.
    sample_rows : int
        At most this many rows are gathered and fitted in memory; from more, a sample of this many is drawn
        to find starts, and for corrected EM.
    goal : Goal
        What the fit climbs.
    moves : bool
        Whether components are moved too, as `dgmm.fitting.bayesian_moves` does; of variational Bayes only.
    """

    method: StartMethod
    given: Given
    algorithm: str
    tol: float | None
    max_iter: int
    n_init: int
    sample_rows: int
    goal: Goal
    moves: bool = False

    def algorithm_for(self, n_rows: int) -> str:
        """Give the algorithm for so many rows: ``em`` or ``corrected``."""
        if self.algorithm == "auto":
            return "em" if n_rows <= self.sample_rows else "corrected"
        return self.algorithm

    def method_for(self, n_rows: int) -> StartMethod:
        """Give the start method: ``auto`` searches where there are more rows than the sample."""
        if self.method.init_params != "auto":
            return self.method
        searches = n_rows > self.sample_rows and not self.given
        return replace(self.method, init_params="search" if searches else "kmeans")

    def rule_for(self, algorithm: str, weight: float) -> StoppingRule:
        """Give the rule that an algorithm stops by, on rows of this weight."""
        return StoppingRule(self.goal.tolerance(self.tol, algorithm, weight), self.max_iter)


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted mixture.

    Attributes
    ----------
    best : EM
        The fit with the highest lower bound, ended.
    n_passes : int
        Full passes over the data.
    objective : Objective
        What it climbed.
    concerns : tuple of str
        What a person should know of it: see `dgmm.fitting.care`.
    """

    best: EM
    n_passes: int
    objective: Objective
    concerns: tuple[str, ...] = ()


def default_sample_rows(n_features: int) -> int:
    """Rows that are fitted in memory by default: 250,000, less where they take more than 256 MiB."""
    return min(SAMPLE_ROWS, SAMPLE_BYTES // (8 * n_features))


def fit(
    source: Source,
    weights: Source | None,
    settings: Settings,
    random_state: np.random.RandomState,
    resumed: EM | None = None,
) -> Fit:
    """Fit a mixture.

    At most ``sample_rows`` rows are gathered, and every start is fitted in turn, as scikit-learn does it.
    With more rows the starts are found on a sample, and all of them are fitted in the same passes.

    Parameters
    ----------
    source : Source
    weights : Source or None
        Row weights.
    settings : Settings
    random_state : RandomState
    resumed : EM, optional
        A fit to go on with, instead of a start.
    """
    passes: list[Event] = []
    algorithm = settings.algorithm_for(source.n_rows)
    is_small = source.n_rows <= settings.sample_rows
    seed = 0 if is_small else int(random_state.randint(2**31 - 1))
    with listening(passes.append):
        found = survey(source, settings.sample_rows, seed, weights)
        n_survey_passes = _count(passes)
        if is_small:  # all rows are in the sample, in row order
            rows = found.sample.weights
            weights = None if rows is None else MemorySource(rows[:, None])
            source = MemorySource(found.sample.values, source.feature_names, source.name)
        data = Data(source, weights, found.moments)
        rule = settings.rule_for(algorithm, found.moments.weight)
        objective = settings.goal.objective(found.moments, algorithm)

        step = step_of(algorithm, data, found.sample, settings)

        def begun(initialization: int) -> list[EM]:
            """Begin from every mixture that a start offers."""
            emit(InitializationStarted(initialization))
            if resumed is not None:
                began = [loop.begin(initialization, resumed.parameters, rule, resumed.lower_bound)]
            else:
                offered = _starts(settings, found.sample, data, random_state, objective)
                if settings.moves and not is_small:
                    offered = [_improved(each, settings, found.sample, data) for each in offered]
                began = [loop.begin(initialization, parameters, rule) for parameters in offered]
            return began if algorithm == "em" else [corrected.begin(each) for each in began]

        initializations = range(1 if resumed is not None else settings.n_init)
        if is_small:
            ended = [run(data, [begun(i)], settings, step, objective)[0] for i in initializations]
        else:
            ended = run(data, [begun(i) for i in initializations], settings, step, objective)
        best = _best(ended)
        if settings.moves and rule.max_iter > 0:
            offered = [_improved(best.parameters, settings, found.sample, data)] if is_small else []
            best = _moved(best, offered, settings=settings, sample=found.sample, data=data, step=step)
    if best.ending is not None:
        logger.info("%s", best.ending.message)
    about: tuple[str, ...] = ()
    if isinstance(objective, Likelihood):  # variational Bayes empties components on purpose
        accepted = [record.log_likelihood for record in best.history if record.accepted]
        about = concerns(best.parameters, accepted, found.moments, objective.reg_covar, source.feature_names)
    return Fit(best, n_survey_passes if is_small else _count(passes), objective, about)


def step_of(algorithm: str, data: Data, sample: Sample, settings: Settings) -> Step:
    """Give what takes in a pass: a step of an algorithm, ``em`` or ``corrected``.

    Components that empty are re-seeded, but not by variational Bayes, which empties them on purpose, nor
    where the answer is to be scikit-learn's.
    """
    rule = settings.rule_for(algorithm, data.moments.weight)
    objective = settings.goal.objective(data.moments, algorithm)
    if algorithm == "em":
        step = partial(loop.step, rule=rule)
    else:
        refine = CorrectedSteps(data, sample, objective)
        step = cast(Step, partial(corrected.step, rule=rule, refine=refine))
    is_scikit_learns = algorithm == "em" and data.source.n_rows <= settings.sample_rows
    if is_scikit_learns or not isinstance(objective, Likelihood):
        return step
    reseed = partial(reseeded, sample=sample, reg_covar=objective.reg_covar)
    smallest_weight = FEWEST_ROWS * sample.row_weight / data.moments.weight
    return Reseeding(step, reseed, smallest_weight, rule.max_iter)


def _starts(
    settings: Settings,
    sample: Sample,
    data: Data,
    random_state: np.random.RandomState,
    objective: Objective,
) -> list[Parameters]:
    """Find what a fit may begin from: one start, or the candidates of a search."""
    method, given = settings.method_for(data.source.n_rows), settings.given
    if method.init_params == "search":
        candidates = search(method, sample, random_state)
        return [with_given(objective.adopt(found, data.moments.weight), given) for found in candidates]
    return [start(replace(method, objective=objective), given, sample, data, random_state)]


def _improved(start: Parameters, settings: Settings, sample: Sample, data: Data) -> Parameters:
    """Move components of a start as the sample, for itself, says."""
    rows = rows_to_move_on(sample)
    objective = cast(Evidence, settings.goal.objective(data.moments, "corrected"))
    own = replace(objective, weight=rows.moments.weight)
    found = improve(rows, own.adopt(start, own.weight), own)
    return objective.adopt(found, objective.weight)


def _moved(
    best: EM,
    offered: Sequence[Parameters],
    *,
    settings: Settings,
    sample: Sample,
    data: Data,
    step: Step,
) -> EM:
    """Move components as long as the lower bound of all rows rises: the moves of a round share its passes.

    ``offered`` are the moves of the first round, or none.
    """
    algorithm = settings.algorithm_for(data.source.n_rows)
    objective = cast(Evidence, settings.goal.objective(data.moments, algorithm))
    rule, rows = settings.rule_for(algorithm, objective.weight), rows_to_move_on(sample)
    while True:
        offered = offered or list(candidates(cast(Posterior, best.parameters), objective, rows))
        tried = [loop.begin(best.initialization, each, rule) for each in offered]
        if algorithm == "corrected":
            tried = [cast(EM, corrected.begin(each)) for each in tried]
        for _ in range(MOVE_PASSES):
            tried = _pass_over(data, tried, settings, step, objective)
        winner = max(tried, key=_lower_bound, default=best)
        if winner.lower_bound <= best.lower_bound + GAIN / objective.weight:
            return best
        (winner,) = run(data, [[winner]], settings, step, objective)
        history = [
            replace(each, accepted=each.accepted and each.log_likelihood >= best.lower_bound)
            for each in winner.history
        ]
        best, offered = replace(winner, history=(*best.history, *history)), ()


def run(
    data: Data, offered: list[list[EM]], settings: Settings, step: Step, objective: Objective
) -> list[EM]:
    """Run fits to their end, all in the same passes.

    Parameters
    ----------
    data : Data
    offered : list of list of EM
        What each fit may begin from: the first pass tells which is the best.
    settings : Settings
    step : callable
    objective : Objective
    """
    states = [state for candidates in offered for state in candidates]
    if len(states) > len(offered):
        after = iter(_pass_over(data, states, settings, step, objective))
        states = [max([next(after) for _ in candidates], key=_lower_bound) for candidates in offered]
    while any(state.ending is None for state in states):
        states = _pass_over(data, states, settings, step, objective)
    return states


def _pass_over(
    data: Data, states: list[EM], settings: Settings, step: Step, objective: Objective
) -> list[EM]:
    """Make one pass for all the fits that have not ended."""
    models = [state.parameters for state in states if state.ending is None]
    evaluations = iter(data.climb(models, objective) if models else ())
    after = [state if state.ending is not None else step(state, next(evaluations)) for state in states]
    for old, new in zip(states, after, strict=True):
        if new is not old:
            _tell(old, new, settings.max_iter, objective.bound_name)
    return after


def _tell(before: EM, after: EM, max_iter: int, name: str = "log-likelihood") -> None:
    change = after.lower_bound - before.lower_bound
    emit(IterationFinished(after.initialization, after.n_iter, max_iter, after.lower_bound, change, name))
    if after.ending is not None:
        emit(InitializationFinished(after.initialization, after.lower_bound, after.converged))


def _best(ended: list[EM]) -> EM:
    """The highest lower bound, the first of equals; the last start where no iteration was made."""
    if not any(state.n_iter for state in ended):
        return ended[-1]
    return max(ended, key=_lower_bound)


def _lower_bound(state: EM) -> float:
    return state.lower_bound


def _count(passes: Iterable[Event]) -> int:
    return sum(isinstance(event, PassFinished) for event in passes)
