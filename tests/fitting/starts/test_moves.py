"""Split and merge moves: their moments, and what they gain or lose, against the likelihood itself."""

import numpy as np
import pytest

from dgmm.fitting.starts import moves
from dgmm.fitting.starts.moves import apply, cheapest_merges, merge, merge_costs, merged_cheaply
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from tests.model import naive


def log_likelihood(parameters: Parameters, data: InMemory) -> float:
    return climb(data, parameters, Likelihood(1e-6), 0).lower_bound


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
def test_a_merge_keeps_the_moments_of_the_mixture(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(0), covariance_type, 4, 3)
    merged = merge(parameters, 2, 0)

    def moments(mixture):
        mean = mixture.weights @ mixture.means
        gaps = mixture.means - mean
        within = np.tensordot(mixture.weights, mixture.covariance_matrices, 1)
        return mean, within + (mixture.weights[:, None] * gaps).T @ gaps

    assert merged.n_components == 3
    np.testing.assert_array_equal(merged.means[0], parameters.means[1])
    np.testing.assert_array_equal(merged.weights[2], parameters.weights[3])
    (mean, covariance), (expected_mean, expected) = moments(merged), moments(parameters)
    np.testing.assert_allclose(mean, expected_mean)
    form = naive.STRUCTURES[covariance_type][1]
    if form == "matrix":
        np.testing.assert_allclose(covariance, expected)
    elif form == "diagonal":
        np.testing.assert_allclose(np.diagonal(covariance), np.diagonal(expected))
    else:
        assert np.trace(covariance) == pytest.approx(np.trace(expected))


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
def test_merge_costs_bound_the_loss(covariance_type):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, 4, 2)
    data = InMemory.of(naive.random_rows(generator, parameters, 20_000))
    costs, before = merge_costs(parameters), log_likelihood(parameters, data)
    for first in range(4):
        assert costs[first, first] == np.inf
        for second in range(first):
            assert costs[first, second] == costs[second, first]
            loss = before - log_likelihood(merge(parameters, first, second), data)
            assert loss <= costs[first, second] + 0.02  # the sampling error of 20,000 rows


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
def test_several_merges_are_the_cheapest_ones_in_turn(covariance_type, monkeypatch):
    """Costs of pairs that a merge leaves alone are not found again; how many at once is nothing to a pair."""
    parameters = naive.random_parameters(np.random.default_rng(2), covariance_type, 7, 3)
    expected = parameters
    for _ in range(5):
        expected = merge(expected, *cheapest_merges(merge_costs(expected), 1)[0])
    costs = merge_costs(parameters)
    monkeypatch.setattr(moves, "MERGED_NUMBERS", 20)
    np.testing.assert_array_equal(merge_costs(parameters), costs)
    found = merged_cheaply(parameters, 5)
    np.testing.assert_array_equal(found.means, expected.means)
    np.testing.assert_array_equal(found.covariances, expected.covariances)
    np.testing.assert_array_equal(found.weights, expected.weights)
    with pytest.raises(DegenerateCovarianceError):
        merged_cheaply(parameters, 7)


def test_the_cheapest_merges_are_those_that_can_be_made():
    """In order of their costs; pairs without a covariance, and one that is spared, are not merged."""
    costs = np.full((4, 4), np.inf)
    for first, second, cost in ((0, 1, 3.0), (0, 2, 1.0), (1, 3, 2.0)):
        costs[first, second] = costs[second, first] = cost
    assert cheapest_merges(costs, 2) == [(0, 2), (1, 3)]
    assert cheapest_merges(costs, 9) == [(0, 2), (1, 3), (0, 1)]
    assert cheapest_merges(costs, 1, spared=2) == [(1, 3)]
    assert cheapest_merges(costs, 1, spared=0) == [(1, 3)]
    assert cheapest_merges(np.full((3, 3), np.inf), 1) == []
    assert cheapest_merges(np.full((1, 1), np.inf), 1) == []


def climbed(covariance_type, *, seed, n_clusters, n_components, weighted):
    """Rows of a mixture, and one of fewer components that has climbed on them."""
    generator = np.random.default_rng(seed)
    truth = naive.random_parameters(generator, covariance_type, n_clusters, 2)
    rows = naive.random_rows(generator, truth, 4000)
    weights = generator.gamma(2.0, size=len(rows)) if weighted else None
    data = InMemory.of(rows, weights)
    start = naive.random_parameters(generator, covariance_type, n_components, 2)
    return data, climb(data, start, Likelihood(1e-6), 20)


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_split_gains_what_it_says(covariance_type, weighted):
    data, fitted = climbed(covariance_type, seed=2, n_clusters=5, n_components=3, weighted=weighted)
    moves = best_splits(data, fitted.parameters, Likelihood(1e-6))
    assert [move.gain for move in moves] == sorted((move.gain for move in moves), reverse=True)
    assert moves[0].gain > 1e-3
    for move in moves:
        found = apply(fitted.parameters, move)
        assert found.n_components == 4
        assert found.weights.sum() == pytest.approx(1.0)
        gain = log_likelihood(found, data) - fitted.lower_bound
        assert move.gain - 1e-9 <= gain <= move.gain + 0.2


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
def test_two_clusters_in_one_component_are_found(covariance_type):
    generator = np.random.default_rng(3)
    centres = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 5.0], [30.0, 90.0]])
    data = InMemory.of(np.concatenate([centre + generator.normal(size=(500, 2)) for centre in centres]))
    start = Parameters.from_covariances(
        FAMILIES[covariance_type],
        np.array([0.25, 0.5, 0.25]),
        np.array([[0.0, 0.0], [30.0, 45.0], [0.0, 5.0]]),
        {
            "full": np.stack([np.eye(2), np.diag([1.0, 2000.0]), np.eye(2)]),
            "tied": np.diag([1.0, 300.0]),
            "diag": np.array([[1.0, 1.0], [1.0, 2000.0], [1.0, 1.0]]),
            "spherical": np.array([1.0, 1000.0, 1.0]),
            "tied_diag": np.array([1.0, 300.0]),
            "tied_spherical": np.asarray(150.0),
        }[covariance_type],
    )
    move = best_splits(data, start, Likelihood(1e-6))[0]
    assert move.component == 1
    found = climb(data, apply(start, move), Likelihood(1e-6), 50).parameters
    np.testing.assert_allclose(found.means[np.argsort(found.means[:, 1])][-1], [30.0, 90.0], atol=0.3)


def test_a_component_with_hardly_any_rows_is_not_split():
    generator = np.random.default_rng(4)
    rows = np.concatenate([generator.normal(size=(100, 2)), 50 + generator.normal(size=(5, 2))])
    parameters = Parameters.from_covariances(
        FAMILIES["full"],
        np.array([0.95, 0.05]),
        np.array([[0.0, 0.0], [50.0, 50.0]]),
        np.stack([np.eye(2)] * 2),
    )
    assert [move.component for move in best_splits(InMemory.of(rows), parameters, Likelihood(1e-6))] == [0]
