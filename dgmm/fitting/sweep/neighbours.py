"""Tests of whether one more component is needed, between neighbouring numbers of components.

All neighbours are compared by Vuong's test, from the sums of a pass; those of the best one also by a
parametric bootstrap (`dgmm.fitting.sweep.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from dgmm.fitting.fit import in_memory
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.pool import Candidate
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.expectation import Data, errors_and_priors
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.bootstrap import (
    BOOTSTRAP,
    NullHypothesis,
    SideInformation,
    likelihood_ratio,
    ratio_of,
    rows_to_test,
)
from dgmm.fitting.sweep.held_out import HeldOut, log_densities_given
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.parallel import run_tasks
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True)
class NeighbourComparison:
    """What there is to say of two neighbouring numbers of components, of the same covariance type.

    Attributes
    ----------
    covariance_type : str
    n_components, n_more : int
        Fewer, and the next that was tried.
    likelihood_ratio : float
        Twice the difference of log-likelihoods of the rows that are fitted, nats; NaN where one left early.
    vuong, vuong_p : float
        Vuong's statistic, and the chance of one as large if both were as near to the truth: of held-out rows
        where there are such, else of those that are fitted, less Schwarz's correction.
    n_rows : int
        Of the sample that the bootstrap is about; 0 where there was none.
    sample_ratio, bootstrap_p : float
        Twice the difference of log-likelihoods there, and the chance of one as large if the smaller mixture
        were true; NaN where it was not asked for.
    """

    covariance_type: str
    n_components: int
    n_more: int
    likelihood_ratio: float = np.nan
    vuong: float = np.nan
    vuong_p: float = np.nan
    n_rows: int = 0
    sample_ratio: float = np.nan
    bootstrap_p: float = np.nan


@dataclass(frozen=True, eq=False)
class DifferenceSums:
    """Sums of differences d of log densities, of pairs of models: arrays of shape (n_pairs,), and numbers."""

    differences: Array
    squared_weighted: Array
    squares: Array
    weight: float
    squared_weight: float

    def __add__(self, other: DifferenceSums) -> DifferenceSums:
        return DifferenceSums(
            self.differences + other.differences,
            self.squared_weighted + other.squared_weighted,
            self.squares + other.squares,
            self.weight + other.weight,
            self.squared_weight + other.squared_weight,
        )

    def statistics(self, corrections: Array) -> Array:
        """Return Vuong's statistics, (n_pairs,), of sums less corrections; NaN where no two rows tell."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self.differences / self.weight
            variance = self.squares - 2.0 * mean * self.squared_weighted + mean**2 * self.squared_weight
            return (self.differences - corrections) / np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True, eq=False)
class DifferencesWork:
    """The work of the pass.

    Attributes
    ----------
    models : tuple of Parameters
    pairs : tuple of (int, int)
        Of models: the smaller one, and the larger.
    held_out : HeldOut or None
        The rows that are held out are summed, and no others; None: all are.
    known : KnownParts or None
    n_errors : int
        The side information of rows: see `dgmm.fitting.steps.expectation.Data`.
    """

    models: tuple[Parameters, ...]
    pairs: tuple[tuple[int, int], ...]
    held_out: HeldOut | None
    known: KnownParts | None
    n_errors: int

    def __call__(self, chunks: Iterator[ChunkRows]) -> DifferenceSums:
        """Sum over a span."""
        total = self._sums(np.zeros((len(self.pairs), 0)), np.zeros(0))
        for chunk in chunks:
            rows = chunk
            if self.held_out is not None:
                rows = chunk.of_rows(self.held_out(chunk.start, len(chunk.values)))
            weights = np.ones(len(rows.values)) if rows.weights is None else rows.weights
            densities = [
                log_densities_given(
                    model,
                    rows.values,
                    *errors_and_priors(model, rows.side_information, self.known, self.n_errors),
                )
                for model in self.models
            ]
            differences = [densities[more] - densities[fewer] for fewer, more in self.pairs]
            total += self._sums(np.array(differences), weights)
        return total

    @staticmethod
    def _sums(differences: Array, weights: Array) -> DifferenceSums:
        squared = weights**2
        return DifferenceSums(
            differences @ weights,
            differences @ squared,
            differences**2 @ squared,
            float(weights.sum()),
            float(squared.sum()),
        )


@dataclass(frozen=True, eq=False)
class RowsCompared:
    """The rows of Vuong's test.

    Attributes
    ----------
    data : Data
    held_out : HeldOut or None
        Which of them are taken; None: all are.
    is_held_out : bool
        No model was fitted to those that are.
    """

    data: Data
    held_out: HeldOut | None
    is_held_out: bool

    @classmethod
    def of_memory(cls, data: Data, held: Sample) -> RowsCompared:
        """Take rows in memory: those held out, where there are some, and else those that are fitted."""
        if not len(held.values):
            return cls(data, None, is_held_out=False)
        source, weights = in_memory(held, data.source)
        return cls(replace(data, source=source, weights=weights), None, is_held_out=True)

    @classmethod
    def of_passes(cls, data: Data, held_out: HeldOut) -> RowsCompared:
        """Take those of them that are held out, or, where none are, all."""
        is_held_out = held_out.share > 0.0
        return cls(data, held_out if is_held_out else None, is_held_out)


def compare(
    candidates: Sequence[Candidate],
    best: int,
    rows: RowsCompared,
    sample: Sample,
    *,
    objective: Likelihood,
    n_bootstrap: int,
    seed: int,
) -> list[NeighbourComparison]:
    """Compare neighbouring numbers of components: all in one pass, and those of the best by bootstrap.

    Parameters
    ----------
    candidates : sequence of Candidate
    best : int
        Of these.
    rows : RowsCompared
    sample : Sample
        Of the rows that are fitted.
    objective : Likelihood
    n_bootstrap : int
        Samples that are drawn for each of two comparisons.
    seed : int

    Returns
    -------
    list of NeighbourComparison
    """
    pairs = [*_neighbours(candidates)]
    found = _by_all_rows(candidates, pairs, rows)
    tested: dict[int, tuple[NullHypothesis, float]] = {}
    own = rows_to_test(sample, seed) if n_bootstrap else sample.part(np.arange(0))
    side_information = SideInformation(own.side_information, rows.data.known, rows.data.n_errors)
    for index, pair in enumerate(pairs):
        start, n_rows, n_more = candidates[pair[0]].evaluated, len(own.values), found[index].n_more
        if best in pair and start is not None and n_rows:
            with suppress(DegenerateCovarianceError):
                fewer, ratio = likelihood_ratio(own.values, start, n_more, objective, side_information)
                if np.isfinite(ratio):
                    tested[index] = (
                        NullHypothesis(fewer, n_more, n_rows, objective, seed, side_information),
                        ratio,
                    )
    nulls = [null for null, _ in tested.values()]
    items = [(which, number) for which in reversed(range(len(nulls))) for number in range(n_bootstrap)]
    drawn = run_tasks(ratio_of, items, nulls, "bootstrap") if items else []
    for which, (index, (null, ratio)) in enumerate(tested.items()):
        others = [value for (of, _), value in zip(items, drawn, strict=True) if of == which]
        # A sample to which they could not be fitted counts as one with a greater ratio.
        n_greater = sum(not value < ratio for value in others)
        found[index] = replace(
            found[index],
            n_rows=null.n_rows,
            sample_ratio=ratio,
            bootstrap_p=(1 + n_greater) / (1 + len(others)),
        )
    return found


def _neighbours(candidates: Sequence[Candidate]) -> Iterator[tuple[int, int]]:
    """Yield pairs of models with neighbouring numbers of components, of each covariance type."""
    fitted = [
        index
        for index, each in enumerate(candidates)
        if each.evaluated is not None and each.scores is not None and not each.failure
    ]
    for family in dict.fromkeys(candidates[index].family for index in fitted):
        own = [index for index in fitted if candidates[index].family is family]
        own.sort(key=lambda index: candidates[index].n_components)
        yield from pairwise(own)


def _by_all_rows(
    candidates: Sequence[Candidate],
    pairs: Sequence[tuple[int, int]],
    rows: RowsCompared,
) -> list[NeighbourComparison]:
    """Compare pairs of models by their log densities of each row, in a pass; but those that left a race."""
    found = [
        NeighbourComparison(
            candidates[fewer].family.name, candidates[fewer].n_components, candidates[more].n_components
        )
        for fewer, more in pairs
    ]
    known = [
        number for number, pair in enumerate(pairs) if not any(candidates[index].dropped for index in pair)
    ]
    if not known:
        return found
    own = [pairs[number] for number in known]
    models = sorted({index for pair in own for index in pair})
    parameters = [candidates[index].evaluated for index in models]
    work = DifferencesWork(
        tuple(each for each in parameters if each is not None),
        tuple((models.index(fewer), models.index(more)) for fewer, more in own),
        rows.held_out,
        rows.data.known,
        rows.data.n_errors,
    )
    sums = run_pass(rows.data.source, work, "comparison", rows.data.weights)
    scores = [[candidates[index].scores for index in pair] for pair in own]
    sizes = np.array([[0 if each is None else each.n_parameters for each in pair] for pair in scores], float)
    with np.errstate(divide="ignore"):
        price = 0.0 if rows.is_held_out else 0.5 * np.log(sums.weight)
    statistics = sums.statistics(price * np.diff(sizes)[:, 0])
    for number, pair, statistic in zip(known, scores, statistics.tolist(), strict=True):
        fewer, more = pair
        assert fewer is not None
        assert more is not None
        found[number] = replace(
            found[number],
            likelihood_ratio=float(2.0 * fewer.weight * (more.log_likelihood - fewer.log_likelihood)),
            vuong=statistic,
            vuong_p=float(ndtr(-statistic)),
        )
    return found


def sentences(comparisons: Sequence[NeighbourComparison]) -> Iterator[str]:
    """Say what the bootstrap says of the best and its neighbours."""
    for each in comparisons:
        if not np.isfinite(each.bootstrap_p):
            continue
        needed = "are needed" if each.bootstrap_p <= BOOTSTRAP.level else "are not seen to be needed"
        fewer, chance = each.n_components, f"{each.bootstrap_p:.2g}"
        yield (
            f"By {each.n_rows:,} rows, {each.n_more:,} components rather than {fewer:,} {needed}: if "
            f"{fewer:,} are true, the chance of a likelihood ratio of {each.sample_ratio:.1f} or more is "
            f"{chance} (parametric bootstrap)."
        )
