"""Mixtures whose parameters a user sets, without a fit: as scikit-learn's, in all that a mixture does."""

from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture as BayesianReference
from sklearn.mixture import GaussianMixture as Reference

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.cli import main
from dgmm.model.families import FAMILIES

WEIGHTS = np.array([0.25, 0.75])
MEANS = np.array([[0.0, 0.0], [4.0, -1.0]])
COVARIANCES = {
    "full": np.array([[[1.0, 0.3], [0.3, 2.0]], [[0.5, 0.0], [0.0, 0.8]]]),
    "tied": np.array([[1.0, 0.3], [0.3, 2.0]]),
    "diag": np.array([[1.0, 2.0], [0.5, 0.8]]),
    "spherical": np.array([1.0, 0.6]),
}
ROWS = np.array([[0.1, -0.2], [3.5, -1.2], [2.0, 0.0]])

each_family = pytest.mark.parametrize("covariance_type", COVARIANCES)


def set_by_hand(mixture, dtype=np.float64):
    covariances = COVARIANCES[mixture.covariance_type]
    factors = FAMILIES[mixture.covariance_type].precisions_cholesky(covariances)
    mixture.weights_, mixture.means_ = WEIGHTS.astype(dtype), MEANS.astype(dtype)
    mixture.covariances_, mixture.precisions_cholesky_ = covariances.astype(dtype), factors.astype(dtype)
    return mixture


@each_family
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic", "aic"])
def test_it_says_of_rows_what_scikit_learn_says(covariance_type, method):
    ours, theirs = (
        set_by_hand(kind(2, covariance_type=covariance_type)) for kind in (GaussianMixture, Reference)
    )
    np.testing.assert_allclose(getattr(ours, method)(ROWS), getattr(theirs, method)(ROWS))


@each_family
def test_it_draws_the_rows_that_scikit_learn_draws(covariance_type):
    own = {"covariance_type": covariance_type, "random_state": 0}
    ours, theirs = set_by_hand(GaussianMixture(2, **own)), set_by_hand(Reference(2, **own))
    for found, expected in zip(ours.sample(50), theirs.sample(50), strict=True):
        np.testing.assert_allclose(found, expected)
    lazy = ours.sample(50, chunks=20)[0]
    assert np.isfinite(lazy.compute()).all()


@each_family
@pytest.mark.parametrize("given", ["covariances_", "precisions_", "precisions_cholesky_"])
def test_one_of_the_widths_is_enough(covariance_type, given, tmp_path):
    whole = set_by_hand(GaussianMixture(2, covariance_type=covariance_type))
    model = GaussianMixture(2, covariance_type=covariance_type)
    model.weights_, model.means_ = WEIGHTS, MEANS
    setattr(model, given, getattr(whole._parameters, given[:-1]))
    np.testing.assert_allclose(model.score_samples(ROWS), whole.score_samples(ROWS))
    assert np.isfinite(model.sample(5)[0]).all()
    model.save(tmp_path / "model.npz")
    again = dgmm.load(tmp_path / "model.npz")
    np.testing.assert_allclose(again.covariances_, COVARIANCES[covariance_type])
    np.testing.assert_allclose(again.score_samples(ROWS), whole.score_samples(ROWS))
    assert again.n_features_in_ == 2


@each_family
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_saved_is_loaded_and_described(covariance_type, dtype, tmp_path):
    path = tmp_path / "mixture.npz"
    mixture = set_by_hand(GaussianMixture(2, covariance_type=covariance_type), dtype)
    mixture.save(path)
    again = dgmm.load(path)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        assert getattr(again, name).dtype == dtype
        np.testing.assert_array_equal(getattr(again, name), getattr(mixture, name))
    np.testing.assert_array_equal(again.score_samples(ROWS), mixture.score_samples(ROWS))
    assert not hasattr(again, "converged_")
    described = CliRunner().invoke(main, ["info", str(path)])
    assert described.exit_code == 0, described.output
    assert "set by hand" in described.output


def test_it_is_drawn():
    plotting = pytest.importorskip("dgmm.plotting")
    model = GaussianMixture(2)
    model.weights_, model.means_ = WEIGHTS, MEANS
    model.precisions_ = np.linalg.inv(COVARIANCES["full"])
    means, covariances = plotting.project(model, np.eye(2))
    np.testing.assert_allclose(means, MEANS)
    np.testing.assert_allclose(covariances, COVARIANCES["full"])


def test_lists_and_whole_numbers_are_taken():
    model: Any = GaussianMixture(2)
    model.weights_, model.means_ = [0.25, 0.75], [[0, 0], [4, -1]]
    model.covariances_ = COVARIANCES["full"].tolist()
    expected = set_by_hand(GaussianMixture(2))
    np.testing.assert_allclose(model.score_samples(ROWS), expected.score_samples(ROWS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights_": np.ones(3) / 3}, r"weights_ has the shape \(3,\), not \(2,\)"),
        ({"means_": np.zeros(2)}, r"means_ has the shape \(2,\), not \(n_components, n_features\)"),
        ({"covariances_": np.ones((2, 2))}, r"covariances_ has the shape \(2, 2\), not \(2, 2, 2\)"),
        ({"weights_": None}, "lacks weights_"),
        ({"precisions_cholesky_": None, "covariances_": None}, "lacks precisions_cholesky_ or covariances_"),
    ],
    ids=str,
)
def test_what_is_no_mixture_is_refused(changes, message, tmp_path):
    model = set_by_hand(GaussianMixture(2))
    for name, value in changes.items():
        if value is None:
            delattr(model, name)
        else:
            setattr(model, name, value)
    for work in (lambda: model.predict(ROWS), model.sample, lambda: model.save(tmp_path / "model.npz")):
        with pytest.raises((ValueError, NotFittedError), match=message):
            work()
    assert not list(tmp_path.iterdir())


def test_values_that_no_mixture_has_are_not_saved(tmp_path):
    model = set_by_hand(GaussianMixture(2))
    model.weights_ = np.array([0.5, 0.7])
    with pytest.raises(ValueError, match="weights_ are not proportions"):
        model.save(tmp_path / "model.npz")


def test_a_bayesian_one(tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, 2)) * [1.0, 3.0]
    fitted = BayesianReference(n_components=2, random_state=0, max_iter=500).fit(rows)
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_", "weight_concentration_")
    ours = BayesianGaussianMixture(n_components=2)
    for name in (*names, "mean_precision_", "degrees_of_freedom_"):
        setattr(ours, name, getattr(fitted, name))
    np.testing.assert_allclose(ours.score_samples(ROWS), fitted.score_samples(ROWS))
    ours.save(tmp_path / "model.npz")
    again = dgmm.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict_proba(ROWS), ours.predict_proba(ROWS))
    ours.weight_concentration_ = np.ones(2)
    with pytest.raises(ValueError, match=r"weight_concentration_ has the shape \(2,\), not \(2, 2\)"):
        ours.predict(ROWS)


class TestWarmStart:
    """It goes on from what was fitted, or says what has changed."""

    @pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
    @pytest.mark.parametrize(
        "changes",
        [{"n_components": 3}, {"covariance_type": "diag"}, {"covariance_type": "tied"}, {"rows": 3}],
    )
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_other_settings_are_refused(self, kind, changes):
        draw = np.random.default_rng(0)
        model = kind(n_components=2, warm_start=True, random_state=0).fit(draw.normal(size=(100, 2)))
        rows = draw.normal(size=(100, changes.get("rows", 2)))
        model.set_params(**{name: value for name, value in changes.items() if name != "rows"})
        with pytest.raises(
            ValueError, match=r"warm_start=True goes on from the last fit, but .* has the shape"
        ):
            model.fit(rows)
        assert model.set_params(warm_start=False).fit(rows).means_.shape[1] == rows.shape[1]

    def test_another_prior_of_the_weights_is_refused(self):
        rows = np.random.default_rng(0).normal(size=(100, 2))
        model = BayesianGaussianMixture(n_components=2, warm_start=True, max_iter=500, random_state=0).fit(
            rows
        )
        model.set_params(weight_concentration_prior_type="dirichlet_distribution")
        with pytest.raises(ValueError, match="weight_concentration_ has the shape"):
            model.fit(rows)

    @pytest.mark.parametrize("order", [("f4", "f8"), ("f8", "f4")])
    def test_rows_of_another_dtype_are_taken(self, order):
        rows = np.random.default_rng(0).normal(size=(100, 2))
        model = GaussianMixture(2, warm_start=True, random_state=0, tol=1e-6, max_iter=1000)
        before = model.fit(rows.astype(order[0])).lower_bound_
        assert model.fit(rows.astype(order[1])).lower_bound_ >= before - 1e-5
        assert model.means_.dtype == order[1]
