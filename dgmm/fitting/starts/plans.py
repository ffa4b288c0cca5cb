"""How much a search does, by the cost of its work.

A plan is a `SearchTuning`. What it takes is forecast in products, from sizes alone, and a fit takes the first
that it can afford: see `dgmm.fitting.costs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dgmm.fitting.costs import COSTS, Size, products_of_matrix, products_of_row
from dgmm.fitting.starts.exchanges import ExchangeTuning
from dgmm.fitting.starts.growth import GROWTH
from dgmm.fitting.starts.recombining import RECOMBINING
from dgmm.fitting.starts.search import SEARCH, SearchTuning
from dgmm.fitting.starts.splits import SPLITS
from dgmm.fitting.starts.trials import TrialTuning
from dgmm.fitting.steps.climb import CLIMBS
from dgmm.model.families import FAMILIES, Family


@dataclass(frozen=True)
class PlanTuning:
    """How less is searched where all would cost more than it is worth.

    Measured by ``benchmarks/default_fit.py``: docs/notes/2026-11-26-search.md.

    Attributes
    ----------
    n_rows : int
        Rows to fit to, at the least, of plans that end in a single mixture.
    rows_of_component, rows_of_variance, rows_of_covariance : int
        So many of each component; or so many for each feature of it, if that is more, of families without
        and with covariances between features: fewer cannot be split.
    cheaper_features : int
        From so many features on, mixtures with variances alone come before those with covariances.
    recombined : tuple of (int, int)
        Plans that come after all: mixtures moved, by moves alone that are known to gain, and rounds in which
        what these have come to is recombined.
    lean : tuple of (int, int, int)
        Plans that end in a single mixture, from the most to the least: starts, and moves of the best of
        them; where these have variances alone, moves that come after.
    unmoved : int
        Starts of the least plan where a step of halves that share a covariance takes longer than one of the
        rows: no move. Others are to have one.
    short_steps : int
        EM steps of a start before it is compared with others.
    trial_steps : int
        EM steps by which a move is to have gained, and those of the best in the end.
    cluster_steps : int
        Iterations of k-means, as they are forecast.
    """

    n_rows: int = 5 * 2**10
    rows_of_component: int = 50
    rows_of_variance: int = 2
    rows_of_covariance: int = 4
    cheaper_features: int = 16
    recombined: tuple[tuple[int, int], ...] = ((8, 8), (4, 2))
    lean: tuple[tuple[int, int, int], ...] = (
        (4, 8, 2),
        (4, 8, 1),
        (2, 8, 1),
        (2, 8, 0),
        (2, 4, 0),
        (1, 2, 0),
        (1, 1, 0),
    )
    unmoved: int = 2
    short_steps: int = 8
    trial_steps: int = 6
    cluster_steps: int = 30


PLANS = PlanTuning()


def plan_for(search: str, size: Size) -> SearchTuning:
    """Choose how much is searched.

    Parameters
    ----------
    search : str
        One of `dgmm.fitting.starts.methods.SEARCHES`.
    size : Size
        Of the fit.
    """
    if search == "thorough":
        return replace(SEARCH, n_rivals=SEARCH.n_long)
    if products_of_plan(SEARCH, size) <= COSTS.cheap_search:
        return replace(SEARCH, n_rivals=max(SEARCH.n_rivals, min(SEARCH.n_long, size.n_cheap_passes)))
    affordable = _products_affordable(size)
    plans = [*ladder(size)]
    return next((each for each in plans if products_of_plan(each, size) <= affordable), plans[-1])


def _products_affordable(size: Size) -> float:
    """Return the products that a search may take where a whole one costs more than `CostTuning.cheap_search`.

    What is worth it anyway falls in proportion as the whole costs more, so that a fit that is a little larger
    is searched a little less.
    """
    return max(size.products_of_search, COSTS.cheap_search**2 / products_of_plan(SEARCH, size))


def ladder(size: Size) -> Iterator[SearchTuning]:
    """Yield plans, from the most to the least, whose moves still find clusters that k-means has missed."""
    n_features = size.n_features
    of_feature = PLANS.rows_of_covariance if _has_products(size.family) else PLANS.rows_of_variance
    rows_of_component = max(PLANS.rows_of_component, of_feature * n_features)
    few = SearchTuning(
        n_starts=1,
        of_values=(),
        surpluses=(),
        n_rows=PLANS.n_rows,
        rows_of_component=rows_of_component,
        short_steps=PLANS.short_steps,
        n_moved=1,
        n_long=1,
        long_steps=0,
        n_rivals=1,
    )
    yield SEARCH
    for n_moved, n_rounds in PLANS.recombined:
        made = replace(RECOMBINING, n_rounds=n_rounds)
        yield _through_variances(SearchTuning(n_moved=n_moved, exchanges=_moves(8), recombining=made), size)
    yield _through_variances(
        SearchTuning(surpluses=(2.0, 3.0), n_moved=4, n_long=3, long_steps=15, exchanges=_moves(8)), size
    )
    yield _through_variances(
        SearchTuning(surpluses=(2.0,), n_moved=2, n_long=2, long_steps=10, n_rivals=2, exchanges=_moves(6)),
        size,
    )
    for n_starts, n_moves, n_after in PLANS.lean:
        plan = _through_variances(replace(few, n_starts=n_starts, exchanges=_moves(n_moves)), size, n_after)
        if plan.before is None or n_starts > 1:  # by variances, less would hardly cost less
            yield plan
    if _halves_of_shared(size) > few.n_rows * size.products_of_row:
        yield replace(few, n_starts=PLANS.unmoved, exchanges=_moves(0))


def _halves_of_shared(size: Size) -> float:
    """Forecast the products of a step's matrices where all components are split, each with a shared one."""
    if not size.family.has_products or not size.family.is_shared:
        return 0.0
    return size.n_components * products_of_matrix(size.n_features)


def _has_products(family: Family) -> bool:
    """Return whether each component has covariances between features."""
    return family.has_products and not family.is_shared


def _moves(n_moves: int) -> ExchangeTuning:
    """Return how so many moves are made, of those alone that are known to gain."""
    trials = TrialTuning(PLANS.trial_steps, CLIMBS.same, 0, CLIMBS.same, hopeless=0.0, is_enough=True)
    return ExchangeTuning(
        n_moves=n_moves,
        n_tried=0,
        trials=trials,
        converged_steps=PLANS.trial_steps,
        converged_tol=CLIMBS.same,
    )


def _through_variances(plan: SearchTuning, size: Size, n_after: int = 8) -> SearchTuning:
    """Do what a plan does with variances alone, where that is far cheaper, and so many moves after it."""
    if not _has_products(size.family) or size.n_features < PLANS.cheaper_features:
        return plan
    return replace(plan, n_starts=plan.n_moved, surpluses=(), before=plan, exchanges=_moves(n_after))


def products_of_plan(plan: SearchTuning, size: Size) -> float:
    """Forecast the products of a plan: about what it takes where no climb ends before its last step.

    A search is made in single precision.
    """
    return _products(plan, replace(size, itemsize=4))


def _products(plan: SearchTuning, size: Size) -> float:
    n_components, n_features = size.n_components, size.n_features
    n_rows = min(plan.rows(n_components), size.n_rows)
    row, matrices = size.products_of_row, size.products_of_matrices
    climb = plan.short_steps + 1.0
    begun, before = PLANS.cluster_steps * n_components * n_features / (2.0 * row), 0.0
    if plan.before is not None:  # starts are E-steps of what was found before
        begun, before = 1.0, _products(plan.before, replace(size, family=FAMILIES["diag"]))
    n_starts, n_grown = plan.n_starts + len(plan.of_values), len(plan.surpluses)
    n_moved = min(plan.n_moved, n_starts) + min(plan.n_moved, n_grown)
    splits = _steps_of_splits(size, n_rows)
    steps = n_starts * (begun + climb) + n_moved * _steps_of_moves(plan, size, splits)
    for surplus in plan.surpluses:  # sizes are a geometric series, up and down
        most = min(surplus, 1.0 + GROWTH.most_surplus / n_components)
        up, down = most / GROWTH.split_at_once, (most - 1.0) / GROWTH.merged_at_once
        steps += (up + down) * (CLIMBS.short_steps + 1.0) + up * splits
    made = plan.recombining
    steps += made.n_rounds * made.n_mixtures * made.n_proposals * (made.trials.n_steps + 1.0)
    if plan.n_neighbours:
        judged = 3.0 * plan.exchanges.n_merges * (plan.exchanges.local_steps + 2.0)
        ended = plan.n_neighbours * (plan.exchanges.converged_steps + 1.0)
        steps += splits + judged + ended
    long_rows = min(plan.long_rows * n_rows, size.n_rows) if plan.long_steps else 0
    long_steps = plan.n_long * (plan.long_steps + 1.0) if plan.long_steps else 0.0
    return before + (row * n_rows + matrices) * steps + (row * long_rows + matrices) * long_steps


def _steps_of_moves(plan: SearchTuning, size: Size, splits: float) -> float:
    """Forecast the steps of moving the components of one mixture; ``splits`` are those of splitting all."""
    exchanges, trials, n_components = plan.exchanges, plan.exchanges.trials, size.n_components
    n_judged = max(exchanges.n_judged, n_components // exchanges.judged_of)
    judged = splits + 3.0 * n_judged * (exchanges.local_steps + 2.0) / n_components
    tried = (exchanges.n_tried + 1) * (trials.n_steps + trials.n_more + 2.0)
    return exchanges.n_moves * (judged + tried) + exchanges.converged_steps + 1.0


def _steps_of_splits(size: Size, n_rows: int) -> float:
    """Forecast the steps, of a mixture on so many rows, that it takes to split all components in two halves.

    Before them come responsibilities, and sums of products of all features, whatever the family: of
    many features `diag` and `spherical` are spared them, which is not forecast. Halves of each have a
    covariance of their own, if they share it, and begin with its longest axis.
    """
    steps, n_components = 2.0 * (SPLITS.few_steps + 2.0), size.n_components
    all_products = products_of_row(FAMILIES["full"], n_components, size.n_features, size.itemsize)
    more = 0.5 * all_products * n_rows + (steps + 1.0) * _halves_of_shared(size)
    return steps + 0.5 + more / (size.products_of_row * n_rows + size.products_of_matrices)
