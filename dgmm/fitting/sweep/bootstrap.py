"""The likelihood ratio test of two mixtures by parametric bootstrap.

Twice the log-likelihood ratio has no χ² distribution here: with one component too many, parameters are at the
border of what may be, or tell nothing. What it would be if the smaller mixture were true is drawn: samples of
that mixture, to which both are fitted as to the rows (McLachlan 1987). The adjusted test of Lo, Mendell and
Rubin (2001) is left out: its proof is flawed (Jeffries 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from dgmm.data.memory import MemorySource
from dgmm.fitting.dropping import is_complete
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.sample import Sample, uniform_numbers
from dgmm.fitting.starts.moves import apply
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.climb import Climb, climb, contest
from dgmm.fitting.steps.expectation import NOT_MEASURED, Data, errors_and_priors, part_of
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.held_out import joint_log_densities_given
from dgmm.kernels import expect
from dgmm.kernels.measured import draw_errors
from dgmm.kernels.rare import shares_of
from dgmm.kernels.stack import Stack
from dgmm.model.generate import rows_of_components, sample_shuffled
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters, finite_logs
from dgmm.model.statistics import Statistics
from dgmm.passes.task import ChunkRows, Effort

DRAWN_BY_WEIGHT_KEY = 0x2545F4914F6CDD1D
"""Makes another key of the same seed: rows to test on are drawn apart from other samples."""


@dataclass(frozen=True)
class BootstrapTuning:
    """How both mixtures are fitted to a sample, be it of the rows or drawn.

    Attributes
    ----------
    n_rows : int
        Of a sample, at the most: what is tested is a mixture of so many rows.
    n_steps : int
        EM steps at the most.
    tol : float
        Gain that ends them, nats of all rows.
    level : float
        Chance up to which more components are said to be needed.
    """

    n_rows: int = 5_000
    n_steps: int = 500
    tol: float = 1e-3
    level: float = 0.05


BOOTSTRAP = BootstrapTuning()


@dataclass(frozen=True, eq=False)
class SideInformation:
    """What is known of the rows of a sample beyond their features: the same in every sample that is drawn.

    Attributes
    ----------
    columns : ndarray of shape (n_rows, n_columns), or None
    known : KnownParts or None
    n_errors : int
        See `dgmm.fitting.steps.expectation.Data`.
    """

    columns: Array | None = None
    known: KnownParts | None = None
    n_errors: int = 0

    def draw(self, parameters: Parameters, n_rows: int, generator: np.random.Generator) -> Array:
        """Draw rows of a mixture: of the groups and labels, and with the errors, that each has.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
        """
        if self.columns is None:
            return sample_shuffled(parameters, n_rows, generator)[0]
        errors, log_priors = errors_and_priors(parameters, self.columns, self.known, self.n_errors)
        shares = np.exp(
            finite_logs(parameters.weights) + (np.zeros((n_rows, 1)) if log_priors is None else log_priors)
        )
        bounds = np.cumsum(shares, axis=1)
        labels = (bounds < generator.uniform(size=(n_rows, 1)) * bounds[:, -1:]).sum(axis=1)
        rows = rows_of_components(parameters, labels, generator)
        return rows if errors is None else rows + draw_errors(errors, rows.shape[1], generator)

    def data(self, rows: Array) -> Data:
        """Return rows (n_rows, n_features) to be fitted, in memory."""
        plain = InMemory.of(rows, n_rows_in_all=len(rows))
        if self.columns is None:
            return plain
        own = {"known": self.known, "n_errors": self.n_errors, "columns": self.columns}
        return InMemoryWithSideInformation(plain.source, None, plain.moments, **own)

    def responsibilities(self, parameters: Parameters, rows: Array) -> Array | None:
        """Return the responsibilities of components for rows: (K, n_rows); None where nothing is known."""
        if self.columns is None:
            return None
        given = errors_and_priors(parameters, self.columns, self.known, self.n_errors)
        return shares_of(joint_log_densities_given(parameters, rows, *given))[0].T


NO_SIDE_INFORMATION = SideInformation()


@dataclass(frozen=True, eq=False)
class InMemoryWithSideInformation(Data):
    """Rows in memory with what is known of them: (n_rows, n_columns)."""

    columns: Array

    def _summed(self, ready: Stack) -> tuple[tuple[Statistics, ...], Effort]:
        rows = ChunkRows(0, cast(MemorySource, self.source).values, None, self.source.name, self.columns)
        return expect(ready, [part_of(rows, ready, self.known)]), NOT_MEASURED


@dataclass(frozen=True, eq=False)
class NullHypothesis:
    """The smaller mixture, taken to be true, and the number of components of its alternative.

    Attributes
    ----------
    parameters : Parameters
    n_more : int
        Components of the other one.
    n_rows : int
        Of a sample.
    objective : Likelihood
    seed : int
    side_information : SideInformation
        Of the rows of every sample.
    """

    parameters: Parameters
    n_more: int
    n_rows: int
    objective: Likelihood
    seed: int
    side_information: SideInformation = NO_SIDE_INFORMATION

    def ratio_of_sample(self, number: int) -> float:
        """Draw a sample, and give the ratio of both fits to it."""
        generator = np.random.default_rng([self.seed, self.n_more, number])
        rows = self.side_information.draw(self.parameters, self.n_rows, generator)
        _, ratio = likelihood_ratio(rows, self.parameters, self.n_more, self.objective, self.side_information)
        return ratio


def likelihood_ratio(
    rows: Array,
    start: Parameters,
    n_more: int,
    objective: Likelihood,
    side_information: SideInformation = NO_SIDE_INFORMATION,
) -> tuple[Parameters, float]:
    """Fit a mixture, and a larger one that begins from splits of it, and compare them.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float64
    start : Parameters
        Near which the smaller mixture is.
    n_more : int
        Components of the larger one.
    objective : Likelihood
    side_information : SideInformation
        Of these rows.

    Returns
    -------
    fewer : Parameters
        The smaller mixture.
    ratio : float
        Twice the difference of log-likelihoods, nats: at least 0; NaN where the larger one cannot be fitted.
    """
    data, tol = side_information.data(rows), BOOTSTRAP.tol / len(rows)
    fewer = climb(data, start, objective, BOOTSTRAP.n_steps, tol)
    more: Climb | None = fewer
    while more is not None and more.parameters.n_components < n_more:
        more = _with_one_more(data, more.parameters, objective, tol, side_information)
    if more is None:
        return fewer.parameters, np.nan
    return fewer.parameters, max(0.0, 2.0 * len(rows) * (more.lower_bound - fewer.lower_bound))


def _with_one_more(
    data: Data, parameters: Parameters, objective: Likelihood, tol: float, side_information: SideInformation
) -> Climb | None:
    rows = cast(MemorySource, data.source).values
    plain = data if isinstance(data, InMemory) else InMemory.of(rows, n_rows_in_all=len(rows))
    # The weights that halves have in groups come with the first step.
    of_all = replace(parameters, group_weights=None)
    moves = best_splits(plain, of_all, objective, share=side_information.responsibilities(parameters, rows))
    if (
        side_information.known is not None and side_information.known.has_labels
    ):  # a label may be that of either half
        moves += [replace(each, parts=each.parts.part([1, 0])) for each in moves]
    starts = [apply(of_all, move) for move in moves]
    found = contest(data, starts, objective, BOOTSTRAP.n_steps, tol, n_wanted=1)
    return max(found, key=lambda each: each.lower_bound, default=None)


def ratio_of(item: tuple[int, int], nulls: Sequence[NullHypothesis]) -> float:
    """Return the ratio of a sample: the number of its null mixture, and its own; NaN where none is fitted."""
    which, number = item
    with suppress(DegenerateCovarianceError):
        return nulls[which].ratio_of_sample(number)
    return np.nan


def rows_to_test(sample: Sample, seed: int) -> Sample:
    """Draw complete rows of a sample, by their weights, each once at most: as float64, without weights."""
    kept = is_complete(sample.values)
    weights = np.ones(len(kept)) if sample.weights is None else sample.weights
    some = sample.part(kept & (weights > 0.0))
    numbers = uniform_numbers(seed ^ DRAWN_BY_WEIGHT_KEY, some.numbers)
    keys = -np.log(numbers) / (1.0 if some.weights is None else some.weights)  # Efraimidis and Spirakis 2006
    own = some.part(np.sort(np.argsort(keys, kind="stable")[: BOOTSTRAP.n_rows]))
    return replace(own, values=own.values.astype(np.float64), weights=None)
