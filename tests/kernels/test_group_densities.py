"""What a mixture says of rows in groups: against each group's own mixture."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.kernels import densities, group_densities
from tests.model import naive


@pytest.mark.parametrize("family", ["full", "tied", "diag"])
@pytest.mark.parametrize("lacking", [0.0, 0.3])
@pytest.mark.parametrize("n_errors", [0, 3])
def test_groups_as_mixtures_of_their_own(family, lacking, n_errors):
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, family, 3, 3)
    weights = generator.dirichlet(np.ones(3), 4)
    model = replace(parameters, group_weights=weights)
    rows, groups = generator.normal(size=(200, 3)), generator.integers(4, size=200)
    rows[generator.random(rows.shape) < lacking] = np.nan
    rows = np.hstack([rows, generator.uniform(0.1, 2.0, (200, n_errors))])
    found = group_densities.log_densities(model, rows, groups, n_errors)
    shares = group_densities.responsibilities(model, rows, groups, n_errors)
    for group in range(4):
        own, alone = groups == group, replace(parameters, weights=weights[group])
        wanted = densities.log_densities(alone, rows[own], n_errors)
        np.testing.assert_allclose(found[own], wanted, rtol=1e-10, atol=1e-12)
        wanted = densities.responsibilities(alone, rows[own], n_errors)
        np.testing.assert_allclose(shares[own], wanted, rtol=1e-9)


def test_weights_beyond_the_range_of_responsibilities():
    """A group without the component that a row is in, and weights of zero in all rows."""
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, "full", 3, 2)
    weights = np.array([[0.0, 0.0, 1.0], [1e-300, 1.0, 0.0]])
    model = replace(parameters, group_weights=weights)
    rows = np.repeat(parameters.means[:1] + 40.0, 4, axis=0)
    groups = np.array([0, 1, 1, 0])
    for whole in (model, replace(model, weights=np.array([0.5, 0.5, 0.0]))):
        found = group_densities.log_densities(whole, rows, groups)
        shares = group_densities.responsibilities(whole, rows, groups)
        for group in range(2):
            own, alone = groups == group, replace(parameters, weights=weights[group])
            np.testing.assert_allclose(found[own], densities.log_densities(alone, rows[own]), rtol=1e-12)
            np.testing.assert_allclose(shares[own], densities.responsibilities(alone, rows[own]), rtol=1e-9)
