"""Rows held out of a fit, and scored in the passes that fit the others.

A row is held out by the keyed hash of its number, so that which rows are does not depend on how they are cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.sample import hash_numbers
from dgmm.fitting.steps.expectation import AllStatistics, Data, part_of
from dgmm.kernels import expect
from dgmm.kernels.densities import joint_log_densities, log_densities
from dgmm.kernels.kernel import Part
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable
from dgmm.model.statistics import Moments, Statistics
from dgmm.passes.adapted import AdaptedSource
from dgmm.passes.task import ChunkRows, Work

HELD_OUT_KEY = 0x5DEECE66D
"""Makes another key of the same seed: which rows are held out must not depend on which are in the sample."""


@dataclass(frozen=True)
class HeldOut:
    """Which rows are held out.

    Attributes
    ----------
    seed : int
    share : float
        Of all rows, about; from 0 to 1.
    """

    seed: int
    share: float

    def __call__(self, start: int, n_rows: int) -> NDArray[np.bool_]:
        """Return which of the rows ``start`` … are held out: shape (n_rows,)."""
        return self.among(np.arange(start, start + n_rows))

    def among(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the rows with these numbers are held out: shape (n_rows,)."""
        return hash_numbers(self.seed ^ HELD_OUT_KEY, numbers) < np.uint64(self.share * 2.0**64)

    def without_weight(self, chunks: Iterator[ChunkRows]) -> Iterator[ChunkRows]:
        """Take the weight of rows that are held out."""
        for chunk in chunks:
            weights = np.ones(len(chunk.values)) if chunk.weights is None else chunk.weights
            held = self(chunk.start, len(chunk.values))
            yield chunk._replace(weights=np.where(held, 0.0, weights))


@dataclass(frozen=True, eq=False)
class Scored:
    """Log densities of rows held out, summed.

    Attributes
    ----------
    moments : Moments
        Of the log densities, nats: one feature.
    squared_weight : float
        Sum of the squares of the rows' weights.
    """

    moments: Moments
    squared_weight: float

    def __add__(self, other: Scored) -> Scored:
        return Scored(self.moments + other.moments, self.squared_weight + other.squared_weight)

    @property
    def n_effective(self) -> float:
        """Rows of equal weight whose mean is known as well (Kish); those without weight do not count."""
        return self.moments.weight**2 / self.squared_weight if self.squared_weight else 0.0

    @property
    def mean_and_error(self) -> tuple[float, float]:
        """The mean log density and its standard error, nats a row; NaN where too few rows tell."""
        weight, n_rows = self.moments.weight, self.n_effective
        if weight == 0.0:
            return np.nan, np.nan
        variance = float(self.moments.scatter[0, 0]) / weight
        # A hair more than one row is one row: the weights' sums are rounded.
        error = (variance / (n_rows - 1.0)) ** 0.5 if n_rows > 1.0 + 1e-9 else np.nan
        return float(self.moments.mean[0]), error


@dataclass(frozen=True, eq=False)
class ScoredStatistics(Statistics):
    """Statistics of the rows that are fitted, and the log densities of those held out.

    Attributes
    ----------
    held_out : Scored
    """

    held_out: Scored = field(kw_only=True)

    @classmethod
    def joined(cls, statistics: Statistics, held_out: Scored) -> ScoredStatistics:
        """Join both."""
        own = {each.name: getattr(statistics, each.name) for each in fields(Statistics)}
        return cls(**own, held_out=held_out)

    def __add__(self, other: Statistics) -> Statistics:
        assert isinstance(other, ScoredStatistics)
        return ScoredStatistics.joined(super().__add__(other), self.held_out + other.held_out)


@dataclass(frozen=True, eq=False)
class SplitWork:
    """The work of an E-step pass that leaves rows out, and scores them."""

    stack: Stack
    held_out: HeldOut
    known: KnownParts | None = None

    def __call__(self, chunks: Iterator[ChunkRows]) -> AllStatistics:
        """Sum the statistics and the scores of a span."""
        stack, nothing = self.stack, Scored(Moments.of(np.empty((0, 1))), 0.0)
        scores = [nothing] * len(stack.models)

        def fitted() -> Iterator[Part]:
            for chunk in chunks:
                held = self.held_out(chunk.start, len(chunk.values))
                rows, weights, priors, errors = part_of(chunk.of_rows(held), stack, self.known)
                for index, model in enumerate(stack.models):
                    own = None if priors is None else priors.of_model(index).T
                    scores[index] += score(model, rows, weights, errors, own)
                yield part_of(chunk.of_rows(~held), stack, self.known)

        statistics = expect(self.stack, fitted())
        return AllStatistics(tuple(map(ScoredStatistics.joined, statistics, scores)))


@dataclass(frozen=True, eq=False)
class SplitData(Data):
    """Rows to fit, and rows held out; the moments are of the rows to fit, but for extremes and ``n_rows``.

    Attributes
    ----------
    held_out : HeldOut
    """

    held_out: HeldOut

    @property
    def fitted(self) -> Data:
        """The rows to fit alone, for passes that are no E-steps: the others have no weight there."""
        if not self.held_out.share:
            return self
        source = AdaptedSource(self.source, self.held_out.without_weight, self.source.n_rows)
        return replace(self, source=source)

    def _work(self, ready: Stack) -> Work[AllStatistics]:
        return SplitWork(ready, self.held_out, self.known) if self.held_out.share else super()._work(ready)


def score(
    model: Evaluable,
    rows: NDArray[np.floating],
    weights: Array | None,
    errors: NDArray[np.floating] | None = None,
    log_priors: Array | None = None,
) -> Scored:
    """Sum rows' log densities under a model, of weights (n_rows,) or None: see `log_densities_given`."""
    squares = float(len(rows)) if weights is None else float(weights @ weights)
    densities = log_densities_given(model, rows, errors, log_priors)
    return Scored(Moments.of(densities[:, None], weights), squares)


def log_densities_given(
    model: Evaluable,
    rows: NDArray[np.floating],
    errors: NDArray[np.floating] | None,
    log_priors: Array | None,
) -> Array:
    """Return the log density of each row under a model, (n_rows,), nats.

    Parameters
    ----------
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features)
    errors : ndarray of shape (n_rows, n_errors) or None
        See `dgmm.kernels.measured`.
    log_priors : ndarray of shape (n_rows, n_components) or None
        What is known of the rows' components: see `dgmm.kernels.priors`.
    """
    if log_priors is not None:
        return np.logaddexp.reduce(joint_log_densities_given(model, rows, errors, log_priors), axis=1)
    return log_densities(model, *_joined(rows, errors))


def joint_log_densities_given(
    model: Evaluable,
    rows: NDArray[np.floating],
    errors: NDArray[np.floating] | None,
    log_priors: Array | None,
) -> Array:
    """Return log joint densities of rows and components, (n_rows, K), nats: see `log_densities_given`."""
    joint = joint_log_densities(model, *_joined(rows, errors))
    return joint if log_priors is None else joint + log_priors


def _joined(
    rows: NDArray[np.floating], errors: NDArray[np.floating] | None
) -> tuple[NDArray[np.floating], int]:
    return (rows, 0) if errors is None else (np.hstack([rows, errors]), errors.shape[1])
