"""What a stack of models says of itself: its table of features, and how precise sums have to be."""

import numpy as np
import pytest

from dgmm.kernels.stacking import stack_models
from tests.model import naive


@pytest.mark.parametrize(
    ("families", "has_norm", "n_table"),
    [(["spherical"], True, 4), (["tied"], False, 4), (["diag"], False, 6), (["spherical", "full"], True, 7)],
)
def test_only_features_that_a_family_has_are_in_the_table(families, has_norm, n_table):
    generator = np.random.default_rng(1)
    models = [naive.random_parameters(generator, name, 2, 2) for name in families]
    ready = stack_models(models, np.zeros(2), np.ones(2), np.float64)
    assert (ready.has_norm, ready.n_table) == (has_norm, n_table)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_how_far_squares_may_exceed_variances(dtype):
    """As many times as leave a relative error of 1e-6 of a variance, or 1e-3 of float32: 1e-2 for starts."""
    model = naive.random_parameters(np.random.default_rng(5), "full", 2, 2, spread=0.1)
    ready = stack_models([model], np.zeros(2), np.ones(2), dtype)
    assert ready.dtype == dtype
    error = {np.float32: 1e-3, np.float64: 1e-6}[dtype]
    assert ready.largest_ratio == pytest.approx(error / np.finfo(dtype).eps)
    rough = stack_models([model], np.zeros(2), np.ones(2), dtype, reaches=[np.ones((2, 2))])
    expected = 1e-2 if dtype == np.float32 else 1e-6
    assert rough.largest_ratio == pytest.approx(expected / np.finfo(dtype).eps)
