from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgmm.kernels import densities
from dgmm.model.conditional import conditional, marginal, plain
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import LOG_2_PI
from dgmm.model.variational import Posterior, Prior
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
PATTERNS = (
    [True, False, True, False],
    [False, False, True, True],
    [False, True, True, True],
    [False, False, False, True],
)


def mixture(covariance_type, *, seed=0, n_components=3):
    return naive.random_parameters(np.random.default_rng(seed), covariance_type, n_components, 4)


def log_density(parameters, rows):
    return naive.split(naive.log_joint(parameters, rows))[0]


def posterior(covariance_type, kind="dirichlet_process"):
    """A posterior of few rows: its expected log densities are far from the log densities of its means."""
    found, family = mixture(covariance_type), FAMILIES[covariance_type]
    covariance = family.projected(np.eye(4) + 0.2)
    prior = Prior(family, kind, 0.3, 0.7, np.full(4, 0.4), 4.5, covariance)
    return Posterior.of(prior, 9.0 * found.weights, found.means, found.covariances)


@each_family
@pytest.mark.parametrize("features", [[1], [0, 2], [3, 1], [2, 0, 3], [0, 1, 2, 3]])
def test_marginal_is_of_some_features(covariance_type, features):
    parameters = mixture(covariance_type)
    found = marginal(parameters, np.array(features))
    assert found.family is parameters.family
    assert (found.weights == parameters.weights).all()
    assert (found.means == parameters.means[:, features]).all()
    matrices = naive.matrices_of(parameters)[:, features][:, :, features]
    assert (naive.matrices_of(found) == matrices).all()
    rows = np.random.default_rng(1).normal(scale=3.0, size=(20, len(features)))
    assert_allclose(densities.log_densities(found, rows), log_density(found, rows))


@each_family
@pytest.mark.parametrize("is_known", PATTERNS)
def test_conditional_by_inverses(covariance_type, is_known):
    parameters, is_known = mixture(covariance_type), np.array(is_known)
    found = conditional(parameters, is_known)
    o, m = np.flatnonzero(is_known), np.flatnonzero(~is_known)
    rows = np.random.default_rng(2).normal(scale=3.0, size=(7, len(o)))
    assert (found.known == o).all()
    assert (found.missing == m).all()
    covariances = found.of_known.family.to_matrices(found.covariances, 3, len(m))
    for k, matrix in enumerate(naive.matrices_of(parameters)):
        coefficients = matrix[np.ix_(m, o)] @ np.linalg.inv(matrix[np.ix_(o, o)])
        mean = parameters.means[k, m] + (rows - parameters.means[k, o]) @ coefficients.T
        assert_allclose(found.expected(rows)[k], mean, rtol=1e-12, atol=1e-12)
        own = np.zeros_like(coefficients) if found.coefficients is None else found.coefficients[k]
        assert_allclose(own, coefficients, rtol=1e-12, atol=1e-12)
        exact = matrix[np.ix_(m, m)] - coefficients @ matrix[np.ix_(o, m)]
        assert_allclose(covariances[k], exact, rtol=1e-12, atol=1e-12)


@each_family
@pytest.mark.parametrize("is_known", PATTERNS)
def test_joint_density_is_that_of_the_known_times_the_conditional(covariance_type, is_known):
    parameters, is_known = mixture(covariance_type), np.array(is_known)
    found = conditional(parameters, is_known)
    rows = naive.random_rows(np.random.default_rng(3), parameters, 10)
    joint = log_density(parameters, rows)
    for row, expected in zip(rows, joint, strict=True):
        weights = densities.responsibilities(found.of_known, row[None, is_known])[0]
        given = found.given(weights, row[is_known])
        of_missing = log_density(given, row[None, ~is_known])[0]
        of_known = log_density(found.of_known, row[None, is_known])[0]
        assert_allclose(of_known + of_missing, expected, rtol=1e-12)
        # Densities are of the factors, which must be those of the covariances.
        assert_allclose(densities.log_densities(given, row[None, ~is_known]), [of_missing], rtol=1e-12)


@each_family
def test_all_known_and_none_known(covariance_type):
    parameters = mixture(covariance_type)
    none = conditional(parameters, np.zeros(4, bool))
    of_none = none.given(parameters.weights, np.empty(0))
    assert (of_none.means == parameters.means).all()
    assert_allclose(naive.matrices_of(of_none), naive.matrices_of(parameters), rtol=1e-13, atol=1e-13)
    every = conditional(parameters, np.ones(4, bool))
    rows = np.random.default_rng(4).normal(size=(5, 4))
    assert every.expected(rows).shape == (3, 5, 0)
    found = densities.log_densities(every.of_known, rows)
    assert_allclose(found, log_density(parameters, rows), rtol=1e-12)


def test_features_that_almost_determine_each_other():
    """The second is the first but for a millionth: the conditional variance is that of the rest."""
    matrix = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-12]])
    parameters = replace(
        naive.random_parameters(np.random.default_rng(0), "full", 1, 2),
        covariances=matrix[None],
    )
    found = conditional(parameters, np.array([True, False]))
    assert found.coefficients is not None
    assert_allclose(found.coefficients[0, 0, 0], 1.0, rtol=1e-12)
    assert_allclose(found.covariances[0, 0, 0], matrix[1, 1] - 1.0, rtol=1e-12)


@each_family
def test_far_from_the_origin(covariance_type):
    """Deviations are what is multiplied: a shift of all costs its own rounding, no more."""
    parameters, is_known = mixture(covariance_type), np.array(PATTERNS[0])
    rows = np.random.default_rng(5).integers(-8, 8, (6, 2)).astype(float)
    parameters = replace(parameters, means=np.round(parameters.means))
    near = conditional(parameters, is_known).expected(rows)
    far = conditional(parameters.shifted(np.full(4, 2.0**30)), is_known).expected(rows + 2.0**30)
    assert_allclose(far - 2.0**30, near, rtol=0.0, atol=2.0**30 * np.finfo(float).eps)


@each_family
def test_a_plain_mixture_has_a_posteriors_densities(covariance_type):
    found = posterior(covariance_type)
    rows = np.random.default_rng(6).normal(scale=3.0, size=(20, 4))
    same = plain(found)
    assert same.weights.sum() < 0.9
    assert_allclose(densities.log_densities(same, rows), densities.log_densities(found, rows), rtol=1e-12)
    parameters = mixture(covariance_type)
    assert plain(parameters) is parameters


@each_family
@pytest.mark.parametrize("is_known", PATTERNS)
def test_of_a_posterior_missing_features_are_integrated_out(covariance_type, is_known):
    """∫ exp E[log N(x | μ, Λ)] dx_m leaves the constants, and (2π)^{m/2} |C|^{1/2}."""
    whole, is_known = posterior(covariance_type), np.array(is_known)
    found = conditional(plain(whole), is_known)
    n_missing = len(found.missing)
    matrices = found.of_known.family.to_matrices(found.covariances, 3, n_missing)
    half_log_determinants = 0.5 * np.linalg.slogdet(matrices)[1]
    expected = whole.log_constants + 0.5 * n_missing * LOG_2_PI + half_log_determinants
    assert_allclose(found.of_known.log_constants, expected, rtol=1e-12)
