"""The likelihood ratio of a mixture and a larger one, by parametric bootstrap.

Twice the log-likelihood ratio has no χ² distribution here: with one component too many, parameters are at the
border of what may be, or tell nothing. What it would be if the smaller mixture were true is drawn: samples of
that mixture, to which both are fitted as to the rows (McLachlan 1987). The adjusted test of Lo, Mendell and
Rubin (2001) is left out: its proof is flawed (Jeffries 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from dgmm.fitting.dropping import is_complete
from dgmm.fitting.sample import Sample, uniform_numbers
from dgmm.fitting.starts.moves import apply
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.climb import Climb, climb, contest
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.generate import sample_shuffled
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters

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
class Null:
    """A mixture that is taken to be true, and what it is held against.

    Attributes
    ----------
    parameters : Parameters
    n_more : int
        Components of the other one.
    n_rows : int
        Of a sample.
    objective : Likelihood
    seed : int
    """

    parameters: Parameters
    n_more: int
    n_rows: int
    objective: Likelihood
    seed: int

    def ratio_of_sample(self, number: int) -> float:
        """Draw a sample, and give the ratio of both fits to it."""
        generator = np.random.default_rng([self.seed, self.n_more, number])
        rows, _ = sample_shuffled(self.parameters, self.n_rows, generator)
        _, ratio = likelihood_ratio(rows, self.parameters, self.n_more, self.objective)
        return ratio


def likelihood_ratio(
    rows: Array, start: Parameters, n_more: int, objective: Likelihood
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

    Returns
    -------
    fewer : Parameters
        The smaller mixture.
    ratio : float
        Twice the difference of log-likelihoods, nats: at least 0; NaN where the larger one cannot be fitted.
    """
    data, tol = InMemory.of(rows), BOOTSTRAP.tol / len(rows)
    fewer = climb(data, start, objective, BOOTSTRAP.n_steps, tol)
    more: Climb | None = fewer
    while more is not None and more.parameters.n_components < n_more:
        more = _with_one_more(data, more.parameters, objective, tol)
    if more is None:
        return fewer.parameters, np.nan
    return fewer.parameters, max(0.0, 2.0 * len(rows) * (more.lower_bound - fewer.lower_bound))


def _with_one_more(data: InMemory, parameters: Parameters, objective: Likelihood, tol: float) -> Climb | None:
    starts = [apply(parameters, move) for move in best_splits(data, parameters, objective)]
    found = contest(data, starts, objective, BOOTSTRAP.n_steps, tol, n_wanted=1)
    return max(found, key=lambda each: each.lower_bound, default=None)


def ratio_of(item: tuple[int, int], nulls: Sequence[Null]) -> float:
    """Give the ratio of a sample: the number of its null mixture, and its own; NaN where none is fitted."""
    which, number = item
    with suppress(DegenerateCovarianceError):
        return nulls[which].ratio_of_sample(number)
    return np.nan


def rows_to_test(sample: Sample, seed: int) -> Array:
    """Draw complete rows of a sample, by their weights, each once at most: (n, n_features), float64."""
    kept = is_complete(sample.values)
    weights = np.ones(len(kept)) if sample.weights is None else sample.weights
    some = sample.part(kept & (weights > 0.0))
    numbers = uniform_numbers(seed ^ DRAWN_BY_WEIGHT_KEY, some.numbers)
    keys = -np.log(numbers) / (1.0 if some.weights is None else some.weights)  # Efraimidis and Spirakis 2006
    chosen = np.sort(np.argsort(keys, kind="stable")[: BOOTSTRAP.n_rows])
    return some.values[chosen].astype(np.float64)
