"""Variational Bayes: against scikit-learn, components found among too many, passes to the bound's limit.

    OMP_NUM_THREADS=1 python benchmarks/bayes.py [--part iteration components passes] [--seeds 20]

`iteration`: the same steps from the same start, one thread; both sides must give the same bounds and
posterior. `components`: ten components are offered for three. `passes`: the Gaia stars of `dgmm demo` (needs
``dgmm[demo]``), with the survey as one more pass.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import copy
import time
import warnings
from typing import Any

import numpy as np
from common import print_table, rows_of, seconds_of, synthetic_mixture
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from threadpoolctl import threadpool_limits

from dgmm import BayesianGaussianMixture
from dgmm.demo import read_stars
from dgmm.fitting.steps.objective import Belief
from dgmm.kernels import expect
from dgmm.kernels.stacking import stack_models
from dgmm.model import variational
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from dgmm.model.variational import Posterior

NEAR = 1e-5
"""Nats a row below the limit that count as reached."""

STEPS = 2
"""Steps that are compared with scikit-learn's."""

NAMES = ("weight_concentration", "mean_precision", "degrees_of_freedom", "means", "covariances")


def iterations() -> None:
    """Compare a step with scikit-learn's."""
    n_rows, n_features, n_components = 1_000_000, 10, 16
    rows = rows_of(synthetic_mixture(n_components, n_features), n_rows, 1)
    moments, table = Moments.of(rows), []
    for covariance_type in ("full", "tied", "diag", "spherical"):
        prior = Belief(
            FAMILIES[covariance_type],
            "dirichlet_process",
            1.0 / n_components,
            1.0,
            None,
            n_features,
            None,
            1e-6,
        ).prior(moments)
        variances = np.full(n_components, np.trace(moments.scatter) / n_rows / n_features)
        start = Posterior.of(
            prior,
            np.full(n_components, n_rows / n_components),
            rows[:n_components],
            {
                "full": variances[:, None, None] * np.eye(n_features),
                "tied": variances[0] * np.eye(n_features),
                "diag": np.repeat(variances[:, None], n_features, axis=1),
                "spherical": variances,
            }[covariance_type],
        )

        def ours(posterior: Posterior, prior=prior) -> tuple[float, Posterior]:
            ready = stack_models([posterior], moments.mean, moments.extent, rows.dtype)
            statistics = expect(ready, [(rows, None)])[0]
            statistics = statistics.completed(moments.scatter, posterior.precisions_cholesky)
            updated = variational.update(statistics, prior, 1e-6)
            value = statistics.log_likelihood
            return variational.bound_after(posterior, updated, statistics, value), updated

        theirs_at = sklearn_at(start, prior, n_components)

        def theirs(mixture: Any) -> tuple[float, Any]:
            made = copy.copy(mixture)
            value, log_responsibilities = made._e_step(rows, xp=np)
            made._m_step(rows, log_responsibilities, xp=np)
            return float(np.squeeze(made._compute_lower_bound(log_responsibilities, value))), made

        posterior, other, largest = start, theirs_at, 0.0
        for _ in range(STEPS):
            (bound, posterior), (expected, other) = ours(posterior), theirs(other)
            pairs = [(bound, expected)]
            pairs += [(getattr(posterior, name), np.asarray(getattr(other, f"{name}_"))) for name in NAMES]
            largest = max([largest, *(difference(found, wanted) for found, wanted in pairs)])
        assert largest < 1e-7
        started = time.perf_counter()
        theirs(theirs_at)
        their_seconds = time.perf_counter() - started
        our_seconds = seconds_of(lambda ours=ours, start=start: ours(start), 3)
        ratio = f"{their_seconds / our_seconds:.1f}x"
        table.append((covariance_type, f"{their_seconds:.3f}", f"{our_seconds:.3f}", ratio, f"{largest:.0e}"))
    header = ["covariance", "scikit-learn s", "dgmm s", "ratio", "largest relative difference"]
    print_table("One variational step, 10⁶ rows, D = 10, K = 16, float64, one thread", header, table)


def difference(found: Any, expected: Any) -> float:
    """Return the largest difference, relative to the largest value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def sklearn_at(start: Posterior, prior: Any, n_components: int) -> Any:
    """Return a scikit-learn mixture that is ready for a step from a posterior."""
    made: Any = SklearnBayesianGaussianMixture(n_components=n_components, covariance_type=start.family.name)
    for name in ("mean", "mean_precision", "degrees_of_freedom", "covariance"):
        setattr(made, f"{name}_prior_", getattr(prior, name))
    made.weight_concentration_prior_ = prior.concentration
    for name in (*NAMES, "precisions_cholesky"):
        setattr(made, f"{name}_", getattr(start, name))
    return made


def components(n_rows: int, seeds: int) -> None:
    """Count the components that are found among ten, where the rows have three."""
    table, found = [], []
    truth = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 5.0]])
    covariances = np.array([[1.0, 0.49], [0.25, 1.44], [1.0, 1.0]])[:, :, None] * np.eye(2)
    mixture = Parameters.from_covariances(FAMILIES["full"], np.array([0.5, 0.3, 0.2]), truth, covariances)
    for moves in (False, True):
        counts, seconds, passes = [], [], []
        for seed in range(seeds if moves else min(seeds, 3)):
            rows = rows_of(mixture, n_rows, seed)
            started = time.perf_counter()
            fitted = quiet(
                rows, n_components=10, weight_concentration_prior=0.01, random_state=seed, moves=moves
            )
            seconds.append(time.perf_counter() - started)
            counts.append(fitted.effective_components_)
            passes.append(fitted.n_passes_)
        found = counts
        table.append(
            (
                "yes" if moves else "no",
                len(counts),
                sum(count == 3 for count in counts),
                f"{min(counts)} to {max(counts)}",
                f"{np.median(passes):.0f}",
                f"{np.median(seconds):.1f}",
            )
        )
    header = ["moves", "seeds", "with three", "components", "passes (median)", "seconds (median)"]
    print_table(f"Ten components for three, {n_rows:,} rows, D = 2", header, table)
    print(f"\nwith moves: {found}")


def quiet(rows: np.ndarray, **parameters: Any) -> BayesianGaussianMixture:
    """Fit without a warning that it did not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return BayesianGaussianMixture(**parameters).fit(rows)


def passes(limit_passes: int) -> None:
    """Count the passes on the Gaia stars until the bound is near its limit."""
    rows = read_stars()
    own: dict[str, Any] = {"n_components": 12, "random_state": 0, "sample_rows": 100_000}
    plain = quiet(rows, **own, algorithm="em", tol=0.0, max_iter=limit_passes)
    own |= {"algorithm": "corrected", "tol": 1e-7, "max_iter": 100}
    corrected, moved = quiet(rows, **own), quiet(rows, **own, moves=True)
    table = []
    for name, fitted in (("plain", plain), ("corrected", corrected), ("corrected, moves", moved)):
        bounds = np.maximum.accumulate(fitted.lower_bounds_) / len(rows)
        # Plain bounds are of what a step makes, the others of what goes into a pass: within a step's gain.
        for label, limit in (("plain's", plain), ("its own", fitted)):
            reached = np.flatnonzero(bounds >= limit.lower_bound_ / len(rows) - NEAR)
            count = str(reached[0] + 1) if len(reached) else f"> {len(bounds)}"
            table.append((name, label, count, len(bounds), f"{fitted.elbo_ / len(rows):.6f}"))
    header = ["steps", "limit", "passes to 1e-5 nats a row below it", "passes made", "bound, nats a row"]
    title = f"{len(rows):,} Gaia stars, 12 components, limit: {limit_passes} plain passes"
    print_table(title, header, table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("iteration", "components", "passes")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    parser.add_argument("--rows", type=int, default=1_000_000, help="for ten components")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--limit-passes", type=int, default=300)
    options = parser.parse_args()
    if "iteration" in options.part:
        with threadpool_limits(1):
            iterations()
    if "components" in options.part:
        components(options.rows, options.seeds)
    if "passes" in options.part:
        passes(options.limit_passes)


if __name__ == "__main__":
    main()
