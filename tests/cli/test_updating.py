# pyright: reportAttributeAccessIssue=false
"""``dgmm update`` and ``dgmm forget``: what the library does, from model file to model file."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

import dgmm
from tests.cli.test_commands import fail, model, named_model, run, succeed

__all__ = ["model", "named_model"]


@pytest.fixture
def day(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    """New rows, as a Zarr array."""
    path = tmp_path / "day.zarr"
    zarr.create_array(path, data=three_clusters[::10] + np.float32(0.25), chunks=(100, 2))
    return path


def test_a_day_in_and_out(tmp_path: Path, model: Path, day: Path):
    updated, without = tmp_path / "updated.npz", tmp_path / "without.npz"
    said = succeed("update", model, day, "--out", updated, "--name", "monday")
    assert "partitions      fit (3,000 rows), monday (300 rows)\n" in said
    assert "log-likelihood  at least -" in said
    expected = dgmm.load(model).update(day, name="monday")
    found = dgmm.load(updated)
    np.testing.assert_array_equal(found.means_, expected.means_)
    assert found.lower_bound_ == expected.lower_bound_
    for given in (("--name", "monday"), (day,)):
        succeed("forget", updated, *given, "--out", without, "--overwrite")
        np.testing.assert_array_equal(dgmm.load(without).covariances_, dgmm.load(model).covariances_)
    assert "monday" in succeed("info", updated)
    assert "partitions" not in succeed("info", without)
    partitions = json.loads(succeed("info", updated, "--json"))["partitions"]
    assert [(each["name"], each["n_rows"]) for each in partitions] == [("fit", 3000), ("monday", 300)]
    assert partitions[1]["rows"] == str(dgmm.fingerprint(day))


def test_row_weights(tmp_path: Path, model: Path, day: Path):
    stored = tmp_path / "weights.zarr"
    zarr.create_array(stored, data=np.linspace(0.5, 2.0, 300), chunks=(100,))
    succeed("update", model, day, "--weights", stored, "--out", tmp_path / "updated.npz")
    expected = dgmm.load(model).update(day, np.linspace(0.5, 2.0, 300))
    np.testing.assert_allclose(dgmm.load(tmp_path / "updated.npz").means_, expected.means_, rtol=1e-6)
    refused = fail("forget", tmp_path / "updated.npz", day, "--out", tmp_path / "without.npz")
    assert "never added" in refused
    assert not (tmp_path / "without.npz").exists()
    succeed("forget", tmp_path / "updated.npz", day, "--weights", stored, "--out", tmp_path / "without.npz")


@pytest.mark.filterwarnings("always::dgmm.MixtureWarning")
def test_columns_by_name(tmp_path: Path, named_model: Path, rows_parquet: Path):
    out = tmp_path / "updated.npz"
    done = run("update", named_model, rows_parquet, "--out", out)
    assert "already in the mixture" in done.stderr
    assert [each.n_rows for each in dgmm.load(out).partitions_] == [3000, 3000]


def test_what_is_refused(tmp_path: Path, model: Path, day: Path):
    out = tmp_path / "out.npz"
    assert "must end in .npz" in fail("update", model, day, "--out", tmp_path / "out.zarr")
    assert "exists" in fail("update", model, day, "--out", model)
    assert "never added" in fail("forget", model, day, "--out", out)
    assert "no partition 'monday'" in fail("forget", model, "--name", "monday", "--out", out)
    assert "all that the mixture has" in fail("forget", model, "--name", "fit", "--out", out)
    for given in ((), (day, "--name", "fit")):
        assert "give the rows to forget as DATA, or" in fail("forget", model, *given, "--out", out)
    mixture = dgmm.load(model)
    assert isinstance(mixture, dgmm.GaussianMixture)
    dgmm.GaussianMixture.from_sklearn(mixture.to_sklearn()).save(tmp_path / "other.npz")
    assert "has no sums" in fail("update", tmp_path / "other.npz", day, "--out", out)
    assert not out.exists()
