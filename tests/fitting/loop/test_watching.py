"""Fits that somebody watches: the state machine on passes made by hand."""

from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import pytest

from dgmm.fitting.loop import corrected, plain
from dgmm.fitting.loop.plain import EM, Advance
from dgmm.fitting.loop.stopping import Stopping, rules_of
from dgmm.fitting.loop.watching import Watching, stopped
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

NOTHING = Statistics(
    FAMILIES["spherical"], np.ones(1), np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), 0.0
)


def mixture(mean: float) -> Parameters:
    return Parameters.from_covariances(FAMILIES["spherical"], np.ones(1), np.full((1, 1), mean), np.ones(1))


def found(state: EM, bound: float) -> Evaluation:
    """Say of a state's parameters that they have a bound, and that the M-step moves the mean by 1."""
    updated = mixture(state.parameters.means[0, 0] + 1.0)
    return Evaluation(state.parameters, bound, updated, NOTHING, 1.0, promised=0.1)


def refine(evaluation: Evaluation, n_steps: int) -> tuple[Parameters, int]:
    return mixture(evaluation.updated.means[0, 0] + 100.0), n_steps


def machine(algorithm: str) -> tuple[EM, Advance]:
    stopping = Stopping(rules_of(algorithm, 1e-6), 10)
    if algorithm == "em":
        return plain.begin(0, mixture(0.0), 10), partial(plain.advance, stopping=stopping)
    state = corrected.begin(plain.begin(0, mixture(0.0), 10))
    return state, cast(Advance, partial(corrected.advance, stopping=stopping, refine=refine))


@pytest.mark.parametrize("algorithm", ["em", "corrected"])
def test_what_is_shown_is_what_the_fit_gives_if_it_ends(algorithm):
    state, advance = machine(algorithm)
    shown = []
    watching = Watching(advance, lambda ended, _: shown.append(ended) or len(shown) == 2, Likelihood(0.0))
    first = watching(state, found(state, -2.0))
    assert first.ending is None
    second = watching(first, found(first, -1.0))
    assert second is shown[1]
    assert second.ending is not None
    assert (second.ending.at_wish, second.converged) == (True, False)
    assert "after 2 iterations" in second.ending.message
    # Plain EM ends after its M-step, corrected EM with the best that a pass has seen.
    means = [each.parameters.means[0, 0] for each in shown]
    assert means == ([1.0, 2.0] if algorithm == "em" else [0.0, 101.0])
    assert [each.lower_bound for each in shown] == [-2.0, -1.0]
    assert second.best is not None
    assert second.best.lower_bound == -1.0


def test_a_pass_that_lost_is_not_what_it_ends_with():
    state, advance = machine("corrected")
    first = advance(state, found(state, -2.0))
    lost = found(first, -3.0)
    ended = stopped(advance(first, lost), lost)
    assert (ended.lower_bound, ended.parameters.means[0, 0]) == (-2.0, 0.0)


def test_what_has_ended_stays_as_it_is():
    state, advance = machine("em")
    first = advance(state, found(state, -2.0))
    last = advance(first, evaluation := found(first, -2.0))
    assert last.converged
    assert stopped(last, evaluation) is last


def test_a_trial_that_no_pass_has_judged_is_left():
    state, advance = machine("em")
    first = advance(state, evaluation := found(state, -2.0))
    trying = replace(first, parameters=mixture(1000.0), fallback=first)
    ended = stopped(trying, evaluation)
    assert ended.parameters is first.parameters
    assert ended.ending is not None
    assert ended.ending.at_wish
