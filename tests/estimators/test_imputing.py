# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from dask.callbacks import Callback
from numpy.testing import assert_allclose, assert_array_equal

from dgmm import BayesianGaussianMixture, DataWarning, GaussianMixture
from dgmm.estimators.imputing import METHODS
from tests.model import naive

NAMES = ["a", "b", "c"]
each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
each_method = pytest.mark.parametrize("method", METHODS)


def by_hand(covariance_type="full", *, names=None, spread=1.5):
    found = naive.random_parameters(np.random.default_rng(0), covariance_type, spread=spread)
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    mixture.weights_, mixture.means_, mixture.covariances_ = found.weights, found.means, found.covariances
    if names is not None:
        mixture.feature_names_in_ = np.array(names, dtype=object)
    return mixture


def complete_rows(mixture, n_rows, seed=1):
    return naive.random_rows(np.random.default_rng(seed), mixture._parameters, n_rows)


def with_holes(rows, *, share=0.3, seed=2):
    """Hide values at random, but never all of a row."""
    generator = np.random.default_rng(seed)
    is_hidden = generator.random(rows.shape) < share
    is_hidden[np.arange(len(rows)), generator.integers(rows.shape[1], size=len(rows))] = False
    return np.where(is_hidden, np.nan, rows)


class Nothing(Callback):
    """Fails if anything is computed."""

    def _start(self, dsk):
        raise AssertionError("computed")


@each_family
def test_means_and_modes_are_those_of_the_conditional_mixture(covariance_type):
    mixture = by_hand(covariance_type)
    rows = with_holes(complete_rows(mixture, 60))
    means, modes = mixture.impute(rows), mixture.impute(rows, "mode")
    for row, mean, mode in zip(rows, means, modes, strict=True):
        known = np.flatnonzero(~np.isnan(row))
        missing = np.flatnonzero(np.isnan(row))
        if len(missing) == 0:
            continue
        given = mixture.condition({i: row[i] for i in known})
        assert_allclose(mean[missing], given.weights_ @ given.means_, rtol=1e-8, atol=1e-8)
        height = given.score_samples([mode[missing]])[0]
        assert height >= given.score_samples(given.means_).max() - 1e-9
        nearby = mode[missing] + np.random.default_rng(0).normal(scale=0.05, size=(50, len(missing)))
        assert height >= given.score_samples(nearby).max()


@each_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_known_values_stay_to_the_last_bit(method, dtype):
    mixture = by_hand()
    rows = with_holes(complete_rows(mixture, 200)).astype(dtype)
    rows[0], rows[1] = [-0.0, np.nan, 1e-40], [np.nan, 1e30, 0.1]
    before = rows.copy()
    found = mixture.impute(rows, method)
    assert found.dtype == dtype
    assert np.isfinite(found).all()
    is_known = ~np.isnan(before)
    assert (found[is_known].tobytes()) == before[is_known].tobytes()
    assert rows.tobytes() == before.tobytes()


@pytest.mark.usefixtures("small_spans")
@each_method
def test_the_same_however_rows_are_kept_and_cut(method, stored):
    """Draws depend on the number of a row, also where Dask does not know how many rows a chunk has."""
    rows = with_holes(complete_rows(by_hand(), 400))
    mixture, named = by_hand(), by_hand(names=NAMES)
    expected = mixture.impute(rows, method)
    # Steps to a mode end where they are below 1e-9 deviations: many such may be left, and differ by rounding.
    tolerance = {"rtol": 1e-6, "atol": 1e-7} if method == "mode" else {"rtol": 1e-9, "atol": 1e-12}
    array = da.from_array(rows, chunks=(70, 2))
    unknown = array[da.from_array(np.full(400, True), chunks=70)]
    path = stored(rows, 90)
    for x in (array, path, [*rows.tolist()]):
        with Nothing():
            found = mixture.impute(x, method)
        assert isinstance(found, np.ndarray if isinstance(x, list) else da.Array)
        assert_allclose(np.asarray(found), expected, **tolerance)
    assert_allclose(mixture.impute(unknown, method).compute(), expected, **tolerance)
    frame = dd.from_pandas(pd.DataFrame(rows, columns=NAMES, index=np.arange(400) + 5), npartitions=6)
    found = named.impute(frame, method).compute()
    assert found.columns.tolist() == NAMES
    assert found.index.tolist() == list(range(5, 405))
    assert_allclose(found, expected, **tolerance)


def test_draws_depend_on_the_seed_the_row_and_the_feature():
    mixture = by_hand()
    rows = np.tile([0.5, np.nan, np.nan], (50, 1))
    found = mixture.impute(rows, "sample")
    assert_array_equal(mixture.impute(rows, "sample"), found)
    assert_array_equal(mixture.impute(rows, "sample", random_state=0), found)
    assert (mixture.impute(rows, "sample", random_state=1)[:, 1:] != found[:, 1:]).all()
    assert len(np.unique(found[:, 1])) == len(np.unique(found[:, 2])) == 50
    rows[7] = 1.0  # what other rows are is no matter
    assert_array_equal(np.delete(mixture.impute(rows, "sample"), 7, axis=0), np.delete(found, 7, axis=0))


@each_family
def test_draws_keep_the_covariance_and_means_shrink_it(covariance_type):
    """Of the mixture that the rows are of: second moments within 5 standard errors of its own."""
    mixture = by_hand(covariance_type)
    rows = complete_rows(mixture, 40_000)
    holes = with_holes(rows, share=0.5)
    found = mixture.impute(holes, "sample")
    mean = mixture.weights_ @ mixture.means_
    gaps = mixture.means_ - mean
    exact = np.einsum("k,kij->ij", mixture.weights_, naive.matrices_of(mixture._parameters))
    exact += (mixture.weights_ * gaps.T) @ gaps
    products = (found - mean)[:, :, None] * (found - mean)[:, None, :]
    assert (abs(products.mean(axis=0) - exact) < 5.0 * products.std(axis=0) / np.sqrt(len(rows))).all()
    shrunk = mixture.impute(holes).var(axis=0)
    assert (shrunk < 0.95 * np.diag(exact)).all()


@pytest.mark.parametrize("prior", ["dirichlet_process", "dirichlet_distribution"])
def test_a_bayesian_mixture_imputes_by_its_posterior_means(prior):
    rows = complete_rows(by_hand(), 200)
    mixture = BayesianGaussianMixture(
        n_components=2, weight_concentration_prior_type=prior, random_state=0, tol=0.1
    ).fit(rows)
    means = GaussianMixture(2)
    means.weights_, means.means_, means.covariances_ = mixture.weights_, mixture.means_, mixture.covariances_
    holes = with_holes(rows)
    assert_allclose(mixture.impute(holes), means.impute(holes), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["mean", "sample"])
def test_tables_give_tables_of_their_kind(method):
    mixture = by_hand(names=NAMES)
    rows = with_holes(complete_rows(mixture, 30))
    expected = by_hand().impute(rows, method)
    frame = pd.DataFrame(rows, columns=NAMES, index=[f"row {i}" for i in range(30)])
    found = mixture.impute(frame.assign(kind="star"), method)
    assert isinstance(found, pd.DataFrame)
    assert found.index.equals(frame.index)
    assert found.columns.tolist() == NAMES
    assert_array_equal(found, expected)
    for make, kind in (
        (pl.from_pandas, pl.DataFrame),
        (lambda x: pl.from_pandas(x).lazy(), pl.DataFrame),
        (pa.Table.from_pandas, pa.Table),
        (pa.RecordBatch.from_pandas, pa.Table),
    ):
        found = mixture.impute(make(frame.reset_index(drop=True)), method)
        assert isinstance(found, kind)
        as_pandas = found.to_pandas()
        assert as_pandas.columns.tolist() == NAMES
        assert_array_equal(as_pandas, expected)
    numbered = by_hand().impute(pd.DataFrame(rows, columns=[3, 1, 2]), method)
    assert numbered.columns.tolist() == [3, 1, 2]
    nullable = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [1.0, 2.0], "c": [None, 1.5]})
    assert mixture.impute(nullable, method).notna().all(axis=None)


def test_xarray_gives_what_it_is():
    mixture = by_hand(names=NAMES)
    rows = with_holes(complete_rows(mixture, 20))
    expected = by_hand().impute(rows)
    whole = xr.Dataset(
        {
            name: (("time", "place"), values.reshape(5, 4), {"units": "m"})
            for name, values in zip(NAMES, rows.T, strict=True)
        },
        coords={"time": np.arange(5) * 10, "place": list("wxyz")},
        attrs={"title": "holes"},
    )
    turned = whole.transpose("place", "time")
    for x in (whole, whole.chunk(time=2), turned):
        found = mixture.impute(x)
        assert isinstance(found, xr.Dataset)
        assert found.attrs == whole.attrs
        assert (found["a"].chunks is None) == (x["a"].chunks is None)
        for name, values in zip(NAMES, expected.T, strict=True):
            assert found[name].dims == x[name].dims
            assert found[name].attrs == {"units": "m"}
            assert_allclose(found[name].transpose("time", "place").values.ravel(), values, rtol=1e-12)
        assert found.time.equals(whole.time)
    array = whole.to_dataarray("feature")
    found = mixture.impute(array.transpose("time", "place", "feature"))
    assert isinstance(found, xr.DataArray)
    assert found.dims == ("time", "place", "feature")
    assert_allclose(found.values.reshape(20, 3), expected, rtol=1e-12)


@each_method
def test_rows_without_any_value(method):
    """They are filled from the mixture itself; and are told of, with their number."""
    mixture = by_hand()
    rows = np.array([[np.nan] * 3, [1.0, 2.0, 3.0], [np.nan] * 3])
    with pytest.warns(DataWarning, match=r"^2 of 3 rows have no value at all") as caught:
        found = mixture.impute(rows, method)
    assert len(caught) == 1
    assert_array_equal(found[1], rows[1])
    if method == "mean":
        assert_allclose(found[[0, 2]], np.tile(mixture.weights_ @ mixture.means_, (2, 1)))
    if method == "mode":
        assert_array_equal(found[0], found[2])
        assert mixture.score_samples(found[:1]) >= mixture.score_samples(mixture.means_).max()
    if method == "sample":
        assert (found[0] != found[2]).all()
    lazy = mixture.impute(da.from_array(rows, chunks=(1, 3)), method)
    with pytest.warns(DataWarning, match="^Some rows have no value at all.* not counted"):
        assert_allclose(lazy.compute(scheduler="sync"), found)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_no_values(value):
    mixture = by_hand(names=NAMES)
    rows = pd.DataFrame([[np.nan, 1.0, 2.0], [0.0, value, np.nan]], columns=NAMES)
    message = r"(?s)contains infinity.*row 1, column 'b'.*there are 0 NaN and 1 infinite"
    with pytest.raises(ValueError, match=message):
        mixture.impute(rows)
    with pytest.raises(ValueError, match=message):
        mixture.regress(rows, targets="a")
    with pytest.raises(ValueError, match="contains infinity"):
        mixture.impute(dd.from_pandas(rows, npartitions=1)).compute()


def test_what_cannot_be_imputed():
    mixture = by_hand()
    with pytest.raises(ValueError, match="method='median' is not one of 'mean', 'sample', 'mode'"):
        mixture.impute(np.ones((2, 3)), "median")
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3"):
        mixture.impute(np.ones((2, 2)))
    with pytest.raises(ValueError, match="0 sample"):
        mixture.impute(np.empty((0, 3)))
    with pytest.raises(ValueError, match="not fitted yet"):
        GaussianMixture().impute(np.ones((2, 2)))


def test_complete_rows_are_given_back_without_a_warning():
    mixture = by_hand()
    rows = complete_rows(mixture, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mixture.impute(rows)
    assert_array_equal(found, rows)
    assert found is not rows
