"""The search for starts on a sample: short runs, and mixtures that grow, with split and merge moves.

What is the best on the rows that it was fitted to can be spurious, a component on a handful of rows. So the
last word is with rows of the sample that are held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.growth import Grower
from dgmm.fitting.starts.methods import StartMethod, from_labels
from dgmm.fitting.starts.moves import FEW_STEPS, Move, apply, cheapest_merge, merge_costs, split_and_merge
from dgmm.fitting.starts.splits import best_splits, shares
from dgmm.fitting.starts.trials import TrialTuning, first_that_gains
from dgmm.fitting.steps.climb import Climb, climb, log_likelihood
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.tasks import run_tasks

N_STARTS, SHORT_STEPS, SHORT_ROWS, SHORT_ROWS_OF_COMPONENT = 8, 15, 20 * 2**10, 300
"""Short runs: how many, their EM steps, and rows (or so many of each component, if that is more)."""

SURPLUSES = (2.0, 3.0, 2.0, 3.0)
"""Mixtures that grow in the second round, if there is one: to so many times the components wanted."""

N_MOVED, N_MOVES, CONVERGED_STEPS = 4, 8, 60
"""The best short runs of a round make at most so many moves; then at most so many EM steps to convergence."""

N_JUDGED, JUDGED_OF, N_TRIED = 4, 8, 2
"""So many splits (or one for so many components) are judged on the rows of their components; so many of these
are tried on all rows."""

ALIKE, UNSEEN = 1e-3, 0.2
"""Optima that differ by less, nats a row, are not worth more starts. There is no second round where optima
that were not found would attract a smaller share of the starts."""

N_LONG, LONG_ROWS, LONG_STEPS = 4, 4, 30
"""So many of the best of all rounds go on for at most so many steps, on so many times the rows."""

N_CANDIDATES = 3
"""Distinct mixtures that a pass over all rows is to choose from."""

SAME = 1e-4
"""Nats a row: mixtures whose log-likelihoods differ by less are the same, and steps of less are none."""

TRIALS = TrialTuning(20, SAME, 40, SAME / 3, hopeless=10 * SAME, is_enough=False)
"""Of a move: what it promises is on the rows of three components, and all rows say whether it holds. Steps as
in short runs; half and twice as many are not measured."""

HELD_OUT = 5
"""One row of so many is held out."""

Way = Literal["as they are", "unit variance", "uncorrelated"]
"""Coordinates of rows to cluster."""


@dataclass(frozen=True, eq=False)
class ShuffledRows:
    """Rows of the sample in random order, so that the first are a sample of it.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,), or None
    taken : dict
        The first rows, as they were asked for: all tasks of a process share their moments.
    """

    values: NDArray[np.floating]
    weights: Array | None
    taken: dict[int, InMemory] = field(default_factory=dict, repr=False)

    def first(self, n_rows: int) -> InMemory:
        """Take the first rows to fit to."""
        n_rows = min(n_rows, len(self.values))
        if n_rows not in self.taken:
            weights = None if self.weights is None else self.weights[:n_rows]
            self.taken[n_rows] = InMemory.of(self.values[:n_rows], weights)
        return self.taken[n_rows]


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
    centre = sample.mean
    fitted, held_out = _divided(sample.in_single_precision(centre), method.n_components)
    n_short = max(SHORT_ROWS, SHORT_ROWS_OF_COMPONENT * method.n_components)
    improve = partial(move, reg_covar=method.reg_covar, n_rows=n_short)
    longer = partial(go_on, reg_covar=method.reg_covar, n_rows=LONG_ROWS * n_short)
    seeds = random_state.randint(2**31 - 1, size=N_STARTS)
    short = [ShortRun(method, way, int(seed), n_short) for way, seed in enumerate(seeds)]
    grown = [GrownRun(method, number, n_short) for number in range(len(SURPLUSES))]
    found: list[Climb] = []
    for round_of in (short, grown):
        begun = run_tasks(_run, round_of, fitted, round_of[0].purpose)
        runs = best_of(begun, N_MOVED)
        ended = run_tasks(improve, runs, fitted, "split and merge")
        for run, end in zip(runs, ended, strict=True):  # those that were the same would end the same
            alike = [each for each in begun if each and 0 <= run.lower_bound - each.lower_bound <= SAME]
            found += [end] * len(alike)
        if unseen(found) < UNSEEN:
            break
    runs = best_of(run_tasks(longer, best_of(found, N_LONG), fitted, "longer runs"), N_LONG)
    if not runs:
        raise DegenerateCovarianceError(None)
    test = held_out.first(len(held_out.values))
    if not test.moments.weight:  # few rows, or few that have a weight
        test = fitted.first(len(fitted.values))
    scores = [log_likelihood(test, run.parameters) for run in runs]
    order = np.argsort(scores)[::-1][:N_CANDIDATES]
    return [runs[index].parameters.shifted(centre) for index in order]


def unseen(runs: Sequence[Climb]) -> float:
    """Estimate the share of starts that lead to optima which none of these runs has found.

    From n runs that ended in w optima: w (w + 1) / (n (n − 1)), the posterior mean where any number of optima
    with any shares were equally probable (Boender and Rinnooy Kan, 1987, *Bayesian stopping rules for
    multistart global optimization methods*).
    """
    n_runs, n_optima = len(runs), len(best_of(runs, len(runs), ALIKE))
    return 1.0 if n_runs < 2 else min(1.0, n_optima * (n_optima + 1) / (n_runs * (n_runs - 1)))


def _divided(sample: Sample, n_components: int) -> tuple[ShuffledRows, ShuffledRows]:
    """Divide the sample into rows to fit to, one for each component at least, and rows that are held out.

    Both are in random order.
    """
    order = np.argsort(sample.hashes, kind="stable")
    n_held_out = max(0, min(len(order) // HELD_OUT, len(order) - n_components))

    parts = sample.part(order[n_held_out:]), sample.part(order[:n_held_out])
    fitted, held_out = (ShuffledRows(part.values, part.weights) for part in parts)
    return fitted, held_out


def best_of(runs: Iterable[Climb | None], n_wanted: int, same: float = SAME) -> list[Climb]:
    """Give the runs with the highest log-likelihoods, one of each that are the ``same``."""
    kept: list[Climb] = []
    for run in sorted((run for run in runs if run is not None), key=lambda run: -run.lower_bound):
        if not kept or kept[-1].lower_bound - run.lower_bound > same:
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

    purpose: ClassVar[str] = "short runs"

    method: StartMethod
    way: int
    seed: int
    n_rows: int

    def __call__(self, rows: ShuffledRows) -> Climb | None:
        """Run, on the first of these rows; None where a covariance is not positive definite."""
        data = rows.first(self.n_rows)
        try:
            return climb(data, self.start(data), Likelihood(self.method.reg_covar), SHORT_STEPS, tol=SAME)
        except DegenerateCovarianceError:
            return None

    def start(self, data: InMemory) -> Parameters:
        """Start from clusters of these rows.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        """
        way: Way = ("unit variance", "uncorrelated")[self.way % 2]
        if self.method.family.is_round:  # the units of the data are its own
            way = "as they are"
        labels = clusters(data, self.method.n_components, way, self.seed, is_rough=bool(self.way & 2))
        return from_labels(self.method, labels, data.rows, data.row_weights, data.moments)


@dataclass(frozen=True)
class GrownRun:
    """A start that grows, and some EM steps.

    Attributes
    ----------
    method : StartMethod
    number : int
        Of `SURPLUSES`; each grows on other rows of the sample, as far as it has them.
    n_rows : int
    """

    purpose: ClassVar[str] = "growing runs"

    method: StartMethod
    number: int
    n_rows: int

    def __call__(self, rows: ShuffledRows) -> Climb | None:
        """Run, and go on on the first of these rows; None where a covariance is not positive definite."""
        method = self.method
        grow = Grower(method.family, method.n_components, method.reg_covar)
        begin = self.number * self.n_rows % max(len(rows.values) - self.n_rows + 1, 1)
        weights = None if rows.weights is None else rows.weights[begin:]
        own = ShuffledRows(rows.values[begin:], weights).first(self.n_rows)
        try:
            start = grow(own, SURPLUSES[self.number]).parameters
            if start.n_components < method.n_components:
                return None
            return climb(rows.first(self.n_rows), start, Likelihood(method.reg_covar), SHORT_STEPS, tol=SAME)
        except DegenerateCovarianceError:
            return None


def _run(run: ShortRun | GrownRun, rows: ShuffledRows) -> Climb | None:
    return run(rows)


def clusters(
    data: InMemory, n_components: int, way: Way, seed: int, *, is_rough: bool
) -> NDArray[np.integer]:
    """Cluster rows by k-means.

    Parameters
    ----------
    data : InMemory
    n_components : int
    way : str
        Coordinates in which clusters are to look round.
    seed : int
    is_rough : bool
        From random rows with two iterations only; else from k-means++, to the end.

    Returns
    -------
    ndarray of shape (n_rows,)
        The cluster of each row.
    """
    means = KMeans(
        n_components,
        init="random" if is_rough else "k-means++",
        max_iter=2 if is_rough else 300,
        n_init=1,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    )
    return np.asarray(means.fit(_coordinates(data, way), sample_weight=data.row_weights).labels_)


def _coordinates(data: InMemory, way: Way) -> NDArray[np.floating]:
    moments = data.moments
    deviations = data.rows - moments.mean.astype(data.rows.dtype)
    if way == "as they are":
        return deviations
    covariance = moments.scatter / moments.weight
    scales = np.sqrt(np.diagonal(covariance))
    scales = np.where(scales > 0.0, scales, 1.0)
    scaled = deviations / scales.astype(data.rows.dtype)
    if way == "unit variance":
        return scaled
    variances, axes = np.linalg.eigh(covariance / np.outer(scales, scales))
    return scaled @ (axes / np.sqrt(np.maximum(variances, 1e-6))).astype(data.rows.dtype)


def go_on(run: Climb, rows: ShuffledRows, *, reg_covar: float, n_rows: int) -> Climb | None:
    """Go on from a run on fewer rows; None where a covariance is not positive definite."""
    try:
        return climb(rows.first(n_rows), run.parameters, Likelihood(reg_covar), LONG_STEPS, tol=SAME / 10)
    except DegenerateCovarianceError:
        return None


def move(run: Climb, rows: ShuffledRows, *, reg_covar: float, n_rows: int) -> Climb:
    """Move components by merges and splits as long as it gains, and climb to convergence."""
    data = rows.first(n_rows)
    tried: Sequence[int] | None = None
    for _ in range(N_MOVES):
        found, tried = judged(run.parameters, data, reg_covar, tried)
        proposals = promising(run.parameters, found)
        after = first_that_gains(data, run, proposals, Likelihood(reg_covar), TRIALS, gain=SAME)
        if after is None:
            break
        run = after
    try:
        return climb(data, run.parameters, Likelihood(reg_covar), CONVERGED_STEPS, tol=SAME / 10)
    except DegenerateCovarianceError:
        return run


def promising(parameters: Parameters, moves: Sequence[Move]) -> Iterator[Parameters]:
    """Give a mixture with all moves that gain by their bounds, then with the best moves one by one."""
    gaining: list[Move] = []
    for each in moves:
        taken = {component for other in gaining for component in other.components}
        if each.gain > SAME and taken.isdisjoint(each.components):
            gaining.append(each)
    if len(gaining) > 1:
        yield reduce(apply, gaining, parameters)
    for each in moves[:N_TRIED]:
        yield apply(parameters, each)


def judged(
    parameters: Parameters, data: InMemory, reg_covar: float, tried: Sequence[int] | None
) -> tuple[list[Move], list[int]]:
    """Judge the most promising splits, each with the cheapest merge of others.

    Parameters
    ----------
    parameters : Parameters
    data : InMemory
    reg_covar : float
    tried : sequence of int or None
        The components to split: those that promised most before; None for all.

    Returns
    -------
    moves : list of Move
        The best first.
    tried : list of int
        Components to split the next time.
    """
    n_judged = max(N_JUDGED, parameters.n_components // JUDGED_OF)
    costs, share, found = merge_costs(parameters), shares(data, parameters), []
    splits = best_splits(data, parameters, reg_covar, FEW_STEPS, tried, share=share)[: 2 * n_judged]
    left = costs.copy()
    for candidate in splits[:n_judged]:
        # A merge of its own, where that can pay: moves that share no component are made together.
        pair = _cheapest(left, candidate.component)
        if not left[pair] < candidate.gain:
            pair = _cheapest(costs, candidate.component)
        left[[candidate.component, *pair]] = left[:, [candidate.component, *pair]] = np.inf
        if np.isfinite(costs[pair]):
            with suppress(DegenerateCovarianceError):
                found.append(split_and_merge(data, share, parameters, candidate, pair, reg_covar=reg_covar))
    again = {candidate.component for candidate in splits} | {k for move in found for k in move.components}
    return sorted(found, key=lambda move: -move.gain), sorted(again)


def _cheapest(costs: Array, spared: int) -> tuple[int, int]:
    """Find the two components that it costs least to merge, other than the one spared."""
    others = costs.copy()
    others[spared] = others[:, spared] = np.inf
    return cheapest_merge(others)
