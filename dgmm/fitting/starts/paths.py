"""Starts for every number of components: grown by splits, pruned by merges.

A model of K + 1 components starts from the best one of K, with the component split that gains most; on the
way back a model of K starts from the best one of K + 1, with the two components merged that cost least.
Starts from clusters compete with these, and the best few of each K go on: where K is too small for the rows
there are many local optima, and the best of one K does not always lead to the best of the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.few_rows import LIMITS, rows_of_a_covariance
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.clusters import Way, clusters
from dgmm.fitting.starts.exchanges import exchanged
from dgmm.fitting.starts.growth import grown, single
from dgmm.fitting.starts.methods import GivenStart, StartMethod, from_labels, start
from dgmm.fitting.starts.moves import apply, cheapest_merges, merge, merge_costs
from dgmm.fitting.starts.splits import SPLITS, best_splits
from dgmm.fitting.steps.climb import CLIMBS, Climb, best_distinct, contest
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES, Family
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.parallel import run_tasks

Starts = dict[tuple[Family, int], list[Parameters]]
"""For each covariance type and number of components: the best start, then others that are close to it."""

Clusterings = dict[int, list[NDArray[np.int16]]]
"""For each number of components, the clusters of rows that were found in several ways."""


@dataclass(frozen=True)
class PathTuning:
    """How paths are walked.

    Chosen on large data: docs/notes/2026-11-25-sweep.md. At half and double no best model of small data
    (whose rows are fewer than these) lost 1e-4 nats a row: docs/notes/2026-11-26-tuning.md.

    Attributes
    ----------
    ways : tuple of (str, bool)
        How rows are clustered for each number of components, and whether roughly: see `clusters`.
    fewest_clusters : int
        Clusters found in each way: with fewer components rows are clustered again and again. It costs little,
        and with fewer components than the rows want there are many local optima. Half and double: 0.88 and
        1.35 times the arithmetic.
    n_starts : int
        Starts of another kind, where one is asked for, for each number of components.
    surplus : float
        Times the most components, to which one mixture grows: after merges it is walked on from. Half and
        double: 0.88 and 1.35 times the arithmetic.
    n_splits, n_merges : int
        The best splits and merges that are tried, for each number of components.
    n_kept : int
        Mixtures of a number of components that the path goes on from. Half and double: 0.86 and 1.24 times
        the arithmetic.
    n_remembered : int
        Those that larger samples compare, as few rows mistake the best ones for each other.
    n_rivals : int
        Those that all rows compare.
    n_rows : int
        Rows that a path is walked on: moves need few rows to be compared.
    final_rows : int
        Rows that say which of the best starts of a model is the best: those of a path can mistake it.
    close : float
        Standard errors: of mixtures that differ by less on some rows, more rows may like either better. The
        log densities of a row under two of them differ by about one nat, so means of n rows by one over the
        root of n.
    final_steps, sample_steps : int
        EM steps on the final rows, and then on the whole sample.
    polish_tol : float
        Nats a row: gain that ends these.
    """

    ways: tuple[tuple[Way, bool], ...] = (
        ("as they are", False),
        ("as they are", False),
        ("as they are", False),
        ("as they are", True),
        ("unit variance", False),
        ("unit variance", True),
        ("uncorrelated", False),
        ("uncorrelated", False),
        ("uncorrelated", True),
    )
    fewest_clusters: int = 8
    n_starts: int = 2
    surplus: float = 2.0
    n_splits: int = 2
    n_merges: int = 2
    n_kept: int = 2
    n_remembered: int = 6
    n_rivals: int = 3
    n_rows: int = 15 * 2**10
    final_rows: int = 2**16
    close: float = 2.5
    final_steps: int = 20
    sample_steps: int = 8
    polish_tol: float = 1e-5


PATHS = PathTuning()


@dataclass(frozen=True)
class PathSettings:
    """How starts are searched for.

    Attributes
    ----------
    family : Family
    n_components : tuple of int
        Those that starts are wanted for.
    init_params : str
        Starts of this kind compete with those of the path; ``search`` for clusters found in all ways.
    n_init : int
        How many of them, for each number of components; so many times all ways.
    objective : Likelihood
    seed : int
    n_rows_in_all : int or None
        Rows that the sample is of: see `dgmm.fitting.steps.in_memory.InMemory`.
    """

    family: Family
    n_components: tuple[int, ...]
    init_params: str
    n_init: int
    objective: Likelihood
    seed: int
    n_rows_in_all: int | None = None


def find_starts(paths: Sequence[PathSettings], sample: Sample) -> Starts:
    """Find a start for each model, by tasks on the ambient Dask scheduler.

    Parameters
    ----------
    paths : sequence of PathSettings
        One for each covariance type.
    sample : Sample
        Paths are walked on some of its rows; all of them polish the starts.

    Returns
    -------
    dict of (covariance type, n_components) to list of Parameters
        The best first, then those that all rows may like better. Lacks the models without a start.
    """
    centre = sample.mean
    sample = sample.in_single_precision(centre)
    few = sample.drawn(PATHS.n_rows)
    clusterings = _clusterings([path for path in paths if path.init_params == "search"], few)
    paths = sorted(paths, key=lambda path: [*FAMILIES.values()].index(path.family))  # the longest first
    walked = run_tasks(walk, paths, (few, clusterings), "starts of all sizes")
    candidates = {
        (path.family, n_components): found
        for path, each in zip(paths, walked, strict=True)
        for n_components, found in each.items()
    }
    if len(few.values) < len(sample.values):
        best = _polished(candidates, sample, paths[0])
    else:
        best = {model: found[:1] for model, found in candidates.items()}
    return {model: [each.shifted(centre) for each in found] for model, found in best.items()}


def _clusterings(paths: Sequence[PathSettings], sample: Sample) -> Clusterings:
    """Cluster rows for all numbers of components: the same clusters serve all covariance types."""
    numbers = sorted({number for path in paths for number in path.n_components if number > 1}, reverse=True)
    if not numbers:
        return {}
    first = paths[0]
    find = partial(cluster, n_init=first.n_init, seed=first.seed, n_rows_in_all=first.n_rows_in_all)
    return dict(zip(numbers, run_tasks(find, numbers, sample, "clustering"), strict=True))


def cluster(
    n_components: int, sample: Sample, *, n_init: int, seed: int, n_rows_in_all: int | None = None
) -> list[NDArray[np.int16]]:
    """Cluster rows in all ways ``n_init`` times, or more: give the cluster of each row, (n_rows,)."""
    data = InMemory.of(sample.values, sample.weights, n_rows_in_all)
    random_state = np.random.RandomState(seed)
    return [
        clusters(data, n_components, way, random_state.randint(2**31 - 1), is_rough=is_rough).astype(np.int16)
        for _ in range(n_init * max(1, PATHS.fewest_clusters // n_components))
        for way, is_rough in PATHS.ways
    ]


def _polished(
    candidates: dict[tuple[Family, int], list[Parameters]], sample: Sample, settings: PathSettings
) -> Starts:
    # The largest first, so that no thread has to wait for them alone.
    order = sorted(candidates, key=lambda model: -candidates[model][0].n_parameters)
    polishing = partial(polish, objective=settings.objective)
    parts = (sample.drawn(PATHS.final_rows), sample)
    samples = [InMemory.of(each.values, each.weights, settings.n_rows_in_all) for each in parts]
    polished = run_tasks(polishing, [candidates[model] for model in order], samples, "refining starts")
    return dict(zip(order, polished, strict=True))


def polish(
    candidates: Sequence[Parameters], samples: Sequence[InMemory], *, objective: Likelihood
) -> list[Parameters]:
    """Make EM steps on larger and larger samples: the best goes on, and those that are close to it."""
    for data, n_steps in zip(samples, (PATHS.final_steps, PATHS.sample_steps), strict=True):
        ended = contest(data, candidates, objective, n_steps, PATHS.polish_tol, n_wanted=PATHS.n_rivals)
        best = best_distinct(ended, PATHS.n_rivals)
        least = best[0].lower_bound - PATHS.close / np.sqrt(len(data.rows)) if best else -np.inf
        close = [each for each in best if each.lower_bound > least]
        candidates = [each.parameters for each in close] or candidates[:1]
    return [*candidates]


def walk(settings: PathSettings, shared: tuple[Sample, Clusterings]) -> dict[int, list[Parameters]]:
    """Find the best few starts for each number of components: see the module.

    Parameters
    ----------
    settings : PathSettings
    shared : (Sample, dict)
        Rows, and for each number of components how they are clustered.

    Returns
    -------
    dict of int to list of Parameters
        The best first. Lacks those numbers for which no start was found: components would have too few rows.
    """
    sample, clusterings = shared
    path = Path(settings.objective, InMemory.of(sample.values, sample.weights, settings.n_rows_in_all))
    wanted = settings.n_components
    path.compete([single(settings.family, path.data.moments, settings.objective)])
    for n_components in wanted:
        path.compete(_started(settings, sample, path.data, n_components, clusterings.get(n_components, ())))
    if settings.init_params == "search" and max(wanted) > 1:
        with suppress(DegenerateCovarianceError):
            path.keep(
                grown(path.data, settings.family, max(wanted), settings.objective, surplus=PATHS.surplus)
            )
    path.walk(min(wanted), max(wanted))
    for n_components in wanted:
        path.exchange(n_components)
    path.walk(min(wanted), max(wanted))
    best = {number: path.best[number] for number in wanted if number in path.best}
    return {number: [each.parameters for each in found] for number, found in best.items()}


@dataclass(frozen=True, eq=False)
class Path:
    """The best mixtures found so far, for each number of components.

    Attributes
    ----------
    objective : Likelihood
    data : InMemory
    best : dict of int to list of Climb
        At most `PathTuning.n_remembered` different ones, the best first; filled as the path is walked.
    walked_from : set of (str, Climb)
        Which have been split, and which merged: they are not again.
    """

    objective: Likelihood
    data: InMemory
    best: dict[int, list[Climb]] = field(default_factory=dict)
    walked_from: set[tuple[str, Climb]] = field(default_factory=set)

    def compete(self, starts: Iterable[Parameters]) -> None:
        """Take some EM steps from each of these, all of as many components, and keep the best."""
        n_steps, tol = CLIMBS.short_steps, CLIMBS.same
        for found in contest(self.data, [*starts], self.objective, n_steps, tol, n_wanted=PATHS.n_kept):
            self.keep(found)

    def keep(self, found: Climb) -> None:
        """Keep a mixture if it is among the best of its number of components, and another than these.

        One with a component of hardly any rows (see `dgmm.fitting.few_rows`) is kept while there is no other.
        """
        kept = self.best.setdefault(found.parameters.n_components, [])
        if all(abs(found.lower_bound - each.lower_bound) > CLIMBS.same for each in kept):
            everything = [*kept, found]
            sound = [each for each in everything if self._is_sound(each)]
            kept[:] = best_distinct(sound or everything, PATHS.n_remembered)

    def _is_sound(self, found: Climb) -> bool:
        n_rows = found.parameters.weights.min() * self.data.moments.n_rows
        return n_rows >= LIMITS.sound * rows_of_a_covariance(found.parameters.n_features)

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
        for move in best_splits(self.data, parameters, self.objective, SPLITS.few_steps)[: PATHS.n_splits]:
            yield apply(parameters, move)

    def _new(self, way: str, number: int) -> list[Climb]:
        """Return the best of a number of components that have not been walked from in this way."""
        best = self.best.get(number, [])[: PATHS.n_kept]
        found = [each for each in best if (way, each) not in self.walked_from]
        self.walked_from.update((way, each) for each in found)
        return found

    def exchange(self, number: int) -> None:
        """Merge two components of the best mixture and split another, as long as it gains."""
        for found in self.best.get(number, [])[:1] if number > 1 else []:
            self.keep(exchanged(found, self.data, self.objective))


def _merged(parameters: Parameters) -> Iterator[Parameters]:
    """Merge the two components that it costs least to merge, and the next such."""
    for pair in cheapest_merges(merge_costs(parameters), PATHS.n_merges):
        yield merge(parameters, *pair)


def _started(
    settings: PathSettings,
    sample: Sample,
    data: InMemory,
    n_components: int,
    clusterings: Sequence[NDArray[np.int16]],
) -> Iterator[Parameters]:
    """Start from clusters of the sample, or as is asked for."""
    method = StartMethod(settings.init_params, settings.family, n_components, settings.objective)
    if settings.init_params == "search":
        for labels in clusterings:
            with suppress(DegenerateCovarianceError):
                yield from_labels(method, labels, data)
        return
    random_state = np.random.RandomState(settings.seed)
    for _ in range(PATHS.n_starts * settings.n_init):
        with suppress(DegenerateCovarianceError):
            yield start(method, GivenStart(), sample, data, random_state)
