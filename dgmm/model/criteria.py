"""Criteria for model selection, a class each: BIC, AIC, ICL, CAIC, held-out density.

A criterion is a class here and an entry of `CRITERIA`: estimators, races and reports ask its methods.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from dgmm.model.matrices import Array


def bic(log_likelihood: float, n_parameters: int, n_rows: float) -> float:
    """Bayesian information criterion (Schwarz 1978); ``log_likelihood`` in nats, of all rows."""
    return -2.0 * log_likelihood + n_parameters * math.log(n_rows)


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Akaike information criterion (1974); ``log_likelihood`` in nats, of all rows."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def resolution(weight: float) -> float:
    """Return the gain that can matter to no choice by BIC: the price of half a parameter, nats a row.

    Of rows that together weigh less than e it is that of e rows, where it is largest.
    """
    weight = max(weight, math.e)
    return 0.25 * float(np.log(weight)) / weight


@dataclass(frozen=True)
class Scores:
    """What is compared of models.

    Attributes
    ----------
    log_likelihood : float
        Nats a row.
    entropy : float
        Of the responsibilities (see `dgmm.model.entropy`), nats a row.
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
    def total(self) -> float:
        """Log-likelihood of all fitted rows, nats."""
        return self.weight * self.log_likelihood

    def with_gain(self, gain: float) -> Scores:
        """Return the best that they may become with so many nats a row more."""
        better = self.log_likelihood + gain
        return replace(self, log_likelihood=better, held_out=self.held_out + gain, entropy=0.0)


class Criterion(ABC):
    """What the best of some models is best by.

    Attributes
    ----------
    name : str
        What a user gives, and with underscores the name of its column in ``results_``.
    label : str
        In tables.
    title : str
        In sentences.
    fit_name : str
        What `Criterion.fit` is called.
    needs_held_out : bool
        Whether it needs rows that no model is fitted to.
    sign : float
        1 where lower is better, −1 where higher is.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    title: ClassVar[str]
    fit_name: ClassVar[str] = "log-likelihood"
    needs_held_out: ClassVar[bool] = False
    sign: ClassVar[float] = 1.0

    @abstractmethod
    def value(self, scores: Scores) -> float:
        """Return the figure that is reported."""

    def loss(self, scores: Scores) -> float:
        """Return what is to be small."""
        return self.sign * self.value(scores)

    def fit(self, scores: Scores) -> float:
        """Return how well a model describes rows, whatever it costs, nats a row."""
        return scores.log_likelihood

    def error(self, scores: Scores) -> float:
        """Return the standard error of the figure; NaN where it has none."""
        return math.nan

    @property
    def column(self) -> str:
        """Its column in ``results_``."""
        return self.name.replace("-", "_")

    @property
    def axis_label(self) -> str:
        """What is written on an axis."""
        return f"{self.label}: lower is better"

    def losses(self, results: Mapping[str, Array]) -> Array:
        """Return what is to be small of all models of ``results_``."""
        return self.sign * results[self.column]

    def errors(self, results: Mapping[str, Array]) -> Array | None:
        """Return the standard errors of the figures of all models of ``results_``, if they have any."""
        return None

    def gap(self, difference: float) -> str:
        """Write a difference of figures in a sentence."""
        return f"{difference:,.1f}"

    def written(self, results: Mapping[str, Any], index: int) -> str:
        """Write the figure of a model of ``results_`` for a table."""
        return f"{results[self.column][index]:,.1f}"


class BIC(Criterion):
    """Bayesian information criterion."""

    name, label, title = "bic", "BIC", "BIC"

    def value(self, scores: Scores) -> float:
        """Return BIC."""
        return bic(scores.total, scores.n_parameters, scores.weight)


class AIC(Criterion):
    """Akaike information criterion."""

    name, label, title = "aic", "AIC", "AIC"

    def value(self, scores: Scores) -> float:
        """Return AIC."""
        return aic(scores.total, scores.n_parameters)


class ICL(BIC):
    """Integrated completed likelihood (Biernacki, Celeux and Govaert 2000): BIC and twice the entropy."""

    name, label, title = "icl", "ICL", "ICL"

    def value(self, scores: Scores) -> float:
        """Return ICL, as BIC."""
        return super().value(scores) + 2.0 * (scores.weight * scores.entropy)


class CAIC(BIC):
    """Consistent AIC (Bozdogan 1987): BIC and one more for each parameter."""

    name, label, title = "caic", "CAIC", "CAIC"

    def value(self, scores: Scores) -> float:
        """Return CAIC."""
        return super().value(scores) + scores.n_parameters


class HeldOutDensity(Criterion):
    """Mean log density of rows that no model is fitted to, nats a row."""

    name, label, title = "held-out", "held-out", "the held-out log-likelihood"
    fit_name = "held-out log-likelihood"
    needs_held_out = True
    sign = -1.0

    def value(self, scores: Scores) -> float:
        """Return the mean log density."""
        return scores.held_out

    def fit(self, scores: Scores) -> float:
        """Return the same."""
        return scores.held_out

    def error(self, scores: Scores) -> float:
        """Return its standard error."""
        return scores.held_out_error

    @property
    def axis_label(self) -> str:
        """What is written on an axis."""
        return f"{self.fit_name} (nats a row): higher is better"

    def errors(self, results: Mapping[str, Array]) -> Array:
        """Return the standard errors of all models of ``results_``."""
        return results["held_out_error"]

    def gap(self, difference: float) -> str:
        """Write a difference of mean log densities."""
        return f"{difference:.5f} nats a row"

    def written(self, results: Mapping[str, Any], index: int) -> str:
        """Write the figure of a model of ``results_``, with its error."""
        return f"{results[self.column][index]:.5f} ± {results['held_out_error'][index]:.5f}"


CRITERIA: dict[str, Criterion] = {each.name: each for each in (BIC(), AIC(), ICL(), CAIC(), HeldOutDensity())}
"""By the names that users give."""
