"""``dgmm compare``: two models side by side."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dgmm
from dgmm.estimators.comparing import compare
from tests.cli.test_commands import fail, model, named_model, succeed

__all__ = ["model", "named_model"]


@pytest.fixture
def other(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    """Of two components only."""
    path = tmp_path / "other.npz"
    dgmm.GaussianMixture(2, random_state=0).fit(three_clusters).save(path)
    return path


def test_a_model_is_the_same_as_itself(model: Path, rows_zarr: Path):
    found = json.loads(succeed("compare", model, model, rows_zarr, "--json"))
    assert [(pair["component"], pair["other"]) for pair in found["pairs"]] == [(k, k) for k in range(3)]
    assert found["divergence"] == {"there": 0.0, "back": 0.0}
    assert found["vuong"] == {"difference": 0.0, "error": 0.0, "z": 0.0, "p_value": 1.0}
    assert "no significant difference" in succeed("compare", model, model, rows_zarr)


def test_figures_are_those_of_the_library(model: Path, other: Path, rows_zarr: Path):
    one, two = dgmm.load(model), dgmm.load(other)
    found = json.loads(succeed("compare", model, other, rows_zarr, "--json"))
    expected = compare(one, two)
    assert [[pair["component"], pair["other"]] for pair in found["pairs"]] == expected.pairs.tolist()
    assert found["unmatched"] == [*expected.unmatched]
    for name, mixture in (("model", one), ("other", two)):
        assert found[name]["log_likelihood"] == pytest.approx(mixture.score(rows_zarr), rel=1e-12)
    said = succeed("compare", model, other, rows_zarr)
    assert f"component {expected.unmatched[0][0]} of MODEL alone" in said
    assert f"{model} fits the rows better" in said
    assert "Vuong" not in succeed("compare", model, other)


def test_weights_and_groups(tmp_path: Path, three_clusters: np.ndarray):
    site = np.arange(len(three_clusters)) % 2
    table = pd.DataFrame(three_clusters, columns=["a", "b"]).assign(n=1.0 + site, site=site)
    table.to_parquet(path := tmp_path / "rows.parquet")
    fit = dgmm.GaussianMixture(2, random_state=0).fit
    grouped = fit(table[["a", "b"]], groups=site)
    grouped.save(tmp_path / "grouped.npz")
    bayesian = dgmm.BayesianGaussianMixture(n_components=2, random_state=0).fit(table[["a", "b"]])
    bayesian.save(tmp_path / "bayesian.npz")
    found = json.loads(
        succeed(
            *("compare", tmp_path / "grouped.npz", tmp_path / "bayesian.npz", path),
            *("--weights", "n", "--groups", "site", "--json"),
        )
    )
    known = {"sample_weight": table["n"], "groups": site}
    assert found["model"]["log_likelihood"] == pytest.approx(
        grouped.score(table[["a", "b"]], **known), rel=1e-12
    )
    assert found["model"]["bic"] == pytest.approx(grouped.bic(table[["a", "b"]], **known), rel=1e-12)
    assert found["other"]["log_likelihood"] == pytest.approx(
        bayesian.score(table[["a", "b"]], sample_weight=table["n"]), rel=1e-12
    )
    assert "bic" not in found["other"]  # as of dgmm score


def test_what_compare_refuses(model: Path, named_model: Path, rows_zarr: Path, tmp_path: Path):
    narrow = tmp_path / "narrow.npz"
    succeed("marginal", model, "--features", 0, "--out", narrow)
    assert "the first model has 2 features, the second 1" in fail("compare", model, narrow)
    assert "is not a dgmm model file" in fail("compare", rows_zarr, model)
    turned = dgmm.load(named_model)
    turned.feature_names_in_ = turned.feature_names_in_[::-1]
    turned.save(tmp_path / "turned.npz")
    assert "feature 0 is 'a' in the first model and 'b' in the second" in fail(
        "compare", named_model, tmp_path / "turned.npz"
    )
