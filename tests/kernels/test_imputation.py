from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgmm.kernels import imputation
from dgmm.kernels.imputation import conditioned
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def conditional_of(parameters, row):
    """The conditional mixture of a row by inverses: weights, means, covariances."""
    o, m = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
    log_weights, means, covariances = [], [], []
    for weight, mean, matrix in zip(
        parameters.weights, parameters.means, naive.matrices_of(parameters), strict=True
    ):
        inverse = np.linalg.inv(matrix[np.ix_(o, o)])
        gap = row[o] - mean[o]
        log_weights.append(np.log(weight) - 0.5 * (gap @ inverse @ gap) + 0.5 * np.linalg.slogdet(inverse)[1])
        means.append(mean[m] + matrix[np.ix_(m, o)] @ inverse @ gap)
        covariances.append(matrix[np.ix_(m, m)] - matrix[np.ix_(m, o)] @ inverse @ matrix[np.ix_(o, m)])
    weights = np.exp(log_weights - np.max(log_weights))
    return weights / weights.sum(), np.array(means), np.array(covariances)


@each_family
@pytest.mark.parametrize("piece_bytes", [imputation.FILLED_BYTES, 100])
def test_means_and_covariances_row_by_row(covariance_type, piece_bytes, monkeypatch):
    """All patterns, and each row in some piece once."""
    monkeypatch.setattr(imputation, "FILLED_BYTES", piece_bytes)
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4, spread=1.0)
    is_known = np.array([*product([True, False], repeat=4)] * 2)
    rows = np.where(is_known, naive.random_rows(generator, parameters, len(is_known)), np.nan)
    seen = []
    for numbers, given in conditioned(parameters, rows, makes_matrices=True):
        for number, mean, covariance in zip(numbers, given.expected, given.covariances, strict=True):
            weights, means, covariances = conditional_of(parameters, rows[number])
            expected = weights @ means
            assert_allclose(mean, expected, rtol=1e-9, atol=1e-9)
            gaps = means - expected
            exact = np.einsum("k,kij->ij", weights, covariances) + (weights * gaps.T) @ gaps
            assert_allclose(covariance, exact, rtol=1e-9, atol=1e-9)
        seen += numbers.tolist()
    assert sorted(seen) == np.flatnonzero(~is_known.all(axis=1)).tolist()


@each_family
def test_draws_are_of_the_conditional_mixture(covariance_type):
    """Of one row, drawn many times: first and second moments within 5 standard errors."""
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, 3, 3, spread=1.0)
    rows = np.tile([0.3, np.nan, np.nan], (50_000, 1))
    ((_, given),) = conditioned(parameters, rows)
    drawn = given.drawn(generator.uniform(size=(len(rows), 3)))
    weights, means, covariances = conditional_of(parameters, rows[0])
    mean = weights @ means
    gaps = means - mean
    exact = np.einsum("k,kij->ij", weights, covariances) + (weights * gaps.T) @ gaps
    assert (abs(drawn.mean(axis=0) - mean) < 5.0 * np.sqrt(np.diag(exact) / len(rows))).all()
    deviations = drawn - mean
    products = deviations[:, :, None] * deviations[:, None, :]
    assert (abs(products.mean(axis=0) - exact) < 5.0 * products.std(axis=0) / np.sqrt(len(rows))).all()


def test_extreme_uniforms_draw_components_that_have_weight():
    parameters = naive.random_parameters(np.random.default_rng(0), "diag", 3, 2)
    parameters.weights[:] = [0.0, 1.0, 0.0]
    rows = np.full((2, 2), np.nan)
    ((_, given),) = conditioned(parameters, rows)
    tiny = 2.0**-54
    drawn = given.drawn(np.array([[tiny, 0.5, 0.5], [1.0 - 2.0**-53, 0.5, 0.5]]))
    assert_allclose(drawn, np.tile(parameters.means[1], (2, 1)))
