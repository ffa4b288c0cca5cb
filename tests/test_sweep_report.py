"""The report of a sweep: what is in it, and that nothing comes from elsewhere."""
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

import csv
import html
import re
import resource
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dgmm

pytest.importorskip("matplotlib")
from dgmm.sweep_report import _standard_errors, overlaps, render, results_csv, write_report

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def sweep(three_clusters) -> Any:
    return dgmm.GaussianMixtureSweep(
        range(1, 6), covariance_type=("full", "spherical"), random_state=0, sample_rows=1000
    ).fit(three_clusters)


def page_of(sweep, rows) -> str:
    return render(sweep, dgmm.open_dataset(rows))


def test_nothing_comes_from_elsewhere(sweep, three_clusters):
    page = page_of(sweep, three_clusters)
    assert "<script" not in page
    assert "<link" not in page
    assert "@import" not in page
    namespaces = r'xmlns(:\w+)?="[^"]*"'
    assert "http" not in re.sub(namespaces, "", page)
    for target in re.findall(r'(?:href|src)="([^"]*)"', page):
        assert target.startswith(("#", "data:image/png;base64,"))


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


def test_it_is_well_formed_and_says_what_was_found(sweep, three_clusters):
    page = page_of(sweep, three_clusters)
    tree = ET.fromstring(page.replace("<!DOCTYPE html>", "").replace('<meta charset="utf-8">', ""))
    assert len(tree.findall(".//{http://www.w3.org/2000/svg}svg")) == 3
    text = " ".join("".join(tree.itertext()).split())
    best = sweep.best_params_
    assert f"Best: {best['n_components']} × {best['covariance_type']}" in text
    for sentence in sweep.advice_:
        assert " ".join(sentence.split()) in text
    for value in sweep.results_["bic"]:
        assert f"{value:,.1f}" in text
    assert f"{sweep.n_passes_} for all models together" in text
    assert "Left after" in text


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
    assert page.count("<svg") == (3 if len(found.best_estimator_.weights_) > 1 else 2)
    assert "held-out" in page


def test_overlap_is_the_mean_responsibility(three_clusters):
    model = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    found = overlaps(model, three_clusters)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    share = model.predict_proba(three_clusters).astype(np.float64)  # rounded to float32, as the rows are
    expected = [np.average(share, axis=0, weights=share[:, k]) for k in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_csv_has_every_digit(sweep):
    read = list(csv.DictReader(results_csv(sweep.results_).splitlines()))
    assert [float(row["bic"]) for row in read] == sweep.results_["bic"].tolist()
    assert [row["covariance_type"] for row in read] == sweep.results_["covariance_type"].tolist()


@pytest.mark.parametrize("name", ["cost_$_per_$", "[red] <b>", "🌌 line\nbreak"])
@pytest.mark.parametrize("n_features", [1, 3])
def test_names_of_features_are_text(name, n_features, tmp_path):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(120, n_features)))
    rows[:60] += 8.0
    rows.columns = [name, "speed", "depth"][:n_features]
    sweep = dgmm.GaussianMixtureSweep([1, 2], covariance_type="full", random_state=0).fit(rows)
    write_report(sweep, dgmm.open_dataset(rows), tmp_path / "found")
    page = (tmp_path / "found" / "report.html").read_text(encoding="utf-8")
    assert html.escape(name.replace("\n", r"\n")) in page


def test_it_says_how_far_to_trust_the_best(sweep, three_clusters):
    page = page_of(sweep, three_clusters)
    text = html.unescape(re.sub(r"<[^>]*>", " ", page))
    best = sweep.best_estimator_
    assert f"{best.weights_.max():.5f} ± 0.00" in text
    for sentence in best.misfit(sweep.sample_).sentences:
        assert sentence in text
    assert "Is one more component needed?" not in text


def test_standard_errors_are_those_of_all_rows(sweep, three_clusters):
    """By a third of the rows: what these say is scaled to the number of all."""
    whole, part, best = _standard_errors, slice(None, None, 3), sweep.best_estimator_

    def errors_in(text):
        return np.array(re.findall(r"± ([0-9.]+)", text), float)

    by_all = errors_in(whole(best, three_clusters, len(three_clusters), ["a", "b"]))
    by_some = errors_in(whole(best, three_clusters[part], len(three_clusters), ["a", "b"]))
    np.testing.assert_allclose(by_some, by_all, rtol=0.15)


def test_it_has_the_tests_between_neighbours(three_clusters):
    tested = dgmm.GaussianMixtureSweep(
        (2, 3), covariance_type="spherical", random_state=0, n_bootstrap=3
    ).fit(three_clusters[:300])
    page = page_of(tested, three_clusters[:300])
    assert "Is one more component needed?" in page
    assert "2 or 3" in page
    assert html.escape(tested.advice_[-1]) in page
