"""Small files that are there whole or not at all."""

import os
import stat
import uuid

import pytest

from dgmm.data.durable import DurableFolder


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path) -> DurableFolder:
    place = str(tmp_path / "folder") if request.param == "local" else f"memory://{uuid.uuid4().hex}/folder"
    made = DurableFolder.at(place)
    made.create()
    return made


def test_files_are_put_read_listed_and_removed(folder):
    assert folder.names() == []
    folder.put("b", b"1")
    folder.put("a", b"2" * 10_000)
    folder.put("b", b"3")
    assert folder.names() == ["a", "b"]
    assert (folder.read("a"), folder.read("b")) == (b"2" * 10_000, b"3")
    folder.remove("a")
    folder.remove("a")
    assert folder.names() == ["b"]
    with pytest.raises(FileNotFoundError):
        folder.read("a")


def test_nothing_is_there_before_it_is_created(tmp_path):
    assert DurableFolder.at(tmp_path / "none").names() == []


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file is a file: give a folder"):
        DurableFolder.at(tmp_path / "file").create()


def test_an_older_file_stays_where_a_newer_one_cannot_be_written(tmp_path):
    folder = DurableFolder.at(tmp_path)
    folder.put("a", b"old")
    os.mkdir(tmp_path / "a.tmp")  # in the way of what is being written
    with pytest.raises(OSError, match="directory"):
        folder.put("a", b"new")
    assert folder.read("a") == b"old"


def test_what_is_being_written_is_not_listed(tmp_path):
    folder = DurableFolder.at(tmp_path)
    (tmp_path / "a.tmp").write_bytes(b"ha")
    assert folder.names() == []
    folder.put("a", b"half")
    assert folder.names() == ["a"]
    assert folder.read("a") == b"half"


def test_files_may_be_read_as_others_of_the_user(tmp_path):
    folder, plain = DurableFolder.at(tmp_path), tmp_path / "plain"
    folder.put("a", b"1")
    plain.write_bytes(b"1")
    assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == stat.S_IMODE(os.stat(plain).st_mode)
