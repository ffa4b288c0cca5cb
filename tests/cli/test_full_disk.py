"""A disk that is full: an error that names the file, and nothing cut or left behind."""

import subprocess
import sys

import pytest

import dgmm

pytest.importorskip("matplotlib")

SCRIPT = """
import os, resource, sys, warnings
from pathlib import Path
from click.testing import CliRunner
from matplotlib.figure import Figure
import dgmm
from dgmm import demo
from dgmm.cli import main

rows, model, disk, is_small = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4] == "small"
mixture = dgmm.load(model)
warnings.simplefilter("ignore")
commands = {
    "x.zarr": f"convert {rows} {{}}",
    "sample.zarr": f"sample {model} -n 20000 --out {{}}",
    "sample.parquet": f"sample {model} -n 20000 --out {{}}",
    "labels.parquet": f"predict {model} {rows} --proba --out {{}}",
    "m.npz": f"fit {rows} -k 3 --seed 0 --out {{}}",
    "some.npz": f"marginal {model} --features 0 --out {{}}",
    "report": f"sweep {rows} -k 1:2 --covariance diag --out {{}}",
}

def draw(path):
    with demo.creating(path, overwrite=True, is_file=True) as working:
        Figure(dpi=300).savefig(working)

n_failed = 0
for room in (0, 4096, 8192) if is_small else (100,):
    filler = disk / "filler"
    if is_small:
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
            file.truncate(file.tell() - room)
    else:
        filler.write_bytes(b"")
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    for name, command in commands.items():
        done = CliRunner().invoke(main, command.format(disk / name).split())
        if done.exit_code == 0:
            assert room == 8192 and name.endswith(".npz"), (name, room)
            os.unlink(disk / name)
        else:
            line = done.stderr.splitlines()[-1]
            assert line.startswith(f"error: {disk / name}"), (name, room, line, done.exc_info)
            assert line.endswith(("No space left on device", "File too large")), (name, room, line)
            n_failed += 1
        assert os.listdir(disk) == ["filler"], (name, room, os.listdir(disk))
    for save in (mixture.save, draw):
        (disk / "old.png").write_bytes(b"")
        try:
            save(disk / "old.png")
        except OSError as error:
            assert error.filename == str(disk / "old.png"), error
            assert (disk / "old.png").read_bytes() == b""
            n_failed += 1
        (disk / "old.png").unlink()
        assert os.listdir(disk) == ["filler"], os.listdir(disk)
    filler.unlink()
print(n_failed)
"""


@pytest.mark.parametrize("kind", ["limit", pytest.param("small", marks=pytest.mark.slow)])
def test_every_output(kind, tmp_path, rows_zarr, three_clusters):
    """With a limit to the size of files, or on a small file system, where this process may mount one."""
    model, disk = tmp_path / "model.npz", tmp_path / "disk"
    disk.mkdir()
    dgmm.GaussianMixture(3, random_state=0).fit(three_clusters).save(model)
    run = [sys.executable, "-c", SCRIPT, str(rows_zarr), str(model), str(disk), kind]
    if kind == "small":
        mount = f"mount -t tmpfs -o size=64k tmpfs '{disk}'"
        run = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", *run]
        if subprocess.run([*run[:4], mount], capture_output=True, check=False).returncode != 0:
            pytest.skip("this process may not mount file systems")
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= (9 if kind == "limit" else 20)
