# pyright: reportAttributeAccessIssue=false
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

from dgmm.passes.task import read_ahead


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
            raise OSError("gone")
        return np.full((2, 1), float(self.number))


def test_chunks_come_in_order_and_the_next_one_is_read_meanwhile():
    log = []
    for rows in read_ahead([Slow(number, log) for number in range(5)]):
        number = int(rows[0, 0])
        deadline = time.monotonic() + 5
        while number < 4 and ("read", number + 1) not in log and time.monotonic() < deadline:
            time.sleep(0.001)
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
    with pytest.raises(OSError, match="gone"):
        list(rows)


def test_a_reader_that_is_left_ends_its_thread():
    readers = []

    class Watched(Slow):
        def read(self):
            readers.append(threading.current_thread())
            return super().read()

    rows = read_ahead([Watched(number, []) for number in range(4)])
    next(rows)
    # Only this reader's thread: other tests' Dask threads may still be at their last task.
    assert [reader for reader in readers if reader.is_alive()]
    rows.close()
    assert not [reader for reader in readers if reader.is_alive()]
