"""What rows are made into, against NumPy."""

import numpy as np
import pytest

pytest.importorskip("numba")

from dgmm.kernels import factors


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_rows", "n_features"), [(1, 1), (8, 8), (21, 3), (19, 13)])
def test_factors_are_lengths_ones_and_deviations(n_rows, n_features, dtype):
    """Of blocks that are transposed at once, and of rows and features beyond them."""
    generator = np.random.default_rng(0)
    rows, centre = (
        generator.normal(size=(n_rows, n_features)).astype(dtype),
        generator.normal(size=n_features),
    )
    every = np.empty(0, np.bool_)
    found = np.full((n_features + 2, n_rows), np.nan)
    factors.write_factors(rows, centre, every, found, True)
    deviations = rows.astype(np.float64) - centre
    np.testing.assert_allclose(found[2:], deviations.T, rtol=1e-15)
    np.testing.assert_array_equal(found[1], 1.0)
    np.testing.assert_allclose(found[0], (deviations**2).sum(axis=1), rtol=1e-13)


def test_what_is_missing_is_no_deviation():
    """Where patterns say so, and where flags do, which are 1 there."""
    generator = np.random.default_rng(0)
    rows, centre = generator.normal(size=(10, 9)), generator.normal(size=9)
    known = np.arange(9) % 3 > 0
    found = np.empty((11, 10))
    factors.write_factors(rows, centre, known, found, True)
    deviations = np.where(known, rows - centre, 0.0)
    np.testing.assert_allclose(found[2:], deviations.T, rtol=1e-15)
    np.testing.assert_allclose(found[0], (deviations**2).sum(axis=1), rtol=1e-13)
    lacks = generator.random(rows.shape) < 0.3
    flagged = np.empty((20, 10))
    factors.write_factors(np.where(lacks, np.nan, rows), centre, known[:0], flagged, False)
    np.testing.assert_array_equal(flagged[11:], lacks.T)
    np.testing.assert_allclose(flagged[2:11], np.where(lacks, 0.0, rows - centre).T, rtol=1e-15)


def test_products_are_of_pairs():
    generator = np.random.default_rng(0)
    own = generator.normal(size=(5, 12))
    pairs = np.array([[0, 0], [1, 4], [3, 2]])
    products = np.empty((3, 12))
    factors.write_products(own, pairs, products, 12)
    np.testing.assert_array_equal(products, own[pairs[:, 0]] * own[pairs[:, 1]])
