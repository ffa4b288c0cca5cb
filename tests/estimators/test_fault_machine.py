"""Passes, deaths, damage, changed rows, resumptions in any order: the reference's bits, or an error by name.

The machine knows what the rows are and which rows a checkpoint is of, and nothing of how either is done. The
slow one kills processes of their own by SIGKILL: ``pytest -m slow tests/estimators/test_fault_machine.py``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import zarr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import dgmm
import dgmm.data.source
import dgmm.passes.journal
from dgmm.data.source import DataError
from dgmm.passes.events import Event, PassFinished, SpanFinished, TasksFinished, listening

N_ROWS, CHUNK_ROWS, N_FEATURES = 600, 100, 2

REFERENCES: dict[bytes, str] = {}
"""Checksums of undisturbed fits, by the rows."""


class Death(BaseException):
    """The process dies; nothing that catches errors catches it."""


def bits(fitted: dgmm.GaussianMixture) -> str:
    """A checksum of all that a fit found."""
    parts = [fitted.means_, fitted.covariances_, fitted.weights_, fitted.lower_bounds_, fitted.n_iter_]
    return hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in parts)).hexdigest()


def fit(path: str, place: str | None) -> str:
    """Fit the rows there, in several passes of several spans."""
    mixture = dgmm.GaussianMixture(
        3, random_state=0, sample_rows=100, init_params="k-means||", max_iter=5, tol=0.0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bits(mixture.fit(path, checkpoint=place))


class Faults(RuleBasedStateMachine):
    """A fit, its rows, its checkpoint, and all that befalls them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self.path, self.place = str(self.folder / "rows.zarr"), str(self.folder / "kept")
        self.rows = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES))
        self.rows[::3] += 5.0
        self.array = zarr.create_array(
            self.path, data=self.rows, chunks=(CHUNK_ROWS, N_FEATURES), compressors=None
        )
        self.begun: bytes | None = None
        """Which rows the checkpoint is of; None where there is none that says so."""
        self.written_meanwhile = False
        self.written_since = False
        """Whether the store says that rows were written since the checkpoint was begun."""
        small = replace(dgmm.data.source.SPANS, smallest_bytes=3_000, largest_bytes=3_000)
        at_once = replace(dgmm.passes.journal.JOURNAL, seconds_waiting=0.0)
        self.patches = [
            patch.object(dgmm.data.source, "SPANS", small),
            patch.object(dgmm.passes.journal, "JOURNAL", at_once),
        ]
        for each in self.patches:
            each.start()

    def teardown(self) -> None:
        """The last resumption: what is left ends as it must."""
        try:
            self.resume()
        finally:
            for each in self.patches:
                each.stop()
            shutil.rmtree(self.folder)

    @property
    def content(self) -> bytes:
        return self.rows.tobytes()

    def reference(self) -> str:
        """The checksum of an undisturbed fit to the rows as they are."""
        if self.content not in REFERENCES:
            REFERENCES[self.content] = fit(self.path, None)
        return REFERENCES[self.content]

    def attempt(
        self, listener: Callable[[Event], None] = lambda event: None, run: Callable[[], str] | None = None
    ) -> None:
        """Make the call: it ends with the bits of an undisturbed fit, dies, or says what is wrong."""
        reference = self.reference()
        if self.begun is None:
            self.begun, self.written_since = self.content, False
        kept, is_refused = {reference, REFERENCES[self.begun]}, self.written_since
        self.written_meanwhile, found, error = False, None, None
        try:
            with listening(listener):
                found = fit(self.path, self.place) if run is None else run()
        except (dgmm.CheckpointError, DataError) as caught:
            error = caught
        except Death:
            pass
        was_killed = run is not None and found is None and error is None
        if was_killed:  # maybe before it could say, or begin, anything
            self.forget_what_is_not_there()
        elif is_refused:
            assert isinstance(error, dgmm.CheckpointError), (found, error)
            assert "the rows' files changed" in str(error)
        elif error is not None:
            assert isinstance(error, DataError), error
            assert "changed during the fit" in str(error)
            assert self.written_meanwhile or self.begun != self.content
        elif found is not None:
            assert found in kept  # of what rows were, where what was left to do did not read them again

    def forget_what_is_not_there(self) -> None:
        if not os.path.exists(os.path.join(self.place, "head.dgmm")):
            self.begun, self.written_since = None, False

    @rule()
    def resume(self) -> None:
        """Make the same call, undisturbed."""
        self.attempt()

    @rule(n_lived=st.integers(0, 9))
    def die_after_passes(self, n_lived: int) -> None:
        """Make the same call, and die as soon as more passes or rounds of tasks than that are made."""
        self.die((PassFinished, TasksFinished), n_lived)

    @rule(n_lived=st.integers(0, 40))
    def die_in_a_pass(self, n_lived: int) -> None:
        """Make the same call, and die as soon as more spans than that are done."""
        self.die((SpanFinished,), n_lived)

    def die(self, kind: tuple[type, ...], n_lived: int) -> None:
        n_seen = 0

        def listen(event: Event) -> None:
            nonlocal n_seen
            n_seen += isinstance(event, kind)
            if n_seen > n_lived:
                raise Death

        self.attempt(listen)

    @precondition(lambda self: os.path.isdir(self.place))
    @rule(which=st.integers(0, 30), place=st.floats(0.0, 1.0), how=st.sampled_from(["flip", "cut", "remove"]))
    def damage(self, which: int, place: float, how: str) -> None:
        """Damage a file of the checkpoint."""
        files = sorted(path for path in Path(self.place).iterdir() if path.suffix == ".dgmm")
        if not files:
            return
        path = files[which % len(files)]
        data = bytearray(path.read_bytes())
        at = int(place * max(0, len(data) - 1))
        if how == "remove":
            path.unlink()
        elif how == "cut":
            path.write_bytes(data[:at])
        elif data:  # it may have been cut to nothing before
            data[at] ^= 1 << (which % 8)
            path.write_bytes(data)
        if path.name.startswith("head"):
            self.begun = None

    @precondition(lambda self: not self.written_since)
    @rule(row=st.integers(0, N_ROWS - 1), value=st.floats(-3.0, 3.0))
    def change_rows(self, row: int, value: float) -> None:
        """Write other rows, which the store tells of."""
        self.array[row, 0] = self.rows[row, 0] = value
        self.written_since = True

    @precondition(lambda self: not self.written_since)
    @rule(row=st.integers(0, N_ROWS - 1))
    def change_rows_in_secret(self, row: int) -> None:
        """Let a value become another one, with the file as old and as large as before."""
        chunk = Path(self.path) / "c" / str(row // CHUNK_ROWS) / "0"
        times = chunk.stat()
        data = np.fromfile(chunk).reshape(CHUNK_ROWS, N_FEATURES)
        self.rows[row, 1] = data[row % CHUNK_ROWS, 1] = -data[row % CHUNK_ROWS, 1]
        with open(chunk, "r+b") as file:  # the file itself: its number stays
            file.write(data.tobytes())
        os.utime(chunk, ns=(times.st_atime_ns, times.st_mtime_ns))

    @precondition(lambda self: not self.written_since)
    @rule(n_passes=st.integers(1, 6), row=st.integers(0, N_ROWS - 1))
    def change_rows_meanwhile(self, n_passes: int, row: int) -> None:
        """Write other rows after some passes of the same call."""
        value, n_made = 9.0 - self.rows[row, 0], 0

        def listen(event: Event) -> None:
            nonlocal n_made
            n_made += isinstance(event, PassFinished)
            if n_made == n_passes and not self.written_meanwhile:
                self.array[row, 0] = value
                self.written_meanwhile = True

        self.attempt(listen)
        if self.written_meanwhile:
            self.rows[row, 0] = value
            self.written_since = True

    @precondition(lambda self: self.written_since or self.begun not in (None, self.content))
    @rule()
    def begin_anew(self) -> None:
        """Remove the checkpoint."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.begun, self.written_since = None, False


TestFaults = Faults.TestCase
TestFaults.settings = settings(
    max_examples=12, stateful_step_count=10, deadline=None, derandomize=True, print_blob=False
)


class Kills(Faults):
    """The same, with processes that are killed."""

    @rule(seconds=st.floats(0.0, 2.0))
    def kill(self, seconds: float) -> None:
        """Kill a process that makes the same call, so long after it has begun."""
        command = [sys.executable, "-c", CHILD, self.path, self.place]

        def run() -> str:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
                assert started.stdout is not None
                assert started.stdout.readline() == "begins\n"
                time.sleep(seconds)
                os.kill(started.pid, signal.SIGKILL)
                told = started.stdout.read().strip()
            if not told:
                raise Death
            name, _, said = told.partition(" ")
            if name == "found":
                return said
            raise {"CheckpointError": dgmm.CheckpointError, "DataError": DataError}[name](said)

        self.attempt(run=run)


CHILD = """
import sys
from tests.estimators import test_fault_machine as machine
import dgmm.data.source, dgmm.passes.journal
from dataclasses import replace
dgmm.data.source.SPANS = replace(dgmm.data.source.SPANS, smallest_bytes=3_000, largest_bytes=3_000)
dgmm.passes.journal.JOURNAL = replace(dgmm.passes.journal.JOURNAL, seconds_waiting=0.0)
print("begins", flush=True)
try:
    print("found", machine.fit(sys.argv[1], sys.argv[2]), flush=True)
except ValueError as error:
    print(type(error).__name__, error, flush=True)
"""


@pytest.mark.slow
class TestKills(Kills.TestCase):
    settings = settings(max_examples=10, stateful_step_count=10, deadline=None, print_blob=False)
