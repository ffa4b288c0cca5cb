"""``dgmm outliers``: what the library says, in a table."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.frozen import FrozenEstimator

import dgmm
from tests.cli.test_commands import fail, model, named_model, succeed

__all__ = ["model", "named_model"]


@pytest.fixture
def odd_rows(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    """The rows; the one in place 7 lies far out in ``b``."""
    rows = three_clusters.copy()
    rows[7] = rows[7] + [0.0, 500.0]
    pd.DataFrame(rows, columns=["a", "b"]).to_parquet(tmp_path / "odd.parquet", row_group_size=300)
    return tmp_path / "odd.parquet"


def test_the_table_is_what_the_detector_says(tmp_path: Path, named_model: Path, odd_rows: Path):
    out = tmp_path / "table.parquet"
    said = succeed("outliers", named_model, odd_rows, "--contamination", 0.02, "--out", out)
    table = pq.read_table(out).to_pandas()
    mixture, frame = dgmm.load(named_model), pd.read_parquet(odd_rows)
    detector = dgmm.MixtureOutlierDetector(FrozenEstimator(mixture), contamination=0.02).fit(frame)
    np.testing.assert_allclose(table["log_density"], detector.score_samples(frame), rtol=1e-9)
    is_outlier = detector.predict(frame) == -1
    np.testing.assert_array_equal(table["outlier"], is_outlier)
    surprises = detector.explain(frame)[is_outlier]
    odd = table[is_outlier]
    np.testing.assert_allclose(odd["surprise_1"], surprises.max(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(odd["feature_1"], np.array(["a", "b"])[surprises.argmax(axis=1)])
    assert table.loc[7, ["feature_1", "value_1"]].tolist() == ["b", frame.loc[7, "b"]]
    assert (table.loc[~is_outlier, "feature_1"] == "").all()
    assert table.loc[~is_outlier, "surprise_1"].isna().all()
    assert f"outliers   {is_outlier.sum()} (" in said
    assert f"threshold  {detector.offset_:.6f} nats" in said
    first = next(line for line in said.splitlines() if line.split()[:1] == ["7"])
    assert "b = " in first


def test_the_threshold_is_a_share_of_the_weights(tmp_path: Path, named_model: Path, odd_rows: Path):
    frame = pd.read_parquet(odd_rows)
    counts = np.random.default_rng(0).integers(0, 5, len(frame))
    frame.assign(often=counts).to_parquet(odd_rows, row_group_size=300)
    given = ("--contamination", 0.1, "--weights", "often", "--json")
    found = json.loads(
        succeed("outliers", named_model, odd_rows, "--out", tmp_path / "table.parquet", *given)
    )
    detector = dgmm.MixtureOutlierDetector(FrozenEstimator(dgmm.load(named_model)), contamination=0.1)
    detector.fit(frame, sample_weight=counts)
    assert found["threshold"] == pytest.approx(detector.offset_, rel=1e-9)


def test_a_threshold_and_numbered_features(tmp_path: Path, model: Path, rows_zarr: Path):
    out = tmp_path / "table.parquet"
    given = ("outliers", model, rows_zarr, "--out", out, "--features", 1)
    succeed(*given, "--threshold", -5)
    table = pq.read_table(out).to_pandas()
    assert list(table) == ["outlier", "log_density", "feature_1", "value_1", "surprise_1"]
    np.testing.assert_array_equal(table["outlier"], table["log_density"] < -5)
    assert set(table["feature_1"]) == {"", "x0", "x1"}
    said = succeed(*given, "--threshold", -1e9, "--overwrite")
    assert "outliers   0 (0.000%)" in said


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # it is told of, as by scikit-learn
def test_features_of_rows_without_names_are_called_as_the_models(
    tmp_path: Path, named_model: Path, rows_zarr: Path
):
    table, whole = tmp_path / "table.parquet", tmp_path / "whole.parquet"
    said = succeed("outliers", named_model, rows_zarr, "--contamination", 0.02, "--out", table)
    assert "x1 = " not in said
    assert set(pq.read_table(table)["feature_1"].to_pylist()) == {"", "a", "b"}
    succeed("impute", named_model, rows_zarr, "--out", whole)
    assert list(pd.read_parquet(whole)) == ["a", "b"]


def test_what_it_refuses(tmp_path: Path, model: Path, rows_zarr: Path):
    out = tmp_path / "table.parquet"
    assert "0<x<=0.5" in fail("outliers", model, rows_zarr, "--out", out, "--contamination", 0)
    for option in ("--contamination", "--threshold"):
        assert "nan is not a finite number" in fail("outliers", model, rows_zarr, "--out", out, option, "nan")
    both = ("--contamination", 0.1, "--threshold", -5)
    assert "not both" in fail("outliers", model, rows_zarr, "--out", out, *both)
    assert "must end in .parquet" in fail("outliers", model, rows_zarr, "--out", tmp_path / "table.zarr")
    assert not out.exists()
