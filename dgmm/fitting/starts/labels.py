"""Where EM starts if components of rows are known: at the means of these rows.

A pass sums the rows of which something is known. Components that nothing is known of begin at centres of
k-means on what is left of the sample, far from the others. Another pass gives each row to the nearest centre
among those that it may belong to, and an M-step makes the start of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus

from dgmm.data.source import DataError
from dgmm.fitting.known import KnownParts
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.kmeans_parallel import squared_distances
from dgmm.fitting.starts.methods import StartMethod, completed, maximize
from dgmm.fitting.steps.expectation import Data
from dgmm.kernels import assign
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True, eq=False)
class ToldSums:
    """Sums over rows of which something is known, by component.

    Attributes
    ----------
    counts : ndarray of shape (n_components,)
    sums : ndarray of shape (n_components, n_features)
        Of deviations from the origin.
    """

    counts: Array
    sums: Array

    def __add__(self, other: ToldSums) -> ToldSums:
        return ToldSums(self.counts + other.counts, self.sums + other.sums)


@dataclass(frozen=True, eq=False)
class ToldWork:
    """The work of the pass that sums them."""

    known: KnownParts
    n_components: int
    origin: Array

    def __call__(self, chunks: Iterator[ChunkRows]) -> ToldSums:
        """Sum over a span."""
        total = ToldSums(np.zeros(self.n_components), np.zeros((self.n_components, len(self.origin))))
        for chunk in chunks:
            assert chunk.beside is not None
            told = self.known.told(chunk.beside, self.n_components)
            told = told if chunk.weights is None else told * chunk.weights[:, None]
            total += ToldSums(told.sum(axis=0), told.T @ (chunk.values - self.origin))
        return total


@dataclass(frozen=True, eq=False)
class NearestWork:
    """The work of the pass that gives each row to the nearest centre that it may belong to.

    Attributes
    ----------
    known : KnownParts
    centres : ndarray of shape (n_components, n_features)
        Relative to the stack's centre.
    stack : Stack
    """

    known: KnownParts
    centres: Array
    stack: Stack

    def __call__(self, chunks: Iterator[ChunkRows]) -> Statistics:
        """Sum the statistics of a span."""
        nothing = assign(self.stack, [], lambda rows, _: np.empty((len(self.centres), len(rows))))
        return reduce(add, map(self._of_chunk, chunks), nothing)

    def _of_chunk(self, chunk: ChunkRows) -> Statistics:
        n_components, beside = len(self.centres), chunk.beside
        assert beside is not None

        def nearest(rows: NDArray[np.floating], start: int) -> Array:
            weights = self.known.weights_of(beside[start : start + len(rows)], n_components).T
            distances = squared_distances(rows - self.stack.centre, self.centres)
            labels = np.where(weights > 0.0, distances, np.inf).argmin(axis=0)
            return (labels == np.arange(n_components)[:, None]).astype(np.float64)

        return assign(self.stack, [(chunk.values, chunk.weights)], nearest)


def start_from_labels(
    method: StartMethod, known: KnownParts, sample: Sample, data: Data, random_state: np.random.RandomState
) -> Parameters | None:
    """Make the parameters that EM starts from, in two passes.

    Parameters
    ----------
    method : StartMethod
    known : KnownParts
        With labels.
    sample : Sample
        Rows drawn at random, complete: all rows where they fit in memory.
    data : Data
        All rows.
    random_state : RandomState
        Used for components of which nothing is known.

    Returns
    -------
    Parameters or None
        None where no row tells anything of its component.

    Raises
    ------
    DataError
        Where no row may belong to a component.
    """
    data, n_components = completed(data), method.n_components
    origin = data.moments.mean
    found = run_pass(data.source, ToldWork(known, n_components, origin), "labels", data.weights)
    is_told = found.counts > 0.0
    if not is_told.any():
        return None
    centres = np.zeros(found.sums.shape)
    centres[is_told] = origin + found.sums[is_told] / found.counts[is_told, None]
    if not is_told.all():
        centres[~is_told] = _other_centres(known, centres, is_told, sample, random_state)

    def run(stack: Stack) -> Statistics:
        return run_pass(data.source, NearestWork(known, centres - origin, stack), "labels", data.weights)

    return maximize(method, data.moments, run)


def _other_centres(
    known: KnownParts,
    centres: Array,
    is_told: NDArray[np.bool_],
    sample: Sample,
    random_state: np.random.RandomState,
) -> Array:
    """Find centres of components of which nothing is known: k-means on rows that tell nothing.

    It begins with those of the others, and in rows far from these.
    """
    assert sample.beside is not None
    others = np.flatnonzero(~is_told)
    left = known.told(sample.beside, len(centres)).sum(axis=1) == 0.0
    if sample.weights is not None:
        left &= sample.weights > 0.0
    rows = sample.values[left].astype(np.float64)
    if len(rows) < len(others):
        raise DataError(
            f"labels leave {len(rows)} rows of the sample for {len(others)} components without a label "
            f"(the first is {others[0]}): lower n_components to {int(is_told.sum())}, or give fewer labels"
        )
    weights = np.ones(len(rows)) if sample.weights is None else sample.weights[left] / sample.row_weight
    chances = weights * squared_distances(rows, centres[is_told]).min(axis=0)
    chances = chances if chances.any() else weights
    seeds, _ = kmeans_plusplus(rows, len(others), sample_weight=chances, random_state=random_state)
    if len(rows) < len(centres):
        return seeds
    begun = np.concatenate([centres[is_told], seeds])
    clusters = KMeans(len(centres), init=begun, n_init=1, random_state=random_state)  # pyright: ignore[reportArgumentType]
    return clusters.fit(rows, sample_weight=weights).cluster_centers_[-len(others) :]
