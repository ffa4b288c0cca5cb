"""``dgmm sweep``: three files, every option, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import dgmm
from dgmm.cli import main

pytest.importorskip("matplotlib")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_three_files(rows_zarr, tmp_path):
    out = tmp_path / "report"
    found = run("sweep", rows_zarr, "-k", "1:4", "--covariance", "full,diag", "--out", out, "--seed", 0)
    assert "bootstrap" not in found.stdout
    assert found.exit_code == 0, found.stderr
    assert {path.name for path in out.iterdir()} == {"model.npz", "results.csv", "report.html"}
    model = dgmm.load(out / "model.npz")
    assert isinstance(model, dgmm.GaussianMixture)
    assert len(model.weights_) == 3
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert len(rows) == 8
    best = min(rows, key=lambda row: float(row["bic"]))
    assert model.bic(rows_zarr) == pytest.approx(float(best["bic"]), rel=1e-6)  # float32 rows
    assert "not the number of clusters" in found.stdout
    assert str(out / "report.html") in found.stdout


def test_models_that_a_person_prefers_are_kept(rows_zarr, tmp_path):
    out = tmp_path / "report"
    given = ("sweep", rows_zarr, "-k", "1:4", "--covariance", "full,diag", "--out", out, "--seed", 0)
    assert "--keep 5 is none of the numbers" in run(*given, "--keep", "2,5").stderr
    assert not out.exists()
    found = run(*given, "--keep", "2,4")
    assert found.exit_code == 0, found.stderr
    names = {f"model-{number}-{family}.npz" for number in (2, 4) for family in ("full", "diag")}
    assert {path.name for path in out.iterdir()} == {"model.npz", "results.csv", "report.html"} | names
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    for row in rows:
        path = out / f"model-{row['n_components']}-{row['covariance_type']}.npz"
        if path.exists():
            model = dgmm.load(path)
            assert isinstance(model, dgmm.GaussianMixture)
            assert model.bic(rows_zarr) == pytest.approx(float(row["bic"]), rel=1e-6)
    assert "exists" in run(*given, "--keep", "2,4").stderr


def test_every_option_reaches_the_sweep(rows_parquet, tmp_path):
    options = "--criterion held-out --held-out 0.2 --no-prune --init kmeans --tol 0.01 --max-iter 7"
    more = "--n-init 2 --reg-covar 1e-5 --seed 4 --sample-rows 500 --columns a,b -k 2,3:5:2"
    found = run(
        "sweep", rows_parquet, *options.split(), *more.split(), "--covariance", "diag", "--out", tmp_path
    )
    assert found.exit_code == 0, found.stderr
    page = (tmp_path / "report.html").read_text()
    wanted = ("n_components=[2, 3, 5]", "held_out=0.2", "prune=False", "init_params='kmeans'", "tol=0.01")
    wanted += ("max_iter=7", "n_init=2", "reg_covar=1e-05", "random_state=4", "sample_rows=500")
    text = page.replace("&#x27;", "'")
    assert [each for each in wanted if each not in text] == []


def test_neighbours_are_compared(rows_zarr, tmp_path):
    options = ["-k", "2:4", "--covariance", "spherical", "--bootstrap", 2, "--seed", 0]
    found = run("sweep", rows_zarr, *options, "--out", tmp_path / "out")
    assert found.exit_code == 0, found.stderr
    assert "bootstrap p" in found.stdout
    assert "3 or 4" in found.stdout
    assert "3 components rather than 2" in found.stdout
    whole = run("sweep", rows_zarr, *options, "--out", tmp_path / "json", "--json")
    pairs = [(each["n_components"], each["n_more"]) for each in json.loads(whole.stdout)["comparisons"]]
    assert pairs == [(2, 3), (3, 4)]


@pytest.mark.parametrize("numbers", ["0:3", "a", "5:2", "1:2:3:4", "2,,3", "1:9:0"])
def test_bad_numbers(rows_zarr, tmp_path, numbers):
    found = run("sweep", rows_zarr, "-k", numbers, "--out", tmp_path / "out")
    assert found.exit_code == 2
    assert "'-k'" in found.stderr
    assert not (tmp_path / "out").exists()


def test_bad_covariance(rows_zarr, tmp_path):
    found = run("sweep", rows_zarr, "--covariance", "full,round", "--out", tmp_path / "out")
    assert found.exit_code == 2
    assert "'round' is not one of full, tied, diag, spherical" in found.stderr


def test_a_report_is_not_overwritten_unless_asked(rows_zarr, tmp_path):
    (tmp_path / "results.csv").write_text("mine")
    arguments = ("sweep", rows_zarr, "-k", 1, "--covariance", "diag", "--out", tmp_path)
    found = run(*arguments)
    assert found.exit_code == 2
    assert "--overwrite" in found.stderr
    assert (tmp_path / "results.csv").read_text() == "mine"
    assert run(*arguments, "--overwrite").exit_code == 0


def test_an_interruption_leaves_a_partial_report(rows_zarr, tmp_path, monkeypatch):
    fit = dgmm.GaussianMixtureSweep.fit

    def interrupted(self, *arguments: Any, **more: Any) -> None:
        fit(self, *arguments, **more)
        self.partial_ = True
        raise KeyboardInterrupt

    monkeypatch.setattr(dgmm.GaussianMixtureSweep, "fit", interrupted)
    out: Path = tmp_path / "out"
    found = run("sweep", rows_zarr, "-k", "1:2", "--covariance", "diag", "--out", out)
    assert found.exit_code == 130
    assert "the results so far are in" in found.stderr
    assert "Partial sweep" in (out / "report.html").read_text()
