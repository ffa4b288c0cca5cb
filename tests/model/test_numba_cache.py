"""What Numba keeps: damaged, missing or without room, functions give what they give."""

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")
numba_cache = pytest.importorskip("dgmm.model.numba_cache")

MODULE = """
from dgmm.model.jit import IN_ORDER, compiled

def triangle(n):
    total = 0.0
    for i in range(n + 1):
        total += i
    return total

def make():
    return compiled(IN_ORDER, is_kept=True)(triangle)
"""

DAMAGES = """
import json, logging, os, random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import kept_module
from dgmm.model import numba_cache

said = []
logging.getLogger("dgmm.model.numba_cache").addHandler(handler := logging.Handler())
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("dgmm.model.numba_cache").propagate = False

def call():
    "As a new process would: from what is kept, if it can be. Say if it was."
    function = kept_module.make()
    assert function(100) == 5050.0 and function(7.0 and 3) == 6.0
    return sum(function.stats.cache_hits.values())

assert call() == 0
folder = Path(kept_module.make().stats.cache_path)
files = sorted(folder.glob("*triangle*"))
assert [file.suffix for file in files] == [".nbc", ".nbi"], files
assert call() == 1 and not said
whole = {file: file.read_bytes() for file in files}
random.seed(0)

def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]

n_damages = 0
for file, content in whole.items():
    places = sorted({0, 1, len(content) - 1, *random.sample(range(len(content)), 20)})
    damages = [flipped(content, at) for at in places]
    damages += [content[: int(share * len(content))] for share in (0, 0.1, 0.5, 0.99)]
    damages += [random.randbytes(len(content)), b"\\0" * len(content), content + b"more", content[40:]]
    for damage in damages[:: 1 if len(sys.argv) > 2 else 5]:
        for each, what in whole.items():
            each.write_bytes(what)
        file.write_bytes(damage)
        said.clear()
        numba_cache._warned_of.clear()
        assert call() == 0, "it was used"
        assert len(said) == 1 and str(file) in said[0] and "damaged" in said[0], said
        assert call() == 1, "it was not mended"
        n_damages += 1
    file.unlink()
    assert call() == 0 and call() == 1  # gone
    file.unlink()
    file.mkdir()
    numba_cache._warned_of.clear()
    said.clear()
    assert call() == 0 and len(said) == 1  # cannot be read, nor written
    file.rmdir()
print(n_damages)
"""

WITHOUT_ROOM = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import kept_module
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
print(kept_module.make()(100), kept_module.make()(100))
"""


def run(script: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "kept_module.py").write_text(MODULE)
    return subprocess.run(
        [sys.executable, "-c", script, str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NUMBA_CACHE_DIR": ""} | environment,
    )


@pytest.mark.parametrize("all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_damages(tmp_path, all_of_them):
    done = run(DAMAGES, tmp_path, *(["all"] if all_of_them else []))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= (50 if all_of_them else 10)


FIT = """
import numpy as np, dgmm
rows = np.random.default_rng(0).normal(size=(3000, 4))
print(dgmm.GaussianMixture(3, random_state=0, max_iter=5, tol=0.0).fit(rows).score(rows).hex())
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_with_damages(tmp_path):
    """The functions of dgmm itself: all files of machine code damaged, then all indices."""
    expected = run(FIT, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert expected.returncode == 0, expected.stderr
    for suffix, damage in (("nbc", None), ("nbi", b"rubbish")):
        files = list((tmp_path / "cache").rglob(f"*.{suffix}"))
        assert files
        for file in files:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 8
            file.write_bytes(damage or content)
        done = run(FIT, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        assert (done.returncode, done.stdout) == (0, expected.stdout), done.stderr
        assert "is damaged. What Numba keeps there is compiled anew" in done.stderr


class Gone:
    """What types of another version are made of."""


def test_an_index_of_another_version_is_made_anew(tmp_path, monkeypatch, caplog):
    """Numba reads all of it before it asks what it is of: it may name classes that are gone."""
    files = numba_cache.CheckedFiles(cache_path=str(tmp_path), filename_base="f", source_stamp=1)
    files.save(("signature", Gone), "machine code")
    assert files.load(("signature", Gone)) == "machine code"
    monkeypatch.delattr(sys.modules[__name__], "Gone")
    assert files.load("another") is None
    assert not caplog.text  # nothing is damaged
    files.save("another", "new machine code")
    assert files.load("another") == "new machine code"


def test_a_full_disk(tmp_path):
    """Files that cannot grow stand for one."""
    done = run(WITHOUT_ROOM, tmp_path)
    assert done.stdout == "5050.0 5050.0\n", done.stderr
    assert done.stderr.count("File too large. What Numba keeps there is compiled anew") == 1
    assert len(done.stderr.splitlines()) == 1


def test_nowhere_to_keep_it(tmp_path):
    file = str(tmp_path / "__pycache__")
    Path(file).write_text("no folder")
    done = run(WITHOUT_ROOM, tmp_path, HOME=file, XDG_CACHE_HOME=file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5050.0 5050.0\n", "")


def test_functions_of_other_modules_count(tmp_path, monkeypatch):
    """What is kept of a function is no longer it, once a module has changed that it, or a callee, is from."""
    texts = {
        "farther": "def added():\n    return 1\n",
        "near": "from dgmm.farther_of_a_test import added\n\ndef helper(n):\n    return n + added()\n",
    }
    names: dict[str, Any] = {"__name__": "of_a_test"}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
        spec = spec_from_file_location(f"dgmm.{name}_of_a_test", tmp_path / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        names["helper"] = getattr(module, "helper", None)
    exec("def function(n):\n    return helper(n)\n", names)
    stamps = [numba_cache._stamp_of_used(names["function"]) for _ in range(2)]
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text.replace("1", "2").replace("n + ", "2 + "))
        stamps.append(numba_cache._stamp_of_used(names["function"]))
    assert stamps[0] == stamps[1]
    assert len(set(stamps)) == 3


def test_numbers_of_the_loops_count():
    """They are in a module without functions, and a record says of which it is."""
    tiles = pytest.importorskip("dgmm.kernels.tiles")
    assert {"dgmm.kernels.tile_tuning", "dgmm.kernels.elementary"} < numba_cache._used(tiles.expect.py_func)
