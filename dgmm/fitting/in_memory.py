"""EM on rows in memory, with no pass and no Dask: many times over, or inside a task."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import reduce
from itertools import starmap
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data.memory import MemorySource
from dgmm.fitting.expectation import NOT_MEASURED, AllStatistics, Data
from dgmm.fitting.objective import Likelihood, Objective
from dgmm.model.families import Array
from dgmm.model.kernels import expect
from dgmm.model.parameters import Parameters
from dgmm.model.stack import Stack, stack_models
from dgmm.model.statistics import Moments, Statistics
from dgmm.passes.task import Effort

SLICE_ROWS = 2**14
"""Rows that a thread takes at once: fixed, so that the sums have the same bits on any number of threads."""


def expect_rows(
    ready: Stack, rows: NDArray[np.floating], weights: Array | None, threads: Executor | None
) -> tuple[Statistics, ...]:
    """E-step on rows in memory, on the threads given or on this one.

    Parameters
    ----------
    ready : Stack
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or None
    threads : Executor or None
    """
    starts = range(0, max(len(rows), 1), SLICE_ROWS)
    slices = [slice(start, start + SLICE_ROWS) for start in starts]
    parts = [(ready, [(rows[part], None if weights is None else weights[part])]) for part in slices]
    sums: Any = starmap(expect, parts) if threads is None else threads.map(expect, *zip(*parts, strict=True))
    return reduce(add, map(AllStatistics, sums)).models


@dataclass(frozen=True, eq=False)
class InMemory(Data):
    """Rows in memory, to which mixtures are fitted here and now.

    Attributes
    ----------
    source : MemorySource
    weights : MemorySource or None
    moments : Moments
    threads : Executor or None
        That share the work of an E-step.
    """

    threads: Executor | None = None

    @classmethod
    def of(
        cls, rows: NDArray[np.floating], weights: Array | None = None, threads: Executor | None = None
    ) -> InMemory:
        """Take rows of shape (n_rows, n_features) with their weights of shape (n_rows,)."""
        source = None if weights is None else MemorySource(weights[:, None])
        return cls(MemorySource(rows), source, Moments.of(rows, weights), threads)

    @property
    def rows(self) -> NDArray[np.floating]:
        """Shape (n_rows, n_features)."""
        assert isinstance(self.source, MemorySource)
        return self.source.values

    @property
    def row_weights(self) -> Array | None:
        """Shape (n_rows,), or None."""
        assert self.weights is None or isinstance(self.weights, MemorySource)
        return None if self.weights is None else self.weights.values[:, 0]

    def _expect(
        self, models: Sequence[Parameters], references: Sequence[Array] | None
    ) -> tuple[tuple[Statistics, ...], Stack, Effort]:
        moments = self.moments
        ready = stack_models(models, moments.mean, moments.extent, self.rows.dtype, references=references)
        return expect_rows(ready, self.rows, self.row_weights, self.threads), ready, NOT_MEASURED


@dataclass(frozen=True, eq=False)
class Climb:
    """Where EM came to on rows in memory.

    Attributes
    ----------
    parameters : Parameters
    log_likelihood : float
        Of these very parameters, nats a row.
    n_steps : int
        M-steps made.
    """

    parameters: Parameters
    log_likelihood: float
    n_steps: int


def climb(data: InMemory, parameters: Parameters, reg_covar: float, n_steps: int, tol: float = 0.0) -> Climb:
    """Make EM steps until one gains less than ``tol`` nats a row, or ``n_steps`` are made.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    return ascend(data, parameters, Likelihood(reg_covar), n_steps, tol)


def ascend(
    data: InMemory, parameters: Parameters, objective: Objective, n_steps: int, tol: float = 0.0
) -> Climb:
    """Make steps of any objective, as `climb`; its ``log_likelihood`` is the objective's lower bound."""
    (evaluation,) = data.climb([parameters], objective)
    for made in range(n_steps):
        before = evaluation
        (evaluation,) = data.climb([before.updated], objective)
        if evaluation.lower_bound - before.lower_bound < tol:
            better = max(before, evaluation, key=lambda each: each.lower_bound)
            return Climb(better.parameters, better.lower_bound, made + 1)
    return Climb(evaluation.parameters, evaluation.lower_bound, n_steps)
