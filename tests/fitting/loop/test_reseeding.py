"""Re-seeding of emptied components: the state machine on passes made by hand, then fits."""

import logging
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import GaussianMixture, GaussianMixtureSweep, MixtureWarning
from dgmm.data.memory import MemorySource
from dgmm.estimators.sweep_settings import settings_of
from dgmm.fitting.loop import corrected, plain
from dgmm.fitting.loop.corrected import CorrectedEM
from dgmm.fitting.loop.history import since_start
from dgmm.fitting.loop.plain import EM, Advance
from dgmm.fitting.loop.reseeding import RESEEDING, Reseeding
from dgmm.fitting.loop.stopping import Stopping, rules_of
from dgmm.fitting.multistart import Multistart
from dgmm.fitting.pool import Candidate
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.survey import survey
from dgmm.fitting.sweep.race import Race
from dgmm.model.criteria import CRITERIA
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics
from tests.model import naive

NOTHING = Statistics(
    FAMILIES["spherical"], np.ones(2), np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 1)), 0.0
)
ALGORITHMS = ["em", "corrected"]
TRIAL = 1000.0
"""Means of mixtures that were re-seeded; those of an M-step are numbers of passes."""


def mixture(mean: float, second_weight: float = 0.5) -> Parameters:
    weights = np.array([1.0 - second_weight, second_weight])
    return Parameters.from_covariances(FAMILIES["spherical"], weights, np.full((2, 1), mean), np.ones(2))


def machine(algorithm, max_iter, tol, found=True) -> tuple[EM, Advance, Reseeding, list]:
    """Return a first state, a step without re-seeding, and one with it, which fills a list of trials."""
    stopping = Stopping(rules_of(algorithm, tol), max_iter)
    tried: list[tuple[float, list[int]]] = []

    def refine(evaluation: Evaluation, n_steps: int) -> tuple[Parameters, int]:
        return evaluation.updated, n_steps

    def reseed(parameters: Parameters, emptied) -> Parameters | None:
        tried.append((float(parameters.means[0, 0]), emptied.tolist()))
        return mixture(TRIAL + parameters.means[0, 0]) if found else None

    state = plain.begin(0, mixture(0.0), max_iter)
    without: Advance = partial(plain.advance, stopping=stopping)
    if algorithm == "corrected":
        state = corrected.begin(state)
        without = cast(Advance, partial(corrected.advance, stopping=stopping, refine=refine))
    return state, without, Reseeding(without, reseed, 0.1, max_iter), tried


def passed(state: EM, bound: float, number: int, *, is_empty: bool) -> Evaluation:
    updated = mixture(float(number), 0.01 if is_empty else 0.5)
    return Evaluation(state.parameters, bound, updated, NOTHING, 1.0, promised=0.0)


def run(algorithm, passes, *, max_iter=1000, tol=0.0, found=True):
    """Feed passes of a log-likelihood, and whether the M-step after it leaves a component empty."""
    state, _, step, tried = machine(algorithm, max_iter, tol, found)
    for number, (bound, is_empty) in enumerate(passes, 1):
        assert state.ending is None
        state = step(state, passed(state, bound, number, is_empty=is_empty))
    return state, tried


def mean(state: EM) -> float:
    return float(state.parameters.means[0, 0])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_component_is_tried_elsewhere_and_what_gains_is_a_start(algorithm):
    state, tried = run(algorithm, [(-5.0, False), (-4.0, True)])
    assert tried == [(2.0, [1])]
    assert mean(state) == TRIAL + 2.0
    assert state.lower_bound == -4.0
    state, tried = run(algorithm, [(-5.0, False), (-4.0, True), (-3.0, False)])
    assert len(tried) == 1
    assert mean(state) == 3.0
    assert state.fallback is None
    assert state.lower_bound == -3.0
    assert [each.inner_steps for each in state.history][2] == 0
    assert all(each.accepted for each in state.history)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_loses_is_forgotten_and_not_tried_again(algorithm):
    state, tried = run(algorithm, [(-5.0, True), (-5.1, False), (-4.0, True), (-3.0, True)])
    assert len(tried) == 1
    assert mean(state) == 4.0
    assert [each.accepted for each in state.history] == [True, False, True, True]
    assert state.lower_bound == -3.0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_likelihood_is_a_loss(algorithm):
    state, _ = run(algorithm, [(-5.0, True), (np.nan, False)])
    assert mean(state) == 1.0
    assert state.lower_bound == -5.0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_where_no_split_gains_the_fit_goes_on(algorithm):
    state, tried = run(algorithm, [(-5.0, True), (-4.0, False)], found=False)
    assert len(tried) == 1
    assert mean(state) == 2.0
    assert state.fallback is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_fit_that_has_converged_tries_first_and_ends_as_it_was_if_that_loses(algorithm):
    passes = [(-5.0, False), (-4.0, False), (-3.995, True)]
    if algorithm == "corrected":
        passes[2:] = [(-3.9, False), (-3.899, False), (-3.8989, True)]
    state, _ = run(algorithm, passes, tol=0.01)
    assert state.ending is None
    assert state.fallback is not None
    assert state.fallback.converged
    after, _ = run(algorithm, [*passes, (-9.0, False)], tol=0.01)
    assert after.converged
    assert mean(after) == mean(state.fallback)
    assert after.lower_bound == state.lower_bound
    after, _ = run(algorithm, [*passes, (-3.0, False)], tol=0.01)
    assert after.ending is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_trial_leaves_a_pass_for_the_fit(algorithm):
    lost = [(-5.0, False), (-4.0, True), (-9.0, False), (-3.5, False)]
    assert len(run(algorithm, lost, max_iter=4)[1]) == 1
    ended, _ = run(algorithm, lost, max_iter=4)
    assert ended.ending is not None
    assert ended.ending.message.startswith("Not converged after max_iter=4")
    assert run(algorithm, lost[:2], max_iter=3)[1] == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_trials_are_few(algorithm):
    _, tried = run(algorithm, [(float(bound), True) for bound in range(4 * RESEEDING.most_trials)])
    assert len(tried) == RESEEDING.most_trials


def test_a_loss_of_too_many_steps_is_no_reason_to_try():
    state, tried = run("corrected", [(-5.0, False), (-6.0, True)])
    assert not state.history[-1].accepted
    assert tried == []


PASSES = st.lists(st.tuples(st.floats(-9.0, 9.0), st.booleans()), max_size=25)


@settings(deadline=None)
@given(PASSES, st.integers(1, 30))
def test_whatever_passes_say_corrected_em_never_loses(passes, max_iter):
    state, _, step, tried = machine("corrected", max_iter, 1e-3)
    for number, (bound, is_empty) in enumerate(passes, 1):
        if state.ending is not None:
            break
        before = state.lower_bound
        state = step(state, passed(state, bound, number, is_empty=is_empty))
        assert state.lower_bound >= before
    accepted = [each.log_likelihood for each in state.history if each.accepted]
    assert accepted == sorted(accepted)
    assert state.n_iter <= max_iter
    assert len(tried) <= RESEEDING.most_trials
    if state.ending is not None:
        assert state.fallback is None
        assert isinstance(state, CorrectedEM)
        assert state.best is not None
        assert state.best.lower_bound == max(state.lower_bounds)
        assert state.parameters is state.best.parameters


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(deadline=None)
@given(PASSES)
def test_trials_that_lose_leave_no_trace(algorithm, passes):
    """The fit is then the one that has never tried, of the other passes."""
    state, plainly, step, _ = machine(algorithm, 1000, 1e-3)
    without = state
    for number, (bound, is_empty) in enumerate(passes, 1):
        if state.ending is not None:
            break
        if state.fallback is not None:
            state = step(state, passed(state, state.lower_bound - 1.0, number, is_empty=is_empty))
        else:
            state = step(state, passed(state, bound, number, is_empty=is_empty))
            without = plainly(without, passed(without, bound, number, is_empty=is_empty))
        now = state if state.fallback is None else state.fallback
        assert mean(now) == mean(without)
        assert now.lower_bound == without.lower_bound
        assert now.ending == without.ending
        assert since_start(now.history) == since_start(without.history)


MEANS = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])
FAR = np.array([*MEANS[:3], [1e4, 1e4]])


def clusters(n_rows=6000):
    generator = np.random.default_rng(0)
    return MEANS[generator.integers(4, size=n_rows)] + generator.normal(size=(n_rows, 2))


def weights_of(kind, n_rows):
    generator = np.random.default_rng(1)
    match kind:
        case "small":
            return generator.exponential(size=n_rows) * 1e-5
        case "zeros":
            return (generator.random(n_rows) < 0.3).astype(float)
        case _:
            return None


def fit(rows, weights=None, means=FAR, **own):
    covariance_type = own.get("covariance_type", "full")
    precisions = np.asarray(naive.covariances_of(covariance_type, np.stack([np.eye(2)] * 4)))
    parameters = {
        "weights_init": np.full(4, 0.25),
        "means_init": means,
        "precisions_init": precisions,
        "tol": 1e-9,
        "max_iter": 200,
        "random_state": 0,
    }
    return GaussianMixture(4, **parameters | own).fit(rows, sample_weight=weights)


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize("weighted", ["", "small", "zeros"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_component_far_from_all_rows_comes_to_the_optimum(covariance_type, weighted, algorithm):
    rows = clusters()
    own = {"covariance_type": covariance_type, "weights": weights_of(weighted, len(rows))}
    best = fit(rows, means=MEANS, **own)
    found = fit(rows, algorithm=algorithm, sample_rows=1500, **own)
    reached, optimum = (each.score(rows, sample_weight=own["weights"]) for each in (found, best))
    assert reached == pytest.approx(optimum, abs=1e-6)
    assert found.history_["inner_steps"].count(0) == 2  # the start, and one re-seeding


def test_two_at_once_keep_their_numbers_and_the_log_tells(caplog):
    wide = np.array([1.0, 4.0])  # two pairs of clusters, far apart
    generator = np.random.default_rng(0)
    rows = MEANS[generator.integers(4, size=6000)] * wide + generator.normal(size=(6000, 2))
    start = MEANS * wide
    start[[0, 3]] = [[1e4, 1e4], [-1e4, 1e4]]
    with caplog.at_level(logging.INFO, logger="dgmm.fitting"):
        found = fit(rows, means=start, sample_rows=1500)
    assert found.lower_bound_ == pytest.approx(fit(rows, means=MEANS * wide).score(rows), abs=1e-6)
    # The pairs are those of the components whose rows they were.
    np.testing.assert_allclose(np.sort(found.means_[[0, 1, 2, 3], 1]), [0.0, 0.0, 32.0, 32.0], atol=0.2)
    assert found.means_[1, 1] < 1.0
    assert found.means_[2, 1] > 31.0
    said = [record.getMessage() for record in caplog.records]
    for component in (0, 3):
        assert any(each.startswith(f"Component {component} emptied: re-seeded by splitting") for each in said)
    assert any(each.endswith("nats a row: kept") for each in said)


def test_rows_in_memory_stay_as_scikit_learn_fits_them():
    rows = clusters(2000)
    with pytest.warns(MixtureWarning) as caught:
        found = fit(rows)
    assert any(str(each.message).startswith("component 3 has less than one row") for each in caught)
    assert found.history_["inner_steps"].count(0) == 1
    # Corrected steps are not scikit-learn's.
    assert fit(rows, algorithm="corrected").score(rows) > found.score(rows) + 0.1


def test_one_row_alone_is_no_cluster():
    rows = clusters()
    rows[7] = [60.0, 60.0]
    found = fit(rows, means=np.array([*MEANS[:3], rows[7]]), sample_rows=1500)
    assert found.weights_.min() > 0.2
    assert found.history_["inner_steps"].count(0) == 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_row_that_the_others_cannot_take_keeps_its_component(algorithm):
    """Its other place loses: the fit goes back, and ends as without the trial."""
    rows = clusters()
    rows[7] = [1e6, 1e6]
    with pytest.warns(MixtureWarning, match="component 3 collapsed"):
        found = fit(rows, means=np.array([*MEANS[:3], rows[7]]), sample_rows=1500, algorithm=algorithm)
    tried = np.array(found.history_["inner_steps"]) == 0
    assert np.array(found.history_["accepted"])[tried].tolist() == [True, False]
    np.testing.assert_allclose(found.means_[3], rows[7])
    assert found.converged_


def test_in_a_race_too():
    """From a start that a sweep would not find."""
    rows = clusters()
    model = GaussianMixtureSweep([4], covariance_type="full", sample_rows=1500, random_state=0)
    (wanted,) = settings_of(model, [("full", 4)], 2, len(rows), allow_changed_data=False).models
    source = MemorySource(rows)
    found = survey(source, 1500, 0, None)
    data = Data(source, None, found.moments)
    start = Parameters.from_covariances(FAMILIES["full"], np.full(4, 0.25), FAR, np.stack([np.eye(2)] * 4))
    for algorithm in ALGORITHMS:
        fits = Multistart(replace(wanted, algorithm=algorithm), data, found.sample, found.sample)
        candidates = [Candidate(FAMILIES["full"], 4, fits.begin(0, start))]
        fits.pool.run(candidates, Race(data, fits.advance, fits.hurried, CRITERIA["bic"]))
        assert candidates[0].scores is not None
        assert candidates[0].scores.log_likelihood == pytest.approx(
            fit(rows, means=MEANS).score(rows), abs=1e-4
        )
