"""``--checkpoint`` and ``dgmm resume``: a command that was ended goes on, and ends as it would have."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import dgmm
from dgmm.cli import main
from dgmm.fitting.checkpoint import HEAD
from dgmm.passes.events import Event, PassFinished, SpanFinished, listening

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning"),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def interrupted(*arguments: object, after: int = 3) -> Result:
    """Run a command, with Ctrl-C after some passes."""
    passes: list[Event] = []

    def listen(event: Event) -> None:
        if isinstance(event, PassFinished):
            passes.append(event)
            if len(passes) == after:
                raise KeyboardInterrupt

    with listening(listen):
        return run(*arguments)


OPTIONS = ["-k", 3, "--sample-rows", 500, "--max-iter", 6, "--tol", 0]


@pytest.fixture
def started(rows_zarr, tmp_path) -> Callable[..., tuple[Path, Path]]:
    """A fit that was interrupted: where its model is to be, and its checkpoint."""

    def start(*options: object) -> tuple[Path, Path]:
        out, kept = tmp_path / "model.npz", tmp_path / "kept"
        found = interrupted("fit", rows_zarr, "--out", out, "--checkpoint", kept, *OPTIONS, *options)
        assert found.exit_code == 130
        assert (
            f"note: the progress so far is in {kept}: dgmm resume {kept} continues from there" in found.stderr
        )
        assert not out.exists()
        return out, kept

    return start


@pytest.mark.parametrize("options", [["--seed", 0], ["--seed", 1, "--bayesian"]], ids=["fit", "bayesian"])
def test_a_fit_goes_on(started, rows_zarr, tmp_path, options):
    out, kept = started(*options)
    found = run("resume", kept)
    assert found.exit_code == 0, found.stderr
    assert f"going on from {kept}: 3 passes" in found.stderr
    assert str(out) in found.stdout
    undisturbed = tmp_path / "undisturbed.npz"
    assert run("fit", rows_zarr, "--out", undisturbed, *OPTIONS, *options).exit_code == 0
    first, second = dgmm.load(out), dgmm.load(undisturbed)
    assert np.array_equal(first.means_, second.means_)
    assert first.lower_bounds_ == second.lower_bounds_


def test_the_same_command_goes_on_too(started, rows_zarr):
    out, kept = started("--seed", 0)
    found = run("fit", rows_zarr, "--out", out, "--checkpoint", kept, *OPTIONS, "--seed", 0)
    assert found.exit_code == 0, found.stderr
    assert "going on from" in found.stderr
    assert out.exists()


def test_another_command_is_refused(started, rows_zarr):
    out, kept = started("--seed", 0)
    found = run("fit", rows_zarr, "--out", out, "--checkpoint", kept, *OPTIONS, "--seed", 1)
    assert found.exit_code == 2
    assert "random_state was 0, and is 1" in found.stderr
    assert "Traceback" not in found.output


def test_what_was_ended_is_not_done_again(started):
    _, kept = started("--seed", 0)
    assert run("resume", kept).exit_code == 0
    found = run("resume", kept)
    assert found.exit_code == 2
    assert "give --overwrite" in found.stderr
    spans: list[Event] = []
    with listening(lambda event: spans.append(event) if isinstance(event, SpanFinished) else None):
        assert run("resume", kept, "--overwrite").exit_code == 0
    assert spans == []


def test_info_says_how_far_it_is(started):
    _, kept = started("--seed", 0)
    found = run("info", kept)
    assert found.exit_code == 0
    assert (
        "GaussianMixture(max_iter=6, n_components=3, random_state=0, sample_rows=500, tol=0.0)"
        in found.stdout
    )
    assert f"can go on: dgmm resume {kept}" in found.stdout
    facts = json.loads(run("info", kept, "--json").stdout)
    assert facts["reached"]["pass"] == 3
    assert not facts["is_complete"]
    assert run("resume", kept).exit_code == 0
    assert json.loads(run("info", kept, "--json").stdout)["is_complete"]


def test_info_says_what_is_damaged(started):
    _, kept = started("--seed", 0)
    (kept / "entry-000002.dgmm").write_bytes(b"")
    found = run("info", kept)
    assert found.exit_code == 0
    assert "entry-000002.dgmm is damaged" in found.stdout
    assert "1 pass" in found.stdout


def test_a_sweep_goes_on(rows_zarr, tmp_path):
    pytest.importorskip("matplotlib")
    out, kept, other = tmp_path / "swept", tmp_path / "kept", tmp_path / "other"
    options = ["-k", "1:3", "--covariance", "full,diag", "--seed", 0, "--sample-rows", 500]
    found = interrupted("sweep", rows_zarr, "--out", out, "--checkpoint", kept, *options, after=2)
    assert found.exit_code == 130
    found = run("resume", kept, "--overwrite")
    assert found.exit_code == 0, found.stderr
    assert run("sweep", rows_zarr, "--out", other, *options).exit_code == 0
    assert (out / "results.csv").read_text() == (other / "results.csv").read_text()


def test_a_fit_goes_on_from_another_folder(started, tmp_path, monkeypatch):
    out, _ = started("--seed", 0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = run("resume", "../kept")
    assert found.exit_code == 0, found.stderr
    assert out.exists()


def test_secrets_and_names_of_users_are_not_kept(rows_zarr, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    out, kept = tmp_path / "model.npz", tmp_path / "kept"
    found = run(
        "fit", rows_zarr, "--out", out, "--checkpoint", kept, *OPTIONS, "--storage-option", "key=SECRET"
    )
    assert found.exit_code == 0, found.stderr
    held = b"".join(path.read_bytes() for path in kept.iterdir())
    assert b"SECRET" not in held
    assert str(tmp_path).encode() not in held
    assert b"~/rows.zarr" in held
    found = run("resume", kept, "--overwrite")
    assert found.exit_code == 2
    assert "the values of --storage-option key are not stored: give them again" in found.stderr
    assert run("resume", kept, "--overwrite", "--storage-option", "key=SECRET").exit_code == 0


def test_a_call_in_python_is_to_be_made_again(tmp_path, three_clusters):
    mixture = dgmm.GaussianMixture(3, random_state=0)
    mixture.fit(three_clusters, checkpoint=tmp_path)
    found = run("resume", tmp_path)
    assert found.exit_code == 2
    assert f"repeat that call with checkpoint='{tmp_path}'" in found.stderr
    info = run("info", tmp_path).stdout
    assert "GaussianMixture(n_components=3, random_state=0)" in info
    assert "ended" in info


@pytest.mark.parametrize("content", [None, b"", b"dgmm record 1\nrubbish"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / HEAD).write_bytes(content)
    found = run("resume", tmp_path)
    assert found.exit_code == 2
    assert f"error: {tmp_path} is no checkpoint that can be read" in found.stderr
    (tmp_path / "file").touch()
    assert "is no checkpoint that can be read: give the folder" in run("resume", tmp_path / "file").stderr
    assert "the path of the checkpoint is empty" in run("resume", "").stderr
