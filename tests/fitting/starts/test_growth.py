"""Mixtures that grow from one component."""

from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm.fitting.starts.growth import Grower, single
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
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
    found = single(FAMILIES[covariance_type], InMemory.of(rows).moments, 1e-6)
    expected: Any = SklearnGaussianMixture(1, covariance_type=covariance_type).fit(rows)
    np.testing.assert_allclose(found.means, expected.means_)
    np.testing.assert_allclose(found.covariances, expected.covariances_, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@pytest.mark.parametrize("surplus", [1.0, 2.0])
def test_clusters_of_very_different_sizes_are_found(rows, covariance_type, surplus):
    """The optimum is that of EM from the true clusters. (Tied ones' splits are but estimates.)"""
    data = InMemory.of(rows)
    found = Grower(FAMILIES[covariance_type], 6, 1e-6)(data, surplus)
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
    weighted = Grower(FAMILIES["full"], 4, 1e-6)(InMemory.of(rows, np.full(len(rows), 2.0)), 2.0)
    doubled = Grower(FAMILIES["full"], 4, 1e-6)(InMemory.of(twice), 2.0)
    assert weighted.lower_bound == pytest.approx(doubled.lower_bound, abs=1e-9)
    few = Grower(FAMILIES["full"], 40, 1e-6)(InMemory.of(rows[:50]), 3.0)
    assert few.parameters.n_components < 40
