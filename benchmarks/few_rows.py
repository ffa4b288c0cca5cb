"""Fits, predictions and updates of few rows, warm, beside scikit-learn's.

    python benchmarks/few_rows.py [--cases fit "predict 1" ...] [--repeats 20]

Processor time in milliseconds, all on one thread: the least of so many repeats, both sides by turns, of short
calls 20 at a time. Versions of dgmm are compared by running it from one and the other, by turns. A sweep is
compared with scikit-learn's fits of the same models and their BIC; an update, which scikit-learn has not, is
alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn import mixture as theirs
from sklearn.datasets import make_blobs
from threadpoolctl import threadpool_limits

import dgmm

SHORT = 20
"""Calls that are timed together, where they are short."""

TYPES = ("full", "tied", "diag", "spherical")

Case = tuple[str, Callable[[], Any], Callable[[], Any] | None, int]
"""Its name, what is done by dgmm and by scikit-learn, and how many times together."""


def rows_in_clusters(n_rows: int, n_features: int, n_clusters: int) -> np.ndarray:
    """Return rows in round clusters."""
    rows, *_ = make_blobs(n_rows, n_features, centers=n_clusters, cluster_std=1.5, random_state=0)
    return np.asarray(rows)


def swept(rows: np.ndarray) -> None:
    """Fit what a sweep to ten components fits, by scikit-learn."""
    for number in range(1, 11):
        for name in TYPES:
            mixture = theirs.GaussianMixture(number, covariance_type=name, random_state=0)
            mixture.fit(rows).bic(rows)


def cases() -> Iterator[Case]:
    """Yield all cases."""
    for n_rows, n_features, n_components in ((1000, 2, 3), (5000, 10, 5), (20_000, 5, 10)):
        rows = rows_in_clusters(n_rows, n_features, n_components)
        ours, other = (partial(each(n_components, random_state=0).fit, rows) for each in _classes())
        yield f"fit {n_rows:,} x {n_features}, K={n_components}", ours, other, 1
    rows = rows_in_clusters(5000, 4, 4)
    sweep = dgmm.GaussianMixtureSweep(range(1, 11), random_state=0)
    yield "sweep 5,000 x 4, K=1 to 10", partial(sweep.fit, rows), partial(swept, rows), 1
    rows = rows_in_clusters(1000, 2, 3)
    fitted = [each(3, random_state=0).fit(rows) for each in _classes()]
    for name in ("predict", "score_samples", "predict_proba", "score"):
        for n_rows in (1, 100):
            ours, other = (partial(getattr(each, name), rows[:n_rows]) for each in fitted)
            yield f"{name} {n_rows}", ours, other, SHORT
    updated = dgmm.GaussianMixture(3, random_state=0).fit(rows)
    yield "partial_fit 100", partial(updated.partial_fit, rows[:100]), None, SHORT


def _classes() -> tuple[Any, Any]:
    return dgmm.GaussianMixture, theirs.GaussianMixture


def milliseconds(call: Callable[[], Any], n_calls: int) -> float:
    """Time one call."""
    began = time.process_time()
    for _ in range(n_calls):
        call()
    return (time.process_time() - began) / n_calls * 1e3


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", nargs="*", default=[""], help="beginnings of names")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    with threadpool_limits(1):
        for name, ours, other, n_calls in cases():
            if not name.startswith(tuple(options.cases)):
                continue
            sides = [ours] if other is None else [ours, other]
            taken = [[milliseconds(each, n_calls) for each in sides] for _ in range(options.repeats)]
            least = [min(each) for each in zip(*taken, strict=True)]
            beside = f" beside {least[1]:.3f}: {least[0] / least[1]:.2f}" if len(least) > 1 else ""
            print(f"{name}: {least[0]:.3f} ms{beside}", flush=True)


if __name__ == "__main__":
    main()
