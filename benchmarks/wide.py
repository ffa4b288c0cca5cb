"""Time and memory of default fits to few rows of many features, beside scikit-learn's.

    python benchmarks/wide.py [--cases "full 400 1000 2" "diag 200 3000 2"] [--narrow 1e-5]

Each fit is made in a process of its own, after the libraries are loaded: seconds, the peak of the process
beyond what it had before (a new high-water mark, by /proc/self/clear_refs; Linux alone), and the peak of what
Python allocates, by tracemalloc, in another process. Log-likelihoods are those of the rows under both.
With ``--narrow``, half of the rows are so many times as wide as the others.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import warnings

import numpy as np
from common import print_table

CASES = ("full 400 1000 2", "full 400 2000 2", "tied 400 1000 2", "diag 200 3000 2", "spherical 200 6000 2")


def rows_of_case(n_rows: int, n_features: int, narrow: float) -> np.ndarray:
    """Return rows of two clusters, of different width where one is narrow."""
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((n_rows, n_features))
    rows[: n_rows // 2] *= narrow
    rows[: n_rows // 2] += 2.0 * generator.standard_normal(n_features)
    return rows


def resident(name: str) -> float:
    """Read VmRSS or VmHWM of this process, MiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) / 1024


def measure(library: str, case: str, narrow: float, way: str) -> None:
    """Fit, and print seconds, MiB and the log-likelihood."""
    import time  # noqa: PLC0415
    import tracemalloc  # noqa: PLC0415

    import sklearn.mixture  # noqa: PLC0415

    import dgmm  # noqa: PLC0415

    warnings.simplefilter("ignore")
    kind, *numbers = case.split()
    n_rows, n_features, n_components = map(int, numbers)
    rows = rows_of_case(n_rows, n_features, narrow)
    module = dgmm if library == "dgmm" else sklearn.mixture
    mixture = module.GaussianMixture(n_components, covariance_type=kind, random_state=0)
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    before = resident("VmRSS")
    if way == "allocated":
        tracemalloc.start()
    started = time.perf_counter()
    mixture.fit(rows)
    seconds = time.perf_counter() - started
    if way == "allocated":
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    else:
        peak = resident("VmHWM") - before
    print(seconds, peak, mixture.score(rows))


def measured(library: str, case: str, narrow: float, way: str) -> tuple[float, float, float]:
    """Measure in a process of its own: seconds, MiB, nats a row."""
    own = [sys.executable, __file__, "--one", library, way, "--narrow", str(narrow), "--cases", case]
    ran = subprocess.run(own, capture_output=True, text=True, check=True)
    seconds, peak, score = map(float, ran.stdout.split())
    return seconds, peak, score


def main() -> None:
    """Measure all cases, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--narrow", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3, help="the least time of so many processes")
    parser.add_argument("--one", nargs=2, metavar=("LIBRARY", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options.one[0], options.cases[0], options.narrow, options.one[1])
        return
    table = []
    for case in options.cases:
        cells = [case]
        scores, ratios = [], []
        for library in ("dgmm", "scikit-learn"):
            runs = [measured(library, case, options.narrow, "resident") for _ in range(options.repeats)]
            allocated = measured(library, case, options.narrow, "allocated")[1]
            seconds, resident_peak = min(run[0] for run in runs), min(run[1] for run in runs)
            cells.append(f"{seconds:.2f} s, {resident_peak:.1f} MiB, {allocated:.1f} MiB")
            scores.append(runs[0][2])
            ratios.append((seconds, resident_peak, allocated))
        cells.append(" · ".join(f"{own / other:.2f}" for own, other in zip(*ratios, strict=True)))
        table.append([*cells, f"{scores[0] - scores[1]:.1e}"])
        print(*table[-1], sep=" | ", flush=True)
    header = ["family, rows, features, components", "dgmm", "scikit-learn", "ratios", "nats a row better"]
    print_table("Few rows of many features: time, resident and allocated peak", header, table)


if __name__ == "__main__":
    main()
