"""Weights, labels, groups and measurement errors of rows, on the command line."""

import json

import numpy as np
import pandas as pd
import pytest
import zarr

import dgmm
from tests.cli.test_commands import fail, succeed
from tests.pages.reading import text_of


@pytest.fixture
def cells(three_clusters):
    """A table of rows, with labels of some and the group of each, as numbers and as text."""
    rows = np.asarray(three_clusters, float)
    generator = np.random.default_rng(0)
    patients = generator.integers(3, size=len(rows))
    labels = np.full(len(rows), -1)
    known = generator.choice(len(rows), 30, replace=False)
    labels[known] = dgmm.GaussianMixture(3, random_state=0).fit_predict(rows)[known]
    frame = pd.DataFrame(rows, columns=["a", "b"])
    frame["label"], frame["number"], frame["patient"] = (
        labels,
        10 * patients,
        np.array(["x", "y", "z"])[patients],
    )
    return frame


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("groups", ["number", "patient"])
def test_columns_of_a_table(cells, tmp_path, kind, groups):
    """They are no features; text is taken as it is."""
    path, model = tmp_path / f"cells.{kind}", tmp_path / "model.npz"
    cells.to_parquet(path, row_group_size=100) if kind == "parquet" else cells.to_csv(path, index=False)
    others = [name for name in ("number", "patient") if name != groups and name == "number"]
    columns = ["--columns", "a,b"] if others else []
    said = succeed(
        "fit", path, "-k", 3, "--out", model, "--seed", 0, "--labels", "label", "--groups", groups, *columns
    )
    assert "groups" in said
    mixture = dgmm.load(model)
    assert mixture.feature_names_in_.tolist() == ["a", "b"]
    same = dgmm.GaussianMixture(3, random_state=0)
    same.fit(cells[["a", "b"]], labels=cells["label"], groups=cells[groups])
    assert mixture.groups_.tolist() == same.groups_.tolist()
    np.testing.assert_allclose(mixture.group_weights_, same.group_weights_, rtol=1e-9)
    out = tmp_path / "labels.zarr"
    succeed("predict", model, path, "--out", out, "--groups", groups)
    expected = same.predict(cells[["a", "b"]], groups=cells[groups])
    np.testing.assert_array_equal(zarr.open_array(out, mode="r")[:], expected)
    mean = same.score(cells[["a", "b"]], groups=cells[groups])
    said = succeed("score", model, path, "--groups", groups)
    assert f"{mean:.6f} nats a row" in said
    assert f"{same.bic(cells[['a', 'b']], groups=cells[groups]):.1f}"[:6] in said.replace(",", "")


def test_weights_are_rows_that_are_there_so_often(cells, tmp_path):
    """By a column of theirs, in each command that fits a mixture or judges rows."""
    path, model, repeated = tmp_path / "cells.parquet", tmp_path / "model.npz", tmp_path / "repeated.parquet"
    table = cells[["a", "b"]].assign(often=np.random.default_rng(1).integers(1, 4, size=len(cells)))
    table.to_parquet(path)
    table.loc[table.index.repeat(table["often"]), ["a", "b"]].to_parquet(repeated)

    def answers(data, *weights):
        found = {
            name: json.loads(succeed(name, model, data, *weights, "--json"))
            for name in ("score", "standard-errors", "misfit", "merge")
        }
        return [
            *(found["score"][name] for name in ("log_likelihood", "bic", "aic")),
            *found["standard-errors"]["standard_errors"]["weights"],
            *(each["counts"] for each in found["misfit"]["misfit"]),
            *(each["entropy"] for each in found["merge"]["merges"]),
        ]

    weights = ["--weights", "often"]
    succeed("fit", path, "-k", 3, "--out", model, *weights, "--report", tmp_path / "page.html")
    mixture = dgmm.load(model)
    assert mixture.n_features_in_ == 2
    same = dgmm.GaussianMixture(3, random_state=0).fit(path, sample_weight="often")
    np.testing.assert_allclose(mixture.means_, same.means_, rtol=1e-9)
    np.testing.assert_allclose(answers(path, *weights), answers(repeated), rtol=1e-9, atol=1e-12)
    succeed("sweep", path, "-k", "3", "--out", tmp_path / "sweep", *weights)
    swept = dgmm.load(tmp_path / "sweep" / "model.npz")
    expected = np.average(table[["a", "b"]], axis=0, weights=table["often"])
    np.testing.assert_allclose(swept.weights_ @ swept.means_, expected, rtol=1e-9)
    day, updated = tmp_path / "day.parquet", tmp_path / "updated.npz"
    table[:100].to_parquet(day)
    succeed("update", model, day, "--out", updated, *weights)
    expected = dgmm.load(model).update(table[["a", "b"]][:100], table["often"][:100])
    np.testing.assert_allclose(dgmm.load(updated).means_, expected.means_, rtol=1e-12)
    succeed("forget", updated, day, "--out", updated, "--overwrite", *weights)
    np.testing.assert_allclose(
        dgmm.load(updated).weights_, expected.forget(name="update 1").weights_, rtol=1e-12
    )


def test_data_of_their_own(cells, tmp_path, monkeypatch):
    """Arrays beside an array, and a checkpoint that goes on with them."""
    monkeypatch.chdir(tmp_path)
    for name, columns in (("rows", ["a", "b"]), ("labels", "label"), ("groups", "number")):
        zarr.create_array(f"{name}.zarr", data=cells[columns].to_numpy())
    zarr.create_array("weights.zarr", data=1.0 + cells.index.to_numpy() % 3)
    zarr.create_array("errors.zarr", data=np.full((len(cells), 2), 0.1))
    names = ("labels", "groups", "weights", "errors")
    beside = [text for name in names for text in (f"--{name}", f"{name}.zarr")]
    succeed("fit", "rows.zarr", "-k", 3, "--out", "model.npz", "--seed", 0, *beside, "--checkpoint", "kept")
    first = dgmm.load("model.npz")
    monkeypatch.chdir(tmp_path.parent)
    succeed("resume", tmp_path / "kept", "--overwrite")
    again = dgmm.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(first.group_weights_, again.group_weights_)


def test_what_is_refused(cells, tmp_path):
    path, model = tmp_path / "cells.parquet", tmp_path / "model.npz"
    cells.to_parquet(path)
    line = fail("fit", path, "-k", 3, "--out", model, "--groups", "nobody")
    assert "no column 'nobody'" in line
    line = fail("fit", path, "-k", 3, "--out", model, "--bayesian", "--labels", "label")
    assert "leave --bayesian out" in line
    line = fail("fit", path, "-k", 2, "--out", model, "--columns", "a,b", "--labels", "label")
    assert "labels holds 2 in row" in line
    cells.loc[4, "patient"] = None
    cells.to_parquet(path)
    line = fail("fit", path, "-k", 2, "--out", model, "--columns", "a,b", "--groups", "patient")
    assert "a column of text has missing values" in line


@pytest.mark.parametrize("are", ["std", "variance"])
def test_errors_in_columns_of_a_table(three_clusters, tmp_path, are):
    rows = np.asarray(three_clusters, float)
    errors = np.random.default_rng(0).uniform(0.1, 0.5, size=rows.shape)
    frame = pd.DataFrame(np.hstack([rows, errors]), columns=["a", "b", "e_a", "e_b"])
    path, model, out = tmp_path / "rows.parquet", tmp_path / "model.npz", tmp_path / "scores.zarr"
    frame.to_parquet(path, row_group_size=100)
    own = ("--errors", "e_a,e_b") + (() if are == "std" else ("--errors-are", are))
    said = succeed("fit", path, "-k", 3, "--out", model, "--seed", 0, *own)
    assert f"e_a, e_b, as {'standard deviations' if are == 'std' else 'variances'}" in said
    variances = errors**2 if are == "std" else errors
    same = dgmm.GaussianMixture(3, random_state=0).fit(frame[["a", "b"]], errors=variances)
    found = dgmm.load(model)
    assert found.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_allclose(found.covariances_, same.covariances_, rtol=1e-9)
    mean = same.score(frame[["a", "b"]], errors=variances)
    assert f"{mean:.6f} nats a row" in succeed("score", model, path, *own)
    succeed("predict", model, path, "--scores", "--out", out, *own)
    expected = same.score_samples(frame[["a", "b"]], errors=variances)
    np.testing.assert_allclose(np.asarray(zarr.open_array(out, mode="r")[:]), expected, rtol=1e-9)


def test_errors_of_their_own_and_what_is_refused(three_clusters, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.asarray(three_clusters, float)
    zarr.create_array("rows.zarr", data=rows, chunks=(100, 2))
    covariances = np.tile([0.3, 0.1, 0.2], (len(rows), 1))
    zarr.create_array("errors.zarr", data=covariances, chunks=(70, 3))
    given = ("--errors", "errors.zarr")
    assert "give a standard deviation for each" in fail("fit", "rows.zarr", "-k", 2, "--out", "m.npz", *given)
    succeed("fit", "rows.zarr", "-k", 2, "--out", "m.npz", "--seed", 0, *given, "--errors-are", "variance")
    same = dgmm.GaussianMixture(2, random_state=0).fit(rows, errors=covariances)
    np.testing.assert_allclose(dgmm.load("m.npz").means_, same.means_, rtol=1e-9)
    zarr.create_array("bad.zarr", data=np.where(rows == rows[5], -0.5, 0.5), chunks=(70, 2))
    message = fail("fit", "rows.zarr", "-k", 2, "--out", "n.npz", "--errors", "bad.zarr")
    assert "In row 5" in message
    assert "variance of -0.25" in message


def test_a_sweep_takes_errors_as_a_fit_does(three_clusters, tmp_path):
    """Columns of standard deviations, or a path of variances: the models of the same sweep in Python."""
    pytest.importorskip("matplotlib")
    rows = np.asarray(three_clusters, float)[:400]
    errors = np.random.default_rng(0).uniform(0.1, 0.5, size=rows.shape)
    frame = pd.DataFrame(np.hstack([rows, errors]), columns=["a", "b", "e_a", "e_b"])
    path, out = tmp_path / "rows.parquet", tmp_path / "out"
    frame.to_parquet(path, row_group_size=100)
    own = ("-k", "2:3", "--covariance", "diag", "--seed", 0, "--no-prune")
    said = succeed("sweep", path, *own, "--errors", "e_a,e_b", "--out", out)
    assert "e_a, e_b, as standard deviations" in said
    same = dgmm.GaussianMixtureSweep([2, 3], covariance_type="diag", random_state=0, prune=False)
    same.fit(frame[["a", "b"]], errors=errors**2)
    found = dgmm.load(out / "model.npz")
    assert found.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_allclose(found.covariances_, same.best_estimator_.covariances_, rtol=1e-9)
    zarr.create_array(str(tmp_path / "errors.zarr"), data=errors**2)
    given = ("--columns", "a,b", "--errors", tmp_path / "errors.zarr", "--errors-are", "variance")
    succeed("sweep", path, *own, *given, "--out", tmp_path / "other")
    other = dgmm.load(tmp_path / "other" / "model.npz")
    np.testing.assert_allclose(other.covariances_, found.covariances_, rtol=1e-9)
    line = fail("sweep", path, *own, "--errors", "e_a", "--columns", "a,b", "--out", tmp_path / "no")
    assert "give a standard deviation for each" in line
    assert not (tmp_path / "no").exists()


def test_pages_and_what_is_in_a_model(cells, tmp_path):
    """With groups and errors: the report is written, and info says what the fit was told."""
    pytest.importorskip("matplotlib")
    cells["e_a"] = cells["e_b"] = 0.3
    path, model, page = tmp_path / "cells.parquet", tmp_path / "model.npz", tmp_path / "report.html"
    cells.drop(columns=["label", "number"])[:600].to_parquet(path, row_group_size=100)
    with_groups, with_errors = ("--groups", "patient"), ("--errors", "e_a,e_b")
    for given in ((*with_groups, *with_errors), with_errors, (*with_groups, "--columns", "a,b")):
        succeed("fit", path, "-k", 2, "--out", model, "--seed", 0, *given, "--report", page, "--overwrite")
        mixture, told = dgmm.load(model), succeed("info", model)
        told_in_page = text_of(page.read_text(encoding="utf-8"))
        for said in (told, told_in_page):
            assert ("with errors, given as variances" in said) == (with_errors[0] in given)
            assert ("3, with weights of their own" in said) == (with_groups[0] in given)
        if with_groups[0] in given:
            for name, weights in zip("xyz", mixture.group_weights_, strict=True):
                shown = [name, *(f"{own:.4f}" for own in weights[np.argsort(-mixture.weights_)])]
                assert shown in [line.split() for line in told.splitlines()]
                assert "".join(shown) in told_in_page.replace(" ", "")
            each = json.loads(succeed("info", model, "--json"))["groups"]
            np.testing.assert_array_equal([one["weights"] for one in each], mixture.group_weights_)
        for command in ("misfit", "standard-errors") if with_errors[0] in given else ():
            assert "fitted" in fail(command, model, path)


def test_what_is_said_of_all_rows_is_of_rows_with_their_errors_and_groups(tmp_path):
    """As the library says it; without errors it is refused."""
    generator = np.random.default_rng(0)
    deviations = generator.uniform(0.5, 1.0, size=(300, 2))
    frame = pd.DataFrame(
        generator.normal(size=(300, 2))
        + 4.0 * (np.arange(300) % 2)[:, None]
        + deviations * generator.normal(size=(300, 2)),
        columns=["x", "y"],
    )
    frame[["e_x", "e_y"]] = deviations
    frame["night"] = np.where(np.arange(300) % 4 < 3, "first", "second")
    frame.to_parquet(tmp_path / "rows.parquet")
    features, errors = frame[["x", "y"]], deviations**2
    measured = dgmm.GaussianMixture(2, random_state=0).fit(features, errors=errors)
    grouped = dgmm.GaussianMixture(2, random_state=0).fit(features, groups=frame["night"])
    measured.save(tmp_path / "measured.npz")
    grouped.save(tmp_path / "grouped.npz")
    named = ["--errors", "e_x,e_y"]
    said = json.loads(
        succeed("merge", tmp_path / "measured.npz", tmp_path / "rows.parquet", *named, "--json")
    )
    assert said["entropy"] == pytest.approx(measured.assignment_entropy(features, errors=errors))
    said = json.loads(
        succeed("merge", tmp_path / "grouped.npz", tmp_path / "rows.parquet", "--groups", "night", "--json")
    )
    assert said["entropy"] == pytest.approx(grouped.assignment_entropy(features, groups=frame["night"]))
    pair = (tmp_path / "measured.npz", tmp_path / "grouped.npz", tmp_path / "rows.parquet")
    said = json.loads(succeed("compare", *pair, *named, "--json"))
    assert said["model"]["bic"] == pytest.approx(measured.bic(features, errors=errors))
    assert said["other"]["bic"] == pytest.approx(grouped.bic(features))
    for command in (("compare", *pair), ("merge", pair[0], pair[2])):
        assert "give their errors=" in fail(*command)


def test_sweeps_and_standard_errors_with_labels_and_groups(cells, tmp_path):
    """What the library says with the same; and the page has the weights of groups."""
    pytest.importorskip("matplotlib")
    path, out = tmp_path / "cells.parquet", tmp_path / "swept"
    cells.drop(columns="number").to_parquet(path)
    told = ("--labels", "label", "--groups", "patient")
    own = ("-k", "3:4", "--covariance", "full", "--seed", 0, "--out", out)
    said = succeed("sweep", path, *own, *told)
    model = dgmm.load(out / "model.npz")
    assert isinstance(model, dgmm.GaussianMixture)
    features, known = cells[["a", "b"]], {"labels": cells["label"], "groups": cells["patient"]}
    sweep = dgmm.GaussianMixtureSweep([3, 4], covariance_type="full", random_state=0).fit(features, **known)
    best = sweep.best_estimator_
    assert model.n_components == best.n_components
    np.testing.assert_allclose(model.group_weights_, best.group_weights_, rtol=1e-6)
    heaviest = int(np.argmax(model.weights_))
    assert f"{model.group_weights_[0, heaviest]:.4f}" in said
    assert "Weights in each group of rows" in text_of((out / "report.html").read_text(encoding="utf-8"))
    found = json.loads(succeed("standard-errors", out / "model.npz", path, *told, "--json"))
    expected = model.standard_errors(features, **known)
    assert expected.group_weights is not None
    np.testing.assert_allclose(found["standard_errors"]["group_weights"], expected.group_weights, rtol=1e-6)
    assert "±" in succeed("standard-errors", out / "model.npz", path, *told)
    found = json.loads(succeed("misfit", out / "model.npz", path, *told, "--json"))
    counts = model.misfit(features, **known).counts
    np.testing.assert_allclose([each["counts"] for each in found["misfit"]], counts, rtol=1e-6)
    line = fail("sweep", path, *own[2:6], "-k", "1:3", "--out", tmp_path / "no", *told)
    assert "but -k 1: labels" in line
    assert "try no fewer components" in line
