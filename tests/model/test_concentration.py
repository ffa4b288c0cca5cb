# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
"""Priors of weights against SciPy's distributions, and against what is true of any exponential family."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import beta, dirichlet

from dgmm.model.concentration import CONCENTRATIONS

DISTRIBUTION, PROCESS = CONCENTRATIONS["dirichlet_distribution"], CONCENTRATIONS["dirichlet_process"]
COUNTS = np.array([3.5, 0.0, 120.0, 7.25])
GIVEN = 0.3


@pytest.fixture(params=CONCENTRATIONS)
def kind(request):
    return CONCENTRATIONS[request.param]


def test_a_posterior_of_a_distribution_adds_counts():
    np.testing.assert_array_equal(DISTRIBUTION.prior(GIVEN, 4), [0.3] * 4)
    np.testing.assert_allclose(DISTRIBUTION.posterior(GIVEN, COUNTS), [3.8, 0.3, 120.3, 7.55], rtol=1e-15)


def test_a_stick_of_a_process_is_broken_for_its_rows_or_for_those_of_later_ones():
    np.testing.assert_array_equal(PROCESS.prior(GIVEN, 4), [[1.0] * 4, [0.3] * 4])
    expected = [[1.0 + own for own in COUNTS], [0.3 + sum(COUNTS[k + 1 :]) for k in range(4)]]
    np.testing.assert_allclose(PROCESS.posterior(GIVEN, COUNTS), expected, rtol=1e-15)


def test_one_component(kind):
    posterior = kind.posterior(GIVEN, np.array([5.0]))
    assert posterior.shape == kind.prior(GIVEN, 1).shape
    np.testing.assert_array_equal(kind.weights(posterior), [1.0])


def test_expected_logarithms_are_the_gradient_of_the_log_normalizer(kind):
    concentrations = kind.posterior(GIVEN, COUNTS)

    def log_normalizer(flat: np.ndarray) -> float:
        return kind.log_normalizer(flat.reshape(concentrations.shape))

    slope = approx_fprime(concentrations.ravel(), log_normalizer, 1e-7).reshape(concentrations.shape)
    np.testing.assert_allclose(kind.expected_logarithms(concentrations), slope, rtol=1e-5, atol=1e-5)


def test_the_log_normalizer_makes_the_density_integrate_to_one():
    x = np.array([0.2, 0.1, 0.4, 0.3])
    concentrations = DISTRIBUTION.posterior(GIVEN, COUNTS / 10)
    density = float((concentrations - 1.0) @ np.log(x)) - DISTRIBUTION.log_normalizer(concentrations)
    assert density == pytest.approx(dirichlet(concentrations).logpdf(x), rel=1e-12)
    first, second = sticks = PROCESS.posterior(GIVEN, COUNTS / 10)
    density = float((first - 1.0) @ np.log(x) + (second - 1.0) @ np.log1p(-x)) - PROCESS.log_normalizer(
        sticks
    )
    assert density == pytest.approx(float(beta(first, second).logpdf(x).sum()), rel=1e-12)


def test_weights_and_their_logarithms_are_expectations():
    concentrations = DISTRIBUTION.posterior(GIVEN, COUNTS)
    np.testing.assert_allclose(
        DISTRIBUTION.weights(concentrations), dirichlet(concentrations).mean(), rtol=1e-12
    )
    np.testing.assert_array_equal(
        DISTRIBUTION.log_weights(concentrations), DISTRIBUTION.expected_logarithms(concentrations)
    )
    sticks = PROCESS.posterior(GIVEN, COUNTS)
    broken = beta(*sticks).mean()
    pieces = [broken[k] * np.prod(1.0 - broken[:k]) for k in range(4)]
    np.testing.assert_allclose(PROCESS.weights(sticks), np.array(pieces) / sum(pieces), rtol=1e-12)
    own, left = PROCESS.expected_logarithms(sticks)
    expected = [own[k] + sum(left[:k]) for k in range(4)]
    np.testing.assert_allclose(PROCESS.log_weights(sticks), expected, rtol=1e-12)


def test_sampled_logarithms_have_that_mean(kind):
    """A check by simulation, within six of its own standard errors."""
    rng = np.random.default_rng(0)
    concentrations = kind.posterior(GIVEN, COUNTS + 1.0)
    if kind is DISTRIBUTION:
        logs = np.log(rng.dirichlet(concentrations, 20_000))
    else:
        first, second = concentrations
        sticks = rng.beta(first, second, (20_000, 4))
        left = np.cumsum(np.log1p(-sticks[:, :-1]), axis=1)
        logs = np.log(sticks) + np.append(np.zeros((20_000, 1)), left, axis=1)
    error = logs.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(logs.mean(axis=0) - kind.log_weights(concentrations)) < 6.0 * error).all()
