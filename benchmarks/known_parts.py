"""Labels and groups: what they cost in a pass, whether they are exact, and what few labels are worth.

    python benchmarks/known_parts.py [--rows 1000000] [--repeats 7] [--only passes|exact|few]

First a pass over rows in memory, by one thread: plain, and with 1, 10, 1,000 and 10,000 groups, rows of which
are together or in random order, with labels, and with weights of components for each row; in turn, the least
time of several. Then, on iris, labels of all rows beside the closed form, and groups beside EM written out in
NumPy. Last, the accuracy of predictions for the digits and iris where few rows have labels, beside that of a
mixture without any, whose components are called by the class that most of their rows have.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import print_table, rows_of, synthetic_mixture
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

from dgmm import GaussianMixture
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.kernels import expect
from dgmm.kernels.kernel import Part
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.passes.blas import single_threaded

GROUPS = (1, 10, 1000, 10_000)
SIZES = (("full", 10, 16), ("diag", 10, 16), ("full", 2, 8), ("full", 30, 16))
LABELS = (0, 1, 3, 10, 30)


def known_of(kind: str, n_rows: int, n_components: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return what is known, and the columns beside rows that tell it."""
    if kind == "labels of all":
        return KnownParts(None, n_components), rng.integers(n_components, size=(n_rows, 1)).astype(float)
    if kind == "labels of 1%":
        labels = np.where(rng.random(n_rows) < 0.01, rng.integers(n_components, size=n_rows), -1)
        return KnownParts(None, n_components), labels[:, None].astype(float)
    if kind == "weights":
        return KnownParts(None, 0, n_components), rng.dirichlet(np.ones(n_components), n_rows)
    n_groups = int(kind.split(maxsplit=1)[0].replace(",", ""))
    groups = rng.integers(n_groups, size=n_rows)
    groups = groups if kind.endswith("mixed") else np.sort(groups)
    return KnownParts(np.arange(float(n_groups))), groups[:, None].astype(float)


def fitted_to(mixture: GaussianMixture, rows: np.ndarray, **known: Any) -> GaussianMixture:
    """Fit a mixture, that need not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixture.fit(rows, **known)


def pass_of(
    ready: Stack, rows: np.ndarray, known: KnownParts | None = None, columns: Any = None
) -> Callable[[], Any]:
    """Return what makes an E-step, in pieces as a pass makes it: priors are looked up within."""

    def run() -> Any:
        pieces = (slice(start, start + 2**16) for start in range(0, len(rows), 2**16))
        if known is None:
            return expect(ready, [(rows[piece], None) for piece in pieces])
        return expect(ready, (Part(rows[own], None, known.priors(ready, columns[own])) for own in pieces))

    return run


def passes(n_rows: int, repeats: int) -> None:
    """Time passes."""
    found = []
    kinds = [f"{n:,} groups, {how}" for n in GROUPS for how in ("together", "mixed")]
    kinds += ["labels of 1%", "labels of all", "weights"]
    for family, n_features, n_components in SIZES:
        rng = np.random.default_rng(0)
        rows = rows_of(synthetic_mixture(n_components, n_features), n_rows, 0)
        fitted = GaussianMixture(n_components, covariance_type=family, random_state=0, max_iter=3)
        model = fitted_to(fitted, rows[:20_000])._parameters
        centre, extent = rows.mean(axis=0), np.abs(rows - rows.mean(axis=0)).max(axis=0)
        plain = stack_models([model], centre, extent, rows.dtype)
        work = {"plain": pass_of(plain, rows)}
        for kind in kinds:
            known, columns = known_of(kind, n_rows, n_components, rng)
            ready = stack_models([model], centre, extent, rows.dtype, n_groups=known.n_groups)
            work[kind] = pass_of(ready, rows, known, columns)
        taken = dict.fromkeys(work, np.inf)
        with single_threaded():
            for _ in range(repeats):
                for kind, run in work.items():
                    started = time.process_time()
                    run()
                    taken[kind] = min(taken[kind], time.process_time() - started)
        for kind, seconds in taken.items():
            ratio = seconds / taken["plain"]
            found.append((family, n_features, n_components, kind, f"{seconds:.3f}", f"{ratio:.2f}x"))
    print_table("passes", ("covariance", "D", "K", "known", "s", "of plain"), found)


def exact() -> None:
    """Compare with the closed form, and with EM written out."""
    loaded: Any = load_iris(return_X_y=True)
    rows, classes = loaded
    rng = np.random.default_rng(0)
    rows = rows + 0.01 * rng.normal(size=rows.shape)
    found = []
    for family in FAMILIES:
        mixture = GaussianMixture(3, covariance_type=family, reg_covar=0.0, random_state=0)
        mixture.fit(rows, labels=classes)
        means = np.stack([rows[classes == k].mean(axis=0) for k in range(3)])
        error = float(np.abs(mixture.means_ / means - 1.0).max())
        covariances = "" if family != "full" else _covariance_error(mixture, rows, classes)
        found.append((family, f"{error:.1e}", covariances))
    print_table("labels of all rows", ("covariance", "means, relative error", "covariances"), found)
    groups = rng.integers(5, size=len(rows))
    start = GaussianMixture(3, random_state=0, max_iter=2, tol=0.0)
    settings = {"algorithm": "em", "tol": 0.0, "reg_covar": 0.0, "max_iter": 30}
    begun = fitted_to(start, rows)
    mixture = GaussianMixture(
        3, weights_init=begun.weights_, means_init=begun.means_, precisions_init=begun.precisions_, **settings
    )
    mixture = fitted_to(mixture, rows, groups=groups)
    weights, means, covariances = np.tile(begun.weights_, (5, 1)), begun.means_, begun.covariances_
    for _ in range(30):
        pairs = zip(means, covariances, strict=True)
        joint = np.stack([multivariate_normal.logpdf(rows, *own) for own in pairs], axis=1)
        joint += np.log(weights)[groups]
        shares = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
        counts = shares.sum(axis=0)
        means = shares.T @ rows / counts[:, None]
        gaps = rows - means[:, None, :]
        covariances = np.einsum("nk,kni,knj->kij", shares, gaps, gaps) / counts[:, None, None]
        weights = np.stack([shares[groups == g].mean(axis=0) for g in range(5)])
    errors = [np.abs(mixture.group_weights_ - weights).max(), np.abs(mixture.means_ / means - 1.0).max()]
    print("groups, 30 steps beside EM written out, largest errors:")
    print(f"weights of groups {errors[0]:.1e}, means {errors[1]:.1e} (relative)")


def _covariance_error(mixture: GaussianMixture, rows: np.ndarray, classes: np.ndarray) -> str:
    own = np.stack([np.cov(rows[classes == k].T, bias=True) for k in range(3)])
    return f"{np.abs(mixture.covariances_ / own - 1.0).max():.1e}"


def few(repeats: int) -> None:
    """Say what few labels are worth."""
    found = []
    loaded: Any = load_digits(return_X_y=True), load_iris(return_X_y=True)
    (digits, digit_classes), (iris, iris_classes) = loaded
    digits = PCA(20, random_state=0).fit_transform(digits)
    for name, rows, classes, family in (
        ("iris", iris, iris_classes, "full"),
        ("digits, 20 components", digits, digit_classes, "tied"),
    ):
        n_classes = classes.max() + 1
        for n_labels in LABELS:
            right = []
            for seed in range(repeats):
                rng = np.random.default_rng(seed)
                labels = np.full(len(rows), -1)
                for k in range(n_classes):
                    chosen = rng.choice(np.flatnonzero(classes == k), n_labels, replace=False)
                    labels[chosen] = k
                mixture = GaussianMixture(
                    n_classes, covariance_type=family, random_state=seed, reg_covar=1e-3
                )
                predicted = fitted_to(mixture, rows, labels=labels).predict(rows)
                if n_labels == 0:  # components are called by the class of most of their rows
                    names = [
                        np.bincount(classes[predicted == k], minlength=1).argmax() for k in range(n_classes)
                    ]
                    predicted = np.array(names)[predicted]
                unknown = labels == -1
                right.append((predicted == classes)[unknown].mean())
            found.append(
                (name, family, n_labels, f"{100 * np.mean(right):.1f}%", f"{100 * np.min(right):.1f}%")
            )
    print_table("few labels", ("rows", "covariance", "labels a class", "right, mean", "least"), found)


def main() -> None:
    """Print all tables, or one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", choices=("passes", "exact", "few"))
    given = parser.parse_args()
    if given.only in {None, "passes"}:
        passes(given.rows, given.repeats)
    if given.only in {None, "exact"}:
        exact()
    if given.only in {None, "few"}:
        few(given.repeats)


if __name__ == "__main__":
    main()
