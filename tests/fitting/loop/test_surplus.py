"""Plateaus, on passes made by hand: when a fit is asked whether it needs its components, and what ends it."""

import math

import numpy as np
import pytest

from dgmm.fitting.loop import corrected, plain
from dgmm.fitting.loop.history import PassRecord
from dgmm.fitting.loop.stopping import Stopping, rules_of
from dgmm.fitting.loop.surplus import Plateaus, gained_lately
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

K, N_ROWS = 5, 1000.0
# Of a component of one feature: weight, mean and variance. Chance gives it half a nat for each.
BY_CHANCE = 1.5 / N_ROWS


def mixture() -> Parameters:
    weights, means = np.full(K, 1.0 / K), np.arange(float(K))[:, None]
    return Parameters.from_covariances(FAMILIES["diag"], weights, means, np.ones((K, 1)))


def passes(bounds, refused=()) -> tuple[PassRecord, ...]:
    return tuple(
        PassRecord(bound, math.inf, index, accepted=index not in refused, seconds=1.0)
        for index, bound in enumerate(bounds)
    )


def test_what_the_last_passes_gained():
    assert gained_lately(passes([-3.0, -2.0, -1.5])) == math.inf
    assert gained_lately(passes([-3.0, -2.0, -1.5, -1.25])) == 1.75
    assert gained_lately(passes([-9.0, -3.0, -2.0, -1.5, -1.25])) == 1.75
    # A pass that lost counts, and what it lost does not.
    assert gained_lately(passes([-9.0, -3.0, -2.0, -4.0, -1.5], refused={3})) == 1.5
    assert gained_lately(passes([-9.0, -3.0, -2.0, -2.5], refused={3})) == 7.0


@pytest.mark.parametrize(
    ("gained", "asked"),
    [(0.5, [1]), (1.5, [2]), (3.9, [4]), (4.1, []), (100.0, [])],
)
def test_so_many_are_asked_about_as_chance_gives_what_was_gained(gained, asked):
    """Never about all of them: one is always needed."""
    seen = []

    def are_surplus(parameters: Parameters, n_components: int) -> bool:
        seen.append(n_components)
        return True

    history = passes([-1.0 - gained * BY_CHANCE, -1.0, -1.0, -1.0])
    ending, n_needed = Plateaus(are_surplus, N_ROWS).ending(history, mixture(), K)
    assert seen == asked
    assert n_needed == (asked[0] if asked else K)
    assert (ending is not None) == bool(asked)
    if ending is not None:
        assert ending.converged
        assert "less than the" in ending.message
        assert f"{K} merged" in ending.message


def run(gains, needed: int, plateaus=True):
    """Feed passes with these gains, in units of what chance gives; so many of the components are needed."""
    seen = []

    def are_surplus(parameters: Parameters, n_components: int) -> bool:
        seen.append(n_components)
        return n_components <= K - needed

    nothing = Statistics(
        FAMILIES["diag"], np.ones(K), np.zeros((K, 1)), np.zeros((K, 1)), np.zeros((K, 1)), 0.0
    )
    stopping = Stopping(rules_of("corrected", 1e-9), 100)
    state, bound = corrected.begin(plain.begin(0, mixture(), 100)), -5.0
    for gain in gains:
        bound += gain * BY_CHANCE
        found = Evaluation(state.parameters, bound, mixture(), nothing, 1.0)
        own = Plateaus(are_surplus, N_ROWS) if plateaus else None
        state = corrected.advance(state, found, stopping, lambda _, n: (mixture(), n), own)
        if state.ending is not None:
            break
    return state, seen


def test_a_fit_ends_on_a_plateau():
    gains = [0.0, 100.0, 50.0, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7]
    state, seen = run(gains, needed=1)
    assert state.n_iter == 6  # the last three gained 3.3
    assert seen == [4]
    assert state.ending is not None
    assert state.ending.converged
    assert state.lower_bound == max(state.lower_bounds)
    assert run(gains, needed=1, plateaus=False)[0].ending is None


def test_a_fit_that_needs_its_components_goes_on():
    """Each time it is asked about less than half as many: few times in all."""
    gains = [0.0, 100.0, 50.0, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1, 0.1]
    state, seen = run(gains, needed=K)
    assert state.ending is None
    assert seen == [4, 1]
    state, seen = run(gains, needed=K - 2)
    assert seen == [4, 1]
    assert state.ending is not None
