"""The report of a fit: of all kinds of mixtures, and in a browser."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

pytest.importorskip("matplotlib")

import dgmm
from dgmm.data import DataError
from tests.pages.reading import check_page, text_of
from tests.waiting import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def report_of(model: Any, tmp_path: Path, rows: Any = None) -> str:
    model.report(tmp_path / "report.html", rows)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("n_components", [1, 3])
def test_any_number_of_features_and_components(n_features, n_components, tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, n_features))
    rows[:60] += 5.0
    mixture = dgmm.GaussianMixture(n_components, covariance_type="diag", random_state=0).fit(rows)
    page = report_of(mixture, tmp_path, rows)
    check_page(page)
    said = text_of(page)
    assert f"{n_components} × diag" in said
    assert "200 rows" in said
    for title in ("How many", "Which component", "Is it a good fit", "How it ended", "How it was computed"):
        assert title in said


def test_names_are_text_however_long(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)))
    frame.columns = ["<b>cost_$_per_$</b>\n", "x & y", "n" * 200]
    mixture = dgmm.GaussianMixture(2, covariance_type="diag", random_state=0).fit(frame)
    page = report_of(mixture, tmp_path, frame)
    check_page(page)
    assert "<b>" not in page
    assert "n" * 60 not in page.split("How it was computed")[1]


@pytest.mark.usefixtures("blank_pictures")
def test_bayesian_fits_say_how_many_have_rows(tmp_path):
    rows = np.r_[
        np.random.default_rng(0).normal(size=(150, 2)), 9 + np.random.default_rng(1).normal(size=(150, 2))
    ]
    mixture = dgmm.BayesianGaussianMixture(n_components=6, random_state=0, moves=True).fit(rows)
    page = report_of(mixture, tmp_path, rows)
    check_page(page)
    assert "Up to 6 components were allowed, and 2 have rows" in text_of(page)


def test_thousands_of_components_and_features_are_a_page_that_can_be_read(tmp_path):
    many = dgmm.GaussianMixture(1200, covariance_type="diag")
    many.weights_ = np.full(1200, 1 / 1200)
    many.means_ = np.random.default_rng(0).normal(size=(1200, 60))
    many.covariances_ = np.ones((1200, 60))
    page = report_of(many, tmp_path, many.means_[:60])
    check_page(page)
    assert len(page) < 2_000_000
    said = text_of(page)
    assert "1,160 lighter components" in said
    assert "54 other features" in said
    assert "the 40 heaviest of 1,200 components" in said


@pytest.mark.usefixtures("blank_pictures")
def test_a_path_is_sampled(rows_parquet, tmp_path, monkeypatch):
    from dgmm.pages import fit

    source = dgmm.open_dataset(rows_parquet, columns=["a", "b"])
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(source)
    monkeypatch.setattr(fit, "PICTURE_ROWS", 500)
    page = report_of(mixture, tmp_path, rows_parquet)
    assert "of 500 of the 3,000 rows, drawn at random" in text_of(page)
    assert str(rows_parquet) in text_of(page)


@pytest.mark.usefixtures("blank_pictures")
def test_without_rows_it_has_what_the_mixture_says_of_itself(three_clusters, tmp_path):
    page = report_of(dgmm.GaussianMixture(2, random_state=0).fit(three_clusters), tmp_path)
    check_page(page)
    assert "No rows were given" in text_of(page)


@pytest.mark.usefixtures("blank_pictures")
def test_a_loaded_mixture_has_the_same_report(three_clusters, tmp_path):
    rows = three_clusters[:300]
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows)
    mixture.save(tmp_path / "model.npz")
    own, loaded = (report_of(each, tmp_path, rows) for each in (mixture, dgmm.load(tmp_path / "model.npz")))
    before = "How it was computed"
    assert text_of(own).split(before)[:2] == text_of(loaded).split(before)[:2]


NO_COMPARISON = "rows measured with errors spread wider"


@pytest.mark.parametrize("groups", [None, 3, 25])
@pytest.mark.parametrize("errors", [None, 0.2])
@pytest.mark.usefixtures("blank_pictures")
def test_groups_and_measurement_errors(three_clusters, tmp_path, groups, errors):
    """Groups have their weights, some of many; what would take rows to be exact is left out."""
    rows = np.asarray(three_clusters, float)[:300]
    of_rows = None if groups is None else [f"patient {100 + i % groups}" for i in range(300)]
    mixture = dgmm.GaussianMixture(2, covariance_type="diag", random_state=0)
    mixture.fit(rows, groups=of_rows, errors=errors)
    for given in (rows, None):
        page = report_of(mixture, tmp_path, given)
        check_page(page)
        said = text_of(page)
        assert ("the mixture is that of the true values" in said) == (errors is not None)
        if groups is None:
            assert "Weights in each group" not in said
        else:
            for name, own in list(zip(mixture.groups_, mixture.group_weights_, strict=True))[:20]:
                heaviest_first = own[np.argsort(-mixture.weights_)]
                assert f"{name}{heaviest_first[0]:.4f}{heaviest_first[1]:.4f}" in said.replace(" 0.", "0.")
            assert ("Not listed: 5 more groups" in said) == (groups == 25)
    said = text_of(report_of(mixture, tmp_path, rows))
    assert (NO_COMPARISON in said) == (errors is not None)
    assert ("are less than 90 % sure" in said) == (errors is None)
    assert ("± their standard errors by all rows" in said) == (errors is None and groups is None)
    refused = "give their errors=" if groups is None else "give groups= of the rows, as for fit"
    assert (refused in said) == (errors is not None or groups is not None)


@pytest.mark.parametrize("errors", [None, 0.2])
@pytest.mark.usefixtures("blank_pictures")
def test_a_page_knows_of_rows_what_the_fit_knew(three_clusters, tmp_path, errors):
    """Rows without weight are as if not there, and rows with errors are compared."""
    rows = np.asarray(three_clusters, float)[:300]
    weights = np.where(np.arange(300) < 200, 2.0, 0.0)
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows, sample_weight=weights, errors=errors)
    mixture.report(tmp_path / "report.html", rows, weights, errors=errors)
    page = (tmp_path / "report.html").read_text()
    check_page(page)
    said = text_of(page)
    assert "200 rows × 2 features" in said
    assert "of all 200 rows, as they weigh" in said
    assert NO_COMPARISON not in said
    assert "are less than 90 % sure" in said
    assert "overlaps most with" in said


@pytest.mark.usefixtures("blank_pictures")
def test_measurement_errors_of_other_models(three_clusters, tmp_path):
    """And of a mixture that is fitted again, without."""
    rows = np.asarray(three_clusters, float)[:300]
    sweep = dgmm.GaussianMixtureSweep([1, 2], covariance_type="full", random_state=0).fit(rows, errors=0.2)
    bayesian = dgmm.BayesianGaussianMixture(n_components=2, random_state=0).fit(rows, errors=np.eye(2))
    for model in (sweep, bayesian, dgmm.GaussianMixture(1).fit(rows, errors=0.1)):
        page = report_of(model, tmp_path, rows)
        check_page(page)
        assert NO_COMPARISON in text_of(page)
    assert bayesian.measurement_errors_ == "covariances"
    assert NO_COMPARISON not in text_of(report_of(bayesian.fit(rows), tmp_path, rows))


def test_what_has_no_report_is_refused_and_nothing_is_written(three_clusters, tmp_path):
    for unfitted in (dgmm.GaussianMixture(2), dgmm.GaussianMixtureSweep()):
        with pytest.raises(NotFittedError):
            unfitted.report(tmp_path / "report.html")
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(three_clusters)
    with pytest.raises(DataError, match="expecting 2 features"):
        mixture.report(tmp_path / "report.html", np.zeros((5, 3)))
    assert list(tmp_path.iterdir()) == []


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

MEASURE = """<script>
const wide = [...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, svg")
  && e.getBoundingClientRect().right > innerWidth + 1);
document.title = [innerWidth, document.documentElement.scrollWidth, wide.length].join(" ");
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [360, 1400])
def test_in_a_browser_nothing_is_wider_than_the_page(width, tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 9)))
    frame.columns = [f"{'n' * 30} {i} {'m' * 160}" for i in range(9)]
    page = report_of(dgmm.GaussianMixture(3, random_state=0).fit(frame), tmp_path, frame)
    (tmp_path / "measured.html").write_text(page.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    # In a frame: windows of a browser are not so narrow.
    inside = f'<iframe src="measured.html" width="{width}" height="800" style="border: 0"></iframe>'
    wait = "<script>onload = () => { document.title = frames[0].document.title; }</script>"
    (tmp_path / "frame.html").write_text(f"<html><head></head><body>{inside}{wait}</body></html>")
    assert CHROMIUM is not None
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    done = subprocess.run(
        [
            CHROMIUM,
            *arguments,
            f"--user-data-dir={tmp_path / 'own'}",
            "--dump-dom",
            f"file://{tmp_path}/frame.html",
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    inner, scrolled, n_wide = map(int, done.stdout.split("<title>")[1].split("</title>")[0].split())
    assert inner == width
    assert scrolled <= width
    assert n_wide == 0
