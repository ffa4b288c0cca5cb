"""A journal of work: what was done is not done again, and nothing else is taken for it."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dgmm.passes.journal
from dgmm.data.durable import DurableFolder
from dgmm.data.records import Kinds
from dgmm.passes.entries import CLASSES, Reader, name_of
from dgmm.passes.events import Resumed, listening
from dgmm.passes.journal import CheckpointWarning, Journal, answered, journalling

KINDS = Kinds(CLASSES)


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path) -> DurableFolder:
    place = str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    made = DurableFolder.at(place)
    made.create()
    return made


class Counting:
    """Work whose results are numbers, and which counts how often it is done."""

    def __init__(self, start: float = 0.0) -> None:
        self.n_done = 0
        self.start = start

    def __call__(self, n_steps: int = 5, *, kind: str = "pass", may_wait: bool = False) -> list[float]:
        """Each step depends on the one before."""
        found, value = [], np.array([self.start, 1.0])
        for step in range(n_steps):

            def compute(parts: object, value: np.ndarray = value) -> np.ndarray:
                self.n_done += 1
                return value * 1.5 + 1.0

            value = answered(kind, f"step {step}", 3, about=value, compute=compute, may_wait=may_wait).value
            found.append(float(value[0]))
        return found


def run(folder: DurableFolder, work: Callable[[], object], *, exactly: bool = True, end: bool = True):
    journal = Journal(folder, KINDS, "origin", exactly=exactly)
    with journalling(journal):
        found = work()
        if end:
            journal.finish()
    return found


def test_without_a_journal_work_is_done():
    work = Counting()
    assert work() == work()
    assert work.n_done == 10


def test_what_was_done_is_not_done_again(folder):
    work = Counting()
    found = run(folder, work)
    assert run(folder, work) == found == Counting()()
    assert work.n_done == 5


@pytest.mark.parametrize("n_before", range(6))
def test_work_that_was_stopped_goes_on(folder, n_before):
    work = Counting()
    run(folder, lambda: work(n_before), end=False)
    assert run(folder, work) == Counting()()
    assert work.n_done == 5


def test_work_that_fails_is_not_answered(folder):
    def fail(_: object) -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(folder, lambda: answered("pass", "a", 1, about=1, compute=fail))
    assert run(folder, lambda: answered("pass", "a", 1, about=1, compute=lambda parts: 7).value) == 7


def test_what_work_asks_for_itself_is_a_part_of_it(folder):
    def outer(_: object) -> int:
        return answered("pass", "inner", 1, about=2, compute=lambda parts: 3).value + 1

    ask = lambda: answered("pass", "outer", 1, about=1, compute=outer).value  # noqa: E731
    assert run(folder, ask) == run(folder, ask) == 4
    assert Reader(folder, KINDS, "origin").extent().counts == {"pass": 1}


def test_a_resumed_run_says_once_what_it_takes(folder):
    run(folder, lambda: Counting()(3), end=False)
    told: list[object] = []
    with listening(told.append):
        run(folder, Counting())
    assert told == [Resumed(folder.place, "3 passes")]
    told.clear()
    with listening(told.append):
        run(folder, Counting())
    assert told == [Resumed(folder.place, "5 passes")]


class TestOtherRequests:
    """What is asked for is not what was asked for."""

    def test_what_comes_after_is_done_again(self, folder):
        run(folder, Counting())
        work = Counting()

        def other() -> list[float]:
            first = work(2)
            return [*first, answered("pass", "else", 1, about=0, compute=lambda parts: 5.0).value]

        with pytest.warns(CheckpointWarning, match="'step 2', but 'else' was asked"):
            found = run(folder, other)
        assert found == [*Counting()(2), 5.0]
        assert work.n_done == 0
        assert run(folder, other) == found

    def test_of_a_file_with_several_answers_some_are_kept(self, folder):
        run(folder, lambda: Counting()(4, may_wait=True))
        work = Counting()

        def other() -> list[float]:
            return [*work(2), answered("pass", "else", 1, about=0, compute=lambda parts: 5.0).value]

        with pytest.warns(CheckpointWarning, match="does not fit"):
            found = run(folder, other)
        assert run(folder, other) == found
        assert work.n_done == 0

    def test_more_answers_than_were_asked_for(self, folder):
        run(folder, Counting())
        with pytest.warns(CheckpointWarning, match="more answers"):
            run(folder, lambda: Counting()(3))
        assert Reader(folder, KINDS, "origin").extent().counts == {"pass": 3}

    def test_one_bit_makes_another_request(self, folder):
        run(folder, Counting(1.0))
        work = Counting(np.nextafter(1.0, 2.0))
        with pytest.warns(CheckpointWarning, match="does not fit"):
            run(folder, work)
        assert work.n_done == 5

    def test_but_not_where_rounding_may_differ(self, folder):
        found = run(folder, Counting(1.0))
        work = Counting(np.nextafter(1.0, 2.0))
        assert run(folder, work, exactly=False) == found
        assert work.n_done == 0
        far = Counting(1.01)
        with pytest.warns(CheckpointWarning, match="does not fit"):
            run(folder, far, exactly=False)
        assert far.n_done == 5


def damages() -> Iterator[tuple[str, Callable[[DurableFolder, str], None]]]:
    def flip(folder: DurableFolder, name: str) -> None:
        data = bytearray(folder.read(name))
        data[len(data) // 2] ^= 4
        folder.put(name, bytes(data))

    yield "flip", flip
    yield "cut", lambda folder, name: folder.put(name, folder.read(name)[:-40])
    yield "empty", lambda folder, name: folder.put(name, b"")
    yield "foreign", lambda folder, name: folder.put(name, b"PK\x03\x04 a zip file")
    yield (
        "another entry",
        lambda folder, name: folder.put(name, folder.read(name_of(1 if name[-6] != "1" else 2))),
    )


class TestDamage:
    @pytest.mark.parametrize("damage", [each for _, each in damages()], ids=[name for name, _ in damages()])
    @pytest.mark.parametrize("number", [1, 3, 5])
    def test_the_last_good_ones_are_taken(self, folder, damage, number):
        found = run(folder, Counting())
        damage(folder, name_of(number))
        work = Counting()
        with pytest.warns(CheckpointWarning, match=f"{name_of(number)} is damaged, or of another fit"):
            assert run(folder, work) == found
        assert work.n_done == 5 - (number - 1)
        assert run(folder, work) == found  # mended: nothing is said, and nothing done
        assert work.n_done == 5 - (number - 1)

    def test_a_missing_entry_ends_it(self, folder):
        found = run(folder, Counting())
        folder.remove(name_of(3))
        work = Counting()
        assert run(folder, work) == found
        assert work.n_done == 3

    def test_a_journal_of_something_else_is_none(self, folder):
        run(folder, Counting())
        work = Counting()
        journal = Journal(folder, KINDS, "another origin")
        with pytest.warns(CheckpointWarning, match="does not follow"), journalling(journal):
            work()
        assert work.n_done == 5


class TestWriting:
    def test_work_of_a_moment_waits_for_more(self, folder):
        run(folder, lambda: Counting()(5, may_wait=True))
        assert [name for name in folder.names() if name.startswith("entry")] == [name_of(1)]

    def test_but_not_for_long(self, folder, monkeypatch):
        tuning = replace(dgmm.passes.journal.JOURNAL, seconds_waiting=0.0)
        monkeypatch.setattr(dgmm.passes.journal, "JOURNAL", tuning)
        run(folder, lambda: Counting()(3, may_wait=True), end=False)
        assert Reader(folder, KINDS, "origin").extent().counts == {"pass": 3}

    def test_the_third_failure_in_a_row_ends_it(self, tmp_path: Path):
        folder = DurableFolder.at(tmp_path)
        journal, work = Journal(folder, KINDS, "origin"), Counting()
        with journalling(journal):
            work(2)
            (tmp_path / f"{name_of(3)}.tmp").mkdir()  # in the way
            for _ in range(2):
                with pytest.warns(CheckpointWarning, match="could not be written.*the fit goes on"):
                    answered("pass", "a", 1, about=0, compute=lambda parts: 1)
            with pytest.raises(OSError, match="3 times in a row"):
                answered("pass", "a", 1, about=0, compute=lambda parts: 1)
        assert Reader(folder, KINDS, "origin").extent().counts == {"pass": 2}

    def test_what_failed_is_written_with_what_comes_next(self, tmp_path: Path):
        folder = DurableFolder.at(tmp_path)
        journal = Journal(folder, KINDS, "origin")
        with journalling(journal):
            (tmp_path / f"{name_of(1)}.tmp").mkdir()
            for _ in range(2):
                with pytest.warns(CheckpointWarning, match="could not be written"):
                    answered("pass", "a", 1, about=0, compute=lambda parts: 1)
            (tmp_path / f"{name_of(1)}.tmp").rmdir()
            answered("pass", "a", 1, about=0, compute=lambda parts: 1)
            (tmp_path / f"{name_of(2)}.tmp").mkdir()
            with pytest.warns(
                CheckpointWarning, match="could not be written"
            ):  # counted from the last success
                answered("pass", "a", 1, about=0, compute=lambda parts: 1)
        assert Reader(folder, KINDS, "origin").extent().counts == {"pass": 3}

    def test_nothing_is_written_to_what_another_has_taken(self, folder):
        def taken() -> None:
            raise OSError("it is another's")

        with (
            journalling(Journal(folder, KINDS, "origin", check=taken)),
            pytest.raises(OSError, match="another's"),
        ):
            Counting()()
        assert folder.names() == []
