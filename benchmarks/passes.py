"""Full passes of plain and of corrected EM, from the same start, to 1e-5 nats a row below plain EM's limit.

    python benchmarks/passes.py [--rows 500000] [--seeds 5] [--plain-passes 400]

The sets are the Gaia stars of `dgmm demo` (needs ``dgmm[demo]``) and a synthetic mixture of 10 features. The
survey is one more pass for both. Where plain EM has not reached its limit in the passes that it is given,
the table counts to where it got, and says so.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import print_table, rows_of, synthetic_mixture
from sklearn.exceptions import ConvergenceWarning

from dgmm import GaussianMixture
from dgmm.demo import read_stars

NEAR = 1e-5
"""Nats a row below the limit that count as reached."""


def passes_to(bounds: list[float], target: float) -> str:
    """Give the number of passes until a log-likelihood is reached."""
    reached = np.flatnonzero(np.asarray(bounds) >= target)
    return str(reached[0] + 1) if len(reached) else f"> {len(bounds)}"


def fitted(rows: np.ndarray, **parameters: Any) -> tuple[GaussianMixture, float]:
    """Fit, and time it."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = GaussianMixture(**parameters).fit(rows)
    return mixture, time.perf_counter() - started


def compare(
    name: str, rows: np.ndarray, *, n_components: int, covariance_type: str, seed: int, options: Any
) -> tuple:
    """Fit by both algorithms from one start: a row of the table."""
    own = {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "random_state": seed,
        "sample_rows": min(options.sample_rows, len(rows) // 2),
        "init_params": "k-means++",
    }
    plain, plain_seconds = fitted(rows, **own, algorithm="em", tol=1e-9, max_iter=options.plain_passes)
    found, seconds = fitted(rows, **own, algorithm="corrected", max_iter=options.plain_passes)
    limit = plain.lower_bounds_[-1]
    return (
        name,
        f"{len(rows):,}",
        n_components,
        covariance_type,
        seed,
        passes_to(plain.lower_bounds_, limit - NEAR) + ("" if plain.converged_ else " (limit not reached)"),
        passes_to(found.lower_bounds_, limit - NEAR),
        found.n_iter_,
        f"{found.lower_bound_ - limit:+.1e}",
        f"{plain_seconds:.1f}",
        f"{seconds:.1f}",
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="of the synthetic set")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plain-passes", type=int, default=400)
    parser.add_argument("--sample-rows", type=int, default=100_000)
    parser.add_argument("--covariance", nargs="+", default=["full"])
    options = parser.parse_args()
    sets: dict[tuple[str, int], Callable[[], np.ndarray]] = {
        ("Gaia stars", 12): read_stars,
        ("synthetic", 20): lambda: rows_of(synthetic_mixture(20, 10), options.rows, 1),
    }
    table = []
    for (name, n_components), load in sets.items():
        rows = load()
        for covariance_type in options.covariance:
            table += [
                compare(
                    name,
                    rows,
                    n_components=n_components,
                    covariance_type=covariance_type,
                    seed=seed,
                    options=options,
                )
                for seed in range(options.seeds)
            ]
    header = ["rows of", "rows", "K", "covariance", "seed", "EM", "corrected", "until it stopped"]
    header += ["nats above EM", "EM s", "corrected s"]
    print_table(f"Passes to {NEAR:g} nats a row below the limit of EM", header, table)
    counts = [int(row[6]) for row in table if row[6].isdigit()]
    print(f"\nmedian of the corrected: {statistics.median(counts) if counts else 'none reached it'}")


if __name__ == "__main__":
    main()
