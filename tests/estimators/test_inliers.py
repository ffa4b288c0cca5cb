# pyright: reportArgumentType=false
"""The mixture that a detector of outliers takes where it is given none."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal
from sklearn.covariance import MinCovDet, ledoit_wolf
from sklearn.metrics import roc_auc_score

from dgmm import GaussianMixture, MixtureOutlierDetector, open_dataset
from dgmm.estimators import inliers
from dgmm.estimators.inliers import (
    INLIERS,
    fit_to_inliers,
    held_out_log_densities,
    robust_distances,
    shrunk_covariance,
)
from dgmm.estimators.parameters import parameters_of


def with_cluster(generator: np.random.Generator, n_features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Correlated rows, and 2% in a tight cluster far out."""
    mixing = np.eye(n_features) + 0.3 * generator.normal(size=(n_features, n_features))
    rows = generator.normal(size=(490, n_features)) @ mixing
    planted = rows.std(axis=0) * 4.0 + 0.05 * generator.normal(size=(10, n_features))
    return np.concatenate([rows, planted]), np.repeat([0, 1], [490, 10])


def test_distances_are_those_of_the_minimum_covariance_determinant():
    """Of scikit-learn, but for a factor, as both leave the normal rows' tails out."""
    rows, is_planted = with_cluster(np.random.default_rng(0))
    found = robust_distances(rows, np.ones(len(rows)))
    exact = MinCovDet(support_fraction=0.75, random_state=0).fit(rows).mahalanobis(rows)
    assert np.corrcoef(np.log(found[is_planted == 0]), np.log(exact[is_planted == 0]))[0, 1] > 0.99
    assert found[is_planted == 1].min() > np.quantile(found, 0.97)


@pytest.mark.parametrize("n_rows", [5, 50, 500])
def test_covariances_are_shrunk_as_scikit_learn_does(n_rows):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(n_rows, 10)) * np.arange(1, 11)
    expected, _ = ledoit_wolf(rows, assume_centered=True)
    ridge = INLIERS.ridge_of_distances * np.eye(10)
    assert_allclose(shrunk_covariance(rows, np.ones(n_rows)), expected + ridge, rtol=1e-10, atol=1e-12)
    counts = generator.integers(1, 4, n_rows)
    repeated = np.repeat(rows, counts, axis=0)
    expected = shrunk_covariance(repeated, np.ones(len(repeated)))
    assert_allclose(shrunk_covariance(rows, counts.astype(float)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_rows", [3, 30])
def test_distances_of_fewer_rows_than_features(n_rows):
    rows = np.random.default_rng(1).normal(size=(n_rows, 50))
    rows[:, 7] = 3.0
    assert np.isfinite(robust_distances(rows, np.ones(len(rows)))).all()


def test_the_mixture_does_not_depend_on_units():
    rows, _ = with_cluster(np.random.default_rng(0))
    units = np.array([1e-6, 1.0, 1e5, 3.0])
    one, other = (
        fit_to_inliers(open_dataset(x), None, 0.02, 0).score_samples(x) for x in (rows, rows * units)
    )
    assert_allclose(other + np.log(units).sum(), one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mixture_tells_nothing_of_other_rows(dtype):
    """It was fitted to rows in other units, and not to those that are far out."""
    rows = with_cluster(np.random.default_rng(0))[0].astype(dtype)
    found = fit_to_inliers(open_dataset(pd.DataFrame(rows, columns=[*"abcd"])), None, 0.02, 0)
    figures = ("lower_bound_", "lower_bounds_", "history_", "data_fingerprint_", "n_passes_", "stop_reason_")
    assert [name for name in figures if hasattr(found, name)] == []
    assert found.means_.dtype == dtype
    assert found.n_components == len(found.weights_)
    assert found.feature_names_in_.tolist() == [*"abcd"]


def test_a_cluster_of_outliers_is_none_of_the_mixtures():
    """A mixture of all rows takes it for one of its clusters."""
    rows, is_planted = with_cluster(np.random.default_rng(2))
    detector = MixtureOutlierDetector(contamination=0.02, random_state=0).fit(rows)
    assert roc_auc_score(is_planted, -detector.score_samples(rows)) == 1.0


def test_rows_beyond_the_sample_are_drawn_at_random(monkeypatch):
    """The same mixture of rows however they are stored; and a close one of more than are drawn."""
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(4000, 3)) * [1, 2, 3] + [5, 0, 100]
    monkeypatch.setattr(inliers, "INLIERS", replace(inliers.INLIERS, n_rows=1000))
    here = fit_to_inliers(open_dataset(rows), None, 0.01, 0)
    lazy = fit_to_inliers(open_dataset(da.from_array(rows, chunks=(700, 3))), None, 0.01, 0)
    assert_allclose(here.means_, lazy.means_, rtol=1e-12)
    assert len(here.weights_) == 1
    assert_allclose(here.means_[0], [5, 0, 100], atol=0.5)
    covariance = parameters_of(here).covariance_matrices[0]  # one component is the same, tied or not
    assert_allclose(np.diag(covariance), [1, 4, 9], rtol=0.25)


def test_rows_without_weight_do_not_count():
    rows, is_planted = with_cluster(np.random.default_rng(0))
    weighted = MixtureOutlierDetector(random_state=0).fit(rows, sample_weight=1.0 - is_planted)
    alone = MixtureOutlierDetector(random_state=0).fit(rows[is_planted == 0])
    assert weighted.offset_ == pytest.approx(alone.offset_, abs=0.1)


def test_a_feature_that_does_not_vary_is_no_concern_of_the_users():
    """A warning would name its value in other units, and parameters that the detector does not have."""
    rows = np.column_stack([with_cluster(np.random.default_rng(0))[0], np.full(500, 7.0)])
    detector = MixtureOutlierDetector(contamination=0.02, random_state=0).fit(rows)
    other = rows[:1].copy()
    other[0, 4] = 8.0
    assert detector.score_samples(other)[0] < detector.score_samples(rows).min()
    assert detector.explain(other).argmax() == 4
    assert_allclose(detector.explain(rows[:1])[0, 4], 0.0, atol=1e-9)


def test_rows_are_judged_by_the_half_that_they_are_not_in():
    """Likely by its own component, a lone row is not by that of the others."""
    rows = np.random.default_rng(4).normal(size=(200, 2))
    rows[0] = 30.0
    is_first = np.arange(200) < 100

    def fitted(half):
        return GaussianMixture(1).fit(rows[half])

    found = held_out_log_densities(rows, is_first, fitted)
    for half in (is_first, ~is_first):
        expected = multivariate_normal(
            rows[half].mean(axis=0), np.cov(rows[half].T, bias=True) + 1e-6 * np.eye(2)
        )
        assert_allclose(found[~half], expected.logpdf(rows[~half]), rtol=1e-9)
    assert found.argmin() == 0
