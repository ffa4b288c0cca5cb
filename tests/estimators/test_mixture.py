# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false
"""It is a scikit-learn estimator."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from dgmm import GaussianMixture

ROWS = load_iris().data
METHODS = ["predict", "predict_proba", "score_samples", "score", "aic", "bic"]


@parametrize_with_checks([GaussianMixture()])
@pytest.mark.filterwarnings("ignore")  # what the checks provoke is theirs
def test_checks(estimator, check):
    check(estimator)


def test_parameters_and_clone():
    mixture = GaussianMixture(3, tol=0.1, sample_rows=1000).fit(ROWS)
    own = {"algorithm", "missing", "sample_rows", "search"}
    assert set(SklearnGaussianMixture().get_params()) | own == set(mixture.get_params())
    again = clone(mixture)
    assert again.get_params() == mixture.get_params()
    assert not hasattr(again, "means_")
    assert again.set_params(n_components=2).n_components == 2


@pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")  # six components are too many, as BIC says
def test_pipeline_and_grid_search():
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    theirs = make_pipeline(StandardScaler(), SklearnGaussianMixture(random_state=0))
    grid = {
        "gaussianmixture__n_components": [1, 2, 6],
        "gaussianmixture__covariance_type": ["full", "diag"],
    }

    def bic(pipeline, rows, y=None):
        return -pipeline[-1].bic(pipeline[:-1].transform(rows))

    search, expected = (GridSearchCV(each, grid, scoring=bic, cv=2).fit(ROWS) for each in (pipeline, theirs))
    assert search.best_params_ == expected.best_params_
    scores, wanted = (each.cv_results_["mean_test_score"] for each in (search, expected))
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)
    np.testing.assert_array_equal(search.predict(ROWS), expected.predict(ROWS))


def test_html():
    assert "GaussianMixture" in GaussianMixture(3)._repr_html_()


@pytest.mark.parametrize("method", METHODS)
def test_not_fitted(method):
    with pytest.raises(NotFittedError, match="This GaussianMixture instance is not fitted yet"):
        getattr(GaussianMixture(), method)(ROWS)


def test_pickle_and_joblib(tmp_path):
    mixture = GaussianMixture(3, random_state=0).fit(ROWS)
    joblib.dump(mixture, tmp_path / "model.joblib")
    for again in (pickle.loads(pickle.dumps(mixture)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(again.score_samples(ROWS), mixture.score_samples(ROWS))


class TestFeatures:
    names = ("a", "b", "c", "d")

    def messages(self, fit_on, predict_on, warns=False):
        found = []
        for kind in (SklearnGaussianMixture, GaussianMixture):
            mixture = kind(2, random_state=0).fit(fit_on)
            context = pytest.warns(UserWarning) if warns else pytest.raises(ValueError)  # noqa: PT011, PT030
            with context as caught:
                mixture.predict(predict_on)
            found.append(str(caught[0].message if warns else caught.value))
        return found

    def test_names_are_kept(self):
        mixture = GaussianMixture(2).fit(pd.DataFrame(ROWS, columns=list(self.names)))
        assert mixture.feature_names_in_.tolist() == list(self.names)
        assert mixture.feature_names_in_.dtype == object
        assert not hasattr(mixture.fit(ROWS), "feature_names_in_")

    def test_wrong_ones(self):
        frame = pd.DataFrame(ROWS, columns=list(self.names))
        for other in (
            frame[["b", "a", "c", "d"]],
            frame.rename(columns={"a": "z"}),
            frame[["a", "b"]],
            ROWS[:, :3],
        ):
            with_names = isinstance(other, pd.DataFrame)
            expected, found = self.messages(frame if with_names else ROWS, other)
            assert found == expected

    def test_missing_ones_warn(self):
        frame = pd.DataFrame(ROWS, columns=list(self.names))
        for pair in ((frame, ROWS), (ROWS, frame)):
            expected, found = self.messages(*pair, warns=True)
            assert found == expected


class TestConventions:
    """What scikit-learn's own estimators do as steps of others."""

    def test_responsibilities_are_features_with_names(self):
        mixture = GaussianMixture(3, random_state=0).fit(ROWS)
        names = ["gaussianmixture0", "gaussianmixture1", "gaussianmixture2"]
        np.testing.assert_array_equal(mixture.get_feature_names_out(), names)
        expected = mixture.predict_proba(ROWS)
        np.testing.assert_array_equal(mixture.transform(ROWS), expected)
        frame = mixture.set_output(transform="pandas").transform(ROWS)
        assert isinstance(frame, pd.DataFrame)
        assert [*frame.columns] == names
        np.testing.assert_array_equal(frame, expected)
        again = GaussianMixture(3, random_state=0).fit_transform(ROWS)
        np.testing.assert_array_equal(again, expected)

    def test_responsibilities_go_on_in_a_pipeline(self):
        mixture = GaussianMixture(3, random_state=0)
        wanted = mixture.fit(ROWS).predict(ROWS)
        steps = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0), LogisticRegression())
        assert steps.fit(ROWS, wanted).score(ROWS, wanted) > 0.99
        np.testing.assert_array_equal(steps[:-1].get_feature_names_out(), mixture.get_feature_names_out())

    def test_weights_are_routed_to_where_they_are_asked_for(self):
        weights = np.random.default_rng(0).integers(0, 4, len(ROWS)).astype(float)
        with sklearn.config_context(enable_metadata_routing=True):
            asked = GaussianMixture(3, random_state=0).set_fit_request(sample_weight=True)
            asked.set_score_request(sample_weight=True)
            steps = make_pipeline(FunctionTransformer(), asked).fit(ROWS, sample_weight=weights)
            alone = GaussianMixture(3, random_state=0).fit(ROWS, sample_weight=weights)
            np.testing.assert_array_equal(steps[-1].means_, alone.means_)
            found = steps.score(ROWS, sample_weight=weights)
            assert found == alone.score(ROWS, sample_weight=weights)
            search = GridSearchCV(asked, {"n_components": [3]}, cv=2)
            search.fit(ROWS, sample_weight=weights)
            assert search.best_estimator_.means_.tolist() == alone.means_.tolist()
            refusing = make_pipeline(FunctionTransformer(), GaussianMixture(3, random_state=0))
            with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
                refusing.fit(ROWS, sample_weight=weights)
