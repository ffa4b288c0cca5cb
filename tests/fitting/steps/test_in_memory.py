"""Climbs side by side: those that come to their ends are what each would come to alone."""

import numpy as np
import pytest

from dgmm.fitting.steps.in_memory import InMemory, climb, contest
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
        (climb(data, each, 1e-6, 40, 1e-5) for each in starts), key=lambda each: -each.log_likelihood
    )
    found = contest(data, starts, 1e-6, 40, 1e-5, n_wanted=len(starts))
    assert sorted(each.log_likelihood for each in found) == pytest.approx(
        sorted(each.log_likelihood for each in alone), abs=1e-10
    )
    best = max(contest(data, starts, 1e-6, 40, 1e-5, n_wanted=1), key=lambda each: each.log_likelihood)
    # What is left out could not win by as much as its last gain in every step: gains do not always fall.
    assert best.log_likelihood == pytest.approx(alone[0].log_likelihood, abs=1e-3)
    assert 1 <= best.n_steps <= 40


def climb_by_steps_alone(data, parameters, n_steps):
    """Give all log-likelihoods on the way."""
    evaluations = data.climb([parameters], Likelihood(1e-6))
    for _ in range(n_steps):
        evaluations += data.climb([evaluations[-1].updated], Likelihood(1e-6))
    return [each.lower_bound for each in evaluations]


@each_family
def test_a_climb_leads_as_far_as_its_steps_by_fewer_evaluations(covariance_type, monkeypatch):
    """Components that overlap, where EM crawls."""
    rows, (start, *_) = rows_and_starts(covariance_type)
    rows = 0.5 * rows + np.random.default_rng(5).normal(size=rows.shape)
    data = InMemory.of(rows)
    crawled = climb_by_steps_alone(data, start, 300)
    reached = []
    climb_each = InMemory.climb_each

    def noted(self, models, objective):
        found = climb_each(self, models, objective)
        reached.extend(each.lower_bound for each in found if not isinstance(each, Exception))
        return found

    monkeypatch.setattr(InMemory, "climb_each", noted)
    found = climb(data, start, 1e-6, 300)
    assert found.n_steps <= 300
    assert len(reached) < 0.5 * found.n_steps
    assert found.log_likelihood == max(reached)  # what lost was taken back
    assert found.log_likelihood > crawled[found.n_steps] - 0.05 * (crawled[found.n_steps] - crawled[15])


def test_a_climb_without_steps_is_an_evaluation():
    rows, (start, *_) = rows_and_starts("full")
    found = climb(InMemory.of(rows), start, 1e-6, 0)
    assert (found.n_steps, found.parameters) == (0, start)
    expected = np.logaddexp.reduce(naive.log_joint(start, rows), axis=1).mean()
    assert found.log_likelihood == pytest.approx(expected, rel=1e-12)


def test_a_start_without_a_covariance_leaves_the_others_theirs():
    rows = np.concatenate([rows_and_starts("full")[0], [[1e3, 1e3]]])
    good = Parameters.from_covariances(FAMILIES["full"], np.ones(1), rows[:1], np.cov(rows.T)[None])
    lonely = Parameters.from_covariances(
        FAMILIES["full"],
        np.full(2, 0.5),
        np.array([[0.0, 0.0], [1e3, 1e3]]),
        np.stack([np.cov(rows.T) / 50] * 2),
    )
    found = contest(InMemory.of(rows), [lonely, good], 0.0, 10, 0.0, n_wanted=2)
    assert [each.parameters.n_components for each in found] == [1]
    assert contest(InMemory.of(rows), [], 0.0, 10, 0.0, n_wanted=2) == []


def test_those_leave_that_cannot_be_among_the_best(monkeypatch):
    rows, starts = rows_and_starts("full")
    data = InMemory.of(rows)
    sizes = []
    climb_each = InMemory.climb_each

    def counted(self, models, objective):
        sizes.append(len(models))
        return climb_each(self, models, objective)

    monkeypatch.setattr(InMemory, "climb_each", counted)
    contest(data, starts, 1e-6, 30, 0.0, n_wanted=1)
    assert sizes[0] == 5
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_responsibilities(dtype):
    rows, (mixture, *_) = rows_and_starts("full")
    log_joint = naive.log_joint(mixture, rows.astype(dtype).astype(np.float64))
    expected = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True))
    found = InMemory.of(rows.astype(dtype)).responsibilities(mixture)
    np.testing.assert_allclose(found.T, expected, atol=1e-10 if dtype == np.float64 else 1e-3)


def test_float32_serves_a_narrow_component_but_not_where_it_would_be_wrong():
    """Rows far away do not matter to it; its own do, and these are far from the centre in the other case."""
    generator = np.random.default_rng(4)
    rows = np.concatenate([generator.normal(size=(500, 2)), [[100.0, 100.0], [-100.0, -100.0]]])
    data = InMemory.of(rows.astype(np.float32))
    for place, expected in ((0.0, np.float32), (99.0, np.float64)):
        model = Parameters.from_covariances(
            FAMILIES["full"],
            np.full(2, 0.5),
            np.array([[0.0, 0.0], [place, place]]),
            np.stack([np.eye(2), np.eye(2) * 1e-3]),
        )
        assert data.stack([model]).dtype == expected
