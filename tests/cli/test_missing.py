"""Rows that lack values, on the command line."""

import numpy as np
import pandas as pd
import pytest
import zarr
from sklearn.frozen import FrozenEstimator

import dgmm
from tests.cli.test_commands import fail, succeed


@pytest.fixture
def incomplete(tmp_path, three_clusters):
    """A table some of whose values are null; and its rows."""
    rows = three_clusters.astype(float)
    rows[::3, 0] = np.nan
    rows[1::7, 1] = np.nan
    path = tmp_path / "rows.parquet"
    pd.DataFrame(rows, columns=["a", "b"]).to_parquet(path)
    return path, rows


def test_fit_and_predict(incomplete, tmp_path):
    path, rows = incomplete
    model = tmp_path / "model.npz"
    told = succeed("fit", path, "-k", 3, "--out", model, "--seed", 0, "--missing", "marginalize")
    mixture = dgmm.load(model)
    assert mixture.missing == "marginalize"
    n_missing, n_incomplete = np.isnan(rows).sum(axis=0), np.isnan(rows).any(axis=1).sum()
    counted = f"{n_incomplete:,} rows lack values: a ({n_missing[0]:,}), b ({n_missing[1]:,})"
    assert counted in told
    assert counted in succeed("info", model)
    succeed("predict", model, path, "--out", tmp_path / "labels.zarr")
    frame = pd.DataFrame(rows, columns=["a", "b"])
    labels = zarr.open_array(tmp_path / "labels.zarr", mode="r")[:]
    with pytest.warns(dgmm.DataWarning, match="have no value at all"):
        np.testing.assert_array_equal(labels, mixture.predict(frame))
    assert f"{mixture.score(frame):.6f} nats a row" in succeed("score", model, path)


def test_dropped_rows_are_told_of(incomplete, tmp_path):
    path, rows = incomplete
    model = tmp_path / "model.npz"
    told = succeed("fit", path, "-k", 3, "--out", model, "--seed", 0, "--missing", "drop")
    n_dropped = int(np.isnan(rows).any(axis=1).sum())
    assert f"{n_dropped:,} rows that lack values" in told
    assert f"{n_dropped:,} rows that lack values" in succeed("info", model)


def test_the_refusal_names_the_option(incomplete, tmp_path):
    path, rows = incomplete
    model = tmp_path / "model.npz"
    line = fail("fit", path, "-k", 3, "--out", model)
    assert "--missing drop" in line
    assert "--missing marginalize" in line
    assert "dgmm impute" in line
    complete = tmp_path / "complete.parquet"
    pd.DataFrame(rows, columns=["a", "b"]).dropna().to_parquet(complete)
    succeed("fit", complete, "-k", 3, "--out", model)
    refused = fail("score", model, path)
    assert "--missing marginalize" in refused
    assert "drop" not in refused  # which is of fits
    assert "nats a row" in succeed("score", model, path, "--missing", "marginalize")
    succeed("predict", model, path, "--missing", "marginalize", "--out", tmp_path / "labels.parquet")


@pytest.mark.parametrize("columns", ["a,b", "a"])
def test_a_sweep_draws_what_is_there(incomplete, tmp_path, columns):
    """With rows that lack values in its pictures."""
    pytest.importorskip("matplotlib")
    path, _ = incomplete
    out = tmp_path / "report"
    own = ("--covariance", "full", "--columns", columns, "--missing", "marginalize")
    succeed("sweep", path, "-k", "2:3", "--out", out, *own)
    assert (out / "report.html").read_text().count("<svg") >= 2


def test_what_was_fitted_to_complete_rows_takes_others_if_it_is_to(incomplete, tmp_path):
    path, rows = incomplete
    frame = pd.DataFrame(rows, columns=["a", "b"])
    frame.dropna().to_parquet(tmp_path / "complete.parquet")
    model, out = tmp_path / "model.npz", tmp_path / "outliers.parquet"
    succeed("fit", tmp_path / "complete.parquet", "-k", 3, "--out", model)
    given = ("outliers", model, path, "--out", out, "--contamination", 0.3)
    for command in (given, ("merge", model, path), ("update", model, path, "--out", tmp_path / "more.npz")):
        assert "--missing marginalize" in fail(*command)
        succeed(*command, "--missing", "marginalize")
    assert dgmm.load(tmp_path / "more.npz").missing == "marginalize"
    mixture = dgmm.load(model).set_params(missing="marginalize")
    detector = dgmm.MixtureOutlierDetector(FrozenEstimator(mixture), contamination=0.3)
    with pytest.warns(dgmm.DataWarning, match="have no value at all"):
        detector.fit(frame)
    with pytest.warns(dgmm.DataWarning, match="have no value at all"):
        scores = detector.score_samples(frame)
    found = pd.read_parquet(out)
    np.testing.assert_allclose(found["log_density"], scores, rtol=1e-9)
    is_outlier = scores < detector.offset_
    np.testing.assert_array_equal(found["outlier"], is_outlier)
    # Of each outlier as many features are named as it has; of others none is.
    n_named = (found[["feature_1", "feature_2"]] != "").sum(axis=1)
    np.testing.assert_array_equal(n_named, np.where(is_outlier, np.isfinite(rows).sum(axis=1), 0))
    assert (n_named == 1).sum() > 0
