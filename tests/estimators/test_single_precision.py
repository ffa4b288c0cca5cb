# pyright: reportArgumentType=false
"""Rows of float32: what scikit-learn keeps in single precision, and what stays in double."""

import dask.array as da
import numpy as np
import pytest
from sklearn.mixture import BayesianGaussianMixture as BayesianReference
from sklearn.mixture import GaussianMixture as Reference

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSweep

ROWS = np.concatenate(
    [np.random.default_rng(0).normal(0, 1, (120, 2)), np.random.default_rng(1).normal(8, 1, (80, 2))]
).astype("f4")
NAMES = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
FAMILIES = ["full", "tied", "diag", "spherical"]


@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize(
    ("ours", "theirs"), [(GaussianMixture, Reference), (BayesianGaussianMixture, BayesianReference)]
)
def test_parameters_and_results_have_scikit_learns_dtypes(ours, theirs, covariance_type):
    own = {"n_components": 2, "covariance_type": covariance_type, "random_state": 0}
    ours, theirs = ours(**own).fit(ROWS), theirs(**own).fit(ROWS)
    for name in NAMES:
        assert getattr(ours, name).dtype == getattr(theirs, name).dtype, name
    for rows in (ROWS, ROWS.astype("f8")):
        for method in ("predict", "predict_proba", "score_samples"):
            found, expected = getattr(ours, method)(rows), getattr(theirs, method)(rows)
            assert found.dtype == expected.dtype, method
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_they_are_those_of_double_precision_rounded(covariance_type):
    own = {"n_components": 2, "covariance_type": covariance_type, "random_state": 0}
    single, double = GaussianMixture(**own).fit(ROWS), GaussianMixture(**own).fit(ROWS.astype("f8"))
    # Sums of n products of float32 are off by up to n eps of their size: squares about the middle of two
    # groups of unit variance at a distance of 8 √2 are 17 times these variances. Kernels add differently.
    tolerance = float(len(ROWS) * np.finfo("f4").eps * 17)
    for name in NAMES:
        found, expected = getattr(single, name), getattr(double, name)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, rel=1e-6)


@pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")  # whole numbers are values that rows repeat
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "f2"])
def test_whatever_holds_the_rows(dtype, tmp_path):
    rows = ROWS.astype(dtype)
    kept = np.float32 if dtype == "f4" else np.float64
    lazy = da.from_array(rows, chunks=(50, 2))
    for x, options in ((rows, {}), (lazy, {}), (lazy, {"sample_rows": 100})):
        model = GaussianMixture(2, random_state=0, **options).fit(x)
        assert all(getattr(model, name).dtype == kept for name in NAMES)
        found = model.predict_proba(x)
        assert found.dtype == np.asarray(found).dtype == kept
        assert model.score_samples(x).dtype == kept
        model.save(tmp_path / "model.npz")
        again = dgmm.load(tmp_path / "model.npz")
        assert all(getattr(again, name).dtype == kept for name in NAMES)
        np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))


def test_the_best_of_a_sweep():
    sweep = GaussianMixtureSweep([1, 2], covariance_type="full", random_state=0).fit(ROWS)
    assert sweep.best_estimator_.means_.dtype == np.float32
    assert sweep.predict_proba(ROWS).dtype == np.float32


@pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")
def test_rounded_covariances_that_are_not_positive_definite_any_more(tmp_path):
    """Two columns that are the same but for reg_covar: in float32 their covariance is singular."""
    draw = np.random.default_rng(0).normal(0, 300, (500, 1)).astype("f4")
    rows = np.repeat(draw, 2, axis=1)
    model = GaussianMixture(1, reg_covar=1e-3).fit(rows)
    assert np.linalg.eigvalsh(model.covariances_[0].astype("f8"))[0] < 2e-4
    assert np.isfinite(model.sample(10)[0]).all()
    assert np.isfinite(model.sample(10, chunks=5)[0].compute()).all()
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(
        dgmm.load(tmp_path / "model.npz").score_samples(rows), model.score_samples(rows)
    )


def test_rounded_weights_can_be_drawn_from():
    """Weights of many components, each rounded, do not sum to 1 as closely as generators want."""
    model = GaussianMixture(1000, random_state=0)
    model.weights_ = np.random.default_rng(0).dirichlet(np.ones(1000)).astype("f4")
    model.means_ = np.zeros((1000, 1), "f4")
    model.covariances_ = np.ones((1000, 1, 1), "f4")
    for scale in (1.0, 1.0 + 1e-6):
        model.weights_ = model.weights_ * np.float32(scale)
        assert len(model.sample(100)[0]) == 100
        assert len(model.sample(100, chunks=30)[0].compute()) == 100
