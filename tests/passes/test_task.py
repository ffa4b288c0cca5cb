# pyright: reportAttributeAccessIssue=false
import gc
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

import dgmm.passes.task as task_module
from dgmm.data.source import DataError, Span
from dgmm.passes.task import Clock, Effort, Timed, read_ahead, span_task
from tests.waiting import until


@dataclass(frozen=True)
class Slow:
    """A chunk that notes when it is read."""

    number: int
    log: list
    n_rows: int = 2
    n_bytes: int = 16
    place: str = ""

    def read(self):
        self.log.append(("read", self.number))
        if self.number < 0:
            raise FileNotFoundError("gone")
        return np.full((2, 1), float(self.number))


def test_chunks_come_in_order_and_the_next_one_is_read_meanwhile():
    log = []
    for rows in read_ahead([Slow(number, log) for number in range(5)]):
        number = int(rows[0, 0])
        assert number == 4 or until(lambda number=number: ("read", number + 1) in log)
        log.append(("work", number))
    assert [entry for entry in log if entry[0] == "work"] == [("work", number) for number in range(5)]
    for number in range(4):
        assert log.index(("read", number + 1)) < log.index(("work", number))
    for number in range(3):  # but not two ahead: that would be a third chunk in memory
        assert log.index(("read", number + 2)) > log.index(("work", number))


def test_nothing_to_read():
    assert list(read_ahead([])) == []


@pytest.mark.parametrize("bad", [0, 1, 3])
def test_an_error_comes_where_its_chunk_is(bad):
    log = []
    rows = read_ahead([Slow(-1 if number == bad else number, log) for number in range(4)])
    for number in range(max(bad - 1, 0)):
        assert next(rows)[0, 0] == number
    with pytest.raises(FileNotFoundError, match="gone"):
        list(rows)


def watched(readers: list[threading.Thread]) -> type[Slow]:
    """Return a class of chunks that note which thread reads them."""

    class Watched(Slow):
        def read(self):
            readers.append(threading.current_thread())
            return super().read()

    return Watched


def test_a_chunk_alone_is_read_without_another_thread():
    readers = []
    (rows,) = read_ahead([watched(readers)(7, [])])
    assert rows[0, 0] == 7
    assert readers == [threading.current_thread()]


def test_a_reader_that_is_left_ends_its_thread():
    readers = []
    chunk = watched(readers)
    rows = read_ahead([chunk(number, []) for number in range(4)])
    next(rows)
    # Only this reader's thread: other tests' Dask threads may still be at their last task.
    assert [reader for reader in readers if reader.is_alive()]
    rows.close()
    assert not [reader for reader in readers if reader.is_alive()]


@pytest.mark.parametrize("why", ["the work fails", "the work stops", "a chunk has other rows"])
def test_the_thread_of_a_task_that_ends_early_ends_with_it(why):
    """Whoever holds the error, and with it all frames: nothing is left to the garbage collector."""
    readers = []

    class Watched(Slow):
        def read(self):
            readers.append(threading.current_thread())
            return super().read()

    def work(chunks):
        next(chunks)
        if why == "the work stops":
            return 0.0
        next(chunks)
        raise RuntimeError("the work fails")

    sizes = [2, 3 if why == "a chunk has other rows" else 2, 2, 2]
    chunks = tuple(Watched(number, [], n_rows=size) for number, size in enumerate(sizes))
    task, _ = span_task(Span(0, 0, chunks), work, None)
    gc.collect()
    gc.disable()
    try:
        if why == "the work stops":
            task()
        else:
            with pytest.raises((RuntimeError, DataError)) as held:
                task()
            assert held.value.__traceback__ is not None
        assert readers
        assert not [reader for reader in readers if reader.is_alive()]
    finally:
        gc.enable()


class Clockwork:
    """Time that goes by only where something sleeps."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@dataclass(frozen=True)
class Timepiece:
    """A chunk that takes three seconds to read."""

    clockwork: Clockwork
    value: float = 1.0
    n_rows: int = 2
    n_bytes: int = 16
    place: str = ""

    def read(self):
        self.clockwork.now += 3.0
        return np.full((2, 1), self.value)


@pytest.fixture
def clockwork(monkeypatch):
    """Time stands still but for sleepers, and nothing is read ahead: the sums are then known."""
    own = Clockwork()
    monkeypatch.setattr(task_module, "time", own)

    def read_on_demand(chunks, clock):
        yield from map(clock.read, chunks)

    monkeypatch.setattr(task_module, "read_ahead", read_on_demand)
    return own


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_chunks", [0, 1, 4])
def test_seconds_of_reading_and_of_computing(clockwork, weighted, n_chunks):
    def work(chunks):
        total = 0.0
        clockwork.now += 0.5
        for chunk in chunks:
            clockwork.now += 10.0
            total += chunk.values.sum()
        clockwork.now += 0.25
        return total

    span = Span(0, 0, (Timepiece(clockwork),) * n_chunks)
    weights = Timepiece(clockwork) if weighted else None
    task, _ = span_task(span, work, weights)
    timed = task.timed()
    assert timed.result == 2.0 * n_chunks
    assert timed.effort == Effort(2 * n_chunks, 3.0 * (n_chunks + weighted), 0.75 + 10.0 * n_chunks)
    assert task() == timed.result


def test_reading_is_timed_on_its_own_thread():
    clock = Clock()

    class Timed(Slow):
        def read(self):
            time.sleep(0.01)
            return super().read()

    assert len(list(read_ahead([Timed(number, []) for number in range(4)], clock))) == 4
    assert clock.reading >= 0.04


def test_results_and_seconds_add_up_side_by_side():
    parts = [Timed(0.1, Effort(1, 2.0, 3.0)), Timed(0.2, Effort(10, 20.0, 30.0))]
    added = parts[0] + parts[1]
    assert added.result == 0.1 + 0.2
    assert added.effort == Effort(11, 22.0, 33.0)
