"""What fits give, to the bit: recorded before a change of the code's structure, and compared after it.

    python benchmarks/unchanged.py record FILE
    python benchmarks/unchanged.py compare FILE

Fits mixtures, sweeps and Bayesian mixtures, of all covariance types, with and without weights, in memory and
from Zarr, and hashes the parameters (sha256). Hashes depend on the processor and on BLAS: record and
compare on one machine, with the same ``DGMM_COMPILED``.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from common import print_table

import dgmm

TYPES = ("full", "tied", "diag", "spherical")


def rows_of(n_rows: int, n_features: int, seed: int) -> np.ndarray:
    """Draw rows of six overlapping clusters, none of them round."""
    generator = np.random.default_rng(seed)
    means = generator.normal(0.0, 4.0, (6, n_features))
    shapes = generator.normal(0.0, 1.0, (6, n_features, n_features))
    labels = generator.integers(6, size=n_rows)
    noise = generator.normal(size=(n_rows, n_features))
    return means[labels] + np.einsum("nij,nj->ni", shapes[labels], noise)


def digest(*arrays: Any) -> str:
    """Hash arrays by their bytes."""
    parts = (np.ascontiguousarray(array, np.float64).tobytes() for array in arrays)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def of_mixture(mixture: Any, X: Any) -> str:
    """Hash what a mixture is, and what it says of rows."""
    found = (mixture.weights_, mixture.means_, mixture.covariances_, mixture.precisions_cholesky_)
    said = (mixture.score_samples(X[:50]), mixture.predict_proba(X[:50]))
    return digest(*found, mixture.lower_bounds_, *said)


def of_sweep(swept: Any) -> str:
    """Hash the figures of all models of a sweep, and its best."""
    figures = [swept.results_[name] for name in ("log_likelihood", "bic", "entropy")]
    best = swept.best_estimator_
    return digest(best.weights_, best.means_, best.covariances_, *figures)


def cases(folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield what is fitted, by name."""
    rows = {n_features: rows_of(4000, n_features, n_features) for n_features in (1, 4, 12)}
    weights = np.random.default_rng(9).integers(0, 4, 4000).astype(float)
    stores = {}
    for n_features, values in rows.items():
        for dtype in ("float64", "float32"):
            path = str(folder / f"{n_features}-{dtype}.zarr")
            array = zarr.create_array(path, shape=values.shape, chunks=(700, n_features), dtype=dtype)
            array[:] = values.astype(dtype)
            stores[n_features, dtype] = path

    def mixture(kind: str, X: Any, sample: np.ndarray, weighted: bool = False, **options: Any) -> str:
        fitted = dgmm.GaussianMixture(5, covariance_type=kind, random_state=3, **options)
        return of_mixture(fitted.fit(X, sample_weight=weights if weighted else None), sample)

    def bayes(kind: str, X: Any, sample: np.ndarray, **options: Any) -> str:
        fitted = dgmm.BayesianGaussianMixture(n_components=5, covariance_type=kind, random_state=3, **options)
        return of_mixture(fitted.fit(X), sample)

    def sweep(X: Any, **options: Any) -> str:
        return of_sweep(dgmm.GaussianMixtureSweep(range(1, 6), random_state=3, **options).fit(X))

    for kind in TYPES:
        for n_features, values in rows.items():
            for weighted in (False, True):
                name = f"{kind} D={n_features}{' weighted' if weighted else ''}"
                yield f"{name} memory", lambda k=kind, v=values, w=weighted: mixture(k, v, v, w)
                for dtype in ("float64",) if weighted else ("float64", "float32"):
                    store = stores[n_features, dtype]
                    yield (
                        f"{name} zarr {dtype}",
                        lambda k=kind, s=store, v=values, w=weighted: mixture(k, s, v, w, sample_rows=1500),
                    )
        values, store = rows[4], stores[4, "float64"]
        for start in ("k-means++", "random", "random_from_data"):
            yield (
                f"{kind} {start}",
                lambda k=kind, s=start, v=values: mixture(k, v, v, init_params=s, n_init=2, max_iter=30),
            )
        yield (
            f"{kind} k-means|| plain",
            lambda k=kind, s=store, v=values: mixture(
                k, s, v, sample_rows=1500, init_params="k-means||", algorithm="em", max_iter=20
            ),
        )
        for moves in (False, True):
            yield (
                f"bayes {kind} moves={moves} memory",
                lambda k=kind, v=values, m=moves: bayes(k, v, v, moves=m),
            )
            yield (
                f"bayes {kind} moves={moves} zarr",
                lambda k=kind, s=store, v=values, m=moves: bayes(k, s, v, moves=m, sample_rows=1500),
            )
        yield f"bayes {kind} em", lambda k=kind, v=values: bayes(k, v, v, algorithm="em")
    yield "sweep memory", lambda: sweep(rows[4][:1500])
    yield "sweep zarr", lambda: sweep(stores[4, "float64"], sample_rows=1500)
    yield "sweep zarr float32", lambda: sweep(stores[4, "float32"], sample_rows=1500)
    yield "sweep held out", lambda: sweep(stores[4, "float64"], sample_rows=1500, criterion="held-out")
    yield "sweep unpruned", lambda: sweep(stores[4, "float64"], sample_rows=1500, prune=False, max_iter=10)


def main() -> None:
    """Record, or compare."""
    what, path = sys.argv[1], Path(sys.argv[2])
    found, seconds = {}, {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, fit in cases(Path(folder)):
            started = time.perf_counter()
            found[name] = fit()
            seconds[name] = time.perf_counter() - started
    if what == "record":
        path.write_text(json.dumps(found, indent=1))
        print(f"{len(found)} results recorded in {sum(seconds.values()):.0f} s")
        return
    before = json.loads(path.read_text())
    other = [(name, before.get(name, "-")[:12], found.get(name, "-")[:12]) for name in {**before, **found}]
    other = [row for row in other if row[1] != row[2]]
    if other:
        print_table("What is not as it was", ["fit", "before", "now"], other)
        sys.exit(1)
    print(f"{len(found)} results as they were, in {sum(seconds.values()):.0f} s")


if __name__ == "__main__":
    main()
