"""Starts for every number of components, on a sample: grown by splits, pruned by merges, the best kept.

A model of K + 1 components starts from the best one of K, with the component split that gains most; on the
way back a model of K starts from the best one of K + 1, with the two components merged that cost least.
Starts from clusters compete with these, and the best few of each K go on: where K is too small for the rows
there are many local optima, and the best of one K does not always lead to the best of the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from dgmm.fitting.growth import STEPS, TOLERANCE, Grower, single
from dgmm.fitting.in_memory import Climb, InMemory, climb, contest
from dgmm.fitting.moves import FEW_STEPS, merge, merge_costs, split
from dgmm.fitting.search import SAME, Rows, ShortRun, best_of, move
from dgmm.fitting.splits import best_splits
from dgmm.fitting.starts import Given, StartMethod, start
from dgmm.fitting.survey import Sample
from dgmm.model.families import FAMILIES, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.blas import single_threaded_blas
from dgmm.passes.tasks import run_tasks

Starts = dict[tuple[str, int], Parameters]

SPLITS, MERGES = 2, 2
"""The best splits and merges that are tried, for each number of components."""

SOUND_ROWS = 2.0
"""Times the features, and one more: components with fewer rows than this fit what is not there."""

KEPT = 3
"""Mixtures of a number of components that the path goes on from."""

N_CLUSTERINGS, SHORT_RUNS = 2, 4
"""Starts by k-means as scikit-learn has them, and short runs, for each number of components."""

SURPLUS = 2.0
"""Times the most components, to which one mixture grows: after merges it is walked on from."""

PATH_ROWS = 15_000
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
        How many of them, for each number of components; so many times `SHORT_RUNS` short runs.
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
    centre = sample.mean
    sample = sample.in_single_precision(centre)
    few = replace(sample, size=PATH_ROWS).drawn()
    paths = sorted(paths, key=lambda path: [*FAMILIES].index(path.covariance_type))  # the longest first
    walked = run_tasks(walk, paths, few, "paths of starts")
    found = {
        (path.covariance_type, n_components): parameters
        for path, each in zip(paths, walked, strict=True)
        for n_components, parameters in each.items()
    }
    if len(few.values) < len(sample.values):
        found = _polished(found, sample, reg_covar)
    return {model: parameters.shifted(centre) for model, parameters in found.items()}


def _polished(found: Starts, sample: Sample, reg_covar: float) -> Starts:
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
    rows = Rows(sample.values, sample.weights)
    path = Path(settings.reg_covar, rows, InMemory.of(rows.values, rows.weights), {}, set())
    wanted = settings.n_components
    with single_threaded_blas():
        path.compete([single(settings.covariance_type, path.data.moments, settings.reg_covar)])
        for n_components in wanted:
            path.compete(_started(settings, sample, path.data, n_components))
        if settings.init_params == "search" and max(wanted) > 1:
            grow = Grower(settings.covariance_type, max(wanted), settings.reg_covar)
            with suppress(DegenerateCovarianceError):
                path.keep(grow(path.data, SURPLUS))
        path.walk(min(wanted), max(wanted))
        for n_components in wanted:
            path.move(n_components)
        path.walk(min(wanted), max(wanted))
    return {number: path.best[number][0].parameters for number in wanted if number in path.best}


@dataclass(frozen=True, eq=False)
class Path:
    """The best mixtures found so far, for each number of components.

    Attributes
    ----------
    reg_covar : float
    rows : Rows
    data : InMemory
        The same rows.
    best : dict of int to list of Climb
        At most `KEPT` different ones, the best first; filled as the path is walked.
    walked_from : set of (str, Climb)
        Which have been split, and which merged: they are not again.
    """

    reg_covar: float
    rows: Rows
    data: InMemory
    best: dict[int, list[Climb]]
    walked_from: set[tuple[str, Climb]]

    def compete(self, starts: Iterable[Parameters]) -> None:
        """Take some EM steps from each of these, all of as many components, and keep the best."""
        for found in contest(self.data, [*starts], self.reg_covar, STEPS, TOLERANCE, n_wanted=KEPT):
            self.keep(found)

    def keep(self, found: Climb) -> None:
        """Keep a mixture if it is among the best of its number of components, and another than these.

        One with a component of hardly any rows (see `SOUND_ROWS`) is kept as long as there is no other.
        """
        kept = self.best.setdefault(found.parameters.n_components, [])
        if all(abs(found.log_likelihood - each.log_likelihood) > SAME for each in kept):
            everything = [*kept, found]
            kept[:] = best_of([each for each in everything if self._is_sound(each)] or everything, KEPT)

    def _is_sound(self, found: Climb) -> bool:
        n_rows = found.parameters.weights.min() * self.data.moments.n_rows
        return n_rows >= SOUND_ROWS * (found.parameters.n_features + 1)

    def walk(self, fewest: int, most: int) -> None:
        """Split components one by one, and merge them again."""
        for number in range(2, most + 1):
            smaller = self._new("split", number - 1)
            self.compete(chain.from_iterable(self._split(each.parameters) for each in smaller))
        for number in range(most - 1, max(1, fewest - 1), -1):
            larger = self._new("merged", number + 1)
            self.compete(chain.from_iterable(_merged(each.parameters) for each in larger))

    def _split(self, parameters: Parameters) -> Iterator[Parameters]:
        """Split the component that it gains most to split, and the next such."""
        for candidate in best_splits(self.data, parameters, self.reg_covar, FEW_STEPS)[:SPLITS]:
            yield split(parameters, candidate)

    def _new(self, way: str, number: int) -> list[Climb]:
        """Give the best of a number of components that have not been walked from in this way."""
        found = [each for each in self.best.get(number, []) if (way, each) not in self.walked_from]
        self.walked_from.update((way, each) for each in found)
        return found

    def move(self, number: int) -> None:
        """Merge two components of the best mixtures and split another, as long as it gains."""
        for found in self.best.get(number, [])[:1] if number > 1 else []:
            n_rows = len(self.rows.values)
            self.keep(move(found, self.rows, reg_covar=self.reg_covar, n_rows=n_rows))


def _merged(parameters: Parameters) -> Iterator[Parameters]:
    """Merge the two components that it costs least to merge, and the next such."""
    costs = merge_costs(parameters)
    first, second = np.triu_indices(len(costs), 1)
    for pair in np.argsort(costs[first, second], kind="stable")[:MERGES]:
        yield merge(parameters, int(first[pair]), int(second[pair]))


def _started(
    settings: PathSettings, sample: Sample, data: InMemory, n_components: int
) -> Iterator[Parameters]:
    """Start from clusters of the sample, or as is asked for."""
    method = StartMethod(settings.init_params, settings.covariance_type, n_components, settings.reg_covar)
    random_state = np.random.RandomState(settings.seed)
    is_search = settings.init_params == "search"
    if is_search:
        method = replace(method, init_params="kmeans")
    for _ in range(N_CLUSTERINGS * settings.n_init):
        with suppress(DegenerateCovarianceError):
            yield start(method, Given(), sample, data, random_state)
    for number in range(SHORT_RUNS * settings.n_init if is_search else 0):
        run = ShortRun(method, number, int(random_state.randint(2**31 - 1)), len(sample.values))
        with suppress(DegenerateCovarianceError):
            yield run.start(data)
