"""``dgmm components`` and ``dgmm merge``: what the library says, in tables."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import dgmm
from tests.cli.test_commands import fail, model, named_model, read, succeed

__all__ = ["model", "named_model"]


def test_components(named_model: Path):
    said, mixture = succeed("components", named_model), dgmm.load(named_model)
    assert "stands out by" in said
    heaviest = int(np.argmax(mixture.weights_))
    line = next(line for line in said.splitlines() if line.split()[:1] == [str(heaviest)])
    assert f"{mixture.weights_[heaviest]:.4f}" in line
    coefficients = mixture.overlap()
    coefficients[np.tril_indices(3)] = 0.0
    i, j = np.unravel_index(coefficients.argmax(), (3, 3))
    pairs = [line.split() for line in said.splitlines() if " and " in line]
    assert pairs[0] == [str(i), "and", str(j), f"{coefficients[i, j]:.4f}"]


def test_a_single_component_overlaps_with_none(tmp_path: Path, three_clusters: np.ndarray):
    dgmm.GaussianMixture(1).fit(three_clusters).save(tmp_path / "one.npz")
    assert "overlap" not in succeed("components", tmp_path / "one.npz")


def test_merge(tmp_path: Path, model: Path, rows_zarr: Path):
    mixture = dgmm.load(model)
    merges = mixture.merge(rows_zarr)
    said = succeed("merge", model, rows_zarr)
    assert f"clusters  {merges.n_clusters}\n" in said
    assert f"entropy   {merges.entropies[-1]:.5f} nats a row, of 3 components" in said
    assert f"{merges.entropies[1]:.5f}" in said
    given = ("merge", model, rows_zarr, "-k", 2)
    succeed(*given, "--out", tmp_path / "labels.zarr")
    expected = np.asarray(merges.predict(rows_zarr, 2))
    np.testing.assert_array_equal(read(tmp_path / "labels.zarr"), expected)
    succeed(*given, "--out", tmp_path / "labels.parquet")
    np.testing.assert_array_equal(pq.read_table(tmp_path / "labels.parquet")["label"], expected)


def test_what_merge_refuses(tmp_path: Path, model: Path, rows_zarr: Path):
    assert "-k 4 is more than the 3 components" in fail("merge", model, rows_zarr, "-k", 4)
    assert "must end in" in fail("merge", model, rows_zarr, "--out", tmp_path / "labels.csv")
