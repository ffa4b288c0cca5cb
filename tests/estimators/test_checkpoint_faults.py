"""Processes that are killed, and disks that are full: fits go on, to the same bits.

The slow tests here are those of 100 kills: ``pytest -m slow tests/estimators/test_checkpoint_faults.py``.
"""

import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.config
import numpy as np
import pytest

import dgmm
import dgmm.data.source
import dgmm.passes.journal
from dgmm.passes.events import Event, PassFinished, SpanFinished, listening
from dgmm.passes.journal import CheckpointWarning
from tests.estimators.test_checkpointing import bits, mixture, rows, sweep

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::dgmm.MixtureWarning"
)

FITS: dict[str, Callable[[], Any]] = {
    "k-means||": lambda: mixture(init_params="k-means||"),
    "search": mixture,
    "sweep": sweep,
}
POINTS = ("begun", "written", "renamed", "removed")
"""Of a file: before it is opened, when all is written and flushed, when it is in place, before it is removed.
"""


@pytest.fixture
def processes() -> Any:
    """Where processes are started from, with what they need imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dgmm.estimators", "tests.estimators.test_checkpointing"])
    return context


def small() -> None:
    """Have many spans of few rows, and write what is done at once: parts of passes too."""
    dgmm.data.source.SPANS = replace(dgmm.data.source.SPANS, smallest_bytes=5_000, largest_bytes=5_000)
    dgmm.passes.journal.JOURNAL = replace(
        dgmm.passes.journal.JOURNAL, seconds_waiting=0.0, seconds_of_parts=0.0
    )


@pytest.fixture
def place(tmp_path, stored, monkeypatch) -> tuple[str, Path]:
    """Rows in small spans, and where the checkpoint is to be."""
    monkeypatch.setattr(dgmm.data.source, "SPANS", dgmm.data.source.SPANS)
    monkeypatch.setattr(dgmm.passes.journal, "JOURNAL", dgmm.passes.journal.JOURNAL)
    small()
    return stored(rows(), chunk=100), tmp_path / "kept"


def fit_and_die(fit: str, path: str, folder: Path, spans: Path, at: tuple[str, int] | None = None) -> None:
    """Fit; SIGKILL at a point of a file of the checkpoint, after so many. Each span makes a file longer."""
    n_seen = 0

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal n_seen
        name = str(arguments[0]) if arguments else ""
        is_ours = name.startswith(str(folder))
        point = {
            ("open", name.endswith(".tmp")): "begun",
            ("os.rename", name.endswith(".tmp")): "written",
            ("open", name == str(folder)): "renamed",
            ("os.remove", name.endswith(".dgmm")): "removed",
        }.get((event, True))
        if at is not None and is_ours and point == at[0]:
            n_seen += 1
            if n_seen > at[1]:
                os.kill(os.getpid(), signal.SIGKILL)

    def count(event: Event) -> None:
        if isinstance(event, SpanFinished):
            with open(spans, "ab") as file:
                file.write(b".")

    small()
    warnings.simplefilter("ignore")
    sys.addaudithook(look)
    with listening(count):
        FITS[fit]().fit(path, checkpoint=folder)


def test_a_fit_that_is_killed_at_every_kind_of_moment_has_the_same_bits(processes, place, tmp_path):
    path, folder = place
    seen: list[Event] = []
    with listening(seen.append):
        undisturbed = bits(mixture(init_params="k-means||").fit(path))
    n_spans = sum(isinstance(event, SpanFinished) for event in seen)
    n_passes = sum(isinstance(event, PassFinished) for event in seen)
    points = [*zip(POINTS, (3, 10, 17, 5), strict=True)]
    for point in points:
        arguments = ("k-means||", path, folder, tmp_path / "spans", point)
        process = processes.Process(target=fit_and_die, args=arguments)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    with dask.config.set(num_workers=1):
        assert bits(mixture(init_params="k-means||").fit(path, checkpoint=folder)) == undisturbed
    n_done = (tmp_path / "spans").stat().st_size
    assert n_done <= n_spans + len(points) * n_spans // n_passes


@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
def test_a_hundred_kills_at_random(processes, place, tmp_path, fit):
    path, folder = place
    undisturbed = bits(FITS[fit]().fit(path))  # compiled from here on: that takes longer than the fit
    arguments = (fit, path, folder, tmp_path / "spans")
    started = time.monotonic()
    process = processes.Process(target=fit_and_die, args=arguments)
    process.start()
    process.join()
    seconds = time.monotonic() - started
    shutil.rmtree(folder)
    generator = np.random.default_rng(0)
    n_killed = 0
    while n_killed < 100:
        process = processes.Process(target=fit_and_die, args=arguments)
        process.start()
        process.join(generator.uniform(0.0, seconds))
        if process.exitcode is None:
            process.kill()
            process.join()
            n_killed += 1
            continue
        assert process.exitcode == 0
        with warnings.catch_warnings():
            warnings.simplefilter("error", CheckpointWarning)
            assert bits(FITS[fit]().fit(path, checkpoint=folder)) == undisturbed
        shutil.rmtree(folder)  # the others die in another fit
    assert bits(FITS[fit]().fit(path, checkpoint=folder)) == undisturbed


def fit_with_little_room(path: str, folder: Path, told: Any) -> None:
    """Fit; after three passes no file may have more than a few bytes."""
    small()
    n_passes = 0

    def listen(event: Event) -> None:
        nonlocal n_passes
        if isinstance(event, PassFinished):
            n_passes += 1
            if n_passes == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    with listening(listen), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", CheckpointWarning)
        try:
            mixture(init_params="k-means||").fit(path, checkpoint=folder)
        except OSError as error:
            told.send((str(error), error.__notes__, [str(each.message) for each in warned]))


def test_a_disk_that_is_full_ends_the_fit_after_three_misses(processes, place):
    path, folder = place
    here, there = processes.Pipe()
    process = processes.Process(target=fit_with_little_room, args=(path, folder, there))
    process.start()
    message, notes, warned = here.recv()
    process.join()
    assert "File too large" in message
    assert "3 times in a row" in message
    assert notes == [f"the progress so far is in {folder}: the same call continues from there"]
    missed = [each for each in warned if "could not be written" in each and "entry-" in each]
    assert len(missed) == 2
    assert all("the fit goes on and tries again" in each for each in missed)
    assert not list(folder.glob("*.tmp"))
    undisturbed = bits(mixture(init_params="k-means||").fit(path))
    assert bits(mixture(init_params="k-means||").fit(path, checkpoint=folder)) == undisturbed


def test_a_disk_that_is_full_for_a_moment_costs_a_warning(place):
    path, folder = place
    dgmm.passes.journal.JOURNAL = replace(dgmm.passes.journal.JOURNAL, seconds_of_parts=60.0)
    folder.mkdir()
    (folder / "entry-000003.dgmm.tmp").symlink_to("/dev/full")  # removed when writing to it has failed
    fit = FITS["k-means||"]
    with pytest.warns(CheckpointWarning, match=r"entry-000003\.dgmm: .* No space left on device"):
        found = bits(fit().fit(path, checkpoint=folder))
    assert found == bits(fit().fit(path, checkpoint=folder)) == bits(fit().fit(path))
