"""How much memory work takes, whatever else a process does."""

import gc
import tracemalloc
from collections.abc import Callable


def traced_peak(work: Callable[[], object], enough: float = 0) -> int:
    """Return the largest number of bytes that `work` holds at once; it has run before, and keeps nothing.

    Threads of clusters that earlier tests made allocate meanwhile, and cycles of event loops are taken when
    the collector comes: both only add. So the least of three runs is nearest, or the first that takes no more
    than what is `enough`.
    """
    peaks: list[int] = []
    while len(peaks) < 3 and not (peaks and peaks[-1] <= enough):
        gc.collect()
        tracemalloc.start()
        try:
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)
