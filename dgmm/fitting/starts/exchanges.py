"""A split and a merge at a time, as long as that gains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from dgmm.fitting.starts.core_splits import core_splits
from dgmm.fitting.starts.moves import Move, apply, cheapest_merges, merge, merge_costs
from dgmm.fitting.starts.parts import objectives_of, own_rows, shares
from dgmm.fitting.starts.splits import SPLITS, best_splits
from dgmm.fitting.starts.trials import TrialTuning, first_that_gains, hopeful_climb
from dgmm.fitting.starts.value_splits import value_splits
from dgmm.fitting.steps.climb import CLIMBS, Climb, climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class ExchangeTuning:
    """How a component is exchanged for one elsewhere.

    At half and double no log-likelihood fell by 1e-4 nats a row (docs/notes/2026-11-26-tuning.md).

    Attributes
    ----------
    n_moves : int
        At the most, one after the other.
    n_judged, judged_of : int
        So many splits, or one for so many components, if that is more, are judged on the rows of their
        components, each with a merge.
    n_tried : int
        So many of these are tried on all rows, apart from all that gain together; with none, what is not
        known to gain is not tried.
    local_steps : int
        EM steps of the three components on their own rows. Half: three passes more.
    trials : TrialTuning
        What a move promises is on the rows of three components, and all rows say whether it holds.
    converged_steps : int
        EM steps in the end, at the most.
    converged_tol : float
        Nats a row: gain that ends them.
    n_merges : int
        Merges beside each split, where all exchanges of a mixture are looked at. Half and double: not
        measured.
    """

    n_moves: int = 8
    n_judged: int = 4
    judged_of: int = 8
    n_tried: int = 2
    local_steps: int = 10
    trials: TrialTuning = field(default=TrialTuning(20, 1e-4, 40, 1e-4 / 3, hopeless=1e-3, is_enough=False))
    converged_steps: int = 60
    converged_tol: float = 1e-5
    n_merges: int = 4


EXCHANGES = ExchangeTuning()


def exchanged(
    found: Climb,
    data: InMemory,
    objective: Likelihood,
    tuning: ExchangeTuning = EXCHANGES,
    *,
    known: float | None = None,
) -> Climb:
    """Move components by merges and splits as long as it gains, and climb to convergence.

    Parameters
    ----------
    found : Climb
    data : InMemory
    objective : Likelihood
    tuning : ExchangeTuning, optional
    known : float, optional
        The lower bound of an optimum that no move improves, nats a row: what comes to it is not moved again.
    """
    tried: Sequence[int] | None = None
    for _ in range(tuning.n_moves):
        if known is not None and abs(found.lower_bound - known) <= CLIMBS.same:
            break
        moves, tried = judged(data, found.parameters, objective, tried)
        proposals = promising(found.parameters, moves, tuning.n_tried)
        after = first_that_gains(data, found, proposals, objective, tuning.trials, gain=CLIMBS.same)
        if after is None:
            break
        found = after
    try:
        return climb(data, found.parameters, objective, tuning.converged_steps, tuning.converged_tol)
    except DegenerateCovarianceError:
        return found


def promising(
    parameters: Parameters, moves: Sequence[Move], n_tried: int = EXCHANGES.n_tried
) -> Iterator[Parameters]:
    """Yield a mixture with all moves that gain by their bounds, then with the best moves one by one."""
    gaining: list[Move] = []
    for each in moves:
        taken = {component for other in gaining for component in other.components}
        if each.gain > CLIMBS.same and taken.isdisjoint(each.components):
            gaining.append(each)
    if len(gaining) > 1 or (gaining and not n_tried):
        yield reduce(apply, gaining, parameters)
    for each in moves[:n_tried]:
        yield apply(parameters, each)


def judged(
    data: InMemory, parameters: Parameters, objective: Likelihood, tried: Sequence[int] | None
) -> tuple[list[Move], list[int]]:
    """Judge the most promising splits, each with the cheapest merge of others.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
    objective : Likelihood
    tried : sequence of int or None
        The components to split: those that promised most before; None for all.

    Returns
    -------
    moves : list of Move
        The best first.
    tried : list of int
        Components to split the next time.
    """
    n_judged = max(EXCHANGES.n_judged, parameters.n_components // EXCHANGES.judged_of)
    costs, share, found = merge_costs(parameters), shares(data, parameters), []
    splits = _splits(data, parameters, objective, share, tried)[: 2 * n_judged]
    left = costs.copy()
    for split in splits[:n_judged]:
        # A merge of its own, where that can pay: moves that share no component are made together.
        own = [pair for pair in cheapest_merges(left, 1, split.component) if left[pair] < split.gain]
        pairs = own or cheapest_merges(costs, 1, split.component)
        taken = [split.component, *(component for pair in pairs for component in pair)]
        left[taken] = left[:, taken] = np.inf
        for pair in pairs:
            with suppress(DegenerateCovarianceError):
                found.append(split_and_merge(data, share, parameters, split, pair, objective=objective))
    again = {split.component for split in splits} | {k for move in found for k in move.components}
    return sorted(found, key=lambda move: -move.gain), sorted(again)


def neighbours(
    data: InMemory, parameters: Parameters, objective: Likelihood, n_wanted: int
) -> list[Parameters]:
    """Exchange one component, by the moves that promise most, whether these rows gain by them or not.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
    objective : Likelihood
    n_wanted : int
        Mixtures to return, at the most.
    """
    costs, share = merge_costs(parameters), shares(data, parameters)
    moves: list[Move] = []
    for split in _splits(data, parameters, objective, share):
        for pair in cheapest_merges(costs, EXCHANGES.n_merges, split.component):
            with suppress(DegenerateCovarianceError):
                moves.append(split_and_merge(data, share, parameters, split, pair, objective=objective))
    moves.sort(key=lambda move: -move.gain)
    return [apply(parameters, move) for move in moves[:n_wanted]]


def _splits(
    data: InMemory,
    parameters: Parameters,
    objective: Likelihood,
    share: Array,
    components: Sequence[int] | None = None,
) -> list[Move]:
    """Return the splits of components: in halves, by values that rows repeat, and cores; the best first."""
    halves = best_splits(data, parameters, objective, SPLITS.few_steps, components, share=share)
    of_values = value_splits(data, parameters, objective, SPLITS.few_steps, components, share=share)
    cores = core_splits(data, parameters, objective, SPLITS.few_steps, components, share=share)
    return sorted([*halves, *of_values, *cores], key=lambda split: -split.gain)


def split_and_merge(
    data: InMemory,
    share: Array,
    parameters: Parameters,
    split: Move,
    pair: tuple[int, int],
    *,
    objective: Likelihood,
) -> Move:
    """Split one component and merge two others, with some EM steps of the three on their own rows.

    What they gain there is a lower bound of what the mixture gains, as for `best_splits`.

    Parameters
    ----------
    data : InMemory
    share : ndarray of shape (K, n_rows)
        See `shares`.
    parameters : Parameters
    split : Move
    pair : (int, int)
        The components to merge.
    objective : Likelihood
        What the mixture climbs.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    components = [split.component, *pair]
    weights = share[components].sum(axis=0, dtype=np.float64)
    own = own_rows(data, weights)
    rows = data.part(own, weights[own], products=parameters.family.has_products)
    (own_objective,) = objectives_of(data, parameters, share, [components], objective)
    before = parameters.part(components)
    alone = climb(rows, before, own_objective, 0)
    after = merge(apply(before, replace(split, components=[0])), 1, 2)
    n_steps, bar = EXCHANGES.local_steps, alone.lower_bound
    after = hopeful_climb(rows, after, own_objective, n_steps, CLIMBS.same, bar=bar)
    gain = (after.lower_bound - alone.lower_bound) * rows.moments.weight / data.moments.weight
    return Move(components, after.parameters, gain)
