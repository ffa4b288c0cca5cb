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
from dgmm.fitting.expectation import NOT_MEASURED, AllStatistics, Data, Evaluation
from dgmm.fitting.objective import Likelihood, Objective
from dgmm.model.families import Array
from dgmm.model.kernels import Workspace, blocks_of, expect
from dgmm.model.parameters import Parameters
from dgmm.model.stack import Stack, stack_models
from dgmm.model.statistics import Moments, Statistics
from dgmm.passes.task import Effort

SLICE_ROWS = 2**14
"""Rows that a thread takes at once: fixed, so that the sums have the same bits on any number of threads."""


NEAR = 4.0
"""Standard deviations from a component's mean within which densities are to be right: elsewhere they are so
small that float32 products serve, whatever their error."""


def expect_rows(
    ready: Stack, rows: NDArray[np.floating], weights: Array | None, threads: Executor | None
) -> tuple[Statistics, ...]:
    """E-step on rows in memory, on the threads given or on this one.

    Parameters
    ----------
    ready : Stack
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,), or (n_models, n_rows) with those of each model, or None
    threads : Executor or None
    """
    starts = range(0, max(len(rows), 1), SLICE_ROWS)
    slices = [slice(start, start + SLICE_ROWS) for start in starts]
    parts = [(ready, [(rows[part], None if weights is None else weights[..., part])]) for part in slices]
    sums: Any = starmap(expect, parts) if threads is None else threads.map(expect, *zip(*parts, strict=True))
    return reduce(add, map(AllStatistics, sums)).models


@dataclass(frozen=True, eq=False)
class InMemory(Data):
    """Rows in memory, to which mixtures are fitted here and now: starts, and moves.

    float32 rows are for rough answers: see `dgmm.model.stack.ROUGH_ERROR`.

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

    def stack(self, models: Sequence[Parameters], references: Sequence[Array] | None = None) -> Stack:
        """Make models ready for evaluation on these rows."""
        return stack_models(
            models,
            self.moments.mean,
            self.moments.extent,
            self.rows.dtype,
            references=references,
            reaches=[self._reach(model) for model in models] if self.rows.dtype == np.float32 else None,
        )

    def _reach(self, model: Parameters) -> Array:
        """Give how far from the mean of the rows a component's own are: (K, D)."""
        deviations = np.sqrt(np.diagonal(model.covariance_matrices, axis1=1, axis2=2))
        return np.minimum(np.abs(model.means - self.moments.mean) + NEAR * deviations, self.moments.extent)

    def responsibilities(self, parameters: Parameters) -> NDArray[np.floating]:
        """Probability of each component given each row: (K, n_rows)."""
        ready = self.stack([parameters])
        workspace = Workspace(ready)
        result = np.empty((parameters.n_components, len(self.rows)), ready.dtype)
        for block in blocks_of(ready, [(self.rows, None)]):
            log_joint = workspace.log_joint(block.rows, workspace.features(block.rows))
            workspace.normalize(log_joint)
            result[:, block.start : block.start + len(block.rows)] = log_joint
        return result

    def _expect(
        self, models: Sequence[Parameters], references: Sequence[Array] | None
    ) -> tuple[tuple[Statistics, ...], Stack, Effort]:
        ready = self.stack(models, references)
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


def contest(
    data: InMemory,
    starts: Sequence[Parameters],
    reg_covar: float,
    n_steps: int,
    tol: float,
    *,
    n_wanted: int,
) -> list[Climb]:
    """Climb from several starts side by side, and give those that came to their ends.

    They leave before that where a covariance is not positive definite, or where as much as the last gain in
    all the steps that are left would not bring them among the ``n_wanted`` best.

    Parameters
    ----------
    data : InMemory
    starts : sequence of Parameters
    reg_covar : float
    n_steps : int
        EM steps at the most, at least one.
    tol : float
        A climb ends where a step gains less, nats a row.
    n_wanted : int
    """
    objective, ended = Likelihood(reg_covar), []
    begun = data.climb_each(starts, objective) if starts else []
    running = [each for each in begun if isinstance(each, Evaluation)]
    for left in reversed(range(n_steps)):
        if not running:
            break
        after = data.climb_each([each.updated for each in running], objective)
        pairs = [
            (before, each)
            for before, each in zip(running, after, strict=True)
            if isinstance(each, Evaluation)
        ]
        promises: list[tuple[float, Evaluation]] = []
        for before, each in pairs:
            gain = each.lower_bound - before.lower_bound
            if gain < tol or left == 0:
                better = max(before, each, key=lambda one: one.lower_bound)
                ended.append(Climb(better.parameters, better.lower_bound, n_steps - left))
            else:
                promises.append((each.lower_bound + left * gain, each))
        reached = sorted([each.lower_bound for _, each in pairs] + [each.log_likelihood for each in ended])
        bar = reached[-n_wanted] if len(reached) >= n_wanted else -np.inf
        running = [each for promise, each in promises if promise >= bar]
    return ended
