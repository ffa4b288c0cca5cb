"""Renames that replace nothing, or exchange two names, whether the kernel knows them or not."""

import os

import pytest

from dgmm.data import renaming
from dgmm.data.renaming import exchange, rename_to_new


@pytest.fixture(params=["the kernel's", "without it"])
def kernel(request, monkeypatch):
    if request.param == "without it":
        monkeypatch.setattr(renaming, "_renameat2", lambda: None)


def make(path, content, kind):
    if kind == "folder":
        path.mkdir()
        path = path / "content"
    path.write_text(content)


def read(path):
    return (path / "content" if path.is_dir() else path).read_text()


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_there_is_made_at_once(tmp_path, kind):
    make(tmp_path / "new", "new", kind)
    rename_to_new(str(tmp_path / "new"), str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["x"]
    assert read(tmp_path / "x") == "new"


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_there_stays(tmp_path, kind, there):
    make(tmp_path / "new", "new", kind)
    make(tmp_path / "x", "old", there)
    with pytest.raises(FileExistsError, match="x exists: another process has made it meanwhile"):
        rename_to_new(str(tmp_path / "new"), str(tmp_path / "x"))
    assert (read(tmp_path / "new"), read(tmp_path / "x")) == ("new", "old")


def test_two_names_are_exchanged_or_nothing_is_done(tmp_path):
    make(tmp_path / "new", "new", "folder")
    make(tmp_path / "x", "old", "file")
    is_done = exchange(str(tmp_path / "new"), str(tmp_path / "x"))
    assert (read(tmp_path / "x"), read(tmp_path / "new")) == (("new", "old") if is_done else ("old", "new"))
