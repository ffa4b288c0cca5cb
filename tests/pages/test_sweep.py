"""The report of a sweep: what is in it, and that nothing comes from elsewhere."""
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

import csv
import html
import resource
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dgmm

pytest.importorskip("matplotlib")
from dgmm.pages.sweep import render, results_csv, write_report
from tests.pages.reading import check_page, text_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def sweep(three_clusters) -> Any:
    return dgmm.GaussianMixtureSweep(
        range(1, 6), covariance_type=("full", "spherical"), random_state=0, sample_rows=1000
    ).fit(three_clusters)


def page_of(sweep, rows) -> str:
    return render(sweep, dgmm.open_dataset(rows))


@pytest.mark.usefixtures("blank_pictures")
def test_its_files_are_written_together_or_not_at_all(sweep, three_clusters, tmp_path):
    rows, names = dgmm.open_dataset(three_clusters), ["model.npz", "report.html", "results.csv"]
    old, new = tmp_path / "old", tmp_path / "new"
    assert sorted(path.name for path in write_report(sweep, rows, old)) == names
    before = {path: path.read_bytes() for path in old.iterdir()}
    assert sorted(path.name for path in before) == names
    # A file system that takes no file as large as the page stands for one that is full.
    largest = max(map(len, before.values())) - 1
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, former[1]))
    try:
        for folder in (new, old):
            with pytest.raises(OSError, match="File too large"):
                write_report(sweep, rows, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert not new.exists()
    assert {path: path.read_bytes() for path in old.iterdir()} == before


@pytest.mark.usefixtures("blank_pictures")
def test_it_is_well_formed_and_says_what_was_found(sweep, three_clusters):
    page = page_of(sweep, three_clusters)
    check_page(page)
    text = text_of(page)
    best = sweep.best_params_
    assert f"Best: {best['n_components']} × {best['covariance_type']}" in text
    for sentence in sweep.advice_:
        assert " ".join(sentence.split()) in text
    for value in sweep.results_["bic"]:
        assert f"{value:,.1f}" in text
    assert f"{sweep.n_passes_} for all models together" in text
    assert "Left after" in text


@pytest.mark.usefixtures("blank_pictures")
def test_names_of_columns_are_escaped():
    import pandas as pd

    rows = np.random.default_rng(0).normal(size=(200, 2))
    frame = pd.DataFrame(rows, columns=["<b>a</b>", "x & y"])
    found = dgmm.GaussianMixtureSweep([1, 2], covariance_type="diag", random_state=0).fit(frame)
    page = page_of(found, frame)
    assert "<b>" not in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "x &amp; y" in page


@pytest.mark.parametrize("n_features", [1, 2, 3, 5])
def test_any_number_of_features(n_features):
    rows = np.random.default_rng(0).normal(size=(300, n_features))
    rows[:100] += 5.0
    found = dgmm.GaussianMixtureSweep(
        [1, 2, 3], covariance_type="diag", criterion="held-out", random_state=0
    ).fit(rows)
    page = page_of(found, rows)
    check_page(page)
    assert "held-out" in page


def test_csv_has_every_digit(sweep):
    read = list(csv.DictReader(results_csv(sweep.results_).splitlines()))
    assert [float(row["bic"]) for row in read] == sweep.results_["bic"].tolist()
    assert [row["covariance_type"] for row in read] == sweep.results_["covariance_type"].tolist()


@pytest.mark.parametrize(
    ("name", "n_features"),
    [("cost_$_per_$", 1), ("cost_$_per_$", 3), ("[red] <b>", 3), ("🌌 line\nbreak", 1)],
)
def test_names_of_features_are_text(name, n_features, tmp_path):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(120, n_features)))
    rows[:60] += 8.0
    rows.columns = [name, "speed", "depth"][:n_features]
    sweep = dgmm.GaussianMixtureSweep([1, 2], covariance_type="full", random_state=0).fit(rows)
    write_report(sweep, dgmm.open_dataset(rows), tmp_path / "found")
    page = (tmp_path / "found" / "report.html").read_text(encoding="utf-8")
    assert html.escape(name.replace("\n", r"\n")) in page


@pytest.mark.usefixtures("blank_pictures")
def test_it_says_how_far_to_trust_the_best(sweep, three_clusters):
    text = text_of(page_of(sweep, three_clusters))
    best = sweep.best_estimator_
    assert f"{best.weights_.max():.5f} ± 0.00" in text
    for sentence in best.misfit(sweep.sample_).sentences:
        assert sentence in text
    assert "Is one more component needed?" not in text


@pytest.mark.usefixtures("blank_pictures")
def test_it_has_the_tests_between_neighbours(three_clusters):
    tested = dgmm.GaussianMixtureSweep(
        (2, 3), covariance_type="spherical", random_state=0, n_bootstrap=3
    ).fit(three_clusters[:300])
    page = page_of(tested, three_clusters[:300])
    check_page(page)
    assert "Is one more component needed?" in page
    assert "2 or 3" in page
    assert html.escape(tested.advice_[-1]) in page


@pytest.mark.usefixtures("blank_pictures")
def test_a_page_that_cannot_be_made_loses_no_model(sweep, three_clusters, tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> str:
        raise ValueError("no such font")

    monkeypatch.setattr("dgmm.pages.sweep.render", broken)
    with pytest.warns(RuntimeWarning, match=r"report\.html is not written: ValueError: no such font"):
        files = write_report(sweep, dgmm.open_dataset(three_clusters), tmp_path / "out")
    assert [path.name for path in files] == ["model.npz", "results.csv"]
    assert all(path.exists() for path in files)
