# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportIndexIssue=false
import pickle

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from dgmm import (
    BayesianGaussianMixture,
    DataWarning,
    GaussianMixture,
    GaussianMixtureSweep,
    MixtureImputer,
    MixtureWarning,
)
from tests.estimators.test_imputing import by_hand, complete_rows, with_holes

NAMES = ["a", "b", "c"]
MARGINALIZED = GaussianMixture(2, missing="marginalize", random_state=0)


@parametrize_with_checks(
    [MixtureImputer(), MixtureImputer(MARGINALIZED, method="sample", add_indicator=True)]
)
@pytest.mark.filterwarnings("ignore")  # what scikit-learn's checks provoke is theirs
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture
def rows():
    return with_holes(complete_rows(by_hand(), 400), share=0.2)


def test_weights_that_are_a_column_of_the_rows(rows):
    counts = np.random.default_rng(0).integers(1, 3, len(rows)).astype(float)
    table, imputer = pd.DataFrame(rows, columns=NAMES), MixtureImputer(MARGINALIZED)
    expected = imputer.fit(table, sample_weight=counts).transform(table)
    imputer.fit(table.assign(often=counts), sample_weight="often")
    assert imputer.n_features_in_ == len(NAMES)
    assert_allclose(imputer.transform(table), expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["mean", "sample", "mode"])
def test_it_imputes_by_its_mixture(rows, method):
    imputer = MixtureImputer(MARGINALIZED, method=method, random_state=5)
    found = imputer.fit_transform(rows)
    expected = clone(MARGINALIZED).fit(rows).impute(rows, method, random_state=5)
    assert_allclose(found, expected, rtol=1e-12)
    assert_array_equal(pickle.loads(pickle.dumps(imputer)).transform(rows), found)
    assert not hasattr(imputer.estimator, "means_")


@pytest.mark.parametrize(
    "estimator",
    [
        BayesianGaussianMixture(n_components=2, missing="marginalize", tol=0.1, random_state=0),
        GaussianMixtureSweep(range(1, 3), covariance_type="full", missing="marginalize", random_state=0),
    ],
)
def test_any_mixture_will_do(rows, estimator):
    fitted = clone(estimator).fit(rows)
    mixture = getattr(fitted, "best_estimator_", fitted)
    assert_allclose(MixtureImputer(estimator).fit_transform(rows), mixture.impute(rows), rtol=1e-9)


def test_a_mixture_that_refuses_missing_values_is_fitted_to_what_is_observed(rows):
    given = GaussianMixture(2, random_state=0)
    found = MixtureImputer(given).fit_transform(rows)
    assert_array_equal(found, MixtureImputer(MARGINALIZED).fit_transform(rows))
    assert given.missing == "error"
    dropped = MixtureImputer(GaussianMixture(2, missing="drop", random_state=0)).fit(rows)
    expected = GaussianMixture(2, random_state=0).fit(rows[~np.isnan(rows).any(axis=1)])
    assert_allclose(dropped.mixture_.means_, expected.means_)


def test_a_frozen_mixture_is_not_fitted(rows):
    mixture = by_hand(names=NAMES)
    frame = pd.DataFrame(rows, columns=NAMES)
    found = MixtureImputer(FrozenEstimator(mixture)).fit(frame).transform(frame)
    assert isinstance(found, np.ndarray)
    assert_array_equal(found, mixture.impute(frame))


def test_measurement_errors_are_left_out_and_that_is_told(rows):
    mixture = GaussianMixture(2, missing="marginalize", random_state=0).fit(rows, errors=0.01)
    with pytest.warns(MixtureWarning, match="fitted anew here, without"):
        found = MixtureImputer(mixture).fit(rows)
    own = MixtureImputer(clone(mixture)).fit(rows)
    assert_array_equal(found.transform(rows), own.transform(rows))
    with pytest.raises(ValueError, match="imputing would ignore"):
        MixtureImputer(FrozenEstimator(mixture)).fit(rows)


def test_a_frozen_sweep_gives_its_best_and_what_is_no_mixture_is_refused(rows):
    sweep = GaussianMixtureSweep([1, 2], missing="marginalize", random_state=0).fit(rows)
    found = MixtureImputer(FrozenEstimator(sweep)).fit_transform(rows)
    assert_array_equal(found, sweep.best_estimator_.impute(rows))
    with pytest.raises(TypeError, match=r"FrozenEstimator.* is no mixture"):
        MixtureImputer(FrozenEstimator(KMeans(2, n_init=1).fit(found))).fit(rows)


def test_the_default_regresses():
    generator = np.random.default_rng(0)
    line = generator.normal(size=(500, 1)) * [1.0, 2.0, -1.0] + 0.1 * generator.normal(size=(500, 3))
    imputer = MixtureImputer(random_state=0).fit(with_holes(line, share=0.2))
    found = imputer.transform([[np.nan, 2.0, -1.0], [1.0, np.nan, np.nan]])
    assert_allclose(found, [[1.0, 2.0, -1.0], [1.0, 2.0, -1.0]], atol=0.1)


def test_it_beats_the_mean(rows):
    hidden = np.isnan(rows)
    complete = complete_rows(by_hand(), 400)
    found, mean = MixtureImputer(random_state=0).fit_transform(rows), SimpleImputer().fit_transform(rows)
    assert ((found - complete)[hidden] ** 2).mean() < 0.8 * ((mean - complete)[hidden] ** 2).mean()


def test_names_and_indicators_are_scikit_learns(rows):
    rows[:, 1] = np.nan_to_num(rows[:, 1])
    frame = pd.DataFrame(rows, columns=NAMES, index=np.arange(400) + 3)
    imputer = MixtureImputer(MARGINALIZED, add_indicator=True).fit(frame)
    expected = SimpleImputer(add_indicator=True).fit(frame)
    assert imputer.get_feature_names_out().tolist() == expected.get_feature_names_out().tolist()
    found = imputer.transform(frame)
    assert_array_equal(found[:, 3:], expected.transform(frame)[:, 3:])
    assert_array_equal(found[:, :3], imputer.mixture_.impute(frame))
    for container, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        wrapped = imputer.set_output(transform=container).transform(frame)
        assert isinstance(wrapped, kind)
        assert list(wrapped.columns) == imputer.get_feature_names_out().tolist()
        assert_array_equal(wrapped, found)
    assert imputer.set_output(transform="pandas").transform(frame).index.equals(frame.index)


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("add_indicator", [False, True])
def test_larger_than_memory(rows, stored, add_indicator):
    """The same fit, and the same values, of a path and of Dask collections; lazily."""
    imputer = MixtureImputer(MARGINALIZED, add_indicator=add_indicator, random_state=0)
    expected = imputer.fit_transform(rows)
    path = stored(rows, 90)
    found = imputer.fit(path).transform(path)
    assert isinstance(found, da.Array)
    assert_allclose(found.compute(), expected, rtol=1e-7)
    frame = dd.from_pandas(pd.DataFrame(rows, columns=NAMES), npartitions=4)
    lazy = imputer.fit(frame).transform(frame)
    assert isinstance(lazy, dd.DataFrame)
    assert lazy.columns.tolist() == imputer.get_feature_names_out().tolist()
    assert_allclose(lazy.compute(), expected, rtol=1e-7)


def test_what_xarray_has_comes_back(rows):
    x = xr.Dataset({name: ("row", values) for name, values in zip(NAMES, rows.T, strict=True)})
    found = MixtureImputer(MARGINALIZED).fit_transform(x)
    assert isinstance(found, xr.Dataset)
    assert_allclose(found.to_dataframe(), MixtureImputer(MARGINALIZED).fit_transform(rows), rtol=1e-12)


def test_in_a_pipeline(rows):
    complete = complete_rows(by_hand(), 400)
    target = complete @ [1.0, -2.0, 0.5]
    own = clone(MARGINALIZED)  # whose parameters are set below
    model = make_pipeline(MixtureImputer(own), LinearRegression()).fit(rows, target)
    assert model.score(rows, target) > 0.5
    assert model.set_params(mixtureimputer__estimator__n_components=1).fit(rows, target)


def test_what_it_refuses(rows):
    with pytest.raises(ValueError, match="'method' parameter of MixtureImputer must be"):
        MixtureImputer(method="median").fit(rows)
    with pytest.raises(ValueError, match="'estimator' parameter of MixtureImputer must be"):
        MixtureImputer(LinearRegression()).fit(rows)
    with pytest.raises(ValueError, match="contains infinity"):
        MixtureImputer(MARGINALIZED).fit(rows).transform([[np.inf, np.nan, 1.0]])
    with pytest.warns(DataWarning, match="^1 of 2 rows has no value at all"):
        MixtureImputer(MARGINALIZED).fit(rows).transform([[np.nan] * 3, [1.0] * 3])
    rows[:, 1] = np.nan
    with pytest.raises(ValueError, match="column 1 holds only NaN"):
        MixtureImputer().fit(rows)
