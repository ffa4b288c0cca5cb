"""The search for starts on a sample: many short runs, the best taken further, with split and merge moves.

What is the best on the rows that it was fitted to can be spurious, a component on a handful of rows. So the
last word is with rows of the sample that are held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from dgmm.fitting.in_memory import Climb, InMemory, climb
from dgmm.fitting.moves import best_splits, merge, merge_costs, split
from dgmm.fitting.starts import StartMethod, from_labels
from dgmm.fitting.survey import Sample
from dgmm.model.families import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.tasks import run_tasks

N_STARTS, SHORT_STEPS, SHORT_ROWS, SHORT_ROWS_OF_COMPONENT = 24, 15, 20_000, 300
"""Short runs: how many, their EM steps, and rows (or so many of each component, if that is more)."""

N_CONVERGED, LONG_STEPS, LONG_ROWS = 8, 60, 4
"""The best short runs go on for at most so many steps, on so many times the rows."""

N_MOVED, N_MOVES, N_TRIED, MOVE_STEPS = 4, 8, 3, 15
"""The best of these make at most so many moves; so many are tried for each, with so many EM steps."""

N_CANDIDATES = 3
"""Distinct mixtures that a pass over all rows is to choose from."""

SAME = 1e-4
"""Nats a row: mixtures whose log-likelihoods differ by less are the same, and steps of less are none."""

HELD_OUT = 5
"""One row of so many is held out."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of the sample in random order, so that the first are a sample of it."""

    values: NDArray[np.floating]
    weights: Array | None

    def first(self, n_rows: int) -> InMemory:
        """Take the first rows to fit to."""
        weights = None if self.weights is None else self.weights[:n_rows]
        return InMemory.of(self.values[:n_rows], weights)


def search(method: StartMethod, sample: Sample, random_state: np.random.RandomState) -> list[Parameters]:
    """Search for mixtures to start from.

    Parameters
    ----------
    method : StartMethod
    sample : Sample
    random_state : RandomState

    Returns
    -------
    list of Parameters
        At most `N_CANDIDATES`, the best on held-out rows first.

    Raises
    ------
    DegenerateCovarianceError
        Where every run ended in one.
    """
    fitted, held_out = _divided(sample)
    n_short = max(SHORT_ROWS, SHORT_ROWS_OF_COMPONENT * method.n_components)
    seeds = random_state.randint(2**31 - 1, size=N_STARTS)
    short = [ShortRun(method, way, int(seed), n_short) for way, seed in enumerate(seeds)]
    runs = best_of(run_tasks(ShortRun.__call__, short, fitted, "short runs"), N_CONVERGED)
    longer = partial(go_on, reg_covar=method.reg_covar, n_rows=LONG_ROWS * n_short)
    runs = best_of(run_tasks(longer, runs, fitted, "longer runs"), N_MOVED)
    moved = partial(move, reg_covar=method.reg_covar, n_rows=LONG_ROWS * n_short)
    runs = best_of(run_tasks(moved, runs, fitted, "split and merge"), N_MOVED)
    if not runs:
        raise DegenerateCovarianceError(None)
    test = held_out.first(len(held_out.values))
    scores = [climb(test, run.parameters, method.reg_covar, 0).log_likelihood for run in runs]
    order = np.argsort(scores)[::-1][:N_CANDIDATES]
    return [runs[index].parameters for index in order]


def _divided(sample: Sample) -> tuple[Rows, Rows]:
    """Divide the sample into rows to fit to and rows that are held out, both in random order."""
    order = np.argsort(sample.hashes, kind="stable")
    n_held_out = len(order) // HELD_OUT

    def rows(which: NDArray[np.intp]) -> Rows:
        return Rows(sample.values[which], None if sample.weights is None else sample.weights[which])

    return rows(order[n_held_out:]), rows(order[:n_held_out])


def best_of(runs: Iterable[Climb | None], n_wanted: int) -> list[Climb]:
    """Give the runs with the highest log-likelihoods, one of each that are the same."""
    kept: list[Climb] = []
    for run in sorted((run for run in runs if run is not None), key=lambda run: -run.log_likelihood):
        if not kept or kept[-1].log_likelihood - run.log_likelihood > SAME:
            kept.append(run)
    return kept[:n_wanted]


@dataclass(frozen=True)
class ShortRun:
    """A start from clusters, and a few EM steps.

    Attributes
    ----------
    method : StartMethod
    way : int
        Its last two bits say how clusters are found: on features of unit variance or on uncorrelated ones;
        by k-means from k-means++, or from random rows with two iterations only.
    seed : int
    n_rows : int
    """

    method: StartMethod
    way: int
    seed: int
    n_rows: int

    def __call__(self, rows: Rows) -> Climb | None:
        """Run, on the first of these rows; None where a covariance is not positive definite."""
        data = rows.first(self.n_rows)
        coordinates = _coordinates(data, self.method.covariance_type, uncorrelated=self.way % 2 == 1)
        clusters = KMeans(
            self.method.n_components,
            init="random" if self.way & 2 else "k-means++",
            max_iter=2 if self.way & 2 else 300,
            n_init=1,  # pyright: ignore[reportArgumentType]
            random_state=self.seed,
        )
        labels = np.asarray(clusters.fit(coordinates, sample_weight=data.row_weights).labels_)
        try:
            start = from_labels(self.method, labels, data.rows, data.row_weights)
            return climb(data, start, self.method.reg_covar, SHORT_STEPS, tol=SAME)
        except DegenerateCovarianceError:
            return None


def _coordinates(data: InMemory, covariance_type: str, *, uncorrelated: bool) -> NDArray[np.floating]:
    """Give rows in which clusters look round: in the units of the data for spherical, which are its own."""
    moments = data.moments
    deviations = data.rows - moments.mean
    if covariance_type == "spherical":
        return deviations
    covariance = moments.scatter / moments.weight
    scales = np.sqrt(np.diagonal(covariance))
    scales = np.where(scales > 0.0, scales, 1.0)
    scaled = deviations / scales
    if not uncorrelated:
        return scaled
    variances, axes = np.linalg.eigh(covariance / np.outer(scales, scales))
    return scaled @ (axes / np.sqrt(np.maximum(variances, 1e-6)))


def go_on(run: Climb, rows: Rows, *, reg_covar: float, n_rows: int) -> Climb | None:
    """Go on from a short run, on more rows; None where a covariance is not positive definite."""
    try:
        return climb(rows.first(n_rows), run.parameters, reg_covar, LONG_STEPS, tol=SAME / 10)
    except DegenerateCovarianceError:
        return None


def move(run: Climb, rows: Rows, *, reg_covar: float, n_rows: int) -> Climb:
    """Move components by a merge and a split at a time, as long as it gains."""
    data = rows.first(n_rows)
    for _ in range(N_MOVES):
        after = _moved(run, data, reg_covar)
        if after is None:
            break
        run = after
    return run


def _moved(run: Climb, data: InMemory, reg_covar: float) -> Climb | None:
    for moved in _promising(run.parameters, data, reg_covar):
        try:
            tried = climb(data, moved, reg_covar, MOVE_STEPS, tol=SAME)
            if tried.log_likelihood > run.log_likelihood - SAME:
                tried = climb(data, tried.parameters, reg_covar, LONG_STEPS, tol=SAME / 10)
        except DegenerateCovarianceError:
            continue
        if tried.log_likelihood > run.log_likelihood + SAME:
            return tried
    return None


def _promising(parameters: Parameters, data: InMemory, reg_covar: float) -> Sequence[Parameters]:
    """Give the pairs of a split and a merge of other components that promise the most."""
    costs = merge_costs(parameters)
    found = []
    for candidate in best_splits(data, parameters, reg_covar)[:N_TRIED]:
        others = costs.copy()
        others[candidate.component] = others[:, candidate.component] = np.inf
        first, second = np.unravel_index(int(others.argmin()), others.shape)
        if np.isfinite(others[first, second]):
            found.append(merge(split(parameters, candidate), int(first), int(second)))
    return found
