"""M-steps in memory: those of EM where all rows are the sample; for any sample their limit is that of EM."""

import numpy as np
import pytest

from dgmm.data import open_dataset
from dgmm.fitting.loop import corrected_steps
from dgmm.fitting.loop.corrected_steps import CorrectedSteps
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive


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
