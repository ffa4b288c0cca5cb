"""Rows completed by the precisions of what they lack; see also test_rare_compiled.py."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgmm.kernels import compiled, rare
from dgmm.model.families import FAMILIES
from dgmm.model.jit import compiled_module
from dgmm.model.parameters import Parameters

pytestmark = pytest.mark.skipif(
    compiled_module("dgmm.kernels.completion") is None, reason="nothing is compiled here"
)


def test_others_are_completed_to_what_is_asked_of_densities():
    """The most that a feature may be known, of both ways: of six features that go together."""
    covariance = np.ones((6, 6)) + 1.2e-4 * np.eye(6)
    one = Parameters.from_covariances(FAMILIES["full"], np.ones(1), np.zeros((1, 6)), covariance[None])
    assert rare.can_be_completed(one)
    rows = np.where(np.tri(6, dtype=bool), 3.0 + 0.01 * np.arange(6), np.nan)
    (found,), (expected,) = (kernel.eliminate(one, rows) for kernel in (compiled, rare))
    for name in ("squares", "halves"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-7, atol=1e-8)
    given = np.ones((6, 1)), np.zeros((1, 6)), False
    for own, other in zip(found.sums(*given), expected.sums(*given), strict=True):
        assert_allclose(own, other, rtol=1e-7, atol=1e-8)


def test_components_that_share_a_covariance_may_be_as_far_apart():
    """As is let through: log densities and regressions are those of elimination to what rounding leaves."""
    generator = np.random.default_rng(1)
    matrix = generator.normal(size=(5, 5))
    covariance = matrix @ matrix.T + np.eye(5)
    means = generator.normal(size=(3, 5))
    means -= means.mean(axis=0)
    gaps = np.linalg.solve(covariance, means.T)
    means *= 0.999 * np.sqrt(rare.MOST_APART / (means * gaps.T).sum(axis=1).max())
    far = Parameters.from_covariances(FAMILIES["tied"], np.full(3, 1 / 3), means, covariance)
    assert rare.can_be_completed(far)
    assert not rare.can_be_completed(replace(far, means=1.01 * means))
    rows = np.repeat(means, 4, axis=0) + generator.normal(size=(12, 5))
    rows[generator.random(rows.shape) < 0.3] = np.nan
    (found,), (expected,) = (kernel.eliminate(far, rows) for kernel in (compiled, rare))
    own = np.arange(12), np.repeat(np.arange(3), 4)
    assert_allclose(found.squares[own], expected.squares[own], rtol=0, atol=1e-8)
    shares = np.eye(3)[own[1]]
    for given in ((shares, means, False), (shares, means, True)):
        for one, other in zip(found.sums(*given), expected.sums(*given), strict=True):
            assert_allclose(one, other, rtol=0, atol=1e-6)  # of squares of 1e6


@pytest.mark.parametrize("is_pooled", [False, True])
@pytest.mark.parametrize("n_own", [3, 1])
def test_what_rows_lack_is_added_up(n_own, is_pooled):
    """Of 21 rows, more than go side by side; covariances of each component, and one that all share."""
    completion = compiled_module("dgmm.kernels.completion")
    generator = np.random.default_rng(0)
    n_rows, n_features, pieces = 21, 4, 2
    is_known = generator.random((n_rows, n_features)) < 0.5
    shares = generator.random((n_rows, 3))
    within = generator.normal(size=(pieces, n_own, n_features * (n_features + 1) // 2, completion.LANES))
    filled = generator.normal(size=(pieces, 3, n_features, completion.LANES))
    n_sums = 1 if is_pooled else 3
    weighted, sums = np.zeros((n_sums, n_rows, n_features)), np.zeros((3, n_features))
    halves = np.zeros((n_sums, n_features, n_features))
    completion.add_filled(
        shares, is_known, within, filled, np.empty(n_features, np.int64), weighted, sums, halves
    )
    expected = tuple(np.zeros_like(each) for each in (weighted, sums, halves))
    for row, k in np.ndindex(shares.shape):
        missing = (~is_known[row]).nonzero()[0]
        (piece, lane), lower = divmod(row, completion.LANES), np.tril_indices(len(missing))
        mean, left = filled[piece, k, : len(missing), lane], np.zeros((len(missing), len(missing)))
        left[lower] = within[piece, min(k, n_own - 1), : len(lower[0]), lane]
        products = np.tril(np.outer(mean, mean)) + left
        np.fill_diagonal(products, 0.5 * np.diagonal(products))
        out = min(k, n_sums - 1)
        expected[0][out, row, missing] += shares[row, k] * mean
        expected[1][k, missing] += shares[row, k] * mean
        expected[2][out][np.ix_(missing, missing)] += shares[row, k] * products
    for one, other in zip((weighted, sums, halves), expected, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-12)
