"""Predictions by the best of several mixtures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from dgmm.data.types import DaskArray, GroupsLike, Location, OfRows, RowsLike, WeightsLike
from dgmm.estimators.conditioning import ConditionalMixture
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.predictor import Predictor, Quantity
from dgmm.model.matrices import Array

if TYPE_CHECKING:
    from dgmm.estimators.gaussian_mixture import GaussianMixture


class OfTheBest(Predictor):
    """An estimator that fits several mixtures, and says of rows what the best of them says."""

    best_estimator_: GaussianMixture

    @property
    def _best(self) -> GaussianMixture:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def _of_rows(
        self,
        X: RowsLike,
        quantity: Quantity,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> OfRows:
        return self._best._of_rows(X, quantity, groups, errors)

    def _sample(
        self, n_samples: int, chunks: int | None
    ) -> tuple[Array | DaskArray, NDArray[np.int64] | DaskArray]:
        return self._best._sample(n_samples, chunks)

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - scikit-learn's stub returns None
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> float:
        """Compute the mean log-likelihood of rows, nats a row: see `GaussianMixture.score`."""
        return self._best.score(X, y, sample_weight, groups=groups, errors=errors)

    def bic(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> float:
        """Compute the Bayesian information criterion of the best mixture: as `GaussianMixture.bic`."""
        return self._best.bic(X, sample_weight, groups=groups, errors=errors)

    def aic(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> float:
        """Compute the Akaike information criterion of the best mixture: as `GaussianMixture.aic`."""
        return self._best.aic(X, sample_weight, groups=groups, errors=errors)

    def save(self, path: Location, *, storage_options: Mapping[str, object] | None = None) -> None:
        """Write the best mixture to a file, which `dgmm.load` reads as a `GaussianMixture`."""
        self._best.save(path, storage_options=storage_options)


def mixture_of(estimator: Any) -> ConditionalMixture | None:
    """Return the fitted mixture that an estimator is, a sweep's best and a frozen one too; or None."""
    if isinstance(estimator, FrozenEstimator):
        return mixture_of(estimator.estimator)
    if isinstance(estimator, OfTheBest):
        return estimator._best
    return estimator if isinstance(estimator, ConditionalMixture) else None
