"""Which models leave the shared passes, as they can no longer be the best.

The last model that is left ends when it has gone far enough: the choice is made then, and what it would still
gain does not change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dgmm.data.text import counted
from dgmm.fitting.loop.corrected import CorrectedEM
from dgmm.fitting.loop.history import PassRecord, last_gain, predict_gain, since_start
from dgmm.fitting.loop.plain import Advance
from dgmm.fitting.loop.stopping import Ending
from dgmm.fitting.loop.surplus import Plateaus
from dgmm.fitting.pool import Candidate, Entry
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.sweep.choice import best_of
from dgmm.fitting.sweep.scores import scores_of
from dgmm.model.criteria import Criterion, Scores


@dataclass(frozen=True)
class RaceTuning:
    """When a model leaves the race.

    Attributes
    ----------
    generous : float
        It leaves if so many times its last gain, or the one that its gains predict, would not make it the
        best, nor what all further M-steps promise. After its first pass so many times what one promises
        stands for these. Half and double: the same log-likelihoods, by as many passes, on small data
        (docs/notes/2026-11-26-tuning.md).
    worth : float
        Nats a row: a model whose last pass gained more goes on as long as one does that can be the best. All
        are compared, and scikit-learn would go on with it, too.
    """

    generous: float = 20.0
    worth: float = 1e-3


RACE = RaceTuning()


@dataclass(frozen=True, eq=False)
class Race:
    """The policy of a sweep: models leave that can no longer be the best.

    Work on the sample is for those that stay: who leaves is told by steps without it, and models that will
    hardly win have one more pass after the M-step alone.

    Attributes
    ----------
    data : Data
    advance, hurried : callable
        See `dgmm.fitting.loop.plain.Advance`: with work on the sample, and without.
    criterion : Criterion or None
        What the best is best by; None keeps all, and scores them.
    settles : bool
        Whether the last may end as `settled` says; not where the user says what gains matter.
    """

    data: Data
    advance: Advance
    hurried: Advance
    criterion: Criterion | None
    settles: bool = False

    def __call__(
        self, candidates: Sequence[Candidate], entries: Mapping[int, Entry]
    ) -> Mapping[int, Candidate]:
        """Score those that were in a pass, and let some of them go: see `Policy`."""
        scores = {
            index: None if isinstance(entry.found, Exception) else scores_of(self.data, entry.found)
            for index, entry in entries.items()
        }
        leaving: set[int] = set()
        hurried: dict[int, Candidate] = {}
        if self.criterion is not None:
            hurried = {index: each.advanced(self.hurried, scores[index]) for index, each in entries.items()}
            everyone = drop_losers(
                [hurried.get(index, each) for index, each in enumerate(candidates)], self.criterion
            )
            hurried = {index: everyone[index] for index in entries}
            leaving = {index for index, each in hurried.items() if each.dropped}
            leaving |= hopeless(entries, scores, self.criterion)
        after = {
            index: hurried[index] if index in leaving else each.advanced(self.advance, scores[index])
            for index, each in entries.items()
        }
        if self.criterion is None or not self.settles:
            return after
        n_rows = max(float(self.data.moments.n_rows), self.data.moments.weight)
        everyone = [after.get(index, each) for index, each in enumerate(candidates)]
        everyone = settled(everyone, self.criterion, n_rows)
        return {index: everyone[index] for index in entries}


def hopeless(
    entries: Mapping[int, Entry], scores: Mapping[int, Scores | None], criterion: Criterion
) -> set[int]:
    """Return which models will hardly win, after their first pass, which all of them share."""
    if any(entry.state.history for entry in entries.values()):
        return set()
    best = min((criterion.loss(own) for own in scores.values() if own is not None), default=np.inf)
    found = set()
    for index, entry in entries.items():
        own = scores[index]
        if own is not None and isinstance(entry.found, Evaluation):
            gain = RACE.generous * max(entry.found.promised_gain, 0.0)
            if _is_behind(own, gain, criterion, best):
                found.add(index)
    return found


def _is_behind(scores: Scores, gain: float, criterion: Criterion, best: float) -> bool:
    """Return whether a model would still not be the best with so many nats a row more."""
    return criterion.loss(scores.with_gain(gain)) > best


def drop_losers(candidates: Sequence[Candidate], criterion: Criterion) -> list[Candidate]:
    """Mark the models that cannot become the best any more, whatever they may reasonably gain.

    Not those that gain much, while others go on: passes are shared.

    Parameters
    ----------
    candidates : sequence of Candidate
    criterion : Criterion
    """
    lost = losers(candidates, criterion)
    others_go_on = any(each.is_running for index, each in enumerate(candidates) if index not in lost)
    return [
        lost[index] if index in lost and not (others_go_on and _gains_much(each)) else each
        for index, each in enumerate(candidates)
    ]


def losers(candidates: Sequence[Candidate], criterion: Criterion) -> dict[int, Candidate]:
    """Return the running models that cannot become the best any more, as they would leave."""
    losses = [criterion.loss(each.scores) for each in candidates if each.scores and not each.failure]
    best = min(losses, default=-np.inf)
    running = {index: each for index, each in enumerate(candidates) if each.is_running}
    after = {index: _dropped(each, criterion, best) for index, each in running.items()}
    return {index: each for index, each in after.items() if each.dropped}


def _gains_much(candidate: Candidate) -> bool:
    return (
        candidate.is_running
        and candidate.state is not None
        and last_gain(candidate.state.history) > RACE.worth
    )


def _dropped(candidate: Candidate, criterion: Criterion, best: float) -> Candidate:
    assert candidate.state is not None
    # What a re-seeding gains is not known before its first pass.
    gain = possible_gain(candidate.state.history) if candidate.state.fallback is None else float("inf")
    if candidate.scores is None or not _is_behind(candidate.scores, gain, criterion, best):
        return candidate
    behind = criterion.loss(candidate.scores) - best
    return replace(
        candidate,
        dropped=f"Left after {counted(candidate.n_passes, 'pass', 'passes')}: by {criterion.title} it is "
        f"{criterion.gap(behind)} behind the best, and would be behind with {gain:.2g} nats a row more.",
    )


def settled(candidates: Sequence[Candidate], criterion: Criterion, n_rows: float) -> list[Candidate]:
    """End the last model that can be the best, where it has lately gained less than chance gives a component.

    As single fits end: see `dgmm.fitting.loop.surplus`. All others leave with it.

    Parameters
    ----------
    candidates : sequence of Candidate
        After a pass.
    criterion : Criterion
    n_rows : float
        Of all rows: what chance gives is shared by them.
    """
    lost = losers(candidates, criterion)
    running = [index for index, each in enumerate(candidates) if each.is_running and index not in lost]
    if len(running) != 1 or running[0] != best_of(candidates, criterion):
        return list(candidates)
    (last,) = running
    state = candidates[last].state
    if not isinstance(state, CorrectedEM) or state.best is None or state.fallback is not None:
        return list(candidates)
    parameters = state.best.parameters
    why = Plateaus(n_rows).settled(state.history, parameters)
    if why is None:
        return list(candidates)
    ending = Ending(converged=True, message=f"Converged: no other model can be the best any more, and {why}.")
    ended = replace(state, parameters=parameters, ending=ending)
    after = [replace(each, state=ended) if index == last else each for index, each in enumerate(candidates)]
    return drop_losers(after, criterion)


def possible_gain(history: tuple[PassRecord, ...]) -> float:
    """Return more than a model is likely to gain still, nats a row; infinite before two accepted passes.

    A re-seeding is a start: passes are counted from the last.
    """
    last = last_gain(history)
    if last == float("inf"):
        return last
    predicted = [record.predicted_gain for record in since_start(history) if record.accepted][-1]
    by_gains = predict_gain(history)
    most = RACE.generous * max(last, by_gains if by_gains < float("inf") else 0.0)
    return max(most, predicted if predicted < float("inf") else 0.0)
