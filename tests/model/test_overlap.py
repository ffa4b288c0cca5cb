# pyright: reportAttributeAccessIssue=false
"""Overlaps against integrals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from dgmm.model.families import FAMILIES
from dgmm.model.overlap import (
    bhattacharyya_distances,
    coefficients,
    contrasts,
    distances_between,
    divergences,
    hellinger,
    mixture_divergence,
    normal_distances,
)
from dgmm.model.parameters import Parameters
from tests.model import naive


@pytest.mark.parametrize("family", FAMILIES)
def test_coefficients_are_integrals(family):
    """By importance sampling of the product, whose normal density is known."""
    parameters = naive.random_parameters(np.random.default_rng(2), family, spread=0.7)
    found = coefficients(bhattacharyya_distances(parameters))
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(np.diagonal(found), 1.0)
    matrices, means = parameters.covariance_matrices, parameters.means
    densities = [multivariate_normal(mean, own) for mean, own in zip(means, matrices, strict=True)]
    for i, j in ((0, 1), (1, 2)):
        wide = multivariate_normal(0.5 * (means[i] + means[j]), 3.0 * (matrices[i] + matrices[j]))
        rows = wide.rvs(200_000, random_state=0)
        logs = 0.5 * (densities[i].logpdf(rows) + densities[j].logpdf(rows)) - wide.logpdf(rows)
        ratios = np.exp(logs)
        error = ratios.std() / np.sqrt(len(rows))
        assert found[i, j] == pytest.approx(ratios.mean(), abs=5 * error)


def test_one_feature_is_an_integral():
    first, second = norm(0.0, 1.0), norm(1.5, 2.0)
    expected, _ = quad(lambda x: np.sqrt(first.pdf(x) * second.pdf(x)), -40, 40)
    distance = normal_distances(np.array(1.5), np.array(1.0), np.array(4.0))
    assert coefficients(distance) == pytest.approx(expected, rel=1e-10)
    assert hellinger(distance) == pytest.approx(np.sqrt(1.0 - expected), rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_distances_from_itself_are_those_within(family):
    parameters = naive.random_parameters(np.random.default_rng(3), family, 4, 3)
    np.testing.assert_allclose(
        distances_between(parameters, parameters), bhattacharyya_distances(parameters), atol=1e-12
    )


@pytest.mark.parametrize("family", [name for name, each in FAMILIES.items() if not each.has_products])
def test_independent_features_need_no_matrices(family):
    """What is found by features is what matrices give: those of the same mixture as a full one."""
    first = naive.random_parameters(np.random.default_rng(6), family, 2, 4, spread=0.7)
    second = naive.random_parameters(np.random.default_rng(7), family, 3, 4, spread=0.7)
    full = [
        Parameters.from_covariances(FAMILIES["full"], each.weights, each.means, each.covariance_matrices)
        for each in (first, second)
    ]
    for measure in (distances_between, divergences):
        np.testing.assert_allclose(measure(first, second), measure(*full), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(measure(first, full[1]), measure(*full), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_divergences_are_means_of_log_ratios(family):
    """Of rows of the first component, by their densities; from itself a component has none."""
    first = naive.random_parameters(np.random.default_rng(4), family, 2, 3, spread=0.7)
    second = naive.random_parameters(np.random.default_rng(5), family, 3, 3, spread=0.7)
    found = divergences(first, second)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(np.diagonal(divergences(first, first)), 0.0, atol=1e-12)
    densities = [
        [multivariate_normal(*each) for each in zip(own.means, own.covariance_matrices, strict=True)]
        for own in (first, second)
    ]
    rows = densities[0][0].rvs(100_000, random_state=0)
    ratios = densities[0][0].logpdf(rows) - densities[1][2].logpdf(rows)
    assert found[0, 2] == pytest.approx(ratios.mean(), abs=5 * ratios.std() / np.sqrt(len(rows)))


def test_the_divergence_of_mixtures_is_exact_for_single_components_and_near_for_separate_ones():
    one, other = (naive.random_parameters(np.random.default_rng(seed), "full", 1, 2) for seed in (6, 7))
    assert mixture_divergence(one, other) == pytest.approx(divergences(one, other)[0, 0], rel=1e-12)
    # Far from each other, rows know their component: weights differ, and nothing else.
    apart = naive.random_parameters(np.random.default_rng(8), "full", 3, 2, spread=1e3)
    turned = replace(apart, weights=apart.weights[::-1])
    expected = apart.weights @ np.log(apart.weights / apart.weights[::-1])
    assert mixture_divergence(apart, turned) == pytest.approx(expected, rel=1e-9)


def test_near_and_far_components_keep_their_digits():
    assert hellinger(np.array([1e-18, 1e-6, 800.0])) == pytest.approx([1e-9, 1e-3, 1.0], rel=1e-6)


def test_contrasts_find_the_feature_in_which_a_component_differs():
    means = np.zeros((3, 3))
    means[0, 1] = 5.0
    variances = np.ones((3, 3))
    variances[1, 2] = 100.0  # the same mean, another width
    parameters = Parameters.from_covariances(FAMILIES["diag"], np.array([0.2, 0.3, 0.5]), means, variances)
    found = contrasts(parameters)
    assert found[0].argmax() == 1
    assert found[1].argmax() == 2
    rest = parameters.part([1, 2])
    mean = rest.weights @ rest.means
    variance = rest.weights @ (rest.variances + (rest.means - mean) ** 2)
    expected = hellinger(normal_distances(means[0] - mean, variances[0], variance))
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(contrasts(parameters.part([0])), np.zeros((1, 3)))


def test_a_component_that_has_all_the_weight():
    parameters = Parameters.from_covariances(
        FAMILIES["diag"], np.array([1.0, 0.0]), np.array([[0.0], [3.0]]), np.ones((2, 1))
    )
    np.testing.assert_allclose(contrasts(parameters)[0], contrasts(parameters)[1])
