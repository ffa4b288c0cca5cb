"""``--json``: each command says what it says as one object, and nothing else on standard output."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dgmm
from dgmm.cli.program import MODULES
from tests.cli.test_commands import fail, model, named_model, succeed

__all__ = ["model", "named_model"]

COMMANDS = sorted(name for commands in MODULES.values() for name in commands)

CASES: dict[str, tuple[str, set[str]]] = {
    "fit": ("{rows} -k 2 --out {out}.npz", {"n_rows", "log_likelihood", "converged", "out"}),
    "clean": ("{rows}", {"removed", "kept", "bytes"}),
    "sweep": ("{rows} -k 1:2 --covariance diag --out {out}", {"best", "models", "advice", "report"}),
    "predict": ("{model} {rows} --out {out}.zarr", {"n_rows", "columns", "out"}),
    "score": ("{model} {rows}", {"n_rows", "log_likelihood", "bic", "aic"}),
    "sample": ("{model} -n 10 --out {out}.zarr", {"n_rows", "feature_names", "out"}),
    "plot": ("{model} {rows} --out {out}.png", {"kind", "n_rows", "n_drawn", "out"}),
    "report": ("{model} {rows} --out {out}.html", {"n_rows", "n_drawn", "out"}),
    "info": ("{model}", {"model", "n_components", "components"}),
    "convert": ("{rows} {out}.zarr", {"n_rows", "n_features", "out"}),
    "compare": ("{model} {model} {rows}", {"pairs", "unmatched", "divergence", "vuong", "model", "other"}),
    "components": ("{model}", {"components", "overlap"}),
    "merge": ("{model} {rows} --out {out}.zarr", {"merges", "entropy", "n_clusters", "clusters", "out"}),
    "outliers": ("{model} {rows} --out {out}.parquet", {"n_outliers", "threshold", "unlikeliest", "out"}),
    "standard-errors": (
        "{model} {rows}",
        {"n_rows", "distance", "standard_errors", "intervals", "covariance"},
    ),
    "misfit": ("{model} {rows}", {"n_rows", "misfit", "edges", "sentences"}),
    "marginal": ("{model} --features 1 --out {out}.npz", {"feature_names", "components", "out"}),
    "condition": ("{model} 0=1.5 --out {out}.npz", {"feature_names", "components", "out"}),
    "impute": ("{model} {rows} --out {out}.zarr", {"n_rows", "feature_names", "out"}),
    "regress": ("{named} {table} --targets b --out {out}.zarr", {"n_rows", "columns", "out"}),
    "update": ("{named} {table} --out {out}.npz", {"n_rows", "partitions", "log_likelihood", "out"}),
    "forget": ("{kept} --name fit --out {out}.npz", {"partitions", "log_likelihood", "out"}),
    "resume": ("{kept} --overwrite", {"n_rows", "log_likelihood", "converged", "out"}),
    "demo": ("-k 2 --workers 1 --out {out}", {"components", "picture", "sweep", "data"}),
}
"""Arguments of every command, and some names that its object has. A new command needs a line."""


@pytest.fixture
def places(
    tmp_path: Path, model: Path, named_model: Path, rows_zarr: Path, rows_parquet: Path
) -> dict[str, Path]:
    return {
        "model": model,
        "named": named_model,
        "rows": rows_zarr,
        "table": rows_parquet,
        "out": tmp_path / "out",
        "kept": tmp_path / "kept",
    }


def given(command: str, places: dict[str, Path]) -> list[str]:
    return [command, *CASES[command][0].format(**places).split()]


@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=pytest.mark.slow if name == "demo" else ()) for name in COMMANDS],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*already in the mixture")
def test_every_command_says_one_object(
    command: str, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    if command in ("sweep", "demo", "plot", "report"):
        pytest.importorskip("matplotlib")
    if command == "demo":
        demo = pytest.importorskip("dgmm.demo")
        stars = demo.read_stars()[::40]
        monkeypatch.setattr(demo, "read_stars", lambda: stars)
        monkeypatch.setattr(demo, "SWEPT", (1, 2))
    if command == "resume":
        succeed(*given("fit", places), "--checkpoint", str(places["kept"]))
    if command == "forget":
        succeed(*given("update", places), "--json")
        places["out"].with_suffix(".npz").rename(places["kept"])
    assert command in CASES, f"dgmm {command} is new: say in CASES how it is called"
    found = json.loads(succeed(*given(command, places), "--json"))
    assert isinstance(found, dict)
    assert found.keys() >= CASES[command][1]
    assert all(re.fullmatch("[a-z][a-z_]*", name) for name in found)
    if "out" in found:
        assert found["out"].startswith(str(places["out"]))
        assert Path(found["out"]).exists()


def test_no_case_is_left_over():
    assert CASES.keys() == set(COMMANDS)


def test_numbers_are_the_librarys_to_the_last_digit(places: dict[str, Path]):
    rows, mixture = places["rows"], dgmm.load(places["model"])
    assert isinstance(mixture, dgmm.GaussianMixture)

    def of(command: str) -> dict[str, Any]:
        return json.loads(succeed(*given(command, places), "--json"))

    scored = of("score")
    assert scored["log_likelihood"] == mixture.score(rows)
    assert scored["bic"] == pytest.approx(mixture.bic(rows), rel=1e-12)
    said = of("info")
    assert said["n_features"] == 2
    assert said["converged"] is True
    assert said["data_fingerprint"] == mixture.data_fingerprint_
    for component in said["components"]:
        k = component["component"]
        assert component["weight"] == mixture.weights_[k]
        assert component["means"] == mixture.means_[k].tolist()
        np.testing.assert_allclose(
            np.square(component["standard_deviations"]), np.diag(mixture.covariances_[k]), rtol=1e-6
        )
    np.testing.assert_array_equal(of("components")["overlap"], mixture.overlap())
    merges, merged = mixture.merge(rows), of("merge")
    assert merged["entropy"] == merges.entropies[-1]
    assert [(set(step["merged"]), set(step["with"])) for step in merged["merges"]] == [*merges.merges]
    assert [step["entropy"] for step in merged["merges"]] == merges.entropies[-2::-1].tolist()
    found = of("outliers")
    scores = np.asarray(mixture.score_samples(rows))
    assert [each["row"] for each in found["unlikeliest"]] == np.argsort(scores, kind="stable")[:10].tolist()
    assert found["n_outliers"] == (scores < found["threshold"]).sum()
    assert found["unlikeliest"][0]["features"][0].keys() == {"feature", "value", "surprise"}


def test_errors_are_as_without_it(places: dict[str, Path], tmp_path: Path):
    for arguments in (
        ("score", tmp_path / "none.npz", places["rows"]),
        ("info",),
        ("score", places["model"], "no"),
    ):
        assert fail(*arguments, "--json") == fail(*arguments)


def test_help_names_it_everywhere():
    for command in COMMANDS:
        said = succeed(command, "--help")
        assert "--json" in said
        assert "None" not in said  # as of a range without ends
