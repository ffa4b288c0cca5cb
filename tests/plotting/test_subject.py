"""What pictures are of: models of all kinds, rows wherever they live, features by name or number."""

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

import dgmm
from dgmm.data import DataError
from dgmm.data.text import shortened
from dgmm.plotting.subject import Margin, Subject

NAMES = ["height (m)", "mass", "age"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(300, 3))
    rows[:100, 2] += 9.0
    rows[:100, 0] += 4.0
    return pd.DataFrame(rows, columns=NAMES)


@pytest.fixture(scope="module")
def model(frame) -> Any:
    return dgmm.GaussianMixture(2, random_state=0).fit(frame)


def test_rows_may_live_anywhere(model, frame, tmp_path):
    frame.to_parquet(tmp_path / "rows.parquet")
    from_array: Any = da.from_array
    every = [
        frame,
        tmp_path / "rows.parquet",
        frame.to_numpy(),
        from_array(frame.to_numpy(), chunks=(70, 3)),
    ]
    for rows in every:
        subject = Subject.of(model, rows)
        np.testing.assert_array_equal(subject.drawn_rows, frame.to_numpy())
        assert subject.names == tuple(NAMES)
        assert subject.n_rows == 300


def test_of_many_rows_some_are_drawn(model, frame):
    first, again = (Subject.of(model, frame, n_most=150).drawn_rows for _ in range(2))
    assert len(first) == 150
    np.testing.assert_array_equal(first, again)


def test_models_of_all_kinds(model, frame):
    rows = frame.to_numpy()
    sweep = dgmm.GaussianMixtureSweep([1, 2], covariance_type="diag", random_state=0).fit(rows)
    subject = Subject.of(sweep)
    assert subject.mixture is sweep.best_estimator_
    np.testing.assert_array_equal(subject.drawn_rows, sweep.sample_)
    theirs = SklearnGaussianMixture(2, random_state=0).fit(rows)
    np.testing.assert_allclose(Subject.of(theirs, rows).responsibilities, theirs.predict_proba(rows))
    assert Subject.of(FrozenEstimator(model)).mixture is model
    bayesian = dgmm.BayesianGaussianMixture(n_components=3, random_state=0).fit(rows)
    np.testing.assert_allclose(Subject.of(bayesian, rows).responsibilities, bayesian.predict_proba(rows))
    by_hand = dgmm.GaussianMixture(2, covariance_type="diag")
    by_hand.weights_, by_hand.means_, by_hand.covariances_ = np.ones(2) / 2, np.eye(2), np.ones((2, 2))
    assert Subject.of(by_hand).names == ("feature 0", "feature 1")


def test_features_by_name_and_number(model):
    subject = Subject.of(model)
    for given in ("age", 2, -1):
        (axis,) = subject.axes(given)
        assert axis.label == "age"
        assert axis.numbers.tolist() == [2]
    axes = subject.axes(["mass", 0, [1.0, 0.0, -2.0]])
    assert [axis.label for axis in axes] == ["mass", "height (m)", "height (m) -2 age"]
    assert axes[2].of(np.array([[1.0, np.nan, 3.0]])).tolist() == [-5.0]


def test_by_default_those_that_tell_components_apart(model):
    assert [axis.label for axis in Subject.of(model).axes(None)] == ["height (m)", "age"]


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("mas", "did you mean 'mass'"),
        (7, "there is no feature 7"),
        (["age", 2], "given twice"),
        ([[1.0, 2.0]], "a finite coefficient for each of the 3 features"),
        ([[0.0, 0.0, 0.0]], "all zero"),
    ],
)
def test_features_that_are_not_there(model, features, said):
    with pytest.raises(ValueError, match=said):
        Subject.of(model).axes(features)


def test_what_cannot_be_drawn_is_refused(model, frame):
    for unfitted in (dgmm.GaussianMixture(2), dgmm.GaussianMixtureSweep(), SklearnGaussianMixture()):
        with pytest.raises(NotFittedError, match="not fitted"):
            Subject.of(unfitted)
    for other in (dgmm.GaussianMixture, "model.npz", frame):
        with pytest.raises(TypeError, match="fitted mixture or sweep"):
            Subject.of(other)
    with pytest.raises(DataError, match="expecting 3 features"):
        Subject.of(model, np.zeros((5, 2)))
    with pytest.raises(DataError, match="weight"):
        Subject.of(model, frame.rename(columns={"mass": "weight"}))
    with pytest.raises(DataError, match="no rows"):
        Subject.of(model, frame[:0])
    with pytest.raises(TypeError, match="give rows"):
        _ = Subject.of(model).drawn_rows


def test_along_axes_are_projections(model, frame):
    subject = Subject.of(model, frame)
    axes = subject.axes([[1.0, -1.0, 0.0], "age"])
    means, covariances = subject.along(axes)
    directions = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(means, model.means_ @ directions.T)
    np.testing.assert_allclose(covariances, directions @ model.covariances_ @ directions.T)
    np.testing.assert_allclose(subject.rows_along(axes).places, frame.to_numpy() @ directions.T)


def test_wide_mixtures_are_not_made_wider():
    """Thousands of features and components: nothing of the size of their covariance matrices is made."""
    by_hand = dgmm.GaussianMixture(1000, covariance_type="tied_spherical")
    by_hand.weights_ = np.full(1000, 1e-3)
    by_hand.means_ = np.random.default_rng(0).normal(size=(1000, 3000))
    by_hand.covariances_ = np.array(2.0)
    subject = Subject.of(by_hand, np.zeros((2000, 3000)))
    means, covariances = subject.along(subject.axes([5, 2999]))
    np.testing.assert_array_equal(means, by_hand.means_[:, [5, 2999]])
    np.testing.assert_array_equal(covariances[7], 2.0 * np.eye(2))
    assert subject.drawn_rows.size <= 2**22


def test_long_names_are_cut():
    cut = shortened("n" * 100 + "end " + "x" * 96 + "last")
    assert len(cut) <= 28
    assert cut.startswith("nnn")
    assert cut.endswith("last")
    assert shortened("short") == "short"


def test_margins_of_many_components_are_their_sums():
    """In blocks or at once, and far out where squares would overflow."""
    generator = np.random.default_rng(0)
    weights, means = generator.dirichlet(np.ones(700)), 3.0 * generator.normal(size=700)
    deviations = generator.uniform(0.5, 2.0, (700, 1))
    margin, at = Margin(weights, means, deviations), np.r_[-1e300, np.linspace(-9.0, 9.0, 900), 1e300]
    standard = (at[:, None].clip(-100.0, 100.0) - means) / deviations[:, 0]
    np.testing.assert_allclose(margin.shares_below(at), norm.cdf(standard) @ weights, rtol=1e-9)
    expected = (norm.pdf(standard) / deviations[:, 0]) @ weights
    np.testing.assert_allclose(margin.densities(at).sum(axis=1), expected, rtol=1e-9, atol=1e-300)
