"""Stopping where components gain no more than chance gives.

Parameters that the rows do not need gain what chance gives them all the same: half a nat each over all rows
(Wilks, 1938, *The large-sample distribution of the likelihood ratio*). Such gains tell nothing of other rows,
and EM may take hundreds of steps for them. So a fit has ended that lately gained less than chance gives a
component. And one on a plateau, where it has more components than the rows tell apart, of which the
information is singular: if it lately gained less than chance gives some of its components, and it is shown
that the rows do not need these. No data, no Dask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from dgmm.fitting.loop.history import PassRecord, last_gain, passes_until, predict_gain, since_start
from dgmm.fitting.loop.stopping import Ending
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class SurplusTuning:
    """When gains are those of chance: docs/notes/2026-11-27-passes.md has other values, on recorded fits.

    Attributes
    ----------
    n_passes : int
        Passes over which a gain is looked at: one alone may be a step back.
    many_steps : int
        M-steps of a pass that tell as much of a fit's progress as several passes.
    cautious : float
        Times what is predicted after one pass of fewer M-steps: that may be wrong.
    by_chance : float
        Nats that chance gives a parameter.
    most : float
        Nats a row: more is worth going on for, however few rows tell of however many parameters.
    patient, loosest : int, float
        Passes after which each one must gain twice what the one before had to, and how many times as much
        as the first ones at the most: a fit that takes many passes gains little by the next. Not of so many
        rows that chance gives a component less than ``most``.
    fewest_rows : int
        Of all rows: of fewer, passes take no time, and chance gives much.
    """

    n_passes: int = 2
    many_steps: int = 64
    cautious: float = 4.0
    by_chance: float = 0.5
    most: float = 1e-4
    patient: int = 4
    loosest: float = 8.0
    fewest_rows: int = 2**15


SURPLUS = SurplusTuning()


class AreSurplus(Protocol):
    """Tells whether the rows do not need some of a mixture's components."""

    def __call__(self, parameters: Parameters, n_components: int, /) -> bool:
        """Return whether with so many components fewer the rows are described as well."""
        ...


@dataclass(frozen=True)
class Plateaus:
    """Ends fits that lately gained no more than chance gives their components.

    Attributes
    ----------
    n_rows : float
        Of all rows: what chance gives is shared by them.
    are_surplus : callable, optional
        Without it the gain is held against what chance gives one component, and nothing is asked.
    """

    n_rows: float
    are_surplus: AreSurplus | None = None

    def by_chance(self, parameters: Parameters, n_components: int) -> float:
        """Return what chance gives so many components of a mixture, nats a row."""
        n_each = parameters.n_parameters_of_one
        return SURPLUS.by_chance * n_components * n_each / self.n_rows

    def settled(self, history: tuple[PassRecord, ...], parameters: Parameters) -> str | None:
        """Say that a fit lately gained less than chance gives a component; None where it gained more."""
        gained, bar = gained_lately(history), self._bar(len(since_start(history)), parameters)
        if gained >= bar:
            return None
        is_of_chance = bar == self.by_chance(parameters, 1)
        what = "that chance gives a component" if is_of_chance else "worth going on for"
        return f"it lately gained {gained:.2g} nats a row, less than the {bar:.2g} {what}; {AS_FAR_AS}"

    def passes_left(self, history: tuple[PassRecord, ...], parameters: Parameters) -> float:
        """Estimate the passes until a fit has `settled`; infinite where nothing is known."""
        n_passes, ends = len(since_start(history)), range(max(1, len(history) - 1), len(history) + 1)
        lately = [gained_lately(history[:end]) for end in ends]
        growing = range(SURPLUS.patient + int(math.log2(SURPLUS.loosest)) + 1)  # what is asked for, at most
        return min(max(n, passes_until(lately, self._bar(n_passes + n, parameters))) for n in growing)

    def _bar(self, n_passes: int, parameters: Parameters) -> float:
        """Return what a fit that goes on after so many passes has lately gained, at the least, nats a row."""
        by_chance = self.by_chance(parameters, 1)
        if by_chance < SURPLUS.most:  # of so many rows criteria would tell what is left
            return by_chance
        return SURPLUS.most * 2.0 ** min(math.log2(SURPLUS.loosest), max(0, n_passes - SURPLUS.patient))

    def ending(
        self, history: tuple[PassRecord, ...], parameters: Parameters, n_needed: int
    ) -> tuple[Ending | None, int]:
        """Return the ending of a fit that gains no more than chance gives, None of one that goes on.

        And how many components are needed.

        Parameters
        ----------
        history : tuple of PassRecord
        parameters : Parameters
            The best.
        n_needed : int
            It is asked about fewer components alone; the number of all at first.

        Returns
        -------
        ending : Ending or None
        n_needed : int
            The same after this pass: half of those that were found not to be surplus together.
        """
        why = self.settled(history, parameters)
        if why is not None:
            return Ending(converged=True, message=f"Converged: {why}."), n_needed
        gained = gained_lately(history)
        if self.are_surplus is None or gained == math.inf:
            return None, n_needed
        n_surplus = math.floor(gained / self.by_chance(parameters, 1)) + 1
        if n_surplus >= n_needed:
            return None, n_needed
        if not self.are_surplus(parameters, n_surplus):
            return None, (n_surplus + 1) // 2
        by_chance = self.by_chance(parameters, n_surplus)
        which = "a component" if n_surplus == 1 else f"{n_surplus:,} components"
        why = (
            f"it lately gained {gained:.2g} nats a row, less than the {by_chance:.2g} "
            f"that chance gives {which}, and by BIC the sample is described as well with so many of the "
            f"{parameters.n_components:,} merged; {AS_FAR_AS}"
        )
        return Ending(converged=True, message=f"Converged: {why}."), n_surplus


AS_FAR_AS = "tol says how far to fit it all the same"


def gained_lately(history: tuple[PassRecord, ...]) -> float:
    """Return what a fit gained lately, nats a row: in some passes together, or in the last; the less.

    Of the last alone it is what was gained or what is predicted to come, whichever is more, as little may be
    gained before much. Infinite of a fit that has had few passes.
    """
    return min(_of_passes(history), _of_one_pass(history))


def _of_passes(history: tuple[PassRecord, ...]) -> float:
    passes = since_start(history)
    if len(passes) <= SURPLUS.n_passes:
        return math.inf
    return _best(passes) - _best(passes[: -SURPLUS.n_passes])


def _of_one_pass(history: tuple[PassRecord, ...]) -> float:
    last = history[-1]
    if not last.accepted:
        return math.inf
    # After many M-steps gains tell what is left, after few promises may tell of more.
    has_many = last.inner_steps >= SURPLUS.many_steps
    predicted = predict_gain(history) if has_many else SURPLUS.cautious * last.predicted_gain
    return max(last_gain(history), predicted)


def _best(passes: tuple[PassRecord, ...]) -> float:
    return max(each.log_likelihood for each in passes if each.accepted)
