"""Rows with missing values completed by random draws, for starts and moves.

A normal distribution is fitted to a sample of the rows by EM, which takes what is observed of each; the
values that a row lacks are drawn from it, given those that it has. What is drawn depends on the seed and the
row's number alone. The fit itself takes incomplete rows as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dgmm.fitting.sample import Sample, uniform_numbers
from dgmm.kernels import expect
from dgmm.kernels.patterns import by_pattern, patterns_of
from dgmm.kernels.stacking import stack_models
from dgmm.model import em
from dgmm.model.conditional import conditional
from dgmm.model.families import FAMILIES
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True)
class FillingTuning:
    """How the normal distribution is fitted that values are drawn from: it is for starts alone. Not measured.

    Attributes
    ----------
    n_rows : int
        That it is fitted to.
    n_steps : int
        EM steps at the most.
    tol : float
        Nats a row: gain that ends them.
    correlated_features : int
        Features at the most of which correlations are estimated: with more it would take longer than fits.
    least_variance : float
        Of a feature's variance: what the distribution has at the least in each direction.
    """

    n_rows: int = 2**13
    n_steps: int = 30
    tol: float = 1e-4
    correlated_features: int = 128
    least_variance: float = 1e-10


FILLING = FillingTuning()

FILLING_KEY = 0x2545F4914F6CDD1D
"""Makes another key of the seed: what is drawn must not depend on which rows are in the sample."""


@dataclass(frozen=True, eq=False)
class Filling:
    """Draws what rows lack.

    Attributes
    ----------
    normal : Parameters
        The distribution, as a mixture of one component.
    seed : int
    """

    normal: Parameters
    seed: int

    def __call__(self, rows: NDArray[np.floating], numbers: NDArray[np.int64]) -> NDArray[np.floating]:
        """Complete rows (n_rows, D) of these numbers."""
        found: NDArray[Any] = rows.copy()
        for is_known, which, some in patterns_of(rows):
            if is_known.all():
                continue
            given = conditional(self.normal, is_known)
            means = given.expected(some[:, given.known].astype(np.float64))[0]
            within = given.of_known.family.to_matrices(given.covariances, 1, len(given.missing))[0]
            drawn = np.stack([self._normal(numbers[which], feature) for feature in given.missing.tolist()])
            found[which[:, None], given.missing] = means + (np.linalg.cholesky(within) @ drawn).T
        return found

    def _normal(self, numbers: NDArray[np.int64], feature: int) -> Array:
        """Return a standard normal deviate for each row number."""
        return ndtri(uniform_numbers((self.seed ^ FILLING_KEY) + feature, numbers))

    def sample(self, sample: Sample) -> Sample:
        """Complete the rows of a sample."""
        return replace(sample, values=self(sample.values, sample.numbers))

    def chunks(self, chunks: Iterator[ChunkRows]) -> Iterator[ChunkRows]:
        """Complete chunks of rows."""
        for chunk in chunks:
            numbers = np.arange(chunk.start, chunk.start + len(chunk.values))
            yield chunk._replace(values=self(chunk.values, numbers))


def in_patterns(sample: Sample, filling: Filling | None) -> Sample:
    """Return the rows of a sample for E-steps: those that lack the same together, where some lack anything.

    Their order does not matter there, but for rounding.
    """
    return sample if filling is None else sample.part(by_pattern(sample.values))


def filled(sample: Sample, filling: Filling | None) -> Sample:
    """Return the rows of a sample, complete: without a filling they are."""
    return sample if filling is None else filling.sample(sample)


def filling_of(sample: Sample, moments: FeatureMoments, seed: int) -> Filling:
    """Fit the distribution that values are drawn from.

    Parameters
    ----------
    sample : Sample
    moments : FeatureMoments
        Of all rows.
    seed : int
    """
    # Of a feature that does not vary, rounding errors of its mean are left, whose squares underflow not.
    rounding = np.maximum(8.0 * np.finfo(float).eps * np.abs(moments.mean), 1e-140)
    variances = np.maximum(moments.variances, rounding**2)
    family = FAMILIES["full" if len(variances) <= FILLING.correlated_features else "diag"]
    one = np.diag(variances) if family.has_products else variances
    normal = Parameters.from_covariances(family, np.ones(1), moments.mean[None], one[None])
    if family.has_products and len(variances) > 1:
        normal = _fitted(normal, sample, moments)
    return Filling(normal, seed)


def _fitted(normal: Parameters, sample: Sample, moments: FeatureMoments) -> Parameters:
    """Fit a normal distribution by EM; as far as its covariance is positive definite.

    In units of the features' own deviations, and of each row alike, whatever it weighs.
    """
    some = sample.drawn(FILLING.n_rows)
    scales = np.sqrt(np.diagonal(normal.covariances[0]))
    rows = (some.values.astype(np.float64) - moments.mean) / scales
    weights = some.weights if some.weights is None else some.weights / (some.row_weight or 1.0)
    total = len(rows) if weights is None else weights.sum()
    if not total > 0.0:
        return normal
    centre, extent = np.zeros(len(scales)), np.nan_to_num(np.abs(rows)).max(axis=0, initial=1.0)
    identity, reached = np.eye(len(scales)), -np.inf
    found = Parameters.from_covariances(normal.family, np.ones(1), centre[None], identity[None])
    with suppress(DegenerateCovarianceError):
        for _ in range(FILLING.n_steps):
            ready = stack_models([found], centre, extent, np.float64, may_lack=True, n_rows=len(rows))
            (statistics,) = expect(ready, [(rows, weights)])
            if not statistics.log_likelihood > reached + FILLING.tol * total:
                break
            reached, found = statistics.log_likelihood, em.update(statistics, FILLING.least_variance)
    covariance = found.covariances[0] * scales[:, None] * scales
    mean = moments.mean + scales * found.means[0]
    return Parameters.from_covariances(normal.family, np.ones(1), mean[None], covariance[None])


def correlations_of(normal: Parameters) -> Array:
    """Return the correlations of a normal distribution: (D, D)."""
    covariance = normal.covariance_matrices[0]
    roots = np.sqrt(np.diagonal(covariance))
    return covariance / roots[:, None] / roots
