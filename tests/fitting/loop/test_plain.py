import numpy as np
import pytest

from dgmm.fitting.loop.plain import EM, advance, begin
from dgmm.fitting.loop.stopping import SmallChange, Stopping
from dgmm.fitting.multistart import best_of_ended
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

NOTHING = Statistics(
    FAMILIES["spherical"], np.ones(1), np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), 0.0
)


def passed(state: EM, lower_bound: float, updated: float) -> Evaluation:
    return Evaluation(state.parameters, lower_bound, mixture(updated), NOTHING, 1.0)


def mixture(mean: float) -> Parameters:
    return Parameters.from_covariances(FAMILIES["spherical"], np.ones(1), np.full((1, 1), mean), np.ones(1))


def run(bounds, tol=0.1, max_iter=10, lower_bound=-np.inf) -> EM:
    stopping = Stopping([SmallChange(tol)], max_iter)
    state = begin(0, mixture(0.0), max_iter, lower_bound)
    for number, bound in enumerate(bounds, 1):
        assert state.ending is None
        state = advance(state, passed(state, bound, number), stopping)
    return state


def test_converges_at_the_first_small_change():
    state = run([-5.0, -3.0, -2.95])
    assert state.converged
    assert state.n_iter == 3
    assert state.lower_bound == -2.95
    assert state.lower_bounds == (-5.0, -3.0, -2.95)
    assert state.parameters.means[0, 0] == 3  # after the last M-step
    assert state.ending is not None
    assert state.ending.message.startswith("Converged: the lower bound changed by 0.05 nats a row")


def test_a_small_fall_converges_too():
    assert run([-5.0, -5.05]).converged


def test_a_change_of_exactly_tol_goes_on():
    assert run([-5.0, -4.0], tol=1.0).ending is None
    assert run([-5.0, -5.0], tol=0.0).ending is None


def test_max_iter():
    state = run([-5.0, -4.0], max_iter=2)
    assert state.ending is not None
    assert not state.converged
    assert state.ending.message.startswith("Not converged after max_iter=2 iterations")


def test_convergence_wins_over_max_iter():
    assert run([-5.0, -4.99], max_iter=2).converged


def test_no_iterations():
    state = begin(3, mixture(0.0), 0)
    assert state.ending is not None
    assert not state.converged
    assert (state.n_iter, state.lower_bounds, state.lower_bound) == (0, (), -np.inf)


def test_a_resumed_fit_compares_with_where_it_was():
    state = run([-2.99], lower_bound=-3.0)
    assert state.converged
    assert state.n_iter == 1


def test_states_are_not_changed():
    stopping = Stopping([SmallChange(0.1)], 10)
    state = begin(0, mixture(0.0), 10)
    first = advance(state, passed(state, -1.0, 1.0), stopping)
    again = advance(state, passed(state, -1.0, 1.0), stopping)
    assert first.lower_bounds == again.lower_bounds == (-1.0,)
    assert state.n_iter == 0


@pytest.mark.parametrize(
    ("bounds", "best"), [([[-3.0], [-1.0], [-2.0]], 1), ([[-1.0], [-1.0]], 0), ([[], [], []], 2)]
)
def test_the_best_of_several(bounds, best):
    ended = [run(own, max_iter=max(len(own), 1)) for own in bounds]
    assert best_of_ended(ended) is ended[best]
