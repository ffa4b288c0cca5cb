"""From a million rows to a billion: seconds and memory of a default fit against the number of rows.

    python benchmarks/scale.py [--rows 1000000 10000000 100000000 1000000000] [--picture scale.svg]

Rows of 8 features, of a mixture of 8 components that overlap a little, are made chunk by chunk by Dask in
every pass: 10⁹ of them are 60 GiB, which are never anywhere at once. Each fit has a process of its own, on
the threads of this machine. Printed are the seconds of the whole fit; those of its processors, in all and
in a pass, which do not depend on what else the machine does; the peak of the process's resident memory; the
slope of log processor seconds a pass against log rows (1 where a row costs the same among however many);
the log-likelihood a row, and that of the mixture that made the rows, on a million others. A forecast for
10¹² rows is the last size's processor seconds a row, on all processors of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
from common import print_table, rows_of, synthetic_mixture
from scipy.stats import multivariate_normal

from dgmm import GaussianMixture
from dgmm.model.parameters import Parameters
from dgmm.passes.events import PassFinished, PassStarted, listening

N_FEATURES, N_COMPONENTS, CHUNK_ROWS, MEBIBYTE = 8, 8, 125_000, 2**20


class Rows:
    """Makes the rows of a chunk from its number: the same in every pass.

    Components take turns, in numbers near their weights; which row is of which is the same in every chunk.
    """

    def __init__(self, mixture: Parameters) -> None:
        self.means, self.factors = mixture.means, np.linalg.cholesky(mixture.covariance_matrices)
        self.bounds = np.rint(np.cumsum(np.r_[0.0, mixture.weights]) * CHUNK_ROWS).astype(int)
        self.order = np.random.default_rng(0).permutation(CHUNK_ROWS)

    def __call__(self, block_info: dict | None = None) -> np.ndarray:
        """Make them; Dask says which chunk it wants."""
        number = 0 if block_info is None else block_info[None]["chunk-location"][0]
        generator = np.random.Generator(np.random.SFC64([1, number]))
        rows = generator.standard_normal((CHUNK_ROWS, N_FEATURES))
        for mean, factor, start, stop in zip(
            self.means, self.factors, self.bounds, self.bounds[1:], strict=False
        ):
            rows[start:stop] = mean + rows[start:stop] @ factor.T
        return rows[self.order]


def fit(n_rows: int) -> dict[str, float]:
    """Fit so many rows in this process: what it took."""
    truth = synthetic_mixture(N_COMPONENTS, N_FEATURES)
    chunks = ((CHUNK_ROWS,) * (n_rows // CHUNK_ROWS), (N_FEATURES,))
    rows = da.map_blocks(Rows(truth), chunks=chunks, dtype=np.float64, meta=np.empty((0, 0)))
    marks: list[float] = []

    def listen(event: object) -> None:
        if isinstance(event, PassStarted | PassFinished):
            marks.append(time.process_time())

    started = time.perf_counter()
    with listening(listen):
        mixture = GaussianMixture(N_COMPONENTS, random_state=0).fit(rows)
    seconds, processor = time.perf_counter() - started, time.process_time()
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fresh = rows_of(truth, 1_000_000, 7)
    of_components = [
        np.log(weight) + multivariate_normal(mean, matrix).logpdf(fresh)
        for weight, mean, matrix in zip(truth.weights, truth.means, truth.covariance_matrices, strict=True)
    ]
    return {
        "rows": n_rows,
        "seconds": seconds,
        "processor": processor,
        "passes": len(marks) // 2,
        "seconds_a_pass": float(np.mean(np.diff(marks)[::2])),
        "mebibytes": kibibytes * 1024 / MEBIBYTE,
        "fitted": mixture.score(fresh),
        "true": float(np.mean(np.logaddexp.reduce(of_components))),
    }


def draw(results: list[dict[str, float]], path: Path) -> None:
    """Draw seconds and memory against rows, all on logarithmic axes."""
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    n_rows = [result["rows"] for result in results]
    for name, label, marker in [
        ("seconds", "seconds of the fit", "o"),
        ("seconds_a_pass", "processor seconds of a pass", "s"),
        ("mebibytes", "peak memory, MiB", "^"),
    ]:
        axes.loglog(n_rows, [result[name] for result in results], marker=marker, label=label)
    axes.set(xlabel="rows of 8 features", title="A default fit of 8 components")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**6, 10**7, 10**8, 10**9])
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(fit(options.one)))
        return
    results = []
    for n_rows in sorted(options.rows):
        command = [sys.executable, __file__, "--one", str(n_rows)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results.append(json.loads(said.splitlines()[-1]))
        print(results[-1], flush=True)
    rows = [
        (
            f"{result['rows']:,.0f}",
            f"{result['seconds']:.1f}",
            f"{result['processor']:.1f}",
            f"{result['passes']:.0f}",
            f"{result['seconds_a_pass']:.2f}",
            f"{1e9 * result['seconds_a_pass'] / result['rows']:.0f}",
            f"{result['mebibytes']:.0f}",
            f"{result['fitted']:.4f}",
            f"{result['true']:.4f}",
        )
        for result in results
    ]
    header = ["rows", "s", "processor s", "passes", "processor s a pass", "ns a row and pass", "MiB"]
    header += ["nats a row", "of the truth"]
    print_table("A default fit against the number of rows", header, rows)
    if len(results) > 1:
        logs = np.log([[result["rows"], result["seconds_a_pass"]] for result in results])
        slope = np.polyfit(logs[:, 0], logs[:, 1], 1)[0]
        print(f"\nSlope of log processor seconds a pass against log rows: {slope:.3f}")
        (x, y), (last_x, last_y) = logs[-2:]
        print(f"Between the last two sizes: {(last_y - y) / (last_x - x):.3f}")
    a_row = results[-1]["processor"] / results[-1]["rows"] / (os.cpu_count() or 1)
    print(f"Forecast for 10¹² rows on this machine: {1e12 * a_row / 86400:.1f} days")
    if options.picture:
        draw(results, options.picture)


if __name__ == "__main__":
    main()
