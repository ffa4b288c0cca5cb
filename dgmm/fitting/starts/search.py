"""The search for starts on a sample, for one number of components.

What is the best on the rows that it was fitted to can be spurious, a component on a handful of rows. So the
last word is with rows of the sample that are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.alike import best_unlike
from dgmm.fitting.starts.axes import needs_covariances
from dgmm.fitting.starts.beginnings import from_clusters, from_growth, from_other, from_values
from dgmm.fitting.starts.exchanges import EXCHANGES, ExchangeTuning, exchanged, neighbours
from dgmm.fitting.starts.methods import StartMethod
from dgmm.fitting.starts.recombining import (
    NOTHING_MADE,
    RECOMBINING,
    Recombination,
    RecombiningTuning,
    recombinations,
    recombined,
)
from dgmm.fitting.starts.record import RECORD, SearchRecord, evidence, n_distinct, n_missing, unseen
from dgmm.fitting.steps.climb import CLIMBS, Climb, best_distinct, climb, log_likelihood
from dgmm.fitting.steps.in_memory import InMemory, counted
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.parallel import run_tasks


@dataclass(frozen=True)
class SearchTuning:
    """How much is searched.

    Chosen on large data: docs/notes/2026-11-24-starts.md. At half and double no log-likelihood of small data
    fell by 1e-4 nats a row (docs/notes/2026-11-26-tuning.md); what else changed is said here.

    Attributes
    ----------
    n_starts : int
        From clusters: in the first round as many as are enough if they agree, in the second the others. Half:
        7.5 passes more.
    of_values : tuple of float
        From values that many rows have, in the first round, where there are any: for this share of the
        components but one. See `grouped_by_values`.
    surpluses : tuple of float
        Mixtures that grow, in the last round, if there is one: to so many times the components wanted.
    n_rows, rows_of_component : int
        Rows to fit to: so many, or so many of each component, if that is more.
    short_steps : int
        EM steps of a start before it is compared with others.
    n_moved : int
        The best of a round, whose components are moved, those of the very best first, and then no more than
        are enough if they end in optima that are known. Half: 1.7 times the arithmetic, as a second round
        follows more often; double: 1.5 times.
    unseen : float
        Share of the starts: the search ends after a round where optima that were not found would attract
        less of those that are drawn. Half: 1.9 times the arithmetic.
    n_long, long_rows, long_steps : int
        So many of the best of all rounds go on for at most so many EM steps, on so many times the rows.
    long_tol : float
        Nats a row: gain that ends these steps.
    n_rivals : int
        Distinct mixtures that a pass over all rows is to choose from, at the most. All rows tell optima apart
        that some do not: where such a pass is little work a plan has all that went on.
    held_out : int
        One row of so many is held out. Half: nine passes more.
    exchanges : ExchangeTuning
        How components are moved.
    recombining : RecombiningTuning
        What is made of the mixtures that were found.
    n_neighbours : int
        Exchanges of a component of the best that are climbed from to the end where optima may be unseen: all
        rows may like what these leads to better, though the rows that are searched do not. Half and double:
        not measured.
    n_refuting : int
        Exchanges of the best that are climbed from where starts agree: moves, which are the same for all,
        may have left it too early. One that ends higher refutes what they agree on, and the search goes on.
        Half and double: not measured.
    before : SearchTuning or None
        How much is searched before with variances alone, where covariances have products of features: the
        best found are the first starts.
    """

    n_starts: int = 8
    of_values: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    surpluses: tuple[float, ...] = (2.0,)
    n_rows: int = 20 * 2**10
    rows_of_component: int = 300
    short_steps: int = CLIMBS.short_steps
    n_moved: int = 8
    unseen: float = 0.2
    n_long: int = 8
    long_rows: int = 4
    long_steps: int = 30
    long_tol: float = 1e-5
    n_rivals: int = 3
    held_out: int = 5
    exchanges: ExchangeTuning = EXCHANGES
    recombining: RecombiningTuning = NOTHING_MADE
    n_neighbours: int = 0
    n_refuting: int = 0
    before: SearchTuning | None = None

    def rows(self, n_components: int) -> int:
        """Return how many rows mixtures are fitted to, where there are as many."""
        return max(self.n_rows, self.rows_of_component * n_components)

    def rows_in_all(self, n_components: int) -> int:
        """Give how many rows all that is done takes: each mixture grows on others, and some go on to more."""
        times = max(1, len(self.surpluses), self.long_rows if self.long_steps else 0)
        before = 0 if self.before is None else self.before.rows_in_all(n_components)
        return max(times * self.rows(n_components), before)


SEARCH = SearchTuning(recombining=RECOMBINING, n_neighbours=16, n_refuting=4)


Start = Callable[[InMemory, int], Parameters]
"""Finds a mixture on so many of the rows; raises `DegenerateCovarianceError`."""


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search has found.

    Attributes
    ----------
    mixtures : tuple of Parameters
        At most `SearchTuning.n_rivals`, the best on held-out rows first.
    record : SearchRecord
    """

    mixtures: tuple[Parameters, ...]
    record: SearchRecord


def search(
    method: StartMethod,
    sample: Sample,
    random_state: np.random.RandomState,
    tuning: SearchTuning = SEARCH,
    n_rows_in_all: int | None = None,
) -> Searched:
    """Search for mixtures of highest likelihood to start from.

    Parameters
    ----------
    method : StartMethod
    sample : Sample
    random_state : RandomState
    tuning : SearchTuning, optional
        How much is searched.
    n_rows_in_all : int, optional
        Rows that the sample is of: see `dgmm.fitting.steps.in_memory.InMemory`.

    Raises
    ------
    DegenerateCovarianceError
        Where every run ended in one.
    """
    centre = sample.mean
    objective = Likelihood(method.objective.reg_covar)
    method = replace(method, objective=objective)
    used, held_out = _divided(sample, method.n_components, tuning.rows_in_all(method.n_components))
    family = method.family
    products = family.is_shared or needs_covariances(family, len(centre))
    fitted = _in_memory(sample.part(used), centre, n_rows_in_all, products=products)
    seeds = random_state.randint(2**31 - 1, size=SEARCH.n_starts).tolist()
    rounds = _rounds(method, fitted, seeds, tuning)
    # Mixtures made of one another differ a little: they would leave no place for other optima.
    best, n_evaluations = best_unlike(rounds.found, tuning.n_long), rounds.n_evaluations
    if tuning.long_steps:
        go_on = partial(
            _climbed,
            objective=objective,
            n_rows=tuning.long_rows * tuning.rows(method.n_components),
            n_steps=tuning.long_steps,
            tol=tuning.long_tol,
        )
        refined = run_tasks(go_on, [each.parameters for each in best], fitted, "refining starts")
        best, n_evaluations = best_distinct(refined, tuning.n_long), n_evaluations + _cost(refined)
    if not best:
        raise DegenerateCovarianceError(None)
    if len(best) > 1:
        test = _in_memory(sample.part(held_out), centre, n_rows_in_all, products=products)
        test = test if test.moments.weight else fitted  # few rows, or few that have a weight
        scores = [log_likelihood(test, each.parameters) for each in best]
        best = [best[index] for index in np.argsort(scores)[::-1][: tuning.n_rivals]]
    record = SearchRecord.of(rounds.drawn, rounds.made, n_evaluations)
    return Searched(tuple(each.parameters.shifted(centre) for each in best), record)


@dataclass(frozen=True, eq=False)
class _Round:
    """Starts to try: those that are drawn, and those that would be the same again."""

    to_draw: Sequence[Start]
    to_make: Sequence[Start]


@dataclass(frozen=True, eq=False)
class _Rounds:
    """What came of all rounds: of starts that were drawn, and of others; with what they cost."""

    drawn: Sequence[Climb]
    made: Sequence[Climb]
    n_evaluations: int

    @property
    def found(self) -> list[Climb]:
        """All of them."""
        return [*self.drawn, *self.made]


def _rounds(method: StartMethod, fitted: InMemory, seeds: Sequence[int], tuning: SearchTuning) -> _Rounds:
    """Make rounds of starts, move the components of the best of each, and make others of these."""
    own = {"objective": method.objective, "n_rows": tuning.rows(method.n_components)}
    begin = partial(_begun, **own, n_steps=tuning.short_steps)
    exchange = partial(_exchanged, **own, tuning=tuning.exchanges)
    neighbouring = partial(_neighbouring, fitted=fitted, tuning=tuning.exchanges, **own)
    drawn: list[Climb] = []
    made: list[Climb] = []
    rounds, n_evaluations = _starts(method, fitted, seeds, tuning)
    for purpose, starts in rounds:
        begun = run_tasks(begin, [*starts.to_draw, *starts.to_make], fitted, purpose)
        n_drawn = len(starts.to_draw)
        left, n_evaluations = best_distinct(begun, tuning.n_moved), n_evaluations + _cost(begun)
        n_next = 1  # the best first, which many starts may have come to; then as many as may be enough
        while left and n_next:
            some, left = left[:n_next], left[n_next:]
            known = max((each.lower_bound for each in [*drawn, *made]), default=None)
            ended = run_tasks(partial(exchange, known=known), some, fitted, "moving components")
            n_evaluations += _cost(ended)
            for one, end in zip(some, ended, strict=True):  # those that were the same would end the same
                is_same = [each and 0 <= one.lower_bound - each.lower_bound <= CLIMBS.same for each in begun]
                drawn += [end] * sum(map(bool, is_same[:n_drawn]))
                made += [end] * any(is_same[n_drawn:])
            n_next = n_missing(evidence(drawn, made), tuning.unseen)
        if unseen(evidence(drawn, made)) < tuning.unseen:
            near = neighbouring([*drawn, *made], tuning.n_refuting)
            n_evaluations += _cost(near)
            (best,) = best_distinct([*drawn, *made], 1)
            higher = [each for each in near if each.lower_bound - best.lower_bound > RECORD.alike]
            if not higher:
                break
            made += higher
    else:
        others = _made_of_others([*drawn, *made], fitted, seeds, tuning.recombining, **own)
        made, n_evaluations = [*made, *others], n_evaluations + _cost(others)
        near = neighbouring([*drawn, *made], tuning.n_neighbours)
        made, n_evaluations = [*made, *near], n_evaluations + _cost(near)
    return _Rounds(drawn, made, n_evaluations)


def _starts(
    method: StartMethod, fitted: InMemory, seeds: Sequence[int], tuning: SearchTuning
) -> tuple[list[tuple[str, _Round]], int]:
    """Return rounds of starts with their names, and what it took to find them.

    As many as are enough if they agree, and those from values, come first.
    """
    if tuning.before is not None:
        before = _rounds(replace(method, family=FAMILIES["diag"]), fitted, seeds, tuning.before)
        best = best_distinct(before.found, tuning.n_starts)
        others = _Round([partial(from_other, method, each.parameters) for each in best], [])
        return [("trying starts", others)], before.n_evaluations
    clusters = [partial(from_clusters, method, *each) for each in enumerate(seeds[: tuning.n_starts])]
    n_groups_of_values = {round(share * (method.n_components - 1)) for share in tuning.of_values} - {0}
    values = [partial(from_values, method, each, seeds[0]) for each in sorted(n_groups_of_values)]
    growth = [partial(from_growth, method, *each) for each in enumerate(tuning.surpluses)]
    n_first = n_missing([], tuning.unseen)
    rounds = [
        ("trying starts", _Round(clusters[:n_first], values)),
        ("trying starts", _Round(clusters[n_first:], [])),
        ("growing mixtures", _Round([], growth)),
    ]
    return [(purpose, each) for purpose, each in rounds if each.to_draw or each.to_make], 0


def _made_of_others(
    found: Sequence[Climb],
    fitted: InMemory,
    seeds: Sequence[int],
    tuning: RecombiningTuning,
    *,
    objective: Likelihood,
    n_rows: int,
) -> list[Climb]:
    """Make mixtures of those that were found, until rounds of it gain nothing or all have become alike."""
    recombine = partial(_recombined, objective=objective, n_rows=n_rows, tuning=tuning)
    made: list[Climb] = []
    best, n_idle = max((each.lower_bound for each in found), default=-np.inf), 0
    for number in range(tuning.n_rounds if found else 0):
        items = recombinations([*found, *made], seeds, number, tuning)
        last = run_tasks(recombine, items, fitted, "recombining")
        made += last
        best, before = max(best, *(each.lower_bound for each in last)), best
        n_idle = 0 if best - before > RECORD.alike else n_idle + 1
        if n_idle == tuning.n_idle or n_distinct(last) < 2:
            break
    return made


def _neighbouring(
    found: Sequence[Climb],
    n_wanted: int,
    *,
    fitted: InMemory,
    tuning: ExchangeTuning,
    objective: Likelihood,
    n_rows: int,
) -> list[Climb]:
    """Climb from so many mixtures that differ from the best by one exchange."""
    if not n_wanted or not found:
        return []
    (best,) = best_distinct(found, 1)
    starts = neighbours(fitted.first(n_rows), best.parameters, objective, n_wanted)
    end = partial(
        _climbed,
        objective=objective,
        n_rows=n_rows,
        n_steps=tuning.converged_steps,
        tol=tuning.converged_tol,
    )
    ended = run_tasks(end, starts, fitted, "trying neighbours")
    return [each for each in ended if each is not None]


def _divided(
    sample: Sample, n_components: int, n_rows: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Divide the sample into rows to fit to, one for each component at least, and rows that are held out.

    Their places: the first are in random order, and ``n_rows`` at the most.
    """
    n_held_out = max(0, min(len(sample.hashes) // SEARCH.held_out, len(sample.hashes) - n_components))
    n_used = len(sample.hashes) if n_rows is None else n_held_out + n_rows
    held_out = sample.smallest(n_held_out)
    used = np.setdiff1d(sample.smallest(n_used), held_out, assume_unique=True)
    return used[np.argsort(sample.hashes[used], kind="stable")], held_out


def _in_memory(
    sample: Sample, centre: NDArray[np.floating], n_rows_in_all: int | None, *, products: bool
) -> InMemory:
    rows = sample.in_single_precision(centre)
    return InMemory.of(rows.values, rows.weights, n_rows_in_all, products=products)


def _begun(start: Start, data: InMemory, *, objective: Likelihood, n_rows: int, n_steps: int) -> Climb | None:
    """Climb a little from a start; None where a covariance is not positive definite."""
    return _counted(lambda: climb(data.first(n_rows), start(data, n_rows), objective, n_steps, CLIMBS.same))


def _climbed(
    start: Parameters, data: InMemory, *, objective: Likelihood, n_rows: int, n_steps: int, tol: float
) -> Climb | None:
    """Climb on the first rows; None where a covariance is not positive definite."""
    return _counted(lambda: climb(data.first(n_rows), start, objective, n_steps, tol))


def _exchanged(
    found: Climb,
    data: InMemory,
    *,
    objective: Likelihood,
    n_rows: int,
    tuning: ExchangeTuning,
    known: float | None = None,
) -> Climb:
    return _counted(lambda: exchanged(found, data.first(n_rows), objective, tuning, known=known)) or found


def _recombined(
    item: Recombination, data: InMemory, *, objective: Likelihood, n_rows: int, tuning: RecombiningTuning
) -> Climb:
    return _counted(lambda: recombined(item, data.first(n_rows), objective, tuning)) or item.found


def _counted(work: Callable[[], Climb]) -> Climb | None:
    """Climb, and count what that takes; None where a covariance is not positive definite."""
    with counted() as done, suppress(DegenerateCovarianceError):
        return replace(work(), n_evaluations=done.n_evaluations)
    return None


def _cost(climbs: Sequence[Climb | None]) -> int:
    """Return what climbs took; nothing is known of those that came to no end."""
    return sum(each.n_evaluations for each in climbs if each is not None)
