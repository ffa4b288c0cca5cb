"""Locks that one holder has at a time, and that end with it."""

import os

import pytest

from dgmm.data import locks
from dgmm.data.locks import is_unlocked, lock, unlock


def test_one_has_it_at_a_time(tmp_path):
    path = str(tmp_path / "file")
    held = lock(path)
    assert held is not None
    with pytest.raises(BlockingIOError, match="file"):
        lock(path)
    with open(path, "rb") as other:
        assert is_unlocked(other.fileno()) is False
    unlock(held)
    with open(path, "rb") as other:
        assert is_unlocked(other.fileno()) is True
    again = lock(path)
    assert again is not None
    unlock(again)


def test_a_file_that_its_last_holder_removed_is_made_again(tmp_path, monkeypatch):
    """As where it is removed between being opened and locked: that lock keeps nobody out."""
    path, known = tmp_path / "file", locks._try_lock
    removals = iter([path.unlink])

    def late(descriptor, kind):
        next(removals, lambda: None)()
        return known(descriptor, kind)

    monkeypatch.setattr(locks, "_try_lock", late)
    held = lock(str(path))
    assert held is not None
    assert os.path.samestat(os.fstat(held), path.stat())
    unlock(held)


def test_where_there_are_no_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_try_lock", lambda *_: None)
    assert lock(str(tmp_path / "file")) is None
