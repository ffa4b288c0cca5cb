"""A night over 10 TB in which the process that fits dies every hour: what that costs, on paper.

    python benchmarks/night.py [--passes 30] [--hours 8] [--restart 60]

Measured here: what it takes to write a pass to a checkpoint, and to go on from one (the same call, from its
start to where it was, for as many passes). Measured elsewhere: rows a second, by larger_than_memory.py
(docs/benchmarks.md). Assumed: that deaths come independently of each other, at a mean of one an hour, that
workers add up, and the seconds until somebody or something starts the process again.

Work of t seconds that begins again from its start whenever it dies takes ``(1/λ + R) (exp(λ t) − 1)`` seconds
on average, where deaths come at the rate λ and each costs R seconds more. The whole fit is such work without
checkpoints, each pass is with them, and with sums of spans kept (dgmm/passes/parts.py) every minute is.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from math import expm1
from pathlib import Path

from common import machine, make_zarr, synthetic_mixture

import dgmm
from dgmm.data.durable import DurableFolder
from dgmm.passes.journal import JOURNAL

TERABYTE = 1e12
FIT_OF_8_GIB = {"bytes": 107_374_182 * 80, "passes": 4, "seconds": 67, "workers": 2}
"""docs/benchmarks.md: the survey and three passes; the search between them is in the seconds."""


def measured_checkpoint(n_passes: int) -> tuple[float, float, int]:
    """Return the seconds to write a pass, to go on after so many passes, and the bytes of a pass."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place)
        make_zarr(folder / "rows.zarr", synthetic_mixture(16, 10), 600_000, 20_000)
        made = {"random_state": 0, "algorithm": "em", "tol": 0.0, "max_iter": n_passes}

        def fit() -> float:
            started = time.perf_counter()
            dgmm.GaussianMixture(16, sample_rows=250_000, **made).fit(
                folder / "rows.zarr", checkpoint=folder / "kept"
            )
            return time.perf_counter() - started

        fit()
        going_on = min(fit() for _ in range(3))
        last = sorted((folder / "kept").glob("entry-*.dgmm"))[-2].read_bytes()
        elsewhere = DurableFolder.at(folder / "elsewhere")
        elsewhere.create()
        started = time.perf_counter()
        for number in range(20):
            elsewhere.put(f"entry-{number}", last)
        return (time.perf_counter() - started) / 20, going_on, len(last)


def expected(work: float, deaths_per_second: float, each: float) -> float:
    """Return the mean seconds of work that begins again whenever it dies."""
    return (1.0 / deaths_per_second + each) * expm1(deaths_per_second * work)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--passes", type=int, default=30)
    parser.add_argument("--hours", type=float, default=8.0, help="of the undisturbed fit")
    parser.add_argument("--restart", type=float, default=60.0, help="seconds until it is started again")
    given = parser.parse_args()
    write, going_on, n_bytes = measured_checkpoint(given.passes)
    rate = FIT_OF_8_GIB["bytes"] * FIT_OF_8_GIB["passes"] / FIT_OF_8_GIB["seconds"] / FIT_OF_8_GIB["workers"]
    whole = given.hours * 3600.0
    one_pass = whole / given.passes
    n_workers = 10 * TERABYTE / one_pass / rate
    deaths = 1.0 / 3600.0
    part = JOURNAL.seconds_of_parts
    ways = {
        "without checkpoints": (expected(whole, deaths, given.restart), 0.0),
        "with checkpoints": (
            given.passes * expected(one_pass + write, deaths, given.restart + going_on),
            given.passes * write,
        ),
        f"with sums of spans kept every {part:.0f} s": (
            whole / part * expected(part + write, deaths, given.restart + going_on),
            whole / part * write,
        ),
    }
    print(
        f"{machine()}\n\n"
        f"Measured: {1e3 * write:.1f} ms to write a pass ({n_bytes:,} bytes), {going_on:.1f} s to go on\n"
        f"after {given.passes} passes, {rate / 1e6:.0f} MB/s a worker. Assumed: {given.restart:.0f} s until "
        f"a new start.\n{given.passes} passes over 10 TB in {given.hours:.0f} h are {one_pass / 60:.0f} min "
        f"each, on {n_workers:.0f} workers.\n"
    )
    print("| one death an hour, on average | takes | lost to deaths | lost to writing |")
    print("|---|---|---|---|")
    for way, (seconds, writing) in ways.items():
        lost = seconds - whole - writing
        print(f"| {way} | {seconds / 3600:,.1f} h | {lost / 3600:,.1f} h | {writing:.1f} s |")


if __name__ == "__main__":
    main()
