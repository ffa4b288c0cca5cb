# pyright: reportPrivateUsage=false
"""Compiled factors of small precision matrices, against NumPy's."""

import numpy as np
import pytest

pytest.importorskip("numba")

from dgmm.model import factors, matrices


def covariances(n_components: int, n_features: int) -> np.ndarray:
    """Random ones, of very different scales."""
    rng = np.random.default_rng(n_features)
    roots = rng.normal(size=(n_components, n_features, n_features))
    scales = 10.0 ** rng.uniform(-4, 4, (n_components, n_features))
    return (roots @ roots.swapaxes(1, 2) + 0.1 * np.eye(n_features)) * scales[:, :, None] * scales[:, None, :]


@pytest.mark.parametrize("n_features", [1, 2, 5, 16])
def test_they_are_transposed_inverses_of_cholesky_factors(n_features):
    given = covariances(4, n_features)
    bad, found = factors.precision_factors(given)
    assert bad == -1
    expected = np.linalg.inv(np.linalg.cholesky(given)).swapaxes(1, 2)
    sizes = np.abs(expected).max(axis=2, keepdims=True)
    np.testing.assert_allclose(found / sizes, expected / sizes, atol=1e-9)
    np.testing.assert_array_equal(np.tril(found, -1), 0.0)
    whitened = found.swapaxes(1, 2) @ given @ found
    np.testing.assert_allclose(whitened, np.broadcast_to(np.eye(n_features), given.shape), atol=1e-8)


@pytest.mark.parametrize("place", [0, 2, 3])
@pytest.mark.parametrize("fault", ["negative", "copied", "not a number"])
def test_the_first_that_is_not_positive_definite_is_named(place, fault):
    given = covariances(4, 3)
    if fault == "negative":
        given[place] *= -1.0
    elif fault == "copied":
        given[place, :, 2], given[place, 2, :] = given[place, :, 1], given[place, 1, :]
        given[place, 2, 2] = given[place, 1, 1]
    else:
        given[place, 1, 1] = np.nan
    bad, found = factors.precision_factors(given)
    assert bad == place == matrices._factored(given)[0]
    _, sound = factors.precision_factors(given[:place])
    np.testing.assert_array_equal(found[:place], sound)


@pytest.mark.parametrize("n_components", [1, 3, 40])
@pytest.mark.parametrize("n_features", [1, 2, 3, 7, 16, 32])
def test_numpy_gives_the_same_bits(n_components, n_features):
    """So that it does not matter what was compiled before."""
    given = covariances(n_components, n_features)
    before = given.copy()
    for own, other in zip(factors.precision_factors(given), matrices._factored(given), strict=True):
        np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(given, before)
