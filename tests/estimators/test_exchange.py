"""Mixtures and those of scikit-learn, made of each other."""
# pyright: reportAttributeAccessIssue=false

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm import BayesianGaussianMixture, GaussianMixture, MixtureWarning, load
from dgmm.model.families import FAMILIES

ROWS = load_iris().data


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_to_and_from_scikit_learn(path, covariance_type, dtype):
    other = SklearnGaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(ROWS.astype(dtype))
    mixture = GaussianMixture.from_sklearn(other)
    assert mixture.get_params()["random_state"] == 0
    rtol = 1e-9 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(mixture.score_samples(ROWS), other.score_samples(ROWS), rtol=rtol)
    mixture.save(path)
    np.testing.assert_array_equal(load(path).predict(ROWS), mixture.predict(ROWS))
    back = load(path).to_sklearn()
    assert type(back) is SklearnGaussianMixture
    assert back.get_params() == other.get_params()
    joblib.dump(back, path)
    np.testing.assert_array_equal(joblib.load(path).predict(ROWS), other.predict(ROWS))


@pytest.mark.parametrize("bayesian", [False, True])
@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_scikit_learn_predicts_the_same(covariance_type, bayesian):
    """Of families that it lacks, too: each component has the covariance that all share."""
    kind = BayesianGaussianMixture if bayesian else GaussianMixture
    mixture = kind(n_components=3, covariance_type=covariance_type, random_state=0).fit(ROWS)
    other = mixture.to_sklearn()
    np.testing.assert_array_equal(other.predict(ROWS), mixture.predict(ROWS))
    np.testing.assert_allclose(other.score_samples(ROWS), mixture.score_samples(ROWS), rtol=1e-10)
    np.testing.assert_allclose(other.predict_proba(ROWS), mixture.predict_proba(ROWS), atol=1e-10)


def test_that_errors_are_lost_is_told():
    """Of one feature: the widths of the true values, as they are."""
    rows = np.random.default_rng(0).normal(size=(100, 1))
    mixture = GaussianMixture(1).fit(rows, errors=0.5)
    with pytest.warns(MixtureWarning, match="know no measurement errors"):
        other = mixture.to_sklearn()
    np.testing.assert_allclose(other.score_samples(rows), mixture.score_samples(rows), rtol=1e-12)


def test_what_scikit_learn_does_not_have():
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c", "d"])
    other = GaussianMixture(2, init_params="k-means||", random_state=0).fit(frame).to_sklearn()
    assert other.init_params == "kmeans"
    assert other.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(TypeError, match="not GaussianMixture"):
        GaussianMixture.from_sklearn(GaussianMixture())  # pyright: ignore[reportArgumentType]
