"""Passes of default fits with more components than the rows tell apart.

    python benchmarks/surplus.py [--cases one ten bayes] [--shrink 10]

For each case the default fit, and the same with ``tol=1e-6`` named, which goes on as far as that takes it:
passes, seconds, and nats a row behind the better of the two; with what chance gives to the surplus
components, half a nat a parameter over all rows. ``--shrink`` divides the rows of each case.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from common import print_table, rows_of, synthetic_mixture

import dgmm

CASES: dict[str, tuple[str, int, int, int, int]] = {
    "ten": ("GaussianMixture", 1_000_000, 8, 20, 10),
    "one": ("GaussianMixture", 600_000, 6, 4, 1),
    "bayes": ("BayesianGaussianMixture", 600_000, 4, 20, 5),
}
"""Estimator, rows, features, components, and clusters of the rows."""


def rows_of_case(n_rows: int, n_features: int, n_clusters: int) -> np.ndarray:
    """Draw rows of so many clusters; a single one is round."""
    if n_clusters == 1:
        return np.random.default_rng(0).standard_normal((n_rows, n_features))
    return rows_of(synthetic_mixture(n_clusters, n_features), n_rows, 1)


def fitted(name: str, rows: np.ndarray, n_components: int, **own: Any) -> tuple[Any, float]:
    """Fit, and time it."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = getattr(dgmm, name)(n_components=n_components, random_state=0, **own).fit(rows)
    return mixture, time.perf_counter() - started


def main() -> None:
    """Fit each case by both, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=[*CASES])
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--max-iter", type=int, default=150)
    options = parser.parse_args()
    table = []
    for case in options.cases:
        name, n_rows, n_features, n_components, n_clusters = CASES[case]
        rows = rows_of_case(n_rows // options.shrink, n_features, n_clusters)
        runs = [
            fitted(name, rows, n_components, **own)
            for own in ({}, {"tol": 1e-6, "max_iter": options.max_iter})
        ]
        best = max(mixture.lower_bound_ for mixture, _ in runs)
        by_chance = 0.5 * (n_components - n_clusters) * (1 + n_features * (n_features + 3) / 2) / len(rows)
        table.append(
            [
                f"K = {n_components}, {n_clusters} clusters, {len(rows):,} × {n_features}, {name}",
                *(
                    f"{mixture.n_iter_} passes, {seconds:.1f} s, {best - mixture.lower_bound_:.1e}"
                    for mixture, seconds in runs
                ),
                f"{by_chance:.1e}",
            ]
        )
        print(*table[-1], sep=" | ", flush=True)
    header = ["rows", "default: nats behind", "tol=1e-6", "by chance, nats a row"]
    print_table("Fits with surplus components", header, table)


if __name__ == "__main__":
    main()
