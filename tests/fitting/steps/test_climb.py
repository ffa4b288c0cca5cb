"""Climbs side by side: those that come to their ends are what each would come to alone."""

import numpy as np
import pytest

from dgmm.fitting.steps.climb import CLIMBS, Climb, best_distinct, climb, contest
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def rows_and_starts(covariance_type, n_starts=5):
    generator = np.random.default_rng(3)
    truth = naive.random_parameters(generator, covariance_type, 4, 2)
    rows = naive.random_rows(generator, truth, 2000)
    picked = [rows[generator.choice(len(rows), 4, replace=False)] for _ in range(n_starts)]
    spread = naive.covariances_of(covariance_type, np.stack([np.cov(rows.T)] * 4))
    return rows, [
        Parameters.from_covariances(FAMILIES[covariance_type], np.full(4, 0.25), each, spread)
        for each in picked
    ]


@each_family
def test_who_wins_is_what_it_would_be_alone(covariance_type):
    rows, starts = rows_and_starts(covariance_type)
    data = InMemory.of(rows)
    alone = sorted(
        (climb(data, each, Likelihood(1e-6), 40, 1e-5) for each in starts), key=lambda each: -each.lower_bound
    )
    found = contest(data, starts, Likelihood(1e-6), 40, 1e-5, n_wanted=len(starts))
    assert sorted(each.lower_bound for each in found) == pytest.approx(
        sorted(each.lower_bound for each in alone), abs=1e-10
    )
    best = max(
        contest(data, starts, Likelihood(1e-6), 40, 1e-5, n_wanted=1), key=lambda each: each.lower_bound
    )
    # What is left out could not win by as much as its last gain in every step: gains do not always fall.
    assert best.lower_bound == pytest.approx(alone[0].lower_bound, abs=1e-3)
    assert 1 <= best.n_steps <= 40


def climb_by_steps_alone(data, parameters, n_steps):
    """Return all log-likelihoods on the way."""
    evaluations = data.evaluate([parameters], Likelihood(1e-6))
    for _ in range(n_steps):
        evaluations += data.evaluate([evaluations[-1].updated], Likelihood(1e-6))
    return [each.lower_bound for each in evaluations]


@each_family
def test_a_climb_leads_as_far_as_its_steps_by_fewer_evaluations(covariance_type, monkeypatch):
    """Components that overlap, where EM crawls."""
    rows, (start, *_) = rows_and_starts(covariance_type)
    rows = 0.5 * rows + np.random.default_rng(5).normal(size=rows.shape)
    data = InMemory.of(rows)
    crawled = climb_by_steps_alone(data, start, 300)
    reached = []
    evaluate_each = InMemory.evaluate_each

    def noted(self, models, objective):
        found = evaluate_each(self, models, objective)
        reached.extend(each.lower_bound for each in found if not isinstance(each, Exception))
        return found

    monkeypatch.setattr(InMemory, "evaluate_each", noted)
    found = climb(data, start, Likelihood(1e-6), 300)
    assert found.n_steps <= 300
    assert len(reached) < 0.5 * found.n_steps
    assert found.lower_bound == max(reached)  # what lost was taken back
    assert found.lower_bound > crawled[found.n_steps] - 0.05 * (crawled[found.n_steps] - crawled[15])


def test_a_climb_without_steps_is_an_evaluation():
    rows, (start, *_) = rows_and_starts("full")
    found = climb(InMemory.of(rows), start, Likelihood(1e-6), 0)
    assert (found.n_steps, found.parameters) == (0, start)
    expected = np.logaddexp.reduce(naive.log_joint(start, rows), axis=1).mean()
    assert found.lower_bound == pytest.approx(expected, rel=1e-12)


def test_a_start_without_a_covariance_leaves_the_others_theirs():
    rows = np.concatenate([rows_and_starts("full")[0], [[1e3, 1e3]]])
    good = Parameters.from_covariances(FAMILIES["full"], np.ones(1), rows[:1], np.cov(rows.T)[None])
    lonely = Parameters.from_covariances(
        FAMILIES["full"],
        np.full(2, 0.5),
        np.array([[0.0, 0.0], [1e3, 1e3]]),
        np.stack([np.cov(rows.T) / 50] * 2),
    )
    found = contest(InMemory.of(rows), [lonely, good], Likelihood(0.0), 10, 0.0, n_wanted=2)
    assert [each.parameters.n_components for each in found] == [1]
    assert contest(InMemory.of(rows), [], Likelihood(0.0), 10, 0.0, n_wanted=2) == []


def test_those_leave_that_cannot_be_among_the_best(monkeypatch):
    rows, starts = rows_and_starts("full")
    data = InMemory.of(rows)
    sizes = []
    evaluate_each = InMemory.evaluate_each

    def counted(self, models, objective):
        sizes.append(len(models))
        return evaluate_each(self, models, objective)

    monkeypatch.setattr(InMemory, "evaluate_each", counted)
    contest(data, starts, Likelihood(1e-6), 30, 0.0, n_wanted=1)
    assert sizes[0] == 5
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 5


def test_the_best_without_doubles():
    parameters = naive.random_parameters(np.random.default_rng(0), "full", 2, 2)
    runs = [Climb(parameters, each, 1) for each in (-3.0, -1.0, -2.0, -1.0 - CLIMBS.same / 2)]
    assert [run.lower_bound for run in best_distinct([*runs, None], 2)] == [-1.0, -2.0]
