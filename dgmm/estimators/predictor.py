"""Base class of whatever predicts for rows, with the types of the results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Literal, Self, TypeAlias, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin

from dgmm.data.types import (
    DaskArray,
    DaskDataFrame,
    DaskSeries,
    DataArray,
    GroupsLike,
    InMemory,
    Labelled,
    LabelsLike,
    Location,
    OfRows,
    RowsLike,
    Source,
    Stored,
    WeightsLike,
)
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.reporting import Reporting
from dgmm.fitting.checkpoint import Checkpoint
from dgmm.model.matrices import Array

Quantity = Literal["labels", "responsibilities", "log_densities"]
"""What a mixture says of each row."""

Seed: TypeAlias = int | np.random.RandomState | None
"""Of random draws."""


class PredictKeywords(TypedDict, total=False):
    """The keywords of `Predictor.predict`."""

    groups: GroupsLike | None
    errors: ErrorsLike | None


class FitKeywords(PredictKeywords, total=False):
    """The keywords of `Predictor.fit`."""

    labels: LabelsLike | None
    allow_changed_data: bool
    checkpoint: Location | Checkpoint | None


# What X is decides on the result, and what is more special comes first. A Dask frame is also a table.
# pyright: reportOverlappingOverload=false


class Predictor(Reporting, DensityMixin, BaseEstimator):
    """Predictions for rows.

    ``X`` is everywhere what `dgmm.open_dataset` takes. A result for each row is a NumPy array for rows in
    memory; a Dask series or frame with the index for a Dask DataFrame; a DataArray with the dimensions and
    coordinates of the rows for what xarray has; and a lazy Dask array for all else.
    """

    @abstractmethod
    def fit(
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        *,
        errors: ErrorsLike | None = None,
    ) -> Self:
        """Fit to rows."""

    @abstractmethod
    def _of_rows(
        self,
        X: RowsLike,
        quantity: Quantity,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> OfRows:
        """Compute a quantity of each row."""

    @abstractmethod
    def _sample(self, n_samples: int, chunks: int | None) -> tuple[Array | DaskArray, NDArray | DaskArray]:
        """Draw random rows."""

    @overload
    def predict(self, X: DaskDataFrame, **keywords: Unpack[PredictKeywords]) -> DaskSeries: ...
    @overload
    def predict(self, X: Labelled, **keywords: Unpack[PredictKeywords]) -> DataArray: ...
    @overload
    def predict(self, X: DaskArray | Stored, **keywords: Unpack[PredictKeywords]) -> DaskArray: ...
    @overload
    def predict(
        self, X: Source, **keywords: Unpack[PredictKeywords]
    ) -> NDArray[np.int64] | DaskArray | DataArray: ...
    @overload
    def predict(self, X: InMemory, **keywords: Unpack[PredictKeywords]) -> NDArray[np.int64]: ...
    def predict(
        self, X: RowsLike, *, groups: GroupsLike | None = None, errors: ErrorsLike | None = None
    ) -> OfRows:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row, of a mixture that was fitted to groups. By default the weights of all rows
            are used.
        errors : optional
            Measurement errors of the rows, as for `GaussianMixture.fit`.

        Returns
        -------
        labels : of shape (n_samples,), int64
            NumPy, a Dask series, a DataArray, or a lazy Dask array: see the class.
        """
        return self._of_rows(X, "labels", groups, errors)

    @overload
    def predict_proba(self, X: DaskDataFrame, **keywords: Unpack[PredictKeywords]) -> DaskDataFrame: ...
    @overload
    def predict_proba(self, X: Labelled, **keywords: Unpack[PredictKeywords]) -> DataArray: ...
    @overload
    def predict_proba(self, X: DaskArray | Stored, **keywords: Unpack[PredictKeywords]) -> DaskArray: ...
    @overload
    def predict_proba(
        self, X: Source, **keywords: Unpack[PredictKeywords]
    ) -> Array | DaskArray | DataArray: ...
    @overload
    def predict_proba(self, X: InMemory, **keywords: Unpack[PredictKeywords]) -> Array: ...
    def predict_proba(
        self, X: RowsLike, *, groups: GroupsLike | None = None, errors: ErrorsLike | None = None
    ) -> OfRows:
        """Return the probability of each component given each row: its responsibilities.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row, of a mixture that was fitted to groups. By default the weights of all rows
            are used.
        errors : optional
            Measurement errors of the rows, as for `GaussianMixture.fit`.

        Returns
        -------
        responsibilities : of shape (n_samples, n_components)
            Rows sum to 1.
        """
        return self._of_rows(X, "responsibilities", groups, errors)

    @overload
    def score_samples(self, X: DaskDataFrame, **keywords: Unpack[PredictKeywords]) -> DaskSeries: ...
    @overload
    def score_samples(self, X: Labelled, **keywords: Unpack[PredictKeywords]) -> DataArray: ...
    @overload
    def score_samples(self, X: DaskArray | Stored, **keywords: Unpack[PredictKeywords]) -> DaskArray: ...
    @overload
    def score_samples(
        self, X: Source, **keywords: Unpack[PredictKeywords]
    ) -> Array | DaskArray | DataArray: ...
    @overload
    def score_samples(self, X: InMemory, **keywords: Unpack[PredictKeywords]) -> Array: ...
    def score_samples(
        self, X: RowsLike, *, groups: GroupsLike | None = None, errors: ErrorsLike | None = None
    ) -> OfRows:
        """Return the log density of each row under the mixture.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row, of a mixture that was fitted to groups. By default the weights of all rows
            are used.
        errors : optional
            Measurement errors of the rows, as for `GaussianMixture.fit`.

        Returns
        -------
        log_densities : of shape (n_samples,)
            In nats; −∞ where it leaves the range of float64.
        """
        return self._of_rows(X, "log_densities", groups, errors)

    @overload
    def fit_predict(
        self,
        X: DaskDataFrame,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        **keywords: Unpack[FitKeywords],
    ) -> DaskSeries: ...
    @overload
    def fit_predict(
        self,
        X: Labelled,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        **keywords: Unpack[FitKeywords],
    ) -> DataArray: ...
    @overload
    def fit_predict(
        self,
        X: DaskArray | Stored,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        **keywords: Unpack[FitKeywords],
    ) -> DaskArray: ...
    @overload
    def fit_predict(
        self,
        X: Source,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        **keywords: Unpack[FitKeywords],
    ) -> NDArray[np.int64] | DaskArray | DataArray: ...
    @overload
    def fit_predict(
        self,
        X: InMemory,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        **keywords: Unpack[FitKeywords],
    ) -> NDArray[np.int64]: ...
    def fit_predict(
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        **keywords: Unpack[FitKeywords],
    ) -> OfRows:
        """Fit, and give the most probable component of each row: by groups and errors where these are given.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        **keywords
            All else that `fit` takes: ``errors``, ``checkpoint``, ``allow_changed_data``; and ``labels`` and
            ``groups``, where it does.

        Returns
        -------
        labels : of shape (n_samples,)
            As from `predict`, also of rows whose labels are given.
        """
        fit: Callable[..., Self] = self.fit
        return fit(X, y, sample_weight, **keywords)._of_rows(
            X, "labels", keywords.get("groups"), keywords.get("errors")
        )

    @overload
    def sample(self, n_samples: int = 1, *, chunks: None = None) -> tuple[Array, NDArray[np.int64]]: ...
    @overload
    def sample(self, n_samples: int = 1, *, chunks: int) -> tuple[DaskArray, DaskArray]: ...
    def sample(
        self, n_samples: int = 1, *, chunks: int | None = None
    ) -> tuple[Array | DaskArray, NDArray[np.int64] | DaskArray]:
        """Draw random rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1
        chunks : int, optional
            Draw lazily, in Dask chunks of this many rows, in random order; for a seed the rows depend on it.
            Default: draw now, ordered by component, the very rows that scikit-learn draws.

        Returns
        -------
        X : of shape (n_samples, n_features)
            NumPy, or a lazy Dask array.
        y : of shape (n_samples,), int64
            The component of each row.
        """
        return self._sample(n_samples, chunks)
