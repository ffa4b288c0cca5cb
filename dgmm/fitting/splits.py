"""Splits: two components in the place of one, fitted to its rows.

On few rows all components of a mixture are split at once, each a mixture of two whose rows weigh what the
component has of them: one table of features serves all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.in_memory import InMemory, climb
from dgmm.model import em
from dgmm.model.families import FAMILIES, Array, DegenerateCovarianceError, projected, unpack
from dgmm.model.kernels import assign, complete_log_likelihood
from dgmm.model.parameters import Parameters
from dgmm.model.stack import Stack, blank_stack
from dgmm.model.statistics import Statistics

LOCAL_STEPS = 10
"""EM steps of the two halves of a component, on its own rows."""

TOGETHER_ROWS = 2**16
"""On more rows each component is split on its own rows alone: it takes less time then."""

SMALLEST_SHARE = 1e-3
"""Rows with a smaller responsibility are not a component's own."""

HALF_MEAN = float(np.sqrt(2.0 / np.pi))
"""Mean of the upper half of a standard normal distribution; its variance is 1 − 2/π."""


@dataclass(frozen=True, eq=False)
class Split:
    """A component, and two that fit its rows better.

    Attributes
    ----------
    component : int
    halves : Parameters
        Of two components; their weights sum to 1.
    gain : float
        What the log-likelihood gains at least (tied: about), nats a row.
    """

    component: int
    halves: Parameters
    gain: float


def shares(data: InMemory, parameters: Parameters) -> Array:
    """Give the weight of each row that each component has: (K, n_rows)."""
    share = data.responsibilities(parameters)
    return share if data.row_weights is None else share * data.row_weights


def own_rows(data: InMemory, share: Array) -> NDArray[np.intp]:
    """Find the rows of which components have more than a small part, (n_rows,), whatever they weigh."""
    return np.flatnonzero(share > SMALLEST_SHARE * (1.0 if data.row_weights is None else data.row_weights))


def best_splits(
    data: InMemory,
    parameters: Parameters,
    reg_covar: float,
    n_steps: int = LOCAL_STEPS,
    components: Iterable[int] | None = None,
    *,
    share: Array | None = None,
) -> list[Split]:
    """Find the best split of each component, the best of all first.

    The halves of a component begin as those of its rows on either side of their mean, and take some EM steps
    on these rows, weighted by the component's responsibility. What they gain there is a lower bound of what
    the whole mixture gains, by Jensen's inequality; for tied, whose other components keep the covariance,
    an estimate.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
    reg_covar : float
    n_steps : int
        EM steps of the halves.
    components : iterable of int, optional
        Those to split; all by default.
    share : ndarray of shape (K, n_rows), optional
        See `shares`, which finds them by default.

    Returns
    -------
    list of Split
        Without those components that have too few rows for two.
    """
    share = shares(data, parameters) if share is None else share
    numbers = range(parameters.n_components) if components is None else components
    fewest = 2 * (parameters.n_features + 1)
    numbers = [number for number in numbers if len(own_rows(data, share[number])) >= fewest]
    steps = {"reg_covar": reg_covar, "n_steps": n_steps}
    is_small = data.moments.n_rows <= TOGETHER_ROWS
    found = _split_together(data, parameters, share, numbers, **steps) if is_small else []
    done = {each.component for each in found}
    for number in numbers:
        if number not in done:
            with suppress(DegenerateCovarianceError):
                found.append(_split_alone(data, parameters, share[number], number, **steps))
    return sorted(found, key=lambda split: -split.gain)


def _split_together(
    data: InMemory,
    parameters: Parameters,
    share: Array,
    numbers: Sequence[int],
    *,
    reg_covar: float,
    n_steps: int,
) -> list[Split]:
    """Split components on all rows; not those that are too narrow for sums about the centre of the rows."""
    covariance_type, moments = parameters.covariance_type, data.moments
    if not numbers:
        return []
    weights = share[numbers].astype(np.float64)  # what E-steps take: here once for all of them
    blank = blank_stack(FAMILIES["full"], len(numbers), moments.mean)
    sums = assign(blank, [(data.rows, None)], lambda rows, start: weights[:, start : start + len(rows)])
    whole = em.update_unless_cancelled(
        sums, "full", moments.mean, moments.scatter, reg_covar, largest_ratio=blank.largest_ratio
    )
    if whole is None:
        return []
    scatters = unpack(sums.scatter, parameters.n_features)
    parts = _Parts(data, weights, scatters, covariance_type, reg_covar)
    halves, before = {}, {}
    for index, number in enumerate(numbers):
        with suppress(DegenerateCovarianceError):
            mean, covariance = whole.means[index], whole.covariances[index]
            alone = _alone(parameters, number, mean, covariance)
            before[index] = _log_likelihood(
                alone, sums.counts[index], sums.sums[index], scatters[index], moments.mean
            )
            halves[index] = _halves(covariance_type, mean, covariance)
    for _ in range(n_steps):
        halves = parts.stepped(halves)
    after = parts.log_likelihoods(halves)
    return [
        Split(numbers[index], halves[index], (after[index] - before[index]) / moments.weight)
        for index in after
    ]


@dataclass(frozen=True, eq=False)
class _Parts:
    """The rows of several components, to each of which a mixture of its own is fitted.

    Attributes
    ----------
    data : InMemory
    weights : ndarray of shape (n_parts, n_rows)
    scatters : ndarray of shape (n_parts, n_features, n_features)
        Weighted sums of squares and products about the mean of all rows.
    covariance_type : str
    reg_covar : float
    """

    data: InMemory
    weights: Array
    scatters: Array
    covariance_type: str
    reg_covar: float

    def stepped(self, models: dict[int, Parameters]) -> dict[int, Parameters]:
        """Make an EM step of the mixtures of some parts; without those that are too narrow."""
        order, ready, statistics = self._expect(models)
        if order and self.covariance_type != "tied":  # components are updated each for itself: all at once
            all_of = Statistics.concatenated(statistics)
            updated = self._maximized(all_of, self.data.moments.scatter, ready)
            if updated is not None:
                ends = np.cumsum([models[part].n_components for part in order]).tolist()
                places = zip(order, pairwise([0, *ends]), strict=True)
                return {part: updated.part(range(*place)) for part, place in places}
        return {
            part: updated
            for part, own in zip(order, statistics, strict=True)
            if (updated := self._maximized(own, self.scatters[part], ready)) is not None
        }

    def _maximized(self, statistics: Statistics, total_scatter: Array, ready: Stack) -> Parameters | None:
        given = statistics, self.covariance_type, self.data.moments.mean, total_scatter, self.reg_covar
        return em.update_unless_cancelled(*given, largest_ratio=ready.largest_ratio)

    def log_likelihoods(self, models: dict[int, Parameters]) -> dict[int, float]:
        """Give the log-likelihoods of the mixtures of some parts, nats; without those that are too narrow."""
        order, ready, statistics = self._expect(models)
        return {
            part: complete_log_likelihood(own, ready, position, self.scatters[part])
            for position, (part, own) in enumerate(zip(order, statistics, strict=True))
        }

    def _expect(self, models: dict[int, Parameters]) -> tuple[list[int], Stack, tuple[Statistics, ...]]:
        order = list(models)
        ready = self.data.stack([models[part] for part in order])
        narrow = {entry.model for entry in ready.centred}
        if narrow:
            order = [part for position, part in enumerate(order) if position not in narrow]
            ready = self.data.stack([models[part] for part in order])
        if not order:
            return [], ready, ()
        is_each = order == [*range(len(self.weights))]
        return order, ready, self.data.expect(ready, self.weights if is_each else self.weights[order])


def _split_alone(
    data: InMemory, parameters: Parameters, share: Array, number: int, *, reg_covar: float, n_steps: int
) -> Split:
    """Split one component, on its own rows about their own mean."""
    own = own_rows(data, share)
    rows = InMemory.of(data.rows[own], share[own])
    covariance = rows.moments.scatter / rows.moments.weight + reg_covar * np.eye(parameters.n_features)
    alone = climb(rows, _alone(parameters, number, rows.moments.mean, covariance), reg_covar, 0)
    halves = climb(
        rows, _halves(parameters.covariance_type, rows.moments.mean, covariance), reg_covar, n_steps
    )
    gain = (halves.log_likelihood - alone.log_likelihood) * rows.moments.weight / data.moments.weight
    return Split(number, halves.parameters, gain)


def _alone(parameters: Parameters, component: int, mean: Array, covariance: Array) -> Parameters:
    """Give a component as a mixture of its own; a tied one with the mean and covariance of its own rows."""
    if parameters.covariance_type == "tied":
        return Parameters.from_covariances("tied", np.ones(1), mean[None, :], covariance)
    return parameters.part([component])


def _log_likelihood(alone: Parameters, count: float, sums: Array, scatter: Array, centre: Array) -> float:
    """Give the log-likelihood of rows under one component, from their sums about a centre; nats."""
    precision = alone.family.to_matrices(alone.precisions, 1, alone.n_features)[0]
    offset = alone.means[0] - centre
    about_mean = scatter - 2.0 * np.outer(offset, sums) + count * np.outer(offset, offset)
    return float(count * alone.log_constants[0] - 0.5 * (precision * about_mean).sum())


def _halves(covariance_type: str, mean: Array, covariance: Array) -> Parameters:
    """Start two components from the moments of the rows of one; tied ones share a covariance of their own."""
    deviations = np.sqrt(np.diagonal(covariance))
    # Cut along the longest axis of the correlations, which does not depend on the features' units: the
    # moments of both sides of a normal distribution that is cut in the middle.
    scales = np.where(deviations > 0.0, deviations, 1.0)
    lengths, axes = np.linalg.eigh(covariance / np.outer(scales, scales))
    offset = HALF_MEAN * np.sqrt(lengths[-1]) * deviations * axes[:, -1]
    means = mean + np.outer([1.0, -1.0], offset)
    remaining = covariance - np.outer(offset, offset)
    own = remaining if covariance_type == "tied" else np.stack([projected(covariance_type, remaining)] * 2)
    return Parameters.from_covariances(covariance_type, np.full(2, 0.5), means, own)
