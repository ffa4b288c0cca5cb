"""E-steps on rows in memory, without Dask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from dgmm.data.memory import MemorySource
from dgmm.fitting.steps.expectation import NOT_MEASURED, AllStatistics, Data, completed
from dgmm.fitting.steps.repeated import RepeatedValues, repeated_values
from dgmm.kernels import Kernel, expect, kernel_for
from dgmm.kernels.kernel import Part
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import stack_models
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from dgmm.passes.task import Effort


@dataclass(frozen=True)
class InMemoryTuning:
    """How rows in memory are worked on.

    Attributes
    ----------
    slice_rows : int
        Rows that a thread takes at once: fixed, so that sums have the same bits on any number of threads.
    slice_rows_lacking : int
        The same where rows may lack values: many are wanted that lack the same.
    largest_table_bytes : int
        Features of more bytes are found again in each E-step: to read them from memory takes as long.
    near : float
        Standard deviations from a component's mean within which densities are to be right: elsewhere they
        are so small that float32 products serve, whatever their error.
    """

    slice_rows: int = 2**14
    slice_rows_lacking: int = 2**16
    largest_table_bytes: int = 2**25
    near: float = 4.0


IN_MEMORY = InMemoryTuning()


@dataclass
class WorkDone:
    """How much work E-steps on rows in memory were.

    Attributes
    ----------
    n_evaluations : int
        Rows times components.
    """

    n_evaluations: int = 0


_work: ContextVar[WorkDone | None] = ContextVar("work", default=None)


@contextmanager
def counted() -> Iterator[WorkDone]:
    """Count what E-steps of `InMemory` do inside this context, and not in another thread."""
    work = WorkDone()
    token = _work.set(work)
    try:
        yield work
    finally:
        _work.reset(token)


def _count(ready: Stack, n_rows: int) -> None:
    work = _work.get()
    if work is not None:
        work.n_evaluations += n_rows * sum(len(model.means) for model in ready.models)


def expect_rows(ready: Stack, rows: Part, threads: Executor) -> tuple[Statistics, ...]:
    """E-step on rows in memory, on threads."""
    step = IN_MEMORY.slice_rows if ready.extent is None else IN_MEMORY.slice_rows_lacking
    parts = [[rows.of_rows(slice(start, start + step))] for start in range(0, max(len(rows.rows), 1), step)]
    return reduce(add, map(AllStatistics, threads.map(partial(expect, ready), parts))).models


@dataclass(frozen=True, eq=False)
class InMemory(Data):
    """Rows in memory, to which mixtures are fitted here and now: starts, and moves.

    float32 rows are for rough answers: see `dgmm.kernels.precision.ROUGH`.

    Attributes
    ----------
    source : MemorySource
    weights : MemorySource or None
    moments : Moments
    n_rows_in_all : int or None
        Rows that the work is for; None where they are many (see `dgmm.kernels.stack.Stack.n_rows`).
    tables, taken : dict
        Features of the rows, and first rows, as they were asked for: all tasks of a process share them.
    """

    n_rows_in_all: int | None = field(default=None, kw_only=True)
    tables: dict[tuple[Kernel, int, bool, np.dtype], NDArray[np.floating] | None] = field(
        default_factory=dict, repr=False
    )
    taken: dict[int, InMemory] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        rows: NDArray[np.floating],
        weights: Array | None = None,
        n_rows_in_all: int | None = None,
        *,
        products: bool = True,
    ) -> InMemory:
        """Take rows of shape (n_rows, n_features) with their weights of shape (n_rows,).

        Without ``products``, moments have no covariances: starts that need some find their own.
        """
        source = None if weights is None else MemorySource(weights[:, None])
        moments = Moments.of(rows, weights, products=products)
        return cls(MemorySource(rows), source, moments, n_rows_in_all=n_rows_in_all)

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

    @cached_property
    def repeated(self) -> RepeatedValues:
        """Values that many of these rows have."""
        return repeated_values(self.rows, self.row_weights)

    def part(
        self, rows: slice | NDArray[np.intp], weights: Array | None, *, products: bool = True
    ) -> InMemory:
        """Take some rows, with weights of their own, and moments as those of `of`."""
        return InMemory.of(self.rows[rows], weights, self.n_rows_in_all, products=products)

    def first(self, n_rows: int) -> InMemory:
        """Take the first rows: a sample, where rows are in random order."""
        if n_rows >= len(self.rows):
            return self
        if n_rows not in self.taken:
            weights = None if self.row_weights is None else self.row_weights[:n_rows]
            products = self.moments.scatter.ndim == 2
            self.taken[n_rows] = self.part(slice(n_rows), weights, products=products)
        return self.taken[n_rows]

    def stack(self, models: Sequence[Parameters], references: Sequence[Array] | None = None) -> Stack:
        """Make models ready for evaluation on these rows."""
        return stack_models(
            models,
            self.moments.mean,
            self.moments.extent,
            self.rows.dtype,
            references=references,
            reaches=[self._reach(model) for model in models] if self.rows.dtype == np.float32 else None,
            n_rows=self.n_rows_in_all,
        )

    def _reach(self, model: Parameters) -> Array:
        """Return how far from the mean of the rows a component's own are: (K, D)."""
        deviations = np.sqrt(model.variances)
        reach = np.abs(model.means - self.moments.mean) + IN_MEMORY.near * deviations
        return np.minimum(reach, self.moments.extent)

    def responsibilities(self, parameters: Parameters) -> NDArray[np.floating]:
        """Probability of each component given each row: (K, n_rows)."""
        ready = self.stack([parameters])
        _count(ready, len(self.rows))
        result = np.empty((parameters.n_components, len(self.rows)), ready.dtype)
        start = 0
        kernel = kernel_for(ready)
        for shares, densities in kernel.evaluate(ready, self.rows, self._features(ready, kernel)):
            result[:, start : (start := start + len(densities))] = shares
        return result

    def expect(
        self, models: Sequence[Parameters], references: Sequence[Array] | None = None
    ) -> tuple[tuple[Statistics, ...], Stack, Effort]:
        """Make an E-step: see `Data.expect`."""
        ready = self.stack(models, references)
        statistics = self.expect_stack(ready, self.row_weights)
        return completed(statistics, models, [self.moments] * len(models)), ready, NOT_MEASURED

    def expect_stack(self, ready: Stack, weights: Array | None) -> tuple[Statistics, ...]:
        """E-step with these weights of the rows, (n_rows,) or (n_models, n_rows), or None: not completed."""
        _count(ready, len(self.rows))
        kernel = kernel_for(ready)
        return kernel.expect(ready, [(self.rows, weights)], self._features(ready, kernel))

    def _features(self, ready: Stack, kernel: Kernel) -> NDArray[np.floating] | None:
        """Return what the kernel keeps of the rows, found once; None where it is nothing, or too large."""
        if ready.n_table * len(self.rows) * ready.dtype.itemsize > IN_MEMORY.largest_table_bytes:
            return None
        kind = (kernel, ready.n_table, ready.has_norm, ready.dtype)
        if kind not in self.tables:
            self.tables[kind] = kernel.features_of(ready, self.rows)
        return self.tables[kind]
