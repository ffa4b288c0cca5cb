"""Model files and rows in each other's place."""

from pathlib import Path

import pytest

from tests.cli.test_commands import fail, model, named_model, succeed

__all__ = ["model", "named_model"]


@pytest.mark.parametrize("command", ["predict", "score", "merge", "outliers", "impute", "misfit"])
def test_swapped_arguments_are_recognised(command: str, model: Path, rows_zarr: Path, tmp_path: Path):
    out = () if command in ("score", "merge", "misfit") else ("--out", tmp_path / "out.parquet")
    said = fail(command, rows_zarr, model, *out)
    assert f"{rows_zarr} is not a dgmm model file, but {model} is: the model comes first, " in said
    assert f" {command} {model} {rows_zarr}" in said


def test_rows_are_no_model(rows_zarr: Path, tmp_path: Path):
    said = fail("components", rows_zarr)
    assert f"fit one to these rows by dgmm fit {rows_zarr} -k K --out MODEL.npz" in said
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    assert "is not a dgmm model file" in fail(
        "sample", tmp_path / "rows.csv", "-n", 3, "--out", tmp_path / "x.zarr"
    )
    assert f"there is no model file {tmp_path / 'none.zarr'}" in fail("components", tmp_path / "none.zarr")
    assert "is a folder: give the model file" in fail("components", tmp_path)
    (tmp_path / "other").write_bytes(b"something")
    assert "is not a dgmm model file, or is damaged" in fail("components", tmp_path / "other")


def test_a_model_is_no_rows(model: Path, tmp_path: Path):
    for command in (
        ("fit", model, "-k", 2, "--out", tmp_path / "m.npz"),
        ("convert", model, tmp_path / "m.zarr"),
        ("score", model, model),
    ):
        said = fail(*command)
        assert f"{model} is a model file, and " in said
        assert f"dgmm info {model}" in said


def test_two_runs_agree_without_a_seed(rows_zarr: Path, model: Path, tmp_path: Path):
    models = [tmp_path / f"{number}.npz" for number in (1, 2)]
    for each in models:
        succeed("fit", rows_zarr, "-k", 3, "--sample-rows", 200, "--out", each)
    one, other = (succeed("components", each, "--json") for each in models)
    assert one == other
    drawn = [
        succeed("sample", model, "-n", 5, "--out", tmp_path / f"{n}.zarr", *seed)
        for n, seed in enumerate([(), (), ("--seed", 1)])
    ]
    prints = [succeed("info", tmp_path / f"{n}.zarr", "--fingerprint").split()[-1] for n in range(len(drawn))]
    assert prints[0] == prints[1] != prints[2]
