"""Corrected EM: its state machine on passes made by hand, and its steps on a sample."""

import numpy as np
import pytest

from dgmm.data import open_dataset
from dgmm.fitting.loop import corrected, corrected_steps, plain
from dgmm.fitting.loop.corrected import CORRECTED, CorrectedEM
from dgmm.fitting.loop.corrected_steps import CorrectedSteps
from dgmm.fitting.loop.history import PREDICTION, predict_gain
from dgmm.fitting.loop.stopping import Stopping, rules_of
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from tests.model import naive

NOTHING = Statistics(
    FAMILIES["spherical"], np.ones(1), np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), 0.0
)


def mixture(mean: float) -> Parameters:
    return Parameters.from_covariances(FAMILIES["spherical"], np.ones(1), np.full((1, 1), mean), np.ones(1))


def run(
    bounds, tol=0.0, max_iter=1000, limit=CORRECTED.most_steps, promised=0.0
) -> tuple[CorrectedEM, list[tuple[float, int]]]:
    """Feed passes with these log-likelihoods; give also what was asked of the steps in memory.

    An EM step promises a gain of ``promised``: it moves the mean by the root of twice that.
    """
    stopping, asked = Stopping(rules_of("corrected", tol), max_iter), []

    def refine(evaluation: Evaluation, n_steps: int) -> tuple[Parameters, int]:
        asked.append((evaluation.lower_bound, n_steps))
        return mixture(evaluation.lower_bound + n_steps / 1000), min(n_steps, limit)

    state = corrected.begin(plain.begin(0, mixture(0.0), max_iter))
    for bound in bounds:
        assert state.ending is None
        updated = mixture(state.parameters.means[0, 0] + np.sqrt(2.0 * promised))
        state = corrected.advance(
            state, Evaluation(state.parameters, bound, updated, NOTHING, 1.0), stopping, refine
        )
    return state, asked


def test_more_steps_while_the_likelihood_grows():
    state, asked = run(range(9))
    expected = [8, 16, 32, 64, 128, 256, 256, 256, 256]
    assert asked == list(zip(range(9), expected, strict=True))
    assert [each.inner_steps for each in state.history] == [0, *expected[:-1]]
    assert all(each.accepted for each in state.history)


def test_a_loss_goes_back_to_the_best_with_a_quarter_of_the_steps_and_then_they_grow_slowly():
    state, asked = run([-5.0, -4.0, -3.0, -6.0, -2.5, -2.0])
    assert asked == [(-5.0, 8), (-4.0, 16), (-3.0, 32), (-3.0, 8), (-2.5, 10), (-2.0, 13)]
    assert [each.accepted for each in state.history] == [True, True, True, False, True, True]
    assert state.lower_bound == -2.0
    assert state.lower_bounds == (-5.0, -4.0, -3.0, -6.0, -2.5, -2.0)
    assert state.parameters.means[0, 0] == -2.0 + 13 / 1000


def test_a_gain_less_than_one_step_promised_makes_fewer_steps_from_there():
    state, asked = run([-5.0, -4.0, -3.95], promised=0.1)
    assert asked == [(-5.0, 8), (-4.0, 16), (-3.95, 4)]
    assert all(each.accepted for each in state.history)
    assert state.history[-1].predicted_gain == pytest.approx(0.1 / (1.0 - PREDICTION.slowest))


def test_no_likelihood_is_a_loss():
    assert not run([-5.0, np.nan])[0].history[-1].accepted


def test_losses_end_in_plain_em_and_then_the_fit():
    state, asked = run([-3.0, -4.0, -4.0, -4.0])
    assert asked == [(-3.0, 8), (-3.0, 2), (-3.0, 1)]
    assert state.converged
    assert state.ending is not None
    assert state.ending.message == "Converged: an EM step from the best parameters gains nothing more."
    assert state.lower_bound == -3.0
    assert state.parameters.means[0, 0] == 0.0  # the start was the best


def test_steps_that_ended_early_count_as_made():
    assert [n for _, n in run([-3.0, -2.0, -1.0], limit=3)[1]] == [8, 6, 6]


def test_it_stops_at_two_small_predictions_with_the_best_parameters():
    gains = [1.0, 0.1, 0.01, 0.001]
    state, asked = run(np.cumsum([-3.0, *gains]), tol=0.005)
    assert [n for _, n in asked] == [8, 16, 32, 64]
    assert state.converged
    assert state.parameters.means[0, 0] == pytest.approx(asked[-1][0] + asked[-1][1] / 1000)
    assert state.lower_bound == state.lower_bounds[-1]
    assert state.ending is not None
    assert "further iterations are predicted to gain 0.000111 nats a row" in state.ending.message
    assert run(np.cumsum([-3.0, *gains[:-1]]), tol=0.005)[0].ending is None


@pytest.mark.parametrize("loss", [1e-3, 1.0])
def test_a_small_loss_confirms_a_small_prediction(loss):
    bounds = np.cumsum([-3.0, 1.0, 0.01, -loss])
    state, _ = run(bounds, tol=0.005)
    assert state.history[-2].predicted_gain < 0.005
    assert state.converged == (loss < 0.005)
    assert state.lower_bound == bounds[2]


def test_max_passes():
    state, _ = run([-3.0, -2.0, -4.0], max_iter=3)
    assert state.ending is not None
    assert not state.converged
    assert state.ending.message.startswith("Not converged: after max_iter=3 passes")
    assert state.lower_bound == -2.0
    ended = run([], max_iter=0)[0]
    assert ended.ending is not None
    assert not ended.converged
    np.testing.assert_array_equal(ended.parameters.means, mixture(0.0).means)


def test_slow_progress_goes_on_when_fast_progress_has_ended():
    """The gains of passes alone would predict 4e-8 nats a row; EM steps promise 5e-7 each, for long."""
    bounds = [-5.0, -4.0, -4.0 + 1e-4, -4.0 + 1.02e-4]
    state, _ = run(bounds, tol=1e-6, promised=5e-7)
    assert predict_gain(state.history) < 1e-7
    assert state.ending is None
    assert state.history[-1].predicted_gain == pytest.approx(5e-7 / (1.0 - PREDICTION.slowest))
    state, _ = run(bounds, tol=1e-6, promised=5e-9)
    assert state.converged


@pytest.fixture
def rows(generator):
    means = np.array([[0.0, 0.0], [2.0, 1.0], [-1.0, 3.0]])
    return means[generator.integers(3, size=4000)] + generator.normal(size=(4000, 2))


def started(rows, covariance_type, weights=None) -> tuple[Data, Parameters]:
    data = Data(
        open_dataset(rows),
        None if weights is None else open_dataset(weights[:, None]),
        Moments.of(rows, weights),
    )
    covariances = naive.covariances_of(covariance_type, np.stack([np.eye(2) * 2.0] * 3))
    return data, Parameters.from_covariances(
        FAMILIES[covariance_type], np.full(3, 1 / 3), rows[[0, 1, -1]], covariances
    )


def sample_of(rows, weights, chosen) -> Sample:
    own = None if weights is None else weights[chosen]
    return Sample(np.arange(len(chosen), dtype=np.uint64), chosen, rows[chosen], own)


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e5])  # far away, components take the centred path
@pytest.mark.parametrize("weighted", [False, True])
def test_with_all_rows_as_the_sample_steps_are_those_of_em(
    rows, generator, monkeypatch, *, covariance_type, offset, weighted
):
    monkeypatch.setattr(corrected_steps, "extrapolated", lambda *_: None)
    weights = generator.uniform(0.5, 2.0, size=len(rows)) if weighted else None
    if offset:
        rows = np.concatenate([rows, rows[:1000] + offset])
        weights = None if weights is None else np.concatenate([weights, weights[:1000]])
    data, start = started(rows, covariance_type, weights)
    refine = CorrectedSteps(data, sample_of(rows, weights, np.arange(len(rows))), Likelihood(0.0))
    (first,) = data.evaluate([start], Likelihood(0.0))
    parameters, made = refine(first, 5)
    if offset == 0.0:
        assert made == 5
    expected = start
    for _ in range(made):
        (evaluation,) = data.evaluate([expected], Likelihood(0.0))
        expected = evaluation.updated
    np.testing.assert_allclose(parameters.weights, expected.weights, rtol=1e-8)
    np.testing.assert_allclose(parameters.means, expected.means, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(parameters.covariances, expected.covariances, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_extrapolations_lead_as_far_as_the_steps_that_they_stand_for(generator, covariance_type, monkeypatch):
    """Components that overlap, where EM crawls."""
    truth = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = 0.6 * naive.random_rows(generator, truth, 4000) + generator.normal(size=(4000, 2))
    data, start = started(rows, covariance_type)
    refine = CorrectedSteps(data, sample_of(rows, None, np.arange(len(rows))), Likelihood(0.0))
    (first,) = data.evaluate([start], Likelihood(0.0))
    n_evaluated = []
    expect_rows = corrected_steps.expect_rows

    def counted(*given):
        n_evaluated.append(1)
        return expect_rows(*given)

    monkeypatch.setattr(corrected_steps, "expect_rows", counted)
    short, _ = refine(first, 20)
    n_evaluated.clear()
    far, made = refine(first, 200)
    assert made <= 200
    assert len(n_evaluated) < 0.6 * made
    monkeypatch.setattr(corrected_steps, "extrapolated", lambda *_: None)
    crawled, _ = refine(first, made)
    near, ours, theirs = (each.lower_bound for each in data.evaluate([short, far, crawled], Likelihood(0.0)))
    assert ours > near
    assert ours > theirs - 0.1 * (theirs - near)


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_the_correction_makes_the_limit_of_em_a_fixed_point(rows, covariance_type):
    """Whatever the sample: there, the sample's error is known."""
    data, parameters = started(rows, covariance_type)
    refine = CorrectedSteps(data, sample_of(rows, None, np.arange(len(rows))), Likelihood(0.0))
    for _ in range(20):  # these steps end where they promise little: then EM goes on
        (evaluation,) = data.evaluate([parameters], Likelihood(0.0))
        parameters, _ = refine(evaluation, 50)
    for _ in range(200):
        (evaluation,) = data.evaluate([parameters], Likelihood(0.0))
        parameters = evaluation.updated
    (evaluation,) = data.evaluate([parameters], Likelihood(0.0))
    refine = CorrectedSteps(data, sample_of(rows, None, np.arange(0, 4000, 8)), Likelihood(0.0))
    stayed, made = refine(evaluation, 10)
    assert made == 2  # the second has shown that there is nothing left to gain
    np.testing.assert_allclose(stayed.means, evaluation.updated.means, atol=1e-7)
    np.testing.assert_allclose(stayed.covariances, evaluation.updated.covariances, atol=1e-7)


def test_steps_end_before_a_component_vanishes(rows):
    """A sample that knows nothing of a component: the correction holds all of it, then less than that."""
    data, start = started(rows, "full")
    (first,) = data.evaluate([start], Likelihood(0.0))
    refine = CorrectedSteps(data, sample_of(rows, None, np.arange(3)), Likelihood(0.0))
    parameters, made = refine(first, 256)
    assert 1 <= made < 256
    assert np.isfinite(parameters.precisions_cholesky).all()


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_components_that_the_sample_does_not_know_keep_what_the_pass_said(rows, covariance_type):
    """The others go on without them, towards the limit of EM."""
    data, start = started(np.concatenate([rows, rows[:40] + 60.0]), covariance_type)
    (first,) = data.evaluate([start], Likelihood(0.0))
    refine = CorrectedSteps(data, sample_of(rows, None, np.arange(0, 4000, 2)), Likelihood(0.0))
    parameters, made = refine(first, 20)
    assert made == 20
    np.testing.assert_allclose(parameters.means[2], first.updated.means[2], rtol=1e-12)
    np.testing.assert_allclose(parameters.weights[2], first.updated.weights[2], rtol=1e-12)
    before, after = data.evaluate([first.updated, parameters], Likelihood(0.0))
    expected = first.updated
    for _ in range(19):
        (evaluation,) = data.evaluate([expected], Likelihood(0.0))
        expected = evaluation.updated
    (limit,) = data.evaluate([expected], Likelihood(0.0))
    assert limit.lower_bound - after.lower_bound < 0.1 * (limit.lower_bound - before.lower_bound)


def test_a_sample_without_weight_is_plain_em(rows):
    weights = np.ones(len(rows))
    weights[:50] = 0.0
    data, start = started(rows, "full", weights)
    (first,) = data.evaluate([start], Likelihood(0.0))
    parameters, _ = CorrectedSteps(data, sample_of(rows, weights, np.arange(50)), Likelihood(0.0))(first, 20)
    np.testing.assert_allclose(parameters.means, first.updated.means, rtol=1e-12)
