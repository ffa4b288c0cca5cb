"""One thread of BLAS and OpenMP, for the same bits on any number of processors.

Two BLAS threads on the kernels' skinny products are slower than one, and change the last bits of a
Cholesky factor. BLAS threads are a setting of the whole process, so it is set once, by whoever comes
first, and put back by whoever leaves last.

scikit-learn's k-means adds up what its OpenMP threads have found as they end: with three or more of them, its
last bits are others in each run. Their number is a setting of the thread that calls.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_inside = 0
_limit = None
_of_thread = threading.local()
"""Whether this thread is inside: then all is set, and to ask takes longer than a step on few rows."""


@cache
def _controller() -> ThreadpoolController:
    """Find the libraries: milliseconds, so once a process, after NumPy, SciPy and scikit-learn are loaded."""
    return ThreadpoolController()


@cache
def _controller_of(user_api: str) -> ThreadpoolController:
    """Find the libraries of one kind: ``blas`` or ``openmp``."""
    return _controller().select(user_api=user_api)


def _let_any_thread_set() -> None:
    """Let the next thread set the number of OpenBLAS threads, whoever set it before.

    From threadpoolctl 3.8 on only the first thread that set it may do so again, as long as that lives; others
    are ignored without a word. Here the lock says who may.
    """
    for library in _controller_of("blas").lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


def blas() -> str:
    """Name the BLAS libraries of this process, and the processors that their code is for."""
    found = {
        f"{each['internal_api']} {each['version']} for {each.get('architecture', 'any')}"
        for each in _controller().info()
        if each["user_api"] == "blas"
    }
    return ", ".join(sorted(found)) or "unknown"


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS in this process, and OpenMP in this thread, at one thread.

    May be nested and entered by many threads. Also a decorator. What else sets the number of BLAS threads
    meanwhile, as scikit-learn's k-means does, has to be inside as a whole: it would put back what it found.
    """
    global _inside, _limit  # noqa: PLW0603 - a setting of the process needs a count of the process
    if getattr(_of_thread, "is_inside", False):
        yield
        return
    with _lock:
        if _inside == 0:
            _let_any_thread_set()
            _limit = _controller_of("blas").limit(limits=1)
        _inside += 1
    _of_thread.is_inside = True
    try:
        with _controller_of("openmp").limit(limits=1):
            yield
    finally:
        _of_thread.is_inside = False
        with _lock:
            _inside -= 1
            if _inside == 0 and _limit is not None:
                _let_any_thread_set()
                _limit.restore_original_limits()
                _let_any_thread_set()
                _limit = None
