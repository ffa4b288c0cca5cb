"""Scores of a model from a pass: exact for the parameters that went in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.sweep.held_out import ScoredStatistics
from dgmm.model.criteria import Scores
from dgmm.model.entropy import entropy
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics


def scores_of(data: Data, evaluation: Evaluation) -> Scores:
    """Score the parameters that went into a pass."""
    own = evaluation
    return _scores(data, own.parameters, own.statistics, own.lower_bound * data.moments.weight)


def score_models(data: Data, models: Sequence[Parameters]) -> list[Scores]:
    """Score models in one pass over the rows."""
    if not models:
        return []
    statistics, _, _ = data.expect(models)
    return [
        _scores(data, model, own, own.log_likelihood) for model, own in zip(models, statistics, strict=True)
    ]


def _scores(data: Data, parameters: Parameters, statistics: Statistics, log_likelihood: float) -> Scores:
    moments = data.moments
    if data.n_groups:  # of those of all rows, where it starts
        parameters = replace(parameters, group_weights=parameters.weights_in(data.n_groups))
    undecided = entropy(parameters, statistics, log_likelihood)
    if data.known is not None and data.known.n_weights:  # sums do not tell what rows know of themselves
        undecided = np.nan
    is_scored = isinstance(statistics, ScoredStatistics)
    held_out = statistics.held_out.mean_and_error if is_scored else (np.nan, np.nan)
    return Scores(
        log_likelihood / moments.weight,
        undecided / moments.weight,
        *held_out,
        parameters.n_parameters,
        moments.weight,
    )
