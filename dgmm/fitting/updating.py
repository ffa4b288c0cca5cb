"""A pass over new rows at given parameters: what an update adds."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import numpy as np

from dgmm.data.source import Source
from dgmm.fitting.dropping import complete_cases
from dgmm.fitting.filling import in_patterns
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.partitions import OF_THE_FIT, Found, Partition, PartitionSums
from dgmm.fitting.steps.expectation import Data, refuse_overflow
from dgmm.fitting.steps.objective import ROUNDS
from dgmm.fitting.survey import survey
from dgmm.kernels.stack import Stack
from dgmm.model import em
from dgmm.model.addition import about_means
from dgmm.model.matrices import DegenerateCovarianceError, OverflowedError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import SMALLEST_COUNT, Statistics
from dgmm.passes.blas import single_threaded
from dgmm.passes.run import first_pass
from dgmm.passes.watched import Seen, read_alone


def seen_of(source: Source, weights: Source | None) -> Seen:
    """Say which rows these are, in a pass that does nothing else."""
    return first_pass(source, read_alone, "fingerprint", weights)[0].seen


@single_threaded()
def partition_of(
    source: Source,
    weights: Source | None,
    parameters: Parameters,
    name: str,
    *,
    missing: str,
    sample_rows: int,
) -> Partition:
    """Sum rows at given parameters: a survey, and an E-step. At most ``sample_rows`` rows are read once.

    Parameters
    ----------
    source : Source
    weights : Source or None
        Row weights.
    parameters : Parameters
    name : str
        Of the partition.
    missing : str
        See `dgmm.fitting.survey.MISSING`.
    sample_rows : int

    Raises
    ------
    DataError
        For rows that no mixture can be fitted to; for rows that change meanwhile.
    OverflowedError
        Where values overflow.
    """
    seen = None
    if missing == "drop":
        cases = complete_cases(source, weights)
        source, weights, seen = cases.source, cases.weights, cases.seen
    found = survey(
        source,
        sample_rows,
        0,
        weights,
        products=parameters.family.has_products,
        takes_nan=missing == "marginalize",
    )
    source, seen = found.source, found.seen if seen is None else seen
    if source.n_rows <= sample_rows:
        source, weights = in_patterns(found.sample, found.filling).sources(source.name, source.feature_names)
    statistics = sums_of(Data(source, weights, found.moments, filling=found.filling), parameters)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Partition.of(name, Found(parameters, statistics, source.n_rows, found.moments.weight), seen, now)


def sums_of(data: Data, parameters: Parameters) -> Statistics:
    """Return the statistics of rows at given parameters, about the means of the components' rows.

    Where sums about the centre have cancelled, they are taken again: see `ROUNDS`.

    Raises
    ------
    OverflowedError
        Where values overflow.
    """
    references = None
    for is_last in ROUNDS:
        (found,), ready, _ = data.expect([parameters], references)
        refuse_overflow(found.log_likelihood, data.moments)
        is_exact = ready.is_exact and not found.is_off
        if is_last or is_exact or not _have_cancelled(found, parameters, ready):
            return about_means(found)
        references = [em.update_means(found)]
    raise AssertionError("the last round gives what it has")


def _have_cancelled(statistics: Statistics, parameters: Parameters, ready: Stack) -> bool:
    """Return whether variances of the rows are too small beside the sums that they are made from.

    A component that has too few rows for a variance of its own is judged by the mixture's.
    """
    family, (n_components, n_features) = statistics.family, statistics.sums.shape
    counts = statistics.counts + SMALLEST_COUNT
    own = family.covariances(statistics.deviations(0.0, SMALLEST_COUNT), 0.0)
    rows = np.full(n_components, counts.sum()) if family.is_shared else counts
    variances = np.where(
        rows[:, None] > n_features + 1.0,
        family.variances(own, n_components, n_features),
        parameters.variances,
    )
    squares = family.mean_squares(statistics.scatter, statistics.shared, counts, n_features)
    return bool((squares / ready.largest_ratio > variances).any())


def kept_of(best: EM, data: Data, seen: Seen, *, is_small: bool) -> PartitionSums | None:
    """Return what a fitted mixture keeps of the rows of its fit; None where that cannot be known.

    It is None where no pass was made, of groups, and of rows with errors.

    Of rows in memory the sums are taken once more, at the fitted parameters. Of others they are those of the
    pass that the parameters come from: corrected EM's are at the fitted ones, plain EM's at those before the
    last step.

    Parameters
    ----------
    best : EM
    data : Data
        The rows of the fit.
    seen : Seen
        Which they are.
    is_small : bool
        Whether they are in memory.
    """
    if data.n_groups or data.n_errors:
        return None
    last, moments = best.best, data.moments
    evaluated, statistics = (None, None) if last is None else (last.parameters, about_means(last.statistics))
    if is_small and evaluated is not best.parameters:
        with suppress(OverflowedError, DegenerateCovarianceError):
            statistics, evaluated = sums_of(data, best.parameters), best.parameters
    if statistics is None or evaluated is None:
        return None
    found = Found(evaluated, statistics, moments.n_rows, moments.weight)
    return PartitionSums((Partition.of(OF_THE_FIT, found, seen),), best.parameters, best.lower_bound)
