"""Log densities linear in what is there and what is missing, and what is expected of the missing values."""

import numpy as np
import pytest

from dgmm.model import flags
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", ["diag", "spherical", "tied_diag", "tied_spherical"])


def case(covariance_type):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 60))
    centre = generator.normal(size=4)
    z, lacks = np.nan_to_num(rows - centre), np.isnan(rows)
    features = np.column_stack([(z**2).sum(axis=1), np.ones(60), z, lacks, z**2])
    own = parameters.family.feature_rows(4)
    return parameters, rows, centre, z, features[:, own.start : own.stop + 4]


@each_family
def test_log_densities_are_linear_in_features(covariance_type):
    parameters, rows, centre, z, features = case(covariance_type)
    found = features @ flags.natural_parameters(parameters, centre).T
    if parameters.family.is_shared:  # the quadratic term that components share
        found -= 0.5 * (z**2 / parameters.variances[0]).sum(axis=1, keepdims=True)
    variances = parameters.variances
    gaps = rows[:, None, :] - parameters.means
    each = -0.5 * (np.log(2.0 * np.pi * variances) + gaps**2 / variances)
    wanted = np.log(parameters.weights) + np.nansum(each, axis=2)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)


@each_family
def test_expected_statistics_are_those_of_regression(covariance_type):
    parameters, rows, centre, z, features = case(covariance_type)
    joint = features @ flags.natural_parameters(parameters, centre).T
    densities, shares = naive.split(joint)
    total = float(densities.sum())
    squares = (z**2).sum(axis=0)
    found = flags.expected_statistics(parameters, centre, shares.T @ features, squares, total)
    points = np.tile(centre, (3, 1))
    exact = naive.expect_incomplete(parameters, rows, None, points)
    np.testing.assert_allclose(found.counts, exact.counts, rtol=1e-11)
    np.testing.assert_allclose(found.sums, exact.sums, rtol=1e-9, atol=1e-9)
    if found.shared is None:
        np.testing.assert_allclose(found.scatter, parameters.family.pack_scatter(exact.products), rtol=1e-10)
    else:
        np.testing.assert_allclose(
            found.shared, parameters.family.of_scatter(exact.products.sum(axis=0)), rtol=1e-10
        )
    np.testing.assert_allclose(found.log_likelihood, exact.log_likelihood, rtol=1e-11)
    np.testing.assert_allclose(found.entropy_of_missing, exact.entropy_of_missing, rtol=1e-9, atol=1e-9)
    assert found.lacking is not None
    np.testing.assert_allclose(found.lacking, naive.counts_lacking(exact, rows), rtol=1e-9, atol=1e-9)
