"""One EM iteration against scikit-learn, from the same start: one thread, then two.

    OMP_NUM_THREADS=1 python benchmarks/iteration.py [--features 50] [--covariance full]

Both sides must give the same parameters. Medians are compared; scikit-learn's full and tied are timed once.
Every shape is timed twice: in the first iteration, from components as wide as the data, where every row
belongs to all of them a little, and in the sixth, where most rows belong to few.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import copy
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from common import print_table, rows_of, seconds_of, synthetic_mixture
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from threadpoolctl import threadpool_limits

from dgmm.kernels import expect
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import stack_models
from dgmm.model import em
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics

SIZES = ((1_000_000, 10, 16), (1_000_000, 2, 8), (200_000, 50, 32), (4_000, 4, 3))
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
ITERATIONS = (1, 6)
REPEATS = 9
POOL = ThreadPoolExecutor(2)


def sklearn_at(mixture: Parameters, rows: np.ndarray) -> SklearnGaussianMixture:
    """Return a scikit-learn mixture that is ready for an iteration from these parameters."""
    made = SklearnGaussianMixture(
        mixture.n_components, covariance_type=mixture.family.name, max_iter=1, tol=0.0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        made.fit(rows[: 100 * mixture.n_components])
    made.weights_, made.means_ = mixture.weights, mixture.means
    made.covariances_, made.precisions_cholesky_ = mixture.covariances, mixture.precisions_cholesky
    return made


def start_of(covariance_type: str, rows: np.ndarray, n_components: int) -> Parameters:
    """Return a start: rows as means, the data's own covariance."""
    n_features = rows.shape[1]
    covariance = np.cov(rows[:10_000].T)
    by_type = {
        "full": np.broadcast_to(covariance, (n_components, n_features, n_features)).copy(),
        "tied": covariance,
        "diag": np.broadcast_to(np.diag(covariance), (n_components, n_features)).copy(),
        "spherical": np.full(n_components, np.trace(covariance) / n_features),
    }
    weights = np.full(n_components, 1.0 / n_components)
    return Parameters.from_covariances(
        FAMILIES[covariance_type], weights, rows[:n_components], by_type[covariance_type]
    )


def iterate(ready: Stack, rows: np.ndarray, n_threads: int) -> Statistics:
    """Make the E-step of an iteration on threads that are there already, each with its share of the rows."""

    def expect_share(own: np.ndarray) -> Statistics:
        return expect(ready, [(own, None)])[0]

    if n_threads == 1:
        return expect_share(rows)
    return reduce(add, POOL.map(expect_share, np.array_split(rows, n_threads)))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="One EM iteration against scikit-learn.")
    parser.add_argument("--features", type=int, nargs="*", default=[size[1] for size in SIZES])
    parser.add_argument("--covariance", nargs="*", default=COVARIANCE_TYPES, choices=COVARIANCE_TYPES)
    chosen = parser.parse_args()
    table = []
    for n_rows, n_features, n_components in SIZES:
        if n_features not in chosen.features:
            continue
        rows = rows_of(synthetic_mixture(n_components, n_features), n_rows, 1)
        moments = Moments.of(rows)
        full_seconds = dict.fromkeys(ITERATIONS, np.nan)
        for covariance_type in chosen.covariance:
            mixture = start_of(covariance_type, rows, n_components)
            for iteration in range(1, max(ITERATIONS) + 1):

                def ours(n_threads: int = 1, rows=rows, moments=moments, mixture=mixture) -> Parameters:
                    ready = stack_models([mixture], moments.mean, moments.extent, rows.dtype)
                    statistics = iterate(ready, rows, n_threads)
                    return em.update(statistics.of_all_rows(moments.scatter), 1e-6)

                found = ours()
                if iteration in ITERATIONS:
                    reference = sklearn_at(mixture, rows)

                    def theirs(reference=reference, rows=rows) -> SklearnGaussianMixture:
                        made = copy.copy(reference)
                        _, log_responsibilities = made._e_step(rows, xp=np)
                        made._m_step(rows, log_responsibilities, xp=np)
                        return made

                    expected: Any = theirs()
                    np.testing.assert_allclose(found.means, expected.means_, rtol=0, atol=1e-8)
                    np.testing.assert_allclose(found.covariances, expected.covariances_, rtol=0, atol=1e-8)
                    their_seconds = seconds_of(theirs, 1 if covariance_type in ("full", "tied") else 3)
                    our_seconds = seconds_of(ours, REPEATS)
                    two_seconds = seconds_of(lambda ours=ours: ours(2), REPEATS)
                    if covariance_type == "full":
                        full_seconds[iteration] = our_seconds
                    table.append(
                        (
                            f"{n_rows:,}",
                            n_features,
                            n_components,
                            covariance_type,
                            iteration,
                            f"{their_seconds:.3g}",
                            f"{our_seconds:.3g}",
                            f"{their_seconds / our_seconds:.1f}x",
                            f"{full_seconds[iteration] / our_seconds:.1f}x",
                            f"{our_seconds / two_seconds:.2f}x",
                        )
                    )
                mixture = found
    header = ["rows", "D", "K", "covariance", "iteration", "scikit-learn s", "dgmm s", "ratio", "of full"]
    print_table("One EM iteration, float64, one thread", [*header, "2 threads"], table)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
