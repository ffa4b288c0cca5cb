"""Two mixtures side by side: against permutations, closed forms and what SciPy says of samples."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp
from sklearn.mixture import GaussianMixture as OfScikitLearn

from dgmm import GaussianMixture, open_dataset
from dgmm.estimators.comparing import compare, compare_on
from dgmm.estimators.errors import with_errors
from dgmm.estimators.parameters import attributes_of
from tests.model import naive


def mixture_of(parameters, covariance_type: str) -> GaussianMixture:
    made = GaussianMixture(parameters.n_components, covariance_type=covariance_type)
    for name, value in attributes_of(parameters, np.dtype(float)).items():
        setattr(made, name, value)
    made.n_features_in_ = parameters.n_features
    return made


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_components_in_another_order_are_found(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(0), covariance_type, 5, 3, spread=4.0)
    order = np.array([3, 0, 4, 1, 2])
    found = compare(
        mixture_of(parameters, covariance_type), mixture_of(parameters.chosen(order), covariance_type)
    )
    assert [order[j] for _, j in found.pairs] == [i for i, _ in found.pairs]
    np.testing.assert_allclose(found.distances, 0.0, atol=1e-10)
    np.testing.assert_allclose(found.divergence, 0.0, atol=1e-10)
    assert found.unmatched == ([], [])


def test_components_that_are_left_over_are_told():
    parameters = naive.random_parameters(np.random.default_rng(1), "full", 4, 2, spread=5.0)
    found = compare(mixture_of(parameters, "full"), mixture_of(parameters.chosen([2, 0]), "full"))
    assert sorted(map(tuple, found.pairs.tolist())) == [(0, 1), (2, 0)]
    assert found.unmatched == ([1, 3], [])


def test_the_test_is_that_of_differences_of_log_densities(tmp_path):
    """Whose z is a t statistic but for n − 1; and whatever the chunks are."""
    generator = np.random.default_rng(2)
    rows = np.concatenate([generator.normal(size=(300, 2)), generator.normal(2.0, 1.5, size=(200, 2))])
    one, other = (GaussianMixture(k, random_state=0).fit(rows) for k in (1, 2))
    sums = compare_on(one, other, with_errors(open_dataset(rows), None))
    gaps = np.subtract(*(OfScikitLearn.score_samples(each.to_sklearn(), rows) for each in (one, other)))
    expected, _ = ttest_1samp(gaps, 0.0)
    assert sums.difference == pytest.approx(gaps.mean(), rel=1e-9)
    assert sums.z * np.sqrt(499 / 500) == pytest.approx(expected, rel=1e-9)
    assert sums.p_value == pytest.approx(2 * norm.sf(abs(sums.z)), rel=1e-6)
    assert sums.means == pytest.approx((one.score(rows), other.score(rows)), rel=1e-12)


def test_a_mixture_of_true_values_is_widened_and_one_of_measurements_is_not():
    """The first is what extreme deconvolution gave, of the very rows."""
    generator = np.random.default_rng(3)
    variances = generator.uniform(0.2, 2.0, size=(400, 2))
    rows = generator.normal(size=(400, 2)) + np.sqrt(variances) * generator.normal(size=(400, 2))
    one = GaussianMixture(1).fit(rows, errors=variances)
    other = GaussianMixture(2, random_state=0).fit(rows)
    source = open_dataset(rows)
    sums = compare_on(one, other, with_errors(source, variances))
    assert sums.means == pytest.approx((one.score(rows, errors=variances), other.score(rows)), rel=1e-12)
    with pytest.raises(ValueError, match=r"give their errors=.* or errors=0\.0"):
        compare_on(other, one, with_errors(source, None))
    with pytest.raises(ValueError, match="neither mixture was fitted with them"):
        compare_on(other, other, with_errors(source, variances))


def test_weights_count_rows_and_groups_have_their_weights():
    """Also beside a mixture without groups, which judges all rows alike."""
    generator = np.random.default_rng(4)
    groups = np.repeat(["one", "two"], 150)
    rows = generator.normal(size=(300, 2)) + 3.0 * (
        generator.random((300, 1)) < np.repeat([[0.1], [0.8]], 150, 0)
    )
    weights = generator.integers(0, 3, 300)
    grouped = GaussianMixture(2, random_state=0).fit(rows, groups=groups)
    turned = GaussianMixture(2, random_state=0).fit(
        rows, groups=groups == "one"
    )  # by numbers, in another order
    plain = GaussianMixture(1, random_state=0).fit(rows)
    measured = with_errors(open_dataset(rows), None)
    sums = compare_on(grouped, plain, measured, open_dataset(weights[:, None]), groups)
    expected = (
        grouped.score(rows, sample_weight=weights, groups=groups),
        plain.score(rows, sample_weight=weights),
    )
    assert sums.means == pytest.approx(expected, rel=1e-12)
    assert sums.weight == weights.sum()
    times = np.repeat(np.arange(300), weights)
    repeated = compare_on(plain, grouped, with_errors(open_dataset(rows[times]), None), None, groups[times])
    assert repeated.z == pytest.approx(-sums.z, rel=1e-9)
    with pytest.raises(ValueError, match="the groups of the fit are numbers"):
        compare_on(grouped, turned, measured, None, groups)
    with pytest.raises(ValueError, match="groups were given, but neither mixture was fitted with them"):
        compare_on(plain, plain, measured, None, groups)
    with pytest.raises(ValueError, match="zero in every row"):
        compare_on(plain, plain, measured, open_dataset(np.zeros((300, 1))))
    with pytest.raises(ValueError, match="row 3 has -1"):
        compare_on(plain, plain, measured, open_dataset(np.where(np.arange(300) == 3, -1.0, 1.0)[:, None]))
