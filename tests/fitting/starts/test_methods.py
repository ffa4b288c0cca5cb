# pyright: reportArgumentType=false, reportCallIssue=false

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm.data import open_dataset, open_weights
from dgmm.fitting.starts import methods
from dgmm.fitting.starts.methods import GivenStart, SharedClusters, StartMethod, k_means, start
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.survey import survey
from dgmm.model.families import FAMILIES

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]


@pytest.fixture
def rows(generator):
    return np.concatenate([generator.normal(5 * k, 1 + k, (200, 3)) for k in range(3)])


def started(rows, method, given=None, weights=None, seed=0):
    source, own = open_dataset(rows), None if weights is None else open_weights(weights)
    found = survey(source, len(rows), 0, own)
    data = Data(source, own, found.moments)
    return start(method, given or GivenStart(), found.sample, data, np.random.RandomState(seed))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_the_start_is_scikit_learns(rows, covariance_type, init_params):
    method = StartMethod(init_params, FAMILIES[covariance_type], 3, Likelihood(1e-6))
    found = started(rows, method)
    other = SklearnGaussianMixture(3, covariance_type=covariance_type, init_params=init_params)
    other._initialize_parameters(rows, np.random.RandomState(0))
    np.testing.assert_allclose(found.weights, other.weights_, rtol=1e-10)
    np.testing.assert_allclose(found.means, other.means_, rtol=1e-10)
    np.testing.assert_allclose(found.covariances, other.covariances_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.precisions_cholesky, other.precisions_cholesky_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_k_means_runs_once_as_in_scikit_learn(generator, seed):
    """Where there are no clusters, and each run ends elsewhere."""
    rows = generator.uniform(size=(300, 2))
    found = started(rows, StartMethod("kmeans", FAMILIES["diag"], 7, Likelihood(1e-6)), seed=seed)
    other = SklearnGaussianMixture(7, covariance_type="diag")
    other._initialize_parameters(rows, np.random.RandomState(seed))
    np.testing.assert_allclose(found.means, other.means_, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
@pytest.mark.parametrize("init_params", ["kmeans", "random_from_data", "k-means++"])
def test_weights_of_one_change_nothing(rows, covariance_type, init_params):
    method = StartMethod(init_params, FAMILIES[covariance_type], 3, Likelihood(1e-6))
    plain, weighted = started(rows, method), started(rows, method, weights=np.ones(len(rows)))
    if init_params == "random_from_data":  # NumPy draws from chances in another way
        np.testing.assert_allclose(plain.weights, weighted.weights)
        return
    np.testing.assert_allclose(plain.means, weighted.means, rtol=1e-10)
    np.testing.assert_allclose(plain.covariances, weighted.covariances, rtol=1e-8, atol=1e-12)


def test_rows_without_weight_are_never_chosen(rows):
    weights = np.zeros(len(rows))
    weights[[5, 300, 500]] = [1.0, 2.0, 3.0]
    for init_params in ("random_from_data", "k-means++", "k-means||"):
        found = started(
            rows, StartMethod(init_params, FAMILIES["spherical"], 3, Likelihood(1e-6)), weights=weights
        )
        order = np.argsort(found.means[:, 0])
        np.testing.assert_allclose(found.means[order], rows[[5, 300, 500]], rtol=1e-9)


def test_given_values_take_their_places(rows):
    method = StartMethod("kmeans", FAMILIES["diag"], 3, Likelihood(1e-6))
    plain = started(rows, method)
    given = GivenStart(np.array([0.2, 0.3, 0.5]), np.arange(9.0).reshape(3, 3), None)
    found = started(rows, method, given)
    np.testing.assert_array_equal(found.weights, given.weights)
    np.testing.assert_array_equal(found.means, given.means)
    np.testing.assert_array_equal(found.covariances, plain.covariances)


@pytest.mark.parametrize("weighted", [False, True])
def test_shared_clusters_are_those_that_each_fit_finds(rows, weighted, monkeypatch):
    """For two starts of each of three fits, of which the last draws other numbers; draws go on alike."""
    weights = np.linspace(0.5, 2.0, len(rows)) if weighted else None
    wanted = [
        [k_means(3, rows, weights, own) for _ in range(2)] for own in map(np.random.RandomState, [0, 0, 1])
    ]
    calls = []
    monkeypatch.setattr(methods, "k_means", lambda *given: calls.append(given) or k_means(*given))
    shared = SharedClusters()
    for seed, two in zip([0, 0, 1], wanted, strict=True):
        alone, own = np.random.RandomState(seed), np.random.RandomState(seed)
        for labels in two:
            k_means(3, rows, weights, alone)
            np.testing.assert_array_equal(shared(3, rows, weights, own), labels)
        assert own.random_sample() == alone.random_sample()
    assert len(calls) == 4
