"""Whether functions are compiled: where Numba is, where it is not to be used, and where it cannot be."""

import logging
import sys
from importlib import import_module

import numpy as np
import pytest

from dgmm.kernels import compiled
from dgmm.kernels.stacking import stack_models
from dgmm.model import jit
from tests.model import naive


@pytest.mark.parametrize("value", ["0", "1", None])
def test_the_environment_decides(monkeypatch, value):
    pytest.importorskip("numba")
    monkeypatch.delenv("DGMM_COMPILED", raising=False)
    if value is not None:
        monkeypatch.setenv("DGMM_COMPILED", value)
    module = jit.compiled_module("dgmm.model.factors")
    assert (module is None) == (value == "0")
    assert module is None or module.__name__ == "dgmm.model.factors"


def test_what_numpy_does_to_the_same_bits_is_compiled_where_the_loops_are(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("DGMM_COMPILED", "1")
    loops = jit.compiled_module("dgmm.kernels.tiles")
    rows = np.random.default_rng(0).normal(size=(50, 2))
    model = naive.random_parameters(np.random.default_rng(1), "full", 2, 2)
    stack = stack_models([model], np.zeros(2), np.ones(2), np.float64)
    compiled.expect(stack, [(rows, None)])
    assert jit.ready_module("dgmm.model.factors") is jit.compiled_module("dgmm.model.factors")
    monkeypatch.delitem(sys.modules, loops.__name__)
    assert jit.ready_module("dgmm.model.factors") is None
    assert "dgmm.kernels.tiles" not in sys.modules


def test_without_numba_nothing_is_compiled(monkeypatch):
    monkeypatch.setenv("DGMM_COMPILED", "1")
    monkeypatch.setattr(jit, "find_spec", lambda name: None)
    jit.imported_module.cache_clear()
    try:
        assert jit.compiled_module("dgmm.model.factors") is None
    finally:
        jit.imported_module.cache_clear()


def test_numpy_works_where_numba_cannot_be_imported(monkeypatch, caplog):
    pytest.importorskip("numba")
    monkeypatch.setenv("DGMM_COMPILED", "1")

    def broken(name):
        raise ImportError("Numba needs NumPy 2.3 or less")

    jit.imported_module.cache_clear()
    monkeypatch.setattr(jit, "import_module", broken)
    try:
        with caplog.at_level(logging.WARNING, "dgmm.model.jit"):
            assert not compiled.is_available()
    finally:
        monkeypatch.setattr(jit, "import_module", import_module)
        jit.imported_module.cache_clear()
    assert "Numba needs NumPy 2.3 or less" in caplog.text
    assert compiled.is_available()


def test_only_what_is_to_be_kept_is_kept():
    pytest.importorskip("numba")

    def double(x):
        return 2.0 * x

    assert jit.compiled(jit.IN_ORDER)(double).stats.cache_path is None
    assert jit.compiled(jit.IN_ORDER, is_kept=True)(double).stats.cache_path is not None
