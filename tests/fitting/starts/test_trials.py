"""Proposals on trial, on two clusters: which is kept, and how long it takes to tell."""

import numpy as np
import pytest

from dgmm.fitting.starts.trials import TrialTuning, first_that_gains, hopeful_climb
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters

OBJECTIVE = Likelihood(0.0)
PATIENT = TrialTuning(1, 0.0, 100, 1e-9, hopeless=np.inf, is_enough=False)


def mixture(*means: float, width: float = 1.0) -> Parameters:
    shares = np.full(len(means), 1 / len(means))
    return Parameters.from_covariances(
        FAMILIES["spherical"], shares, np.array(means)[:, None], np.full(len(means), width)
    )


@pytest.fixture
def data():
    draw = np.random.default_rng(0)
    return InMemory.of(np.concatenate([draw.normal(0, 1, (300, 1)), draw.normal(10, 1, (300, 1))]))


@pytest.fixture
def whole(data):
    """The best of one component."""
    return climb(data, mixture(5.0, width=26.0), OBJECTIVE, 50, 1e-12)


def test_the_first_that_gains_is_kept_and_no_more_are_asked_for(data, whole):
    asked = []

    def proposals():
        for number, each in enumerate([mixture(5.0, width=9.0), mixture(-1.0, 9.0), mixture(0.0, 10.0)]):
            asked.append(number)
            yield each

    found = first_that_gains(data, whole, proposals(), OBJECTIVE, PATIENT, gain=0.1)
    assert found is not None
    assert asked == [0, 1]  # one component comes to where it was
    np.testing.assert_allclose(np.sort(found.parameters.means[:, 0]), [0.0, 10.0], atol=0.2)


def test_what_degenerates_is_left_out(data, whole):
    lonely = mixture(5.0, 1e3)
    assert first_that_gains(data, whole, [lonely], OBJECTIVE, PATIENT, gain=0.0) is None
    assert first_that_gains(data, whole, [lonely, mixture(0.0, 10.0)], OBJECTIVE, PATIENT, gain=0.0)


def test_a_proposal_that_is_much_worse_at_first_may_be_given_up(data, whole):
    """Two components that are too wide: they are worse as they are, and come apart by some steps."""
    slow = [mixture(3.0, 7.0, width=60.0)]
    patient, hasty = (
        TrialTuning(0, 0.0, 200, 0.0, hopeless=loss, is_enough=False) for loss in (np.inf, 1e-3)
    )
    assert climb(data, slow[0], OBJECTIVE, 0).lower_bound < whole.lower_bound - 1e-3
    assert first_that_gains(data, whole, slow, OBJECTIVE, patient, gain=0.1)
    assert first_that_gains(data, whole, slow, OBJECTIVE, hasty, gain=0.1) is None


def test_a_gain_after_the_first_steps_may_be_enough(data, whole):
    near = [mixture(0.5, 9.0)]
    content = TrialTuning(1, 0.0, 100, 1e-9, hopeless=np.inf, is_enough=True)
    one, more = (
        first_that_gains(data, whole, near, OBJECTIVE, each, gain=0.1) for each in (content, PATIENT)
    )
    assert one is not None
    assert more is not None
    assert one.n_steps == 1
    assert more.lower_bound > one.lower_bound


def test_a_climb_ends_where_a_bar_is_out_of_reach(data):
    """What is within reach is climbed to; gains fall, and soon would not reach a bar above the optimum."""
    near, n_steps = mixture(0.5, 9.0), 100
    optimum = climb(data, near, OBJECTIVE, n_steps)
    for bar in (-np.inf, optimum.lower_bound - 1e-3):
        reached = hopeful_climb(data, near, OBJECTIVE, n_steps, 0.0, bar=bar)
        assert reached.lower_bound == pytest.approx(optimum.lower_bound, abs=1e-9)
    given_up = hopeful_climb(data, near, OBJECTIVE, n_steps, 0.0, bar=optimum.lower_bound + 1.0)
    assert given_up.n_steps < n_steps
    assert given_up.lower_bound <= optimum.lower_bound + 1e-9
