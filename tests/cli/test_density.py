# pyright: reportArgumentType=false, reportCallIssue=false
"""Commands that use a model as a density: what the library says, in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zarr
from numpy.testing import assert_allclose

import dgmm
from dgmm import DataWarning
from tests.cli.test_commands import fail, model, named_model, read, run, succeed

__all__ = ["model", "named_model"]


@pytest.fixture
def holes(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    """The rows, with values that are missing, and a column of text."""
    rows = three_clusters.copy()
    rows[::3, 0], rows[1::5, 1] = np.nan, np.nan
    rows[0] = [np.nan, 1.0]
    frame = pd.DataFrame(rows[~np.isnan(rows).all(axis=1)], columns=["a", "b"]).assign(kind="star")
    frame.to_parquet(tmp_path / "holes.parquet")
    return tmp_path / "holes.parquet"


def test_marginal_and_condition(tmp_path: Path, named_model: Path):
    mixture, out = dgmm.load(named_model), tmp_path / "part.npz"
    said = succeed("marginal", named_model, "--features", "b", "--out", out)
    assert "features  b" in said
    found = dgmm.load(out)
    assert found.feature_names_in_.tolist() == ["b"]
    assert (found.means_ == mixture.marginal("b").means_).all()
    said = succeed("condition", named_model, "a=-1.5", "--out", out, "--overwrite")
    assert "features  b" in said
    assert (dgmm.load(out).weights_ == mixture.condition({"a": -1.5}).weights_).all()


def test_features_by_number(tmp_path: Path, model: Path, named_model: Path):
    mixture, out = dgmm.load(model), tmp_path / "part.npz"
    succeed("marginal", model, "--features", "1,0", "--out", out)
    assert (dgmm.load(out).means_ == mixture.means_[:, ::-1]).all()
    succeed("condition", model, "1=2e0", "--out", out, "--overwrite")
    assert (dgmm.load(out).means_ == mixture.condition({1: 2.0}).means_).all()


@pytest.mark.parametrize("method", ["mean", "sample", "mode"])
def test_impute(tmp_path: Path, named_model: Path, holes: Path, method: str):
    mixture = dgmm.load(named_model)
    expected = mixture.impute(pd.read_parquet(holes)[["a", "b"]], method, random_state=3)
    given = ("impute", named_model, holes, "--method", method, "--seed", 3)
    succeed(*given, "--out", tmp_path / "whole.zarr")
    assert_allclose(read(tmp_path / "whole.zarr"), expected, rtol=1e-6)
    said = succeed(*given, "--out", tmp_path / "whole.parquet")
    table = pq.read_table(tmp_path / "whole.parquet")
    assert table.column_names == ["a", "b"]
    assert_allclose(table.to_pandas(), expected, rtol=1e-6)
    assert f"rows      {len(expected):,}" in said


@pytest.mark.parametrize("workers", [(), ("--workers", 1)])
def test_rows_without_any_value_are_counted(tmp_path: Path, model: Path, workers: tuple[object, ...]):
    """All of them in one warning, whoever has filled them."""
    rows = np.full((50, 2), np.nan)
    rows[::7] = 1.0
    zarr.create_array(tmp_path / "empty.zarr", data=rows, chunks=(10, 2))
    result = run(
        "impute", model, tmp_path / "empty.zarr", "--out", tmp_path / "whole.zarr", "--json", *workers
    )
    assert result.exit_code == 0, result.stderr
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert [line[:58] for line in warnings] == ["warning: 42 of 50 rows have no value at all: such rows are"]
    assert json.loads(result.stdout)["n_rows_without_values"] == 42
    assert np.isfinite(read(tmp_path / "whole.zarr")).all()


def test_rows_without_any_value_are_told_of_by_predict(tmp_path: Path, model: Path):
    rows = np.full((50, 2), np.nan)
    rows[::7] = 1.0
    zarr.create_array(tmp_path / "empty.zarr", data=rows, chunks=(10, 2))
    given = ("predict", model, tmp_path / "empty.zarr", "--out", tmp_path / "labels.zarr", "--json")
    result = run(*given, "--missing", "marginalize")
    assert result.exit_code == 0, result.stderr
    (warning,) = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warning.startswith(
        "warning: 42 of 50 rows have no value at all: such rows all get the same results"
    )
    assert json.loads(result.stdout)["n_rows_without_values"] == 42


def test_regress(tmp_path: Path, named_model: Path, holes: Path):
    mixture = dgmm.load(named_model)
    with pytest.warns(
        DataWarning, match="rows have none of the known features: targets given nothing have"
    ) as warned:
        expected = mixture.regress(pd.read_parquet(holes), targets="b")
    out = tmp_path / "b.parquet"
    result = run("regress", named_model, holes, "--targets", "b", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert f"warning: {warned[0].message}" in result.stderr
    table = pq.read_table(out).to_pandas()
    assert table.columns.tolist() == ["b", "cov(b, b)"]
    assert_allclose(table["b"], expected.mean[:, 0], rtol=1e-6)
    assert_allclose(table["cov(b, b)"], expected.covariance[:, 0, 0], rtol=1e-6)
    succeed("regress", named_model, holes, "--targets", "0", "--known", "b", "--out", tmp_path / "a.zarr")
    with pytest.warns(DataWarning, match="none of the known features"):
        expected = mixture.regress(pd.read_parquet(holes), targets="a")
    assert_allclose(read(tmp_path / "a.zarr")[:, :1], expected.mean, rtol=1e-6)


def test_errors_in_one_line(tmp_path: Path, named_model: Path, holes: Path):
    out = ("--out", tmp_path / "out.npz")
    assert "no feature 'c'" in fail("marginal", named_model, "--features", "c", *out)
    assert "twice" in fail("marginal", named_model, "--features", "a,0", *out)
    assert "'a' is not of the form FEATURE=1.5" in fail("condition", named_model, "a", *out)
    assert "'a=x' is not of the form FEATURE=1.5" in fail("condition", named_model, "a=x", *out)
    assert "'a' is given twice" in fail("condition", named_model, "a=1", "a=2", *out)
    assert "feature 'a' is inf" in fail("condition", named_model, "a=inf", *out)
    assert "all features are known" in fail("condition", named_model, "a=1", "b=2", *out)
    out = ("--out", tmp_path / "out.zarr")
    assert "'a' is both known and a target" in fail(
        "regress", named_model, holes, "--targets", "a", "--known", "a", *out
    )
    assert "must end in .npz" in fail("marginal", named_model, "--features", "a", *out)
    assert not (tmp_path / "out.zarr").exists()
    rows = pd.DataFrame({"a": [np.inf, 1.0], "b": [np.nan, 2.0]})
    rows.to_parquet(tmp_path / "infinite.parquet")
    assert "contains infinity" in fail("impute", named_model, tmp_path / "infinite.parquet", *out)
    assert not (tmp_path / "out.zarr").exists()
