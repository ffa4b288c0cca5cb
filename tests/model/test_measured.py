"""Expected sums of true values, from gradients."""

import numpy as np
import pytest

from dgmm.model.measured import Gradients
from tests.model import naive


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_of_one_row_they_are_the_expectation_and_covariance_of_its_true_value(covariance_type):
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, 2, 3)
    row, points = generator.normal(size=3), generator.normal(size=(2, 3))
    _, (error,) = naive.random_errors(generator, 1, 3)
    for k, (mean, matrix) in enumerate(zip(parameters.means, naive.matrices_of(parameters), strict=True)):
        inverse = np.linalg.inv(matrix + error)
        slope = inverse @ (row - mean)
        counts, means, covariances = np.zeros(2), np.zeros((2, 3)), np.zeros((2, 3, 3))
        counts[k], means[k], covariances[k] = 2.0, 2.0 * slope, 2.0 * (np.outer(slope, slope) - inverse)
        if not parameters.family.has_products:
            covariances = np.diagonal(covariances, axis1=1, axis2=2)
        sums, scatter = Gradients(counts, means, covariances, means, 0.0, 0.0).about(parameters, points)
        expected = mean + matrix @ slope - points[k]
        wanted = np.outer(expected, expected) + matrix - matrix @ inverse @ matrix
        if not parameters.family.has_products:
            wanted = np.diag(wanted)
        np.testing.assert_allclose(sums[k], 2.0 * expected, rtol=1e-12)
        np.testing.assert_allclose(scatter[k], 2.0 * wanted, rtol=1e-11, atol=1e-12)
        assert not sums[1 - k].any()
