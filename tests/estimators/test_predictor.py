"""What is said of rows is of the type that a type checker sees: ``assert_type`` is for pyright."""

from pathlib import Path
from typing import Any, assert_type

import dask.array as da
import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import skl2onnx
import xarray as xr
import zarr
from numpy.typing import NDArray
from sklearn import decomposition
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesian
from sklearn.mixture import GaussianMixture as Sklearn

import dgmm
from dgmm import PCA, BayesianGaussianMixture, GaussianMixture, GaussianMixtureSweep, open_dataset
from dgmm.data import Source
from dgmm.data.fingerprint import Fingerprint
from dgmm.estimators.predictor import Predictor
from dgmm.model.matrices import Array
from tests.model import naive

dd = pytest.importorskip("dask.dataframe")

ROWS: NDArray[np.float64] = np.random.default_rng(0).standard_normal((40, 2)) + np.repeat(
    [[0.0], [9.0]], 20, axis=0
)


@pytest.fixture(scope="module")
def expected() -> Sklearn:
    return Sklearn(2, random_state=0).fit(ROWS)


@pytest.fixture(scope="module", params=["mixture", "sweep"])
def model(request) -> Predictor:
    mixture = GaussianMixture(2, random_state=0).fit(ROWS)
    sweep = GaussianMixtureSweep([2], covariance_type="full", random_state=0).fit(ROWS)
    return assert_type(mixture, GaussianMixture) if request.param == "mixture" else sweep


def check(
    expected: Sklearn,
    labels: NDArray[np.int64] | da.Array | xr.DataArray,
    shares: Array | da.Array | xr.DataArray,
    scores: Array | da.Array | xr.DataArray,
) -> None:
    np.testing.assert_array_equal(np.asarray(labels), expected.predict(ROWS))
    np.testing.assert_allclose(np.asarray(shares), expected.predict_proba(ROWS), rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.asarray(scores), expected.score_samples(ROWS), rtol=1e-9)


NAMELESS = pytest.mark.filterwarnings("ignore:X has feature names, but")


@NAMELESS
@pytest.mark.parametrize("kind", ["array", "pandas", "Polars", "lists"])
def test_in_memory(model: Predictor, expected: Sklearn, kind: str):
    def of_array(x: NDArray[np.float64]) -> None:
        labels, shares = model.predict(x), model.predict_proba(x)
        check(expected, labels, shares, assert_type(model.score_samples(x), Array))
        assert isinstance(assert_type(labels, NDArray[np.int64]), np.ndarray)
        assert isinstance(assert_type(shares, Array), np.ndarray)

    def of_pandas(x: pd.DataFrame) -> None:
        labels = assert_type(model.predict(x), NDArray[np.int64])
        check(expected, labels, model.predict_proba(x), model.score_samples(x))
        assert isinstance(labels, np.ndarray)

    def of_polars(x: pl.DataFrame) -> None:
        labels = assert_type(model.predict(x), NDArray[np.int64])
        check(expected, labels, model.predict_proba(x), model.score_samples(x))
        assert isinstance(labels, np.ndarray)

    def of_lists(x: list[list[float]]) -> None:
        labels = assert_type(model.predict(x), NDArray[np.int64])
        check(expected, labels, model.predict_proba(x), model.score_samples(x))
        assert isinstance(labels, np.ndarray)

    match kind:
        case "array":
            of_array(ROWS)
        case "pandas":
            of_pandas(pd.DataFrame(ROWS))
        case "Polars":
            of_polars(pl.DataFrame(ROWS, schema=["a", "b"]))
        case "lists":
            of_lists(ROWS.tolist())


def test_dask_array(model: Predictor, expected: Sklearn):
    x: da.Array = da.from_array(ROWS).rechunk((15, 2))
    labels = assert_type(model.predict(x), da.Array)
    shares = assert_type(model.predict_proba(x), da.Array)
    scores = assert_type(model.score_samples(x), da.Array)
    assert all(isinstance(each, da.Array) for each in (labels, shares, scores))
    check(expected, labels, shares, scores)


@NAMELESS
def test_dask_frame(model: Predictor, expected: Sklearn):
    import dask.dataframe as dd

    x: dd.DataFrame = dd.from_pandas(pd.DataFrame(ROWS, columns=["a", "b"]), npartitions=3)
    labels = assert_type(model.predict(x), dd.Series)
    shares = assert_type(model.predict_proba(x), dd.DataFrame)
    scores = assert_type(model.score_samples(x), dd.Series)
    assert isinstance(labels, dd.Series)
    assert isinstance(shares, dd.DataFrame)
    assert isinstance(scores, dd.Series)
    check(expected, labels.compute(), shares.compute(), scores.compute())


def test_labelled(model: Predictor, expected: Sklearn):
    x = xr.DataArray(ROWS, dims=("row", "feature"))
    labels = assert_type(model.predict(x), xr.DataArray)
    shares = assert_type(model.predict_proba(x), xr.DataArray)
    scores = assert_type(model.score_samples(x), xr.DataArray)
    assert labels.dims == scores.dims == ("row",)
    assert shares.dims == ("row", "component")
    check(expected, labels, shares, scores)


def test_stored(model: Predictor, expected: Sklearn, tmp_path: Path):
    path = str(tmp_path / "rows.zarr")
    array = zarr.create_array(path, data=ROWS, chunks=(15, 2))
    labels = assert_type(model.predict(path), da.Array)
    shares = assert_type(model.predict_proba(tmp_path / "rows.zarr"), da.Array)
    scores = assert_type(model.score_samples(array), da.Array)
    assert all(isinstance(each, da.Array) for each in (labels, shares, scores))
    check(expected, labels, shares, scores)


def test_open_already(model: Predictor, expected: Sklearn):
    source = assert_type(open_dataset(ROWS), Source)
    labels = assert_type(model.predict(source), NDArray[np.int64] | da.Array | xr.DataArray)
    assert isinstance(labels, np.ndarray)  # as these rows are in memory
    check(expected, labels, model.predict_proba(source), model.score_samples(source))


def test_samples(model: Predictor):
    rows, components = model.sample(5)
    assert assert_type(rows, Array).shape == (5, 2)
    assert assert_type(components, NDArray[np.int64]).tolist() == sorted(components.tolist())
    assert isinstance(rows, np.ndarray)
    lazy, of_which = model.sample(50, chunks=20)
    assert isinstance(assert_type(lazy, da.Array), da.Array)
    assert assert_type(of_which, da.Array).chunks == ((20, 20, 10),)
    np.testing.assert_array_equal(model.predict(lazy).compute(), of_which.compute())  # far apart


@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture", "GaussianMixtureSweep"])
def test_fit_predict(name):
    if name == "GaussianMixture":
        labels = assert_type(GaussianMixture(2, random_state=0).fit_predict(ROWS), NDArray[np.int64])
    elif name == "BayesianGaussianMixture":
        bayes = BayesianGaussianMixture(n_components=2, random_state=0)
        labels = assert_type(bayes.fit_predict(ROWS), NDArray[np.int64])
    else:
        sweep = GaussianMixtureSweep([2], covariance_type="full", random_state=0)
        labels = assert_type(sweep.fit_predict(ROWS), NDArray[np.int64])
    assert {*labels[:20]} == {labels[0]} != {*labels[20:]} == {labels[20]}


def test_both_ways_between_libraries_and_files(expected, tmp_path):
    mixture = assert_type(GaussianMixture.from_sklearn(expected), GaussianMixture)
    again = assert_type(mixture.to_sklearn(), Sklearn)
    np.testing.assert_array_equal(again.predict_proba(ROWS), expected.predict_proba(ROWS))
    bayes = BayesianGaussianMixture(n_components=2, random_state=0)
    assert isinstance(assert_type(bayes.fit(ROWS).to_sklearn(), SklearnBayesian), SklearnBayesian)
    bayes.save(tmp_path / "model.npz")
    loaded = assert_type(dgmm.load(tmp_path / "model.npz"), GaussianMixture | BayesianGaussianMixture)
    assert isinstance(loaded, BayesianGaussianMixture)
    np.testing.assert_array_equal(loaded.means_, bayes.means_)
    assert str(assert_type(dgmm.fingerprint(ROWS), Fingerprint)) == bayes.data_fingerprint_


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_diag"])
def test_onnx_says_the_same(covariance_type: Any):
    """Rounding of whitened rows y = x P − μ P in float32 moves log joint densities by at most `moved`.

    A log density is a sum of squares of y, each of which (|x| + |μ|) |P| bounds; and a probability
    moves by less than log densities do. Labels may differ only where two probabilities are as near.
    """
    rng = np.random.default_rng(0)
    single = np.concatenate([rng.normal(0, 1, (300, 3)), rng.normal(3, 2, (200, 3))]).astype(np.float32)
    rows = single.astype(np.float64)  # the same numbers
    mixture = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(rows)
    other: Any = mixture.to_sklearn()
    converted: Any = skl2onnx.to_onnx(other, single[:1])
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Any = session.run(None, {session.get_inputs()[0].name: single})
    labels, probabilities = np.ravel(found[0]), found[1]

    roots = np.abs(
        np.linalg.inv(np.linalg.cholesky(naive.matrices_of(mixture._parameters)))
    )  # of P, transposed
    sizes = np.einsum("nkj,kij->nki", np.abs(rows)[:, None] + np.abs(mixture.means_), roots)
    log_densities = np.abs(other._estimate_log_prob(rows)).max()
    moved = (rows.shape[1] + 4) * np.finfo(np.float32).eps * ((sizes**2).sum(axis=2).max() + log_densities)
    expected = mixture.predict_proba(rows)
    assert moved < 1e-3
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=moved)
    sure = np.abs(expected[:, 0] - expected[:, 1]) > 2 * moved
    assert np.count_nonzero(sure) > 490
    np.testing.assert_array_equal(labels[sure], mixture.predict(rows)[sure])


def test_projections(tmp_path: Path):
    pca, expected = assert_type(PCA(1).fit(ROWS), PCA), decomposition.PCA(1).fit(ROWS)
    here = assert_type(pca.transform(ROWS), Array)
    zarr.create_array(tmp_path / "rows.zarr", data=ROWS, chunks=(15, 2))
    there = assert_type(pca.transform(tmp_path / "rows.zarr"), da.Array)
    assert isinstance(here, np.ndarray)
    assert isinstance(there, da.Array)
    for found in (here, there.compute()):
        np.testing.assert_allclose(found, expected.transform(ROWS), rtol=1e-9, atol=1e-12)
