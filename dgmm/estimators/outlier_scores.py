"""What an outlier detector says of rows: their log densities, and how unlikely each of their values is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from dgmm.data.source import Source
from dgmm.estimators.best import mixture_of
from dgmm.estimators.conditioning import ConditionalMixture
from dgmm.estimators.empty_rows import warning_of_empty
from dgmm.estimators.linear import Linear
from dgmm.estimators.rowwise import RowFunction, evaluate
from dgmm.estimators.validation import check_some_rows
from dgmm.kernels.densities import expected_log_densities
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.surprise import surprises

SCORED = "no value at all: such rows all get the same score: the expected log density of a row"


def scores_of(estimator: Any, X: Any) -> Any:
    """Score rows by what is fitted: a mixture by `score_function`, also after other steps of a pipeline."""
    if isinstance(estimator, FrozenEstimator):
        return scores_of(estimator.estimator, X)
    if isinstance(estimator, Pipeline):
        return scores_of(estimator[-1], estimator[:-1].transform(X) if len(estimator) > 1 else X)
    mixture = mixture_of(estimator)
    if mixture is None:
        return estimator.score_samples(X)
    source = mixture._open(X)
    check_some_rows(source, type(mixture).__name__)
    function = score_function(mixture, source)
    return evaluate(warning_of_empty(function, source, SCORED) if function.takes_nan else function, X, source)


def score_function(mixture: ConditionalMixture, source: Source) -> RowFunction:
    """Return the log density of each row; that to be expected of the complete row, where it lacks values."""
    function = mixture._row_function("log_densities", source)
    if not function.takes_nan:
        return function
    return replace(function, compute=partial(expected_log_densities, mixture._model))


@dataclass(frozen=True, eq=False)
class OfProjected:
    """The surprises of values of rows that a mixture sees projected: a picklable function of rows."""

    model: Parameters
    linear: Linear

    def __call__(self, rows: NDArray[np.floating]) -> Array:
        """Return surprises: (n_rows, n_features)."""
        return surprises(self.model, self.linear(rows), self.linear.directions)


def surprise_function(
    mixture: ConditionalMixture, source: Source, linear: Linear | None = None
) -> RowFunction:
    """Return the surprises of each row's values: see `MixtureOutlierDetector.explain`."""
    of_scores = mixture._row_function("log_densities", source)  # what rows may lack is the mixture's to say
    names = source.feature_names or tuple(range(source.n_features))
    found = replace(of_scores, dtype=np.dtype(np.float64), name="surprise", columns=names)
    if linear is None:
        return replace(found, compute=partial(surprises, mixture._parameters))
    return replace(found, compute=OfProjected(mixture._parameters, linear), takes_nan=False)
