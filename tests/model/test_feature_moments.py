"""Moments of features over their observed values."""

import numpy as np
import pytest

from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.statistics import Moments
from tests.model import naive


@pytest.fixture
def rows():
    generator = np.random.default_rng(1)
    rows = naive.with_missing(generator, generator.normal([0.0, 1e6, -3.0, 0.0], size=(500, 4)))
    rows[7] = np.nan
    return rows


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_of_the_values_that_are_there(rows, weighted):
    weights = np.random.default_rng(2).gamma(1.0, size=len(rows)) if weighted else np.ones(len(rows))
    parts = np.split(np.arange(len(rows)), [1, 7, 8, 200])
    found = FeatureMoments.nothing(4)
    for part in parts:
        found += FeatureMoments.of(rows[part], weights[part] if weighted else None)
    assert found.n_rows == 500
    assert found.n_empty == np.isnan(rows).all(axis=1).sum()
    assert found.weight == pytest.approx(weights.sum())
    for feature, column in enumerate(rows.T):
        known = ~np.isnan(column)
        own, weight = column[known], weights[known]
        assert found.weights[feature] == pytest.approx(weight.sum())
        assert found.mean[feature] == pytest.approx(np.average(own, weights=weight), rel=1e-14)
        variance = np.cov(own, aweights=weight, ddof=0)
        assert found.variances[feature] == pytest.approx(float(variance), rel=1e-9)
        assert (found.minimum[feature], found.maximum[feature]) == (own.min(), own.max())


def test_complete_and_incomplete_rows_add_up(rows):
    lacks = np.isnan(rows).any(axis=1)
    together = FeatureMoments.of_complete(Moments.of(rows[~lacks])) + FeatureMoments.of(rows[lacks])
    whole = FeatureMoments.of(rows)
    for name in ("weights", "mean", "squares", "minimum", "maximum"):
        np.testing.assert_allclose(getattr(together, name), getattr(whole, name), rtol=1e-9)
    assert (together.n_rows, together.n_empty) == (whole.n_rows, whole.n_empty)


def test_completed_moments_have_the_variances_and_the_correlations(rows):
    found = FeatureMoments.of(rows)
    correlations = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
    moments = found.completed(correlations)
    covariance = moments.scatter / moments.weight
    np.testing.assert_allclose(np.diagonal(covariance), found.variances, rtol=1e-14)
    roots = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose(covariance / roots[:, None] / roots, correlations, rtol=1e-12)
    np.testing.assert_allclose(found.completed(None).squares, moments.squares)


def test_a_column_without_values():
    rows = np.array([[1.0, np.nan], [3.0, np.nan]])
    found = FeatureMoments.of(rows)
    np.testing.assert_array_equal(found.weights, [2.0, 0.0])
    assert found.minimum[1] > found.maximum[1]
    assert found.variances[1] == 0.0
