"""``dgmm clean``: what killed runs have left, and what it leaves alone."""

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dgmm.cli import main
from dgmm.data.owner import OWNER_FILE, this_process
from dgmm.data.siblings import COMPLETE
from dgmm.data.stores import create_zarr, write_rows
from dgmm.data.writing import creating


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["clean", *map(str, arguments)])


def succeed(*arguments: object) -> dict[str, list[dict[str, object]]]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def left_by_the_dead(folder: Path, name: str, n_bytes: int, number: int = 1) -> Path:
    path = folder / f".{name}.{number:08x}.tmp"
    path.mkdir()
    (path / name).write_bytes(bytes(n_bytes))
    (path / OWNER_FILE).write_text(json.dumps(asdict(replace(this_process(), pid=2**22 + 1))))
    return path


def test_a_folder(tmp_path):
    dead = [left_by_the_dead(tmp_path, name, 5000, i) for i, name in enumerate(("x.zarr", "x.zarr", "m.npz"))]
    older = tmp_path / ".old.npz.0123abcd.tmp"
    older.write_bytes(bytes(10))
    recent = tmp_path / ".new.npz.0123abcd.tmp"
    recent.write_bytes(bytes(10))
    os.utime(older, (0.0, time.time() - 7200))
    (tmp_path / ".mine").write_text("precious")
    with creating(tmp_path / "live.zarr") as path:
        write_rows(create_zarr(path, (5,), "f8"), 0, np.ones(5))
        living = Path(path).parent
        before = sorted(os.listdir(tmp_path))
        would = succeed(tmp_path, "--dry-run")
        assert sorted(os.listdir(tmp_path)) == before
        found = succeed(tmp_path)
        assert (found["removed"], found["bytes"]) == (would["would_remove"], would["bytes"])
        assert {each["path"] for each in found["removed"]} == {str(each) for each in (*dead, older)}
        assert found["kept"] == would["kept"]
        reasons = {each["path"]: each["reason"] for each in found["kept"]}
        assert reasons.keys() == {str(living), str(recent)}
        assert f"in use by process {os.getpid()} on" in str(reasons[str(living)])
        assert "within the last hour" in str(reasons[str(recent)])
        assert sorted(os.listdir(tmp_path)) == sorted([".mine", living.name, recent.name])
    assert 15_000 < int(str(found["bytes"])) < 20_000
    shown = run(tmp_path, "--dry-run").stdout
    assert f"{recent} stays: its owner is not known" in shown
    assert "to remove  0, 0 bytes" in shown


def test_a_target(tmp_path):
    left_by_the_dead(tmp_path, "x.zarr", 100)
    other = left_by_the_dead(tmp_path, "other", 100)
    found = succeed(tmp_path / "x.zarr")
    assert len(found["removed"]) == 1
    assert os.listdir(tmp_path) == [other.name]


def test_what_was_complete_is_put_in_place(tmp_path):
    path = left_by_the_dead(tmp_path, "x.npz", 100)
    (path / COMPLETE).touch()
    succeed(tmp_path)
    assert os.listdir(tmp_path) == ["x.npz"]


@pytest.mark.parametrize("place", ["none", "none/x.zarr"])
def test_nowhere(tmp_path, place):
    done = run(tmp_path / place)
    assert done.exit_code == 2
    assert "does not exist, and nothing was left beside it" in done.stderr


def test_urls(tmp_path):
    """Where there are no locks: by what the kernel says of the process."""
    url = f"memory://clean{tmp_path}/x.zarr"
    with creating(url) as path:
        write_rows(create_zarr(path, (5,), "f8"), 0, np.ones(5))
        (kept,) = succeed(url)["kept"]
        assert f"in use by process {os.getpid()}" in str(kept["reason"])
    assert succeed(url)["kept"] == []
