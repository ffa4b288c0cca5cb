"""Scikit-learn's ways to start on rows in memory, or k-means|| over all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.kmeans_parallel import assign_nearest, scalable_kmeans
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import ROUNDS, Objective
from dgmm.fitting.survey import SURVEY
from dgmm.kernels import assign
from dgmm.kernels.precision import LARGEST_FLOAT32
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import blank_stack
from dgmm.model.families import Family, SingleRows
from dgmm.model.matrices import Array, DegenerateCovarianceError, OverflowedError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import SMALLEST_COUNT, Moments, Statistics
from dgmm.passes.adapted import AdaptedSource
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

Responsibilities = Callable[[NDArray[np.floating], int], Array]

Cluster = Callable[
    [int, NDArray[np.floating], NDArray[np.floating] | None, np.random.RandomState], NDArray[np.integer]
]
"""Takes a number of clusters, rows, their weights and a random state to the cluster of each row."""

SEARCHES = ("auto", "thorough")
"""How much users may ask to be searched: `dgmm.fitting.starts.plans` says what that is."""


@dataclass(frozen=True, eq=False)
class GivenStart:
    """What the user gives of a start; None where it is to be found.

    Attributes
    ----------
    weights : ndarray of shape (n_components,) or None
    means : ndarray of shape (n_components, n_features) or None
    precisions : ndarray or None
        Shaped as the family says.
    """

    weights: Array | None = None
    means: Array | None = None
    precisions: Array | None = None

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.weights, self.means, self.precisions))

    @property
    def is_whole(self) -> bool:
        """Whether nothing is to be found."""
        return all(each is not None for each in (self.weights, self.means, self.precisions))


@dataclass(frozen=True)
class StartMethod:
    """How a start is made.

    Attributes
    ----------
    init_params : str
        ``kmeans``, ``k-means++``, ``random``, ``random_from_data`` or ``k-means||``; ``search`` is not made
        here (see `dgmm.fitting.starts.search`).
    family : Family
        The covariance structure.
    n_components : int
    objective : Objective
        Makes models of the rows of each component.
    """

    init_params: str
    family: Family
    n_components: int
    objective: Objective


def k_means(
    n_components: int,
    rows: NDArray[np.floating],
    weights: NDArray[np.floating] | None,
    random_state: np.random.RandomState,
) -> NDArray[np.integer]:
    """Cluster rows as scikit-learn's mixtures do."""
    clusters = KMeans(n_components, n_init=1, random_state=random_state)  # pyright: ignore[reportArgumentType]
    return np.asarray(clusters.fit(rows, sample_weight=weights).labels_)


@dataclass(frozen=True, eq=False)
class SharedClusters:
    """The same for several fits to the same rows: those that draw the same numbers share clusters.

    Attributes
    ----------
    found : dict
        By the number of clusters and the random state before: clusters, and the random state after.
    """

    found: dict[Any, tuple[NDArray[np.integer], Any]] = field(default_factory=dict)

    def __call__(
        self,
        n_components: int,
        rows: NDArray[np.floating],
        weights: NDArray[np.floating] | None,
        random_state: np.random.RandomState,
    ) -> NDArray[np.integer]:
        """Cluster the rows, or give what was found before; the random state is then as if that was done."""
        _, numbers, *others = random_state.get_state()
        key = n_components, np.asarray(numbers).tobytes(), *others
        if key not in self.found:
            labels = k_means(n_components, rows, weights, random_state)
            self.found[key] = labels, random_state.get_state()
        labels, after = self.found[key]
        random_state.set_state(after)
        return labels


def start(
    method: StartMethod,
    given: GivenStart,
    sample: Sample,
    data: Data,
    random_state: np.random.RandomState,
    *,
    cluster: Cluster = k_means,
) -> Parameters:
    """Make the parameters that EM starts from.

    Parameters
    ----------
    method : StartMethod
    given : GivenStart
        Takes the place of what the method finds.
    sample : Sample
        Rows to start from, complete: all rows where they fit in memory.
    data : Data
        All rows: k-means|| makes passes over them.
    random_state : RandomState
        Used in scikit-learn's order, so that the same seed gives its start.
    cluster : callable
        See `Cluster`.
    """
    if given.weights is not None and given.means is not None and given.precisions is not None:
        return _with_precisions(method.family, given.weights, given.means, given.precisions)
    if method.init_params == "k-means||":
        found = _start_by_passes(method, data, random_state)
    else:
        found = _start_on_rows(method, given, sample.values, sample.weights, random_state, cluster=cluster)
    return with_given(found, given)


def with_given(found: Parameters, given: GivenStart) -> Parameters:
    """Put what the user gives in the place of what was found."""
    weights = found.weights if given.weights is None else given.weights
    means = found.means if given.means is None else given.means
    if given.precisions is not None:
        return _with_precisions(found.family, weights, means, given.precisions)
    return replace(found, weights=weights, means=means)


def _with_precisions(family: Family, weights: Array, means: Array, precisions: Array) -> Parameters:
    factors = family.precisions_cholesky_from_precisions(precisions)
    return Parameters(family, weights, means, family.inverse(precisions), factors)


def _start_on_rows(
    method: StartMethod,
    given: GivenStart,
    rows: NDArray[np.floating],
    weights: Array | None,
    random_state: np.random.RandomState,
    *,
    cluster: Cluster,
) -> Parameters:
    n_components = method.n_components
    if rows.dtype == np.float32 and np.abs(rows).max(initial=0.0) > LARGEST_FLOAT32:
        rows = rows.astype(np.float64)  # scikit-learn takes squares of distances in the dtype of the rows
    if weights is not None and not 1.0 / LARGEST_FLOAT32 < weights.mean() < LARGEST_FLOAT32:
        weights = weights / weights.mean()  # scikit-learn casts them to the dtype of the rows
    if method.init_params == "random_from_data":
        chances = None if weights is None else weights / weights.sum()
        chosen = random_state.choice(len(rows), size=n_components, replace=False, p=chances)
        return _start_at(method, given, rows, weights, chosen)
    if method.init_params == "k-means++":
        chosen = kmeans_plusplus(rows, n_components, sample_weight=weights, random_state=random_state)[1]
        return _start_at(method, given, rows, weights, chosen)
    share = _responsibilities(method.init_params, n_components, rows, weights, random_state, cluster=cluster)
    family = method.family
    moments = Moments.of(rows, weights, products=family.has_products and family.is_shared)
    return maximize(method, moments, lambda stack: assign(stack, [(rows, weights)], share))


def _start_at(
    method: StartMethod,
    given: GivenStart,
    rows: NDArray[np.floating],
    weights: Array | None,
    chosen: NDArray[np.integer],
) -> Parameters:
    """Start from chosen rows, each the only member of a component: scikit-learn's M-step to the last bit.

    Its sums are about the origin, and divided by a little more than the count. Of a single row they leave
    rounding errors, and where all share a covariance the scatter of rows that have no component: so the start
    depends on where the origin is, and is scikit-learn's only if the same is done here.
    """
    centres = rows[chosen].astype(np.float64)
    own = np.ones(len(chosen)) if weights is None else weights[chosen].astype(np.float64)
    counts = own + SMALLEST_COUNT
    means = own[:, None] * centres / counts[:, None]
    # Shares of all rows, most of which have no component yet: the first lower bound is low, as there.
    total = len(rows) if weights is None else weights.sum()
    family, squares = method.family, None
    if given.precisions is not None:  # single rows may leave none: without `reg_covar` they never do
        return _with_precisions(family, counts / total, means, given.precisions)
    if family.is_shared:
        weighted = rows if weights is None else rows * weights[:, None]
        squares = rows.T @ weighted if family.has_products else np.einsum("nd,nd->d", rows, weighted)
    single = SingleRows(centres, means, own, counts, squares)
    covariances = family.of_single_rows(single, method.objective.reg_covar)
    return method.objective.begin(family, counts, means, covariances, total)


def _start_by_passes(method: StartMethod, data: Data, random_state: np.random.RandomState) -> Parameters:
    data = completed(data)
    centres = scalable_kmeans(data.source, data.weights, data.moments.mean, method.n_components, random_state)

    def run(stack: Stack) -> Statistics:
        return run_pass(data.source, partial(assign_nearest, centres, stack), "k-means||", data.weights)

    return maximize(method, data.moments, run)


@dataclass(frozen=True)
class MomentsWork:
    """The work of a pass that takes the moments of rows alone."""

    n_features: int
    products: bool

    def __call__(self, chunks: Iterator[ChunkRows]) -> Moments:
        """Take the moments of a span."""
        total = Moments.of(np.empty((0, self.n_features)), products=self.products)
        for chunk in chunks:
            for piece in chunk.pieces(SURVEY.rows_at_once(self.n_features)):
                total += Moments.of(piece.values, piece.weights, products=self.products)
        return total


def completed(data: Data) -> Data:
    """Return the rows with what they lack put in, for passes that need complete ones."""
    if data.filling is None:
        return data
    source = AdaptedSource(data.source, data.filling.chunks, data.source.n_rows)
    work = MomentsWork(source.n_features, data.moments.scatter.ndim == 2)
    return Data(source, data.weights, run_pass(source, work, "moments", data.weights))


def _responsibilities(
    init_params: str,
    n_components: int,
    rows: NDArray[np.floating],
    weights: Array | None,
    random_state: np.random.RandomState,
    *,
    cluster: Cluster,
) -> Responsibilities:
    """Return responsibilities block by block, as scikit-learn's ``_initialize_parameters`` gives them."""
    if init_params == "random":
        shares = random_state.uniform(size=(len(rows), n_components)).astype(rows.dtype, copy=False)
        shares /= shares.sum(axis=1, keepdims=True)
        return lambda block, offset: shares[offset : offset + len(block)].T
    return _one_hot(cluster(n_components, rows, weights, random_state), n_components)


def _one_hot(labels: NDArray[np.integer], n_components: int) -> Responsibilities:
    """Return responsibilities, block by block, of rows that each belong to one component."""
    components = np.arange(n_components)[:, None]
    return lambda block, offset: (labels[None, offset : offset + len(block)] == components).astype(np.float64)


def from_labels(method: StartMethod, labels: NDArray[np.integer], data: InMemory) -> Parameters:
    """Start from rows that each belong to one component.

    Parameters
    ----------
    method : StartMethod
    labels : ndarray of shape (n_rows,)
    data : InMemory
    """
    share, rows = _one_hot(labels, method.n_components), [(data.rows, data.row_weights)]
    return maximize(method, data.moments, lambda stack: assign(stack, rows, share))


def from_mixture(method: StartMethod, other: Parameters, data: InMemory) -> Parameters:
    """Start from the responsibilities of a mixture, which may be of another family.

    Parameters
    ----------
    method : StartMethod
    other : Parameters
    data : InMemory
    """
    shares, rows = data.responsibilities(other), [(data.rows, data.row_weights)]

    def share(block: NDArray[np.floating], offset: int) -> Array:
        return shares[:, offset : offset + len(block)].astype(np.float64)

    return maximize(method, data.moments, lambda stack: assign(stack, rows, share))


def maximize(method: StartMethod, moments: Moments, run: Callable[[Stack], Statistics]) -> Parameters:
    """M-step of given responsibilities; sums are taken again about the means where they cancel: `ROUNDS`."""
    (found,) = maximize_each([method], moments, lambda _, stacks: [run(*stacks)])
    if isinstance(found, Exception):
        raise found
    return found


def maximize_each(
    methods: Sequence[StartMethod],
    moments: Moments,
    run: Callable[[Sequence[int], Sequence[Stack]], Sequence[Statistics]],
) -> list[Parameters | Exception]:
    """Do the same of several mixtures together, each for itself: what fails is given.

    Parameters
    ----------
    methods : sequence of StartMethod
    moments : Moments
        Of all rows.
    run : callable
        Takes the numbers of mixtures, and a stack for each, to the statistics of their responsibilities.
    """
    found: dict[int, Parameters | Exception] = {}
    points: dict[int, Array] = {}
    for is_last in ROUNDS:
        left = [number for number in range(len(methods)) if number not in found]
        if not left:
            break
        stacks = [
            blank_stack(methods[each].family, methods[each].n_components, moments.mean, points.get(each))
            for each in left
        ]
        for number, stack, sums in zip(left, stacks, run(left, stacks), strict=True):
            objective, statistics = methods[number].objective, sums.of_all_rows(moments.scatter)
            try:
                updated = objective.settled(statistics, moments, stack, is_last=is_last)
            except (DegenerateCovarianceError, OverflowedError) as error:
                found[number] = error
                continue
            if updated is None:
                points[number] = objective.means_of_rows(statistics)
            else:
                found[number] = updated
    return [found[number] for number in range(len(methods))]  # the last round settles all that are left
