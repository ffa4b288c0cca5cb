"""EM in memory on a sample, corrected to what a pass said of all rows.

The sample's statistics differ from those of all rows by a sampling error that changes slowly with the
parameters. It is measured where a pass gave both, and added to the sample's statistics nearby.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add

from dask.system import CPU_COUNT

from dgmm.fitting.expectation import Data, Evaluation
from dgmm.fitting.survey import Sample
from dgmm.model import em
from dgmm.model.families import Array
from dgmm.model.kernels import expect
from dgmm.model.parameters import Parameters
from dgmm.model.stack import Stack, stack_models
from dgmm.model.statistics import Statistics
from dgmm.passes.blas import single_threaded_blas

SLICE_ROWS = 2**14
"""Rows of a task: fixed, so that the sums have the same bits on any number of threads."""


@dataclass(frozen=True, eq=False)
class CorrectedSteps:
    """Makes M-steps in memory: see `dgmm.fitting.corrected.Refine`.

    Attributes
    ----------
    data : Data
        All rows: their moments are used alone.
    sample : Sample
        Rows drawn from them at random, with their weights.
    reg_covar : float
    """

    data: Data
    sample: Sample
    reg_covar: float

    def __call__(self, evaluation: Evaluation, n_steps: int) -> tuple[Parameters, int]:
        """Make at most ``n_steps`` M-steps from a pass, the first of them on the statistics of all rows.

        They end early where a component would be left with a row or less, where a covariance would not be
        positive definite, and where sums would cancel: the sample cannot tell more there.

        Returns
        -------
        parameters : Parameters
        n_steps : int
            M-steps made.
        """
        parameters, made = evaluation.updated, 1
        if n_steps == 1:
            return parameters, made
        references = _references(evaluation.statistics, self.data.moments.mean, parameters.covariance_type)
        with single_threaded_blas(), ThreadPoolExecutor(CPU_COUNT) as threads:
            ready = self._stack(evaluation.parameters, references)
            correction = evaluation.statistics - self._expect(ready, threads)
            while made < n_steps:
                ready = self._stack(parameters, references)
                if references is None and ready.centred:
                    break  # its sums would be about other points than the correction
                updated = self._update(self._expect(ready, threads) + correction, parameters, ready)
                if updated is None:
                    break
                parameters, made = updated, made + 1
        return parameters, made

    @property
    def _scale(self) -> float:
        """Weight of all rows for each unit of the sample's."""
        weights, moments = self.sample.weights, self.data.moments
        total = len(self.sample.values) if weights is None else float(weights.sum())
        return moments.weight / total if total > 0.0 else 0.0

    def _stack(self, parameters: Parameters, references: Array | None) -> Stack:
        moments = self.data.moments
        about = None if references is None else [references]
        return stack_models(
            [parameters], moments.mean, moments.extent, self.sample.values.dtype, references=about
        )

    def _expect(self, ready: Stack, threads: ThreadPoolExecutor) -> Statistics:
        """Give the sample's statistics, scaled to all rows."""
        rows, weights = self.sample.values, self.sample.weights

        def work(start: int) -> Statistics:
            part = slice(start, start + SLICE_ROWS)
            return expect(ready, [(rows[part], None if weights is None else weights[part])])[0]

        return self._scale * reduce(add, threads.map(work, range(0, len(rows), SLICE_ROWS)))

    def _update(self, statistics: Statistics, before: Parameters, ready: Stack) -> Parameters | None:
        """Make an M-step; None where there are no rows with such statistics, or they cancelled."""
        moments = self.data.moments
        if not (statistics.counts > moments.weight / moments.n_rows).all():
            return None
        return em.update_unless_cancelled(
            statistics,
            before.covariance_type,
            moments.mean,
            moments.scatter,
            self.reg_covar,
            dtype=ready.dtype,
        )


def _references(statistics: Statistics, centre: Array, covariance_type: str) -> Array | None:
    """Give the points that sums are about, in the data's own coordinates; None for the centre."""
    has_own_scatter = covariance_type == "tied" and statistics.scatter.shape[1] > 0
    return centre + statistics.references if has_own_scatter or statistics.references.any() else None
