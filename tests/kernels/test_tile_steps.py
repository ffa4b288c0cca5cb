"""What compiled loops do with one tile, each step beside NumPy; test_kernel.py compares the whole."""

import numpy as np
import pytest

pytest.importorskip("numba")


from dgmm.kernels import tile_steps
from dgmm.model.jit import REORDERED, compiled

N_ROWS, N_COMPONENTS = 19, 4


@compiled(REORDERED)
def normalized(densities, weights, negligible, largest, totals):
    return tile_steps.normalize(densities, weights, negligible, largest, totals, len(largest), largest[:0])


@pytest.mark.parametrize("is_weighted", [False, True])
def test_responsibilities_are_those_of_log_sum_exp(is_weighted):
    """Of a row far from all components, and of one that is near one alone, too."""
    generator = np.random.default_rng(0)
    log_joint = generator.normal(0.0, 20.0, (N_COMPONENTS, N_ROWS))
    log_joint[:, 0] -= 1e5
    weights = generator.uniform(0.0, 2.0, N_ROWS if is_weighted else 0)
    shares, largest, totals = log_joint.copy(), np.empty(N_ROWS), np.empty(N_ROWS)
    log_likelihood = normalized(shares, weights, -1e3, largest, totals)
    expected, own = np.logaddexp.reduce(log_joint, axis=0), weights if is_weighted else np.ones(N_ROWS)
    np.testing.assert_allclose(largest, expected, rtol=1e-13)
    np.testing.assert_allclose(shares, own * np.exp(log_joint - expected), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(log_likelihood, own @ expected, rtol=1e-13)


def test_responsibilities_that_are_negligible_are_zero():
    log_joint = np.array([[0.0, -50.0], [-50.0, 0.0]])
    shares = log_joint.copy()
    normalized(shares, np.empty(0), -40.0, np.empty(2), np.empty(2))
    np.testing.assert_array_equal(shares, np.eye(2))


@pytest.mark.parametrize("places", [[2, 2, 2, 2, 2], [0, 1, 2, 1, 0]])
def test_log_priors_are_those_of_the_place_of_each_row(places):
    """Rows of one place, which are often together, go another way."""
    generator = np.random.default_rng(1)
    log_priors, densities = generator.normal(size=(2, 3)), generator.normal(size=(2, 5))
    expected = densities + log_priors[:, places]
    tile_steps.add_log_priors(log_priors, np.array(places), densities)
    np.testing.assert_array_equal(densities, expected)


@pytest.mark.parametrize("groups", [[1, 1, 1, 1, 1], [0, 1, 0, 1, 1]])
def test_counts_are_sums_of_responsibilities_by_group(groups):
    shares = np.random.default_rng(2).uniform(size=(3, 5))
    counts = np.zeros((3, 2))
    tile_steps.count(shares, np.array(groups), counts)
    expected = [[own[np.equal(groups, group)].sum() for group in range(2)] for own in shares]
    np.testing.assert_allclose(counts, expected, rtol=1e-14)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_squares_are_of_deviations(is_weighted):
    generator = np.random.default_rng(3)
    factors, weights = generator.normal(size=(5, 7)), generator.uniform(size=7 if is_weighted else 0)
    squares = np.ones(3)
    tile_steps.add_squares(factors, weights, 7, squares)
    own = weights if is_weighted else np.ones(7)
    np.testing.assert_allclose(squares, 1.0 + factors[2:] ** 2 @ own, rtol=1e-14)
