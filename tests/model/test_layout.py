"""Where parameters are, against the values of a mixture one after the other."""

import numpy as np
import pytest

from dgmm.model.families import FAMILIES
from dgmm.model.layout import Layout
from tests.model import naive


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.mark.parametrize("family", FAMILIES)
def test_values_take_the_shapes_of_the_parameters_that_they_are(generator, family):
    parameters = naive.random_parameters(generator, family, 3, 4)
    layout, values = Layout.of(parameters), naive.packed_parameters(parameters)
    assert layout.n_parameters == len(values)
    weights, means, covariances = layout.shaped(values)
    np.testing.assert_array_equal(weights, parameters.weights)
    np.testing.assert_array_equal(means, parameters.means)
    np.testing.assert_array_equal(covariances, parameters.covariances)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_groups", [0, 2])
def test_each_number_is_of_a_weight_or_of_components(family, n_groups):
    layout = Layout(FAMILIES[family], 3, 4, n_groups)
    numbers = np.arange(layout.n_parameters)
    counts = np.zeros(layout.n_parameters, int)
    for group in range(max(n_groups, 1)):
        for component in range(3):
            counts[layout.parts(component, group)[0]] += 1
    for component in range(3):
        _, mean, width = layout.parts(component)
        places = layout.places(component)
        np.testing.assert_array_equal(places, np.concatenate([numbers[mean], numbers[width]]))
        counts[places] += 1
    shared = np.arange(layout.n_parameters) >= layout.n_parameters - layout.n_widths
    np.testing.assert_array_equal(counts, np.where(shared & layout.family.is_shared, 3, 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_some_components_of_a_group_are_laid_out_as_a_mixture_of_these(generator, family):
    layout, chosen = Layout(FAMILIES[family], 3, 4, 2), np.array([2, 0])
    values = generator.normal(size=layout.n_parameters)
    weights, means, covariances = layout.shaped(values)
    of_some = values[layout.places_of(chosen, group=1)]
    found = Layout(layout.family, 2, 4).shaped(of_some)
    expected = (weights[1, chosen], means[chosen], layout.family.chosen(covariances, chosen))
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, other)
