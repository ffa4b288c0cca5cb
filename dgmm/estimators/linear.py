"""Linear pipeline steps before a mixture, such as scalers and PCA, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import decomposition
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from dgmm.estimators.best import mixture_of
from dgmm.estimators.conditioning import ConditionalMixture
from dgmm.estimators.pca import PCA
from dgmm.model.matrices import Array
from dgmm.model.principal import project


@dataclass(frozen=True, eq=False)
class Step:
    """What makes ``(x − origin) @ axes.T`` of rows x.

    Attributes
    ----------
    origin : ndarray of shape (n_features,)
    axes : ndarray of shape (n_results, n_features)
    """

    origin: Array
    axes: Array


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear steps, one after another: a picklable function of rows."""

    steps: tuple[Step, ...]

    def __call__(self, rows: NDArray[np.floating]) -> Array:
        """Return what the last step makes of rows: (n_rows, n_results)."""
        for step in self.steps:
            rows = project(rows, step.origin, step.axes, None)
        return rows

    @property
    def directions(self) -> Array:
        """How results change with each feature: (n_features, n_results)."""
        found = self.steps[0].axes.T
        for step in self.steps[1:]:
            found = found @ step.axes.T
        return found


def linear_before_mixture(estimator: Any) -> tuple[Linear | None, ConditionalMixture]:
    """Take apart a fitted mixture, or a pipeline of linear steps that ends in one.

    Returns
    -------
    linear : Linear or None
        None where there is nothing before the mixture.
    mixture : ConditionalMixture

    Raises
    ------
    TypeError
        If a step is not known to be linear, or the last one is no mixture.
    """
    *before, last = _flat(estimator)
    mixture = mixture_of(last)
    if mixture is None:
        raise TypeError(f"explain needs a mixture, which {type(last).__name__} is not")
    steps = tuple(_step(each) for each in before)
    return (Linear(steps) if steps else None), mixture


def _flat(estimator: Any) -> list[Any]:
    """Return the estimators that a pipeline is made of, in order."""
    if isinstance(estimator, FrozenEstimator):
        return _flat(estimator.estimator)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    own = (each for _, each in estimator.steps if each is not None and not isinstance(each, str))
    return [part for each in own for part in _flat(each)]


def _step(transformer: Any) -> Step:
    match transformer:
        case PCA() | decomposition.PCA():
            axes = np.asarray(transformer.components_, np.float64)
            if transformer.whiten:
                widths = np.sqrt(np.asarray(transformer.explained_variance_, np.float64))
                axes = axes / np.maximum(widths, np.finfo(np.float64).eps)[:, None]
            return Step(np.asarray(transformer.mean_, np.float64), axes)
        case StandardScaler():
            n_features = len(np.asarray(transformer.get_feature_names_out()))
            origin = transformer.mean_ if transformer.with_mean else np.zeros(n_features)
            widths = transformer.scale_ if transformer.with_std else np.ones(n_features)
            return Step(np.asarray(origin, np.float64), np.diag(1.0 / np.asarray(widths, np.float64)))
    name = type(transformer).__name__
    raise TypeError(
        f"explain cannot attribute surprise to features of X, as {name} is not known to be linear (PCA and "
        "StandardScaler are); transform X by the steps before the mixture, and pass the result to "
        "explain of a detector of the mixture alone, FrozenEstimator(pipeline[-1])"
    )
