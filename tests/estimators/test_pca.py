# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportOptionalSubscript=false
"""`PCA` against scikit-learn's, on all sources, and before a mixture."""

import json
import math
import pickle
import subprocess
import sys

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from dask import config
from sklearn import decomposition
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from dgmm import PCA, GaussianMixture, open_dataset

ATTRIBUTES = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
    "noise_variance_",
    "n_components_",
    "n_samples_",
    "n_features_in_",
)


@pytest.fixture
def rows():
    generator = np.random.default_rng(1)
    return generator.normal(size=(1200, 4)) @ generator.normal(size=(4, 4)) + [5, 0, -3, 1e6]


def check_same(found, expected, rows, rtol=1e-8):
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-8)
    reduced = expected.transform(rows)
    scale = np.abs(reduced).max()
    np.testing.assert_allclose(found.transform(rows), reduced, rtol=rtol, atol=1e-8 * scale)
    back, expected_back = (each.inverse_transform(reduced) for each in (found, expected))
    np.testing.assert_allclose(back, expected_back, rtol=rtol, atol=1e-8)
    np.testing.assert_array_equal(found.get_feature_names_out(), expected.get_feature_names_out())


@parametrize_with_checks([PCA(), PCA(0.9, whiten=True)])
@pytest.mark.filterwarnings("ignore")  # what the checks provoke is theirs
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [None, 1, 3, 0.5, 0.999, "mle"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_it_is_scikit_learns(n_components, whiten, offset):
    rows = load_iris().data + offset
    found = PCA(n_components, whiten=whiten).fit(rows)
    expected = decomposition.PCA(n_components, whiten=whiten, svd_solver="full").fit(rows)
    check_same(found, expected, rows)
    assert found.get_params() == decomposition.PCA(n_components, whiten=whiten).get_params()
    np.testing.assert_allclose(found.get_covariance(), expected.get_covariance(), rtol=1e-12)
    np.testing.assert_allclose(found.get_precision(), expected.get_precision(), rtol=1e-10)
    exact = [math.fsum(column) / len(column) for column in rows.T]
    np.testing.assert_allclose(found.mean_, exact, rtol=2 * np.finfo(float).eps)
    # Scikit-learn's sum of rows about 1e6 leaves its mean 3e-10 off: times precision and deviation that is
    # up to 5e-7 nats of a row. With one mean densities agree as precisions do.
    expected.mean_ = found.mean_
    np.testing.assert_allclose(found.score_samples(rows), expected.score_samples(rows), rtol=1e-9, atol=1e-9)
    assert found.score(rows) == pytest.approx(expected.score(rows), rel=1e-12)


def test_no_components():
    found, expected = PCA(0).fit(load_iris().data), decomposition.PCA(0).fit(load_iris().data)
    assert found.transform(load_iris().data).shape == (150, 0)
    assert found.noise_variance_ == pytest.approx(expected.noise_variance_)


def test_digits():
    """64 features, of which some are constant: they are left without variance, and whitening is finite."""
    rows = load_digits().data
    found, expected = (
        kind(0.99, whiten=True, svd_solver="full").fit(rows) for kind in (PCA, decomposition.PCA)
    )
    check_same(found, expected, rows)
    assert np.isfinite(PCA(whiten=True).fit_transform(rows)).all()


def test_float32_rows_keep_their_dtype():
    rows = (np.random.default_rng(0).normal(size=(500, 3)) + 1000.0).astype("f4")
    found, expected = PCA().fit(rows), decomposition.PCA(svd_solver="full").fit(rows.astype(float))
    np.testing.assert_allclose(found.explained_variance_, expected.explained_variance_, rtol=1e-8)
    reduced = found.transform(rows)
    assert reduced.dtype == found.inverse_transform(reduced).dtype == np.float32
    np.testing.assert_allclose(reduced, expected.transform(rows.astype(float)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_rows", [2, 3, 7])
def test_fewer_rows_than_features(n_rows):
    rows = np.random.default_rng(n_rows).normal(size=(n_rows, 8)) + 100.0
    found, expected = PCA().fit(rows), decomposition.PCA(svd_solver="full").fit(rows)
    assert found.n_components_ == n_rows
    kept = n_rows - 1  # the last has no variance, and no direction
    np.testing.assert_allclose(found.explained_variance_, expected.explained_variance_, atol=1e-12)
    np.testing.assert_allclose(found.components_[:kept], expected.components_[:kept], atol=1e-8)


def test_dependent_and_constant_features(rows):
    rows = np.column_stack([rows, rows[:, 0] - rows[:, 1], np.full(len(rows), 7.0)])
    found, expected = PCA().fit(rows), decomposition.PCA(svd_solver="full").fit(rows)
    np.testing.assert_allclose(found.singular_values_, expected.singular_values_, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.components_[:4], expected.components_[:4], atol=1e-8)
    with pytest.raises(ValueError, match="without any variance"):
        found.score_samples(rows)
    assert np.isnan(PCA().fit(np.ones((5, 2))).explained_variance_ratio_).all()
    assert PCA(0.5).fit(np.ones((5, 2))).n_components_ >= 1


def test_weights_count_rows(rows):
    counts = np.random.default_rng(0).integers(0, 4, len(rows))
    found, expected = PCA(2).fit(rows, sample_weight=counts), PCA(2).fit(np.repeat(rows, counts, axis=0))
    assert found.n_samples_ == np.count_nonzero(counts)
    for name in ("mean_", "components_", "explained_variance_", "noise_variance_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-8)
    with pytest.raises(ValueError, match=r"sums to 1\b"):
        PCA().fit(rows, sample_weight=np.full(len(rows), 1 / len(rows)))


@pytest.mark.usefixtures("small_spans")
def test_sources_agree(rows, stored, tmp_path):
    frame = pd.DataFrame(rows, columns=list("abcd"))
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=100)
    known = da.from_array(rows, chunks=(500, 2))
    unknown = known[da.from_array(np.full(len(rows), True), chunks=500)]
    labelled = xr.DataArray(rows.reshape(30, 40, 4), dims=("x", "y", "band")).chunk(x=7)
    path = stored(rows, 100)
    expected = PCA(2, whiten=True).fit(rows)
    reduced = expected.transform(rows)
    for x in (
        path,
        zarr.open(path),
        open_dataset(path),
        tmp_path / "rows.parquet",
        known,
        unknown,
        labelled,
        frame,
        dd.from_pandas(frame, npartitions=5),
    ):
        found = clone(expected).fit(x)
        for name in ATTRIBUTES:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)
        lazy = found.transform(x)
        assert isinstance(lazy, np.ndarray) == (x is frame)
        np.testing.assert_allclose(np.asarray(lazy).reshape(-1, 2), reduced, atol=1e-9)
        back = found.inverse_transform(lazy)
        np.testing.assert_allclose(np.asarray(back).reshape(-1, 4), expected.inverse_transform(reduced))
        assert found.score(x) == pytest.approx(expected.score(rows))


def test_frames_are_named(rows):
    frame = pd.DataFrame(rows, columns=list("abcd"), index=np.arange(len(rows)) + 7)
    x = dd.from_pandas(frame, npartitions=3)
    pca = PCA(2).fit(x)
    reduced = pca.transform(x)
    assert list(reduced.columns) == ["pca0", "pca1"]
    assert list(pca.inverse_transform(reduced).columns) == list("abcd")
    np.testing.assert_array_equal(reduced.compute().index, frame.index)
    np.testing.assert_array_equal(
        GaussianMixture(2, random_state=0).fit(reduced).feature_names_in_, reduced.columns
    )
    assert list(PCA(2).set_output(transform="pandas").fit_transform(frame).columns) == ["pca0", "pca1"]
    with pytest.raises(ValueError, match="feature names should match"):
        pca.transform(frame[["b", "a", "c", "d"]])


@pytest.mark.usefixtures("small_spans")
def test_the_same_bits_on_every_scheduler(rows, stored, request):
    path = stored(rows, 100)

    def bits():
        fitted = PCA().fit(path)
        return fitted.components_.tobytes(), fitted.singular_values_.tobytes(), fitted.mean_.tobytes()

    found = [bits()]
    with config.set(scheduler="synchronous"):
        found.append(bits())
    request.getfixturevalue("client")
    found.append(bits())
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("small_spans")
def test_before_a_mixture_with_no_store_between(stored):
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(10 * k, 1, (700, 6)) for k in range(3)])[
        generator.permutation(2100)
    ]
    path, pipeline = (
        stored(rows, 150),
        make_pipeline(PCA(0.99, whiten=True), GaussianMixture(3, random_state=0)),
    )
    expected = clone(pipeline).fit(rows)
    labels = pipeline.fit(path).predict(path)
    assert isinstance(labels, da.Array)
    np.testing.assert_array_equal(labels, expected.predict(rows))
    np.testing.assert_allclose(pipeline.score(path), expected.score(rows), rtol=1e-9)
    np.testing.assert_allclose(pipeline[-1].means_, expected[-1].means_, rtol=1e-6)
    drawn, _ = pipeline[-1].sample(3000)
    np.testing.assert_allclose(pipeline[0].inverse_transform(drawn).mean(axis=0), rows.mean(axis=0), atol=1.0)


WATCHED = """
import json, re, sys, warnings
from pathlib import Path
import dask, numpy as np
from sklearn.pipeline import make_pipeline
from dgmm import PCA, GaussianMixture
warnings.simplefilter("ignore")
def kibibytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
def pipeline():
    mixture = GaussianMixture(2, random_state=0, sample_rows=5000, max_iter=2)
    return make_pipeline(PCA(0.9, whiten=True), mixture)
with dask.config.set(scheduler="threads", num_workers=2):
    pipeline().fit(np.random.default_rng(0).normal(size=(20_000, 20)))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = kibibytes("VmRSS")
    fitted = pipeline().fit(sys.argv[1])
    labels = fitted.predict(sys.argv[1])
    shares = [float((labels == k).mean().compute()) for k in range(2)]
print(json.dumps({"used": (kibibytes("VmHWM") - before) * 1024, "shares": shares}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")
def test_memory_of_a_pipeline_does_not_grow_with_the_rows(tmp_path):
    """320 MB of rows, whose projections are as large: two threads hold some blocks of 32 MiB at a time."""
    array = zarr.create_array(tmp_path / "rows.zarr", shape=(2_000_000, 20), chunks=(50_000, 20), dtype="f8")
    block = np.random.default_rng(0).normal(size=(50_000, 20))
    block[::2] += 5.0
    for start in range(0, 2_000_000, len(block)):
        array[start : start + len(block)] = block
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "rows.zarr")],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), "MALLOC_TRIM_THRESHOLD_": "65536"},
    )
    found = json.loads(done.stdout)
    assert found["shares"] == [0.5, 0.5]
    assert found["used"] < 2 * 2 * (32 + 8 + 8 + 16) * 2**20 < 320e6


@pytest.mark.parametrize(
    ("own", "rows", "says"),
    [
        ({"svd_solver": "randomized"}, np.eye(4), "svd_solver='randomized'"),
        ({"svd_solver": "arpack", "n_components": 1}, np.eye(4), "svd_solver='arpack'"),
        ({"n_components": 5}, np.eye(4), "n_components=5 must be between 0 and"),
        ({"n_components": 3}, np.eye(4)[:2], "there are 2 rows and 4 features"),
        ({"n_components": "mle"}, np.eye(4)[:2], "n_samples >= n_features"),
        ({}, np.eye(4)[:1], r"1 sample\(s\)"),
        ({}, np.diag([1.0, np.nan]), r"(?s)row 1, column 1.* or fill them with a `MixtureImputer`\.$"),
        ({}, np.diag([1.0, np.inf]), "infinity"),
        ({}, np.eye(4) * 1e200, "too large for PCA"),
    ],
)
def test_what_it_refuses(own, rows, says):
    with pytest.raises(ValueError, match=says):
        PCA(**own).fit(rows)


def test_rows_that_lack_values_can_be_filled(rows):
    """Whichever method takes them says so."""
    pca = PCA(2).fit(rows)
    holes = np.where(np.arange(rows.size).reshape(rows.shape) == 5, np.nan, rows)
    for method in (pca.transform, pca.score_samples, pca.fit):
        with pytest.raises(
            ValueError, match=r"(?s)row 1, column 1.* or fill them with a `MixtureImputer`\.$"
        ):
            method(holes)


def test_it_is_fitted_first(rows):
    for method in ("transform", "inverse_transform", "score_samples", "score"):
        with pytest.raises(NotFittedError):
            getattr(PCA(), method)(rows)
    pca = pickle.loads(pickle.dumps(PCA(2).fit(rows)))
    with pytest.raises(ValueError, match="3 columns, but this PCA has 2 components"):
        pca.inverse_transform(rows[:, :3])
    with pytest.raises(ValueError, match="2 features, but PCA is expecting 4"):
        pca.transform(rows[:, :2])
