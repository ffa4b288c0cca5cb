"""Rows that have no value at all: told of by whatever is said of them."""

import warnings
from typing import Any

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dgmm import DataWarning, GaussianMixture

ROWS = np.random.default_rng(0).normal(size=(40, 2)) + np.repeat([[0.0], [4.0]], 20, axis=0)


@pytest.fixture
def mixture():
    return GaussianMixture(2, missing="marginalize", random_state=0).fit(ROWS)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples"])
def test_they_get_the_prior_and_a_warning(mixture, method):
    rows = np.vstack([ROWS[:3], np.full((2, 2), np.nan)])
    with pytest.warns(
        DataWarning, match="^2 of 5 rows have no value at all: such rows all get the same results"
    ) as caught:
        found = getattr(mixture, method)(rows)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    chunked: Any = da.from_array(rows, chunks=(4, 2))  # pyright: ignore[reportArgumentType] - Dask says str
    lazy = getattr(mixture, method)(chunked)
    with pytest.warns(DataWarning, match="^Some rows have no value at all.* not counted"):
        assert_array_equal(lazy.compute(scheduler="sync"), found)
    prior = {
        "predict": np.argmax(mixture.weights_),
        "predict_proba": mixture.weights_,
        "score_samples": 0.0,
    }
    assert_allclose(found[3:], np.stack([prior[method]] * 2), atol=1e-14)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_clusters_of_components_tell_of_them_too(mixture, method):
    merges = mixture.merge(ROWS)
    rows = np.vstack([ROWS[:3], np.full((2, 2), np.nan)])
    with pytest.warns(DataWarning, match="^2 of 5 rows have no value at all") as caught:
        found = getattr(merges, method)(rows, 2)
    assert [each.filename for each in caught] == [__file__]
    of_components = mixture.predict_proba(ROWS[:3]) @ np.eye(2)[merges.labels(2)]
    wanted = of_components if method == "predict_proba" else of_components.argmax(axis=1)
    assert_allclose(found[:3], wanted, atol=1e-14)


def test_rows_that_have_one_are_not_told_of(mixture):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture.predict([[1.0, np.nan], [np.nan, 2.0]])
        mixture.predict(da.from_array([[1.0, np.nan]])).compute()


def test_a_regression_tells_of_rows_that_know_nothing(mixture):
    rows = np.vstack([ROWS[:3], [[np.nan, 1.0], [np.nan, np.nan]]])
    with pytest.warns(
        DataWarning, match="^2 of 5 rows have none of the known features: targets given nothing"
    ) as caught:
        found = mixture.regress(rows, targets=1)
    assert len(caught) == 1
    assert_allclose(found.mean[3:], np.full((2, 1), mixture.weights_ @ mixture.means_[:, 1]))
    lazy = mixture.regress(da.from_array(rows[:, :1], chunks=2), targets=1)  # pyright: ignore[reportArgumentType]
    with pytest.warns(DataWarning, match="^Some rows have none of the known features: targets given nothing"):
        assert_array_equal(lazy.mean.compute(scheduler="sync"), found.mean)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture.regress(np.where([[False, True]], np.nan, ROWS), targets=1)  # of a target no value is needed
