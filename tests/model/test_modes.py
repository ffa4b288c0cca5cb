import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from dgmm.model.modes import highest_modes
from dgmm.model.parameters import Parameters
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def mixtures(covariance_type, n_mixtures, n_features, *, n_components=3, spread=0.8):
    """Mixtures that differ in weights and means, whose components overlap."""
    generator = np.random.default_rng(0)
    found = naive.random_parameters(generator, covariance_type, n_components, n_features, spread=spread)
    means = found.means[:, None] + spread * generator.normal(size=(n_components, n_mixtures, n_features))
    return found, np.log(generator.dirichlet(np.ones(n_components), n_mixtures)), means


def each_of(found, log_weights, means):
    for number, log_weight in enumerate(log_weights):
        yield Parameters(
            found.family,
            np.exp(log_weight),
            means[:, number],
            found.covariances,
            found.precisions_cholesky,
        )


def log_density(parameters, rows):
    return naive.split(naive.log_joint(parameters, rows))[0]


@each_family
def test_highest_modes_on_a_line(covariance_type):
    """No point of a fine grid is as likely."""
    found, log_weights, means = mixtures(covariance_type, 40, 1)
    modes = highest_modes(found.family, log_weights, means, found.precisions_cholesky)
    grid = np.linspace(-12.0, 12.0, 4801)[:, None]
    for mode, one in zip(modes, each_of(found, log_weights, means), strict=True):
        heights = log_density(one, grid)
        assert abs(mode - grid[heights.argmax()]) < 0.006
        assert log_density(one, mode[None])[0] >= heights.max() - 1e-12


@each_family
def test_highest_modes_in_space(covariance_type):
    """As high as an optimizer finds from every component's mean, and stationary."""
    found, log_weights, means = mixtures(covariance_type, 4, 3)
    modes = highest_modes(found.family, log_weights, means, found.precisions_cholesky)
    for number, one in enumerate(each_of(found, log_weights, means)):
        tried = [
            minimize(lambda x, one=one: -log_density(one, x[None])[0], start, method="BFGS", tol=1e-10)
            for start in means[:, number]
        ]
        best = min(tried, key=lambda each: each.fun)
        assert_allclose(log_density(one, modes[number][None])[0], -best.fun, atol=1e-9)
        assert_allclose(modes[number], best.x, atol=1e-4)


@each_family
def test_components_without_weight_have_no_part(covariance_type):
    found, log_weights, means = mixtures(covariance_type, 5, 2)
    log_weights[:] = [0.0, -np.inf, -np.inf]
    modes = highest_modes(found.family, log_weights, means, found.precisions_cholesky)
    assert_allclose(modes, means[0], rtol=1e-12)


def test_of_two_clusters_the_mode_is_in_the_denser():
    """A narrow component of less weight is denser than a wide one, and the mean is where no row is."""
    family = naive.random_parameters(np.random.default_rng(0), "spherical").family
    factors = 1.0 / np.array([3.0, 0.5])
    modes = highest_modes(family, np.log([[0.7, 0.3]]), np.array([[[-20.0]], [[20.0]]]), factors)
    assert_allclose(modes, [[20.0]])
