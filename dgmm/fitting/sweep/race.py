"""Many models in the same passes, until each has converged, failed, or can no longer be the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dgmm.fitting.loop.history import PassRecord, course, predict_gain
from dgmm.fitting.loop.plain import EM, Advance, failed
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.scores import scores_of
from dgmm.model.criteria import Criterion, Scores
from dgmm.model.families import Family
from dgmm.model.parameters import Parameters
from dgmm.passes.events import InitializationFinished, IterationFinished, emit

GENEROUS = 20.0
"""A model leaves if so many times its last gain, or the one that its gains predict, would not make it the
best, nor what all further M-steps promise. After its first pass so many times what one promises stands for
these."""


@dataclass(frozen=True, eq=False)
class Runner:
    """A model of a sweep, and how far it has come.

    Attributes
    ----------
    family : Family
    n_components : int
    state : EM or None
        None where it has not begun.
    evaluated : Parameters or None
        The best parameters that a pass has seen: what is returned.
    scores : Scores or None
        Theirs.
    rivals : tuple of Parameters
        Other starts, which share its first pass: the one goes on that all rows like best.
    n_passes : int
        Passes that it took part in.
    failure : str
        Why it cannot be fitted; empty if it can.
    dropped : str
        Why it left the race; empty if it did not.
    """

    family: Family
    n_components: int
    state: EM | None = None
    evaluated: Parameters | None = None
    scores: Scores | None = None
    rivals: tuple[Parameters, ...] = ()
    n_passes: int = 0
    failure: str = ""
    dropped: str = ""

    @property
    def message(self) -> str:
        """How it ended, or that it did not."""
        if self.failure or self.dropped:
            return self.failure or self.dropped
        if self.state is None or self.state.ending is None:
            return "Interrupted." if self.n_passes else "Not fitted."
        return self.state.ending.message

    @property
    def is_running(self) -> bool:
        """Whether it goes into the next pass."""
        return self.state is not None and self.state.ending is None and not (self.failure or self.dropped)


def race(
    data: Data,
    runners: list[Runner],
    advance: Advance,
    *,
    hurried: Advance,
    reg_covar: float,
    max_iter: int,
    criterion: Criterion | None,
) -> None:
    """Run models to their ends, all in the same passes.

    Parameters
    ----------
    data : Data
    runners : list of Runner
        Changed in place, pass by pass: what was reached is there after an interruption.
    advance : callable
        See `dgmm.fitting.loop.plain.Advance`.
    hurried : callable
        The same with no more work than an M-step, for models that will hardly win: they have one more pass.
    reg_covar : float
    max_iter : int
        The most passes of a model.
    criterion : Criterion or None
        Models that cannot be the best by it any more leave; None keeps them.
    """
    while running := [index for index, runner in enumerate(runners) if runner.is_running]:
        states, found = _evaluated(data, [runners[index] for index in running], reg_covar)
        scores = [None if isinstance(each, Exception) else scores_of(data, each) for each in found]
        hopeless = _hopeless(states, found, scores, criterion)
        leaving = list(runners)
        for index, state, evaluation, own in zip(running, states, found, scores, strict=True):
            leaving[index] = _advanced(runners[index], state, evaluation, own, hurried)
        if criterion is not None:
            leaving = drop_losers(leaving, criterion)
        for index, state, evaluation, own, is_hopeless in zip(
            running, states, found, scores, hopeless, strict=True
        ):
            if leaving[index].dropped or is_hopeless:
                runners[index] = leaving[index]
            else:  # work on the sample is for those alone that stay
                runners[index] = _advanced(runners[index], state, evaluation, own, advance)
            after = runners[index].state
            if after is not None and after is not state:
                change = after.lower_bound - state.lower_bound
                emit(IterationFinished(index, after.n_iter, max_iter, after.lower_bound, change))
                if after.ending is not None:
                    emit(InitializationFinished(index, after.lower_bound, after.converged))


def _evaluated(
    data: Data, runners: Sequence[Runner], reg_covar: float
) -> tuple[list[EM], list[Evaluation | Exception]]:
    """Make a pass with all models, and their rivals: give what it said of each, or of the likeliest rival."""
    states = [runner.state for runner in runners if runner.state is not None]
    entered = [
        (number, parameters)
        for number, (runner, state) in enumerate(zip(runners, states, strict=True))
        for parameters in (state.parameters, *(() if state.history else runner.rivals))
    ]
    evaluated = data.evaluate_each([parameters for _, parameters in entered], Likelihood(reg_covar))
    found: dict[int, Evaluation | Exception] = {}
    for (number, parameters), each in zip(entered, evaluated, strict=True):
        before = found.get(number)
        bar = before.lower_bound if isinstance(before, Evaluation) else -np.inf
        if before is None or (isinstance(each, Evaluation) and each.lower_bound > bar):
            found[number] = each
            states[number] = replace(states[number], parameters=parameters)
    return states, [found[number] for number in range(len(states))]


def _hopeless(
    states: Sequence[EM],
    found: Sequence[Evaluation | Exception],
    scores: Sequence[Scores | None],
    criterion: Criterion | None,
) -> list[bool]:
    """Tell which models will hardly win, after their first pass, which all of them share."""
    if criterion is None or any(state.history for state in states):
        return [False] * len(states)
    best = min((criterion.loss(own) for own in scores if own is not None), default=np.inf)
    return [
        own is not None
        and isinstance(evaluation, Evaluation)
        and _is_behind(own, GENEROUS * max(evaluation.promised_gain, 0.0), criterion, best)
        for own, evaluation in zip(scores, found, strict=True)
    ]


def _is_behind(scores: Scores, gain: float, criterion: Criterion, best: float) -> bool:
    """Tell whether a model would still not be the best with so many nats a row more."""
    return criterion.loss(scores.with_gain(gain)) > best


def _advanced(
    runner: Runner, state: EM, evaluation: Evaluation | Exception, scores: Scores | None, advance: Advance
) -> Runner:
    """Take in what a pass said of a model."""
    runner = replace(runner, n_passes=runner.n_passes + 1)
    if isinstance(evaluation, Exception):
        after = failed(state, evaluation)
        return replace(runner, state=after, failure=str(after.error or ""))
    after = advance(state, evaluation)
    if not after.history[-1].accepted:
        return replace(runner, state=after)
    return replace(runner, state=after, evaluated=evaluation.parameters, scores=scores)


def drop_losers(runners: Sequence[Runner], criterion: Criterion) -> list[Runner]:
    """Mark the models that cannot become the best any more, whatever they may reasonably gain.

    Parameters
    ----------
    runners : sequence of Runner
    criterion : Criterion
    """
    losses = [criterion.loss(runner.scores) for runner in runners if runner.scores and not runner.failure]
    if not losses:
        return list(runners)
    best = min(losses)
    return [_dropped(runner, criterion, best) if runner.is_running else runner for runner in runners]


def _dropped(runner: Runner, criterion: Criterion, best: float) -> Runner:
    assert runner.state is not None
    # What a re-seeding gains is not known before its first pass.
    gain = possible_gain(runner.state.history) if runner.state.fallback is None else float("inf")
    if runner.scores is None or not _is_behind(runner.scores, gain, criterion, best):
        return runner
    behind = criterion.loss(runner.scores) - best
    return replace(
        runner,
        dropped=f"Left after {runner.n_passes} passes: by {criterion.title} it is {behind:.6g} behind the "
        f"best, and would be behind with {gain:.2g} nats a row more.",
    )


def possible_gain(history: tuple[PassRecord, ...]) -> float:
    """Give more than a model is likely to gain still, nats a row; infinite before two accepted passes.

    A re-seeding is a start: passes are counted from the last.
    """
    accepted = [record for record in course(history) if record.accepted]
    if len(accepted) < 2:
        return float("inf")
    last = accepted[-1].log_likelihood - accepted[-2].log_likelihood
    by_gains, predicted = predict_gain(history), accepted[-1].predicted_gain
    most = GENEROUS * max(last, by_gains if by_gains < float("inf") else 0.0)
    return max(most, predicted if predicted < float("inf") else 0.0)
