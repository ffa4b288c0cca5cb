"""Rows put together by what they lack."""

import numpy as np
import pytest

from dgmm.kernels import patterns
from dgmm.kernels.patterns import by_pattern, grouped, patterns_of
from dgmm.model.jit import compiled_module
from tests.model import naive


@pytest.fixture(params=["compiled", "numpy"], autouse=True)
def way(request, monkeypatch):
    """By the compiled loop where Numba is installed, and by NumPy."""
    module = compiled_module("dgmm.kernels.grouping") if request.param == "compiled" else None
    monkeypatch.setattr(patterns, "ready_module", lambda name: module)


@pytest.mark.parametrize("n_features", [1, 7, 8, 9, 16, 17, 40, 64, 65])
def test_patterns(n_features):
    """Each row is in the pattern that it has, once, and in its order."""
    generator = np.random.default_rng(7)
    rows = naive.with_missing(generator, generator.normal(size=(500, n_features)), n_patterns=9)
    seen, ways = np.zeros(len(rows), int), []
    for is_known, which, own in patterns_of(rows):
        ways.append(is_known.tobytes())
        seen[which] += 1
        np.testing.assert_array_equal(own, rows[which])
        np.testing.assert_array_equal(np.isnan(own), np.tile(~is_known, (len(own), 1)))
        assert (np.diff(which) > 0).all()
    assert (seen == 1).all()
    assert len(set(ways)) == len(ways) == len(np.unique(np.isnan(rows), axis=0))


@pytest.mark.parametrize("n_features", [20, 70])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_row_may_have_a_pattern_of_its_own(n_features, dtype):
    generator = np.random.default_rng(8)
    lacks = np.unique(generator.random((400, n_features)) < 0.5, axis=0)
    found = grouped(np.where(lacks, np.nan, 1.0).astype(dtype))
    np.testing.assert_array_equal(found.sizes, np.ones(len(lacks)))
    np.testing.assert_array_equal(np.isnan(found.rows), ~found.known)


@pytest.mark.parametrize("n_features", [1, 3, 9, 40, 64])
def test_patterns_come_in_the_order_of_their_first_rows(n_features):
    """Whatever finds them: sums over patterns have the same bits."""
    generator = np.random.default_rng(n_features)
    lacks = generator.random((300, n_features)) < 0.3
    found = grouped(np.where(lacks, np.nan, 1.0))
    _, firsts, wanted = np.unique(lacks, axis=0, return_index=True, return_inverse=True)
    numbers = np.argsort(np.argsort(firsts))[wanted.ravel()]
    assert found.order is not None
    np.testing.assert_array_equal(found.order, np.argsort(numbers, kind="stable"))
    np.testing.assert_array_equal(found.sizes, np.bincount(numbers))


def test_no_rows_have_no_patterns():
    found = grouped(np.empty((0, 3)))
    assert (len(found.rows), len(found.ends), found.known.shape) == (0, 0, (0, 3))


def test_some_patterns():
    generator = np.random.default_rng(9)
    rows = naive.with_missing(generator, generator.normal(size=(300, 4)), n_patterns=6)
    given = generator.random((2, 300))
    found = grouped(rows, given)
    chosen = np.arange(len(found.known)) % 2 == 1
    some = found.of(chosen)
    np.testing.assert_array_equal(some.known, found.known[chosen])
    own, weights = some.rows, some.weights
    assert weights is not None
    for is_known, segment in zip(some.known, some.segments, strict=True):
        which = np.flatnonzero((~np.isnan(rows) == is_known).all(axis=1))
        np.testing.assert_array_equal(own[segment], rows[which])
        np.testing.assert_array_equal(weights[:, segment], given[:, which])
    assert found.of(np.ones(len(chosen), bool)) is found


@pytest.mark.parametrize("n_features", [5, 30])
def test_rows_that_are_together_stay_where_they_are(n_features):
    generator = np.random.default_rng(10)
    rows = naive.with_missing(generator, generator.normal(size=(300, n_features)), n_patterns=6)
    order = by_pattern(rows)
    np.testing.assert_array_equal(np.sort(order), np.arange(300))
    np.testing.assert_array_equal(by_pattern(rows[order]), np.arange(300))
    memory = np.empty(rows.nbytes + 8, np.uint8)
    found = grouped(rows, memory=memory)
    np.testing.assert_array_equal(found.rows, rows[order])
    np.testing.assert_array_equal(grouped(rows[order], memory=memory).rows, rows[order])
