# pyright: reportArgumentType=false
"""Factors of rows add up to what a decomposition of all rows gives."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn import decomposition
from sklearn.decomposition import _pca

from dgmm.model.principal import (
    FACTORED_ROWS,
    CentredFactor,
    _log_evidence,
    gaussian_log_densities,
    minka_dimension,
    principal_axes,
    project,
    reconstruct,
)


@pytest.fixture
def rows():
    generator = np.random.default_rng(3)
    return generator.normal(size=(3 * FACTORED_ROWS + 17, 5)) @ generator.normal(size=(5, 5)) + 1e6


def test_the_factor_is_of_the_scatter(rows):
    found = CentredFactor.of(rows)
    deviations = rows - rows.mean(axis=0)
    assert found.n_rows == found.weight == len(rows)
    assert found.factor.shape == (5, 5)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.factor.T @ found.factor, deviations.T @ deviations, rtol=1e-9)


def test_parts_add_up_however_they_are_cut(rows):
    values, axes = principal_axes(CentredFactor.of(rows))
    for cuts in ([1], [2, 3, 5000], [4096]):
        parts = [CentredFactor.of(part) for part in np.split(rows, cuts)]
        total = sum(parts, CentredFactor.nothing(5))
        found_values, found_axes = principal_axes(total)
        np.testing.assert_allclose(found_values, values, rtol=1e-9)
        np.testing.assert_allclose(found_axes, axes, atol=1e-9)


def test_weights_count_rows(rows):
    counts = np.random.default_rng(0).integers(0, 4, len(rows))
    found = CentredFactor.of(rows, counts.astype(float))
    expected = CentredFactor.of(np.repeat(rows, counts, axis=0))
    assert (found.n_rows, found.weight) == (np.count_nonzero(counts), expected.weight)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(principal_axes(found)[0], principal_axes(expected)[0], rtol=1e-9)
    nothing = CentredFactor.of(rows, np.zeros(len(rows)))
    assert (nothing.n_rows, nothing.weight) == (0, 0.0)


def test_small_variances_beside_large_ones():
    """Squares would lose the second: it is 10⁻²⁰ of the first."""
    generator = np.random.default_rng(0)
    turn = np.linalg.qr(generator.normal(size=(2, 2)))[0]
    rows = (generator.normal(size=(5000, 2)) * [1.0, 1e-10]) @ turn
    expected = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(principal_axes(CentredFactor.of(rows))[0], expected, rtol=1e-4)


def test_fewer_rows_than_features():
    rows = np.random.default_rng(0).normal(size=(3, 6))
    values, axes = principal_axes(CentredFactor.of(rows[:2]) + CentredFactor.of(rows[2:]))
    assert (values.shape, axes.shape) == ((3,), (3, 6))
    expected = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(values, expected, atol=1e-14)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-14)


def test_axes_without_variance_do_not_depend_on_the_cut():
    rows = np.random.default_rng(0).normal(size=(4, 7))
    values, axes = principal_axes(CentredFactor.of(np.repeat(rows, 3, axis=0)))
    weighted = CentredFactor.of(rows[:3], np.full(3, 3.0)) + CentredFactor.of(rows[3:], np.full(1, 3.0))
    np.testing.assert_allclose(axes @ axes.T, np.eye(7), atol=1e-14)
    np.testing.assert_allclose(principal_axes(weighted)[1], axes, atol=1e-12)
    np.testing.assert_array_equal(values[3:], 0.0)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_minka_is_scikit_learns(rank):
    generator = np.random.default_rng(rank)
    rows = generator.normal(size=(300, 6))
    rows[:, :rank] *= 5.0
    expected = decomposition.PCA("mle", svd_solver="full").fit(rows)
    variances = decomposition.PCA().fit(rows).explained_variance_
    assert minka_dimension(variances, 300) == expected.n_components_ == rank


@pytest.mark.parametrize("n_rows", [7, 300])
@pytest.mark.parametrize("rank", range(1, 6))
def test_the_evidence_of_a_dimension_is_scikit_learns(rank, n_rows):
    variances = np.array([9.0, 4.0, 2.5, 1.0, 0.5, 1e-3])
    expected = _pca._assess_dimension(variances, rank, n_rows)
    assert _log_evidence(variances, rank, n_rows) == pytest.approx(expected, rel=1e-12)


def test_minka_where_variances_are_the_same_or_zero():
    assert minka_dimension(np.array([4.0, 1.0, 1.0, 0.0]), 100) == 1
    assert minka_dimension(np.array([2.0]), 100) == 0


def test_projections_and_back(rows):
    values, axes = principal_axes(CentredFactor.of(rows))
    for widths in (None, values):
        coordinates = project(rows, rows.mean(axis=0), axes, widths)
        unit = 1.0 if widths is None else widths
        np.testing.assert_allclose(coordinates * unit, (rows - rows.mean(axis=0)) @ axes.T, atol=1e-8)
        np.testing.assert_allclose(
            reconstruct(coordinates, rows.mean(axis=0), axes, widths), rows, rtol=1e-12
        )


def test_log_densities_of_a_normal_distribution():
    generator = np.random.default_rng(0)
    factor, mean, rows = (generator.normal(size=shape) for shape in ((3, 3), 3, (20, 3)))
    covariance = factor @ factor.T + np.eye(3)
    expected = multivariate_normal.logpdf(rows, mean, covariance)
    np.testing.assert_allclose(
        gaussian_log_densities(rows, mean, np.linalg.inv(covariance)), expected, rtol=1e-12
    )
