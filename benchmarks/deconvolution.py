"""Measurement errors: what they are worth, and what they cost. Prints a table for each."""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from dgmm import GaussianMixture
from dgmm.kernels import expect
from dgmm.kernels.kernel import Part
from dgmm.kernels.stacking import stack_models

N_ROWS, WIDTHS = 400_000, np.array([0.5, 1.0, 0.7])
CENTRES = np.array([[0.0, 0.0, 0.0], [5.0, 3.0, 0.0], [0.0, 5.0, 4.0]])


def measurements(n_rows: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Give rows and their variances, whatever the cluster: ``share`` times the mean variance of clusters."""
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=n_rows)
    true = CENTRES[labels] + WIDTHS[labels, None] * generator.normal(size=(n_rows, 3))
    variances = share * (WIDTHS**2).mean() * generator.uniform(0.5, 1.5, size=true.shape)
    return true + np.sqrt(variances) * generator.normal(size=true.shape), variances


def widths_of(mixture: GaussianMixture) -> np.ndarray:
    """Return the widths of components in the order of the clusters."""
    order = [int(((mixture.means_ - centre) ** 2).sum(axis=1).argmin()) for centre in CENTRES]
    return np.sqrt(np.trace(mixture.covariances_, axis1=1, axis2=2)[order] / 3.0)


def recovered() -> None:
    """Show how far widths are off with errors, and without."""
    print(f"{N_ROWS:,} rows in Zarr, 3 features, 3 full components\n")
    print("| errors' share of a variance | width off, plain | width off, with errors | passes | seconds |")
    print("|---|---|---|---|---|")
    for share in (0.3, 0.7, 2.0):
        rows, variances = measurements(N_ROWS, share)
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(folder) / name) for name in ("rows.zarr", "errors.zarr")]
            for path, values in zip(paths, (rows, variances), strict=True):
                zarr.create_array(path, data=values, chunks=(50_000, 3))
            own: dict[str, Any] = {"random_state": 0, "sample_rows": 40_000}
            plain = GaussianMixture(3, **own).fit(paths[0])
            started = time.perf_counter()
            mixture = GaussianMixture(3, **own).fit(paths[0], errors=paths[1])
            seconds = time.perf_counter() - started
        off = [np.abs(widths_of(each) / WIDTHS - 1.0).max() for each in (plain, mixture)]
        print(f"| {share:g} | {off[0]:.1%} | {off[1]:.1%} | {mixture.n_passes_} | {seconds:.1f} |")


def cost() -> None:
    """Show what an E-step takes beside one without errors, on one thread."""
    print("\nAn E-step of 100,000 rows, one thread, µs a row: fastest of 3\n")
    print("| features | components | type | plain | variances | covariances | the same of all rows |")
    print("|---|---|---|---|---|---|---|")
    generator = np.random.default_rng(0)
    for n_features, n_components in ((2, 5), (5, 10), (10, 10)):
        rows = generator.normal(scale=3.0, size=(100_000, n_features))
        variances = generator.uniform(0.1, 1.0, size=rows.shape)
        triangles = np.zeros((len(rows), n_features * (n_features + 1) // 2))
        places = np.flatnonzero(np.equal(*np.triu_indices(n_features)))
        triangles[:, places] = variances
        for kind in ("full", "diag"):
            fitted = GaussianMixture(n_components, covariance_type=kind, random_state=0, max_iter=2)
            model = fitted.fit(rows[:2000])._parameters
            figures = []
            for errors in (None, variances, triangles, np.tile(triangles[:1], (len(rows), 1))):
                n_errors = 0 if errors is None else errors.shape[1]
                extent = np.abs(rows).max(axis=0)
                ready = stack_models([model], np.zeros(n_features), extent, np.float64, n_errors=n_errors)
                parts = [Part(rows, errors=errors)]
                expect(ready, parts)
                taken = []
                for _ in range(3):
                    started = time.perf_counter()
                    expect(ready, parts)
                    taken.append(time.perf_counter() - started)
                figures.append(f"{1e6 * min(taken) / len(rows):.2f}")
            print(f"| {n_features} | {n_components} | {kind} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    cost()
    recovered()
