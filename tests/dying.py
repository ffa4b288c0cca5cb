"""Tasks that end their worker, as often as they are to."""

import os
import threading
import time
from pathlib import Path

from distributed import get_worker

from tests.waiting import PATIENCE


def die() -> None:
    """End the worker without a word to its scheduler, as when its process is killed."""
    time.sleep(0.02)
    worker = get_worker()
    is_dead = threading.Event()

    def cut() -> None:
        worker.batched_stream.abort()  # pyright: ignore[reportAttributeAccessIssue]
        is_dead.set()

    worker.loop.add_callback(cut)
    assert is_dead.wait(PATIENCE)


def mark(folder: str) -> int:
    """Leave a mark in a folder, and give how many there were."""
    number = len(os.listdir(folder))
    Path(folder, str(number)).touch()
    return number
