"""Starts from rows whose components are known.

A pass sums the rows of which something is known. k-means on the sample goes on from their means, with
labelled rows where they are; components that nothing is known of begin in rows far from the others. Another
pass gives each row to the nearest centre among those that it may belong to, and an M-step makes the start of
that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus
from sklearn.utils import check_random_state

from dgmm.data.source import DataError
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.kmeans_parallel import squared_distances
from dgmm.fitting.starts.methods import StartMethod, completed, maximize_each
from dgmm.fitting.steps.expectation import AllStatistics, Data
from dgmm.kernels import assign
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

Seed = int | np.random.RandomState
"""Of random draws."""


@dataclass(frozen=True)
class LabelledStartTuning:
    """How long k-means goes on. Half and double: not measured.

    Attributes
    ----------
    most_rounds : int
    """

    most_rounds: int = 100


STARTS = LabelledStartTuning()


@dataclass(frozen=True, eq=False)
class LabelledSums:
    """Sums over rows whose component is known, for each component, by how sure it is.

    Attributes
    ----------
    counts : ndarray of shape (n_components,)
    sums : ndarray of shape (n_components, n_features)
        Of deviations from the origin.
    """

    counts: Array
    sums: Array

    def __add__(self, other: LabelledSums) -> LabelledSums:
        return LabelledSums(self.counts + other.counts, self.sums + other.sums)

    def part(self, n_components: int) -> LabelledSums:
        """Return those of the first components."""
        return LabelledSums(self.counts[:n_components], self.sums[:n_components])


@dataclass(frozen=True, eq=False)
class LabelledWork:
    """The work of the pass that sums them."""

    known: KnownParts
    n_components: int
    origin: Array

    def __call__(self, chunks: Iterator[ChunkRows]) -> LabelledSums:
        """Sum over a span."""
        total = LabelledSums(np.zeros(self.n_components), np.zeros((self.n_components, len(self.origin))))
        for chunk in chunks:
            assert chunk.side_information is not None
            certainty = self.known.label_certainty(chunk.side_information, self.n_components)
            shares = certainty if chunk.weights is None else certainty * chunk.weights[:, None]
            total += LabelledSums(shares.sum(axis=0), shares.T @ (chunk.values - self.origin))
        return total


@dataclass(frozen=True, eq=False)
class NearestWork:
    """The work of the pass that gives each row to the nearest centre that it may belong to.

    Attributes
    ----------
    known : KnownParts
    centres : tuple of ndarray of shape (n_components, n_features)
        Of each mixture, relative to the stacks' centre.
    stacks : tuple of Stack
        One for each.
    """

    known: KnownParts
    centres: tuple[Array, ...]
    stacks: tuple[Stack, ...]

    def __call__(self, chunks: Iterator[ChunkRows]) -> AllStatistics:
        """Sum the statistics of a span."""
        return reduce(add, map(self._of_chunk, chunks), AllStatistics(tuple(map(_nothing, self.stacks))))

    def _of_chunk(self, chunk: ChunkRows) -> AllStatistics:
        pairs = zip(self.centres, self.stacks, strict=True)
        return AllStatistics(tuple(self._of_mixture(chunk, *pair) for pair in pairs))

    def _of_mixture(self, chunk: ChunkRows, centres: Array, stack: Stack) -> Statistics:
        n_components, columns = len(centres), chunk.side_information
        assert columns is not None

        def nearest(rows: NDArray[np.floating], start: int) -> Array:
            weights = self.known.weights_of(columns[start : start + len(rows)], n_components).T
            distances = squared_distances(rows - stack.centre, centres)
            labels = np.where(weights > 0.0, distances, np.inf).argmin(axis=0)
            return (labels == np.arange(n_components)[:, None]).astype(np.float64)

        return assign(stack, [(chunk.values, chunk.weights)], nearest)


def _nothing(stack: Stack) -> Statistics:
    """Return the statistics of no rows."""
    return assign(stack, [], lambda rows, _: np.empty((0, len(rows))))


def starts_from_labels(
    methods: Sequence[StartMethod], known: KnownParts, sample: Sample, data: Data, seeds: Sequence[Seed]
) -> list[Parameters | Exception] | None:
    """Make the parameters that EM starts from, of mixtures that share two passes.

    Parameters
    ----------
    methods : sequence of StartMethod
    known : KnownParts
        With labels.
    sample : Sample
        Rows drawn at random, complete: all rows where they fit in memory.
    data : Data
        All rows.
    seeds : sequence of (int or RandomState)
        Of each mixture: for components of which nothing is known.

    Returns
    -------
    list of (Parameters or Exception), or None
        What was wrong, in the place of a start: with covariances, or as no row may belong to a component.
        None where no row tells anything of its component.
    """
    data, most = completed(data), max(method.n_components for method in methods)
    origin = data.moments.mean
    labelled = run_pass(data.source, LabelledWork(known, most, origin), "labels", data.weights)
    if not (labelled.counts > 0.0).any():
        return None
    found: dict[int, Parameters | Exception] = {}
    centres: dict[int, Array] = {}
    for number, (method, seed) in enumerate(zip(methods, seeds, strict=True)):
        try:
            own = labelled.part(method.n_components)
            centres[number] = _started(own, known, sample, data.moments, check_random_state(seed)) - origin
        except DataError as error:
            found[number] = error
    begun = [*centres]

    def run(numbers: Sequence[int], stacks: Sequence[Stack]) -> Sequence[Statistics]:
        work = NearestWork(known, tuple(centres[begun[each]] for each in numbers), tuple(stacks))
        return run_pass(data.source, work, "labels", data.weights).models

    made = maximize_each([methods[number] for number in begun], data.moments, run) if begun else []
    found |= dict(zip(begun, made, strict=True))
    return [found[number] for number in range(len(methods))]


def _started(
    found: LabelledSums,
    known: KnownParts,
    sample: Sample,
    moments: Moments,
    random_state: np.random.RandomState,
) -> Array:
    """Return the centres of a mixture: (n_components, n_features).

    Raises
    ------
    DataError
        Where no row may belong to a component.
    """
    is_labelled = found.counts > 0.0
    rows = _Unlabelled.of(known, sample, len(is_labelled))
    unlabelled = np.flatnonzero(~is_labelled)
    if len(rows.values) < len(unlabelled):
        raise DataError(
            f"labels leave {len(rows.values):,} rows of the sample for {len(unlabelled):,} components "
            f"without a label (the first is {unlabelled[0]}): lower n_components to "
            f"{np.count_nonzero(is_labelled)}, or give fewer labels"
        )
    labelled = LabelledSums(found.counts, found.sums + found.counts[:, None] * moments.mean)
    left = moments.weight - float(found.counts.sum())
    share = float(rows.weights.sum()) / left if len(rows.values) and left > 0.0 else 1.0
    return _centres(LabelledSums(share * labelled.counts, share * labelled.sums), rows, random_state)


class _Unlabelled(NamedTuple):
    """Rows of a sample that tell nothing of their component, (n_rows, n_features), and their weights."""

    values: Array
    weights: Array

    @classmethod
    def of(cls, known: KnownParts, sample: Sample, n_components: int) -> _Unlabelled:
        """Find them, and where none has a weight none."""
        assert sample.side_information is not None
        own = np.ones(len(sample.values)) if sample.weights is None else sample.weights.astype(np.float64)
        left = (known.label_certainty(sample.side_information, n_components).sum(axis=1) == 0.0) & (own > 0.0)
        return cls(sample.values[left].astype(np.float64), own[left])


def _centres(labelled: LabelledSums, rows: _Unlabelled, random_state: np.random.RandomState) -> Array:
    """Find centres: k-means on rows that tell nothing, beside labelled ones that stay where they are.

    It begins with the means of labelled rows, and in rows far from these (Basu, Banerjee and Mooney, 2002).

    Parameters
    ----------
    labelled : LabelledSums
        Of labelled rows, about zero: as many as there are beside the others.
    rows : _Unlabelled
    random_state : RandomState
    """
    is_labelled = labelled.counts > 0.0
    centres = np.zeros(labelled.sums.shape)
    centres[is_labelled] = labelled.sums[is_labelled] / labelled.counts[is_labelled, None]
    values, weights = rows
    n_others = np.count_nonzero(~is_labelled)
    if n_others:
        chances = weights * squared_distances(values, centres[is_labelled]).min(axis=0)
        chances = chances if chances.any() else weights
        centres[~is_labelled], _ = kmeans_plusplus(
            values, n_others, sample_weight=chances, random_state=random_state
        )
    nearest = np.full(len(values), -1)
    for _ in range(STARTS.most_rounds):
        before, nearest = nearest, squared_distances(values, centres).argmin(axis=0)
        if np.array_equal(before, nearest):
            break
        shares = (nearest == np.arange(len(centres))[:, None]) * weights
        counts, sums = labelled.counts + shares.sum(axis=1), labelled.sums + shares @ values
        centres = np.where(counts[:, None] > 0.0, sums / np.maximum(counts, 1e-300)[:, None], centres)
    return centres
