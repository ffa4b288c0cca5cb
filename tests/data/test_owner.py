"""A folder has one owner, which can be seen dead; processes are real, and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dgmm.data import locks, owner
from dgmm.data.location import locate
from dgmm.data.owner import OWNER_FILE, OwnedError, Owner, owned, owner_of, this_process
from tests.waiting import until

ODD = json.dumps(asdict(this_process()) | {"since": 1e300}).encode()
HOLDS = """
import os, sys, time
from dgmm.data.owner import owned
with owned(sys.argv[1]):
    if len(sys.argv) > 2:  # a child that outlives it, and lets go of the lock when it begins to run
        ear, mouth = os.pipe()
        if os.fork() == 0:
            os.write(mouth, b"here")
            time.sleep(600)
        os.read(ear, 4)
    print("owned", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A process that owns a folder."""
    command = [sys.executable, "-c", HOLDS, str(folder), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "owned\n"
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def write(folder: Path | str, who: Owner) -> None:
    filesystem, root = locate(folder)
    filesystem.pipe_file(f"{root}/{OWNER_FILE}", json.dumps(asdict(who)).encode())


def elsewhere(**changes: object) -> Owner:
    """An owner on another machine, which has just given a sign of life."""
    other = {"host": "elsewhere", "machine": "m", "boot": "b", "namespace": "n", "pid": 7} | changes
    return replace(this_process(), **other)  # type: ignore[arg-type]


def test_a_second_owner_is_refused_and_told_of_the_first_until_that_is_killed(tmp_path):
    with holder(tmp_path) as process:
        found = owner_of(tmp_path)
        assert found is not None
        assert found.pid == process.pid
        with pytest.raises(OwnedError, match=rf"{tmp_path} is in use by process {process.pid} on .*; wait"):
            owned(tmp_path).__enter__()
        process.kill()
        process.wait()
        assert owner_of(tmp_path) is None
        with owned(tmp_path) as own:
            assert owner_of(tmp_path) == own.owner
            own.check()
    assert os.listdir(tmp_path) == []


def test_children_of_a_dead_owner_do_not_keep_its_folder(tmp_path):
    with holder(tmp_path, "fork") as process:
        process.kill()
        process.wait()
        with owned(tmp_path):
            pass


def test_threads_of_a_process_are_several(tmp_path):
    with owned(tmp_path), pytest.raises(OwnedError, match=f"process {os.getpid()} "), owned(tmp_path):
        pass


def test_only_one_of_many_at_once(tmp_path):
    inside, most, refused = [0], [0], []

    def work() -> None:
        for _ in range(20):
            try:
                with owned(tmp_path):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.001)
                    inside[0] -= 1
            except OwnedError as error:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [1]
    assert len(refused) < 80
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("reaches", [True, False])
def test_other_machines(tmp_path, monkeypatch, reaches):
    """On a disk of one machine a lock that can be had is a dead one's; elsewhere it need not be."""
    if not reaches:
        monkeypatch.setattr(owner, "LOCAL", ())
    write(tmp_path, elsewhere())
    if reaches:
        assert owner_of(tmp_path) is None
        with owned(tmp_path):
            pass
        return
    assert owner_of(tmp_path) is not None
    with pytest.raises(OwnedError, match="process 7 on elsewhere"), owned(tmp_path):
        pass
    long_ago = time.time() - 2 * owner.OWNER.seconds_silent
    write(tmp_path, elsewhere(sign=long_ago))
    assert owner_of(tmp_path) is not None  # its file has just been changed
    os.utime(tmp_path / OWNER_FILE, (long_ago, long_ago))
    assert owner_of(tmp_path) is None
    here = this_process()
    write(tmp_path, replace(here, boot="the one before"))
    assert (owner_of(tmp_path) is None) == bool(here.machine)


def test_urls(tmp_path):
    """No locks: what the kernel says of the process, if it is this one's, else signs of life."""
    url = f"memory://owner-tests{tmp_path}"
    with owned(url) as own:
        with pytest.raises(OwnedError, match=f"in use by process {os.getpid()}"), owned(url):
            pass
        write(url, elsewhere())
        with pytest.raises(OwnedError, match="process 7 on elsewhere"):
            own.check()
    with pytest.raises(OwnedError, match="process 7 on elsewhere"), owned(url):  # who gave it up leaves it
        pass
    write(url, elsewhere(sign=0.0))
    with owned(url):
        pass
    assert owner_of(url) is None
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    write(url, replace(this_process(), pid=process.pid, started="12"))
    assert owner_of(url) is None


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_owners_give_signs_of_life(tmp_path, monkeypatch, place):
    monkeypatch.setattr(owner, "OWNER", replace(owner.OWNER, seconds_between=0.01))
    folder = str(tmp_path) if place == "folder" else f"memory://owner-tests{tmp_path}"
    with owned(folder):
        if place == "folder":
            os.utime(tmp_path / OWNER_FILE, (0, 0))
        seen = this_process().sign

        def is_alive() -> bool:
            found = owner_of(folder)
            last = os.stat(tmp_path / OWNER_FILE).st_mtime if place == "folder" else found and found.sign
            return bool(last and last >= seen)

        assert until(is_alive)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"pid": 1}', b"\xff", ODD],
    ids=["empty", "cut", "a list", "little", "no text", "numbers that cannot be"],
)
def test_what_is_no_owner_stands_in_nobodys_way(tmp_path, content):
    (tmp_path / OWNER_FILE).write_bytes(content)
    assert owner_of(tmp_path) is None
    with owned(tmp_path):
        pass


def test_where_there_are_no_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_try_lock", lambda *_: None)
    with owned(tmp_path), pytest.raises(OwnedError, match=f"process {os.getpid()}"), owned(tmp_path):
        pass
    assert os.listdir(tmp_path) == []
