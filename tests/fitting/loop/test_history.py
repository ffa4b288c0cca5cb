"""What passes predict, against sequences whose limits are known."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.fitting.loop.history import PassRecord, predict_gain, promised_in_all


def records(log_likelihoods, inner_steps) -> tuple[PassRecord, ...]:
    pairs = zip(log_likelihoods, inner_steps, strict=True)
    return tuple(PassRecord(each, np.inf, n_steps, True, 1.0) for each, n_steps in pairs)


@pytest.mark.parametrize("steps", [(0, 4, 4), (0, 8, 2), (0, 100, 1), (0, 60, 15)])
@pytest.mark.parametrize("left", [0.5, 0.99])
def test_the_prediction_of_linear_convergence_is_exact(steps, left):
    found = -(left ** np.cumsum(steps))
    assert predict_gain(records(found, steps)) == pytest.approx(-found[-1], rel=1e-6)


@pytest.mark.parametrize("steps", [(0, 4, 7), (0, 4, 8), (0, 6, 7)])
@pytest.mark.parametrize("left", [0.6, 0.85])
def test_after_more_steps_a_prediction_is_aitkens_and_not_too_small(left, steps):
    found = -(left ** np.cumsum(steps))
    first, second = np.diff(found)
    assert 0.0 < second < first
    predicted = predict_gain(records(found, steps))
    assert predicted == pytest.approx(second**2 / (first - second), rel=1e-9)
    assert -found[-1] <= predicted < np.inf


def test_nothing_is_predicted_of_gains_that_do_not_fall():
    assert predict_gain(records([-3.0, -2.0], [0, 4])) == np.inf
    assert predict_gain(records([-3.0, -2.0, -1.0], [0, 4, 4])) == np.inf


@pytest.mark.parametrize(("left", "n_steps"), [(0.5, 1), (0.9, 8), (0.98, 32)])
def test_what_is_promised_in_all_is_a_geometric_series(left, n_steps):
    first, second = (
        PassRecord(-1.0, np.inf, steps, True, 1.0, promised_gain=1e-3 * left**done)
        for steps, done in ((4, 0), (n_steps, n_steps))
    )
    further = 1e-3 * left ** (n_steps + np.arange(5000))
    assert promised_in_all((first, second)) == pytest.approx(further.sum(), rel=1e-6)
    assert promised_in_all((first, replace(second, accepted=False))) == pytest.approx(further.sum(), rel=1e-6)


def test_gains_before_a_re_seeding_say_nothing_of_those_after():
    bounds, steps = [-9.0, -5.0, -3.0, -2.0, -1.5, -1.25], [0, 4, 4, 0, 4, 4]
    history = tuple(PassRecord(*each, True, 1.0) for each in zip(bounds, [np.inf] * 6, steps, strict=True))
    assert predict_gain(history[:4]) == predict_gain(history[:5]) == np.inf
    assert predict_gain(history) == pytest.approx(0.25)  # the gains 0.5 and 0.25: as much again
    lost = PassRecord(-7.0, np.inf, 0, False, 1.0)
    assert predict_gain((*history[3:5], lost, history[5])) == pytest.approx(0.25)
