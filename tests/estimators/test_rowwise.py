# pyright: reportArgumentType=false, reportCallIssue=false
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.callbacks import Callback

from dgmm import GaussianMixture

METHODS = ["predict", "predict_proba", "score_samples"]


@pytest.fixture
def rows(generator):
    return np.concatenate([generator.normal(4 * k, 1, (400, 2)) for k in range(3)])


@pytest.fixture
def mixture(rows):
    return GaussianMixture(3, random_state=0).fit(rows)


class Nothing(Callback):
    """Fails if anything is computed."""

    def _start(self, dsk):
        raise AssertionError("computed")


@pytest.mark.parametrize("method", METHODS)
def test_dask_arrays_stay_lazy(mixture, rows, method):
    expected = getattr(mixture, method)(rows)
    known = da.from_array(rows, chunks=(500, 1))
    unknown = known[da.from_array(np.full(1200, True), chunks=500)]
    for x in (known, unknown):
        with Nothing():
            lazy = getattr(mixture, method)(x)
        assert isinstance(lazy, da.Array)
        assert lazy.dtype == expected.dtype
        assert lazy._meta.dtype == expected.dtype
        assert lazy.ndim == lazy._meta.ndim == expected.ndim
        assert lazy.numblocks[0] == 3
        np.testing.assert_array_equal(np.isnan(lazy.chunks[0]), np.isnan(x.chunks[0]))
        found = lazy.compute()
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        assert found.dtype == expected.dtype


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("method", METHODS)
def test_paths_give_lazy_arrays(mixture, rows, stored, method):
    expected = getattr(mixture, method)(rows)
    path = stored(rows, 300)
    with Nothing():
        lazy = getattr(mixture, method)(path)
    assert isinstance(lazy, da.Array)
    assert lazy.shape == expected.shape
    assert lazy.dtype == expected.dtype
    np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("method", METHODS)
def test_frames_keep_their_index(rows, method):
    frame = pd.DataFrame(rows, columns=["a", "b"], index=np.arange(1200) * 2 + 7)
    mixture = GaussianMixture(3, random_state=0).fit(frame)
    expected = getattr(mixture, method)(frame)
    assert isinstance(expected, np.ndarray)
    x = dd.from_pandas(frame, npartitions=4)
    with Nothing():
        lazy = getattr(mixture, method)(x)
    found = lazy.compute()
    assert isinstance(found, pd.DataFrame if method == "predict_proba" else pd.Series)
    np.testing.assert_array_equal(found.index, frame.index)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_many_spans_in_memory(mixture, rows, method, small_spans):
    big = np.tile(rows, (5, 1))
    found = getattr(mixture, method)(big)
    np.testing.assert_allclose(found[:1200], getattr(mixture, method)(rows), rtol=1e-9, atol=1e-12)
    assert len(found) == 6000


def test_values_that_are_not_numbers_are_found_when_computed(mixture, rows, stored):
    rows[700, 1] = np.nan
    frame = pd.DataFrame(rows).astype("Float64")
    for x, place in (
        (da.from_array(rows, chunks=(500, 2)), "row 700, column 1, of chunk 1 of the Dask array"),
        (
            da.from_array(rows, chunks=(500, 2))[da.from_array(np.ones(len(rows), bool), chunks=500)],
            r"row 200, column 1, of chunk 1 of the Dask array \(rows counted within it\)",
        ),
        (stored(rows), "row 700, column 1, of .*zarr"),
        (
            dd.from_pandas(frame, npartitions=3),
            r"row 300, column 1, of partition 1 of the Dask DataFrame \(rows counted within it\)",
        ),
    ):
        lazy = mixture.predict(x)
        with pytest.raises(ValueError, match=f"(?s)Input X contains NaN.*{place}"):
            lazy.compute()


def test_features_are_counted_when_called(mixture, rows, stored):
    wide = np.hstack([rows, rows])
    for x in (wide, da.from_array(wide, chunks=500), stored(wide), dd.from_pandas(pd.DataFrame(wide))):
        with (
            Nothing(),
            pytest.raises(ValueError, match="X has 4 features, but GaussianMixture is expecting 2"),
        ):
            mixture.predict(x)


def test_no_rows(mixture, stored):
    for x in (da.empty((0, 2)), stored(np.empty((0, 2)))):
        assert mixture.predict_proba(x).compute().shape == (0, 3)
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
            mixture.score(x)


class TestSample:
    def test_lazy_chunks(self, mixture):
        with Nothing():
            x, y = mixture.sample(25_000, chunks=10_000)
        assert x.chunks == ((10_000, 10_000, 5000), (2,))
        assert y.chunks == ((10_000, 10_000, 5000),)
        rows, labels = x.compute(), y.compute()
        assert rows.dtype == np.float64
        assert labels.dtype == np.int64
        again, _ = mixture.sample(25_000, chunks=10_000)
        np.testing.assert_array_equal(again.compute(), rows)
        assert not np.array_equal(rows[:5000], rows[10_000:15_000])
        np.testing.assert_allclose(np.bincount(labels) / 25_000, mixture.weights_, atol=0.015)
        for k in range(3):
            np.testing.assert_allclose(rows[labels == k].mean(axis=0), mixture.means_[k], atol=0.06)
            np.testing.assert_allclose(np.cov(rows[labels == k].T), mixture.covariances_[k], atol=0.1)

    def test_refused(self, mixture):
        with pytest.raises(ValueError, match="Invalid value for 'n_samples': 0"):
            mixture.sample(0)
        with pytest.raises(ValueError, match="chunks must be at least 1 row"):
            mixture.sample(10, chunks=0)


def test_values_that_are_not_finite_are_counted_where_they_were_looked_for(mixture, rows):
    """Of 300 rows that lack a value a chunk has 100, and others may not have been looked at."""
    rows = rows.copy()
    rows[:300, 1] = np.nan
    lazy = mixture.predict(da.from_array(rows, chunks=(100, 2)))
    with pytest.raises(ValueError, match=r"there are 100 NaN and 0 infinite values in these rows\."):
        lazy.compute(scheduler="synchronous")
    with pytest.raises(ValueError, match=r"there are 300 NaN and 0 infinite values in all\."):
        mixture.score(da.from_array(rows, chunks=(100, 2)))
