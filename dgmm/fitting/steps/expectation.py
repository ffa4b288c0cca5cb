"""E-steps over a source: one pass for all models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from dgmm.data.source import Source
from dgmm.fitting.filling import Filling
from dgmm.fitting.labels_and_groups import KnownParts, priors_of
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.objective import ROUNDS, EMStep, Objective
from dgmm.kernels import expect
from dgmm.kernels.kernel import Part
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import stack_models
from dgmm.model import em
from dgmm.model.matrices import Array, DegenerateCovarianceError, OverflowedError
from dgmm.model.parameters import Evaluable, Parameters
from dgmm.model.statistics import Moments, Statistics
from dgmm.passes.run import run_timed_pass
from dgmm.passes.task import ChunkRows, Effort, Work


@dataclass(frozen=True, eq=False)
class AllStatistics:
    """The statistics of all models of a pass: they add up model by model."""

    models: tuple[Statistics, ...]

    def __add__(self, other: AllStatistics) -> AllStatistics:
        return AllStatistics(tuple(a + b for a, b in zip(self.models, other.models, strict=True)))


@dataclass(frozen=True, eq=False)
class ExpectationWork:
    """The work of an E-step pass."""

    stack: Stack
    known: KnownParts | None = None

    def __call__(self, chunks: Iterator[ChunkRows]) -> AllStatistics:
        """Sum the statistics of a span."""
        return AllStatistics(expect(self.stack, (part_of(chunk, self.stack, self.known) for chunk in chunks)))


def part_of(rows: ChunkRows | Sample, stack: Stack, known: KnownParts | None = None) -> Part:
    """Return rows with their weights and side information: errors, then what is known of components."""
    priors = priors_of(known, stack, rows.side_information)
    columns = rows.side_information
    errors = None if columns is None or not stack.n_errors else columns[:, : stack.n_errors]
    return Part(rows.values, rows.weights, priors, errors)


def errors_and_priors(
    model: Parameters, columns: Array | None, known: KnownParts | None, n_errors: int
) -> tuple[Array | None, Array | None]:
    """Take the side information of rows apart, columns (n_rows, n_columns), for one model.

    Returns
    -------
    errors : ndarray of shape (n_rows, n_errors), or None
    log_priors : ndarray of shape (n_rows, K), or None
        Of the rows over the components: see `dgmm.kernels.priors`.
    """
    if columns is None:
        return None, None
    log_priors = None if known is None else known.priors_of_rows(model, columns)
    return columns[:, :n_errors] if n_errors else None, log_priors


def completed(
    statistics: Sequence[Statistics], models: Sequence[Evaluable], moments: Sequence[Moments]
) -> tuple[Statistics, ...]:
    """Complete the statistics of models, each by the moments of all its rows: `Statistics.completed`."""
    return tuple(
        own.completed(of.scatter, model.precisions_cholesky)
        for own, model, of in zip(statistics, models, moments, strict=True)
    )


def refuse_overflow(log_likelihood: float, moments: Moments) -> None:
    """Refuse a log-likelihood that is no number, of rows with these moments.

    Raises
    ------
    OverflowedError
    """
    if not np.isfinite(log_likelihood):
        reach = moments.extent.max()
        message = f"the log-likelihood is {log_likelihood}: values up to {reach:.3g} from the mean overflow"
        raise OverflowedError(f"{message}; scale the data")


NOT_MEASURED = Effort(0, np.nan, np.nan)
"""Of an E-step that is no pass."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an E-step says of one model.

    Attributes
    ----------
    parameters : Parameters
        The model that went in.
    lower_bound : float
        What the fit climbs, nats a row (a unit of weight): by EM, the log-likelihood of ``parameters``.
    updated : Parameters
        What the M-step makes of the statistics.
    statistics : Statistics
        Of all rows.
    seconds : float
        That the pass took.
    promised : float or None
        See `promised_gain`; None for that of EM.
    effort : Effort
        Of the pass's tasks.
    """

    parameters: Parameters
    lower_bound: float
    updated: Parameters
    statistics: Statistics
    seconds: float
    promised: float | None = None
    effort: Effort = NOT_MEASURED

    @property
    def promised_gain(self) -> float:
        """What an M-step gains at the least, nats a row."""
        if self.promised is not None:
            return self.promised
        return em.promised_gain(self.parameters, self.updated, self.statistics.group_counts)


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to fit, with what is known of them.

    Attributes
    ----------
    source : Source
    weights : Source or None
    moments : Moments
        Of all rows.
    filling : Filling or None
        What completes rows for those who need them complete; None where they are. E-steps take them as they
        are.
    known : KnownParts or None
        What is known of their components: columns after the features.
    n_errors : int
        Columns of measurement errors after the features.
    """

    source: Source
    weights: Source | None
    moments: Moments
    filling: Filling | None = field(default=None, kw_only=True)
    known: KnownParts | None = field(default=None, kw_only=True)
    n_errors: int = field(default=0, kw_only=True)

    @property
    def may_lack(self) -> bool:
        """Whether rows may lack values."""
        return self.filling is not None

    @property
    def n_groups(self) -> int:
        """Groups of rows that have weights of their own."""
        return 0 if self.known is None else self.known.n_groups

    def evaluate(self, models: Sequence[Parameters], objective: Objective) -> list[Evaluation]:
        """Make one E-step and M-step of each model, in one pass over the rows: see `evaluate_each`.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        OverflowedError
            Where values overflow.
        """
        found = self.evaluate_each(models, objective)
        for each in found:
            if isinstance(each, Exception):
                raise each
        return cast(list[Evaluation], found)

    def evaluate_each(
        self, models: Sequence[Parameters], objective: Objective
    ) -> list[Evaluation | Exception]:
        """Make one E-step and M-step of each model in one pass, each for itself: what fails is given.

        Where sums have cancelled, another pass takes those of these models about the components' means: see
        `dgmm.fitting.steps.objective.ROUNDS`.
        """
        found: list[EMStep | Exception | None] = [None] * len(models)
        left, references, effort = [*range(len(models))], None, Effort()
        for is_last in ROUNDS:
            statistics, ready, more = self.expect([models[index] for index in left], references)
            effort += more
            made = self._maximized(statistics, ready, objective, is_last=is_last)
            for index, each in zip(left, made, strict=True):
                found[index] = each
            again = [own for own, each in zip(statistics, made, strict=True) if each is None]
            left, references = [i for i in left if found[i] is None], [*map(objective.means_of_rows, again)]
            if not left:
                break
        return [
            Evaluation(
                made.evaluated,
                objective.lower_bound(made),
                made.updated,
                made.statistics,
                effort.elapsed,
                objective.promised_gain(made),
                effort,
            )
            if isinstance(made, EMStep)
            else made
            for made in found
            if made is not None
        ]

    def expect(
        self, models: Sequence[Parameters], references: Sequence[Array] | None = None
    ) -> tuple[tuple[Statistics, ...], Stack, Effort]:
        """Make an E-step: give each model's completed statistics, the models as evaluated, and what it took.

        Of ``references`` see `stack_models`.
        """
        moments = self.moments
        ready = stack_models(
            models,
            moments.mean,
            moments.extent,
            self.source.dtype,
            references=references,
            may_lack=self.may_lack,
            n_rows=self.source.n_rows,
            n_groups=self.n_groups,
            n_errors=self.n_errors,
        )
        statistics, effort = self._summed(ready)
        return completed(statistics, models, [moments] * len(models)), ready, effort

    def _summed(self, ready: Stack) -> tuple[tuple[Statistics, ...], Effort]:
        """Sum over all rows, in a pass."""
        timed = run_timed_pass(self.source, self._work(ready), "EM", self.weights)
        return timed.result.models, timed.effort

    def _work(self, ready: Stack) -> Work[AllStatistics]:
        """Return what the tasks of an E-step do."""
        return ExpectationWork(ready, self.known)

    def _maximized(
        self, statistics: Sequence[Statistics], ready: Stack, objective: Objective, *, is_last: bool
    ) -> list[EMStep | Exception | None]:
        """Make the M-step of each model, or give why there is none; None where sums have cancelled."""
        moments = self.moments
        found: list[EMStep | Exception | None] = []
        for index, own in enumerate(statistics):
            model = cast(Parameters, ready.models[index])
            try:
                refuse_overflow(own.log_likelihood, moments)
                updated = objective.settled(own, moments, ready, is_last=is_last)
            except (OverflowedError, DegenerateCovarianceError) as error:
                found.append(error)
            else:
                found.append(None if updated is None else EMStep(model, updated, own, moments))
        return found
