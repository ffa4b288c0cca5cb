"""What a checkpoint costs: of a pass, of the disk, and of the time until a fit that died goes on.

    python benchmarks/checkpoint.py [ROWS] [FOLDER]

Fits the same Zarr array with and without a checkpoint, in turn. What the journal takes beside the work (to
recognise requests, to write and flush) is measured inside the fit itself, as the difference of two whole fits
is smaller than what else a machine does. Then the finished checkpoint is replayed, which is what a fit does
before it goes on; and one with a pass that is written every second, as a pass of an hour is every minute.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from common import machine, make_zarr, print_table, synthetic_mixture

import dgmm
from dgmm.passes import journal
from dgmm.passes.entries import Answer, Request
from dgmm.passes.parts import Parts

N_FEATURES, N_COMPONENTS, N_PASSES, SAMPLE_ROWS, N_PAIRS = 8, 16, 10, 100_000, 2


@dataclass
class Cost:
    """What the journal took beside the work, and the work itself, of passes: seconds."""

    passes: list[float] = field(default_factory=list)
    journal: list[float] = field(default_factory=list)
    puts: list[float] = field(default_factory=list)


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure what is asked of journals meanwhile."""
    cost, ask, recognise = Cost(), journal.Journal.ask, journal.likeness_of
    put, recognising = journal.DurableFolder.put, [0.0]

    def timed_likeness(value: object) -> Any:
        started = time.perf_counter()
        found = recognise(value)
        recognising[0] = time.perf_counter() - started
        return found

    def timed_ask(
        self: journal.Journal, request: Request, compute: Callable[[Parts], Any], *, may_wait: bool = False
    ) -> Answer[Any]:
        inside = 0.0

        def work(parts: Parts) -> Any:
            nonlocal inside
            started = time.perf_counter()
            found = compute(parts)
            inside = time.perf_counter() - started
            return found

        beside, started = recognising[0], time.perf_counter()
        answer = ask(self, request, work, may_wait=may_wait)
        if request.purpose == "EM":
            cost.passes.append(inside)
            cost.journal.append(beside + time.perf_counter() - started - inside)
        return answer

    def timed_put(self: journal.DurableFolder, name: str, data: bytes) -> None:
        started = time.perf_counter()
        put(self, name, data)
        cost.puts.append(time.perf_counter() - started)

    with (
        patch.object(journal.Journal, "ask", timed_ask),
        patch.object(journal, "likeness_of", timed_likeness),
        patch.object(journal.DurableFolder, "put", timed_put),
    ):
        yield cost


def fit(data: Path, checkpoint: Path | None = None) -> float:
    """Fit, and give the seconds that it took."""
    mixture = dgmm.GaussianMixture(
        N_COMPONENTS,
        random_state=0,
        algorithm="em",
        init_params="kmeans",
        sample_rows=SAMPLE_ROWS,
        max_iter=N_PASSES,
        tol=0.0,
    )
    started = time.perf_counter()
    mixture.fit(data, checkpoint=checkpoint)
    return time.perf_counter() - started


def size_of(folder: Path, pattern: str) -> list[int]:
    """Return the bytes of files."""
    return [path.stat().st_size for path in folder.glob(pattern)]


def main(n_rows: int = 2_000_000, place: str | None = None) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        data, kept = Path(folder, "rows.zarr"), Path(folder, "kept")
        make_zarr(data, synthetic_mixture(N_COMPONENTS, N_FEATURES), n_rows, 50_000)
        fit(data)
        pairs: list[tuple[float, float]] = []
        with measured() as cost:
            for _ in range(N_PAIRS):
                shutil.rmtree(kept, ignore_errors=True)
                pairs.append((fit(data), fit(data, kept)))
        sizes = sorted(size_of(kept, "entry-*"))
        replayed = statistics.median(fit(data, kept) for _ in range(3))
        shutil.rmtree(kept)
        tuning = replace(journal.JOURNAL, seconds_of_parts=0.05)
        with measured() as with_parts, patch.object(journal, "JOURNAL", tuning):
            fit(data, kept)
    whole = [statistics.median(each) for each in zip(*pairs, strict=True)]
    often = 1e3 * statistics.median(with_parts.puts)
    share = sum(cost.journal) / sum(cost.passes)
    rows = [
        ["a pass, without the journal", f"{1e3 * statistics.median(cost.passes):.1f} ms"],
        ["the journal, for a pass", f"{1e3 * statistics.median(cost.journal):.2f} ms"],
        ["its share of these passes", f"{100 * share:.2f}%"],
        ["a file, written and flushed", f"{1e3 * statistics.median(cost.puts):.2f} ms"],
        ["bytes of a file: median, largest", f"{sizes[len(sizes) // 2]:,}, {sizes[-1]:,}"],
        ["the fit, without and with it", f"{whole[0]:.2f} s and {whole[1]:.2f} s"],
        ["replayed, all of it", f"{replayed:.2f} s"],
        ["files, with parts every 0.05 s", f"{len(with_parts.puts)}, {often:.2f} ms each"],
    ]
    print(machine())
    title = f"{n_rows:,} rows of {N_FEATURES}, {N_COMPONENTS} components, {N_PASSES} passes"
    print_table(title, ["what", "figure"], rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 2_000_000, sys.argv[2] if sys.argv[2:] else None)
