"""Splits: two components in the place of one, fitted to its rows.

Where rows are few and narrow, all components of a mixture are split at once, each a mixture of two whose rows
weigh what the component has of them: one table of features serves all. Else each is split on its own rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dgmm.fitting.costs import products_of_step
from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.fitting.starts.axes import long_axis, long_axis_of_rows, needs_covariances
from dgmm.fitting.starts.moves import Move
from dgmm.fitting.starts.parts import SharedPart, objectives_of, own_rows, shares
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.expectation import completed
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.kernels import assign
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import blank_stack
from dgmm.model.families import FAMILIES, Family
from dgmm.model.matrices import Array, DegenerateCovarianceError, unpack
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics


@dataclass(frozen=True)
class SplitTuning:
    """How components are split.

    At half and double no log-likelihood fell by 1e-4 nats a row (docs/notes/2026-11-26-tuning.md).

    Attributes
    ----------
    n_steps : int
        EM steps of the halves of a component, on its own rows.
    few_steps : int
        The same where many splits are compared for the few that are tried. Double: three passes more.
    spared_products : float
        Products: where a step of a component takes so many more on all rows than on its own, each component
        is split on its own rows alone. What else that takes is as long (docs/notes/2026-11-27-splits.md).
    """

    n_steps: int = 10
    few_steps: int = 4
    spared_products: float = 6e6


SPLITS = SplitTuning()

HALF_MEAN = float(np.sqrt(2.0 / np.pi))
"""Mean of the upper half of a standard normal distribution; its variance is 1 − 2/π."""


def best_splits(
    data: InMemory,
    parameters: Parameters,
    objective: Likelihood,
    n_steps: int | None = None,
    components: Iterable[int] | None = None,
    *,
    share: Array | None = None,
) -> list[Move]:
    """Find the best split of each component, the best of all first.

    The halves of a component begin as those of its rows on either side of their mean, and take some EM steps
    on these rows, weighted by the component's responsibility. What they gain there is a lower bound of what
    the whole mixture gains, by Jensen's inequality. Where components share a covariance the others get it
    too, and what they gain or lose by it is counted.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
    objective : Likelihood
        What the mixture climbs.
    n_steps : int, optional
        EM steps of the halves; `SplitTuning.n_steps` by default.
    components : iterable of int, optional
        Those to split; all by default.
    share : ndarray of shape (K, n_rows), optional
        See `shares`, which finds them by default.

    Returns
    -------
    list of Move
        Without those components that have too few rows for two.
    """
    share = shares(data, parameters) if share is None else share
    n_steps = SPLITS.n_steps if n_steps is None else n_steps
    numbers = range(parameters.n_components) if components is None else components
    fewest = 2 * rows_of_a_covariance(parameters.n_features)
    n_own = {number: len(own_rows(data, share[number])) for number in numbers}
    numbers = [number for number in numbers if n_own[number] >= fewest]
    each_alone = objectives_of(data, parameters, share, [[number] for number in numbers], objective)
    objectives = dict(zip(numbers, each_alone, strict=True))
    n_spared = len(data.rows) * len(numbers) - sum(n_own[number] for number in numbers)
    spared = n_spared * products_of_step(parameters.family, 2, parameters.n_features, data.rows.itemsize)
    is_small = spared < SPLITS.spared_products * len(numbers)
    is_small &= needs_covariances(parameters.family, parameters.n_features)
    found = _split_together(data, parameters, share, objectives, n_steps) if is_small else []
    done = {each.component for each in found}
    for number, own in objectives.items():
        if number not in done:
            with suppress(DegenerateCovarianceError):
                alone = parameters.part([number])
                found.append(Move([number], *_split_alone(data, alone, share[number], own, n_steps)))
    return sorted(found, key=lambda move: -move.gain)


def _split_together(
    data: InMemory,
    parameters: Parameters,
    share: Array,
    objectives: Mapping[int, Likelihood],
    n_steps: int,
) -> list[Move]:
    """Split components on all rows; not those that are too narrow for sums about the centre of the rows."""
    family, moments, numbers = parameters.family, data.moments, [*objectives]
    if not numbers:
        return []
    weights = share[numbers].astype(np.float64)  # what E-steps take: here once for all of them
    blank = blank_stack(FAMILIES["full"], len(numbers), moments.mean)
    sums = assign(blank, [(data.rows, None)], lambda rows, start: weights[:, start : start + len(rows)])
    plain = Likelihood(objectives[numbers[0]].reg_covar)
    whole = plain.update_unless_cancelled(sums, moments, blank.largest_ratio)
    if whole is None:
        return []
    scatters = unpack(sums.scatter, parameters.n_features)
    own = [
        replace(moments, weight=float(count), scatter=scatter)
        for count, scatter in zip(sums.counts, scatters, strict=True)
    ]
    parts = _Parts(data, weights, own, family, [*objectives.values()])
    halves, before = {}, {}
    for index, (number, objective) in enumerate(objectives.items()):
        with suppress(DegenerateCovarianceError):
            mean, covariance = whole.means[index], whole.covariances[index]
            alone = _alone(parameters.part([number]), mean, covariance, objective, sums.counts[index])
            before[index] = _of_others(objective, alone) + _log_likelihood(
                alone, sums.counts[index], sums.sums[index], scatters[index], moments.mean
            )
            halves[index] = _halves(family, mean, covariance, objective, sums.counts[index])
    for _ in range(n_steps):
        halves = parts.stepped(halves)
    after = parts.log_likelihoods(halves)
    return [
        Move([numbers[index]], halves[index], (after[index] - before[index]) / moments.weight)
        for index in after
    ]


@dataclass(frozen=True, eq=False)
class _Parts:
    """The rows of several components, to each of which a mixture of its own is fitted.

    Attributes
    ----------
    data : InMemory
    weights : ndarray of shape (n_parts, n_rows)
    moments : sequence of Moments
        Of all rows, but with the weight and the scatter of those of each part.
    family : Family
    objectives : sequence of Likelihood
        Of each part.
    """

    data: InMemory
    weights: Array
    moments: Sequence[Moments]
    family: Family
    objectives: Sequence[Likelihood]

    def stepped(self, models: dict[int, Parameters]) -> dict[int, Parameters]:
        """Make an EM step of the mixtures of some parts; without those that are too narrow."""
        order, ready, statistics = self._expect(models)
        if order and not self.family.is_shared:  # components are updated each for itself: all at once
            updated = self._maximized(order[0], Statistics.concatenated(statistics), ready)
            if updated is not None:
                ends = np.cumsum([models[part].n_components for part in order]).tolist()
                places = zip(order, pairwise([0, *ends]), strict=True)
                return {part: updated.part(range(*place)) for part, place in places}
        return {
            part: updated
            for part, own in zip(order, statistics, strict=True)
            if (updated := self._maximized(part, own, ready)) is not None
        }

    def _maximized(self, part: int, statistics: Statistics, ready: Stack) -> Parameters | None:
        moments = self.moments[part]
        return self.objectives[part].update_unless_cancelled(statistics, moments, ready.largest_ratio)

    def log_likelihoods(self, models: dict[int, Parameters]) -> dict[int, float]:
        """Return what the mixtures of some parts climb, nats; without those that are too narrow."""
        order, _, statistics = self._expect(models)
        return {
            part: own.log_likelihood + _of_others(self.objectives[part], models[part])
            for part, own in zip(order, statistics, strict=True)
        }

    def _expect(self, models: dict[int, Parameters]) -> tuple[list[int], Stack, tuple[Statistics, ...]]:
        order = list(models)
        ready = self.data.stack([models[part] for part in order])
        narrow = {entry.model for entry in ready.centred if entry.is_narrow}
        if narrow:
            order = [part for position, part in enumerate(order) if position not in narrow]
            ready = self.data.stack([models[part] for part in order])
        if not order:
            return [], ready, ()
        is_each = order == [*range(len(self.weights))]
        found = self.data.expect_stack(ready, self.weights if is_each else self.weights[order])
        return order, ready, completed(found, ready.models, [self.moments[part] for part in order])


def _split_alone(
    data: InMemory, component: Parameters, share: Array, objective: Likelihood, n_steps: int
) -> tuple[Parameters, float]:
    """Split one component, on its own rows about their own mean: give its halves and what they gain."""
    own, family = own_rows(data, share), component.family
    products = needs_covariances(family, component.n_features)
    rows = data.part(own, share[own], products=products)
    mean, weight = rows.moments.mean, rows.moments.weight
    covariance = rows.moments.covariance(objective.reg_covar)
    alone = climb(rows, _alone(component, mean, covariance, objective, weight), objective, 0)
    if products:
        start = _halves(family, mean, covariance, objective, weight)
    else:
        start = _halves_of_rows(family, rows, covariance, objective)
    halves = climb(rows, start, objective, n_steps)
    gain = (halves.lower_bound - alone.lower_bound) * weight / data.moments.weight
    return halves.parameters, gain


def _of_others(objective: Likelihood, parameters: Parameters) -> float:
    return objective.of_others(parameters) if isinstance(objective, SharedPart) else 0.0


def _alone(
    component: Parameters, mean: Array, covariance: Array, objective: Likelihood, weight: float
) -> Parameters:
    """Give a component as it is; where covariances are shared, as an M-step makes it of its rows' moments."""
    if isinstance(objective, SharedPart):
        shared = objective.covariance(objective.family.of_scatter(covariance), weight)
        return Parameters.from_covariances(objective.family, np.ones(1), mean[None, :], shared)
    return component


def _log_likelihood(alone: Parameters, count: float, sums: Array, scatter: Array, centre: Array) -> float:
    """Return the log-likelihood of rows under one component, from their sums about a centre; nats."""
    precision = alone.family.to_matrices(alone.precisions, 1, alone.n_features)[0]
    offset = alone.means[0] - centre
    about_mean = scatter - 2.0 * np.outer(offset, sums) + count * np.outer(offset, offset)
    return float(count * alone.log_constants[0] - 0.5 * (precision * about_mean).sum())


def _halves(
    family: Family, mean: Array, covariance: Array, objective: Likelihood, weight: float
) -> Parameters:
    """Start two components from the moments of the rows of one: those of both sides of a normal distribution.

    It is cut in the middle, across the longest axis of the correlations, which does not depend on the
    features' units. Where a covariance is shared it is the axis that is longest beside this.
    """
    variances = np.diagonal(covariance)
    unit = np.diag(np.where(variances > 0.0, variances, 1.0))
    if isinstance(objective, SharedPart):
        shared = objective.covariance(family.of_scatter(unit), weight)
        unit = family.to_matrices(shared, 1, len(mean))[0]
    try:
        root = np.linalg.cholesky(unit)
    except np.linalg.LinAlgError:  # of a shared one, where others leave rounding errors only
        raise DegenerateCovarianceError(None) from None
    offset = HALF_MEAN * long_axis(covariance, root)
    return _on_both_sides(
        family, mean, offset, covariance - np.outer(offset, offset), objective=objective, weight=weight
    )


def _halves_of_rows(family: Family, rows: InMemory, variances: Array, objective: Likelihood) -> Parameters:
    """Start two components as `_halves` does, from the rows and variances of a family without covariances."""
    mean, weight = rows.moments.mean, rows.moments.weight
    unit = np.where(variances > 0.0, variances, 1.0)
    if isinstance(objective, SharedPart):
        shared = objective.covariance(family.of_scatter(unit), weight)
        unit = family.variances(shared, 1, len(mean))[0]
    if not (unit > 0.0).all():  # of shared ones, where others leave rounding errors only
        raise DegenerateCovarianceError(None)
    offset = HALF_MEAN * long_axis_of_rows(rows, np.sqrt(unit), objective.reg_covar)
    return _on_both_sides(family, mean, offset, variances - offset**2, objective=objective, weight=weight)


def _on_both_sides(
    family: Family, mean: Array, offset: Array, remaining: Array, *, objective: Likelihood, weight: float
) -> Parameters:
    """Give two components on both sides of a mean, with what their distance leaves of the covariance."""
    means = mean + np.outer([1.0, -1.0], offset)
    own = family.repeated(remaining, 2)
    if isinstance(objective, SharedPart):
        own = objective.covariance(own, weight)
    return Parameters.from_covariances(family, np.full(2, 0.5), means, own)
