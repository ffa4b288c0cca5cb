"""Components merged into clusters, and predictions of these for rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from dgmm.data.types import (
    DaskArray,
    DaskDataFrame,
    DaskSeries,
    DataArray,
    GroupsLike,
    InMemory,
    Labelled,
    OfRows,
    RowsLike,
    Source,
    Stored,
)
from dgmm.estimators.base import FittedMixture
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.predictor import PredictKeywords
from dgmm.estimators.rowwise import RowFunction
from dgmm.fitting.checks import check_weights
from dgmm.model.matrices import Array
from dgmm.model.merging import Cluster, labels_of, merged, sums_of_sets
from dgmm.passes.task import ChunkRows

# What X is decides on the result, and what is more special comes first. A Dask frame is also a table.
# pyright: reportOverlappingOverload=false


@dataclass(frozen=True, eq=False)
class SetSums:
    """What a pass sums of sets of components: h of each (see `dgmm.model.merging`), and the rows' weight."""

    sums: Array
    weight: float

    def __add__(self, other: SetSums) -> SetSums:
        return SetSums(self.sums + other.sums, self.weight + other.weight)


@dataclass(frozen=True, eq=False)
class SetSumsWork:
    """The work of that pass.

    Attributes
    ----------
    responsibilities : RowFunction
    members : ndarray of shape (n_components, n_sets)
    """

    responsibilities: RowFunction
    members: Array

    def __call__(self, chunks: Iterator[ChunkRows]) -> SetSums:
        """Sum over a span."""
        total = SetSums(np.zeros(self.members.shape[1]), 0.0)
        for chunk in chunks:
            weights, weight = None, float(len(chunk.values))
            if chunk.weights is not None:
                check_weights(chunk)
                weights, weight = np.asarray(chunk.weights, np.float64), float(chunk.weights.sum())
            shares = self.responsibilities.of(chunk)
            total += SetSums(sums_of_sets(shares, self.members, weights), weight)
        return total


@dataclass(frozen=True, eq=False)
class ComponentMerges:
    """Components merged into clusters, step by step, from all of them to one.

    Attributes
    ----------
    mixture : FittedMixture
    merges : tuple of (frozenset of int, frozenset of int)
        Which sets of components became one, the first first.
    entropies : ndarray of shape (n_components,)
        Of the rows' assignments to 1, 2, …, n_components clusters, in nats a row.
    n_clusters : int
        Where a line of two pieces through the entropies bends: further merges make assignments hardly surer.
        All components, where assignments are sure to 0.01 nats a row as they are.
    n_passes : int
        Passes over the rows.
    """

    mixture: FittedMixture
    merges: tuple[tuple[Cluster, Cluster], ...]
    entropies: Array
    n_clusters: int
    n_passes: int

    def clusters(self, n_clusters: int | None = None) -> list[Cluster]:
        """Return the sets of components that are clusters; by default `n_clusters` of them."""
        n_components = len(self.entropies)
        wanted = self.n_clusters if n_clusters is None else n_clusters
        if not isinstance(wanted, Integral) or not 1 <= wanted <= n_components:
            raise ValueError(
                f"n_clusters must be a whole number from 1 to the {n_components:,} components, not {wanted!r}"
            )
        found = [frozenset({k}) for k in range(n_components)]
        for pair in self.merges[: n_components - wanted]:
            found = merged(found, pair)
        return found

    def labels(self, n_clusters: int | None = None) -> NDArray[np.int64]:
        """Return the cluster of each component, numbered from the heaviest: (n_components,)."""
        return labels_of(self.clusters(n_clusters), self.mixture.weights_)

    @overload
    def predict(
        self, X: DaskDataFrame, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> DaskSeries: ...
    @overload
    def predict(
        self, X: Labelled, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> DataArray: ...
    @overload
    def predict(
        self, X: DaskArray | Stored, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> DaskArray: ...
    @overload
    def predict(
        self, X: Source, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> NDArray[np.int64] | DaskArray | DataArray: ...
    @overload
    def predict(
        self, X: InMemory, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> NDArray[np.int64]: ...
    def predict(
        self,
        X: RowsLike,
        n_clusters: int | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> OfRows:
        """Return the most probable cluster of each row.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        n_clusters : int, optional
            By default as many as the attribute says.
        groups, errors : optional
            The group of each row, and measurement errors: as for the mixture's `predict`.

        Returns
        -------
        labels : of shape (n_samples,), int64
            NumPy, or lazy, as from the mixture's `predict`.
        """
        return self._of_rows(X, n_clusters, "label", groups, errors)

    @overload
    def predict_proba(
        self, X: DaskDataFrame, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> DaskDataFrame: ...
    @overload
    def predict_proba(
        self, X: Labelled, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> DataArray: ...
    @overload
    def predict_proba(
        self, X: DaskArray | Stored, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> DaskArray: ...
    @overload
    def predict_proba(
        self, X: Source, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> Array | DaskArray | DataArray: ...
    @overload
    def predict_proba(
        self, X: InMemory, n_clusters: int | None = None, **keywords: Unpack[PredictKeywords]
    ) -> Array: ...
    def predict_proba(
        self,
        X: RowsLike,
        n_clusters: int | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> OfRows:
        """Return the probability of each cluster given each row: those of its components together.

        Parameters
        ----------
        X, n_clusters, groups, errors
            As for `predict`.

        Returns
        -------
        probabilities : of shape (n_samples, n_clusters)
            NumPy, or lazy, as from the mixture's `predict_proba`.
        """
        return self._of_rows(X, n_clusters, "probability", groups, errors)

    def _of_rows(
        self,
        X: RowsLike,
        n_clusters: int | None,
        name: str,
        groups: GroupsLike | None,
        errors: ErrorsLike | None,
    ) -> OfRows:
        own = partial(self.of_shares, n_clusters=n_clusters, name=name)
        return self.mixture._of_rows(X, "responsibilities", groups, errors, then=own)

    def of_shares(self, function: RowFunction, n_clusters: int | None, name: str) -> RowFunction:
        """Return the cluster of each row, or by the name ``probability`` that of each cluster."""
        labels = self.labels(n_clusters)
        members = np.eye(labels.max() + 1)[labels]
        if name == "label":
            compute, dtype, columns = _cluster_of, np.dtype(np.int64), None
        else:
            compute, dtype, columns = _shares_of, function.dtype, tuple(range(members.shape[1]))
        return replace(
            function,
            compute=partial(_of_shares, function.compute, members, compute),
            dtype=dtype,
            name=name,
            columns=columns,
        )


def _of_shares(responsibilities: Any, members: Array, compute: Any, *rows: Any) -> NDArray[Any]:
    return compute(responsibilities(*rows) @ members)


def _cluster_of(shares: Array) -> NDArray[np.int64]:
    return shares.argmax(axis=1)


def _shares_of(shares: Array) -> Array:
    return shares
