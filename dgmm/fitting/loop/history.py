"""Log-likelihoods of the passes of a fit, and predictions of those to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dgmm.fitting.steps.expectation import Evaluation


@dataclass(frozen=True)
class PredictionTuning:
    """How far predictions go.

    Attributes
    ----------
    slowest : float
        Of what one M-step promises, the largest share that the next may: more is not known so well.
    rounding : float
        Relative change of a log-likelihood that may be rounding alone.
    """

    slowest: float = 0.99
    rounding: float = 1e-14


PREDICTION = PredictionTuning()


@dataclass(frozen=True)
class PassRecord:
    """What an E-step over all rows gave to one fit.

    Attributes
    ----------
    log_likelihood : float
        Of the parameters that went in, nats a row.
    predicted_gain : float
        What further iterations may gain, nats a row (see `predict_gain`); infinite where it is not known.
    inner_steps : int
        M-steps that led to these parameters from those accepted before, with those that extrapolations stand
        for: one in plain EM; none for a start, and for a mixture that was re-seeded.
    accepted : bool
        Whether the fit goes on from them; if not, it goes back to the ones accepted before.
    seconds : float
        That the pass took, for all the fits that shared it.
    rows_per_second : float
        Rows that were worked on in these seconds: twice all rows, where sums had cancelled.
    reading_seconds, computing_seconds : float
        Of all threads together: see `Effort`.
    promised_gain : float
        What one M-step gains at the least, nats a row.
    """

    log_likelihood: float
    predicted_gain: float
    inner_steps: int
    accepted: bool
    seconds: float
    rows_per_second: float = np.nan
    reading_seconds: float = np.nan
    computing_seconds: float = np.nan
    promised_gain: float = 0.0


def record(
    history: tuple[PassRecord, ...], evaluation: Evaluation, inner_steps: int, *, accepted: bool
) -> PassRecord:
    """Make the record of a pass that comes after those of ``history``."""
    effort, seconds = evaluation.effort, evaluation.seconds
    last = PassRecord(
        evaluation.lower_bound,
        np.inf,
        inner_steps,
        accepted,
        seconds,
        effort.n_rows / seconds,
        effort.reading,
        effort.computing,
        evaluation.promised_gain,
    )
    passes = (*history, last)
    return replace(last, predicted_gain=max(predict_gain(passes), promised_in_all(passes)))


def since_start(history: tuple[PassRecord, ...]) -> tuple[PassRecord, ...]:
    """Return the passes since the last accepted start, without re-seedings that were not accepted.

    A re-seeding is a start: what was gained before it says nothing of what comes after.
    """
    passes = [each for each in history if each.accepted or each.inner_steps]
    starts = [index for index, each in enumerate(passes) if not each.inner_steps]
    return tuple(passes[starts[-1] :] if starts else passes)


def last_gain(history: tuple[PassRecord, ...]) -> float:
    """Return what the last accepted pass gained, nats a row; infinite before two of them from a start."""
    accepted = [record.log_likelihood for record in since_start(history) if record.accepted]
    return accepted[-1] - accepted[-2] if len(accepted) > 1 else np.inf


def predict_gain(history: tuple[PassRecord, ...]) -> float:
    """Predict what further iterations gain, from the last two gains of accepted passes, nats a row.

    Where EM converges linearly, the remaining gain falls by the same factor with each M-step. Two passes of
    as many M-steps give Aitken's rule: last gain × ratio / (1 − ratio). After fewer M-steps than before, as
    after a step back, the gain is smaller for that reason alone, and the ratio would promise too much: there
    the factor of one M-step is found first.

    Parameters
    ----------
    history : tuple of PassRecord

    Returns
    -------
    float
        Infinite before the third accepted pass from a start, and where gains do not fall; 0 where the last
        is rounding.
    """
    *_, earlier, before, last = [None, None, None, *(each for each in since_start(history) if each.accepted)]
    if earlier is None or before is None or last is None:
        return np.inf
    first = before.log_likelihood - earlier.log_likelihood
    second = last.log_likelihood - before.log_likelihood
    if abs(second) <= PREDICTION.rounding * abs(last.log_likelihood):
        return 0.0
    if not 0.0 <= second < first:
        return np.inf
    ratio = max(second / first, _left_by(last.inner_steps, before.inner_steps, second / first))
    return second * ratio / (1.0 - ratio) if ratio < 1.0 else np.inf


def promised_in_all(history: tuple[PassRecord, ...]) -> float:
    """Return what all further M-steps promise together, nats a row.

    Gains of passes tell of the progress that was fast, and with it ended; what one M-step promises tells of
    the progress that is left. From the accepted pass before, it fell by the same factor with each M-step:
    what is promised in all is a geometric series.
    """
    *before, last = history
    if last.inner_steps == 0 or last.promised_gain <= 0.0:
        return last.promised_gain
    earlier = [each.promised_gain for each in since_start(tuple(before)) if each.accepted]
    fallen = last.promised_gain / earlier[-1] if earlier and earlier[-1] > 0.0 else 0.0
    share = min(fallen ** (1.0 / last.inner_steps), PREDICTION.slowest)
    return last.promised_gain / (1.0 - share)


def passes_until(figures: Sequence[float], tol: float) -> float:
    """Estimate how many passes more take a figure below ``tol``, if it goes on to fall by the same factor.

    Parameters
    ----------
    figures : sequence of float
        Of the last two passes.
    tol : float

    Returns
    -------
    float
        Infinite where it does not fall, or is not known.
    """
    *_, before, last = [np.inf, np.inf, *figures]
    if last < tol:
        return 0.0
    if not 0.0 < tol <= last < before < np.inf:
        return np.inf
    return float(np.ceil(np.log(tol / last) / np.log(last / before)))


def _left_by(n_last: int, n_before: int, ratio: float) -> float:
    """Return the share of the remaining gain that the last pass left, if each M-step leaves the same share q.

    The gains of two passes of m and n M-steps then have the ratio ``q^m (1 − q^n) / (1 − q^m)``.
    """
    if ratio >= n_last / n_before:  # of steps that leave almost everything
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        share = 0.5 * (low + high)
        found = share**n_before * (1.0 - share**n_last) / (1.0 - share**n_before) if share < 1.0 else np.inf
        low, high = (share, high) if found < ratio else (low, share)
    return high**n_last
