import numpy as np
import pytest

from dgmm.kernels import densities
from dgmm.kernels.densities import expected_log_densities, labels, log_densities, responsibilities
from dgmm.kernels.imputation import conditioned
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

pytestmark = pytest.mark.usefixtures("each_kernel")

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


@each_family
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (4, 1), (1, 5), (5, 3)])
@pytest.mark.parametrize("n_rows", [1, 20_000])
def test_predictions_are_those_of_scikit_learn(covariance_type, n_components, n_features, n_rows):
    """20,000 rows are several blocks, the last one short."""
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    rows = naive.random_rows(generator, parameters, n_rows)
    reference = naive.in_scikit_learn(parameters)
    np.testing.assert_allclose(
        log_densities(parameters, rows), reference.score_samples(rows), rtol=1e-10, atol=1e-10
    )
    shares = responsibilities(parameters, rows)
    np.testing.assert_allclose(shares, reference.predict_proba(rows), rtol=1e-9, atol=1e-10)
    np.testing.assert_array_equal(labels(parameters, rows), reference.predict(rows))
    assert labels(parameters, rows).dtype == np.int64


@each_family
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_rows_of_other_types_are_taken_as_double(covariance_type, dtype):
    generator = np.random.default_rng(2)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2, width=10)
    rows = naive.random_rows(generator, parameters, 500).astype(dtype)
    for function in (log_densities, responsibilities, labels):
        np.testing.assert_array_equal(
            function(parameters, rows), function(parameters, rows.astype(np.float64))
        )


@each_family
@pytest.mark.parametrize("distance", [1e6, 1e9, 1e12])
def test_rows_far_away(covariance_type, distance):
    """Finite log densities to double precision, and responsibilities that sum to one."""
    generator = np.random.default_rng(3)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = distance * generator.normal(size=(100, 2))
    values, shares = log_densities(parameters, rows), responsibilities(parameters, rows)
    exact, _ = naive.split(naive.exact_log_joint(parameters, rows))
    np.testing.assert_allclose(values, exact.astype(float), rtol=1e-12)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-14)
    assert np.all((shares >= 0) & (shares <= 1))
    np.testing.assert_array_equal(labels(parameters, rows), shares.argmax(axis=1))


@each_family
def test_so_far_away_that_squares_overflow(covariance_type):
    model = naive.random_parameters(np.random.default_rng(0), covariance_type, 2, 3)
    with np.errstate(all="ignore"):
        assert log_densities(model, np.array([[1e160] * 3]))[0] == -np.inf


@each_family
def test_one_row_far_away_leaves_the_others_exact(covariance_type):
    generator = np.random.default_rng(4)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = naive.random_rows(generator, parameters, 100)
    outlier = np.array([[1e9, -1e9]])
    for function in (log_densities, responsibilities):
        near = function(parameters, np.concatenate([rows, outlier]))[:-1]
        np.testing.assert_allclose(near, function(parameters, rows), rtol=1e-9, atol=1e-12)


@each_family
def test_narrow_components(covariance_type):
    """A width of 1e-9 of the distance between components."""
    generator = np.random.default_rng(5)
    model = naive.random_parameters(generator, covariance_type, 3, 2, width=1e-9)
    means = generator.normal(size=(3, 2))
    parameters = Parameters.from_covariances(
        FAMILIES[covariance_type], model.weights, means, model.covariances
    )
    rows = naive.random_rows(generator, parameters, 300)
    exact, shares = naive.split(naive.exact_log_joint(parameters, rows))
    np.testing.assert_allclose(log_densities(parameters, rows), exact.astype(float), rtol=0, atol=1e-8)
    np.testing.assert_allclose(responsibilities(parameters, rows), shares.astype(float), atol=1e-10)


@each_family
def test_no_rows(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(6), covariance_type, 3, 2)
    rows = np.empty((0, 2))
    assert log_densities(parameters, rows).shape == (0,)
    assert responsibilities(parameters, rows).shape == (0, 3)
    assert labels(parameters, rows).shape == (0,)
    assert labels(parameters, rows).dtype == np.int64


@each_family
def test_a_component_of_no_weight_is_never_predicted(covariance_type):
    generator = np.random.default_rng(7)
    model = naive.random_parameters(generator, covariance_type, 3, 2)
    weights = np.array([0.4, 0.0, 0.6])
    parameters = Parameters.from_covariances(
        FAMILIES[covariance_type], weights, model.means, model.covariances
    )
    rows = np.concatenate([np.tile(model.means[1], (5, 1)), 1e6 * generator.normal(size=(5, 2))])
    assert not responsibilities(parameters, rows)[:, 1].any()
    assert 1 not in labels(parameters, rows)
    assert np.isfinite(log_densities(parameters, rows)).all()


@each_family
@pytest.mark.parametrize("fewest", [0.0, np.inf])
def test_rows_that_lack_values_are_judged_by_what_they_have(covariance_type, fewest, monkeypatch):
    """Of rows of many patterns, together by pattern or each for itself."""
    monkeypatch.setattr(densities, "fewest_rows", lambda model, by: fewest)
    generator = np.random.default_rng(11)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 300))
    rows[[7, 200]] = np.nan
    points = np.zeros(parameters.means.shape)
    exact = naive.expect_incomplete(parameters, rows, None, points)
    np.testing.assert_allclose(log_densities(parameters, rows), exact.log_densities, rtol=1e-10, atol=1e-10)
    shares = responsibilities(parameters, rows)
    np.testing.assert_allclose(shares, exact.responsibilities, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(labels(parameters, rows), exact.responsibilities.argmax(axis=1))
    np.testing.assert_allclose(shares[7], parameters.weights, rtol=1e-12)


@each_family
def test_rows_far_away_that_lack_values(covariance_type):
    """The squares of their distances overflow: responsibilities are those of the marginal mixtures."""
    generator = np.random.default_rng(12)
    parameters = naive.random_parameters(generator, covariance_type, 3, 3)
    rows = naive.with_missing(generator, 1e200 * generator.normal(size=(40, 3)))
    rows[:3] = [[1e200, np.nan, 0.0], [np.nan, -1e300, 1.0], [np.nan, np.nan, np.nan]]
    shares = responsibilities(parameters, rows)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_array_equal(labels(parameters, rows), shares.argmax(axis=1))
    values = log_densities(parameters, rows)
    assert (values[:2] == -np.inf).all()
    assert values[2] == pytest.approx(0.0, abs=1e-12)


@each_family
def test_log_densities_to_be_expected_of_rows_that_lack_values(covariance_type):
    """Less the entropy of what is missing, given the component: that of a matrix for each row."""
    generator = np.random.default_rng(5)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4, spread=1.5)
    whole = naive.random_rows(generator, parameters, 60)
    rows = naive.with_missing(generator, whole)
    rows[7] = np.nan
    reference = naive.expect_incomplete(parameters, rows, None, parameters.means)
    expected, precisions = reference.log_densities.copy(), np.linalg.inv(naive.matrices_of(parameters))
    for number in np.flatnonzero(np.isnan(rows).any(axis=1)):
        lacks = np.flatnonzero(np.isnan(rows[number]))
        own = [np.linalg.slogdet(each[np.ix_(lacks, lacks)] / (2.0 * np.pi * np.e))[1] for each in precisions]
        expected[number] += 0.5 * reference.responsibilities[number] @ own
    np.testing.assert_allclose(expected_log_densities(parameters, rows), expected, rtol=1e-9, atol=1e-9)
    complete = log_densities(parameters, whole)
    np.testing.assert_array_equal(expected_log_densities(parameters, whole), complete)


@each_family
def test_what_is_to_be_expected_of_one_normal_distribution(covariance_type):
    """The mean of squares is that of the mean, and 1 for each value that is missing."""
    generator = np.random.default_rng(6)
    parameters = naive.random_parameters(generator, covariance_type, 1, 4)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 60))
    filled = rows.copy()
    for numbers, given in conditioned(parameters, rows):
        filled[numbers[:, None], given.conditional.missing] = given.expected
    expected = log_densities(parameters, filled) - 0.5 * np.isnan(rows).sum(axis=1)
    np.testing.assert_allclose(expected_log_densities(parameters, rows), expected, rtol=1e-9, atol=1e-9)
