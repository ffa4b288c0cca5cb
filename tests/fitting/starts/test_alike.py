"""Mixtures that are alike: by their log-likelihood and their components."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from dgmm.fitting.starts.alike import best_unlike, partners, unlikeness
from dgmm.fitting.starts.record import RECORD
from dgmm.fitting.steps.climb import Climb
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive


def test_the_distance_of_components_is_bhattacharyyas():
    """Of one feature: −log ∫ √(p q). Of several, with variances alone, it is the sum."""
    means, others = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([[0.5, 3.0]])
    variances, of_others = np.array([[1.0, 4.0], [0.25, 2.0]]), np.array([[9.0, 0.5]])
    family = FAMILIES["diag"]
    first = Parameters.from_covariances(family, np.full(2, 0.5), means, variances)
    second = Parameters.from_covariances(family, np.ones(1), others, of_others)

    def distance(m, v, n, w):
        def overlap(x):
            return np.sqrt(norm.pdf(x, m, v**0.5) * norm.pdf(x, n, w**0.5))

        return -np.log(quad(overlap, -30.0, 30.0, limit=200)[0])

    expected = [
        [sum(distance(means[k, d], variances[k, d], others[0, d], of_others[0, d]) for d in range(2))]
        for k in range(2)
    ]
    np.testing.assert_allclose(unlikeness(first, second), expected, rtol=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "tied_spherical"])
def test_partners_are_the_same_in_another_order(covariance_type):
    mixture = naive.random_parameters(np.random.default_rng(0), covariance_type, 4, 2)
    of_other, distances = partners(mixture, mixture.chosen([2, 0, 3, 1]))
    np.testing.assert_array_equal(of_other, [1, 3, 0, 2])
    np.testing.assert_allclose(distances, 0.0, atol=1e-12)


def test_of_those_that_are_alike_one_is_given():
    """A little less likely and in the same places: the same; with a component elsewhere: another."""
    mixture = naive.random_parameters(np.random.default_rng(0), "full", 4, 2)
    means = mixture.means.copy()
    means[1] += 30.0
    elsewhere = Parameters.from_covariances(mixture.family, mixture.weights, means, mixture.covariances)
    little = RECORD.alike / 5
    best, nearly, other, worse = (
        Climb(parameters, -step * little, 1)
        for step, parameters in enumerate([mixture, mixture.chosen([3, 2, 1, 0]), elsewhere, elsewhere])
    )
    assert best_unlike([worse, nearly, other, best], 3) == [best, other]
    assert best_unlike([worse, nearly, other, best], 1) == [best]
    far = Climb(mixture, -2 * RECORD.alike, 1)
    assert best_unlike([far, nearly, best], 3) == [best, far]
