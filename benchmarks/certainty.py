"""How sure is right: coverage of intervals, size and power of tests, what misfit finds, and what each takes.

``python benchmarks/certainty.py`` prints all tables; ``--quick`` has a tenth of the simulations.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import make_zarr, print_table, synthetic_mixture
from scipy.special import ndtr

from dgmm import GaussianMixture
from dgmm.estimators.certainty import KINDS
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.bootstrap import NullHypothesis, SideInformation, likelihood_ratio
from dgmm.kernels.densities import log_densities
from dgmm.model.families import FAMILIES, family_named
from dgmm.model.generate import rows_of_components
from dgmm.model.information import SingularInformationError
from dgmm.model.parameters import Parameters
from dgmm.passes.events import Event, PassFinished, listening

MEANS = np.array([[0.0, 0.0], [4.0, 1.0]])
WEIGHTS = np.array([0.6, 0.4])
COVARIANCES = np.array([[[1.0, 0.4], [0.4, 1.5]], [[1.5, -0.5], [-0.5, 0.8]]])


def truth_of(family: str) -> Parameters:
    """Return a mixture of a family near the one above."""
    own = family_named(family)
    matrices = COVARIANCES.mean(axis=0) if own.is_shared else COVARIANCES
    return Parameters.from_covariances(own, WEIGHTS, MEANS, own.projected(matrices))


def rows_of(
    truth: Parameters, n_rows: int, generator: np.random.Generator, degrees: float = np.inf
) -> np.ndarray:
    """Draw rows, of normal components or of Student's t with the same covariances."""
    labels = generator.choice(len(truth.weights), n_rows, p=truth.weights)
    factors = np.linalg.cholesky(truth.covariance_matrices)[labels]
    noise = (factors @ generator.normal(size=(n_rows, truth.n_features, 1)))[..., 0]
    if np.isfinite(degrees):
        scale = generator.chisquare(degrees, n_rows) / (degrees - 2.0)
        noise /= np.sqrt(scale)[:, None]
    return truth.means[labels] + noise


def with_third(two: Parameters, weight: float, mean: list[float]) -> Parameters:
    """Return the mixture above with a third component."""
    return Parameters.from_covariances(
        two.family,
        np.array([0.65 - weight, 0.35, weight]),
        np.concatenate([two.means, [mean]]),
        np.concatenate([two.covariances, [np.eye(2)]]),
    )


def fit(rows: np.ndarray, start: Parameters, family: str, **side_information: Any) -> GaussianMixture:
    """Fit from where it should be, so that components keep their numbers; with what is known of rows."""
    mixture = GaussianMixture(
        len(start.weights),
        covariance_type=family,
        tol=1e-9,
        max_iter=2000,
        reg_covar=0.0,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.atleast_1d(start.precisions),
    )
    return mixture.fit(rows, **side_information)


SHARES = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
"""Weights of the components in each of three groups."""

KNOWN = ("labels", "groups", "errors", "groups and errors")


def rows_with(
    known: str, truth: Parameters, n_rows: int, generator: np.random.Generator, degrees: float = np.inf
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw rows of which something is known, or nothing: groups, labels of three rows in ten, errors."""
    if not known:
        return rows_of(truth, n_rows, generator, degrees), {}
    side_information: dict[str, np.ndarray] = {}
    weights = np.tile(truth.weights, (n_rows, 1))
    if "groups" in known:
        side_information["groups"] = np.arange(n_rows) % len(SHARES)
        weights = SHARES[side_information["groups"]]
    labels = (generator.uniform(size=n_rows) > weights[:, 0]).astype(int)
    if "labels" in known:
        side_information["labels"] = np.where(generator.uniform(size=n_rows) < 0.3, labels, -1)
    rows = rows_of_components(truth, labels, generator)
    if "errors" in known:
        side_information["errors"] = generator.uniform(
            0.1, 2.0, rows.shape
        )  # variances, about those of the components
        rows = rows + generator.normal(size=rows.shape) * np.sqrt(side_information["errors"])
    return rows, side_information


def coverage(
    family: str, n_rows: int, n_simulations: int, degrees: float = np.inf, known: str = ""
) -> list[list[object]]:
    """Return the share of simulations in which the interval of each parameter holds it, of both kinds."""
    truth, generator = truth_of(family), np.random.default_rng(7)
    pseudo = truth
    if np.isfinite(degrees):  # the mixture that is nearest to the rows, by many of them
        pseudo = fit(rows_of(truth, 1_000_000, generator, degrees), truth, family)._parameters
    values = {name: np.asarray(getattr(pseudo, name)) for name in ("weights", "means", "covariances")}
    if "groups" in known:
        values["weights"], values["group_weights"] = SHARES.mean(axis=0), SHARES
    held: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for _ in range(n_simulations):
        rows, side_information = rows_with(known, truth, n_rows, generator, degrees)
        mixture = fit(rows, pseudo, family, **side_information)
        for kind in KINDS:
            found = mixture.standard_errors(rows, kind, **side_information).intervals(0.95)
            ends = [(getattr(found, name), value) for name, value in values.items()]
            inside = [(each[..., 0] <= value) & (value <= each[..., 1]) for each, value in ends]
            held[kind].append(np.concatenate([each.ravel() for each in inside]))
    rows_are = f"t, {degrees:g} d.f." if np.isfinite(degrees) else "normal"
    lines: list[list[object]] = []
    for kind, each in held.items():
        shares = np.mean(each, axis=0)
        said = [f"{share:.1%}" for share in (shares.mean(), shares.min(), shares.max())]
        lines.append([family, known or rows_are, kind, f"{n_rows:,}", n_simulations, len(shares), *said])
    return lines


def vuong_p(pair: Sequence[Parameters], rows: np.ndarray, price: float) -> float:
    """Return the chance of Vuong's statistic of a mixture and a larger one."""
    fewer, more = pair
    differences = log_densities(more, rows) - log_densities(fewer, rows)
    deviation = differences.std() * len(rows) ** 0.5
    return float(ndtr(-(differences.sum() - price) / deviation)) if deviation > 0.0 else 1.0


def vuong_of(name: str, truth: Parameters, n_rows: int, n_simulations: int) -> list[object]:
    """Return how often K + 1 = 3 rather than K = 2 is called nearer to the truth by Vuong's tests, at 5%.

    Each is fitted as scikit-learn fits it, from two starts; once to all rows, once to half of them.
    """
    generator, counts = np.random.default_rng(17), np.zeros(2)
    n_parameters = 1 + truth.n_features * (truth.n_features + 3) / 2
    for _ in range(n_simulations):
        rows, half = rows_of(truth, n_rows, generator), n_rows // 2
        pair = [GaussianMixture(k, n_init=2, tol=1e-5, max_iter=300, random_state=0) for k in (2, 3)]
        whole = [mixture.fit(rows)._parameters for mixture in pair]
        counts[0] += vuong_p(whole, rows, 0.5 * n_parameters * np.log(n_rows)) < 0.05
        parts = [mixture.fit(rows[:half])._parameters for mixture in pair]
        counts[1] += vuong_p(parts, rows[half:], 0.0) < 0.05
    return [name, f"{n_rows:,}", n_simulations, *(f"{share:.1%}" for share in counts / n_simulations)]


def side_information_of(columns: dict[str, np.ndarray]) -> SideInformation:
    """Return what is known of rows as columns beside them."""
    if not columns:
        return SideInformation()
    in_order = [columns[name] for name in ("errors", "groups", "labels") if name in columns]
    n_errors = columns["errors"].shape[1] if "errors" in columns else 0
    parts = KnownParts(
        groups=np.arange(float(len(SHARES))) if "groups" in columns else None,
        n_labels=2 if "labels" in columns else 0,
        n_before=n_errors,
    )
    is_known = len(columns) > ("errors" in columns)
    return SideInformation(np.column_stack(in_order).astype(float), parts if is_known else None, n_errors)


def tests_of(name: str, truth: Parameters, n_rows: int, n_simulations: int, known: str) -> list[object]:
    """Return how often K + 1 = 3 rather than K = 2 is called needed, by the bootstrap, at 5%.

    One sample is drawn in each simulation, and the ratios of all are the distribution that those of the rows
    are held against (the warp-speed bootstrap of Giacomini, Politis and White 2013).
    """
    generator, objective = np.random.default_rng(11), Likelihood(1e-6)
    start = truth_of("full")
    if "groups" in known:
        start = replace(start, group_weights=SHARES)
    ratios, drawn = [], []
    for simulation in range(n_simulations):
        rows, columns = rows_with(known, truth, n_rows, generator)
        side_information = side_information_of(columns)
        fewer, ratio = likelihood_ratio(rows, start, 3, objective, side_information)
        ratios.append(ratio)
        drawn.append(
            NullHypothesis(fewer, 3, n_rows, objective, simulation, side_information).ratio_of_sample(0)
        )
    rejected = np.mean(np.array(ratios) > np.nanquantile(drawn, 0.95))
    return [name, f"{n_rows:,}", n_simulations, f"{rejected:.1%}"]


def misfits(n_rows: int, n_simulations: int, degrees: float) -> list[object]:
    """Return how often, of five components, the one of Student's t is found, and others are called so too."""
    generator = np.random.default_rng(13)
    centres = np.array([[0, 0], [7, 0], [0, 7], [7, 7], [3, 14]], float)
    n_found = n_others = 0
    for _ in range(n_simulations):
        rows = []
        for k, centre in enumerate(centres):
            noise = generator.normal(size=(n_rows, 2))
            if k == 2:
                noise /= np.sqrt(generator.chisquare(degrees, n_rows) / degrees)[:, None]
            rows.append(centre + noise)
        mixture = GaussianMixture(5, means_init=centres, tol=1e-6, max_iter=1000).fit(np.concatenate(rows))
        wrong = ~mixture.misfit(np.concatenate(rows)).is_gaussian
        n_found += wrong[2]
        n_others += wrong.sum() - wrong[2]
    return [
        f"{degrees:g}",
        f"{n_rows:,}",
        n_simulations,
        f"{n_found / n_simulations:.1%}",
        f"{n_others / n_simulations / 4:.2%}",
    ]


def costs(folder: Path, n_rows: int) -> list[list[object]]:
    """Return what each takes, in passes and beside a pass of EM."""
    lines = []
    for n_components, n_features, family in (
        (8, 4, "full"),
        (8, 10, "full"),
        (8, 10, "diag"),
        (16, 10, "full"),
    ):
        mixture = synthetic_mixture(n_components, n_features)
        path = folder / f"rows-{n_components}-{n_features}.zarr"
        make_zarr(path, mixture, n_rows, 50_000)
        model = GaussianMixture(
            n_components,
            covariance_type=family,
            means_init=mixture.means,
            max_iter=3,
            algorithm="em",
            sample_rows=20_000,
        )
        model.fit(str(path))
        seconds = min(model.history_["seconds"])
        calls = [
            ("standard errors", partial(model.standard_errors, str(path))),
            ("the same, sandwich", partial(model.standard_errors, str(path), "sandwich")),
            ("misfit", partial(model.misfit, str(path))),
        ]
        for name, call in calls:
            events: list[Event] = []
            # What follows a pass fails where three steps of EM are not near a maximum: that is no matter.
            started = time.perf_counter()
            with listening(events.append), suppress(SingularInformationError):
                call()
            took = time.perf_counter() - started
            n_passes = sum(isinstance(event, PassFinished) for event in events)
            lines.append(
                [
                    name,
                    f"{n_components} {family} of {n_features} features",
                    f"{n_rows:,}",
                    n_passes,
                    f"{took:.2f}",
                    f"{took / seconds:.1f}",
                ]
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", default="coverage,misfit,tests,vuong,costs")
    given = parser.parse_args()
    parts, tenth = given.parts.split(","), 10 if given.quick else 1
    warnings.simplefilter("ignore")
    if "coverage" in parts:
        header = [
            "covariance",
            "rows are, or have",
            "kind",
            "rows",
            "simulations",
            "intervals",
            "mean",
            "least",
            "most",
        ]
        cases = [("full", 2000, 10.0, ""), *((family, 1000, np.inf, "") for family in FAMILIES)]
        cases += [("full", 2000, 5.0, "")]
        cases += [(family, 1000, np.inf, known) for family in ("full", "tied_diag") for known in KNOWN]
        for family, n_rows, degrees, known in cases:
            lines = coverage(family, n_rows, 1000 // tenth, degrees, known)
            print_table(f"Coverage of 95% intervals, {family}", header, lines)
    if "misfit" in parts:
        cases = ((5.0, 500), (5.0, 2000), (10.0, 2000), (10.0, 10_000))
        lines = [misfits(n_rows, 200 // tenth, degrees) for degrees, n_rows in cases]
        header = ["degrees of freedom", "rows of each", "simulations", "found", "others, each"]
        print_table("One component of five is Student's t", header, lines)
    two = truth_of("full")
    near = {0.1: [2.0, 4.5], 0.08: [1.8, 3.6]}  # the third component, by its weight
    truths = {"2": two, **{f"3, the third of weight {w}": with_third(two, w, near[w]) for w in near}}
    what = "3 components rather than 2 are called needed, at 5%"
    if "tests" in parts:
        cases = [*((name, truth, "") for name, truth in truths.items())]
        cases += [(f"2, with {known}", two, known) for known in KNOWN]
        for name, truth, known in cases:
            line = tests_of(name, truth, 300, 500 // tenth, known)
            print_table(f"{what}: by the bootstrap", ["true", "rows", "simulations", "bootstrap"], [line])
    if "vuong" in parts:
        header = ["true", "rows", "simulations", "Vuong, Schwarz's correction", "Vuong, held out"]
        lines = [vuong_of(name, truth, 300, 500 // tenth) for name, truth in truths.items()]
        print_table(f"{what}: by Vuong's tests", header, lines)
    if "costs" in parts:
        with tempfile.TemporaryDirectory() as folder:
            lines = costs(Path(folder), 2_000_000 // tenth)
        print_table("What it takes", ["", "mixture", "rows", "passes", "s", "passes of EM"], lines)


if __name__ == "__main__":
    main()
