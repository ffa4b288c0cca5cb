"""What a checkpoint is of, and that nothing else goes on from it."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dgmm.data.durable import DurableFolder
from dgmm.data.owner import OwnedError
from dgmm.fitting.checkpoint import (
    HEAD,
    Checkpoint,
    CheckpointError,
    Head,
    environment,
    extent_of,
    keeping,
    read_head,
)
from dgmm.passes.journal import CheckpointWarning, answered


@pytest.fixture
def head() -> Head:
    facts = {"n_components": ("3", "three"), "tol": ("0.1", "a tenth"), "the rows' values": ("ab", "ab")}
    return Head(facts, 7, 100, "Estimator()", environment())


def work(checkpoint: Checkpoint, head: Head, n: int = 2) -> tuple[list[int], int]:
    """Do numbered work, and count what was done."""
    done = []
    with keeping(checkpoint, head) as begun:
        found = [
            answered("pass", "a", 1, about=i, compute=lambda _, i=i: done.append(i) or i).value
            for i in range(n)
        ]
    return [*found, begun.draws], len(done)


def test_nothing_is_kept_without_a_place(head):
    with keeping(None, head) as begun:
        assert begun is head


@pytest.mark.parametrize("place", ["local", "memory://checkpoints/here"])
def test_the_same_call_goes_on(tmp_path, head, place):
    checkpoint = Checkpoint(tmp_path / "new" / "folder" if place == "local" else place)
    assert work(checkpoint, head) == ([0, 1, 7], 2)
    assert work(checkpoint, replace(head, draws=8)) == ([0, 1, 7], 0)
    found = read_head(checkpoint.folder)
    assert found is not None
    extent = extent_of(checkpoint.folder, found[1])
    assert (str(extent), extent.is_complete, extent.damage) == ("2 passes", True, "")


def test_what_differs_is_named(tmp_path, head):
    checkpoint = Checkpoint(tmp_path)
    work(checkpoint, head)
    other = replace(head, facts={"n_components": ("4", "four"), "the rows' values": ("ab", "cd")})
    message = "n_components was 3, and is 4; tol was 0.1, and is nothing; the rows' values changed"
    with pytest.raises(CheckpointError, match=message):
        work(checkpoint, other)
    assert work(checkpoint, head) == ([0, 1, 7], 0)


def test_other_versions_and_processors_go_on_with_a_warning(tmp_path, head):
    checkpoint = Checkpoint(tmp_path)
    work(checkpoint, head)
    other = replace(head, environment={**head.environment, "numpy": "1.0"})
    now = head.environment["numpy"]
    with pytest.warns(CheckpointWarning, match=f"numpy was {now}, and is 1.0"):
        assert work(checkpoint, other) == ([0, 1, 7], 0)


def test_the_environment_says_what_rounds():
    found = environment()
    assert {"dgmm", "numpy", "BLAS", "the processor"} <= set(found)
    assert found == environment()


def test_a_damaged_head_is_begun_anew(tmp_path, head):
    checkpoint = Checkpoint(tmp_path)
    work(checkpoint, head)
    data = bytearray((tmp_path / HEAD).read_bytes())
    data[-50] ^= 1
    (tmp_path / HEAD).write_bytes(data)
    with pytest.warns(CheckpointWarning) as warned:
        assert work(checkpoint, replace(head, draws=8)) == ([0, 1, 8], 2)
    assert [HEAD in str(each.message) for each in warned] == [True, False]
    assert work(checkpoint, head) == ([0, 1, 8], 0)


def test_a_folder_of_something_else_is_refused(tmp_path, head):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match=r"not empty: it holds 'thesis\.tex'"):
        work(Checkpoint(tmp_path), head)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_place_that_cannot_be_written_to_is_refused_before_any_work(tmp_path, head):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        work(Checkpoint(tmp_path / "file" / "below"), head)


def test_two_do_not_write_to_one(tmp_path, head):
    checkpoint = Checkpoint(tmp_path)
    with keeping(checkpoint, head), pytest.raises(OwnedError, match=f"process {os.getpid()}"):
        work(checkpoint, head)
    assert work(checkpoint, head)[1] == 2


def _die_at_work(place: Path, head: Head) -> None:
    with keeping(Checkpoint(place), head):
        answered("pass", "a", 1, about=0, compute=lambda parts: 0)
        os._exit(3)


def test_who_has_died_does_not_keep_it(tmp_path, head):
    # A fork would have what other tests imported: Lance warns of one, and a warning is an error.
    process = multiprocessing.get_context("spawn").Process(target=_die_at_work, args=(tmp_path, head))
    process.start()
    process.join()
    assert process.exitcode == 3
    assert work(Checkpoint(tmp_path), head) == ([0, 1, 7], 1)


class TestErrors:
    """Whatever ends a fit says where it can be gone on with."""

    def fail(self, place: Path, head: Head, error: BaseException, *, may_wait: bool = False) -> None:
        """Do some work, then fail."""
        with keeping(Checkpoint(place), head):
            answered("steps", "a", 1, about=0, compute=lambda parts: 0, may_wait=may_wait)
            raise error

    @pytest.mark.parametrize(
        "error", [ValueError("no"), KeyboardInterrupt("no"), MemoryError("no")], ids=repr
    )
    def test_keep_their_type_and_say_so(self, tmp_path, head, error):
        with pytest.raises(type(error), match="no") as raised:
            self.fail(tmp_path, head, error)
        note = f"the progress so far is in {tmp_path}: the same call continues from there"
        assert raised.value.__notes__ == [note]

    def test_do_not_where_nothing_was_reached(self, tmp_path, head):
        with pytest.raises(ValueError, match="at once") as raised, keeping(Checkpoint(tmp_path), head):
            raise ValueError("at once")
        assert not hasattr(raised.value, "__notes__")

    def test_write_what_was_waiting(self, tmp_path, head):
        with pytest.raises(KeyboardInterrupt):
            self.fail(tmp_path, head, KeyboardInterrupt(), may_wait=True)
        found = read_head(DurableFolder.at(tmp_path))
        assert found is not None
        assert extent_of(DurableFolder.at(tmp_path), found[1]).counts == {"steps": 1}


def test_credentials_are_not_shown():
    assert "secret" not in repr(Checkpoint("s3://bucket/a", {"key": "secret"}))
