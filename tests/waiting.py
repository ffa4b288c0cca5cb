"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable

PATIENCE = 300.0
"""Seconds after which something will not happen: ten times what it takes where much else goes on."""


def until(condition: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Wait for a condition, and tell whether it came: an ``assert`` of it ends the test where it did not."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
