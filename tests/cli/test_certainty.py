"""``dgmm standard-errors``: what the library says, in tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dgmm
from tests.cli.test_commands import fail, model, named_model, succeed

__all__ = ["model", "named_model"]


def test_standard_errors(model: Path, rows_zarr: Path):
    mixture = dgmm.load(model)
    assert isinstance(mixture, dgmm.GaussianMixture)
    errors = mixture.standard_errors(rows_zarr, "sandwich")
    given = ("standard-errors", model, rows_zarr, "--kind", "sandwich")
    said = succeed(*given)
    heaviest = int(np.argmax(mixture.weights_))
    line = next(line for line in said.splitlines() if line.split()[:1] == [str(heaviest)])
    assert f"{mixture.weights_[heaviest]:.5f} ± {errors.weights[heaviest]:.5f}" in line
    assert f"± {errors.means[heaviest, 0]:.4f}" in line
    found = json.loads(succeed(*given, "--level", 0.9, "--json"))
    np.testing.assert_array_equal(found["standard_errors"]["means"], errors.means)
    np.testing.assert_array_equal(found["intervals"]["covariances"], errors.intervals(0.9).covariances)
    np.testing.assert_array_equal(found["covariance"], errors.covariance)
    assert found["parameter_names"] == [*errors.names]
    assert (found["level"], found["distance"]) == (0.9, errors.distance)


def test_features_have_their_names(named_model: Path, rows_parquet: Path):
    said = succeed("standard-errors", named_model, rows_parquet)
    assert "variance of a" in said


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_refused(tmp_path: Path, model: Path, rows_zarr: Path, three_clusters: np.ndarray):
    assert "Invalid value" in fail("standard-errors", model, rows_zarr, "--level", 95)
    dgmm.BayesianGaussianMixture(n_components=2, max_iter=2).fit(three_clusters).save(tmp_path / "bayes.npz")
    line = fail("standard-errors", tmp_path / "bayes.npz", rows_zarr)
    assert "its posterior says how certain its parameters are" in line


def test_misfit(model: Path, rows_zarr: Path):
    found = dgmm.load(model).misfit(rows_zarr)
    said = succeed("misfit", model, rows_zarr)
    assert f"- {found.sentences[0]}" in said
    line = next(line for line in said.splitlines() if line.split()[:1] == ["1"])
    assert f"{found.beyond_999[1]:.2%}" in line
    assert line.rstrip().endswith(found.verdicts[1])
    whole = json.loads(succeed("misfit", model, rows_zarr, "--json"))
    assert [each["verdict"] for each in whole["misfit"]] == [*found.verdicts]
    np.testing.assert_array_equal([each["histogram"] for each in whole["misfit"]], found.histogram)
