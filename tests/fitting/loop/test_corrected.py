"""The state machine of corrected EM, on passes made by hand."""

import numpy as np
import pytest

from dgmm.fitting.loop import corrected, plain
from dgmm.fitting.loop.corrected import CORRECTED, CorrectedEM
from dgmm.fitting.loop.history import PREDICTION, predict_gain
from dgmm.fitting.loop.stopping import Stopping, rules_of
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

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
    assert state.ending.message.startswith("Not converged after max_iter=3 iterations")
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
