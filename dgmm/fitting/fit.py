"""From rows to a fitted mixture: survey, starts, EM."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from dgmm.data.fingerprint import Fingerprint
from dgmm.data.source import DataError, Source
from dgmm.fitting.diagnostics import concerns, concerns_of_prior
from dgmm.fitting.dropping import complete_cases
from dgmm.fitting.filling import filled, in_patterns
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.loop.watching import Watch
from dgmm.fitting.multistart import FAILURES_OF_A_START, Multistart, lower_bound
from dgmm.fitting.origin import Shift
from dgmm.fitting.partitions import PartitionSums
from dgmm.fitting.sample import Sample
from dgmm.fitting.settings import Settings
from dgmm.fitting.starts.bayesian_moves import BAYESIAN_MOVES, proposals, rows_to_move_on
from dgmm.fitting.starts.record import SearchRecord
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.objective import Belief, Evidence, Likelihood, Objective
from dgmm.fitting.survey import Surveyed, survey
from dgmm.fitting.updating import kept_of
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.parameters import Parameters
from dgmm.model.variational import Posterior
from dgmm.passes.adapted import FeaturesAlone
from dgmm.passes.blas import single_threaded
from dgmm.passes.events import DataChanged, Event, PassFinished, StageStarted, emit, listening

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted mixture.

    Attributes
    ----------
    best : EM
        The fit with the highest lower bound, ended.
    n_passes : int
        Full passes over the data.
    objective : Objective
        What it climbed.
    fingerprint : Fingerprint
        Of the rows.
    concerns : tuple of str
        What is wrong with it, in sentences: see `dgmm.fitting.diagnostics`.
    n_dropped : int
        Rows that were left out, as they lack values.
    lacking : FeatureMoments or None
        Of the rows of the fit that lack values; None where nothing is told of them.
    changes : tuple of str or None
        How rows changed during the fit, where they were allowed to; None where they were not.
    kept : PartitionSums or None
        Sums of the rows, for updates; None where no pass was made.
    search : SearchRecord or None
        How its start was searched for; None where it was not.
    """

    best: EM
    n_passes: int
    objective: Objective
    fingerprint: Fingerprint
    concerns: tuple[str, ...] = ()
    n_dropped: int = 0
    lacking: FeatureMoments | None = None
    changes: tuple[str, ...] | None = None
    kept: PartitionSums | None = None
    search: SearchRecord | None = None


@single_threaded()
def fit(
    source: Source,
    weights: Source | None,
    settings: Settings,
    random_state: np.random.RandomState,
    resumed: EM | None = None,
    *,
    watch: Watch | None = None,
) -> Fit:
    """Fit a mixture.

    At most ``sample_rows`` rows are gathered, and every start is fitted in turn, as scikit-learn does it.
    With more rows the starts are found on a sample, and all of them are fitted in the same passes.

    Parameters
    ----------
    source : Source
        Measurement errors, and what is known of the rows' components, are columns after the features.
    weights : Source or None
        Row weights.
    settings : Settings
    random_state : RandomState
    resumed : EM, optional
        A fit to go on with, instead of a start.
    watch : callable, optional
        Is shown each pass of each fit, and may end it.
    """
    is_small = source.n_rows <= settings.sample_rows
    last = "iterations" if is_small else "passes"
    stages = (last,) if is_small or resumed is not None else ("search", last)
    if settings.missing == "drop":
        emit(StageStarted("complete", ("survey", *stages), settings.most_iterations(source.n_rows)))
        return _fit_complete_cases(source, weights, settings, random_state, resumed=resumed, watch=watch)
    passes: list[Event] = []
    seed = 0 if is_small else int(random_state.randint(2**31 - 1))
    emit(StageStarted("survey", stages, settings.most_iterations(source.n_rows)))
    with listening(passes.append):
        found = _surveyed(source, weights, settings, seed)
        n_survey_passes = _count(passes)
        shift, nearer = None, found
        if found.filling is None and isinstance(settings.goal, Likelihood):
            shift = Shift.of(found.moments, source.dtype)
        if shift is not None:
            nearer, settings = shift.survey(found), replace(settings, given=shift.given(settings.given))
            resumed = None if resumed is None else shift.nearer(resumed)
        fits = _multistart(nearer, weights, settings, _seen_from(shift, watch), is_small=is_small)
        if stages == (last,):
            emit(StageStarted(last))
        best, record = fits.best(random_state) if resumed is None else (fits.resume(resumed), None)
        if settings.moves and settings.max_iter > 0 and not _is_stopped(best):
            best = _moved(best, fits)
        kept = kept_of(best, fits.data, found.seen, is_small=is_small)
        if shift is not None:
            best, kept = shift.back(best), None if kept is None else shift.kept_back(kept)
    if best.ending is not None:
        logger.info("%s", best.ending.message)
    about = _concerns(best, fits, found, fits.data.source.feature_names)
    n_passes = n_survey_passes if is_small else _count(passes)
    changes = changes_among(passes) if settings.allow_changed_data else None
    return Fit(
        best,
        n_passes,
        fits.objective,
        found.fingerprint,
        about,
        lacking=found.lacking,
        changes=changes,
        kept=kept,
        search=record,
    )


def _fit_complete_cases(
    source: Source,
    weights: Source | None,
    settings: Settings,
    random_state: np.random.RandomState,
    *,
    resumed: EM | None,
    watch: Watch | None,
) -> Fit:
    """Fit to the rows that lack nothing; say how many others there are."""
    passes: list[Event] = []
    with listening(passes.append):
        cases = complete_cases(source, weights, allow_changed_data=settings.allow_changed_data)
    own = replace(settings, missing="error")
    found = fit(cases.source, cases.weights, own, random_state, resumed, watch=watch)
    changes = None if found.changes is None else changes_among(passes) + found.changes
    return replace(
        found,
        n_passes=found.n_passes + cases.n_passes,
        fingerprint=cases.fingerprint,
        kept=None if found.kept is None else found.kept.of_rows(cases.seen),
        n_dropped=cases.n_dropped,
        changes=None if changes is None else tuple(dict.fromkeys(changes)),
    )


def _surveyed(source: Source, weights: Source | None, settings: Settings, seed: int) -> Surveyed:
    """Survey the rows of a fit.

    Raises
    ------
    DataError
        Where fewer rows than components have a weight; and as `survey`.
    """
    found = survey(
        source,
        settings.sample_rows,
        seed,
        weights,
        products=_needs_products(settings),
        takes_nan=settings.missing == "marginalize",
        n_errors=settings.n_errors,
        allow_changed_data=settings.allow_changed_data,
    )
    if found.n_weighted < settings.method.n_components:
        raise DataError(
            f"Expected n_samples >= n_components but got n_components = {settings.method.n_components}, "
            f"and {found.n_weighted:,} of {source.n_rows:,} rows with a sample_weight above 0"
        )
    return found


def _multistart(
    found: Surveyed, weights: Source | None, settings: Settings, watch: Watch | None, *, is_small: bool
) -> Multistart:
    """Make surveyed rows ready for their fits."""
    source, observed = found.source, in_patterns(found.sample, found.filling)
    if is_small:  # all rows are in the sample
        source, weights = in_memory(observed, source)
    data = Data(
        source,
        weights,
        found.moments,
        filling=found.filling,
        known=settings.known,
        n_errors=settings.n_errors,
    )
    return Multistart(settings, data, observed, filled(found.sample, found.filling), watch)


def _concerns(
    best: EM, fits: Multistart, found: Surveyed, feature_names: Sequence[str] | None
) -> tuple[str, ...]:
    """Say what is wrong with a fit: see `dgmm.fitting.diagnostics`."""
    goal, objective = fits.settings.goal, fits.objective
    if isinstance(objective, Likelihood):  # variational Bayes empties components on purpose
        return concerns(
            best.parameters,
            [record.log_likelihood for record in best.history if record.accepted],
            replace(found.moments, n_rows=found.n_weighted),  # rows without weight are as if not there
            found.sample,
            reg_covar=objective.reg_covar,
            feature_names=feature_names,
        )
    if isinstance(goal, Belief) and goal.covariance is None:
        return concerns_of_prior(
            goal.family, found.moments, reg_covar=objective.reg_covar, feature_names=feature_names
        )
    return ()


def _seen_from(shift: Shift | None, watch: Watch | None) -> Watch | None:
    """Show fits as those to the rows as they are."""
    if shift is None or watch is None:
        return watch
    return lambda state, objective: watch(shift.back(state), objective)


def _is_stopped(state: EM) -> bool:
    return state.ending is not None and state.ending.at_wish


def in_memory(sample: Sample, source: Source) -> tuple[Source, Source | None]:
    """Return the rows of a sample, with side information, and their weights; named as another source."""
    rows, weights = sample.sources(source.name, source.feature_names)
    if sample.side_information is None:
        return rows, weights
    values = np.concatenate([sample.values, sample.side_information], axis=1)
    return FeaturesAlone.of(replace(rows, values=values), sample.values.shape[1]), weights


def _needs_products(settings: Settings) -> bool:
    """Return whether covariances between features are to be known of all rows.

    Components with covariances of their own do without: a prior does not, nor what rows lack.
    """
    family, is_likelihood = settings.method.family, isinstance(settings.goal, Likelihood)
    needs_any = family.is_shared or settings.missing == "marginalize" or not is_likelihood
    return family.has_products and needs_any


def _moved(best: EM, fits: Multistart) -> EM:
    """Move components as long as the lower bound of all rows rises, and iterations are left."""
    rows, max_iter = rows_to_move_on(fits.filled, fits.data.source.n_rows), fits.settings.max_iter
    if fits.is_small:  # of more rows than the sample, that was done at the start
        offered: list[Parameters] = []
        with suppress(*FAILURES_OF_A_START):
            moved = fits.improved(best.parameters)
            offered += [] if moved is None else [moved]
        # A start of its own: its iterations are counted anew. Of rows that lack values, what gains on
        # completed ones may gain nothing, and moves are to be tried on what is observed.
        best = _gaining(best, offered, fits) or best
    while best.n_iter < max_iter and not _is_stopped(best):
        offered = list(proposals(cast(Posterior, best.parameters), cast(Evidence, fits.objective), rows))
        left = replace(fits.settings, max_iter=max_iter - best.n_iter)
        moved = _gaining(best, offered, replace(fits, settings=left))
        if moved is None:
            return best
        history = [
            replace(each, accepted=each.accepted and each.log_likelihood >= best.lower_bound)
            for each in moved.history
        ]
        best = replace(moved, history=(*best.history, *history))
    return best


def _gaining(best: EM, offered: Sequence[Parameters], fits: Multistart) -> EM | None:
    """Return the best of what is offered, fitted to its end; None if it does not gain."""
    least = best.lower_bound + BAYESIAN_MOVES.gain / cast(Evidence, fits.objective).weight
    begun = [[fits.begin(best.initialization, each)] for each in offered]
    tried = fits.run(begun, BAYESIAN_MOVES.n_passes)
    winner = max(tried, key=lower_bound, default=best)
    if lower_bound(winner) <= least:
        return None
    (winner,) = fits.run([[winner]])
    return winner if lower_bound(winner) > least else None


def changes_among(events: Iterable[Event]) -> tuple[str, ...]:
    """Return the changes of rows during the fit, each once."""
    return tuple(dict.fromkeys(event.message for event in events if isinstance(event, DataChanged)))


def _count(passes: Iterable[Event]) -> int:
    return sum(isinstance(event, PassFinished) for event in passes)
