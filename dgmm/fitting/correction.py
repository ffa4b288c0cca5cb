"""EM in memory on a sample, corrected to what a pass said of all rows.

The sample's statistics differ from those of all rows by a sampling error that changes slowly with the
parameters. It is measured where a pass gave both, and taken off the sample's statistics nearby.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from dask.system import CPU_COUNT

from dgmm.fitting.expectation import Data, Evaluation
from dgmm.fitting.in_memory import expect_rows
from dgmm.fitting.objective import Objective
from dgmm.fitting.survey import Sample
from dgmm.model import em
from dgmm.model.calibration import Calibration
from dgmm.model.families import Array
from dgmm.model.parameters import Parameters
from dgmm.model.stack import Stack, stack_models
from dgmm.model.statistics import Statistics
from dgmm.passes.blas import single_threaded_blas

NEGLIGIBLE = 1e-12
"""Nats a row: an M-step that promises less ends the steps in memory, which have converged."""


@dataclass(frozen=True, eq=False)
class CorrectedSteps:
    """Makes M-steps in memory: see `dgmm.fitting.corrected.Refine`.

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

        They end early where the sample cannot tell: of a component with fewer rows than a covariance needs,
        of a covariance that would not be positive definite, and where sums would cancel.

        Returns
        -------
        parameters : Parameters
        n_steps : int
            M-steps made.
        """
        parameters, made = evaluation.updated, 1
        if n_steps == 1:
            return parameters, made
        covariance_type = parameters.covariance_type
        references = _references(evaluation.statistics, self.data.moments.mean, covariance_type)
        with single_threaded_blas(), ThreadPoolExecutor(CPU_COUNT) as threads:
            ready = self._stack(evaluation.parameters, references)
            n_centred = len(ready.centred)
            sample = self._expect(ready, threads)
            known = self.objective.known(sample.counts, self._smallest_count)
            calibrate = None
            if known is not None:
                calibrate = Calibration.measured(
                    sample.of(known),
                    evaluation.statistics.of(known),
                    covariance_type,
                    self.objective.reg_covar,
                )
            while made < n_steps and known is not None and calibrate is not None:
                ready = self._stack(parameters, references)
                if len(ready.centred) > n_centred:
                    break  # its sums would be about other points than the calibration
                sample = self._expect(ready, threads).of(known)
                if not (sample.counts >= self._smallest_count).all():
                    break
                statistics = evaluation.statistics.replaced(known, calibrate(sample))
                updated = self.objective.update_unless_cancelled(
                    statistics, covariance_type, self.data.moments, ready.largest_ratio
                )
                if updated is None:
                    break
                moved = em.promised_gain(parameters, updated)  # of posteriors no bound, but zero at rest too
                parameters, made = updated, made + 1
                if abs(moved) < NEGLIGIBLE:
                    break
        return parameters, made

    @property
    def _smallest_count(self) -> float:
        """Weight of the sample's rows that a component's covariance needs at the least."""
        weights, n_features = self.sample.weights, self.sample.values.shape[1]
        return (n_features + 1) * (1.0 if weights is None else float(weights.mean()))

    def _stack(self, parameters: Parameters, references: Array) -> Stack:
        moments, dtype = self.data.moments, self.sample.values.dtype
        about = None if np.isnan(references).all() else [references]  # float32 rows: only without such points
        return stack_models([parameters], moments.mean, moments.extent, dtype, references=about)

    def _expect(self, ready: Stack, threads: ThreadPoolExecutor) -> Statistics:
        """Give the sample's statistics."""
        return expect_rows(ready, self.sample.values, self.sample.weights, threads)[0]


def _references(statistics: Statistics, centre: Array, covariance_type: str) -> Array:
    """Give the points that sums are about, in the data's own coordinates; NaN for the centre."""
    has_own_scatter = covariance_type == "tied" and statistics.scatter.shape[1] > 0
    is_centred = statistics.references.any(axis=1, keepdims=True) | has_own_scatter
    return np.where(is_centred, centre + statistics.references, np.nan)
