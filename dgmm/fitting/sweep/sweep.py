"""From a source to all models: numbers of components × covariance types, in the same passes.

At most ``sample_rows`` rows are gathered, and each model is fitted to them as `dgmm.fitting.fit` would fit it
alone; where they lack values, in E-steps that all models share. With more rows the starts of all models are
found on a sample (`dgmm.fitting.starts.paths`), and every read of a row serves all models that are still in
the race (`dgmm.fitting.sweep.race`). Labels of rows start all of them in two passes that they share.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from dgmm.data.source import DataError, Source
from dgmm.fitting.costs import Size
from dgmm.fitting.diagnostics import concerns
from dgmm.fitting.dropping import complete_cases
from dgmm.fitting.filling import filled, in_patterns
from dgmm.fitting.fit import in_memory
from dgmm.fitting.multistart import Multistart
from dgmm.fitting.pool import Candidate, Entry
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.labels import starts_from_labels
from dgmm.fitting.starts.methods import SharedClusters
from dgmm.fitting.starts.paths import PathSettings, find_starts
from dgmm.fitting.steps.expectation import Data, errors_and_priors
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.survey import Survey, survey
from dgmm.fitting.sweep.choice import best_of
from dgmm.fitting.sweep.held_out import HeldOut, Scored, ScoredStatistics, SplitData, score
from dgmm.fitting.sweep.neighbours import DifferenceSums, RowsCompared, compare
from dgmm.fitting.sweep.race import Race
from dgmm.fitting.sweep.scores import score_models
from dgmm.fitting.sweep.state import SweepSettings, Swept
from dgmm.model.criteria import resolution
from dgmm.model.families import Family
from dgmm.model.parameters import Parameters
from dgmm.passes.blas import single_threaded
from dgmm.passes.events import (
    InitializationStarted,
    StageStarted,
    emit,
    listening,
)
from dgmm.passes.journal import journalling

logger = logging.getLogger(__name__)

ANSWERED = (ScoredStatistics, Scored, DifferenceSums)
"""What passes give, beyond those of a fit: see `dgmm.fitting.checkpoint.keeping`."""

FAILURES_OF_A_MODEL = (ValueError, FloatingPointError, np.linalg.LinAlgError)
"""What may be wrong with one model, and leaves the others as they are."""


@single_threaded()
def sweep(source: Source, weights: Source | None, settings: SweepSettings, swept: Swept) -> None:
    """Fit all models.

    Parameters
    ----------
    source : Source
    weights : Source or None
        Row weights.
    settings : SweepSettings
    swept : Swept
        As `begin` gives it; filled.
    """
    known, n_errors = settings.common.known, settings.common.n_errors
    is_small = source.n_rows <= settings.common.sample_rows
    stages = ("iterations",) if is_small else ("search", "passes")
    if settings.common.missing == "drop":
        emit(StageStarted("complete", ("survey", *stages)))
        _sweep_complete_cases(source, weights, settings, swept)
        return
    held_out = HeldOut(settings.seed, settings.held_out)
    emit(StageStarted("survey", stages))
    with listening(swept.take):
        found = survey(
            source,
            settings.common.sample_rows,
            0 if is_small else settings.seed,  # what fills rows that lack values is then as in a single fit
            weights,
            held_out if settings.held_out else None,
            takes_nan=settings.common.missing == "marginalize",
            n_errors=n_errors,
            allow_changed_data=settings.common.allow_changed_data,
        )
    source = found.source
    swept.fingerprint, swept.dtype, swept.lacking = found.fingerprint, source.dtype, found.lacking
    held = held_out.among(found.sample.numbers)
    fitted = found.sample.part(~held)
    swept.sample = fitted
    whole, observed = filled(fitted, found.filling), in_patterns(fitted, found.filling)
    swept.moments = replace(found.moments, n_rows=found.n_weighted - found.n_left_out)
    _check_held_out(source, settings, found, fitted)
    settings = _with_tolerance(settings, found, is_small=is_small)
    _refuse_too_many_components(swept, whole, is_small=is_small)
    if is_small:
        emit(StageStarted("iterations"))
        rows, own = in_memory(observed, source)
        data = Data(rows, own, found.moments, filling=found.filling, known=known, n_errors=n_errors)
        _fit_each(data, observed, whole, settings, swept, left_out=found.sample.part(held))
    else:
        with listening(swept.take):
            data = SplitData(
                source,
                weights,
                found.moments,
                held_out,
                filling=found.filling,
                known=known,
                n_errors=n_errors,
            )
            _fit_together(data, observed, whole, settings, swept)


def _sweep_complete_cases(
    source: Source, weights: Source | None, settings: SweepSettings, swept: Swept
) -> None:
    """Fit all models to the rows that lack nothing; say how many others there are."""
    with listening(swept.take):
        cases = complete_cases(source, weights, allow_changed_data=settings.common.allow_changed_data)
    if not cases.n_passes:  # rows in memory
        swept.seconds_of_passes.clear()
    swept.n_dropped = cases.n_dropped
    models = tuple(replace(each, missing="error") for each in settings.models)
    try:
        sweep(cases.source, cases.weights, replace(settings, models=models), swept)
    finally:
        swept.fingerprint = cases.fingerprint


def _check_held_out(source: Source, settings: SweepSettings, found: Survey, fitted: Sample) -> None:
    """Refuse to hold out so many rows that too few are left, or so few that nothing is scored.

    Raises
    ------
    DataError
    """
    if len(fitted.counting) < 2:
        raise DataError(
            f"Of {source.n_rows:,} rows, {found.n_weighted:,} with a weight, {found.n_left_out:,} are held "
            "out: too few are left; make held_out smaller, or give more rows"
        )
    if settings.criterion.needs_held_out and not found.n_left_out:
        raise DataError(
            f"held_out={settings.held_out:g} of {source.n_rows:,} rows, {found.n_weighted:,} with a weight: "
            "none of these is held out, and there is nothing to choose by; make held_out larger, give more "
            "rows, or another random_state"
        )


def concerns_of(
    swept: Swept, index: int, reg_covar: float, feature_names: Sequence[str] | None
) -> tuple[str, ...]:
    """Find what is wrong with a model of a sweep, as of one that is fitted alone: see `concerns`."""
    candidate, evaluated = swept.candidates[index], swept.candidates[index].evaluated
    if candidate.state is None or evaluated is None or swept.sample is None or swept.moments is None:
        return ()
    accepted = [record.log_likelihood for record in candidate.state.history if record.accepted]
    return concerns(
        evaluated,
        accepted,
        swept.moments,
        swept.sample,
        reg_covar=reg_covar,
        feature_names=feature_names,
    )


def _with_tolerance(settings: SweepSettings, found: Survey, *, is_small: bool) -> SweepSettings:
    """Take, by default, what could change no choice by BIC, where models share their passes.

    Weights are so many rows; where they are scaled to less than the rows are, the rows count.
    """
    common = settings.common
    if common.tol is not None or common.algorithm == "em" or is_small:
        return settings
    tol = resolution(max(found.moments.weight, float(found.n_weighted - found.n_left_out)))
    models = tuple(replace(each, tol=tol) for each in settings.models)
    return replace(settings, models=models, settles=True)


def _refuse_too_many_components(swept: Swept, sample: Sample, *, is_small: bool) -> None:
    """Mark the models with more components than there are rows, or distinct rows."""
    most = max(candidate.n_components for candidate in swept.candidates)
    values = sample.counting
    n_rows = len(values)
    n_distinct = len(np.unique(values[: 2 * most], axis=0))
    if n_distinct < most:
        n_distinct = len(np.unique(values, axis=0))
    where = "" if is_small else " of the sample"
    for index, candidate in enumerate(swept.candidates):
        if candidate.n_components > n_rows:
            failure = f"{candidate.n_components:,} components, but only {n_rows:,} rows{where} to fit them to"
        elif candidate.n_components > n_distinct:
            failure = f"{candidate.n_components:,} components, but only {n_distinct:,} distinct rows{where}"
        else:
            continue
        swept.candidates[index] = replace(candidate, failure=failure)


def _fit_each(
    data: Data, sample: Sample, whole: Sample, settings: SweepSettings, swept: Swept, *, left_out: Sample
) -> None:
    """Fit each model to rows in memory, as it would be alone, and score them; on rows left out, too.

    To complete rows they are fitted one after another, each to the bits that it has alone. Where rows lack
    values, most of an E-step is work on patterns, and models share it: each is as alone but for rounding.
    """
    cluster, candidates = SharedClusters(), swept.candidates
    fits = {
        index: Multistart(own, data, sample, whole, cluster=cluster)
        for index, (own, candidate) in enumerate(zip(settings.models, candidates, strict=True))
        if not candidate.failure
    }
    try:
        if data.may_lack and settings.common.n_init == 1:
            _fit_in_shared_passes(fits, candidates, settings.seed)
        for index, own in fits.items():
            if candidates[index].state is None:
                try:
                    state, _ = own.best(np.random.RandomState(settings.seed))
                except FAILURES_OF_A_MODEL as error:
                    candidates[index] = replace(candidates[index], failure=str(error))
                else:
                    candidates[index] = replace(candidates[index], state=state)
    except KeyboardInterrupt:
        with journalling(None):  # a fit that is not interrupted does not ask for this
            _score_ended(data, candidates)
        raise
    _score_ended(data, swept.candidates, left_out)
    compared = RowsCompared.of_memory(data, left_out)
    _compare(swept, compared, sample, settings)


def _fit_in_shared_passes(fits: Mapping[int, Multistart], candidates: list[Candidate], seed: int) -> None:
    """Fit models to rows in memory in passes that all share; those that fail stay as they were.

    So do all that had not ended when one fails in a way that ends the pass.
    """
    begun: dict[int, Candidate] = {}
    for index, own in fits.items():
        with suppress(*FAILURES_OF_A_MODEL):
            states, _ = own.began(index, np.random.RandomState(seed))
            begun[index] = Candidate.of(states)
            emit(InitializationStarted(index))
    running, each_advance = [*begun.values()], [fits[index].advance for index in begun]

    def advance_each(_: Sequence[Candidate], entries: Mapping[int, Entry]) -> dict[int, Candidate]:
        return {number: entry.advanced(each_advance[number]) for number, entry in entries.items()}

    try:
        if running:
            with suppress(*FAILURES_OF_A_MODEL):
                fits[next(iter(begun))].pool.run(running, advance_each)
    finally:
        for index, each in zip(begun, running, strict=True):
            if each.state is not None and each.state.ending is not None and not each.failure:
                state = replace(each.state, best=None)  # its sums are taken anew
                candidates[index] = replace(candidates[index], state=state)


def _fit_together(
    data: SplitData, sample: Sample, whole: Sample, settings: SweepSettings, swept: Swept
) -> None:
    """Find starts on the sample, and run all models in the same passes."""
    common, candidates = settings.common, swept.candidates
    fits = Multistart(common, data, sample, whole)
    emit(StageStarted("search", ("passes",)))
    starts = _starts(settings, candidates, data, whole)
    for index, candidate in enumerate(candidates):
        if candidate.failure:
            continue
        own = starts.get((candidate.family, candidate.n_components))
        if own is None or isinstance(own, Exception):
            failure = str(own or "no start was found: components would have too few rows of the sample")
            candidates[index] = replace(candidate, failure=failure)
        else:
            emit(InitializationStarted(index))
            candidates[index] = replace(candidate, state=fits.begin(index, own[0]), rivals=tuple(own[1:]))
    criterion = settings.criterion if settings.prune else None
    emit(StageStarted("passes"))
    fits.pool.run(candidates, Race(data, fits.advance, fits.hurried, criterion, settings.settles))
    if fits.algorithm == "em" or common.max_iter == 0:  # the last M-step came after the last pass
        _score_ended(data, candidates)
    _compare(swept, RowsCompared.of_passes(data, data.held_out), sample, settings)


def _compare(swept: Swept, rows: RowsCompared, sample: Sample, settings: SweepSettings) -> None:
    """Compare neighbouring numbers of components, where that is asked for."""
    best = best_of(swept.candidates, settings.criterion)
    if not settings.n_bootstrap or best is None:
        return
    swept.comparisons = compare(
        swept.candidates,
        best,
        rows,
        sample,
        objective=Likelihood(settings.common.method.objective.reg_covar),
        n_bootstrap=settings.n_bootstrap,
        seed=settings.seed,
    )


def _starts(
    settings: SweepSettings, candidates: Sequence[Candidate], data: SplitData, sample: Sample
) -> Mapping[tuple[Family, int], list[Parameters] | Exception]:
    """Find where each model starts: from labels, where rows have any, or on the sample."""
    known = settings.common.known
    wanted = [(candidate.family, candidate.n_components) for candidate in candidates if not candidate.failure]
    if known is not None and known.has_labels and wanted:
        method = settings.common.method
        methods = [replace(method, family=family, n_components=number) for family, number in wanted]
        found = starts_from_labels(methods, known, sample, data.fitted, [settings.seed] * len(methods))
        if found is not None:
            each = (one if isinstance(one, Exception) else [one] for one in found)
            return dict(zip(wanted, each, strict=True))
    return find_starts(_paths(settings, candidates, data.source), sample)


def _paths(settings: SweepSettings, candidates: Sequence[Candidate], source: Source) -> list[PathSettings]:
    """Return the paths on which starts are to be found: one for each covariance type."""
    method = settings.common.method_for(source.n_rows)
    wanted: dict[Family, list[int]] = {}
    for candidate in candidates:
        if not candidate.failure:
            wanted.setdefault(candidate.family, []).append(candidate.n_components)
    sizes = [
        Size(source.n_rows, source.n_features, max(numbers), family, source.dtype.itemsize)
        for family, numbers in wanted.items()
    ]
    # They share clusterings, and passes later on: little work is that of all paths.
    n_rows_in_all = source.n_rows if all(each.rows_of_little_work for each in sizes) else None
    return [
        PathSettings(
            family,
            tuple(sorted(numbers)),
            method.init_params,
            settings.common.n_init,
            Likelihood(method.objective.reg_covar),
            settings.seed,
            n_rows_in_all,
        )
        for family, numbers in wanted.items()
    ]


def _score_ended(data: Data, candidates: list[Candidate], held_out: Sample | None = None) -> None:
    """Score what fits ended with, in one more pass; and on rows in memory that are held out."""
    ended = [
        (index, candidate.state.parameters)
        for index, candidate in enumerate(candidates)
        if candidate.state is not None and candidate.state.ending is not None and not candidate.failure
    ]
    scores = score_models(data, [parameters for _, parameters in ended])
    for (index, parameters), own in zip(ended, scores, strict=True):
        if held_out is not None and len(held_out.values):
            given = errors_and_priors(parameters, held_out.side_information, data.known, data.n_errors)
            scored = score(parameters, held_out.values, held_out.weights, *given)
            mean, error = scored.mean_and_error
            own = replace(own, held_out=mean, held_out_error=error)  # noqa: PLW2901
        n_passes = candidates[index].n_passes + 1
        candidates[index] = replace(candidates[index], evaluated=parameters, scores=own, n_passes=n_passes)
