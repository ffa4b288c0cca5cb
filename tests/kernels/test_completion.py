"""Rows completed by the precisions of what they lack; see also test_rare_compiled.py."""

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
    assert rare.no_feature_is_known(one)
    rows = np.where(np.tri(6, dtype=bool), 3.0 + 0.01 * np.arange(6), np.nan)
    (found,), (expected,) = (kernel.eliminate(one, rows) for kernel in (compiled, rare))
    for name in ("deviations", "squares", "halves"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-7, atol=1e-8)
    shares = np.ones((6, 1))
    assert_allclose(found.within(shares), expected.within(shares), rtol=1e-7, atol=1e-8)


def test_covariances_of_what_rows_lack_are_added_up():
    """Of 21 rows, more than go side by side; one component's covariances, and those that all share."""
    completion = compiled_module("dgmm.kernels.completion")
    generator = np.random.default_rng(0)
    n_rows, n_features = 21, 4
    is_known = generator.random((n_rows, n_features)) < 0.5
    matrices = generator.normal(size=(n_rows, 3, n_features, n_features))
    shares = generator.random((n_rows, 3))
    for n_own in (3, 1):
        within = np.zeros((2, n_own, n_features * (n_features + 1) // 2, completion.LANES))
        expected = np.zeros((3, n_features, n_features))
        for row in range(n_rows):
            missing = (~is_known[row]).nonzero()[0]
            lower = np.tril_indices(len(missing))
            for k in range(3):
                own = matrices[row, min(k, n_own - 1)][: len(missing), : len(missing)]
                piece, lane = divmod(row, completion.LANES)
                within[piece, min(k, n_own - 1), : len(lower[0]), lane] = own[lower]
                expected[k][np.ix_(missing, missing)] += shares[row, k] * np.tril(own)
        sums = np.zeros_like(expected)
        completion.add_within(shares, is_known, within, np.empty(n_features, np.int64), sums)
        assert_allclose(sums, expected, rtol=1e-12, atol=1e-12)
