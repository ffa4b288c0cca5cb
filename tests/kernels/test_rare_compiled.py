"""Rows that lack values, compiled: what NumPy's elimination of what is observed gives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgmm.kernels import compiled, rare
from dgmm.model.jit import compiled_module
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.regression import regress
from tests.model import naive

pytestmark = pytest.mark.skipif(
    compiled_module("dgmm.kernels.elimination") is None, reason="nothing is compiled here"
)


@pytest.fixture(params=["completed", "eliminated"])
def way(request, monkeypatch):
    """Complete rows by precisions, or eliminate what is observed, as where features are nearly known."""
    monkeypatch.setenv("DGMM_COMPILED", "1")
    monkeypatch.setattr(rare, "MOST_KNOWN", np.inf if request.param == "completed" else 0.0)


def eliminated(kernel, parameters, rows, shares):
    """All that is said of rows, in one batch."""
    (found,) = kernel.eliminate(parameters, rows)
    pooled = found.sums(shares, parameters.means[:1], True) if parameters.family.is_shared else ()
    return *found.sums(shares, parameters.means + 1.0, False), *pooled, found.squares, found.halves


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (2, 9), (1, 40)])
def test_it_eliminates_as_numpy_does(covariance_type, n_components, n_features):
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    rows = naive.random_rows(generator, parameters, 60)
    rows[generator.random(rows.shape) > 0.6] = np.nan
    rows[0], rows[1] = np.nan, 1.0
    shares = generator.dirichlet(np.ones(n_components), len(rows))
    before = rows.copy()
    found, expected = (eliminated(kernel, parameters, rows, shares) for kernel in (compiled, rare))
    np.testing.assert_array_equal(rows, before)
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_what_overflows_is_not_finite(covariance_type):
    """It is found by that: in the squares of its own row, and in no other."""
    parameters = naive.random_parameters(np.random.default_rng(0), covariance_type, 2, 3)
    rows = np.array([[1e300, -1e300, np.nan], [1.0, 2.0, np.nan]])
    (found,) = compiled.eliminate(parameters, rows)
    assert not np.isfinite(found.squares[0]).any()
    assert np.isfinite(found.squares[1]).all()
    assert np.isfinite(found.halves).all()


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (2, 9), (1, 40)])
def test_patterns_are_those_of_numpy(covariance_type, n_components, n_features):
    """Of 21, more than go side by side; one has all, one nothing."""
    generator = np.random.default_rng(1)
    covariances = naive.random_parameters(generator, covariance_type, n_components, n_features).covariances
    known = generator.random((21, n_features)) < 0.7
    known[3], known[20] = True, False
    found, expected = (function(covariances, known) for function in (compiled.regress, regress))
    precisions = [each.factors @ np.swapaxes(each.factors, 2, 3) for each in (found, expected)]
    for one, other in zip((precisions[0], *found[1:]), (precisions[1], *expected[1:]), strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-10)
    alone = compiled.regress(covariances, known[7:8])  # to the last bit: whatever goes beside it
    for one, other in zip(alone, found, strict=True):
        np.testing.assert_array_equal(one[0], other[7])


@pytest.mark.parametrize("left", [-1.0, 1e-17])
@pytest.mark.parametrize("known", [[True, True], [True, False]])
def test_covariances_that_are_not_positive_definite_are_refused(left, known):
    """Whether the feature that others tell is observed or not."""
    covariances = np.array([np.eye(2), [[1.0, 1.0], [1.0, 1.0 + left]]])
    for function in (compiled.regress, regress):
        with pytest.raises(DegenerateCovarianceError):
            function(covariances, np.array([[True, True], known]))
