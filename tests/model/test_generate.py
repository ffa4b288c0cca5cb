import numpy as np
import pytest
from scipy import stats

from dgmm.model import generate
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
QUANTILE = stats.norm.isf(1e-6)
"""Standard errors that a right mean leaves once in a million."""


@each_family
@pytest.mark.parametrize(("n_rows", "n_components", "n_features"), [(1, 3, 2), (500, 1, 1), (1000, 4, 3)])
def test_sample_by_component_is_that_of_scikit_learn(covariance_type, n_rows, n_components, n_features):
    parameters = naive.random_parameters(np.random.default_rng(1), covariance_type, n_components, n_features)
    reference = naive.in_scikit_learn(parameters).set_params(random_state=np.random.RandomState(7))
    expected_rows, expected_labels = reference.sample(n_rows)
    rows, labels = generate.sample_by_component(
        parameters,
        n_rows,
        np.random.RandomState(7),
    )
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(labels, expected_labels)
    assert labels.dtype == np.int64


def assert_follows(parameters, rows, labels):
    """Counts, means, variances and whole distribution of each component, each at its own error."""
    counts = np.bincount(labels, minlength=parameters.n_components)
    assert stats.chisquare(counts, len(rows) * parameters.weights).pvalue > 1e-6
    for k, matrix in enumerate(naive.matrices_of(parameters)):
        own, count = rows[labels == k] - parameters.means[k], counts[k]
        variances = np.diag(matrix)
        assert np.all(abs(own.mean(axis=0)) <= QUANTILE * np.sqrt(variances / count))
        # The variance of an entry of a Wishart matrix of n rows is n (Σ_ij² + Σ_ii Σ_jj).
        error = np.sqrt((matrix**2 + np.outer(variances, variances)) / count)
        assert np.all(abs(own.T @ own / count - matrix) <= QUANTILE * error)
        distances = np.einsum("ni,ij,nj->n", own, np.linalg.inv(matrix), own)
        assert stats.kstest(distances, stats.chi2(own.shape[1]).cdf).pvalue > 1e-6


@each_family
def test_samples_follow_the_mixture(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(2), covariance_type, 3, 3)
    assert_follows(
        parameters,
        *generate.sample_by_component(parameters, 20_000, np.random.RandomState(1)),
    )
    rows, labels = generate.sample_shuffled(parameters, 20_000, np.random.default_rng(1))
    assert_follows(parameters, rows, labels)
    assert labels.dtype == np.int64
    # The order tells nothing: labels of the first half and of the second have the same distribution.
    assert stats.kstest(labels[:10_000], labels[10_000:]).pvalue > 1e-6


@each_family
def test_no_rows_and_empty_components(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(3), covariance_type, 5, 2)
    rows, labels = generate.sample_shuffled(parameters, 0, np.random.default_rng(1))
    assert (rows.shape, labels.shape) == ((0, 2), (0,))
    rows, labels = generate.sample_by_component(parameters, 1, np.random.RandomState(1))
    assert (rows.shape, labels.shape) == ((1, 2), (1,))


@each_family
def test_chunks_of_different_generators_are_independent(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(4), covariance_type, 3, 1)
    first, second = (
        generate.sample_shuffled(parameters, 5000, generator)[0]
        for generator in np.random.default_rng(5).spawn(2)
    )
    assert not np.intersect1d(first, second).size
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) <= QUANTILE / np.sqrt(5000)
