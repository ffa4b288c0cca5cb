"""Starts for all numbers of components at once."""
# pyright: reportArgumentType=false, reportCallIssue=false

from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from dgmm.fitting.in_memory import InMemory, climb
from dgmm.fitting.paths import PathSettings, find_starts, single, walk
from dgmm.fitting.survey import Sample
from dgmm.model.statistics import Moments

FAMILIES = ["full", "tied", "diag", "spherical"]


def sample_of(rows, weights=None):
    numbers = np.arange(len(rows))
    return Sample(
        len(rows), np.random.default_rng(0).permutation(numbers.astype(np.uint64)), numbers, rows, weights
    )


def clusters(n_rows, n_clusters=5, seed=0):
    generator = np.random.default_rng(seed)
    means = 6.0 * generator.normal(size=(n_clusters, 3))
    labels = generator.integers(n_clusters, size=n_rows)
    return means[labels] + generator.normal(size=(n_rows, 3)) * (0.5 + 0.3 * labels[:, None])


def settings_of(covariance_type, n_components, **own):
    given: Any = {"init_params": "search", "n_init": 1, "reg_covar": 1e-6, "seed": 0} | own
    return PathSettings(covariance_type, tuple(n_components), **given)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_one_component_is_the_moments(covariance_type):
    rows = clusters(500)
    found = single(covariance_type, Moments.of(rows), 1e-6)
    expected = GaussianMixture(1, covariance_type=covariance_type).fit(rows)
    np.testing.assert_allclose(found.means, expected.means_)
    np.testing.assert_allclose(found.covariances, expected.covariances_)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_starts_are_as_good_as_restarts_of_scikit_learn(covariance_type):
    rows = clusters(1200)
    found = walk(settings_of(covariance_type, range(1, 7)), sample_of(rows))
    assert sorted(found) == list(range(1, 7))
    data = InMemory.of(rows)
    for number, start in found.items():
        assert start.n_components == number
        reached = climb(data, start, 1e-6, 100, 1e-4).log_likelihood
        expected = GaussianMixture(number, covariance_type=covariance_type, n_init=2, random_state=0).fit(
            rows
        )
        assert reached > expected.score(rows) - 5e-3


def test_wanted_numbers_alone():
    found = walk(settings_of("diag", [3, 6], init_params="kmeans"), sample_of(clusters(800)))
    assert sorted(found) == [3, 6]


def test_too_few_rows_for_so_many():
    found = walk(settings_of("full", range(1, 9), reg_covar=0.0), sample_of(clusters(12)))
    assert 1 in found
    assert 8 not in found


def test_the_whole_sample_polishes(monkeypatch):
    monkeypatch.setattr("dgmm.fitting.paths.PATH_ROWS", 500)
    rows, weights = clusters(4000), np.random.default_rng(1).exponential(size=4000)
    sample = sample_of(rows, weights)
    found = find_starts([settings_of("full", [2, 5]), settings_of("tied", [4])], sample, 1e-6)
    assert set(found) == {("full", 2), ("full", 5), ("tied", 4)}
    data = InMemory.of(rows, weights)
    for start in found.values():
        more = climb(data, start, 1e-6, 1).log_likelihood - climb(data, start, 1e-6, 0).log_likelihood
        assert 0.0 <= more < 1e-3
