"""From rows to a fitted mixture: survey, starts, EM."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from dgmm.data.memory import MemorySource
from dgmm.data.source import Source
from dgmm.fitting import corrected, loop
from dgmm.fitting.correction import CorrectedSteps
from dgmm.fitting.expectation import Data, Evaluation
from dgmm.fitting.loop import EM, StoppingRule
from dgmm.fitting.starts import Given, StartMethod, start
from dgmm.fitting.survey import survey
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

TOLERANCES = {"em": 1e-3, "corrected": 1e-6}
"""``tol="auto"``: scikit-learn's change of the lower bound, and a predicted remaining gain, nats a row."""

Step = Callable[[EM, Evaluation], EM]


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
        See `StoppingRule`; None for `TOLERANCES`.
    max_iter : int
    n_init : int
        Number of starts; the best is kept.
    sample_rows : int
        At most this many rows are gathered and fitted in memory; from more, a sample of this many is drawn
        to find starts, and for corrected EM.
    """

    method: StartMethod
    given: Given
    algorithm: str
    tol: float | None
    max_iter: int
    n_init: int
    sample_rows: int

    def algorithm_for(self, n_rows: int) -> str:
        """Give the algorithm for so many rows: ``em`` or ``corrected``."""
        if self.algorithm == "auto":
            return "em" if n_rows <= self.sample_rows else "corrected"
        return self.algorithm

    def rule_for(self, algorithm: str) -> StoppingRule:
        """Give the rule that an algorithm stops by."""
        return StoppingRule(TOLERANCES[algorithm] if self.tol is None else self.tol, self.max_iter)


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted mixture.

    Attributes
    ----------
    best : EM
        The fit with the highest lower bound, ended.
    n_passes : int
        Full passes over the data.
    """

    best: EM
    n_passes: int


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
    rule = settings.rule_for(algorithm)
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

        if algorithm == "em":
            step: Step = partial(loop.step, rule=rule)
        else:
            refine = CorrectedSteps(data, found.sample, settings.method.reg_covar)
            step = cast(Step, partial(corrected.step, rule=rule, refine=refine))

        def begun(initialization: int) -> EM:
            emit(InitializationStarted(initialization))
            if resumed is None:
                parameters = start(settings.method, settings.given, found.sample, data, random_state)
                began = loop.begin(initialization, parameters, rule)
            else:
                began = loop.begin(initialization, resumed.parameters, rule, resumed.lower_bound)
            return began if algorithm == "em" else corrected.begin(began)

        initializations = range(1 if resumed is not None else settings.n_init)
        if is_small:
            ended = [run(data, [begun(i)], settings, step)[0] for i in initializations]
        else:
            ended = run(data, [begun(i) for i in initializations], settings, step)
    best = _best(ended)
    if best.ending is not None:
        logger.info("%s", best.ending.message)
    return Fit(best, n_survey_passes if is_small else _count(passes))


def run(data: Data, states: list[EM], settings: Settings, step: Step) -> list[EM]:
    """Run fits to their end, all in the same passes."""
    while active := [index for index, state in enumerate(states) if state.ending is None]:
        models = [states[index].parameters for index in active]
        evaluations = data.expectation_maximization(models, settings.method.reg_covar)
        for index, evaluation in zip(active, evaluations, strict=True):
            before, states[index] = states[index], step(states[index], evaluation)
            _tell(before, states[index], settings.max_iter)
    return states


def _tell(before: EM, after: EM, max_iter: int) -> None:
    change = after.lower_bound - before.lower_bound
    emit(IterationFinished(after.initialization, after.n_iter, max_iter, after.lower_bound, change))
    if change < -1e-6:
        logger.warning(
            "the log-likelihood fell by %.3g nats a row in iteration %d: reg_covar is not small beside the "
            "narrowest component",
            -change,
            after.n_iter,
        )
    if after.ending is not None:
        emit(InitializationFinished(after.initialization, after.lower_bound, after.converged))


def _best(ended: list[EM]) -> EM:
    """The highest lower bound, the first of equals; the last start where no iteration was made."""
    if not any(state.n_iter for state in ended):
        return ended[-1]
    return max(ended, key=lambda state: state.lower_bound)


def _count(passes: Iterable[Event]) -> int:
    return sum(isinstance(event, PassFinished) for event in passes)
