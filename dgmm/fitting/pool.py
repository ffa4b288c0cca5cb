"""Candidates that share passes: the one loop of fits, sweeps and moves.

A fit is a pool of its starts, a sweep a pool of many models, moves a pool of what was proposed. Each pass
serves all that have not ended; a `Policy` says from what it found who goes on, and how.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dgmm.fitting.loop.plain import EM, Advance, failed
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.objective import Objective
from dgmm.model.criteria import Scores
from dgmm.model.families import Family
from dgmm.model.parameters import Parameters
from dgmm.passes.events import InitializationFinished, IterationFinished, emit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mixture that is fitted beside others, and how far it has come.

    Attributes
    ----------
    family : Family
    n_components : int
    state : EM or None
        None where it has not begun.
    evaluated : Parameters or None
        The best parameters that a pass has seen.
    scores : Scores or None
        Theirs, where they are asked for.
    rivals : tuple of Parameters
        Other starts, which share its first pass: the one goes on that all rows like best.
    n_passes : int
        Passes that it took part in.
    failure : str
        Why it cannot be fitted; empty if it can.
    dropped : str
        Why a policy let it go; empty if it did not.
    """

    family: Family
    n_components: int
    state: EM | None = None
    evaluated: Parameters | None = None
    scores: Scores | None = None
    rivals: tuple[Parameters, ...] = ()
    n_passes: int = 0
    failure: str = ""
    dropped: str = ""

    @classmethod
    def of(cls, states: Sequence[EM]) -> Candidate:
        """Make a candidate of a state that begins, and of others that are its rivals."""
        first, *others = states
        parameters = first.parameters
        rivals = tuple(each.parameters for each in others)
        return cls(parameters.family, parameters.n_components, first, rivals=rivals)

    @property
    def message(self) -> str:
        """How it ended, or that it did not."""
        if self.failure or self.dropped:
            return self.failure or self.dropped
        if self.state is None or self.state.ending is None:
            return "Interrupted." if self.n_passes else "Not fitted."
        return self.state.ending.message

    @property
    def is_running(self) -> bool:
        """Whether it goes into the next pass."""
        return self.state is not None and self.state.ending is None and not (self.failure or self.dropped)


@dataclass(frozen=True, eq=False)
class Entry:
    """A candidate in a pass.

    Attributes
    ----------
    candidate : Candidate
        As it was before.
    state : EM
        That went in: of its rivals, where they went in too, the one that all rows like best.
    found : Evaluation or Exception
        What the pass said of it.
    """

    candidate: Candidate
    state: EM
    found: Evaluation | Exception

    def advanced(self, advance: Advance, scores: Scores | None = None) -> Candidate:
        """Take in what was found; a failure is the candidate's alone."""
        candidate = replace(self.candidate, n_passes=self.candidate.n_passes + 1)
        if isinstance(self.found, Exception):
            after = failed(self.state, self.found)
            return replace(candidate, state=after, failure=str(after.error or ""))
        after = advance(self.state, self.found)
        if not after.history[-1].accepted:
            return replace(candidate, state=after)
        # What a fit on its way was in a pass is asked for with scores only: it may be large.
        is_asked_for = scores is not None or after.ending is not None
        evaluated = self.found.parameters if is_asked_for else None
        return replace(candidate, state=after, evaluated=evaluated, scores=scores)


class Policy(Protocol):
    """Says after a pass who goes on, and how."""

    def __call__(
        self, candidates: Sequence[Candidate], entries: Mapping[int, Entry], /
    ) -> Mapping[int, Candidate]:
        """Return those that were in a pass as they are after it.

        Parameters
        ----------
        candidates : sequence of Candidate
            All, as they were before the pass.
        entries : mapping of int to Entry
            Those that were in it, by their indices.
        """
        ...


@dataclass(frozen=True, eq=False)
class Pool:
    """What candidates share.

    Attributes
    ----------
    data : Data
        All rows.
    objective : Objective
    advance : callable
        See `dgmm.fitting.loop.plain.Advance`.
    max_iter : int
        The most passes of each.
    passes_left : callable, optional
        Estimates how many passes of a fit that goes on are to come.
    """

    data: Data
    objective: Objective
    advance: Advance
    max_iter: int
    passes_left: Callable[[EM], int] | None = None

    def run(
        self, candidates: list[Candidate], policy: Policy | None = None, n_passes: int | None = None
    ) -> None:
        """Run candidates in shared passes until none goes on.

        Parameters
        ----------
        candidates : list of Candidate
            Changed in place, pass by pass: what was reached is there after an interruption.
        policy : Policy, optional
            By default all go on.
        n_passes : int, optional
            Passes after which to stop.
        """
        while (n_passes is None or n_passes > 0) and self._run_once(candidates, policy):
            n_passes = None if n_passes is None else n_passes - 1

    def _run_once(self, candidates: list[Candidate], policy: Policy | None) -> bool:
        """Make one pass; False if none goes on. Nothing else is left of it: statistics may be large."""
        entries = self._pass(candidates)
        if not entries:
            return False
        after = self.everyone(candidates, entries) if policy is None else policy(candidates, entries)
        for index, entry in entries.items():
            candidates[index] = after[index]
            self._tell(entry.state, after[index].state)
        return True

    def everyone(
        self, candidates: Sequence[Candidate], entries: Mapping[int, Entry]
    ) -> Mapping[int, Candidate]:
        """Let all go on."""
        return {index: entry.advanced(self.advance) for index, entry in entries.items()}

    def _pass(self, candidates: Sequence[Candidate]) -> dict[int, Entry]:
        """Make a pass with all that are running, and their rivals."""
        states = {
            index: each.state
            for index, each in enumerate(candidates)
            if each.is_running and each.state is not None
        }
        starts = [
            (index, parameters)
            for index, state in states.items()
            for parameters in (state.parameters, *(() if state.history else candidates[index].rivals))
        ]
        evaluated = self.data.evaluate_each([each for _, each in starts], self.objective) if starts else []
        entries: dict[int, Entry] = {}
        for (index, parameters), found in zip(starts, evaluated, strict=True):
            before = entries[index].found if index in entries else None
            bar = before.lower_bound if isinstance(before, Evaluation) else -np.inf
            if before is None or (isinstance(found, Evaluation) and found.lower_bound > bar):
                state = replace(states[index], parameters=parameters)
                entries[index] = Entry(candidates[index], state, found)
        return entries

    def _tell(self, before: EM, after: EM | None) -> None:
        if after is None or after is before:
            return
        number = after.initialization
        lost = None
        if after.history and not after.history[-1].accepted:
            lost = after.lower_bound - after.history[-1].log_likelihood
        n_left = 0
        if after.ending is None:
            estimate = self.passes_left
            n_left = self.max_iter - after.n_iter if estimate is None else estimate(after)
        emit(
            IterationFinished(
                number,
                after.n_iter,
                self.max_iter,
                after.lower_bound,
                after.lower_bound - before.lower_bound,
                self.objective.bound_name,
                lost,
                n_left,
            )
        )
        if after.error is not None:
            logger.info("Start %d is left: %s", number, after.error)
        if after.ending is not None:
            emit(InitializationFinished(number, after.lower_bound, after.converged))
