# pyright: reportPrivateUsage=false
"""Patterns of rows, and their places, against NumPy."""

import numpy as np
import pytest

tied_tiles = pytest.importorskip("dgmm.kernels.tied_tiles")

from dgmm.kernels import tied  # noqa: E402


def test_covariances_of_what_is_missing_are_inverses_of_precisions():
    generator = np.random.default_rng(0)
    factor = generator.normal(size=(6, 9))
    precision, places = factor @ factor.T, np.array([4, 1, 5], np.int32)
    lower, inverse, within = np.zeros((6, 6)), np.zeros((6, 6)), np.ones((3, 3))
    half = tied_tiles._invert(places, precision, lower, inverse, within)
    wanted = np.linalg.inv(precision[np.ix_(places, places)])
    np.testing.assert_allclose(within, wanted, rtol=1e-11, atol=1e-12)
    assert half == pytest.approx(0.5 * np.linalg.slogdet(wanted)[1], rel=1e-11)


@pytest.mark.parametrize("n_features", [5, 64, 70])
def test_patterns_are_numbered_as_they_first_come(n_features):
    generator = np.random.default_rng(1)
    lacks = np.eye(6, n_features, n_features - 5, dtype=bool)  # the last lacks nothing
    which = generator.integers(6, size=200)
    rows = np.where(lacks[which], np.nan, 1.0)
    shared = tied.Shared(np.pad(np.eye(n_features), ((0, 0), (0, 3))), np.zeros((n_features, 2)))
    patterns, room = tied.Patterns.of(2, n_features), tied.Room.of(n_features)
    assert tied_tiles._number_rows(rows, shared, patterns, room) == 200
    numbers, first = room.numbers[:200], [*dict.fromkeys(which.tolist())]
    np.testing.assert_array_equal(np.array(first)[numbers], which)
    for number, pattern in enumerate(first):
        places = patterns.places[number, : patterns.n_missing[number]]
        np.testing.assert_array_equal(places, np.flatnonzero(lacks[pattern]))


def test_rows_are_sorted_by_pattern():
    numbers = np.random.default_rng(2).integers(5, size=60)
    ends, order = np.ones(7, np.int64), np.zeros(60, np.int64)
    tied_tiles._sort_rows(numbers, ends, order)
    np.testing.assert_array_equal(order, np.argsort(numbers, kind="stable"))
    np.testing.assert_array_equal(ends, np.cumsum(np.bincount(numbers, minlength=7)))
