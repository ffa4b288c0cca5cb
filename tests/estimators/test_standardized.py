"""Rows and mixtures in units of the features' own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgmm import GaussianMixture
from dgmm.estimators.standardized import centre_and_widths, in_units


def test_moments_are_of_what_is_observed():
    generator = np.random.default_rng(0)
    rows = generator.normal(5.0, [1e-3, 1.0, 1e6], size=(40, 3))
    rows[generator.random(rows.shape) < 0.3] = np.nan
    centre, widths = centre_and_widths(rows, None)
    assert_allclose(centre, np.nanmean(rows, axis=0), rtol=1e-12)
    assert_allclose(widths, np.nanstd(rows, axis=0), rtol=1e-9)
    counts = generator.integers(1, 4, len(rows))
    found = centre_and_widths(rows, counts.astype(float))
    assert_allclose(found, centre_and_widths(np.repeat(rows, counts, axis=0), None), rtol=1e-9)


@pytest.mark.parametrize(("least", "expected"), [(None, [1.0, 1.0, 1.0]), (0.5, [0.5, 0.05, 1e8])])
def test_features_that_do_not_vary_have_a_width(least, expected):
    rows = np.tile([0.0, -0.1, 2e8], (7, 1))
    rows[3] = np.nan
    _, widths = centre_and_widths(rows, None, least)
    assert_allclose(widths, expected, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_a_mixture_gives_the_density_in_units_of_the_features(covariance_type):
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    scaled = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(rows)
    centre, widths = np.array([3.0, -1e4]), np.array([1e-3, 50.0])
    found = in_units(scaled, centre, widths, np.dtype(np.float64))
    expected = scaled.score_samples(rows) - np.log(widths).sum()
    assert_allclose(found.score_samples(rows * widths + centre), expected, rtol=1e-8)
