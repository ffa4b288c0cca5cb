"""When fits end, by passes made by hand; and a rule of one's own, which both algorithms take."""

from dataclasses import dataclass

import numpy as np
import pytest

from dgmm.fitting.loop import corrected, plain
from dgmm.fitting.loop.corrected import m_step_alone
from dgmm.fitting.loop.history import PassRecord
from dgmm.fitting.loop.stopping import NothingGained, SmallChange, SmallPredictions, Stopping, rules_of
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

NOTHING = Statistics(
    FAMILIES["spherical"], np.ones(1), np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), 0.0
)


def passed(predicted, *, accepted=True, inner_steps=4) -> PassRecord:
    return PassRecord(-1.0, predicted, inner_steps, accepted, 1.0)


START = passed(np.inf, inner_steps=0)


def test_a_change_is_small_below_tol_in_either_direction():
    rule = SmallChange(0.1)
    assert [rule.reached((START,), gain) is not None for gain in (0.11, 0.1, 0.09, -0.09, -0.11)] == [
        False,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("last", "gain", "is_over"),
    [
        (passed(1e-3), 1.0, True),
        (passed(0.2), 1.0, False),
        (passed(1e-3, accepted=False), -1e-2, True),  # lost next to nothing
        (passed(1e-3, accepted=False), -1.0, False),
    ],
)
def test_two_small_predictions_end_a_fit(last, gain, is_over):
    rule = SmallPredictions(0.1)
    assert (rule.reached((START, passed(0.05), last), gain) is not None) == is_over
    assert rule.reached((START, passed(0.5), last), gain) is None
    assert rule.reached((last,), gain) is None


def test_a_gain_that_is_not_known_is_said_in_words():
    rule = SmallPredictions(1e-6)
    assert rule.missing((START,), np.inf) == "it is not known yet what further iterations gain"
    assert "0.5 nats a row" in rule.missing((START, passed(0.5)), 0.1)


def test_a_single_step_that_lost_ends_a_fit():
    rule = NothingGained()
    assert rule.reached((START, passed(1.0, accepted=False, inner_steps=1)), -1.0)
    assert rule.reached((START, passed(1.0, accepted=False, inner_steps=2)), -1.0) is None
    assert rule.reached((START, passed(1.0, inner_steps=1)), 1.0) is None


@pytest.mark.parametrize("algorithm", ["em", "corrected"])
def test_the_last_pass_says_what_is_missing(algorithm):
    stopping = Stopping(rules_of(algorithm, 1e-6), 2)
    assert stopping.ending((START,), np.inf) is None
    ending = stopping.ending((START, passed(0.125)), 0.125)
    assert ending is not None
    assert not ending.converged
    assert ending.message.startswith("Not converged after max_iter=2 ")
    assert ending.message.endswith("0.125 nats a row, not less than tol=1e-06.")


@pytest.mark.parametrize(("rate", "tol"), [(0.5, 1e-3), (0.9, 1e-6), (0.1, 1e-2)])
def test_passes_left_are_right_where_figures_fall_by_the_same_factor(rate, tol):
    """Changes of plain EM, predictions of corrected EM: each rule says when it will be reached."""
    bounds = np.cumsum(rate ** np.arange(200.0))
    history = tuple(
        PassRecord(bound, rate**n, min(n, 1), accepted=True, seconds=1.0) for n, bound in enumerate(bounds)
    )
    for rule in (SmallChange(tol), SmallPredictions(tol)):
        stopping = Stopping((rule,), 1000)
        gains = np.diff(bounds, prepend=-np.inf)
        ends = next(n for n in range(1, 200) if stopping.ending(history[:n], gains[n - 1]))
        for n in range(3, ends):
            assert stopping.passes_left(history[:n]) == pytest.approx(ends - n, abs=1)
        assert Stopping((rule,), 5).passes_left(history[:4]) <= 1


def test_passes_left_are_those_allowed_where_nothing_is_known():
    start, stuck = (START,), (START, passed(1.0), passed(1.0))
    for rules in (rules_of("em", 1e-3), rules_of("corrected", 1e-3), (NothingGained(),)):
        assert Stopping(rules, 10).passes_left(start) == 9
    assert Stopping(rules_of("corrected", 1e-3), 10).passes_left(stuck) == 7
    assert Stopping(rules_of("em", 0.0), 3).passes_left(stuck) == 0


@dataclass(frozen=True)
class SmallRelativeChange:
    """As in other programs: the lower bound changes by a small share of itself."""

    share: float

    def reached(self, history, gain):
        last = history[-1].log_likelihood
        return f"a change of {gain / abs(last):.2g}" if abs(gain) < self.share * abs(last) else None

    def missing(self, history, gain):
        return f"passes it changes by {gain / abs(history[-1].log_likelihood):.2g} of itself"


@pytest.mark.parametrize("algorithm", ["em", "corrected"])
@pytest.mark.parametrize(("max_iter", "n_iter", "converged"), [(9, 3, True), (2, 2, False)])
def test_a_rule_of_ones_own_needs_no_other_file(algorithm, max_iter, n_iter, converged):
    """Bounds of −100, −50, −49.9, …: the third changes by 0.2 % of itself."""
    stopping = Stopping([SmallRelativeChange(0.01)], max_iter)
    mixture = Parameters.from_covariances(FAMILIES["spherical"], np.ones(1), np.zeros((1, 1)), np.ones(1))
    state = plain.begin(0, mixture, max_iter)
    if algorithm == "corrected":
        state = corrected.begin(state)
    for bound in (-100.0, -50.0, -49.9, -49.89):
        if state.ending is not None:
            break
        evaluation = Evaluation(state.parameters, bound, mixture, NOTHING, 1.0)
        if isinstance(state, corrected.CorrectedEM):
            state = corrected.advance(state, evaluation, stopping, m_step_alone)
        else:
            state = plain.advance(state, evaluation, stopping)
    assert (state.n_iter, state.converged) == (n_iter, converged)
    assert state.ending is not None
    assert ("of itself" in state.ending.message) != converged
