"""Parts of passes: what is there is not done again, and sums have the bits that they would have had."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

import dgmm
import dgmm.passes.journal
from dgmm.data.durable import DurableFolder
from dgmm.data.records import Kinds
from dgmm.passes.entries import CLASSES
from dgmm.passes.events import Event, SpanFinished, SpansKept, TaskFinished, listening
from dgmm.passes.journal import CheckpointWarning, Journal, journalling
from dgmm.passes.parallel import run_tasks
from dgmm.passes.parts import PartialResult, Parts, Tree
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows, Effort, Timed

KINDS = Kinds((*CLASSES, Timed, Effort))


def total(*values: float) -> float:
    return reduce(add, values)


def by_hand(values: list[float], fan_in: int) -> float:
    """Add up neighbours, level by level."""
    while len(values) > 1:
        values = [total(*values[start : start + fan_in]) for start in range(0, len(values), fan_in)]
    return values[0]


@given(st.integers(1, 70), st.integers(2, 8), st.randoms(use_true_random=False))
def test_what_is_missing_completes_what_is_known(n_leaves, fan_in, random):
    tree = Tree(n_leaves, fan_in)
    values = [random.uniform(-1.0, 1.0) ** 3 for _ in range(n_leaves)]
    written: list[PartialResult] = []
    parts = Parts((), lambda _, kept: written.append(kept))
    assert parts.begin(tree, total) == {}
    done = random.sample(range(n_leaves), random.randint(0, n_leaves))
    for leaf in done:
        parts.done(leaf, lambda leaf=leaf: values[leaf], is_here=random.random() < 0.5)
    again = Parts(written)
    known = again.begin(tree, total)
    missing = tree.missing(known)
    assert sorted(leaf for node in known for leaf in tree.leaves(node)) == sorted(done)
    assert [leaf for node in missing for leaf in tree.leaves(node)] == sorted(
        set(range(n_leaves)) - set(done)
    )
    leaves = {(0, leaf): value for leaf, value in enumerate(values)}
    computed = {node: tree.value(node, leaves, total) for node in missing}
    assert tree.value(tree.roots[0], {**known, **computed}, total) == by_hand(values, fan_in)


def test_few_sums_are_kept_of_many_leaves():
    tree, written = Tree(4096, 8), []
    parts = Parts((), lambda _, kept: written.append(kept))
    parts.begin(tree, total)
    for leaf in range(4000):
        parts.done(leaf, lambda: 1.0, is_here=True)
    assert len(parts.known) <= 7 * 5
    assert sum(len(each.nodes) for each in written) == 4000  # what is new each time, once


def test_parts_of_another_tree_are_not_used():
    kept = PartialResult(Tree(10, 8), ((0, 3),), (1.0,), 5.0)
    assert Parts([kept]).begin(Tree(11, 8), total) == {}
    assert Parts([kept]).begin(Tree(10, 8), total) == {(0, 3): 1.0}


def test_what_cannot_be_written_does_not_end_the_pass():
    def write(number: int, kept: PartialResult) -> None:
        raise OSError("no space")

    parts = Parts((), write)
    parts.begin(Tree(3, 8), total)
    parts.done(0, lambda: 1.0, is_here=True)
    assert str(parts.problem) == "no space"


def test_nothing_is_written_before_its_time():
    written: list[PartialResult] = []
    parts = Parts((), lambda _, kept: written.append(kept), seconds_between=3600.0)
    parts.begin(Tree(3, 8), total)
    parts.done(0, lambda: pytest.fail("fetched"), is_here=False)
    assert written == []


class Death(BaseException):
    """The process dies."""


def n_chunks(chunks: Iterator[ChunkRows]) -> int:
    return sum(1 for _ in chunks)


@dataclass(frozen=True)
class SumsOfRows:
    """Work whose sums depend, in their last bits, on the order of rows."""

    def __call__(self, chunks: Iterator[ChunkRows]) -> np.ndarray:
        return reduce(add, (chunk.values.sum(axis=0) for chunk in chunks))


@pytest.fixture(autouse=True)
def at_once(monkeypatch) -> None:
    """What is done is written at once."""
    tuning = replace(dgmm.passes.journal.JOURNAL, seconds_of_parts=0.0)
    monkeypatch.setattr(dgmm.passes.journal, "JOURNAL", tuning)


@pytest.fixture
def path(stored, generator) -> str:
    return stored(generator.normal(size=(20_000, 3)) ** 3)


def a_pass(path: str, folder: Path, *, n_lived: int | None = None) -> tuple[np.ndarray, list[Event]]:
    """Make a pass with a journal; it dies after some spans."""
    seen: list[Event] = []

    def listen(event: Event) -> None:
        seen.append(event)
        if n_lived is not None and sum(isinstance(each, SpanFinished) for each in seen) > n_lived:
            raise Death

    with journalling(Journal(DurableFolder.at(folder), KINDS)), listening(listen):
        return run_pass(dgmm.open_dataset(path), SumsOfRows(), "sums"), seen


def spans(events: list[Event]) -> int:
    return sum(isinstance(event, SpanFinished) for event in events)


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("n_lived", [0, 1, 9, 20, 38])
def test_a_pass_goes_on_where_it_was(path, tmp_path, n_lived):
    source = dgmm.open_dataset(path)
    undisturbed, n_spans = run_pass(source, SumsOfRows(), "sums"), len(source.spans())
    assert n_spans == 40
    folder = tmp_path / "kept"
    folder.mkdir()
    with pytest.raises(Death):
        a_pass(path, folder, n_lived=n_lived)
    found, events = a_pass(path, folder)
    assert found.tobytes() == undisturbed.tobytes()
    assert spans(events) <= n_spans - n_lived
    told = [event.n_rows for event in events if isinstance(event, SpansKept | SpanFinished)]
    assert sum(told) == 20_000
    assert [each.name for each in folder.iterdir()] == ["entry-000001.dgmm"]


@pytest.mark.usefixtures("small_spans")
def test_damaged_and_foreign_parts_are_left_out(path, tmp_path):
    undisturbed = run_pass(dgmm.open_dataset(path), SumsOfRows(), "sums")
    with pytest.raises(Death):
        a_pass(path, tmp_path, n_lived=30)
    parts = sorted(tmp_path.glob("part-*"))
    data = bytearray(parts[3].read_bytes())
    data[-50] ^= 1
    parts[3].write_bytes(data)
    parts[4].write_bytes(b"")
    parts[5].rename(tmp_path / "part-000002-000001.dgmm")
    found, events = a_pass(path, tmp_path)
    assert found.tobytes() == undisturbed.tobytes()
    assert spans(events) >= 10
    assert not list(tmp_path.glob("part-*"))


@pytest.mark.usefixtures("small_spans")
def test_parts_of_other_work_are_left_out(path, tmp_path):
    with pytest.raises(Death):
        a_pass(path, tmp_path, n_lived=30)
    with journalling(Journal(DurableFolder.at(tmp_path), KINDS)):
        assert run_pass(dgmm.open_dataset(path), n_chunks, "sums") == 40


@pytest.mark.usefixtures("small_spans")
def test_a_pass_goes_on_on_a_cluster(path, tmp_path, client):
    source = dgmm.open_dataset(path)
    with pytest.raises(Death):
        a_pass(path, tmp_path, n_lived=25)
    found, events = a_pass(path, tmp_path)
    assert spans(events) < 40
    with journalling(None):
        assert found.tobytes() == run_pass(source, SumsOfRows(), "sums").tobytes()


@pytest.mark.usefixtures("small_spans")
def test_what_a_cluster_had_done_is_taken_here(path, tmp_path, cluster):
    folder, left = tmp_path / "kept", tmp_path / "left"
    folder.mkdir()
    seen: list[Event] = []

    def listen(event: Event) -> None:
        """Take a copy, as a death would leave it."""
        seen.append(event)
        if spans(seen) == 30 and not left.exists():
            shutil.copytree(folder, left)

    with Client(cluster), listening(listen):
        undisturbed, _ = a_pass(path, folder)
    found, events = a_pass(path, left)
    assert found.tobytes() == undisturbed.tobytes()
    assert spans(events) <= 12


def squared(item: int, shared: int) -> int:
    return item * item + shared


def test_tasks_go_on_where_they_were(tmp_path):
    seen: list[Event] = []

    def listen(event: Event) -> None:
        if isinstance(event, TaskFinished):
            seen.append(event)
            if len(seen) == 4:
                raise Death

    with pytest.raises(Death), journalling(Journal(DurableFolder.at(tmp_path), KINDS)), listening(listen):
        run_tasks(squared, range(7), 1, "squares")
    seen.clear()
    with journalling(Journal(DurableFolder.at(tmp_path), KINDS)), listening(seen.append):
        assert run_tasks(squared, range(7), 1, "squares") == [item * item + 1 for item in range(7)]
    assert sum(isinstance(event, TaskFinished) for event in seen) == 4


@pytest.mark.usefixtures("small_spans")
def test_parts_that_cannot_be_written_are_said(path, tmp_path):
    (tmp_path / "part-000001-000001.dgmm.tmp").mkdir()  # in the way
    with pytest.warns(CheckpointWarning, match="what a pass had so far could not be written"):
        found, _ = a_pass(path, tmp_path)
    assert found.tobytes() == run_pass(dgmm.open_dataset(path), SumsOfRows(), "sums").tobytes()
