"""Scalable k-means++ (k-means||): starts that see all rows, in a few passes.

Each round draws rows with a chance in proportion to their squared distance from the centres so far
(Bahmani, Moseley, Vattani, Kumar and Vassilvitskii 2012); a cluster too rare for a random sample is far
from everything and is drawn soon. Rows are drawn without replacement by exponential keys (Efraimidis and
Spirakis 2006) from the keyed hash of the row number, so one pass is enough for a round and the draw does
not depend on how rows are cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from dgmm.data.source import Source
from dgmm.fitting.sample import uniform_numbers
from dgmm.kernels import assign
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.statistics import Statistics
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True)
class ScalableTuning:
    """How many rows are drawn, and at what cost.

    Attributes
    ----------
    n_rounds : int
        Passes that draw: five are enough in the paper's experiments. Half: 7.5 passes of EM more; double: a
        better optimum on one set of two (docs/notes/2026-11-26-tuning.md).
    oversampling : int
        Rows drawn in a round, as a multiple of the number of clusters. Half and double: 12 and 3 passes more,
        and 0.002 and 0.008 nats a row less.
    block_entries : int
        Distances held at a time.
    """

    n_rounds: int = 5
    oversampling: int = 2
    block_entries: int = 2**20


SCALABLE = ScalableTuning()


def squared_distances(rows: NDArray[np.floating], centres: Array) -> Array:
    """Squared Euclidean distances: rows (n, D) and centres (m, D), both near zero, to (m, n)."""
    products = centres @ rows.T
    squares = (centres**2).sum(axis=1)[:, None] - 2.0 * products + (rows**2).sum(axis=1)
    return np.maximum(squares, 0.0)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows drawn in a round: those with the smallest keys.

    Attributes
    ----------
    keys : ndarray of shape (n_drawn,)
    values : ndarray of shape (n_drawn, n_features)
    size : int
        Rows wanted.
    """

    keys: Array
    values: Array
    size: int

    def __add__(self, other: Drawn) -> Drawn:
        keys = np.concatenate([self.keys, other.keys])
        kept = np.argsort(keys, kind="stable")[: self.size]
        return Drawn(keys[kept], np.concatenate([self.values, other.values])[kept], self.size)


@dataclass(frozen=True, eq=False)
class DrawWork:
    """The work of a round: draw rows far from the centres.

    Attributes
    ----------
    origin : ndarray of shape (n_features,)
        Rows are taken relative to it.
    centres : ndarray of shape (n_centres, n_features)
        Relative to the origin; with none, all rows have the same chance.
    size : int
    seed : int
    """

    origin: Array
    centres: Array
    size: int
    seed: int

    def __call__(self, chunks: Iterator[ChunkRows]) -> Drawn:
        """Draw from a span."""
        drawn = Drawn(np.empty(0), np.empty((0, len(self.origin))), self.size)
        step = max(1024, SCALABLE.block_entries // max(len(self.centres), 1))
        for chunk in chunks:
            for piece in chunk.pieces(step):
                drawn += self._draw(piece.start, piece.values - self.origin, piece.weights)
        return drawn

    def _draw(self, start: int, rows: Array, weights: Array | None) -> Drawn:
        chances = (
            squared_distances(rows, self.centres).min(axis=0) if len(self.centres) else np.ones(len(rows))
        )
        if weights is not None:
            chances = chances * weights
        uniform = uniform_numbers(self.seed, np.arange(start, start + len(rows)))
        with np.errstate(divide="ignore"):  # a chance of zero is a key of infinity: never drawn
            keys = -np.log(uniform) / chances
        smallest = np.argsort(keys, kind="stable")[: self.size]
        smallest = smallest[np.isfinite(keys[smallest])]
        return Drawn(keys[smallest], rows[smallest], self.size)


def count_nearest(origin: Array, centres: Array, chunks: Iterator[ChunkRows]) -> Array:
    """Sum the weight of a span's rows that are nearest to each centre: the work of the weighing pass."""
    counts = np.zeros(len(centres))
    step = max(1024, SCALABLE.block_entries // len(centres))
    for chunk in chunks:
        for piece in chunk.pieces(step):
            nearest = squared_distances(piece.values - origin, centres).argmin(axis=0)
            counts += np.bincount(nearest, piece.weights, len(counts))
    return counts


def assign_nearest(centres: Array, stack: Stack, chunks: Iterator[ChunkRows]) -> Statistics:
    """Sum statistics over a span, every row given to its nearest centre: the work of the last pass.

    Centres are relative to the stack's: shape (n_components, n_features).
    """
    components = np.arange(len(centres))[:, None]

    def nearest(block: NDArray[np.floating], _: int) -> Array:
        labels = squared_distances(block - stack.centre, centres).argmin(axis=0)
        return (labels == components).astype(np.float64)

    return assign(stack, ((chunk.values, chunk.weights) for chunk in chunks), nearest)


def scalable_kmeans(
    source: Source,
    weights: Source | None,
    origin: Array,
    n_clusters: int,
    random_state: np.random.RandomState,
) -> Array:
    """Find cluster centres that see all rows, in two passes more than rounds of drawing and a first row.

    Parameters
    ----------
    source : Source
    weights : Source or None
        Row weights.
    origin : ndarray of shape (n_features,)
        A point near the middle of the rows.
    n_clusters : int
    random_state : RandomState

    Returns
    -------
    ndarray of shape (n_clusters, n_features)
        Centres relative to the origin.
    """
    centres = np.empty((0, len(origin)))
    for round_number in range(SCALABLE.n_rounds + 1):
        seed = int(random_state.randint(2**31 - 1))
        size = 1 if round_number == 0 else SCALABLE.oversampling * n_clusters
        drawn = run_pass(source, DrawWork(origin, centres, size, seed), "k-means||", weights)
        centres = np.concatenate([centres, drawn.values])
    if len(centres) < n_clusters:
        raise ValueError(
            f"k-means|| found only {len(centres):,} distinct rows for n_components={n_clusters}: "
            "lower n_components"
        )
    counts = run_pass(source, partial(count_nearest, origin, centres), "k-means||", weights)
    clusters = KMeans(n_clusters, n_init=5, random_state=random_state)  # pyright: ignore[reportArgumentType]
    return clusters.fit(centres, sample_weight=counts).cluster_centers_
