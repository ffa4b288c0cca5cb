"""The compiled elimination of observed features: what NumPy's gives, of all rows at a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgmm.kernels import compiled, rare
from dgmm.model.jit import compiled_module
from tests.model import naive

pytestmark = pytest.mark.skipif(
    compiled_module("dgmm.kernels.elimination") is None, reason="nothing is compiled here"
)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (2, 9), (1, 40)])
def test_it_eliminates_as_numpy_does(covariance_type, n_components, n_features):
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    rows = naive.random_rows(generator, parameters, 60)
    is_known = generator.random(rows.shape) < 0.6
    is_known[0], is_known[1] = False, True
    deviations = np.where(is_known[:, None, :], rows[:, None, :] - parameters.means, 0.0)
    before = deviations.copy()
    found, expected = (kernel.eliminate(parameters, deviations, is_known) for kernel in (compiled, rare))
    assert (deviations == before).all()
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_what_overflows_is_not_finite(covariance_type):
    """It is found by that: in the squares of its own row, and in no other."""
    parameters = naive.random_parameters(np.random.default_rng(0), covariance_type, 2, 3)
    rows = np.array([[1e300, -1e300, 0.0], [1.0, 2.0, 0.0]])
    is_known = np.array([[True, True, False]] * 2)
    deviations = np.where(is_known[:, None, :], rows[:, None, :] - parameters.means, 0.0)
    _, _, squares, halves = compiled.eliminate(parameters, deviations, is_known)
    assert not np.isfinite(squares[0]).any()
    assert np.isfinite(squares[1]).all()
    assert np.isfinite(halves).all()
