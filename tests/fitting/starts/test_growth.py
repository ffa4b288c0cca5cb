"""Mixtures that grow from one component."""

from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.growth import grown, reseeded, single
from dgmm.fitting.steps.climb import climb, log_likelihood
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive


@pytest.fixture
def rows():
    """Most rows in one cluster, the others in small ones far away, in order of size."""
    generator = np.random.default_rng(0)
    sizes = [4000, 400, 200, 100, 60, 40]
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0], [40.0, 0.0], [0.0, 40.0]])
    return np.repeat(centres, sizes, axis=0) + generator.normal(size=(sum(sizes), 2))


@pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
def test_one_component_is_the_moments(rows, covariance_type):
    found = single(FAMILIES[covariance_type], InMemory.of(rows).moments, Likelihood(1e-6))
    expected: Any = SklearnGaussianMixture(1, covariance_type=covariance_type).fit(rows)
    np.testing.assert_allclose(found.means, expected.means_)
    np.testing.assert_allclose(found.covariances, expected.covariances_, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@pytest.mark.parametrize("surplus", [1.0, 2.0])
def test_clusters_of_very_different_sizes_are_found(rows, covariance_type, surplus):
    """The optimum is that of EM from the true clusters. (Tied ones' splits are but estimates.)"""
    data = InMemory.of(rows)
    found = grown(data, FAMILIES[covariance_type], 6, Likelihood(1e-6), surplus=surplus)
    assert found.parameters.n_components == 6
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0], [40.0, 0.0], [0.0, 40.0]])
    truth = SklearnGaussianMixture(
        6, covariance_type=covariance_type, means_init=centres, max_iter=300, tol=1e-8
    ).fit(rows)
    reached = climb(data, found.parameters, Likelihood(1e-6), 100, tol=1e-9)
    assert reached.lower_bound == pytest.approx(truth.score(rows), abs=1e-4)


def test_weights_count_and_few_rows_grow_few_components(rows):
    """Rows of weight two are as two rows; with few rows it grows as far as they go."""
    twice = np.concatenate([rows, rows])
    weighted = grown(
        InMemory.of(rows, np.full(len(rows), 2.0)), FAMILIES["full"], 4, Likelihood(1e-6), surplus=2.0
    )
    doubled = grown(InMemory.of(twice), FAMILIES["full"], 4, Likelihood(1e-6), surplus=2.0)
    assert weighted.lower_bound == pytest.approx(doubled.lower_bound, abs=1e-9)
    few = grown(InMemory.of(rows[:50]), FAMILIES["full"], 40, Likelihood(1e-6), surplus=3.0)
    assert few.parameters.n_components < 40


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
@pytest.mark.parametrize("weight", [1.0, 1e-6])
def test_a_component_without_rows_takes_half_of_another(covariance_type, weight):
    """One on the rows of two clusters: the likelihood rises at once, also where all share a covariance."""
    generator = np.random.default_rng(3)
    rows = np.where(generator.random(2000) < 0.5, -3.0, 3.0)[:, None] * [1.0, 0.0]
    rows += generator.normal(size=rows.shape)
    weights = np.full(len(rows), weight)
    data = InMemory.of(rows, weights)
    (one,) = data.evaluate([naive.random_parameters(generator, covariance_type, 1, 2)], Likelihood(1e-6))
    found = one.updated
    empty = Parameters.from_covariances(
        FAMILIES[covariance_type],
        np.array([0.0, 1.0]),
        np.concatenate([[[0.0, 50.0]], found.means]),
        found.covariances
        if naive.STRUCTURES[covariance_type][0]
        else np.concatenate([found.covariances] * 2),
    )
    sample = Sample(np.arange(2000, dtype=np.uint64), np.arange(2000), rows, weights)
    after = reseeded(empty, np.array([0]), sample=sample, objective=Likelihood(1e-6))
    assert after is not None
    np.testing.assert_allclose(np.sort(after.means[:, 0]), [-3.0, 3.0], atol=0.3)
    assert log_likelihood(data, after) > log_likelihood(data, empty) + 0.3
    assert after.weights.sum() == pytest.approx(1.0)


def test_a_component_is_left_without_rows_where_none_can_be_split():
    rows = np.arange(5.0)[:, None] * [1.0, 2.0]
    sample = Sample(np.arange(5, dtype=np.uint64), np.arange(5), rows, None)
    empty = Parameters.from_covariances(
        FAMILIES["diag"], np.array([1.0, 0.0]), np.ones((2, 2)), np.ones((2, 2))
    )
    assert reseeded(empty, np.array([1]), sample=sample, objective=Likelihood(1e-6)) is None
