"""Hidden folders in which output is written: killed at every step, two at once, on odd file systems."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dgmm.data import renaming, siblings
from dgmm.data.location import locate
from dgmm.data.owner import OWNER_FILE, OwnedError, this_process
from dgmm.data.siblings import COMPLETE, Sibling, discard, is_in_sibling, settle, size_and_touch
from dgmm.data.writing import creating

EVERY_STEP = """
import os, signal, sys
from pathlib import Path
from dgmm.data import renaming, siblings
from dgmm.data.writing import creating

def write(folder, content, kind, overwrite):
    with creating(folder / "x", overwrite=overwrite, is_file=kind == "file") as path:
        if kind == "file":
            Path(path).write_text(content)
        else:  # to dgmm, what has such a file is Zarr
            os.mkdir(path)
            for name in ("zarr.json", "c"):
                Path(path, name).write_text(content)

def content(target):
    if target.is_file():
        return {target.read_text()}
    return {(target / name).read_text() for name in ("zarr.json", "c")} if target.exists() else None

def killed_at(step, folder, *arguments):
    "Kill a child when it is about to take some step of what it does to files; false if it takes fewer."
    child = os.fork()
    if child == 0:
        left = [step]
        def audit(event, given):
            if (event == "open" or event.startswith(("os.", "shutil.", "fcntl."))) and given and (
                event.startswith("fcntl.") or str(folder) in str(given[0])
            ):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(audit)
        write(folder, *arguments)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

root, points = Path(sys.argv[1]), 0
for kind in ("folder", "file"):
    for call in ("known", "unknown"):
        if call == "unknown":
            known, renaming._renameat2 = renaming._renameat2, lambda: None
        for before in (None, "old"):
            for step in range(1, 1000):
                folder = root / f"{kind}-{call}-{before}-{step}"
                folder.mkdir()
                if before:
                    write(folder, before, kind, overwrite=False)
                was_killed = killed_at(step, folder, "new", kind, before is not None)
                there = content(folder / "x")
                if there is None and before:  # only without the call, between two renames
                    assert call == "unknown" and kind == "folder", folder
                    siblings.settle(folder / "x")
                    there = content(folder / "x")
                    assert there == {"new"}, (folder, there)
                whole = [before and {before}, {"new"}] if was_killed else [{"new"}]
                assert there in whole, (folder, there)
                write(folder, "newer", kind, overwrite=True)
                assert content(folder / "x") == {"newer"}
                left = [name for name in os.listdir(folder) if name != "x"]
                # a process that dies before it could say who it is leaves an empty folder, for dgmm clean
                assert all(set(os.listdir(folder / name)) <= {".owner"} for name in left), (folder, left)
                assert len(left) <= 1, left
                if not was_killed:
                    assert left == []
                    break
                points += 1
        renaming._renameat2 = known if call == "unknown" else renaming._renameat2
print(points)
"""


def test_killed_at_every_step(tmp_path):
    """The target is always whole, the old one or the new one, and the next run clears what was left."""
    done = subprocess.run(
        [sys.executable, "-c", EVERY_STEP, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


@pytest.fixture(params=["renameat2", "no renameat2", "no links either"])
def kernel(request, monkeypatch) -> str:
    if request.param != "renameat2":
        monkeypatch.setattr(renaming, "_renameat2", lambda: None)
    if request.param == "no links either":

        def link(*_: object) -> None:
            raise OSError(95, "not supported")

        monkeypatch.setattr(os, "link", link)
    return request.param


def write(target: Path, text: str, kind: str, *, overwrite: bool = False) -> None:
    with creating(target, is_file=kind == "file", overwrite=overwrite) as path:
        fill(Path(path), text, kind)


def fill(path: Path, text: str, kind: str) -> None:
    if kind == "file":
        path.write_text(text)
    else:
        path.mkdir()
        (path / "zarr.json").write_text(text)


def read(target: Path, kind: str) -> str:
    return (target if kind == "file" else target / "zarr.json").read_text()


@pytest.mark.parametrize("kind", ["file", "folder"])
class TestTwoAtOnce:
    def test_the_second_is_refused_before_it_begins(self, tmp_path, kind):
        target = tmp_path / "x"
        with creating(target, is_file=kind == "file") as path:
            fill(Path(path), "first", kind)
            with pytest.raises(OwnedError, match=rf"x is being written by process {os.getpid()} on .*; wait"):
                write(target, "second", kind)
        assert read(target, kind) == "first"
        assert os.listdir(tmp_path) == ["x"]

    @pytest.mark.usefixtures("kernel")
    @pytest.mark.parametrize("there", ["file", "folder"])
    def test_what_has_appeared_meanwhile_stays(self, tmp_path, kind, there):
        target = tmp_path / "x"

        def late() -> None:
            with creating(target, is_file=kind == "file") as path:
                fill(Path(path), "second", kind)
                fill(target, "first", there)

        with pytest.raises(FileExistsError, match="x exists: another process has made it meanwhile"):
            late()
        assert read(target, there) == "first"
        assert os.listdir(tmp_path) == ["x"]

    @pytest.mark.usefixtures("kernel")
    def test_who_overwrites_last_wins(self, tmp_path, kind):
        target = tmp_path / "x"
        write(target, "old", kind)
        with creating(target, overwrite=True, is_file=kind == "file") as path:
            fill(Path(path), "first to begin", kind)
            write(target, "first to end", kind, overwrite=True)
            assert read(target, kind) == "first to end"
        assert read(target, kind) == "first to begin"
        assert os.listdir(tmp_path) == ["x"]


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("other", ["file", "link", "dangling link", "folder"])
def test_a_folder_replaces_what_is_there(tmp_path, other):
    target, elsewhere = tmp_path / "x", tmp_path / "elsewhere"
    match other:
        case "folder":
            fill(target, "old", "folder")
        case "file":
            target.write_text("old")
        case _:
            if other == "link":
                fill(elsewhere, "old", "folder")
            target.symlink_to(elsewhere)
    write(target, "new", "folder", overwrite=True)
    assert not target.is_symlink()
    assert read(target, "folder") == "new"
    assert sorted(os.listdir(tmp_path)) == (["elsewhere", "x"] if other == "link" else ["x"])
    assert other != "link" or read(elsewhere, "folder") == "old"  # what a link leads to is not its own


class TestLeftovers:
    def left(self, folder: Path, *, pid: int, name: str = "x", boot: str | None = None) -> Path:
        path = folder / f".{name}.0123abcd.tmp"
        fill(path, "left", "folder")
        who = replace(this_process(), pid=pid, boot=boot or this_process().boot)
        (path / OWNER_FILE).write_text(json.dumps(asdict(who)))
        return path

    def test_the_next_run_clears_those_of_the_dead_for_the_same_target(self, tmp_path):
        self.left(tmp_path, pid=os.getpid())  # without a lock, it is none of this process
        other = self.left(tmp_path, pid=2**22 + 1, name="other")
        write(tmp_path / "x", "new", "file")
        assert sorted(os.listdir(tmp_path)) == [other.name, "x"]
        settle(f"{tmp_path}/other/")
        assert os.listdir(tmp_path) == ["x"]

    def test_those_of_the_living_stay(self, tmp_path):
        with creating(tmp_path / "x") as path:
            fill(Path(path), "new", "folder")
            settle(tmp_path / "x")
            write(tmp_path / "x", "quick", "file", overwrite=True)
            (there,) = siblings.siblings(tmp_path / "x")
            assert there.owner is not None
            with pytest.raises(OwnedError, match=f"in use by process {os.getpid()}"):
                discard(there)
            (tmp_path / "x").unlink()
        assert read(tmp_path / "x", "folder") == "new"

    def test_those_of_living_ones_on_other_machines_stay(self, tmp_path, monkeypatch):
        monkeypatch.setattr("dgmm.data.owner.LOCAL", ())
        there = self.left(tmp_path, pid=1, boot="another")
        who = json.loads((there / OWNER_FILE).read_text()) | {"host": "elsewhere"}
        (there / OWNER_FILE).write_text(json.dumps(who))
        with pytest.raises(OwnedError, match="x is being written by process 1 on elsewhere"):
            write(tmp_path / "x", "new", "file")
        write(tmp_path / "x", "new", "file", overwrite=True)
        assert there.exists()

    def test_what_says_of_no_owner_stays(self, tmp_path):
        (tmp_path / ".x.0123abcd.tmp").write_text("of an older version")
        (tmp_path / ".x.4567abcd.tmp").mkdir()
        write(tmp_path / "x", "new", "file")
        assert len(os.listdir(tmp_path)) == 3
        found = siblings.siblings(tmp_path / "x")
        assert [each.is_owned for each in found] == [False, False]
        sizes = [size_and_touch(each) for each in found]
        assert [size for size, _ in sizes] == [19, 0]
        assert [when for _, when in sizes] == [os.stat(each.path).st_mtime for each in found]
        for each in found:
            discard(each)
        assert os.listdir(tmp_path) == ["x"]

    @pytest.mark.parametrize("name", [".x.tmp", ".x.0123abc.tmp", "x.0123abcd.tmp", ".x.0123ABCD.tmp", ".x"])
    def test_other_hidden_files_are_not_ours(self, tmp_path, name):
        (tmp_path / name).write_text("mine")
        assert siblings.siblings_in(tmp_path) == []
        assert not is_in_sibling(f"{tmp_path}/{name}/a")

    def test_what_was_complete_takes_its_place(self, tmp_path, caplog):
        there = self.left(tmp_path, pid=1)
        (there / COMPLETE).touch()
        fill(there / "x", "new", "folder")
        fill(there / ".old", "old", "folder")
        settle(tmp_path / "x")
        assert os.listdir(tmp_path) == ["x"]
        assert read(tmp_path / "x", "folder") == "new"
        assert "x was complete" in caplog.text

    def test_a_copy_that_stopped_is_made_again(self, tmp_path):
        """On file systems that do not rename."""
        url = f"memory://siblings-tests{tmp_path}/x"

        def write(text: str, *, fail: bool = False) -> None:
            with creating(url, overwrite=True) as path:
                filesystem, root = locate(path)
                for name in ("zarr.json", "a", "b"):
                    filesystem.pipe_file(f"{root}/{name}", text.encode())
                if fail:
                    monkeypatch.setattr("shutil.copyfileobj", stop)

        def stop(*_: object) -> None:
            raise ConnectionResetError

        with pytest.MonkeyPatch.context() as monkeypatch:
            write("old")
            with pytest.raises(ConnectionResetError) as raised:
                write("new", fail=True)
        assert "is incomplete" in raised.value.__notes__[0]
        filesystem, root = locate(url)
        parent = os.path.dirname(root)
        assert len(filesystem.ls(parent)) == 2
        settle(url)
        assert [os.path.basename(path) for path in filesystem.ls(parent, detail=False)] == ["x"]
        assert set(filesystem.cat(filesystem.find(root)).values()) == {b"new"}


def test_paths_in_siblings_are_named_by_their_targets(tmp_path):
    assert is_in_sibling(f"{tmp_path}/.x.0123abcd.tmp/x/c/0")
    assert not is_in_sibling(None)
    assert Sibling("/a/.x.0123abcd.tmp", "/a/x", None, False).output == "/a/.x.0123abcd.tmp/x"
    with pytest.raises(OSError, match=r"x'$") as raised, creating(tmp_path / "x") as path:
        os.listdir(path)
    assert raised.value.filename == f"{tmp_path}/x"
