"""Candidates in shared passes: each comes to what it would come to alone."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.data.memory import MemorySource
from dgmm.fitting.loop import plain
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.loop.stopping import SmallChange, Stopping
from dgmm.fitting.pool import Candidate, Pool
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from dgmm.passes.events import IterationFinished, PassFinished, listening
from tests.model import naive


def advance(state: EM, evaluation: Evaluation) -> EM:
    return plain.advance(state, evaluation, Stopping([SmallChange(1e-3)], 30))


def pool_of(rows) -> Pool:
    return Pool(Data(MemorySource(rows), None, Moments.of(rows)), Likelihood(0.0), advance, 30)


@pytest.fixture
def truth():
    return naive.random_parameters(np.random.default_rng(4), "full", 2, 2)


@pytest.fixture
def rows(truth):
    return naive.random_rows(np.random.default_rng(5), truth, 2000)


def started(parameters: Parameters, number: int = 0) -> Candidate:
    return Candidate.of([plain.begin(number, parameters, 30)])


def test_each_comes_to_what_it_would_come_to_alone(truth, rows):
    """A failure is the candidate's own: one has a component without rows, and reg_covar is 0."""
    starts = [replace(truth, means=truth.means + shift) for shift in (0.1, 0.5, 2.0)]
    starts.insert(1, replace(truth, means=np.stack([truth.means[0], rows.max(axis=0) + 1e3])))
    together = [started(each, number) for number, each in enumerate(starts)]
    events = []
    with listening(events.append):
        pool_of(rows).run(together)
    assert [bool(each.failure) for each in together] == [False, True, False, False]
    for number in (0, 2, 3):
        alone = [started(starts[number])]
        pool_of(rows).run(alone)
        one, other = together[number].state, alone[0].state
        assert one is not None
        assert other is not None
        assert one.n_iter == other.n_iter
        assert one.lower_bound == pytest.approx(other.lower_bound, rel=1e-12)
    # They share passes: there are as many as the longest fit has, and one that takes the lonely sums again.
    n_passes = sum(isinstance(event, PassFinished) for event in events)
    assert n_passes == max(each.n_passes for each in together) + 1
    told = [event.initialization for event in events if isinstance(event, IterationFinished)]
    assert [told.count(number) for number in range(4)] == [each.n_passes for each in together]


def test_some_passes_only(truth, rows):
    candidates = [started(replace(truth, means=truth.means + 1.0))]
    pool_of(rows).run(candidates, n_passes=2)
    assert candidates[0].n_passes == 2
    assert candidates[0].is_running
    assert candidates[0].message == "Interrupted."


def test_a_policy_lets_candidates_go(truth, rows):
    pool = pool_of(rows)

    def first_alone(candidates, entries):
        return {
            index: entry.advanced(advance) if index == 0 else replace(entry.candidate, dropped="no")
            for index, entry in entries.items()
        }

    candidates = [started(replace(truth, means=truth.means + 1.0), number) for number in range(3)]
    pool.run(candidates, first_alone)
    assert [each.dropped for each in candidates] == ["", "no", "no"]
    assert candidates[0].state is not None
    assert candidates[0].state.converged


@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_rival_goes_on_that_all_rows_like_best(best):
    """The others share the first pass alone; one whose covariance collapses has no part in it."""
    generator = np.random.default_rng(4)
    truth = naive.random_parameters(generator, "full", 2, 2)
    rows = naive.random_rows(generator, truth, 2000)
    data = Data(MemorySource(rows), None, Moments.of(rows))
    lonely = replace(truth, means=np.stack([truth.means[0], rows.max(axis=0) + 1e3]))
    far = replace(truth, means=truth.means + 2.0)
    starts = [far, lonely]
    starts.insert(best, truth)
    stopping, seen = Stopping([SmallChange(0.0)], 2), []

    def step(state: EM, evaluation: Evaluation) -> EM:
        seen.append(evaluation.parameters)
        return plain.advance(state, evaluation, stopping)

    candidates = [Candidate(FAMILIES["full"], 2, plain.begin(0, starts[0], 2), rivals=tuple(starts[1:]))]
    Pool(data, Likelihood(0.0), step, 2).run(candidates)
    assert seen[0] is truth
    assert candidates[0].n_passes == 2
    assert candidates[0].state is not None
    assert candidates[0].state.n_iter == 2
    assert candidates[0].evaluated is not None
    expected = np.mean(naive.log_sums(naive.log_joint(candidates[0].evaluated, rows)))
    assert candidates[0].state.lower_bound == pytest.approx(expected, abs=1e-10)
