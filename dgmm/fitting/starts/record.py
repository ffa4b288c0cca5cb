"""The record of a search: how much was searched, and how sure its result is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgmm.data.text import counted
from dgmm.fitting.steps.climb import Climb, best_distinct


@dataclass(frozen=True)
class RecordTuning:
    """When optima are told apart.

    At half and double no log-likelihood of small data fell (docs/notes/2026-11-26-tuning.md).

    Attributes
    ----------
    alike : float
        Nats a row: optima that differ by less are not worth more starts.
    """

    alike: float = 1e-3


RECORD = RecordTuning()


@dataclass(frozen=True)
class SearchRecord:
    """What a search did, and how sure it is.

    Attributes
    ----------
    n_starts : int
        Climbs on the sample that came to an end: from clusters, from mixtures that grew, and from what was
        made of others.
    n_optima : int
        Distinct optima that they ended in.
    n_best : int
        How many of them ended in the best.
    unseen : float
        Estimated share of starts that lead to optima which none of these found: see `evidence`.
    n_evaluations : int
        What it cost: rows times components, of all E-steps of these climbs. Those of a pass are all rows
        times the components.
    """

    n_starts: int
    n_optima: int
    n_best: int
    unseen: float
    n_evaluations: int

    @classmethod
    def of(cls, drawn: Sequence[Climb], made: Sequence[Climb], n_evaluations: int) -> SearchRecord:
        """Make the record of climbs from starts that were drawn, and of others."""
        climbs = [*drawn, *made]
        best = max(each.lower_bound for each in climbs)
        n_best = sum(best - each.lower_bound <= RECORD.alike for each in climbs)
        return cls(len(climbs), n_distinct(climbs), n_best, unseen(evidence(drawn, made)), n_evaluations)

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{counted(self.n_starts, 'start')} led to {counted(self.n_optima, 'optimum', 'optima')}, "
            f"{self.n_best:,} of them to the best; unseen: {self.unseen:.0%}"
        )


def n_distinct(climbs: Sequence[Climb]) -> int:
    """Count the optima that climbs ended in: those are one that hardly differ in log-likelihood."""
    return len(best_distinct(climbs, len(climbs), RECORD.alike))


def evidence(drawn: Sequence[Climb], made: Sequence[Climb]) -> list[Climb]:
    """Return the climbs that say how much is unseen: all from starts that were drawn, one of the others.

    From values that rows repeat, from growth and from what is made of other mixtures the search would come to
    the same again: that these agree says nothing. What they found at best is an optimum that does exist.
    """
    return [*drawn, *best_distinct(made, 1)]


def unseen(climbs: Sequence[Climb]) -> float:
    """Estimate the share of starts that lead to optima which none of these climbs has found.

    From n climbs that ended in w optima: w (w + 1) / (n (n − 1)), the posterior mean where any number of
    optima with any shares were equally probable (Boender and Rinnooy Kan, 1987, *Bayesian stopping rules for
    multistart global optimization methods*).
    """
    return _unseen(len(climbs), n_distinct(climbs))


def n_missing(climbs: Sequence[Climb], share: float) -> int:
    """Give how many more climbs leave less than a share unseen, if they end in the optima that are known."""
    n_optima, n_climbs = max(1, n_distinct(climbs)), len(climbs)
    while _unseen(n_climbs, n_optima) >= share:
        n_climbs += 1
    return n_climbs - len(climbs)


def _unseen(n_climbs: int, n_optima: int) -> float:
    return 1.0 if n_climbs < 2 else min(1.0, n_optima * (n_optima + 1) / (n_climbs * (n_climbs - 1)))
