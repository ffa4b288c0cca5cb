"""Values drawn in the place of those that rows lack."""

import numpy as np
import pytest

from dgmm.data import open_dataset
from dgmm.fitting.filling import FILLING, Filling, correlations_of, filling_of, in_patterns
from dgmm.fitting.sample import Sample
from dgmm.fitting.survey import survey
from dgmm.model.families import FAMILIES
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.parameters import Parameters
from tests.model import naive


def sample_of(rows, weights=None):
    numbers = np.arange(len(rows))
    return Sample(numbers.astype(np.uint64), numbers, rows, weights)


def filling_for(rows, seed=0, weights=None):
    return filling_of(sample_of(rows, weights), FeatureMoments.of(rows, weights), seed)


@pytest.fixture
def normal():
    covariance = np.array([[2.0, 1.2, 0.3], [1.2, 1.0, -0.2], [0.3, -0.2, 4.0]])
    mean = np.array([1.0, -2.0, 30.0])
    return Parameters.from_covariances(FAMILIES["full"], np.ones(1), mean[None], covariance[None])


def test_what_is_drawn_has_the_conditional_moments(normal):
    """Of rows that have the second feature: its regression, and the covariance about that."""
    n_rows = 200_000
    values = np.random.default_rng(1).normal(-2.0, 1.0, n_rows)
    rows = np.column_stack([np.full(n_rows, np.nan), values, np.full(n_rows, np.nan)])
    drawn = Filling(normal, 5)(rows, np.arange(n_rows))
    np.testing.assert_array_equal(drawn[:, 1], values)
    slopes = np.array([1.2, -0.2])
    rest = drawn[:, [0, 2]] - ([1.0, 30.0] + (values[:, None] + 2.0) * slopes)
    within = np.array([[2.0, 0.3], [0.3, 4.0]]) - np.outer(slopes, slopes)
    errors = np.sqrt(np.diagonal(within) / n_rows)
    assert (np.abs(rest.mean(axis=0)) < 4.0 * errors).all()
    np.testing.assert_allclose(np.cov(rest.T), within, atol=4.0 * np.sqrt(2.0 / n_rows) * 4.0)
    assert np.abs(np.corrcoef(rest[:, 0], values)[0, 1]) < 4.0 / np.sqrt(n_rows)


def test_rows_are_drawn_by_their_numbers(normal):
    """Whatever they are cut into, and whoever is beside them; another seed draws others."""
    generator = np.random.default_rng(2)
    rows = naive.with_missing(generator, generator.normal(size=(300, 3)))
    filling = Filling(normal, 3)
    whole = filling(rows, np.arange(300))
    assert np.isfinite(whole).all()
    known = ~np.isnan(rows)
    np.testing.assert_array_equal(whole[known], rows[known])
    order = generator.permutation(300)
    np.testing.assert_allclose(filling(rows[order], order), whole[order], rtol=1e-13, atol=1e-13)
    other = Filling(normal, 4)(rows, np.arange(300))
    assert (other[~known] != whole[~known]).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_distribution_is_that_of_the_rows(normal, weighted):
    """Half the values of a feature are missing where another is large: their mean is found all the same."""
    generator = np.random.default_rng(3)
    rows = naive.random_rows(generator, normal, 8000)
    weights = generator.gamma(1.0, size=len(rows)) if weighted else None
    rows[rows[:, 1] > -2.0, 0] = np.nan
    found = filling_for(rows, weights=weights).normal
    np.testing.assert_allclose(found.means[0], normal.means[0], atol=0.15)
    np.testing.assert_allclose(found.covariances[0], normal.covariances[0], atol=0.3)
    assert np.nanmean(rows[:, 0]) < 0.5
    roots = np.sqrt(np.diagonal(found.covariances[0]))
    np.testing.assert_allclose(correlations_of(found) * roots[:, None] * roots, found.covariances[0])


def test_features_that_do_not_vary_or_are_alone():
    generator = np.random.default_rng(4)
    rows = np.column_stack([np.full(50, 7.0), generator.normal(size=50), np.zeros(50)])
    rows[::3, 0] = rows[1::3, 2] = np.nan
    drawn = filling_for(rows)(rows, np.arange(50))
    np.testing.assert_allclose(drawn[:, 0], 7.0, rtol=1e-12)
    np.testing.assert_allclose(drawn[:, 2], 0.0, atol=1e-12)
    alone = rows[:, :1]
    assert np.isfinite(filling_for(alone)(alone, np.arange(50))).all()


def test_features_that_are_the_same():
    generator = np.random.default_rng(5)
    column = generator.normal(size=400)
    rows = np.column_stack([column, 2.0 * column, generator.normal(size=400)])
    rows[::2, 1] = np.nan
    drawn = filling_for(rows)(rows, np.arange(400))
    np.testing.assert_allclose(drawn[:, 1], 2.0 * column, atol=1e-2)


def test_many_features_are_drawn_each_for_itself():
    generator = np.random.default_rng(6)
    rows = naive.with_missing(generator, generator.normal(size=(60, FILLING.correlated_features + 1)))
    filling = filling_for(rows)
    assert not filling.normal.family.has_products
    assert np.isfinite(filling(rows, np.arange(60))).all()
    np.testing.assert_allclose(
        correlations_of(filling.normal), np.eye(FILLING.correlated_features + 1), atol=1e-12
    )


def test_float32_rows_stay():
    generator = np.random.default_rng(7)
    rows = naive.with_missing(generator, generator.normal(size=(60, 2)).astype(np.float32))
    assert filling_for(rows)(rows, np.arange(60)).dtype == np.float32


def test_rows_are_put_in_patterns_where_they_lack_anything():
    generator = np.random.default_rng(8)
    rows = naive.with_missing(generator, generator.normal(size=(200, 3)), n_patterns=5)
    sample = sample_of(rows, generator.gamma(1.0, size=200))
    found = in_patterns(sample, filling_for(rows))
    lacks = np.isnan(found.values)
    changes = (lacks[1:] != lacks[:-1]).any(axis=1).sum()
    assert changes == len(np.unique(lacks, axis=0)) - 1
    order = np.argsort(found.numbers)
    np.testing.assert_array_equal(found.values[order], rows)
    assert found.weights is not None
    np.testing.assert_array_equal(found.weights[order], sample.weights)
    assert in_patterns(sample, None) is sample


def test_features_that_are_zero_in_every_row():
    """As pixels at the border of a picture: squares of what is taken for their width are numbers, too."""
    generator = np.random.default_rng(0)
    rows = np.column_stack([np.zeros(60), generator.normal(size=(60, 2)), np.zeros(60)])
    rows[generator.random(rows.shape) < 0.2] = np.nan
    found = survey(open_dataset(rows), 100, 0, takes_nan=True)
    assert found.filling is not None
    whole = found.filling.sample(found.sample).values
    assert np.isfinite(whole).all()
    assert np.abs(whole[:, [0, 3]]).max() < 1e-100
