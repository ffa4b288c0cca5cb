"""Stopping rules: when a fit has converged.

A rule is a frozen class with the two methods of `StoppingRule`. To have an algorithm stop by another one,
name it in `rules_of`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

from dgmm.fitting.loop.history import PassRecord, passes_until, since_start

Passes = tuple[PassRecord, ...]


@dataclass(frozen=True)
class Ending:
    """How a fit ended, with a sentence for a person; the error, where it could not go on; at whose wish."""

    converged: bool
    message: str
    error: Exception | None = None
    at_wish: bool = False


class StoppingRule(Protocol):
    """Tells whether a fit has converged."""

    def reached(self, history: Passes, gain: float) -> str | None:
        """Say why a fit has converged; None where it has not.

        Parameters
        ----------
        history : tuple of PassRecord
            Of all passes; one at least.
        gain : float
            Of the last pass on the best before it, nats a row; infinite where it was the first.
        """
        ...

    def missing(self, history: Passes, gain: float) -> str:
        """Say what is amiss where a fit ends at its last pass; after the number of passes."""
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """A rule that can tell about when it will be reached, for people who wait."""

    def passes_left(self, history: Passes) -> float:
        """Estimate the passes still to come; infinite where nothing is known."""
        ...


@dataclass(frozen=True)
class SmallChange:
    """As in scikit-learn: a pass changed the lower bound by less than ``tol`` nats a row."""

    tol: float

    def reached(self, history: Passes, gain: float) -> str | None:
        """Say so where the last change is small."""
        if abs(gain) < self.tol:
            return f"the lower bound changed by {_against(gain, self.tol)}"
        return None

    def missing(self, history: Passes, gain: float) -> str:
        """Say what the change still is."""
        return f"the lower bound still changes by {_against(gain, self.tol, 'not less')}"

    def passes_left(self, history: Passes) -> float:
        """Estimate them from the last changes."""
        bounds = [each.log_likelihood for each in since_start(history)[-3:]]
        return passes_until([abs(after - before) for before, after in pairwise(bounds)], self.tol)


@dataclass(frozen=True)
class NothingGained:
    """A step of EM alone, from the best parameters, lost."""

    def reached(self, history: Passes, gain: float) -> str | None:
        """Say so where the last pass was of one M-step and lost."""
        last = since_start(history)[-1]
        is_over = not last.accepted and last.inner_steps <= 1
        return "an EM step from the best parameters gains nothing more" if is_over else None

    def missing(self, history: Passes, gain: float) -> str:
        """Say that there was a gain."""
        return "an EM step still gains"


@dataclass(frozen=True)
class SmallPredictions:
    """Twice in a row, what all further iterations gain was predicted to be less than ``tol`` nats a row.

    Twice: a first small prediction may be of fast progress that ended, with slow progress still to come. A
    pass that lost next to nothing, many steps from the best parameters, confirms it as well.
    """

    tol: float

    def reached(self, history: Passes, gain: float) -> str | None:
        """Say so where the last two predictions are small."""
        *_, before, last = [None, *since_start(history)]
        assert last is not None
        is_near = last.accepted or -gain < self.tol
        if before is None or not is_near or max(before.predicted_gain, last.predicted_gain) >= self.tol:
            return None
        return f"further iterations are predicted to gain {_against(last.predicted_gain, self.tol)}"

    def missing(self, history: Passes, gain: float) -> str:
        """Say what is still predicted."""
        left = since_start(history)[-1].predicted_gain
        if math.isinf(left):
            return "it is not known yet what further iterations gain"
        return f"further iterations are predicted to gain {_against(left, self.tol, 'not less')}"

    def passes_left(self, history: Passes) -> float:
        """Estimate them from the last predictions, of which two are to be small."""
        predicted = [each.predicted_gain for each in since_start(history) if each.accepted]
        return 1 + passes_until(predicted[-2:], self.tol)


def _against(value: float, tol: float, relation: str = "less") -> str:
    return f"{value:.3g} nats a row, {relation} than tol={tol:g}"


@dataclass(frozen=True)
class Stopping:
    """When a fit ends: as soon as a rule says that it has converged, else after the most passes.

    Attributes
    ----------
    rules : sequence of StoppingRule
        The last of them says what is amiss where a fit has not converged.
    max_iter : int
    """

    rules: Sequence[StoppingRule]
    max_iter: int

    def ending(self, history: Passes, gain: float) -> Ending | None:
        """Return the ending of a fit with these passes, the last with this gain; None where it goes on."""
        for rule in self.rules:
            why = rule.reached(history, gain)
            if why is not None:
                return Ending(converged=True, message=f"Converged: {why}.")
        if len(history) < self.max_iter:
            return None
        missing = self.rules[-1].missing(history, gain)
        message = f"Not converged after max_iter={self.max_iter} iterations: {missing}."
        return Ending(converged=False, message=message)

    def passes_left(self, history: Passes) -> int:
        """Estimate the passes still to come: at most those that are allowed."""
        most = max(0, self.max_iter - len(history))
        foreseen = [rule.passes_left(history) for rule in self.rules if isinstance(rule, Foreseeing)]
        return int(min([float(most), *foreseen]))


def rules_of(algorithm: str, tol: float) -> tuple[StoppingRule, ...]:
    """Return the rules that an algorithm stops by, ``em`` or ``corrected``; ``tol`` is in nats a row."""
    return (SmallChange(tol),) if algorithm == "em" else (NothingGained(), SmallPredictions(tol))
