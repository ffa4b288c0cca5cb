"""The command line before it is imported: signals that come meanwhile end it in one line."""

import subprocess
import sys

import pytest

import dgmm

AT_IMPORT = """
import os, runpy, sys
number, name = int(sys.argv[1]), sys.argv[2]
def audit(event, given):
    if event == "import" and given[0] == name:
        os.kill(os.getpid(), number)
sys.addaudithook(audit)
sys.argv = ["dgmm", "info", "none.zarr"]
runpy.run_module("dgmm", run_name="__main__")
"""


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(("number", "name"), [(2, "dgmm.cli"), (2, "numpy"), (15, "dask"), (1, "sklearn")])
def test_signals_during_imports(number, name):
    done = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, str(number), name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr.strip() == "interrupted"


def test_names_are_imported_when_they_are_asked_for():
    script = "import sys, dgmm; print('numpy' in sys.modules); dgmm.GaussianMixture"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert set(dgmm.__all__) <= set(dir(dgmm))
    assert [name for name in dgmm.__all__ if getattr(dgmm, name) is None] == []
    with pytest.raises(AttributeError, match="module 'dgmm' has no attribute 'nothing'"):
        dgmm.nothing  # noqa: B018
