"""Who leaves a race, and who stays."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.data.memory import MemorySource
from dgmm.fitting.loop import plain
from dgmm.fitting.loop.corrected import CorrectedEM
from dgmm.fitting.loop.history import PassRecord
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.loop.stopping import Ending, SmallChange, Stopping
from dgmm.fitting.pool import Candidate, Pool
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.race import RACE, Race, drop_losers, possible_gain, settled
from dgmm.model.criteria import CRITERIA, Scores
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from tests.model import naive


def passes(*log_likelihoods, predicted=np.inf):
    return tuple(PassRecord(each, predicted, 1, True, 0.0) for each in log_likelihoods)


def scores(log_likelihood, n_parameters, entropy=0.0, held_out=np.nan):
    return Scores(log_likelihood, entropy, held_out, 0.0, n_parameters, 1000.0)


def candidate(own, history, ending=None):
    parameters = naive.random_parameters(np.random.default_rng(0), "full", 2, 2)
    state = EM(0, parameters, history=history, ending=ending)
    return Candidate(FAMILIES["full"], 2, state, parameters, own, n_passes=len(history))


def test_what_a_model_may_gain():
    assert possible_gain(()) == np.inf
    assert possible_gain(passes(-3.0)) == np.inf
    assert possible_gain(passes(-3.0, -2.9)) == pytest.approx(0.1 * RACE.generous)
    assert possible_gain(passes(-3.0, -2.9, predicted=5.0)) == pytest.approx(5.0)  # promised in all
    assert possible_gain(passes(-3.0, -2.9, -2.82)) == pytest.approx(
        0.32 * RACE.generous
    )  # predicted by gains
    refused = PassRecord(-9.0, np.inf, 4, False, 0.0)
    assert possible_gain((*passes(-3.0, -2.9), refused)) == pytest.approx(0.1 * RACE.generous)


def test_nobody_leaves_while_a_re_seeding_may_gain():
    best = candidate(scores(-2.0, 5), passes(-2.1, -2.0))
    behind = candidate(scores(-3.0, 5), passes(-3.0005, -3.0))
    assert behind.state is not None
    trial = replace(behind, state=replace(behind.state, fallback=behind.state))
    start = PassRecord(-3.0, np.inf, 0, True, 0.0)
    accepted = candidate(scores(-3.0, 5), (*passes(-3.001), start))
    grown = candidate(scores(-3.0, 5), (start, *passes(-3.0)))
    after = drop_losers([best, behind, trial, accepted, grown], CRITERIA["bic"])
    assert [bool(each.dropped) for each in after] == [False, True, False, False, True]


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_only_those_leave_that_cannot_win(criterion):
    best = candidate(scores(-2.0, 5), passes(-2.1, -2.0))
    hopeless = candidate(scores(-3.0, 5), passes(-3.0005, -3.0))
    hopeful = candidate(scores(-3.0, 5), passes(-3.1, -3.0))
    undecided = candidate(scores(-2.01, 5, entropy=0.2), passes(-2.011, -2.01))
    new = candidate(scores(-9.0, 5), passes(-9.0))
    dear = candidate(scores(-1.999, 500), passes(-1.9995, -1.999))
    ended = candidate(scores(-3.0, 5), passes(-3.001, -3.0), Ending(True, "done"))
    after = drop_losers([best, hopeless, hopeful, undecided, new, dear, ended], CRITERIA[criterion])
    assert [bool(each.dropped) for each in after] == [False, True, False, False, False, True, False]
    assert after[1].message.startswith("Left after 2 passes: by")
    assert not after[1].is_running


def test_held_out_scores_decide_alone():
    best = candidate(scores(-2.0, 5, held_out=-2.5), passes(-2.1, -2.0))
    overfitted = candidate(scores(-1.0, 50, held_out=-3.0), passes(-1.0005, -1.0))
    near = candidate(scores(-2.0, 5, held_out=-2.51), passes(-2.001, -2.0))
    after = drop_losers([best, overfitted, near], CRITERIA["held-out"])
    assert [bool(each.dropped) for each in after] == [False, True, False]


def test_models_that_gain_much_go_on_with_others():
    """Passes are shared, and all models are compared; alone they would not be worth any."""
    best = candidate(scores(-2.0, 5), passes(-2.1, -2.0))
    far, slow = (candidate(scores(-9.0, 5), passes(-9.0 - gain, -9.0)) for gain in (5e-3, 5e-4))
    after = drop_losers([best, far, slow], CRITERIA["bic"])
    assert [bool(each.dropped) for each in after] == [False, False, True]
    ended = candidate(scores(-2.0, 5), passes(-2.1, -2.0), Ending(True, "done"))
    after = drop_losers([ended, far, slow], CRITERIA["bic"])
    assert [bool(each.dropped) for each in after] == [False, True, True]


@pytest.mark.parametrize("criterion", ["bic", None])
def test_models_that_will_hardly_win_take_hurried_steps(generator, criterion):
    """One component for two clusters: its last pass comes after the M-step alone, with exact figures."""
    rows = generator.normal(size=(1000, 2)) + np.repeat([[0.0, 0.0], [9.0, 0.0]], 500, axis=0)
    data = Data(MemorySource(rows), None, Moments.of(rows))
    means = {1: rows[:1], 2: rows[[0, -1]]}
    starts = [
        Parameters.from_covariances(
            FAMILIES["full"], np.full(k, 1 / k), means[k], np.stack([np.eye(2) * 21 ** (2 - k)] * k)
        )
        for k in (1, 2)
    ]
    (first,) = data.evaluate(starts[:1], Likelihood(1e-6))
    starts[0] = first.updated
    steps: dict[str, list[int]] = {"step": [], "hurried": []}

    def step(name: str):
        def take(state: EM, evaluation: Evaluation) -> EM:
            steps[name].append(evaluation.parameters.n_components)
            return plain.advance(state, evaluation, Stopping([SmallChange(0.0)], 6))

        return take

    candidates = [
        Candidate(FAMILIES["full"], k, plain.begin(k, each, 6))
        for k, each in zip((1, 2), starts, strict=True)
    ]
    chosen_by = None if criterion is None else CRITERIA[criterion]
    pool = Pool(data, Likelihood(1e-6), step("step"), 6)
    pool.run(candidates, Race(data, step("step"), step("hurried"), chosen_by))
    # Every pass tells, by a hurried step, who leaves; those that stay make the other.
    assert steps["hurried"] == ([1, 2, 1, 2, 2, 2, 2, 2] if criterion else [])
    assert steps["step"] == ([2] * 6 if criterion else [1, 2] * 6)
    assert bool(candidates[0].dropped) == bool(criterion)
    for each in candidates:
        assert each.scores is not None
        assert each.evaluated is not None
        expected = np.mean(naive.log_sums(naive.log_joint(each.evaluated, rows)))
        assert each.scores.log_likelihood == pytest.approx(expected, abs=1e-10)


def alone(gains, own_scores, n_steps=1) -> Candidate:
    """A model of two components of two features after passes with these gains: each has six parameters."""
    left = np.cumsum([0.0, *gains[::-1]])[::-1]
    history = passes(*(-2.0 - left))
    made = candidate(own_scores, tuple(replace(each, inner_steps=n_steps) for each in history))
    assert made.state is not None
    best = Evaluation(made.state.parameters, -2.0, made.state.parameters, NO_STATISTICS, 1.0)
    updated = naive.random_parameters(np.random.default_rng(1), "full", 2, 2)
    return replace(made, state=CorrectedEM(0, updated, -2.0, made.state.history, best=best))


NO_STATISTICS = Statistics(
    FAMILIES["full"], np.ones(2), np.zeros((2, 2)), np.zeros((2, 6)), np.zeros((2, 2)), -2000.0
)
N_ROWS = 1e6
BY_CHANCE = 0.5 * 6 / N_ROWS


@pytest.mark.parametrize(
    ("gains", "n_steps", "ends"),
    [
        ([9.0, 0.5, 0.4], 1, True),
        ([9.0, 0.7, 0.4], 1, False),
        ([9.0, 0.0, 1.1], 1, False),
        ([0.5], 1, False),  # not known before the third pass
        ([9.0, 0.9], 64, True),
        ([9.0, 1.1], 64, False),
        ([9.0, 0.9], 63, False),
        ([1.0, 0.9], 64, False),  # by Aitken's rule, eight times as much is left
        ([0.9], 64, False),
    ],
)
def test_the_last_ends_where_it_gains_less_than_chance_gives_a_component(gains, n_steps, ends):
    last = alone(BY_CHANCE * np.array(gains), scores(-2.0, 11), n_steps)
    gone = replace(candidate(scores(-3.0, 5), passes(-3.1, -3.0)), dropped="Left.")
    (_, after) = settled([gone, last], CRITERIA["bic"], N_ROWS)
    assert after.is_running != ends
    if ends:
        assert after.state is not None
        assert after.state.converged
        assert isinstance(last.state, CorrectedEM)
        assert last.state.best is not None
        assert after.state.parameters is last.state.best.parameters
        assert "no other model can be the best any more" in after.message


def test_nobody_ends_early_whose_place_is_open():
    """While another runs, where another that ended is better, and where a re-seeding is being tried."""
    last = alone([0.1, 1e-6, 1e-6, 1e-6], scores(-2.0, 11))
    for other in (
        candidate(scores(-3.0, 5), passes(-3.1, -3.0)),
        candidate(scores(-1.0, 5), passes(-1.1, -1.0), Ending(True, "done")),
    ):
        assert settled([other, last], CRITERIA["bic"], N_ROWS)[1] is last
    assert last.state is not None
    trial = replace(last, state=replace(last.state, fallback=last.state))
    assert settled([trial], CRITERIA["bic"], N_ROWS)[0] is trial
    assert not settled([last], CRITERIA["bic"], N_ROWS)[0].is_running
