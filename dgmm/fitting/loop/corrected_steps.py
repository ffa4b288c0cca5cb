"""EM in memory on a sample, corrected to what a pass said of all rows.

The sample's statistics differ from those of all rows by a sampling error that changes slowly with the
parameters. It is measured where a pass gave both, and taken off the sample's statistics nearby.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.fitting.loop.corrected import CORRECTED
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.accelerated import Extrapolation, StepRule, Steps
from dgmm.fitting.steps.expectation import Data, Evaluation, part_of
from dgmm.fitting.steps.in_memory import expect_rows
from dgmm.fitting.steps.objective import Objective
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import stack_models
from dgmm.model import em
from dgmm.model.calibration import Calibration
from dgmm.model.extrapolation import extrapolated
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics
from dgmm.passes.journal import answered
from dgmm.passes.parts import Parts
from dgmm.passes.threads import n_threads


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

        def steps(_: Parts) -> tuple[Parameters, int]:
            with ThreadPoolExecutor(n_threads()) as threads:
                surroundings = Surroundings.measured(self, evaluation, threads)
                return (evaluation.updated, 1) if surroundings is None else surroundings.steps_made(n_steps)

        about = (evaluation.parameters, evaluation.updated)
        return answered("steps", "corrected", n_steps, about=about, compute=steps, may_wait=True).value

    @property
    def smallest_count(self) -> float:
        """Weight of the sample's rows that a component's covariance needs at the least."""
        return rows_of_a_covariance(self.sample.values.shape[1]) * self.sample.row_weight

    def stack(self, parameters: Parameters, references: Array) -> Stack:
        """Make a model ready for evaluation, with sums about these points: see `stack_models`."""
        moments, dtype = self.data.moments, self.sample.values.dtype
        about = None if np.isnan(references).all() else [references]  # float32 rows: only without such points
        return stack_models(
            [parameters],
            moments.mean,
            moments.extent,
            dtype,
            references=about,
            may_lack=self.data.may_lack,
            n_rows=self.data.source.n_rows,
            n_groups=self.data.n_groups,
            n_errors=self.data.n_errors,
        )

    def expect(self, ready: Stack, threads: Executor) -> Statistics:
        """Make an E-step of a model on the sample."""
        (found,) = expect_rows(ready, part_of(self.sample, ready, self.data.known), threads)
        return found


@dataclass(frozen=True, eq=False)
class SampleStep:
    """An E-step on the sample, corrected, and the M-step after it.

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
class Surroundings(StepRule[SampleStep]):
    """What is known near the parameters of a pass.

    Attributes
    ----------
    steps : CorrectedSteps
    evaluation : Evaluation
        What the pass said.
    references : ndarray of shape (K, D)
        The points that sums are about, in the data's own coordinates; NaN for the centre.
    n_narrow : int
        Components whose sums are about points of their own.
    known : ndarray of shape (K,), bool
        Components that the sample knows; the others keep what the pass said.
    calibrate : Calibration
        From the sample's statistics of these to those of all rows.
    threads : Executor
    tol : float
        Nats a row that an M-step promises at rest.
    """

    steps: CorrectedSteps
    evaluation: Evaluation
    references: Array
    n_narrow: int
    known: NDArray[np.bool_]
    calibrate: Calibration
    threads: Executor
    tol: float

    @classmethod
    def measured(
        cls, steps: CorrectedSteps, evaluation: Evaluation, threads: Executor
    ) -> Surroundings | None:
        """Measure how the sample and all rows differ; None where the sample knows too little."""
        parameters, objective = evaluation.parameters, steps.objective
        references = _references(evaluation.statistics, steps.data.moments.mean)
        ready = steps.stack(parameters, references)
        sample = steps.expect(ready, threads)
        known = sample.counts >= steps.smallest_count
        if not known.any():
            return None
        all_rows = evaluation.statistics.of(known)
        calibrate = Calibration.measured(sample.of(known), all_rows, objective.reg_covar)
        if calibrate is None:
            return None
        return cls(
            steps, evaluation, references, ready.n_narrow, known, calibrate, threads, CORRECTED.negligible
        )

    def steps_made(self, n_steps: int) -> tuple[Parameters, int]:
        """Make steps: see `CorrectedSteps`."""
        evaluation = self.evaluation
        pass_ = SampleStep(evaluation.statistics.of(self.known), evaluation.updated, np.inf)
        steps = Steps(pass_, n_steps - 1, (pass_.statistics,))
        while not steps.has_ended:
            found = self._step(steps.to_evaluate)
            if found is None and steps.trial is None:
                break
            steps = steps.after(found, self)
        return steps.reached.updated, steps.n_made + 1

    def gain(self, before: SampleStep, after: SampleStep) -> float:
        """Return what a step promises."""
        return after.promised

    def accepts(self, before: SampleStep, landed: SampleStep) -> bool:
        """Return whether an extrapolation has not stirred up much more than was there before."""
        return landed.promised <= CORRECTED.most_stirred * before.promised

    def rests(self, before: SampleStep, landed: SampleStep) -> bool:
        """Return whether the step after an extrapolation promises next to nothing."""
        return landed.promised < self.tol

    def _step(self, parameters: Parameters) -> SampleStep | None:
        """Make an E-step and an M-step; None where the sample cannot tell."""
        steps = self.steps
        ready = steps.stack(parameters, self.references)
        if ready.n_narrow > self.n_narrow:
            return None  # its sums would be about other points than the calibration
        sample = steps.expect(ready, self.threads)
        if not (sample.counts[self.known] >= steps.smallest_count).all():
            return None
        statistics = self.calibrate(sample.of(self.known))
        updated = self._updated(statistics, ready.largest_ratio)
        if updated is None:
            return None
        promised = em.promised_gain(parameters, updated, self._with_others(statistics).group_counts)
        return SampleStep(statistics, updated, abs(promised))

    def extrapolated(self, path: Sequence[Statistics], longest: float) -> Extrapolation | None:
        """Extrapolate: see `dgmm.model.extrapolation.extrapolated`."""
        found = extrapolated(path, self.steps.objective.reg_covar, longest)
        if found is None:
            return None
        statistics, length = found
        parameters = self._updated(statistics, np.inf)
        return None if parameters is None else Extrapolation(statistics, parameters, length)

    def _updated(self, statistics: Statistics, largest_ratio: float) -> Parameters | None:
        """Make an M-step; None where the sums leave no covariance, or only rounding errors of it."""
        moments = self.steps.data.moments
        return self.steps.objective.update_unless_cancelled(
            self._with_others(statistics), moments, largest_ratio
        )

    def _with_others(self, statistics: Statistics) -> Statistics:
        """Put what the pass said of components that the sample does not know beside those of the others."""
        return self.evaluation.statistics.replaced(self.known, statistics)


def _references(statistics: Statistics, centre: Array) -> Array:
    """Return the points that sums are about, in the data's own coordinates; NaN for the centre."""
    return np.where(statistics.is_centred(centre)[:, None], statistics.references, np.nan)
