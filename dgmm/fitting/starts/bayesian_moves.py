"""Moves of a Bayesian mixture, scored on its lower bound: merges, deletes and births.

A component that covers part of a cluster hardly ever leaves it to another: two components are merged,
which leaves one without rows; a component is deleted; or one without rows takes half of another's, as the
best split says. The number of components stays: one without rows has the prior as its posterior, and costs
nothing. After Hughes and Sudderth (2013), *Memoized online variational inference*.

Components that share a cluster do leave it to one of them, but an update takes a few rows from each, however
many it has: thousands of updates. `emptied` does that at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.moves import cheapest_merges, merge_costs
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.starts.trials import TrialTuning, first_that_gains
from dgmm.fitting.steps.climb import Climb, climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Evidence, Likelihood
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.variational import Posterior, Prior, between


@dataclass(frozen=True)
class BayesianMoveTuning:
    """Which moves are tried, and what they must gain.

    Attributes
    ----------
    n_merges, n_deletes, n_births : int
        Moves of a kind that are tried at a time.
    first_steps : int
        Steps before any move.
    first_tol : float
        Nats a row: gain that ends these steps.
    trials : TrialTuning
        Moves that lead to fewer components need long to gain, and none is given up before.
    gain : float
        Nats of all rows that a move must gain.
    n_passes : int
        Passes over all rows after which a move must have gained.
    n_rows : int
        Rows of a sample on which mixtures are improved and splits are found.
    n_steps : int
        In which a merge or a delete must gain where components are emptied: it is given up as soon as the
        last gain in all that are left would not do.
    """

    n_merges: int = 4
    n_deletes: int = 2
    n_births: int = 2
    first_steps: int = 30
    first_tol: float = 1e-5
    trials: TrialTuning = field(default=TrialTuning(15, 1e-5, 60, 1e-5, hopeless=np.inf, is_enough=True))
    gain: float = 1e-2
    n_passes: int = 3
    n_rows: int = 50_000
    n_steps: int = 15


BAYESIAN_MOVES = BayesianMoveTuning()


def rows_to_move_on(sample: Sample, n_rows_in_all: int) -> InMemory:
    """Take rows of a sample of so many at random, all of them where there are few."""
    some = sample.drawn(BAYESIAN_MOVES.n_rows)
    return InMemory.of(some.values, some.weights, n_rows_in_all)


def improve(data: InMemory, posterior: Posterior, objective: Evidence) -> Posterior:
    """Move components of a mixture of rows in memory, as long as the lower bound rises.

    Parameters
    ----------
    data : InMemory
    posterior : Posterior
    objective : Evidence
        For the weight of these rows.
    """
    tuning = BAYESIAN_MOVES
    best = _settled(data, posterior, objective)
    gain = tuning.gain / data.moments.weight
    while True:
        found = cast(Posterior, best.parameters)
        proposed = proposals(found, objective, data)
        after = first_that_gains(data, best, proposed, objective, tuning.trials, gain=gain)
        if after is None:
            return found
        best = after


def emptied(data: InMemory, posterior: Posterior, objective: Evidence) -> Posterior | None:
    """Empty components that rows in memory do not need, by merges and deletes, as long as the bound rises.

    Parameters
    ----------
    data : InMemory
    posterior : Posterior
    objective : Evidence
        For the weight of these rows.

    Returns
    -------
    Posterior or None
        None where all are needed.
    """
    gain = BAYESIAN_MOVES.gain / data.moments.weight
    first = best = _settled(data, posterior, objective)
    while (after := _emptier(data, best, objective, best.lower_bound + gain)) is not None:
        best = after
    return None if best is first else cast(Posterior, best.parameters)


def _emptier(data: InMemory, before: Climb, objective: Evidence, goal: float) -> Climb | None:
    """Return what the first merge or delete leads to that reaches a bound; None if none does."""
    found, prior = cast(Posterior, before.parameters), objective.prior
    for proposal in proposals(found, objective, data, kinds=(merges, deletes)):
        with suppress(DegenerateCovarianceError):
            tried = climb(data, proposal, objective, BAYESIAN_MOVES.n_steps, goal=goal)
            if tried.lower_bound >= goal:  # what its own steps gain must not count for the next
                after = _settled(data, tried.parameters, objective)
                # One that was deleted may have come back, and gained by its place in the order of sticks.
                if len(with_rows(prior, after.parameters)) < len(with_rows(prior, found)):
                    return after
    return None


def with_rows(prior: Prior, parameters: Parameters) -> NDArray[np.intp]:
    """Find the components that have rows enough for a covariance of their own."""
    counts = rows_of_components(prior, cast(Posterior, parameters))
    return np.flatnonzero(counts > rows_of_a_covariance(parameters.n_features))


def _settled(data: InMemory, parameters: Parameters, objective: Evidence) -> Climb:
    """Make the steps that come before moves."""
    return climb(data, parameters, objective, BAYESIAN_MOVES.first_steps, BAYESIAN_MOVES.first_tol)


def proposals(
    posterior: Posterior, objective: Evidence, data: InMemory, kinds: Sequence[Propose] | None = None
) -> Iterator[Posterior]:
    """Propose moves, those of a kind that promise the most.

    Parameters
    ----------
    posterior : Posterior
    objective : Evidence
    data : InMemory
        All rows, or a sample, on which splits are found.
    kinds : sequence of callable, optional
        By default `PROPOSALS`.

    Yields
    ------
    Posterior
        None with a covariance that is not positive definite: where the prior's is singular, as of a column
        that does not vary, no component can be without rows.
    """
    used = with_rows(objective.prior, posterior)
    if not len(used):  # rows so few that no component is known by its own
        return
    for propose in PROPOSALS if kinds is None else kinds:
        for make in propose(posterior, objective, data, used):
            with suppress(DegenerateCovarianceError):
                yield make()


Proposal = Callable[[], Posterior]
"""Makes a mixture to be tried; raises `DegenerateCovarianceError`."""
Propose = Callable[[Posterior, Evidence, InMemory, NDArray[np.intp]], Iterator[Proposal]]
"""Makes proposals of a kind, given the components that have rows."""


def orders(
    posterior: Posterior, objective: Evidence, data: InMemory, used: NDArray[np.intp]
) -> Iterator[Proposal]:
    """Propose the order of counts: sticks of a Dirichlet process are the likelier, the more the first have.

    Updates never change the order. A component without rows before those that have all n of them costs about
    log(n / γ) nats, which is more than most merges gain.
    """
    counts = rows_of_components(objective.prior, posterior)
    if objective.prior.weights.is_ordered and (np.diff(counts) > 0.0).any():
        yield partial(_changed, objective.prior, posterior, [])


def merges(
    posterior: Posterior, objective: Evidence, data: InMemory, used: NDArray[np.intp]
) -> Iterator[Proposal]:
    """Propose to merge the components that it costs least to merge, of those that have rows."""
    for first, second in cheapest_merges(merge_costs(posterior.part(used)), BAYESIAN_MOVES.n_merges):
        yield partial(merged, objective.prior, posterior, int(used[first]), int(used[second]))


def deletes(
    posterior: Posterior, objective: Evidence, data: InMemory, used: NDArray[np.intp]
) -> Iterator[Proposal]:
    """Propose to delete the components with the fewest rows, of those that have any."""
    counts = rows_of_components(objective.prior, posterior)
    n_deletes = BAYESIAN_MOVES.n_deletes if len(used) > 1 else 0
    for component in used[np.argsort(counts[used], kind="stable")][:n_deletes]:
        yield partial(deleted, objective.prior, posterior, int(component))


def births(
    posterior: Posterior, objective: Evidence, data: InMemory, used: NDArray[np.intp]
) -> Iterator[Proposal]:
    """Propose to let a component without rows take half of another's."""
    free = np.setdiff1d(np.arange(posterior.n_components), used)
    if len(free):
        splits = best_splits(data, posterior.part(used), Likelihood(objective.reg_covar))
        for split in splits[: BAYESIAN_MOVES.n_births]:
            component = int(used[split.component])
            yield partial(born, objective.prior, posterior, component, int(free[0]), split.parts)


PROPOSALS = (orders, merges, deletes, births)
"""In the order in which they are tried."""


def rows_of_components(prior: Prior, posterior: Posterior) -> Array:
    """Return the rows that each component has: (K,)."""
    return np.maximum(posterior.mean_precision - prior.mean_precision, 0.0)


def _changed(
    prior: Prior, posterior: Posterior, changes: Sequence[tuple[int, float, Array, Array | None]]
) -> Posterior:
    """Return components other counts, means and sums of prior and scatter; None where these are shared.

    Components are put in the order of their counts, which is the best for a Dirichlet process.
    """
    counts, means = rows_of_components(prior, posterior), posterior.means.copy()
    is_shared, known = posterior.family.is_shared, posterior.degrees_of_freedom
    covariances = np.array(posterior.covariances)
    for component, count, mean, scatter in changes:
        counts[component], means[component] = count, mean
        if scatter is not None:
            covariances[component] = scatter / (prior.degrees_of_freedom + count)
    if not is_shared:
        known = prior.degrees_of_freedom + counts
    order = np.argsort(-counts, kind="stable")
    counts, means = counts[order], means[order]
    if not is_shared:
        covariances, known = covariances[order], known[order]
    concentration = prior.weights.posterior(prior.concentration, counts)
    return replace(
        posterior,
        weights=prior.weights.weights(concentration),
        means=means,
        covariances=covariances,
        precisions_cholesky=posterior.family.precisions_cholesky(covariances),
        weight_concentration=concentration,
        mean_precision=prior.mean_precision + counts,
        degrees_of_freedom=known,
    )


def merged(prior: Prior, posterior: Posterior, first: int, second: int) -> Posterior:
    """Return one component the rows of two, exactly; the other has none then."""
    counts, family = rows_of_components(prior, posterior), posterior.family
    count = counts[first] + counts[second]
    shares = posterior.mean_precision[[first, second]]
    gaps = posterior.means[[first, second]] - prior.mean
    mean = prior.mean + shares @ gaps / (prior.mean_precision + count)
    scatter = None
    if not family.is_shared:
        known = posterior.degrees_of_freedom[[first, second]]
        scatter = np.tensordot(known, posterior.covariances[[first, second]], 1) - prior.covariance
        # Both scatters are about their own mean and, by the prior's rows, about the prior's.
        apart = posterior.means[[first, second]] - mean
        at_prior = between(family, np.array([prior.mean_precision]), (prior.mean - mean)[None, :])[0]
        scatter = scatter + between(family, shares, apart).sum(axis=0) - at_prior
    return _changed(prior, posterior, [(first, count, mean, scatter), _nothing(prior, second)])


def deleted(prior: Prior, posterior: Posterior, component: int) -> Posterior:
    """Take a component's rows away; they go to others in the next E-step."""
    return _changed(prior, posterior, [_nothing(prior, component)])


def born(prior: Prior, posterior: Posterior, component: int, free: int, halves: Parameters) -> Posterior:
    """Share a component's rows between it and one without rows, as two halves of it."""
    counts, is_shared = rows_of_components(prior, posterior), posterior.family.is_shared
    own = counts[component] * halves.weights
    two = Posterior.of(prior, own, halves.means, halves.covariances)
    changes = []
    for half, index in enumerate((component, free)):
        scatter = None if is_shared else two.degrees_of_freedom[half] * two.covariances[half]
        changes.append((index, float(own[half]), two.means[half], scatter))
    return _changed(prior, posterior, changes)


def _nothing(prior: Prior, component: int) -> tuple[int, float, Array, Array | None]:
    return component, 0.0, prior.mean, None if prior.family.is_shared else prior.covariance
