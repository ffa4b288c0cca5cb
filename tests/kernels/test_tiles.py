# pyright: reportPrivateUsage=false
"""What the compiled loop is made of, against NumPy's functions."""

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit
from numba.core.dispatcher import Dispatcher

from dgmm.kernels import tiles


def of_each(function):
    """Compile a loop that applies a compiled function to each number."""

    @njit
    def apply(x):
        out = np.empty_like(x)
        for i in range(len(x)):
            out[i] = function(x[i])
        return out

    return apply


exponentials, logarithms = of_each(tiles.exponential), of_each(tiles.logarithm)


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


def test_compiled_functions_have_names_of_their_own():
    """What several processes compiled is linked by name: predictions were wrong where two had the same."""
    functions = [each for each in vars(tiles).values() if isinstance(each, Dispatcher)]
    names = [each.py_func.__qualname__ for each in functions]
    assert len(names) > 10
    assert len(set(names)) == len(names)
