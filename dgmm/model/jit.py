"""Compilation by Numba: whether it is available, and how functions are compiled.

Numba is the extra ``fast``. Where it is not installed, or the environment variable ``DGMM_COMPILED`` is 0,
NumPy does the same work, at half the speed or less.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

IN_ORDER = {"nogil": True, "error_model": "numpy", "_nrt": False, "fastmath": {"contract"}}
"""Options of functions whose sums are made in the order in which they are written. They make no arrays:
without Numba's runtime no references to views are counted."""

REORDERED = {**IN_ORDER, "fastmath": {"reassoc", "contract", "nsz"}}
"""Options where sums may be reordered, as vectors do. Infinities and NaN mean what they always do."""

EXACT = {**IN_ORDER, "fastmath": False}
"""Options of functions that give the bits of NumPy, where that does the same in the same order."""

MAKES_ARRAYS = {"_nrt": True}
"""Options of functions that do make arrays."""


def compiled_module(name: str) -> Any:
    """Return a module whose functions are compiled, by its full name; None where none are to be.

    To import Numba takes a second: it is imported when it is first needed.
    """
    return imported_module(name) if os.environ.get("DGMM_COMPILED", "1") != "0" else None


def ready_module(name: str) -> Any:
    """Return a module whose functions are compiled, where this process has compiled the loops; else None.

    For functions of which NumPy gives the same bits: no small work waits for a compiler.
    """
    loops = sys.modules.get("dgmm.kernels.tiles")  # another thread may be importing it
    own = [getattr(loops, loop, None) for loop in ("expect", "expect_patterns")]
    return compiled_module(name) if any(loop is not None and loop.overloads for loop in own) else None


@cache
def imported_module(name: str) -> Any:
    """Return such a module, for who has found that functions are to be compiled; None where it cannot be."""
    if find_spec("numba") is None:
        return None
    try:
        return import_module(name)
    except ImportError as error:  # as where NumPy is newer than Numba knows
        logger.warning("Numba is installed, but cannot be used: %s. NumPy does its work.", error)
        return None


def compiler() -> str:
    """Name what compiles functions in this process, and the processor that it does so for."""
    if compiled_module("dgmm.kernels.tiles") is None:
        return "none"
    from llvmlite.binding import get_host_cpu_name  # noqa: PLC0415

    return f"numba {version('numba')} for {get_host_cpu_name()}"


def compiled(options: dict[str, Any], *, is_kept: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function when it is first called.

    Parameters
    ----------
    options : dict
        Of Numba.
    is_kept : bool, default=False
        Keep what was compiled beside the source, for all processes (`kept`). It is compiled anew when its
        own file changes, or one that this takes functions from. For what is called from outside alone.
    """
    from numba import njit  # noqa: PLC0415

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(**options)(function)
        if is_kept:
            from dgmm.model.numba_cache import CheckedCache  # noqa: PLC0415

            with suppress(RuntimeError, OSError):  # no folder to write to: each process compiles for itself
                dispatcher._cache = CheckedCache(function)
        return dispatcher

    return decorate


def in_one_form(array: NDArray[Any], dtype: type[np.floating] | None = None) -> NDArray[np.floating]:
    """View an array in the memory order of C, as float64 if it is no float32; it may not be written to.

    Functions are compiled for each form that arrays come in: rows of memory, of files and of a cluster are
    all to have one.
    """
    found = dtype or (np.float32 if array.dtype == np.float32 else np.float64)
    view = np.ascontiguousarray(array, found).view()
    view.flags.writeable = False
    return view
