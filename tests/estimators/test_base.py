# pyright: reportArgumentType=false, reportPrivateImportUsage=false
"""What all mixtures do once they are fitted, against SciPy's densities and against definitions."""

import dask
import dask.array as da
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import dgmm
from tests.model import naive

RNG = np.random.default_rng(3)
ROWS = np.concatenate([RNG.normal(0, 1, (300, 2)), RNG.normal(5, 2, (100, 2))])


@pytest.fixture(params=[dgmm.GaussianMixture, dgmm.BayesianGaussianMixture])
def either(request):
    return request.param(n_components=2, random_state=0).fit(ROWS)


@pytest.fixture(scope="module")
def mixture():
    return dgmm.GaussianMixture(2, random_state=0).fit(ROWS)


def log_joint(mixture, rows: np.ndarray) -> np.ndarray:
    """Log of the weighted densities, by SciPy: (n_rows, n_components)."""
    parts = zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True)
    return np.stack([np.log(w) + multivariate_normal(m, c).logpdf(rows) for w, m, c in parts], axis=1)


def test_what_is_said_of_rows(mixture):
    expected = log_joint(mixture, ROWS)
    densities = naive.log_sums(expected)
    np.testing.assert_allclose(mixture.score_samples(ROWS), densities, rtol=1e-10)
    np.testing.assert_allclose(mixture.predict_proba(ROWS), np.exp(expected - densities[:, None]), rtol=1e-8)
    np.testing.assert_array_equal(mixture.predict(ROWS), expected.argmax(axis=1))


def test_a_score_is_a_weighted_mean(either):
    densities, weights = either.score_samples(ROWS), np.arange(400.0) % 7
    assert either.score(ROWS) == pytest.approx(densities.mean(), rel=1e-12)
    assert either.score(ROWS, sample_weight=weights) == pytest.approx(np.average(densities, weights=weights))
    path = da.from_array(ROWS, chunks=(37, 2))
    assert either.score(path, sample_weight=weights) == pytest.approx(np.average(densities, weights=weights))


def test_rows_without_any_weight_have_no_score(mixture):
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        mixture.score(ROWS, sample_weight=np.zeros(400))


@pytest.mark.parametrize("method", ["score", "score_samples", "predict", "predict_proba"])
def test_no_rows_are_refused_in_scikit_learns_words(either, method):
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) \(shape=\(0, 2\)\)"):
        getattr(either, method)(np.empty((0, 2)))


def test_the_first_value_that_is_not_finite_is_named(mixture):
    rows = ROWS.copy()
    rows[[17, 300], [1, 0]] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"row 17\b.*column 1\b"):
        mixture.score(rows)


def test_samples_have_the_moments_of_their_component(mixture):
    rows, labels = mixture.sample(20_000)
    assert (np.diff(labels) >= 0).all()
    for k in range(2):
        own = rows[labels == k]
        assert len(own) == pytest.approx(20_000 * mixture.weights_[k], abs=6 * np.sqrt(5_000))
        spread = np.sqrt(np.diagonal(mixture.covariances_[k]) / len(own))
        assert (np.abs(own.mean(axis=0) - mixture.means_[k]) < 6 * spread).all()
        np.testing.assert_allclose(np.cov(own.T), mixture.covariances_[k], atol=0.1 * np.trace(np.cov(own.T)))


def test_lazy_samples_are_of_the_same_mixture_and_the_same_again(mixture):
    rows, labels = mixture.sample(10_001, chunks=1_000)
    assert rows.chunks[0] == (1_000,) * 10 + (1,)
    again = mixture.sample(10_001, chunks=1_000)
    drawn, drawn_again = dask.compute((rows, labels), again)
    np.testing.assert_array_equal(drawn[0], drawn_again[0])
    np.testing.assert_array_equal(drawn[1], drawn_again[1])
    assert len(np.unique(drawn[0][:, 0])) == 10_001  # no chunk repeats another
    assert (np.diff(drawn[1]) < 0).any()  # in random order
    shares = np.bincount(drawn[1]) / 10_001
    np.testing.assert_allclose(shares, mixture.weights_, atol=6 * np.sqrt(0.25 / 10_001))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_samples": 0}, "at least one sample"),
        ({"n_samples": 5, "chunks": 0}, "chunks must be at least 1 row, not 0"),
    ],
)
def test_samples_that_cannot_be(mixture, given, message):
    with pytest.raises(ValueError, match=message):
        mixture.sample(**given)
