"""What dgmm uses of other libraries that these do not promise: all listed, and still there as installed."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PRIVATE = {
    "sklearn.base._fit_context",
    "sklearn.utils._param_validation.Interval",
    "sklearn.utils._param_validation.StrOptions",
    "dask.core.flatten",
    "dask._task_spec.convert_legacy_graph",
    "dask._task_spec.fuse_linear_task_spec",
    "zarr.core.buffer.default_buffer_prototype",
    "zarr.core.metadata.ArrayV3Metadata",
    "zarr.core.sync.sync",
    "numba.core.cgutils",
    "numba.core.caching.FunctionCache",
    "numba.core.caching.IndexDataCacheFile",
}
"""As DESIGN.md lists them, beside Numba's option ``_nrt``. This list only gets shorter."""

LIBRARIES = ("sklearn", "dask", "distributed", "zarr", "numba")


def private_names() -> set[str]:
    """Find imports of names, or from modules, that begin with an underscore, or of a library's ``core``."""
    found = set()
    for path in (ROOT / "dgmm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module or node.level:
                continue
            for each in node.names:
                name = f"{node.module}.{each.name}"
                library, *parts = name.split(".")
                if library in LIBRARIES and any(part.startswith("_") or part == "core" for part in parts):
                    found.add(name)
    return found


def test_all_are_listed():
    assert private_names() == PRIVATE


def test_the_architecture_lists_them():
    text = (ROOT / "dgmm" / "DESIGN.md").read_text(encoding="utf-8")
    assert [name for name in sorted(PRIVATE) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", sorted(PRIVATE))
def test_it_is_there(name):
    module, _, attribute = name.rpartition(".")
    if name.startswith("numba"):
        pytest.importorskip("numba")
    assert hasattr(importlib.import_module(module), attribute)


def test_each_library_has_an_upper_bound():
    """As what is not promised may be gone with any version; CI tests the newest that are allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["fast"]]
    bounds = {re.split(r"[\[<>=]", each)[0]: each for each in needed}
    bounds["sklearn"] = bounds["scikit-learn"]
    assert [
        name for name in sorted({name.split(".")[0] for name in PRIVATE}) if "<" not in bounds[name]
    ] == []


def test_numba_still_takes_its_option():
    numba = pytest.importorskip("numba")
    assert numba.njit(_nrt=False)(lambda x: x + 1.0)(1.0) == 2.0
