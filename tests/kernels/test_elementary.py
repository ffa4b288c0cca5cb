"""Exponentials and logarithms of the compiled loop, against NumPy's in long double."""

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit

from dgmm.kernels import elementary


def of_each(function):
    """Compile a loop that applies a compiled function to each number."""

    @njit
    def apply(x):
        out = np.empty_like(x)
        for i in range(len(x)):
            out[i] = function(x[i])
        return out

    return apply


exponentials, logarithms = of_each(elementary.exponential), of_each(elementary.logarithm)


@pytest.mark.parametrize(("dtype", "lowest"), [(np.float64, -700.0), (np.float32, -80.0)])
def test_exponential_to_a_few_roundings(dtype, lowest):
    """Of the result, and of x, which changes the result by |x| times as much."""
    generator = np.random.default_rng(0)
    x = np.concatenate([np.linspace(lowest, 0.0, 100_001), -(generator.exponential(size=100_000) ** 8)])
    x = np.maximum(x, lowest).astype(dtype)
    expected = np.exp(x.astype(np.longdouble))
    error = np.abs(exponentials(x) - expected) / expected
    assert (error / (2 + np.abs(x))).max() < np.finfo(dtype).eps
    assert exponentials(np.zeros(1, dtype))[0] == 1.0


def test_logarithm_to_two_units_in_the_last_place():
    generator = np.random.default_rng(0)
    x = np.concatenate([1.0 + generator.exponential(size=100_000) ** 6, np.geomspace(1e-300, 1e300, 100_001)])
    expected = np.log(x.astype(np.longdouble))
    scale = np.maximum(np.abs(expected), np.finfo(float).tiny)
    assert (np.abs(logarithms(x) - expected) / scale).max() < 2 * np.finfo(float).eps
    assert logarithms(np.ones(1))[0] == 0.0
