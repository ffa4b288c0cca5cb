"""Recombined mixtures: a component moved at random, or components of two mixtures.

Where starts end in many optima, the best of them are good in different places. Of each two components of two
mixtures that are alike one (Gribel and Vidal 2019, *HG-means*), one component at a random row (random swap,
Fränti 2018), or both: EM from there often ends in an optimum that no start finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from dgmm.fitting.starts.alike import best_unlike, partners
from dgmm.fitting.starts.trials import TrialTuning, first_that_gains
from dgmm.fitting.steps.climb import CLIMBS, Climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class RecombiningTuning:
    """How much is made of the mixtures that were found.

    Chosen by docs/notes/2026-11-26-seeds.md. Half and double: not measured.

    Attributes
    ----------
    n_mixtures : int
        The best distinct ones, each improved in a task of its own.
    n_proposals : int
        For each of them, in a round.
    n_rounds : int
        At the most, or none: between them, mixtures get to know those that others have become.
    n_idle : int
        So many rounds, one after the other, that do not improve the best are the last.
    trials : TrialTuning
        How long a proposal is tried.
    """

    n_mixtures: int = 8
    n_proposals: int = 6
    n_rounds: int = 8
    n_idle: int = 2
    trials: TrialTuning = field(default=TrialTuning(20, 1e-4, 40, 1e-4 / 3, hopeless=1e-3, is_enough=False))


RECOMBINING = RecombiningTuning()
NOTHING_MADE = replace(RECOMBINING, n_rounds=0)

WAYS = ("paired", "paired", "paired and moved", "paired", "paired", "moved")
"""How mixtures are made of others, over and over: more often what gains more for what it takes."""


@dataclass(frozen=True, eq=False)
class Recombination:
    """A mixture that is to be improved, beside others.

    Attributes
    ----------
    found : Climb
    others : tuple of Parameters
        Where components may come from.
    seed : list of int
    """

    found: Climb
    others: tuple[Parameters, ...]
    seed: list[int]


def recombinations(
    found: Sequence[Climb], seeds: Sequence[int], number: int, tuning: RecombiningTuning
) -> list[Recombination]:
    """Put each of the best mixtures beside the others of these.

    Parameters
    ----------
    found : sequence of Climb
    seeds : sequence of int
        One for each mixture, at least.
    number : int
        Of the round, which draws other numbers than those before.
    tuning : RecombiningTuning
    """
    best = best_unlike(found, tuning.n_mixtures)  # those that are alike give one another nothing
    return [
        Recombination(each, tuple(other.parameters for other in best if other is not each), [seed, number])
        for each, seed in zip(best, seeds, strict=False)
    ]


def recombined(
    item: Recombination, data: InMemory, objective: Likelihood, tuning: RecombiningTuning = RECOMBINING
) -> Climb:
    """Try what can be made of a mixture and others, and go on from what gains.

    Parameters
    ----------
    item : Recombination
    data : InMemory
    objective : Likelihood
    tuning : RecombiningTuning, optional
    """
    random, found = np.random.RandomState(item.seed), item.found
    # Each is tried once, whatever the mixture is by then.
    ways = (WAYS[number % len(WAYS)] for number in range(tuning.n_proposals))
    while True:
        proposed = _proposed(ways, found.parameters, item.others, data, objective, random=random)
        after = first_that_gains(data, found, proposed, objective, tuning.trials, gain=CLIMBS.same)
        if after is None:
            return found
        found = after


def _proposed(
    ways: Iterator[str],
    parameters: Parameters,
    others: Sequence[Parameters],
    data: InMemory,
    objective: Likelihood,
    *,
    random: np.random.RandomState,
) -> Iterator[Parameters]:
    for way in ways:
        proposal = parameters
        with suppress(DegenerateCovarianceError):
            if "paired" in way and others:
                proposal = paired(proposal, others[random.randint(len(others))], random)
            if "moved" in way or not others:
                proposal = moved(proposal, data, random)
            yield proposal


def moved(parameters: Parameters, data: InMemory, random: np.random.RandomState) -> Parameters:
    """Put a component at a row, both at random: it takes half the weight of the next one, and its covariance.

    Parameters
    ----------
    parameters : Parameters
        Of two components at least; one alone stays as it is.
    data : InMemory
    random : RandomState
    """
    if parameters.n_components == 1:
        return parameters
    component = random.randint(parameters.n_components)
    others = np.delete(np.arange(parameters.n_components), component)
    row = data.rows[_drawn(data, random)].astype(np.float64)
    distances = ((parameters.means[others] - row) ** 2 / parameters.variances[others]).sum(axis=1)
    near = others[int(distances.argmin())]
    means, weights = parameters.means.copy(), parameters.weights.copy()
    means[component], weights[[component, near]] = row, 0.5 * weights[near]
    weights /= weights.sum()
    if parameters.family.is_shared:
        return replace(parameters, weights=weights, means=means)
    like = np.arange(parameters.n_components)
    like[component] = near
    return replace(parameters.chosen(like), weights=weights, means=means)


def _drawn(data: InMemory, random: np.random.RandomState) -> int:
    """Draw a row by the weights of the rows."""
    if data.row_weights is None:
        return random.randint(len(data.rows))
    sums = np.cumsum(data.row_weights, dtype=np.float64)
    return int(np.searchsorted(sums, random.random_sample() * sums[-1], side="right").clip(max=len(sums) - 1))


def paired(parameters: Parameters, other: Parameters, random: np.random.RandomState) -> Parameters:
    """Take one of each two components that are alike, of one mixture and another, at random.

    Parameters
    ----------
    parameters, other : Parameters
        Of one family, and as many components.
    random : RandomState
    """
    of_other, _ = partners(parameters, other)
    n_components = parameters.n_components
    is_own = random.random_sample(n_components) < 0.5
    chosen = np.where(is_own, np.arange(n_components), n_components + of_other)
    return joined(parameters, other).part(chosen)


def joined(parameters: Parameters, other: Parameters) -> Parameters:
    """Join two mixtures, half of each; a shared covariance is the mean of theirs."""
    weights = 0.5 * np.concatenate([parameters.weights, other.weights])
    means = np.concatenate([parameters.means, other.means])
    if parameters.family.is_shared:
        mean = 0.5 * (parameters.covariances + other.covariances)
        return Parameters.from_covariances(parameters.family, weights, means, mean)
    return Parameters(
        parameters.family,
        weights,
        means,
        np.concatenate([parameters.covariances, other.covariances]),
        np.concatenate([parameters.precisions_cholesky, other.precisions_cholesky]),
    )
