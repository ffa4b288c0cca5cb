"""EM steps with extrapolations, on any rows.

An extrapolation stands for as many steps as lead there (see `dgmm.model.extrapolation`). It is a trial:
whoever drives evaluates it as any step, and a `StepRule` says whether it is accepted or taken back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from dgmm.model.extrapolation import EXTRAPOLATION, next_longest
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics


class Evaluated(Protocol):
    """An E-step and the M-step after it: statistics, and what is made of them."""

    @property
    def statistics(self) -> Statistics:
        """Statistics of the E-step."""
        ...

    @property
    def updated(self) -> Parameters:
        """Parameters after the M-step."""
        ...


Point = TypeVar("Point", bound=Evaluated)


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Statistics that steps would lead to, what an M-step makes of them, and its length.

    With the step after it, it stands for ``2 · length − 1`` steps.
    """

    statistics: Statistics
    parameters: Parameters
    length: float


class StepRule(ABC, Generic[Point]):
    """How steps are judged.

    Attributes
    ----------
    tol : float
        The steps have converged where one gains less.
    """

    tol: float

    @abstractmethod
    def gain(self, before: Point, after: Point) -> float:
        """Return what a step gains, or promises, nats a row."""

    @abstractmethod
    def extrapolated(self, path: Sequence[Statistics], longest: float) -> Extrapolation | None:
        """Extrapolate from the statistics of three E-steps in a row; None where that leads nowhere."""

    @abstractmethod
    def accepts(self, before: Point, landed: Point) -> bool:
        """Return whether an extrapolation, evaluated, is better to go on from than what was before it."""

    def last(self, before: Point, after: Point) -> Point:
        """Return where steps end that have converged: after the last, or before it."""
        return after

    def rests(self, before: Point, landed: Point) -> bool:
        """Return whether steps have converged where an extrapolation was accepted."""
        return False


@dataclass(frozen=True, eq=False)
class Steps(Generic[Point]):
    """Steps on their way.

    Attributes
    ----------
    reached : Evaluated
        The last that was not taken back.
    left : int
        Steps that may still be made.
    path : tuple of Statistics
        That the next extrapolation will be from.
    n_made : int
        Steps made, or stood for.
    gain : float
        Of the last step, nats a row.
    longest : float
        Most length of the next extrapolation.
    trial : Extrapolation or None
        To be evaluated next.
    has_converged : bool
    """

    reached: Point
    left: int
    path: tuple[Statistics, ...]
    n_made: int = 0
    gain: float = np.inf
    longest: float = EXTRAPOLATION.first
    trial: Extrapolation | None = None
    has_converged: bool = False

    @property
    def to_evaluate(self) -> Parameters:
        """What is to be evaluated next."""
        return self.reached.updated if self.trial is None else self.trial.parameters

    @property
    def has_ended(self) -> bool:
        """Whether it has converged, or made all its steps."""
        return self.has_converged or (self.left <= 0 and self.trial is None)

    def after(self, found: Point | None, rule: StepRule[Point]) -> Self:
        """Take in what was evaluated; None where it failed, which of a step is for the caller."""
        if self.trial is not None:
            return self._landed(found, self.trial, rule)
        assert found is not None
        gain = rule.gain(self.reached, found)
        if gain < rule.tol:
            ended = self._stepped(rule.last(self.reached, found), 1)
            return replace(ended, gain=gain, has_converged=True)
        state = replace(self._stepped(found, 1), gain=gain, path=(*self.path, found.statistics))
        if len(state.path) < 3:
            return state
        # From the first of the path, two steps ago; one step follows.
        trial = rule.extrapolated(state.path, min(state.longest, 0.5 * (state.left + 1)))
        return replace(state, path=state.path[2:], trial=trial)

    def _landed(self, found: Point | None, trial: Extrapolation, rule: StepRule[Point]) -> Self:
        is_good = found is not None and rule.accepts(self.reached, found)
        longest = next_longest(self.longest, trial.length, is_good=is_good)
        state = replace(self, trial=None, longest=longest)
        if found is None or not is_good:
            return state
        return replace(
            state._stepped(found, int(2.0 * trial.length) - 1),
            path=(trial.statistics, found.statistics),
            has_converged=rule.rests(self.reached, found),
        )

    def _stepped(self, reached: Point, n_steps: int) -> Self:
        return replace(self, reached=reached, n_made=self.n_made + n_steps, left=self.left - n_steps)
