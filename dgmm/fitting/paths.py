"""Starts for every number of components, on a sample: grown by splits, pruned by merges, the best kept.

A model of K + 1 components starts from the best one of K, with the component split that gains most; on the
way back a model of K starts from the best one of K + 1, with the two components merged that cost least.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dgmm.fitting.in_memory import Climb, InMemory, climb
from dgmm.fitting.moves import best_splits, merge, merge_costs, split
from dgmm.fitting.search import Rows, ShortRun
from dgmm.fitting.starts import Given, StartMethod, start
from dgmm.fitting.survey import Sample
from dgmm.model.families import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from dgmm.passes.blas import single_threaded_blas
from dgmm.passes.tasks import run_tasks

Starts = dict[tuple[str, int], Parameters]

SPLITS, MERGES = 2, 2
"""The best splits and merges that are tried, for each number of components."""

STEPS, TOLERANCE = 15, 1e-4
"""The most EM steps from a move, and the gain in nats a row that ends them."""

PATH_ROWS = 25_000
"""Rows that a path is walked on: moves need few rows to be compared."""

POLISH_STEPS, POLISH_TOLERANCE = 20, 1e-5
"""EM steps of the best start of each model on the whole sample, and the gain that ends them."""


@dataclass(frozen=True)
class PathSettings:
    """How starts are searched for.

    Attributes
    ----------
    covariance_type : str
    n_components : tuple of int
        Those that starts are wanted for.
    init_params : str
        Starts of this kind compete with those of the path; ``search`` for the short runs of
        `dgmm.fitting.search`.
    n_init : int
        How many of them, for each number of components; twice as many short runs.
    reg_covar : float
    seed : int
    """

    covariance_type: str
    n_components: tuple[int, ...]
    init_params: str
    n_init: int
    reg_covar: float
    seed: int


def find_starts(paths: Sequence[PathSettings], sample: Sample, reg_covar: float) -> Starts:
    """Find a start for each model, by tasks on the ambient Dask scheduler.

    Parameters
    ----------
    paths : sequence of PathSettings
        One for each covariance type.
    sample : Sample
        Paths are walked on some of its rows; all of them polish the starts.
    reg_covar : float

    Returns
    -------
    dict of (covariance type, n_components) to Parameters
        Lacks the models for which no start was found.
    """
    few = replace(sample, size=PATH_ROWS).drawn()
    walked = run_tasks(walk, paths, few, "paths of starts")
    found = {
        (path.covariance_type, n_components): parameters
        for path, each in zip(paths, walked, strict=True)
        for n_components, parameters in each.items()
    }
    if len(few.values) == len(sample.values):
        return found
    # The largest first, so that no thread has to wait for them alone.
    order = sorted(found, key=lambda model: -found[model].n_parameters)
    polishing = partial(polish, reg_covar=reg_covar)
    polished = run_tasks(polishing, [found[model] for model in order], sample, "starts on the sample")
    return dict(zip(order, polished, strict=True))


def polish(parameters: Parameters, sample: Sample, *, reg_covar: float) -> Parameters:
    """Make EM steps on the whole sample."""
    data = InMemory.of(sample.values, sample.weights)
    try:
        return climb(data, parameters, reg_covar, POLISH_STEPS, POLISH_TOLERANCE).parameters
    except DegenerateCovarianceError:
        return parameters


def walk(settings: PathSettings, sample: Sample) -> dict[int, Parameters]:
    """Find the best start for each number of components: see the module.

    Parameters
    ----------
    settings : PathSettings
    sample : Sample

    Returns
    -------
    dict of int to Parameters
        Lacks those numbers for which no start was found: components would have too few rows.
    """
    data = InMemory.of(sample.values, sample.weights)
    reg_covar, wanted = settings.reg_covar, settings.n_components
    best: dict[int, Climb] = {}

    def compete(parameters: Iterable[Parameters]) -> None:
        for each in parameters:
            try:
                found = climb(data, each, reg_covar, STEPS, TOLERANCE)
            except DegenerateCovarianceError:
                continue
            before = best.get(each.n_components)
            if before is None or found.log_likelihood > before.log_likelihood:
                best[each.n_components] = found

    with single_threaded_blas():
        compete([single(settings.covariance_type, data.moments, reg_covar)])
        for n_components in range(2, max(wanted) + 1):
            compete(_grown(data, best.get(n_components - 1), reg_covar))
            if n_components in wanted:
                compete(_started(settings, sample, data, n_components))
        for n_components in range(max(wanted) - 1, max(1, min(wanted) - 1), -1):
            compete(_pruned(best.get(n_components + 1)))
    return {n_components: best[n_components].parameters for n_components in wanted if n_components in best}


def single(covariance_type: str, moments: Moments, reg_covar: float) -> Parameters:
    """Give the mixture of one component: the moments of the rows are its parameters."""
    covariance = moments.scatter / moments.weight + reg_covar * np.eye(len(moments.mean))
    variances = np.diagonal(covariance)
    covariances = {
        "full": covariance[None],
        "tied": covariance,
        "diag": variances[None],
        "spherical": np.array([variances.mean()]),
    }[covariance_type]
    return Parameters.from_covariances(covariance_type, np.ones(1), moments.mean[None], covariances)


def _grown(data: InMemory, smaller: Climb | None, reg_covar: float) -> Iterator[Parameters]:
    """Split the best mixture of one component less."""
    if smaller is not None:
        for move in best_splits(data, smaller.parameters, reg_covar)[:SPLITS]:
            yield split(smaller.parameters, move)


def _pruned(larger: Climb | None) -> Iterator[Parameters]:
    """Merge two components of the best mixture of one more."""
    if larger is not None:
        costs = merge_costs(larger.parameters)
        first, second = np.triu_indices(len(costs), 1)
        for pair in np.argsort(costs[first, second], kind="stable")[:MERGES]:
            yield merge(larger.parameters, int(first[pair]), int(second[pair]))


def _started(
    settings: PathSettings, sample: Sample, data: InMemory, n_components: int
) -> Iterator[Parameters]:
    """Start from clusters of the sample, or as is asked for."""
    method = StartMethod(settings.init_params, settings.covariance_type, n_components, settings.reg_covar)
    random_state = np.random.RandomState(settings.seed)
    if settings.init_params != "search":
        for _ in range(settings.n_init):
            yield start(method, Given(), sample, data, random_state)
        return
    for number in range(2 * settings.n_init):  # by turns on features of unit variance, and uncorrelated ones
        run = ShortRun(method, number % 2, int(random_state.randint(2**31 - 1)), len(sample.values))
        found = run(Rows(sample.values, sample.weights))
        if found is not None:
            yield found.parameters
