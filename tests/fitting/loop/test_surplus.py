"""Plateaus, on passes made by hand: when a fit is asked whether it needs its components, and what ends it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dgmm.fitting.loop import corrected, plain
from dgmm.fitting.loop.history import PassRecord
from dgmm.fitting.loop.stopping import Stopping, rules_of
from dgmm.fitting.loop.surplus import SURPLUS, Plateaus, gained_lately
from dgmm.fitting.steps.expectation import Evaluation
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

K, N_ROWS = 9, 1e6
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
    assert gained_lately(passes([-3.0, -2.0])) == math.inf
    assert gained_lately(passes([-3.0, -2.0, -1.5])) == 1.5
    assert gained_lately(passes([-9.0, -3.0, -2.0, -1.5])) == 1.5
    # A pass that lost counts, and what it lost does not.
    assert gained_lately(passes([-9.0, -3.0, -2.0, -4.0, -1.5], refused={3})) == 0.5
    assert gained_lately(passes([-9.0, -3.0, -2.5], refused={2})) == 6.0


def test_what_the_last_pass_alone_tells():
    """After many M-steps Aitken's rule says what is left; after fewer it is what was predicted, and more."""

    def told(gains, n_steps, predicted=math.inf) -> float:
        *others, last = passes(-1.0 - np.cumsum([0.0, *gains[::-1]])[::-1])
        return gained_lately((*others, replace(last, inner_steps=n_steps, predicted_gain=predicted)))

    many, few = SURPLUS.many_steps, SURPLUS.many_steps - 1
    assert told([4.0, 0.5], many) == pytest.approx(0.5)  # and 0.07 to come
    assert told([4.0, 3.0], many) == pytest.approx(7.0)  # 9 to come, more than in both passes
    assert told([4.0, 0.5], few) == pytest.approx(4.5)
    assert told([4.0, 0.5], few, 0.1) == pytest.approx(0.5)
    assert told([4.0, 0.5], few, 0.2) == pytest.approx(0.2 * SURPLUS.cautious)


@pytest.mark.parametrize(
    ("gained", "asked"),
    [(1.5, [2]), (7.9, [8]), (8.1, []), (100.0, [])],
)
def test_so_many_are_asked_about_as_chance_gives_what_was_gained(gained, asked):
    """Never about all of them: one is always needed."""
    seen = []

    def are_surplus(parameters: Parameters, n_components: int) -> bool:
        seen.append(n_components)
        return True

    history = passes([-1.0 - gained * BY_CHANCE, -1.0, -1.0])
    ending, n_needed = Plateaus(N_ROWS, are_surplus).ending(history, mixture(), K)
    assert seen == asked
    assert n_needed == (asked[0] if asked else K)
    assert (ending is not None) == bool(asked)
    if ending is not None:
        assert ending.converged
        assert "less than the" in ending.message
        assert f"{K} merged" in ending.message


@pytest.mark.parametrize(
    ("n_rows", "gained", "ends"),
    [
        (N_ROWS, 0.9 * BY_CHANCE, True),
        (N_ROWS, 1.1 * BY_CHANCE, False),
        # Chance gives a component more than is worth going on for.
        (1000.0, 0.9 * SURPLUS.most, True),
        (1000.0, 1.1 * SURPLUS.most, False),
    ],
)
def test_less_than_chance_gives_a_component_ends_a_fit_whether_it_is_needed_or_not(n_rows, gained, ends):
    history = passes([-2.0, -1.0 - gained, -1.0, -1.0])
    ending, n_needed = Plateaus(n_rows).ending(history, mixture(), K)
    assert n_needed == K
    assert (ending is not None) == ends
    if ending is not None:
        assert ending.converged
        assert "it lately gained" in ending.message


@pytest.mark.parametrize(("gained", "ends"), [(0.9, 3), (1.5, 5), (5.0, 7), (9.0, None)])
def test_later_passes_must_gain_more(gained, ends):
    """In two passes, in units of what is worth it: twice with each pass after four, up to eight times."""
    history = passes(0.5 * gained * SURPLUS.most * np.arange(30))
    settled = [n for n in range(1, 30) if Plateaus(1000.0).settled(history[:n], mixture())]
    assert (settled[0] if settled else None) == ends


def test_of_many_rows_later_passes_need_gain_no_more():
    """What is left of 10⁶ rows is many nats, by which criteria choose."""
    history = passes(0.5 * 1.5 * BY_CHANCE * np.arange(30))
    assert not any(Plateaus(N_ROWS).settled(history[:n], mixture()) for n in range(1, 30))


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.7])
def test_passes_left_are_right_where_gains_fall_by_the_same_factor(rate):
    plateaus, history = Plateaus(N_ROWS), passes(np.cumsum(rate ** np.arange(60.0)))
    ends = next(n for n in range(1, 60) if plateaus.settled(history[:n], mixture()))
    assert plateaus.passes_left(history[:1], mixture()) == math.inf
    for n in range(4, ends):
        assert plateaus.passes_left(history[:n], mixture()) == pytest.approx(ends - n, abs=1)


def test_what_hardly_changes_is_foreseen_at_once():
    """Neither gains that are all but the same nor many passes take time, or leave the range of numbers."""
    for n_rows in (N_ROWS, 1000.0):
        plateaus, history = Plateaus(n_rows), passes(np.cumsum(1.0 - 1e-12 * np.arange(3000.0)))
        assert plateaus.settled(history, mixture()) is None
        assert plateaus.passes_left(history, mixture()) > 1e9


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
        own = Plateaus(N_ROWS, are_surplus) if plateaus else None
        state = corrected.advance(state, found, stopping, lambda _, n: (mixture(), n), own)
        if state.ending is not None:
            break
    return state, seen


def test_a_fit_ends_on_a_plateau():
    gains = [0.0, 100.0, 50.0, 1.2, 1.2, 1.2]
    state, seen = run(gains, needed=1)
    assert state.n_iter == 4  # the last gained 1.2, and little is predicted to come
    assert seen == [2]
    assert state.ending is not None
    assert state.ending.converged
    assert state.lower_bound == max(state.lower_bounds)
    assert run(gains, needed=1, plateaus=False)[0].ending is None


def test_a_fit_that_needs_its_components_goes_on():
    """Each time it is asked about less than half as many: few times in all."""
    gains = [0.0, 3.9, 3.9, 3.9, 1.3, 1.3, 1.3, 1.3]
    state, seen = run(gains, needed=K)
    assert state.ending is None
    assert seen == [8, 2]
    state, seen = run(gains, needed=K - 2)
    assert seen == [8, 2]
    assert state.ending is not None
