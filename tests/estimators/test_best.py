"""What is said of rows, by the best of several mixtures as by that one alone; and mixtures in estimators."""

import pickle

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

import dgmm
from dgmm import GaussianMixture, GaussianMixtureSweep
from dgmm.estimators.best import mixture_of


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(0, 1, (60, 2)), generator.normal(8, 2, (40, 2))])


def test_a_sweep_says_of_rows_what_its_best_mixture_says(rows, tmp_path):
    found = GaussianMixtureSweep([1, 2], covariance_type="diag", random_state=0).fit(rows)
    best = found.best_estimator_
    np.testing.assert_array_equal(found.predict(rows), best.predict(rows))
    np.testing.assert_array_equal(found.predict_proba(rows), best.predict_proba(rows))
    np.testing.assert_array_equal(found.score_samples(rows), best.score_samples(rows))
    assert found.score(rows) == best.score(rows)
    assert found.aic(rows) == best.aic(rows)
    for own, of_best in zip(found.sample(50), best.sample(50), strict=True):
        np.testing.assert_array_equal(own, of_best)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(rows), found.predict(rows))
    found.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(dgmm.load(tmp_path / "model.npz").means_, best.means_)


def test_the_mixture_in_an_estimator_is_found(rows):
    mixture = GaussianMixture(1).fit(rows)
    sweep = GaussianMixtureSweep([1], covariance_type="diag").fit(rows)
    assert mixture_of(mixture) is mixture_of(FrozenEstimator(mixture)) is mixture
    assert mixture_of(sweep) is mixture_of(FrozenEstimator(sweep)) is sweep.best_estimator_
    assert mixture_of(StandardScaler()) is mixture_of(FrozenEstimator(StandardScaler())) is None
