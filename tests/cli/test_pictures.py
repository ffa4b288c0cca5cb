"""``dgmm plot``, ``dgmm report``, and ``dgmm fit --report``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")
from matplotlib.image import imread

import dgmm
from dgmm.cli.pictures import SIZES
from dgmm.pages import fit as pages
from dgmm.passes.events import PassStarted, listening
from tests.cli.test_commands import fail, model, named_model, succeed
from tests.pages.reading import check_page, text_of

__all__ = ["model", "named_model"]


@pytest.fixture
def blank_pictures() -> None:
    """None is."""


@pytest.mark.parametrize("kind", SIZES)
def test_every_kind_is_drawn(kind: str, model: Path, rows_zarr: Path, tmp_path: Path):
    data = [] if kind == "history" else [rows_zarr]
    out = tmp_path / "picture.png"
    said = succeed("plot", model, *data, "--kind", kind, "--out", out)
    assert str(out) in said
    picture = imread(out)[..., :3]
    assert picture.std() > 0.05
    assert picture[0, 0].min() == 1.0


def test_dark_pictures_and_features_by_name(named_model: Path, rows_parquet: Path, tmp_path: Path):
    out = tmp_path / "picture.svg"
    arguments = ("plot", named_model, rows_parquet, "--kind", "fit", "--features", "b", "--theme", "dark")
    succeed(*arguments, "--out", out)
    assert "#14181f" in out.read_text()
    assert "--overwrite" in fail(*arguments, "--out", out)
    assert "did you mean 'b'" in fail(*arguments[:-4], "--features", "B", "--out", tmp_path / "other.png")


def test_what_cannot_be_drawn_is_refused(model: Path, rows_zarr: Path, tmp_path: Path):
    out = tmp_path / "picture.png"
    assert "give DATA too" in fail("plot", model, "--kind", "fit", "--out", out)
    assert "neither DATA nor --features" in fail("plot", model, rows_zarr, "--kind", "history", "--out", out)
    assert "must end in .png" in fail("plot", model, "--out", tmp_path / "picture.bmp")
    assert not out.exists()


def test_a_model_has_a_report_with_rows_and_without(named_model: Path, rows_parquet: Path, tmp_path: Path):
    with_rows, alone = tmp_path / "rows.html", tmp_path / "alone.html"
    assert str(with_rows) in succeed("report", named_model, rows_parquet, "--out", with_rows)
    succeed("report", named_model, "--out", alone)
    for page in (with_rows, alone):
        check_page(page.read_text())
    fitted = "of the rows are less than"
    assert fitted in text_of(with_rows.read_text())
    assert fitted not in text_of(alone.read_text())
    dgmm.load(named_model).report(tmp_path / "same.html", rows_parquet)

    def undated(page: Path) -> str:
        return text_of(page.read_text()).partition("written")[0]

    assert undated(with_rows) == undated(tmp_path / "same.html")


def test_a_report_that_cannot_be_written_is_refused(
    model: Path, named_model: Path, rows_zarr: Path, tmp_path: Path
):
    out = tmp_path / "report.html"
    assert "must end in .html" in fail("report", model, "--out", tmp_path / "report.pdf")
    assert "give DATA too" in fail("report", model, "--groups", "site", "--out", out)
    assert "the model comes first" in fail("report", rows_zarr, model, "--out", out)
    others = tmp_path / "others.csv"
    others.write_text("c,d\n1.0,2.0\n3.0,4.0\n")
    assert "yet now missing: - a - b" in fail("report", named_model, others, "--out", out)
    assert not out.exists()
    out.write_text("mine")
    assert "--overwrite" in fail("report", model, rows_zarr, "--out", out)
    assert out.read_text() == "mine"


def test_a_fit_has_a_report_and_reads_nothing_more_for_it(rows_zarr: Path, tmp_path: Path):
    out, page = tmp_path / "model.npz", tmp_path / "report.html"
    arguments = ["fit", rows_zarr, "-k", 3, "--seed", 0, "--sample-rows", 500]
    passes: list[object] = []
    with listening(passes.append):
        succeed(*arguments, "--out", tmp_path / "other.npz")
        before = sum(isinstance(event, PassStarted) and event.n_rows == 3000 for event in passes)
        passes.clear()
        succeed(*arguments, "--out", out, "--report", page)
    assert sum(isinstance(event, PassStarted) and event.n_rows == 3000 for event in passes) == before
    found = page.read_text()
    check_page(found)
    said = text_of(found)
    assert f"dgmm fit {rows_zarr} -k 3 --seed 0 --sample-rows 500" in said
    mixture = dgmm.load(out)
    assert mixture.data_fingerprint_ in said
    assert "of 500 of the 3,000 rows" in said


def test_what_a_report_needs_is_known_before_the_fit(rows_zarr: Path, tmp_path: Path):
    (tmp_path / "report.html").write_text("mine")
    arguments = ("fit", rows_zarr, "-k", 2, "--out", tmp_path / "model.npz", "--report")
    assert "--overwrite" in fail(*arguments, tmp_path / "report.html")
    assert "must end in .html" in fail(*arguments, tmp_path / "report.pdf")
    assert not (tmp_path / "model.npz").exists()
    assert (tmp_path / "report.html").read_text() == "mine"


def test_a_report_that_fails_loses_no_fit(rows_zarr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(pages, "write_report", full)
    out = tmp_path / "model.npz"
    line = fail("fit", rows_zarr, "-k", 2, "--seed", 0, "--out", out, "--report", tmp_path / "report.html")
    assert str(out) in line
    assert "no space left" in line
    assert len(dgmm.load(out).weights_) == 2


def test_rows_left_out_are_not_in_the_report(tmp_path: Path):
    rows = np.random.default_rng(0).normal(size=(300, 2))
    rows[::3, 1] = np.nan
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    page = tmp_path / "report.html"
    out = tmp_path / "model.npz"
    succeed("fit", tmp_path / "rows.csv", "-k", 1, "--missing", "drop", "--out", out, "--report", page)
    said = text_of(page.read_text())
    assert "100 rows that lack values were left out" in said


def test_pictures_and_reports_take_errors_groups_and_weights(tmp_path: Path):
    generator = np.random.default_rng(0)
    rows = np.r_[generator.normal(size=(150, 2)), generator.normal(5.0, 1.0, (150, 2))]
    frame = pd.DataFrame(rows, columns=["a", "b"]).assign(
        a_error=0.1, b_error=0.2, site=["one", "two"] * 150, weight=1.0 + np.arange(300) % 3
    )
    data, model, page = tmp_path / "rows.parquet", tmp_path / "model.npz", tmp_path / "report.html"
    frame.to_parquet(data)
    own = (data, "--columns", "a,b", "-k", 2, "--out", model, "--overwrite", "--report", page)
    errors = ("--errors", "a_error,b_error")
    succeed("fit", *own, *errors)
    assert "Rows that are undecided" in text_of(page.read_text())  # with errors, they are compared
    out = ("--columns", "a,b", "--overwrite", "--out", tmp_path / "picture.png")
    succeed("plot", model, data, "--kind", "fit", *errors, "--weights", "weight", *out)
    succeed("fit", *own, "--groups", "site")
    assert "Weights in each group" in text_of(page.read_text())
    succeed("plot", model, data, "--kind", "uncertainty", "--groups", "site", *out)
    assert "give DATA too" in fail("plot", model, "--weights", "weight", *out[2:])
