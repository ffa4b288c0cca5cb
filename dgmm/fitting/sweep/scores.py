"""What a pass says of a model when models are compared: exact, for the very parameters that went in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.sweep.held_out import ScoredStatistics, mean_and_error
from dgmm.model import criteria
from dgmm.model.entropy import entropy
from dgmm.model.kernels import complete_log_likelihood
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics
from dgmm.passes.blas import single_threaded_blas

NAMES = {"bic": "BIC", "aic": "AIC", "icl": "ICL", "held-out": "the held-out log-likelihood"}
"""Criteria, and what they are called."""


@dataclass(frozen=True)
class Scores:
    """What is compared of models.

    Attributes
    ----------
    log_likelihood : float
        Nats a row.
    entropy : float
        Of the responsibilities, nats a row.
    held_out, held_out_error : float
        Mean log density of the held-out rows and its standard error, nats a row; NaN without such rows.
    n_parameters : int
    weight : float
        Of all fitted rows: their number, where they have no weights.
    """

    log_likelihood: float
    entropy: float
    held_out: float
    held_out_error: float
    n_parameters: int
    weight: float

    @property
    def bic(self) -> float:
        """Bayesian information criterion."""
        return criteria.bic(self.weight * self.log_likelihood, self.n_parameters, self.weight)

    @property
    def aic(self) -> float:
        """Akaike information criterion."""
        return criteria.aic(self.weight * self.log_likelihood, self.n_parameters)

    @property
    def icl(self) -> float:
        """Integrated completed likelihood, as BIC."""
        total, entropy = self.weight * self.log_likelihood, self.weight * self.entropy
        return criteria.icl(total, self.n_parameters, self.weight, entropy)

    def loss(self, criterion: str) -> float:
        """Give what is to be small: a criterion, or the held-out log density with the other sign."""
        return -self.held_out if criterion == "held-out" else getattr(self, criterion)

    def with_gain(self, gain: float) -> Scores:
        """Give the best that they may become with so many nats a row more."""
        better = self.log_likelihood + gain
        return replace(self, log_likelihood=better, held_out=self.held_out + gain, entropy=0.0)


def scores_of(data: Data, evaluation: Evaluation) -> Scores:
    """Score the parameters that went into a pass."""
    own = evaluation
    return _scores(data, own.parameters, own.statistics, own.lower_bound * data.moments.weight)


def score_models(data: Data, models: Sequence[Parameters]) -> list[Scores]:
    """Score models in one pass over the rows."""
    if not models:
        return []
    with single_threaded_blas():
        statistics, ready, _ = data.expect(models)
        return [
            _scores(data, model, own, complete_log_likelihood(own, ready, index, data.moments.scatter))
            for index, (model, own) in enumerate(zip(models, statistics, strict=True))
        ]


def _scores(data: Data, parameters: Parameters, statistics: Statistics, log_likelihood: float) -> Scores:
    moments = data.moments
    undecided = entropy(parameters, statistics, log_likelihood, moments.mean, moments.scatter)
    held_out = statistics.held_out if isinstance(statistics, ScoredStatistics) else None
    return Scores(
        log_likelihood / moments.weight,
        undecided / moments.weight,
        *mean_and_error(held_out),
        parameters.n_parameters,
        moments.weight,
    )


def resolution(weight: float) -> float:
    """Give the gain that can matter to no choice by BIC: the price of half a parameter, nats a row."""
    return 0.25 * float(np.log(weight)) / weight
