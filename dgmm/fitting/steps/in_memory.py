"""EM on rows in memory, with no pass and no Dask: many times over, or inside a task."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from dgmm.data.memory import MemorySource
from dgmm.fitting.steps.expectation import NOT_MEASURED, AllStatistics, Data, Evaluation, completed
from dgmm.fitting.steps.objective import Likelihood, Objective
from dgmm.model import compiled
from dgmm.model.compiled import CompiledGroup
from dgmm.model.extrapolation import FIRST_LENGTH, extrapolated, next_longest
from dgmm.model.kernels import Workspace, blocks_of, expect, feature_table
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.stack import Stack, stack_models
from dgmm.model.statistics import Moments, Statistics
from dgmm.passes.task import Effort

SLICE_ROWS = 2**14
"""Rows that a thread takes at once: fixed, so that the sums have the same bits on any number of threads."""


LARGEST_TABLE_BYTES = 2**25
"""Features of more bytes are found again in each E-step: to read them from memory takes as long."""

NEAR = 4.0
"""Standard deviations from a component's mean within which densities are to be right: elsewhere they are so
small that float32 products serve, whatever their error."""


def expect_rows(
    ready: Stack, rows: NDArray[np.floating], weights: Array | None, threads: Executor
) -> tuple[Statistics, ...]:
    """E-step on rows in memory, on threads.

    Parameters
    ----------
    ready : Stack
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,), or (n_models, n_rows) with those of each model, or None
    threads : Executor
    """
    slices = [slice(start, start + SLICE_ROWS) for start in range(0, max(len(rows), 1), SLICE_ROWS)]
    parts = [[(rows[part], None if weights is None else weights[..., part])] for part in slices]
    return reduce(add, map(AllStatistics, threads.map(partial(expect, ready), parts))).models


@dataclass(frozen=True, eq=False)
class InMemory(Data):
    """Rows in memory, to which mixtures are fitted here and now: starts, and moves.

    float32 rows are for rough answers: see `dgmm.model.precision.ROUGH_ERROR`.

    Attributes
    ----------
    source : MemorySource
    weights : MemorySource or None
    moments : Moments
    threads : Executor or None
        That share the work of an E-step.
    tables : dict
        Features of the rows, as they were asked for.
    """

    threads: Executor | None = None
    tables: dict[tuple[int, bool, np.dtype], NDArray[np.floating]] = field(default_factory=dict, repr=False)

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
        deviations = np.sqrt(model.variances)
        return np.minimum(np.abs(model.means - self.moments.mean) + NEAR * deviations, self.moments.extent)

    def responsibilities(self, parameters: Parameters) -> NDArray[np.floating]:
        """Probability of each component given each row: (K, n_rows)."""
        ready = self.stack([parameters])
        if compiled.is_available():
            return np.ascontiguousarray(CompiledGroup(ready, ready.groups[0]).evaluate(self.rows)[0].T)
        workspace = Workspace(ready)
        result = np.empty((parameters.n_components, len(self.rows)), ready.dtype)
        for block in blocks_of(ready, [(self.rows, None)], self._features(ready)):
            log_joint = workspace.log_joint(block.rows, workspace.features(block), ready.groups[0])
            workspace.normalize(log_joint)
            result[:, block.start : block.start + len(block.rows)] = log_joint
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
        if self.threads is not None:
            return expect_rows(ready, self.rows, weights, self.threads)
        features = None if compiled.is_available() else self._features(ready)
        return expect(ready, [(self.rows, weights)], features)

    def _features(self, ready: Stack) -> NDArray[np.floating] | None:
        """Give the features of the rows for `InMemory.stack`, found once; None where they are too large."""
        if ready.n_table * len(self.rows) * ready.dtype.itemsize > LARGEST_TABLE_BYTES:
            return None
        kind = (ready.n_table, ready.has_norm, ready.dtype)
        if kind not in self.tables:
            self.tables[kind] = feature_table(ready, self.rows)
        return self.tables[kind]


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


def log_likelihood(data: InMemory, parameters: Parameters) -> float:
    """Give the mean log density of the rows under a mixture, nats a row: an E-step without an M-step."""
    (statistics,), _, _ = data.expect([parameters])
    return statistics.log_likelihood / data.moments.weight


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
    run = _Run.begun(evaluation, n_steps)
    while not run.has_ended:
        (found,) = data.climb_each([run.candidate], objective)
        if isinstance(found, Exception) and not run.is_trial:
            raise found
        run = run.after(found, data, objective, tol)
    return run.climb


@dataclass(frozen=True, eq=False)
class _Run:
    """A climb on its way: steps, and extrapolations of two steps where these are slow.

    An extrapolation stands for as many steps as lead there (see `dgmm.model.extrapolation`), and is taken
    back where it does not climb.

    Attributes
    ----------
    reached : Evaluation
        The last that was not taken back.
    n_steps, left : int
        Steps made, or stood for, and those that may still be made.
    gain : float
        Of the last step, in nats a row.
    path : tuple of Statistics
        That the next extrapolation will be from.
    longest : float
        Its most length.
    trial : tuple of (Statistics, Parameters, float), or None
        An extrapolation that is to be evaluated next, and its length.
    has_converged : bool
    """

    reached: Evaluation
    n_steps: int
    left: int
    gain: float
    path: tuple[Statistics, ...]
    longest: float = FIRST_LENGTH
    trial: tuple[Statistics, Parameters, float] | None = None
    has_converged: bool = False

    @classmethod
    def begun(cls, evaluation: Evaluation, n_steps: int) -> _Run:
        """Begin with what is known of a start."""
        return cls(evaluation, 0, n_steps, np.inf, (evaluation.statistics,))

    @property
    def is_trial(self) -> bool:
        """Whether an extrapolation is to be evaluated next."""
        return self.trial is not None

    @property
    def candidate(self) -> Parameters:
        """What is to be evaluated next."""
        return self.reached.updated if self.trial is None else self.trial[1]

    @property
    def has_ended(self) -> bool:
        """Whether it has converged, or made all its steps."""
        return self.has_converged or (self.left <= 0 and not self.is_trial)

    @property
    def climb(self) -> Climb:
        """Where it has come to."""
        return Climb(self.reached.parameters, self.reached.lower_bound, self.n_steps)

    @property
    def promise(self) -> float:
        """What it reaches if all steps that are left gain as much as the last, nats a row."""
        return self.reached.lower_bound + self.left * self.gain

    def after(self, found: Evaluation | Exception, data: InMemory, objective: Objective, tol: float) -> _Run:
        """Take in what is known of the candidate; a step that failed is for the caller."""
        if self.trial is not None:
            return self._after_trial(found, self.trial)
        assert isinstance(found, Evaluation)
        gain = found.lower_bound - self.reached.lower_bound
        if gain < tol:
            better = max(self.reached, found, key=lambda each: each.lower_bound)
            return replace(self._stepped(better, 1), gain=gain, has_converged=True)
        run = replace(self._stepped(found, 1), gain=gain, path=(*self.path, found.statistics))
        if len(run.path) < 3:
            return run
        # From the first of the path, two steps ago; one step follows.
        longest = min(run.longest, 0.5 * (run.left + 1))
        trial = _extrapolated(run.path, data, objective, longest)
        return replace(run, path=run.path[2:], trial=trial)

    def _after_trial(
        self, found: Evaluation | Exception, trial: tuple[Statistics, Parameters, float]
    ) -> _Run:
        far, _, length = trial
        is_good = isinstance(found, Evaluation) and found.lower_bound >= self.reached.lower_bound
        run = replace(self, trial=None, longest=next_longest(self.longest, length, is_good=is_good))
        if not isinstance(found, Evaluation) or not is_good:
            return run
        return replace(run._stepped(found, int(2.0 * length) - 1), path=(far, found.statistics))

    def _stepped(self, reached: Evaluation, n_steps: int) -> _Run:
        return replace(self, reached=reached, n_steps=self.n_steps + n_steps, left=self.left - n_steps)


def _extrapolated(
    path: Sequence[Statistics], data: InMemory, objective: Objective, longest: float
) -> tuple[Statistics, Parameters, float] | None:
    """Extrapolate: see `extrapolated`; with the parameters that an M-step makes of it."""
    first, *others = path
    if any(not np.array_equal(first.references, each.references) for each in others):
        return None
    found = extrapolated(path, objective.reg_covar, longest)
    if found is None:
        return None
    far, length = found
    start = objective.update_unless_cancelled(far, data.moments, np.inf)
    return None if start is None else (far, start, length)


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
    objective = Likelihood(reg_covar)
    begun = data.climb_each(starts, objective) if starts else []
    running = [_Run.begun(each, n_steps) for each in begun if isinstance(each, Evaluation)]
    ended: list[_Run] = []
    while running:
        evaluated = data.climb_each([run.candidate for run in running], objective)
        after = [
            run.after(found, data, objective, tol)
            for run, found in zip(running, evaluated, strict=True)
            if run.is_trial or isinstance(found, Evaluation)
        ]
        reached = sorted(run.reached.lower_bound for run in [*ended, *after])
        ended += [run for run in after if run.has_ended]
        bar = reached[-n_wanted] if len(reached) >= n_wanted else -np.inf
        running = [run for run in after if not run.has_ended and run.promise >= bar]
    return [run.climb for run in ended]
