"""A sweep over numbers of components and covariance types, against scikit-learn and against fits one by one.

    python benchmarks/sweep.py [--rows 1000000] [--most 20] [--subset 15:full 5:diag] [--recipe]

All models of the sweep share their passes. scikit-learn fits a subset of the grid, each with n_init=5.
Its time for all is extrapolated from these, in proportion to what a row costs (components times the size
of the product with a covariance), and the table says so. Log-likelihoods are of all rows. ``--recipe``
compares all models with five k-means starts each, by dgmm's own path for rows in memory, which gives
scikit-learn's answers (tests/estimators/test_parity.py).
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from typing import Any

import numpy as np
from common import print_table, rows_of, synthetic_mixture
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm import GaussianMixture, GaussianMixtureSweep
from dgmm.model.families import FAMILIES

N_INIT = 5
NEAR = 1e-4
"""Nats a row below scikit-learn's best that count as no worse."""


def cost_of(n_components: int, covariance_type: str, n_features: int) -> float:
    """Return the work of a row in scikit-learn, in proportion: a product with a matrix for each component."""
    return n_components * n_features * (n_features if covariance_type in ("full", "tied") else 1.0)


def timed(estimator: Any, rows: np.ndarray) -> tuple[Any, float]:
    """Fit, and time it."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = estimator.fit(rows)
    return fitted, time.perf_counter() - started


def peak_mebibytes() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument(
        "--true", type=int, default=12, help="components of the mixture that rows are drawn from"
    )
    parser.add_argument("--most", type=int, default=20, help="components of the largest model")
    parser.add_argument("--sample-rows", type=int, default=250_000)
    parser.add_argument(
        "--keep", action="store_true", help="keep models that cannot win any more (prune=False)"
    )
    parser.add_argument("--tol", type=float)
    parser.add_argument("--seed", type=int, default=0, help="of the sweep")
    parser.add_argument("--recipe", action="store_true", help="compare all models with five k-means starts")
    parser.add_argument(
        "--subset", nargs="*", default=["15:full", "20:tied", "5:diag", "10:spherical", "8:full", "16:diag"]
    )
    parser.add_argument("--separate", nargs="*", default=[], help="models that are fitted one by one too")
    options = parser.parse_args()
    rows = rows_of(synthetic_mixture(options.true, options.features), options.rows, 1)
    before = peak_mebibytes()

    sweep, seconds = timed(
        GaussianMixtureSweep(
            range(1, options.most + 1),
            prune=not options.keep,
            tol="auto" if options.tol is None else options.tol,
            random_state=options.seed,
            sample_rows=options.sample_rows,
        ),
        rows,
    )
    after = peak_mebibytes()
    results = sweep.results_
    index_of = {
        (int(number), str(family)): index
        for index, (number, family) in enumerate(
            zip(results["n_components"], results["covariance_type"], strict=True)
        )
    }
    grid = sum(cost_of(number, family, options.features) for number, family in index_of)

    table, worse, theirs, their_cost = [], [], 0.0, 0.0
    for name in options.subset:
        number, family = int(name.split(":")[0]), name.split(":")[1]
        alone, took = timed(
            SklearnGaussianMixture(number, covariance_type=family, n_init=N_INIT, random_state=0), rows
        )
        theirs, their_cost = theirs + took, their_cost + cost_of(number, family, options.features)
        best = alone.score(rows)
        index = index_of[number, family]
        found = float(results["log_likelihood"][index])
        state = "left early" if results["dropped"][index] else "ended"
        table.append(
            (number, family, f"{took:.1f}", f"{best:.6f}", f"{found:.6f}", f"{found - best:+.1e}", state)
        )
        if found <= best - NEAR:
            worse.append(f"{name} is {best - found:.2g} nats a row below scikit-learn")
    header = ["K", "covariance", f"scikit-learn s (n_init={N_INIT})", "its log-likelihood", "sweep's"]
    print_table(f"{options.rows:,} x {options.features}", [*header, "difference", "in the sweep"], table)

    extrapolated = theirs * grid / their_cost
    facts: list[tuple[str, object]] = [
        ("models", len(index_of)),
        ("full passes, for all together", sweep.n_passes_),
        ("models that left early", int(results["dropped"].sum())),
        ("converged", int(results["converged"].sum())),
        ("the best", str(sweep.best_params_)),
        ("sweep, s", f"{seconds:.1f}"),
        ("of which passes, s", f"{sum(sweep.pass_seconds_):.1f}"),
        ("memory beyond the rows, MiB", f"{after - before:.0f}"),
        (f"scikit-learn on {len(options.subset)} models, s", f"{theirs:.0f}"),
        (f"scikit-learn on all {len(index_of)}, extrapolated, s", f"{extrapolated:.0f}"),
        ("ratio, extrapolated", f"{extrapolated / seconds:.0f}x"),
    ]
    if options.recipe:
        recipe, took = timed(
            GaussianMixtureSweep(
                range(1, options.most + 1),
                n_init=N_INIT,
                init_params="kmeans",
                algorithm="em",
                tol=1e-3,
                random_state=0,
                sample_rows=options.rows,
            ),
            rows,
        )
        above = np.subtract(results["log_likelihood"], recipe.results_["log_likelihood"])
        facts += [
            ("five k-means starts of each, by dgmm, s", f"{took:.0f}"),
            (f"models more than {NEAR:g} nats a row below these", int((above < -NEAR).sum())),
            (
                "the lowest three, nats a row",
                ", ".join(
                    f"{results['n_components'][i]} {results['covariance_type'][i]} {above[i]:+.1e}"
                    for i in np.argsort(above)[:3]
                ),
            ),
            ("nats a row above these, on average", f"{above.mean():+.3f}"),
        ]
    if options.separate:
        own, own_cost, passes = 0.0, 0.0, 0
        for name in options.separate:
            number, family = int(name.split(":")[0]), name.split(":")[1]
            mixture, took = timed(
                GaussianMixture(
                    number,
                    covariance_type=family,
                    algorithm="corrected",
                    random_state=0,
                    sample_rows=options.sample_rows,
                ),
                rows,
            )
            own, passes = own + took, passes + mixture.n_passes_
            own_cost += cost_of(number, family, options.features)
        facts += [
            (f"dgmm fits one by one, {len(options.separate)} models, s", f"{own:.1f}"),
            ("their passes", passes),
            (
                "all, in proportion to the number of models, s",
                f"{own * len(index_of) / len(options.separate):.0f}",
            ),
            ("their passes, in the same proportion", f"{passes * len(index_of) / len(options.separate):.0f}"),
        ]
    print_table("The whole sweep", ["what", "value"], facts)
    assert not worse, worse


if __name__ == "__main__":
    assert set(FAMILIES) == {"full", "tied", "diag", "spherical"}
    main()
