"""Tests mirror the package: ``tests/data/test_zarr.py`` is about ``dgmm/data/zarr.py``."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent

WITHOUT_TWIN: set[str] = set()
"""Modules whose tests are elsewhere, each with its reason: none is."""


def modules() -> set[str]:
    files = {path.relative_to(ROOT / "dgmm") for path in (ROOT / "dgmm").rglob("*.py")}
    return {path.as_posix() for path in files if not path.name.startswith("__")}


def has_twin(module: str) -> bool:
    path = Path(module)
    return (ROOT / "tests" / path.parent / f"test_{path.name}").exists()


def test_every_module_has_a_twin():
    assert {module for module in modules() - WITHOUT_TWIN if not has_twin(module)} == set()


def test_no_exception_is_left_over():
    assert {module for module in WITHOUT_TWIN if has_twin(module)} == set()
    assert modules() >= WITHOUT_TWIN


def test_every_module_has_a_row_in_the_architecture():
    layer, named = "", []
    text = (ROOT / "dgmm" / "DESIGN.md").read_text(encoding="utf-8")
    for line in text.partition("## Modules")[2].partition("\n## ")[0].splitlines():
        if line.startswith("### "):
            layer = line.removeprefix("### ").strip("`") if "/" in line else ""
        elif line.startswith("| `"):
            files = re.findall(r"`([\w/]+\.py)`", line.split(" | ")[0])
            named += [layer + file for file in files if not file.startswith("__")]
    assert sorted(named) == sorted(modules())
