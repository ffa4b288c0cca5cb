"""The mixture that an imputer takes where it is given none: the mean of several."""
# pyright: reportArgumentType=false

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

from dgmm import GaussianMixtureSweep, MixtureImputer, open_dataset
from dgmm.estimators.averaged import AVERAGING, fit_average, hidden, most_components
from dgmm.estimators.standardized import centre_and_widths
from tests.estimators.test_imputing import by_hand, complete_rows, with_holes


@pytest.fixture
def rows():
    return with_holes(complete_rows(by_hand(), 60), share=0.2)


@pytest.mark.filterwarnings("ignore:The best model")  # of one among several
def test_the_density_is_the_mean_of_those_of_all_sizes(rows):
    found = fit_average(open_dataset(rows), None, "mean", 0)
    centre, widths = centre_and_widths(rows, np.ones(len(rows)))
    sweep = GaussianMixtureSweep(
        range(1, most_components(len(rows), rows.shape[1], found.reg_covar) + 1),
        covariance_type=AVERAGING.covariance_types,
        reg_covar=found.reg_covar,
        max_iter=AVERAGING.max_iter,
        missing="marginalize",
        random_state=np.random.RandomState(0).randint(2**31 - 1, size=3)[2],
    ).fit((rows - centre) / widths)
    own = [each.score_samples((rows - centre) / widths) for each in sweep.estimators_ if each is not None]
    of_one = sweep.results_["n_components"] == 1  # counts once, not for each family
    each = np.array([one for one, alone in zip(own, of_one, strict=True) if not alone] + own[:1])
    expected = logsumexp(each, axis=0) - np.log(len(each))
    known = ~np.isnan(rows)
    assert_allclose(found.score_samples(rows), expected - known @ np.log(widths), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["mean", "sample"])
def test_hidden_values_decide_what_is_added_to_variances(method):
    """Of features that tell each other to a thousandth little is; of noise in few rows, much."""
    generator = np.random.default_rng(0)
    line = generator.normal(size=(100, 1)) * np.ones(4) + 1e-3 * generator.normal(size=(100, 4))
    assert fit_average(open_dataset(line), None, method, 0).reg_covar == AVERAGING.ridges[0]
    noise = generator.normal(size=(25, 12))
    assert fit_average(open_dataset(noise), None, method, 0).reg_covar >= 0.1


def test_units_do_not_matter(rows):
    units = np.array([2.0**-30, 1.0, 2.0**20])
    found, expected = (MixtureImputer(random_state=0).fit_transform(each) for each in (rows * units, rows))
    assert_allclose(found, expected * units, rtol=1e-8)


def test_rows_without_weight_or_values_say_nothing(rows):
    weights = np.random.default_rng(0).integers(0, 3, len(rows)).astype(float)
    expected = MixtureImputer(random_state=0).fit(rows[weights > 0.0], sample_weight=weights[weights > 0.0])
    found = MixtureImputer(random_state=0).fit(rows, sample_weight=weights)
    assert_allclose(found.transform(rows), expected.transform(rows), rtol=1e-8)


def test_a_feature_that_does_not_vary_is_filled_with_its_value(rows):
    rows = np.concatenate([rows, np.full((len(rows), 1), 7.0)], axis=1)
    rows[::3, 3] = np.nan
    found = MixtureImputer(method="sample", random_state=0).fit_transform(rows)
    assert_allclose(found[:, 3], 7.0, atol=0.03)


def test_half_of_what_is_known_is_hidden_at_the_most():
    generator = np.random.default_rng(2)
    rows = np.where(generator.random((400, 5)) < 0.3, np.nan, 1.0)
    rows[:, 4] = np.nan
    rows[0, 4] = 1.0
    is_hidden, is_known = hidden(rows, 0), ~np.isnan(rows)
    assert not is_hidden[~is_known].any()
    for axis in (0, 1):
        assert (2 * is_hidden.sum(axis=axis) <= is_known.sum(axis=axis)).all()
    assert 0.05 < is_hidden.sum() / is_known.sum() < 0.12
    assert_array_equal(hidden(rows, 0), is_hidden)
    assert not hidden(rows[:1, :1], 0).any()


def test_components_are_more_where_rows_are():
    for ridge in AVERAGING.ridges:
        assert most_components(1, 1, ridge) == most_components(5, 10, ridge) == 1
        assert most_components(3 * 2 * 11, 10, ridge) == 2
    assert most_components(1000, 10, 1e-3) == AVERAGING.few_components
    assert most_components(10**6, 10, 1e-3) == AVERAGING.most_components
    assert most_components(1000, 10, AVERAGING.least_ridge) == AVERAGING.ridged_components
