"""Plateaus: where a mixture has more components than the rows tell apart, EM crawls for as good as nothing.

A component that the rows do not need has parameters all the same, and these gain what chance gives them: half
a nat each over all rows (Wilks, 1938, *The large-sample distribution of the likelihood ratio*). Such gains
tell nothing of other rows, and EM takes hundreds of steps for them, as the information about surplus
components is singular. So a fit that has lately gained less than chance gives some of its components has
ended, if it is shown that the rows do not need these. No data, no Dask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from dgmm.fitting.loop.history import PassRecord, since_start
from dgmm.fitting.loop.stopping import Ending
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class SurplusTuning:
    """When a plateau is looked at. Chosen by docs/notes/2026-11-26-wide.md; half and double: not measured.

    Attributes
    ----------
    n_passes : int
        Passes over which a gain is looked at: one alone may be a step back.
    by_chance : float
        Nats that chance gives a parameter.
    """

    n_passes: int = 3
    by_chance: float = 0.5


SURPLUS = SurplusTuning()


class AreSurplus(Protocol):
    """Tells whether the rows do not need some of a mixture's components."""

    def __call__(self, parameters: Parameters, n_components: int, /) -> bool:
        """Tell whether with so many components fewer the rows are described as well."""
        ...


@dataclass(frozen=True)
class Plateaus:
    """Ends fits whose components are more than the rows tell apart.

    Attributes
    ----------
    are_surplus : callable
    n_rows : float
        Of all rows: what chance gives is shared by them.
    """

    are_surplus: AreSurplus
    n_rows: float

    def by_chance(self, parameters: Parameters, n_components: int) -> float:
        """Give what chance gives so many components of a mixture, nats a row."""
        n_each = parameters.n_parameters_of_one
        return SURPLUS.by_chance * n_components * n_each / self.n_rows

    def ending(
        self, history: tuple[PassRecord, ...], parameters: Parameters, n_needed: int
    ) -> tuple[Ending | None, int]:
        """Give the ending of a fit that is on a plateau, None of one that goes on; and how many are needed.

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
        gained = gained_lately(history)
        n_surplus = (
            max(1, math.floor(gained / self.by_chance(parameters, 1)) + 1) if gained < math.inf else n_needed
        )
        if n_surplus >= n_needed:
            return None, n_needed
        if not self.are_surplus(parameters, n_surplus):
            return None, (n_surplus + 1) // 2
        by_chance = self.by_chance(parameters, n_surplus)
        which, n_passes = "a component" if n_surplus == 1 else f"{n_surplus} components", SURPLUS.n_passes
        why = (
            f"the last {n_passes} passes gained {gained:.2g} nats a row, less than the {by_chance:.2g} "
            f"that chance gives {which}, and by BIC the sample is described as well with so many of the "
            f"{parameters.n_components} merged; tol says how far to fit them all the same"
        )
        return Ending(converged=True, message=f"Converged: {why}."), n_surplus


def gained_lately(history: tuple[PassRecord, ...]) -> float:
    """Give what the last passes gained together, nats a row; infinite of a fit that has had few."""
    passes = since_start(history)
    if len(passes) <= SURPLUS.n_passes:
        return math.inf
    before, all_of = passes[: -SURPLUS.n_passes], passes
    return _best(all_of) - _best(before)


def _best(passes: tuple[PassRecord, ...]) -> float:
    return max(each.log_likelihood for each in passes if each.accepted)
