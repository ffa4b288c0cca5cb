"""Several fits of one mixture to the same rows, from starts to ends in shared passes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import cast

import numpy as np

from dgmm.fitting.costs import Size
from dgmm.fitting.few_rows import LIMITS
from dgmm.fitting.loop import corrected, plain
from dgmm.fitting.loop.corrected import CORRECTED
from dgmm.fitting.loop.corrected_steps import CorrectedSteps
from dgmm.fitting.loop.plain import EM, Advance
from dgmm.fitting.loop.reseeding import Reseeding
from dgmm.fitting.loop.stopping import Stopping, rules_of
from dgmm.fitting.loop.surplus import SURPLUS, Plateaus
from dgmm.fitting.loop.watching import Watch, Watching
from dgmm.fitting.pool import Candidate, Pool
from dgmm.fitting.sample import Sample
from dgmm.fitting.settings import Settings
from dgmm.fitting.starts.bayesian_moves import (
    BAYESIAN_MOVES,
    emptied,
    improve,
    rows_to_move_on,
    with_rows,
)
from dgmm.fitting.starts.growth import reseeded
from dgmm.fitting.starts.labels import starts_from_labels
from dgmm.fitting.starts.methods import Cluster, k_means, start, with_given
from dgmm.fitting.starts.record import SearchRecord
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.objective import Evidence, Likelihood, Objective
from dgmm.fitting.surplus import NEED, MergedOnSample
from dgmm.model.matrices import DegenerateCovarianceError, OverflowedError
from dgmm.model.parameters import Parameters
from dgmm.passes.events import InitializationStarted, StageStarted, emit
from dgmm.passes.journal import answered
from dgmm.passes.parts import Parts

FAILURES_OF_A_START = (DegenerateCovarianceError, OverflowedError)
"""What may be wrong with one start, and leaves the others as they are."""


@dataclass(frozen=True, eq=False)
class Multistart:
    """Fits of one mixture to the same rows, from several starts.

    Attributes
    ----------
    settings : Settings
    data : Data
        All rows.
    sample : Sample
        Rows drawn from them; all of them, where they are not more than ``sample_rows``.
    filled : Sample
        The same rows in their order, complete: see `dgmm.fitting.filling`. Starts and moves are found on
        them.
    watch : callable, optional
        Is shown each pass of each fit, and may end it.
    cluster : callable
        See `dgmm.fitting.starts.methods.Cluster`.
    """

    settings: Settings
    data: Data
    sample: Sample
    filled: Sample
    watch: Watch | None = None
    cluster: Cluster = k_means

    @property
    def is_small(self) -> bool:
        """Whether all rows are in the sample: starts are then fitted in turn, as scikit-learn does it."""
        return self.data.source.n_rows <= self.settings.sample_rows

    @property
    def size(self) -> Size:
        """How large the fit is."""
        source, method = self.data.source, self.settings.method
        itemsize = source.dtype.itemsize
        return Size(source.n_rows, source.n_features, method.n_components, method.family, itemsize)

    @property
    def algorithm(self) -> str:
        """``em`` or ``corrected``."""
        algorithm = self.settings.algorithm
        is_as_in_scikit_learn = self.is_small and not self.settings.n_errors
        return algorithm if algorithm != "auto" else "em" if is_as_in_scikit_learn else "corrected"

    @cached_property
    def stopping(self) -> Stopping:
        """When a fit ends."""
        settings, weight = self.settings, self.data.moments.weight
        tol = settings.goal.tolerance(settings.tol, self.algorithm, weight)
        return Stopping(rules_of(self.algorithm, tol), settings.max_iter)

    @cached_property
    def objective(self) -> Objective:
        """What a fit climbs."""
        return self.settings.goal.objective(self.data.moments, self.algorithm)

    @cached_property
    def advance(self) -> Advance:
        """What takes in a pass, and shows it to whoever watches."""
        return self._steps if self.watch is None else Watching(self._steps, self.watch, self.objective)

    @property
    def _steps(self) -> Advance:
        """What takes in a pass.

        Components that empty are re-seeded, but not by variational Bayes, which empties them on purpose,
        nor where the answer is to be scikit-learn's.
        """
        advance: Advance = partial(plain.advance, stopping=self.stopping)
        if self.algorithm == "corrected":
            refine = CorrectedSteps(self.data, self._sample_of_steps, self.objective)
            own = {"stopping": self.stopping, "refine": refine, "plateaus": self._plateaus}
            advance = cast(Advance, partial(corrected.advance, **own))
        elif self.is_small:
            return advance
        if not isinstance(self.objective, Likelihood) or not self.settings.splits(
            self.data.source.n_features
        ):
            return advance
        n_rows = self.size.rows_of_little_work
        reseed = partial(reseeded, sample=self.filled, objective=self.objective, n_rows_in_all=n_rows)
        smallest_weight = LIMITS.empty * self.sample.row_weight / self.data.moments.weight
        return Reseeding(advance, reseed, smallest_weight, self.settings.max_iter)

    @property
    def _sample_of_steps(self) -> Sample:
        """Return the rows that corrected EM makes steps on: as many as are worth it."""
        if self.settings.search == "thorough":
            return self.sample
        return self.sample.drawn(self.size.rows_of_steps(CORRECTED.first_steps))

    @cached_property
    def _plateaus(self) -> Plateaus | None:
        """What ends fits that gain no more than chance gives; None where the user says what gains matter.

        And where all rows are in memory. A sample of few rows is not asked about surplus components; nor
        where the likelihood of rows in memory is another one: of what is observed, or known. What is not
        asked about ends only where there are many rows in all.
        """
        data, is_likelihood = self.data, isinstance(self.objective, Likelihood)
        if self.settings.tol is not None or self.is_small or not is_likelihood:
            return None
        has_few = len(self.filled.values) < NEED.fewest_rows
        may_ask = not has_few and not data.may_lack and data.known is None
        asked = MergedOnSample(self.filled, self.objective, data.source.n_rows) if may_ask else None
        if asked is None and data.source.n_rows < SURPLUS.fewest_rows:
            return None
        return Plateaus(max(float(data.moments.n_rows), data.moments.weight), asked)

    @cached_property
    def hurried(self) -> Advance:
        """What takes in a pass with no work on the sample: for models that a sweep is about to leave."""
        if self.algorithm == "em":
            return partial(plain.advance, stopping=self.stopping)
        hurried = partial(corrected.advance, stopping=self.stopping, refine=corrected.m_step_alone)
        return cast(Advance, hurried)

    @cached_property
    def pool(self) -> Pool:
        """What fits share."""
        return Pool(self.data, self.objective, self.advance, self.settings.max_iter, self._passes_left)

    def _passes_left(self, state: EM) -> int:
        """Estimate the passes still to come of a fit that goes on."""
        left = self.stopping.passes_left(state.history)
        if self._plateaus is None or state.best is None:
            return left
        return int(min(left, self._plateaus.passes_left(state.history, state.best.parameters)))

    def best(self, random_state: np.random.RandomState) -> tuple[EM, SearchRecord | None]:
        """Fit from every start, and give the best: in turn in memory, else all in the same passes.

        Returns
        -------
        best : EM
        record : SearchRecord or None
            Of the search that found its start, if one did.

        Raises
        ------
        DegenerateCovarianceError, OverflowedError
            Where no start ends well: what was wrong with the first.
        """
        offered: list[list[EM]] = []
        errors: list[Exception] = []
        records: dict[int, SearchRecord | None] = {}
        if not self.is_small:
            emit(StageStarted("search", ("passes",), self.settings.most_iterations(self.data.source.n_rows)))
        for initialization in range(self.settings.n_init):
            emit(InitializationStarted(initialization))
            try:
                began, records[initialization] = self.began(initialization, random_state)
            except FAILURES_OF_A_START as error:
                errors.append(error)
                continue
            if self.is_small:  # starts are forgotten when they have been left
                candidates = [Candidate.of(began)]
                del began
                offered.append(self._run(candidates))
            else:
                offered.append(began)
        if not self.is_small:
            emit(StageStarted("passes"))
            offered = [self._run_with_moves(offered) if self._may_move else self.run(offered)]
        best = best_of_ended([state for states in offered for state in states], errors)
        return best, records.get(best.initialization)

    def began(
        self, initialization: int, random_state: np.random.RandomState
    ) -> tuple[list[EM], SearchRecord | None]:
        """Begin from a start that is found, and from its rivals; give the record of the search, if any."""
        starts, record = self._starts(random_state)
        return [self.begin(initialization, each) for each in starts], record

    @property
    def _may_move(self) -> bool:
        """Whether components are moved before passes are made; without `moves` they are emptied alone."""
        if self.settings.moves:
            return True
        return (
            self.algorithm == "corrected"
            and isinstance(self.objective, Evidence)
            and self.data.known is None
            and self.settings.max_iter > BAYESIAN_MOVES.n_passes
        )

    def _run_with_moves(self, offered: Sequence[Sequence[EM]]) -> list[EM]:
        """Move components as the sample says, and let passes over all rows tell whether that was right."""
        moved = [[each for state in states if (each := self._begun_moved(state))] for states in offered]
        tried = [each for each in moved if each]
        if not tried:
            return self.run(offered)
        n_passes = BAYESIAN_MOVES.n_passes + any(len(each) > 1 for each in offered)  # rivals take one more
        states = self.run([*offered, *tried], n_passes)
        before, after = states[: len(offered)], iter(states[len(offered) :])
        pairs = [(state, next(after) if each else state) for state, each in zip(before, moved, strict=True)]
        winners = [max(pair, key=lower_bound) for pair in pairs]
        ended = self.run([[each] for each in winners])
        if self.settings.moves:
            return ended
        return [
            state if winner is first else self._with_emptied_reported(state, first, winner)
            for state, winner, (first, _) in zip(ended, winners, pairs, strict=True)
        ]

    def _with_emptied_reported(self, ended: EM, before: EM, after: EM) -> EM:
        """Say at the end of a fit that components were emptied, and what for."""
        if ended.ending is None:
            return ended
        prior = cast(Evidence, self.objective).prior
        had, has = (len(with_rows(prior, each.parameters)) for each in (before, after))
        gained = after.lower_bound - before.lower_bound
        sentence = (
            f" Before, {had - has:,} of {after.parameters.n_components:,} components were merged into others "
            f"or deleted, which gave all rows a lower bound {gained:.2g} nats a row higher."
        )
        return replace(ended, ending=replace(ended.ending, message=ended.ending.message + sentence))

    def _begun_moved(self, state: EM) -> EM | None:
        """Begin from where the sample would move components; None where that is nowhere, or not known."""
        with suppress(*FAILURES_OF_A_START):
            moved = self.improved(state.parameters)
            return None if moved is None else self.begin(state.initialization, moved)
        return None

    def resume(self, state: EM) -> EM:
        """Go on with a fit that had ended."""
        emit(InitializationStarted(0))
        return best_of_ended(self.run([[self.begin(0, state.parameters, state.lower_bound)]]))

    def begin(self, initialization: int, parameters: Parameters, lower_bound: float = -np.inf) -> EM:
        """Begin a fit; of ``lower_bound`` see `dgmm.fitting.loop.plain.EM`."""
        began = plain.begin(initialization, parameters, self.settings.max_iter, lower_bound)
        return began if self.algorithm == "em" else corrected.begin(began)

    def improved(self, parameters: Parameters) -> Parameters | None:
        """Move components as the sample, for itself, says: of variational Bayes only.

        Without `moves` components are emptied alone; None where the sample needs all.
        """
        compute, size = partial(self._improved, parameters), parameters.n_components
        return answered("steps", "moves", size, about=parameters, compute=compute, may_wait=True).value

    def _improved(self, parameters: Parameters, _: Parts) -> Parameters | None:
        rows = rows_to_move_on(self.filled, self.data.source.n_rows)
        objective = cast(Evidence, self.settings.goal.objective(self.data.moments, "corrected"))
        own = replace(objective, weight=rows.moments.weight)
        move = improve if self.settings.moves else emptied
        found = move(rows, own.adopt(parameters, own.weight), own)
        return None if found is None else objective.adopt(found, objective.weight)

    def run(self, offered: Sequence[Sequence[EM]], n_passes: int | None = None) -> list[EM]:
        """Run fits, all in the same passes: to their ends, or for some passes.

        Parameters
        ----------
        offered : sequence of sequence of EM
            What each fit may begin from: the first pass tells which is the best.
        n_passes : int, optional
        """
        return self._run([Candidate.of(each) for each in offered], n_passes)

    def _run(self, candidates: list[Candidate], n_passes: int | None = None) -> list[EM]:
        self.pool.run(candidates, n_passes=n_passes)
        states = [each.state for each in candidates if each.state is not None]
        if self.is_small and self.algorithm == "em":  # the sums of these rows are taken anew
            return [replace(each, best=None) for each in states]
        return states

    def _starts(self, random_state: np.random.RandomState) -> tuple[list[Parameters], SearchRecord | None]:
        """Find what a fit may begin from: one start, or the candidates of a search, with its record."""
        settings, data = self.settings, self.data
        method = replace(
            settings.method_for(data.source.n_rows, data.source.n_features), objective=self.objective
        )
        if data.known is not None and data.known.has_labels and not settings.given.is_whole:
            found = starts_from_labels([method], data.known, self.filled, data, [random_state])
            if found is not None:
                (first,) = found
                if isinstance(first, Exception):
                    raise first
                return [with_given(first, settings.given)], None
        if method.init_params == "search":
            # What a search takes is not imported for fits that make none.
            from dgmm.fitting.starts.plans import plan_for  # noqa: PLC0415
            from dgmm.fitting.starts.search import search  # noqa: PLC0415

            starts: list[Parameters] = []
            with suppress(DegenerateCovarianceError):
                plan = plan_for(settings.search, self.size)
                n_rows = self.size.rows_of_little_work
                searched = search(method, self.filled, random_state, plan, n_rows)
                for each in searched.mixtures:
                    with suppress(DegenerateCovarianceError):
                        adopted = self.objective.adopt(each, data.moments.weight)
                        starts.append(with_given(adopted, settings.given))
                if starts:
                    return starts, searched.record
            # Every run ended in a degenerate one: the sample has few rows for each component.
            method = replace(method, init_params="kmeans")
        own = start(method, settings.given, self.filled, data, random_state, cluster=self.cluster)
        return [own], None


def best_of_ended(states: Sequence[EM], errors: Sequence[Exception] = ()) -> EM:
    """Return the highest lower bound, the first of equals; the last start where no iteration was made.

    Parameters
    ----------
    states : sequence of EM
    errors : sequence of Exception
        Of starts that were not even begun. The first error is raised where no state is sound.
    """
    sound = [state for state in states if state.error is None]
    if not sound:
        raise next(error for error in (*errors, *(state.error for state in states)) if error is not None)
    return max(sound, key=lower_bound) if any(state.n_iter for state in sound) else sound[-1]


def lower_bound(state: EM) -> float:
    """Return the lower bound that a fit has reached; −∞ where it could not go on."""
    return state.lower_bound if state.error is None else -np.inf
