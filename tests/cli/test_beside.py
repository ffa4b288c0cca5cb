"""Labels and groups of rows, on the command line."""

import numpy as np
import pandas as pd
import pytest
import zarr

import dgmm
from tests.cli.test_commands import fail, succeed


@pytest.fixture
def cells(three_clusters):
    """A table of rows, with labels of some and the group of each, as numbers and as text."""
    rows = np.asarray(three_clusters, float)
    generator = np.random.default_rng(0)
    patients = generator.integers(3, size=len(rows))
    labels = np.full(len(rows), -1)
    known = generator.choice(len(rows), 30, replace=False)
    labels[known] = dgmm.GaussianMixture(3, random_state=0).fit_predict(rows)[known]
    frame = pd.DataFrame(rows, columns=["a", "b"])
    frame["label"], frame["number"], frame["patient"] = (
        labels,
        10 * patients,
        np.array(["x", "y", "z"])[patients],
    )
    return frame


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("groups", ["number", "patient"])
def test_columns_of_a_table(cells, tmp_path, kind, groups):
    """They are no features; text is taken as it is."""
    path, model = tmp_path / f"cells.{kind}", tmp_path / "model.npz"
    cells.to_parquet(path, row_group_size=100) if kind == "parquet" else cells.to_csv(path, index=False)
    others = [name for name in ("number", "patient") if name != groups and name == "number"]
    columns = ["--columns", "a,b"] if others else []
    said = succeed(
        "fit", path, "-k", 3, "--out", model, "--seed", 0, "--labels", "label", "--groups", groups, *columns
    )
    assert "groups" in said
    mixture = dgmm.load(model)
    assert mixture.feature_names_in_.tolist() == ["a", "b"]
    same = dgmm.GaussianMixture(3, random_state=0)
    same.fit(cells[["a", "b"]], labels=cells["label"], groups=cells[groups])
    assert mixture.groups_.tolist() == same.groups_.tolist()
    np.testing.assert_allclose(mixture.group_weights_, same.group_weights_, rtol=1e-9)
    out = tmp_path / "labels.zarr"
    succeed("predict", model, path, "--out", out, "--groups", groups)
    expected = same.predict(cells[["a", "b"]], groups=cells[groups])
    np.testing.assert_array_equal(zarr.open_array(out, mode="r")[:], expected)
    mean = same.score(cells[["a", "b"]], groups=cells[groups])
    said = succeed("score", model, path, "--groups", groups)
    assert f"{mean:.6f} nats a row" in said
    assert f"{same.bic(cells[['a', 'b']], groups=cells[groups]):.1f}"[:6] in said.replace(",", "")


def test_data_of_their_own(cells, tmp_path, monkeypatch):
    """Arrays beside an array, and a checkpoint that goes on with them."""
    monkeypatch.chdir(tmp_path)
    for name, columns in (("rows", ["a", "b"]), ("labels", "label"), ("groups", "number")):
        zarr.create_array(f"{name}.zarr", data=cells[columns].to_numpy())
    beside = ["--labels", "labels.zarr", "--groups", "groups.zarr"]
    succeed("fit", "rows.zarr", "-k", 3, "--out", "model.npz", "--seed", 0, *beside, "--checkpoint", "kept")
    first = dgmm.load("model.npz")
    monkeypatch.chdir(tmp_path.parent)
    succeed("resume", tmp_path / "kept", "--overwrite")
    again = dgmm.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(first.group_weights_, again.group_weights_)


def test_what_is_refused(cells, tmp_path):
    path, model = tmp_path / "cells.parquet", tmp_path / "model.npz"
    cells.to_parquet(path)
    line = fail("fit", path, "-k", 3, "--out", model, "--groups", "nobody")
    assert "no column 'nobody'" in line
    line = fail("fit", path, "-k", 3, "--out", model, "--bayesian", "--labels", "label")
    assert "leave --bayesian out" in line
    line = fail("fit", path, "-k", 2, "--out", model, "--columns", "a,b", "--labels", "label")
    assert "labels holds 2 in row" in line
    cells.loc[4, "patient"] = None
    cells.to_parquet(path)
    line = fail("fit", path, "-k", 2, "--out", model, "--columns", "a,b", "--groups", "patient")
    assert "a column of text lacks values" in line
