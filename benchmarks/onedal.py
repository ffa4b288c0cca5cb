"""One EM iteration against oneDAL, Intel's library, from the same start: one thread each, in turn.

    python benchmarks/onedal.py [--cases 1 4] [--share 0.1] [--environment FOLDER]

oneDAL is in an environment of its own, which is made where there is none (from PyPI: 300 MB). Both sides
must give the same log-likelihood and the same parameters. Every shape is timed from two starts: *wide*,
components as wide as the data, where every row belongs to all of them a little, and *apart*, the components
that the rows were drawn from, where most rows belong to one. Times are of the process, the least of some
repetitions.

The last columns say how many multiplications and additions there would be, if all densities and all sums were
computed from the features of the family, as a share of those that a product of large matrices makes in that
time: more than 100 % where most of them are spared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import print_table, rows_of, synthetic_mixture
from iteration import start_of
from threadpoolctl import threadpool_limits

from dgmm.kernels import expect
from dgmm.kernels.stacking import stack_models
from dgmm.model import em
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments

PACKAGES = ("daal4py==2024.7.*", "scikit-learn<1.6", "packaging")


class Case(NamedTuple):
    """Rows of D features, K components, and how many times as fast as oneDAL an iteration shall be."""

    n_rows: int
    n_features: int
    n_components: int
    family: str
    wanted: float


CASES = (
    Case(1_000_000, 2, 8, "full", 2.0),
    Case(1_000_000, 10, 16, "full", 5.0),
    Case(200_000, 50, 32, "full", 3.0),
    Case(100_000, 128, 64, "full", 1.5),
    Case(500_000, 32, 64, "diag", 5.0),
)


def python_with_onedal(folder: Path) -> Path:
    """Return the interpreter of an environment that has oneDAL; makes it where there is none."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (folder / "complete").touch()
    return python


@contextmanager
def server(python: Path) -> Iterator[Callable[[Path], tuple[float, float]]]:
    """Run oneDAL's process; gives a function that takes a folder to seconds and a log-likelihood."""
    command = [str(python), str(Path(__file__).with_name("onedal_server.py"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        sent, received = process.stdin, process.stdout
        assert sent is not None
        assert received is not None

        def iterate(folder: Path) -> tuple[float, float]:
            sent.write(f"{folder}\n")
            sent.flush()
            seconds, log_likelihood = json.loads(received.readline())
            return seconds, log_likelihood

        yield iterate
        sent.close()


def iterate(mixture: Parameters, rows: np.ndarray, moments: Moments) -> tuple[float, float, Parameters]:
    """Make an iteration by dgmm: seconds of process time, the log-likelihood, and new parameters."""
    started = time.process_time()
    ready = stack_models([mixture], moments.mean, moments.extent, rows.dtype)
    statistics = expect(ready, [(rows, None)])[0].of_all_rows(moments.scatter)
    found = em.update(statistics, 0.0)
    return time.process_time() - started, statistics.log_likelihood, found


def peak() -> float:
    """Measure how many additions and multiplications a product of large matrices makes in a second."""
    matrix = np.random.default_rng(0).standard_normal((1024, 1024))
    times = []
    for _ in range(9):
        started = time.process_time()
        np.matmul(matrix, matrix)
        times.append(time.process_time() - started)
    return 2 * 1024**3 / min(times)


def compared(
    case: Case,
    mixture: Parameters,
    rows: np.ndarray,
    theirs: Callable[[Path], tuple[float, float]],
    repeats: int,
) -> tuple[float, float]:
    """Return the least seconds of oneDAL and of dgmm, which must have computed the same."""
    moments = Moments.of(rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "rows.npy", rows)
        for attribute in ("weights", "means", "covariances"):
            np.save(folder / f"{attribute}.npy", np.asarray(getattr(mixture, attribute)))
        theirs(folder)
        iterate(mixture, rows, moments)  # which may compile
        pairs = [(theirs(folder), iterate(mixture, rows, moments)) for _ in range(repeats)]
        (_, their_log_likelihood), (_, log_likelihood, found) = pairs[-1]
        np.testing.assert_allclose(log_likelihood, their_log_likelihood, rtol=1e-9)
        for attribute in ("weights", "means", "covariances"):
            expected = np.load(folder / f"new_{attribute}.npy")
            np.testing.assert_allclose(
                getattr(found, attribute), expected, rtol=0, atol=1e-7, err_msg=str(case)
            )
    return min(own[0] for own, _ in pairs), min(own[0] for _, own in pairs)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, nargs="*", default=range(1, len(CASES) + 1))
    parser.add_argument("--share", type=float, default=1.0, help="of the rows of each case")
    parser.add_argument("--repetitions", type=int, default=5)
    default = Path.home() / ".cache" / "dgmm-benchmarks" / "onedal"
    parser.add_argument("--environment", type=Path, default=default)
    options = parser.parse_args()
    table, fastest = [], peak()
    with server(python_with_onedal(options.environment)) as theirs:
        for case in (CASES[number - 1] for number in options.cases):
            truth = synthetic_mixture(case.n_components, case.n_features)
            n_rows, family = int(options.share * case.n_rows), FAMILIES[case.family]
            own = family.projected(truth.covariance_matrices)
            apart = Parameters.from_covariances(family, truth.weights, truth.means, own)
            rows = rows_of(apart, n_rows, 1)
            n_parameters = apart.n_components * (family.feature_rows(case.n_features).stop - 1)
            for name, mixture in (("wide", start_of(case.family, rows, case.n_components)), ("apart", apart)):
                their_seconds, our_seconds = compared(case, mixture, rows, theirs, options.repetitions)
                cells = [f"{n_rows:,}", case.n_features, case.n_components, case.family, name]
                cells += [f"{their_seconds:.3f}", f"{our_seconds:.3f}", f"{their_seconds / our_seconds:.2f}"]
                cells.append(case.wanted)
                for seconds in (their_seconds, our_seconds):
                    cells.append(f"{4 * n_rows * n_parameters / seconds / fastest:.0%}")
                table.append(cells)
                print(*cells, sep=" | ", flush=True)
    header = ["rows", "D", "K", "covariance", "start", "oneDAL s", "dgmm s", "ratio", "wanted"]
    title = f"One EM iteration, float64, one thread; products of matrices: {fastest / 1e9:.0f} GFlop/s"
    print_table(title, [*header, "oneDAL's share", "dgmm's share"], table)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
