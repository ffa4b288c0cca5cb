"""What a pass will do, known before it starts: spans, tasks and peak memory."""

from __future__ import annotations

from dataclasses import dataclass

from dgmm.data.source import MEBIBYTE, Source, Span
from dgmm.kernels import chosen_kernel

PROCESS_BYTES = 235 * MEBIBYTE
"""What a Dask worker takes before it reads a row: the interpreter, NumPy, SciPy, scikit-learn, Zarr."""


@dataclass(frozen=True)
class Plan:
    """A pass over a source, before it is run.

    Attributes
    ----------
    spans : tuple of Span
        One task reads each.
    n_rows : int
    chunk_bytes : int
        Largest peak of reading one chunk, bytes.
    """

    spans: tuple[Span, ...]
    n_rows: int
    chunk_bytes: int

    def task_bytes(self, working_bytes: int) -> int:
        """Forecast the peak memory of one task, beyond the interpreter and its libraries.

        Parameters
        ----------
        working_bytes : int
            What the work on a block allocates.

        Returns
        -------
        int
            Bytes: a chunk in work, the next one being read, and the work itself.
        """
        ahead = 2 if any(len(span.chunks) > 1 for span in self.spans) else 1
        return ahead * self.chunk_bytes + working_bytes

    def process_bytes(self, n_threads: int, working_bytes: int) -> int:
        """Forecast the peak memory of a worker process that runs tasks on ``n_threads`` threads, bytes.

        Holds where freed memory is given back at once, as Dask's nannies have it
        (``MALLOC_TRIM_THRESHOLD_``); else glibc keeps up to 64 MiB a thread for later.
        """
        libraries = PROCESS_BYTES + chosen_kernel().library_bytes()
        return libraries + n_threads * self.task_bytes(working_bytes)


def plan(source: Source) -> Plan:
    """Plan a pass over a source."""
    spans = source.spans()
    chunks = [chunk for span in spans for chunk in span.chunks]
    return Plan(
        spans, sum(chunk.n_rows for chunk in chunks), max((chunk.n_bytes for chunk in chunks), default=0)
    )
