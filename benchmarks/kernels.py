"""What an E-step takes where a tuning constant of the kernels is half of what it is, or double.

    python benchmarks/kernels.py [--kernel compiled numpy] [--repetitions 15] [--by-name]

One thread; the least of some repetitions, each of which is made in turn by two processes: one as it is, and
one where a number of a record (`TileTuning`, `BlockTuning`, `StackTuning`) is another. The table says how
many times as long the second takes, for each case. With ``--by-name``, what E-steps of 128 features take,
processor time, by the kernel that ``DGMM_KERNEL`` names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from common import print_table, rows_of, synthetic_mixture
from threadpoolctl import threadpool_limits

from dgmm.kernels import expect
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments


class Case(NamedTuple):
    """An E-step: of a mixture of K components, or of several of them, on rows of D features.

    ``shrunk`` is the share of the clusters' widths that components have: the less, the fewer responsibilities
    are not zero.
    """

    family: str
    n_rows: int
    n_features: int
    n_components: int
    n_models: int = 1
    shrunk: float = 1.0

    @property
    def name(self) -> str:
        """Of a column."""
        many = f" ×{self.n_models}" if self.n_models > 1 else ""
        apart = ", apart" if self.shrunk < 1.0 else ""
        return f"{self.family} {self.n_features}, {self.n_components}{many}{apart}"


CASES = (
    Case("full", 100_000, 2, 8),
    Case("full", 100_000, 10, 16),
    Case("full", 20_000, 50, 32),
    Case("full", 20_000, 50, 32, shrunk=0.1),
    Case("diag", 100_000, 10, 16),
    Case("tied", 100_000, 10, 16),
    Case("full", 16_384, 4, 5, n_models=16),
    Case("diag", 3_000, 4, 2, n_models=16),
)

WIDE = (Case("full", 4_000, 128, 16, shrunk=0.1), Case("full", 4_000, 128, 16))

PLACES = {
    "compiled": [("tiles", "TILES")],
    "numpy": [("workspace", "BLOCKS"), ("stack", "STACK"), ("stacking", "STACKING")],
}
"""Modules with the records of each kernel."""


def ready(case: Case) -> tuple[Stack, np.ndarray]:
    """Make the models of a case ready, and draw rows."""
    truth = synthetic_mixture(case.n_components, case.n_features)
    rows = rows_of(truth, case.n_rows, 1)
    family, moments = FAMILIES[case.family], Moments.of(rows)
    matrices = truth.covariance_matrices * case.shrunk
    own = family.projected(matrices.mean(axis=0) if family.is_shared else matrices)
    generator = np.random.default_rng(2)
    models = [
        Parameters.from_covariances(
            family, truth.weights, truth.means + 0.01 * generator.normal(size=truth.means.shape), own
        )
        for _ in range(case.n_models)
    ]
    return stack_models(models, moments.mean, moments.extent, np.float64), rows


def serve(setting: str) -> None:
    """Set a number, ``module:RECORD.field=value``, and time the case of each line that comes in."""
    if setting:
        place, value = setting.split("=")
        module, record, field = place.replace(":", ".").rsplit(".", 2)
        loaded: Any = import_module(module)
        old = getattr(loaded, record)
        setattr(loaded, record, replace(old, **{field: type(getattr(old, field))(json.loads(value))}))
        if record == "TILES":  # what is compiled takes these for constants
            loaded.TILE_ROWS, loaded.GATHERED_SHARE = loaded.TILES.tile_rows, loaded.TILES.gathered_share
    made: dict[int, tuple[Stack, np.ndarray]] = {}
    with threadpool_limits(1):
        for line in sys.stdin:
            index = int(line)
            if index not in made:
                made = {index: ready(CASES[index])}
                expect(made[index][0], [(made[index][1], None)])
            stack, rows = made[index]
            started = time.perf_counter()
            expect(stack, [(rows, None)])
            print(time.perf_counter() - started, flush=True)


@contextmanager
def server(kernel: str, setting: str) -> Iterator[Any]:
    """Run a process that serves; gives a function that takes a case's number to seconds."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "DGMM_KERNEL": kernel, "NUMBA_CACHE_DIR": cache}
        command = [sys.executable, __file__, "--serve", setting]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=environment, **pipes) as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def seconds(index: int) -> float:
                process.stdin.write(f"{index}\n")  # pyright: ignore[reportOptionalMemberAccess]
                process.stdin.flush()  # pyright: ignore[reportOptionalMemberAccess]
                return float(process.stdout.readline())  # pyright: ignore[reportOptionalMemberAccess]

            yield seconds
            process.stdin.close()


def settings(kernel: str) -> Iterator[tuple[str, str, str]]:
    """Yield a name, a change and the setting for each number of the kernel's records."""
    for module, record in PLACES[kernel]:
        place = f"dgmm.kernels.{module}"
        tuning: Any = getattr(import_module(place), record)
        for field in fields(tuning):
            value = getattr(tuning, field.name)
            for change, factor in (("half", 0.5), ("double", 2)):
                other = json.dumps(factor * value if isinstance(value, float) else int(factor * value))
                yield (
                    f"{type(tuning).__name__}.{field.name}",
                    change,
                    f"{place}:{record}.{field.name}={other}",
                )


def by_name(kernels: list[str], repetitions: int) -> None:
    """Print what E-steps of many features take by each kernel."""
    table = []
    for kernel in kernels:
        os.environ["DGMM_KERNEL"], row = kernel, [kernel]
        for case in WIDE:
            (stack, rows), seconds = ready(case), []
            with threadpool_limits(1):
                for _ in range(repetitions + 1):  # the first compiles
                    started = time.process_time()
                    expect(stack, [(rows, None)])
                    seconds.append(time.process_time() - started)
            row.append(f"{1e6 * min(seconds[1:]) / len(rows):.1f}")
        table.append(row)
    print_table("An E-step by name, µs a row", ["DGMM_KERNEL", *(case.name for case in WIDE)], table)


def main() -> None:
    """Print a table for each kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", nargs="*", default=["compiled", "numpy"])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--by-name", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    if options.by_name:
        by_name(options.kernel, options.repetitions)
        return
    for kernel in options.kernel:
        table = []
        with server(kernel, "") as base:
            for name, change, setting in settings(kernel):
                with server(kernel, setting) as other:
                    row = [name, change]
                    for index in range(len(CASES)):
                        pairs = [(base(index), other(index)) for _ in range(options.repetitions)]
                        as_it_is, changed = (min(each) for each in zip(*pairs, strict=True))
                        row.append(f"{changed / as_it_is:.2f}")
                table.append(tuple(row))
                print(*row, file=sys.stderr, flush=True)
        print_table(f"Times as long: {kernel}", ["number", "is", *(case.name for case in CASES)], table)


if __name__ == "__main__":
    main()
