"""EM in memory on a sample, corrected to what a pass said of all rows.

The sample's statistics differ from those of all rows by a sampling error that changes slowly with the
parameters. It is measured where a pass gave both, and taken off the sample's statistics nearby.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.in_memory import expect_rows
from dgmm.fitting.steps.objective import Objective
from dgmm.fitting.survey import Sample
from dgmm.model import em
from dgmm.model.calibration import Calibration
from dgmm.model.extrapolation import FIRST_LENGTH, extrapolated, next_longest
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.stack import Stack, stack_models
from dgmm.model.statistics import Statistics
from dgmm.passes.blas import single_threaded_blas
from dgmm.passes.threads import n_threads

NEGLIGIBLE = 1e-12
"""Nats a row: an M-step that promises less ends the steps in memory, which have converged."""

MOST_GROWTH = 5.0
"""An extrapolation is good if the M-step after it promises no more than so many times what the one before it
did: it stirs up what EM damps fast, and that is gone two steps later."""


@dataclass(frozen=True, eq=False)
class CorrectedSteps:
    """Makes M-steps in memory: see `dgmm.fitting.loop.corrected.Refine`.

    Attributes
    ----------
    data : Data
        All rows: their moments are used alone.
    sample : Sample
        Rows drawn from them at random, with their weights.
    objective : Objective
    """

    data: Data
    sample: Sample
    objective: Objective

    def __call__(self, evaluation: Evaluation, n_steps: int) -> tuple[Parameters, int]:
        """Make at most ``n_steps`` M-steps from a pass, the first of them on the statistics of all rows.

        Where steps are slow, an extrapolation of two stands for as many as lead there. Steps end early where
        the sample cannot tell: of a component with fewer rows than a covariance needs, of a covariance that
        would not be positive definite, and where sums would cancel.

        Returns
        -------
        parameters : Parameters
        n_steps : int
            M-steps made, or stood for.
        """
        if n_steps == 1:
            return evaluation.updated, 1
        with single_threaded_blas(), ThreadPoolExecutor(n_threads()) as threads:
            surroundings = Surroundings.measured(self, evaluation, threads)
            return (evaluation.updated, 1) if surroundings is None else surroundings.climb(n_steps)

    @property
    def smallest_count(self) -> float:
        """Weight of the sample's rows that a component's covariance needs at the least."""
        return (self.sample.values.shape[1] + 1) * self.sample.row_weight

    def stack(self, parameters: Parameters, references: Array) -> Stack:
        """Make a model ready for evaluation, with sums about these points: see `stack_models`."""
        moments, dtype = self.data.moments, self.sample.values.dtype
        about = None if np.isnan(references).all() else [references]  # float32 rows: only without such points
        return stack_models([parameters], moments.mean, moments.extent, dtype, references=about)


@dataclass(frozen=True, eq=False)
class _Step:
    """An E-step and the M-step after it.

    Attributes
    ----------
    statistics : Statistics
        Of the components that the sample knows, as all rows would have them.
    updated : Parameters
    promised : float
        See `dgmm.model.em.promised_gain`; of posteriors no bound, but zero at rest too.
    """

    statistics: Statistics
    updated: Parameters
    promised: float


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is known near the parameters of a pass.

    Attributes
    ----------
    steps : CorrectedSteps
    evaluation : Evaluation
        What the pass said.
    references : ndarray of shape (K, D)
        The points that sums are about, in the data's own coordinates; NaN for the centre.
    n_centred : int
        Components on the centred path.
    known : ndarray of shape (K,), bool
        Components that the sample knows; the others keep what the pass said.
    calibrate : Calibration
        From the sample's statistics of these to those of all rows.
    threads : Executor
    """

    steps: CorrectedSteps
    evaluation: Evaluation
    references: Array
    n_centred: int
    known: NDArray[np.bool_]
    calibrate: Calibration
    threads: Executor

    @classmethod
    def measured(
        cls, steps: CorrectedSteps, evaluation: Evaluation, threads: Executor
    ) -> Surroundings | None:
        """Measure how the sample and all rows differ; None where the sample knows too little."""
        parameters, objective = evaluation.parameters, steps.objective
        references = _references(evaluation.statistics, steps.data.moments.mean)
        ready = steps.stack(parameters, references)
        (sample,) = expect_rows(ready, steps.sample.values, steps.sample.weights, threads)
        known = sample.counts >= steps.smallest_count
        if not known.any():
            return None
        all_rows = evaluation.statistics.of(known)
        calibrate = Calibration.measured(sample.of(known), all_rows, objective.reg_covar)
        if calibrate is None:
            return None
        return cls(steps, evaluation, references, len(ready.centred), known, calibrate, threads)

    def climb(self, n_steps: int) -> tuple[Parameters, int]:
        """Make steps: see `CorrectedSteps`."""
        parameters, made, longest = self.evaluation.updated, 1, FIRST_LENGTH
        path = [self.evaluation.statistics.of(self.known)]
        while made < n_steps and (step := self._step(parameters)) is not None:
            parameters, made, path = step.updated, made + 1, [*path, step.statistics]
            if step.promised < NEGLIGIBLE:
                break
            if len(path) < 3:
                continue
            # From the first of the path, with the step that follows.
            far = self._extrapolated(path, min(longest, 0.5 * (n_steps - made + 1)))
            path = path[2:]
            if far is None:
                continue
            statistics, start, length = far
            landed = self._step(start)
            is_good = landed is not None and landed.promised <= MOST_GROWTH * step.promised
            longest = next_longest(longest, length, is_good=is_good)
            if landed is None or not is_good:
                continue
            parameters, made, path = (
                landed.updated,
                made + int(2.0 * length) - 1,
                [statistics, landed.statistics],
            )
            if landed.promised < NEGLIGIBLE:
                break
        return parameters, made

    def _step(self, parameters: Parameters) -> _Step | None:
        """Make an E-step and an M-step; None where the sample cannot tell."""
        steps = self.steps
        ready = steps.stack(parameters, self.references)
        if len(ready.centred) > self.n_centred:
            return None  # its sums would be about other points than the calibration
        (sample,) = expect_rows(ready, steps.sample.values, steps.sample.weights, self.threads)
        if not (sample.counts[self.known] >= steps.smallest_count).all():
            return None
        statistics = self.calibrate(sample.of(self.known))
        updated = self._updated(statistics, ready.largest_ratio)
        if updated is None:
            return None
        return _Step(statistics, updated, abs(em.promised_gain(parameters, updated)))

    def _extrapolated(
        self, path: list[Statistics], longest: float
    ) -> tuple[Statistics, Parameters, float] | None:
        """Extrapolate: see `extrapolated`; with the parameters that an M-step makes of it."""
        found = extrapolated(path, self.steps.objective.reg_covar, longest)
        if found is None:
            return None
        statistics, length = found
        parameters = self._updated(statistics, np.inf)
        return None if parameters is None else (statistics, parameters, length)

    def _updated(self, statistics: Statistics, largest_ratio: float) -> Parameters | None:
        """Make an M-step; None where the sums leave no covariance, or only rounding errors of it."""
        all_of = self.evaluation.statistics.replaced(self.known, statistics)
        moments = self.steps.data.moments
        return self.steps.objective.update_unless_cancelled(all_of, moments, largest_ratio)


def _references(statistics: Statistics, centre: Array) -> Array:
    """Give the points that sums are about, in the data's own coordinates; NaN for the centre."""
    return np.where(statistics.is_centred[:, None], centre + statistics.references, np.nan)
