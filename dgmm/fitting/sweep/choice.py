"""The best model of a sweep, and advice on the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dgmm.data.text import counted
from dgmm.fitting.pool import Candidate
from dgmm.model.criteria import Criterion, resolution


@dataclass(frozen=True)
class Advice:
    """What there is to say of the best model, beside its figures.

    Attributes
    ----------
    at_edge : bool
        The best has the largest number of components that was tried, and more might be better still.
    smallest : int or None
        Index of the model with the fewest components whose log-likelihood (held-out, by that criterion) is
        within the tolerance of the best one's; of its covariance type.
    elbow : int or None
        Index of the model where the curve of the best one's covariance type bends most.
    sentences : tuple of str
        For a person.
    """

    at_edge: bool
    smallest: int | None
    elbow: int | None
    sentences: tuple[str, ...]


def best_of(candidates: Sequence[Candidate], criterion: Criterion) -> int | None:
    """Return the index of the model with the best score, the first of equals; None where there is none."""
    scored = [
        (criterion.loss(candidate.scores), index)
        for index, candidate in enumerate(candidates)
        if candidate.scores is not None and not candidate.failure
    ]
    comparable = [each for each in scored if np.isfinite(each[0])]
    return min(comparable)[1] if comparable else None


def advise(candidates: Sequence[Candidate], best: int, criterion: Criterion, tolerance: float) -> Advice:
    """Say what the figures say of a choice, and what they do not.

    Parameters
    ----------
    candidates : sequence of Candidate
    best : int
        Index of the best model.
    criterion : str
    tolerance : float
        Nats a row that count as no worse.
    """
    chosen = candidates[best]
    family = sorted(
        (
            index
            for index, candidate in enumerate(candidates)
            if candidate.family is chosen.family and candidate.scores and not candidate.failure
        ),
        key=lambda index: candidates[index].n_components,
    )
    heights = [_height(candidates[index], criterion) for index in family]
    top = _height(chosen, criterion)
    smallest = next((i for i, height in zip(family, heights, strict=True) if height >= top - tolerance), None)
    elbow = _elbow([candidates[index].n_components for index in family], heights)
    counts = sorted({candidate.n_components for candidate in candidates})
    at_edge = len(counts) > 1 and chosen.n_components == counts[-1]
    found = Advice(at_edge, smallest, None if elbow is None else family[elbow], ())
    sentences = tuple(_sentences(candidates, best, criterion, tolerance, found))
    return Advice(at_edge, smallest, found.elbow, sentences)


def _height(candidate: Candidate, criterion: Criterion) -> float:
    assert candidate.scores is not None
    return criterion.fit(candidate.scores)


def _elbow(counts: Sequence[int], heights: Sequence[float]) -> int | None:
    """Return where a rising curve is farthest above the chord between its ends (Satopää et al. 2011)."""
    if len(counts) < 3 or not heights[-1] > heights[0]:
        return None
    x = (np.asarray(counts, float) - counts[0]) / (counts[-1] - counts[0])
    y = (np.asarray(heights) - heights[0]) / (heights[-1] - heights[0])
    above = y - x
    highest = int(np.argmax(above))
    return highest if 0 < highest < len(counts) - 1 else None


def _sentences(
    candidates: Sequence[Candidate], best: int, criterion: Criterion, tolerance: float, found: Advice
):
    chosen = candidates[best]
    assert chosen.scores is not None
    name, fit = criterion.title, criterion.fit_name
    yield (
        f"{name[0].upper()}{name[1:]} chooses {counted(chosen.n_components, 'component')} of "
        f"{chosen.family.name} covariance: the best density among those tried, which is not the number of "
        "clusters. A cluster that is not Gaussian takes several components, and with more rows a "
        "criterion supports more components."
    )
    if found.at_edge:
        yield (
            f"It is at the edge of the range: nothing above {counted(chosen.n_components, 'component')} was "
            "tried, and more may be better still."
        )
    if found.smallest is not None and found.smallest != best:
        few = candidates[found.smallest]
        yield (
            f"{counted(few.n_components, 'component')} of the same kind are within {tolerance:g} nats a row "
            f"of its {fit}: the smallest mixture that describes the rows about as well."
        )
    elif found.smallest == best and chosen.n_components > 1:
        yield f"Fewer components of the same kind lose more than {tolerance:g} nats a row of {fit}."
    if found.elbow is not None:
        bend = candidates[found.elbow]
        yield f"The curve bends most (its elbow) at {counted(bend.n_components, 'component')}."
    if not criterion.needs_held_out and chosen.state is not None and chosen.state.history:
        left = chosen.state.history[-1].predicted_gain
        if not chosen.state.converged and np.isfinite(left) and left > resolution(chosen.scores.weight):
            yield f"The best has not converged: further passes are predicted to gain {left:.2g} nats a row."
    rival = _rival(candidates, best, criterion)
    if rival is not None:
        yield rival


def _rival(candidates: Sequence[Candidate], best: int, criterion: Criterion) -> str | None:
    """Name a model that the rows do not tell from the best, where the criterion has a standard error."""
    chosen = candidates[best].scores
    if chosen is None or not criterion.needs_held_out:
        return None
    if np.isnan(criterion.error(chosen)):
        return (
            "One row alone is held out, or has nearly all the weight: how far its figure is to be trusted "
            "is not known. Make held_out larger."
        )
    near = [
        candidate
        for candidate in candidates
        if candidate.scores is not None
        and not candidate.failure
        and criterion.loss(candidate.scores) <= criterion.loss(chosen) + criterion.error(chosen)
    ]
    fewest = min(near, key=lambda candidate: candidate.scores.n_parameters if candidate.scores else 0)
    if fewest is candidates[best]:
        return None
    return (
        f"Within one standard error of the best there is one with fewer parameters: "
        f"{counted(fewest.n_components, 'component')} of {fewest.family.name} covariance."
    )
