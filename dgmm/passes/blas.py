"""One BLAS thread while work is done in parallel already.

Two BLAS threads on the kernels' skinny products are slower than one, and change the last bits of a
Cholesky factor. BLAS threads are a setting of the whole process, so it is set once, by whoever comes
first, and put back by whoever leaves last.
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


@cache
def _controller() -> ThreadpoolController:
    """Find the BLAS libraries: milliseconds, so once a process, after NumPy and SciPy are loaded."""
    return ThreadpoolController()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold the BLAS libraries of this process at one thread; may be nested and entered by many threads."""
    global _inside, _limit  # noqa: PLW0603 - a setting of the process needs a count of the process
    with _lock:
        if _inside == 0:
            _limit = _controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _limit is not None:
                _limit.restore_original_limits()
                _limit = None
