"""Side information of the rows of a picture: weights, measurement errors, labels, groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data.categories import places_among
from dgmm.data.side_by_side import with_columns
from dgmm.data.source import Source
from dgmm.data.types import GroupsLike, LabelsLike, WeightsLike
from dgmm.estimators.errors import MeasuredRows
from dgmm.estimators.labels_and_groups import InGroups, parts_for
from dgmm.estimators.validation import open_sample_weight
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.kernels import densities
from dgmm.kernels.measured import error_matrices
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable, Parameters

SIZES_OF_ERRORS = 64
"""Sizes that stand for the errors of all rows, where what is measured is drawn along an axis."""


@dataclass(frozen=True, eq=False)
class DrawnSideInformation:
    """Side information of rows that were drawn: row weights, measurement errors, labels, groups.

    Attributes
    ----------
    weights : ndarray of shape (n_rows,) or None
        All above zero.
    errors : ndarray of shape (n_rows, n_errors) or None
        Variances of measurement errors, or covariances: see `dgmm.kernels.measured`.
    groups : ndarray of shape (n_rows, 1) or None
        Numbers of groups.
    labels : ndarray of shape (n_rows, 1) or (n_rows, n_components), or None
        Components that are known, or weights of components.
    parts : KnownParts or None
        How groups and labels are to be read, one after the other.
    n_left_out : int
        Rows without weight, where all rows are there but these.
    """

    weights: Array | None = None
    errors: Array | None = None
    groups: Array | None = None
    labels: Array | None = None
    parts: KnownParts | None = None
    n_left_out: int = 0

    def part(self, of: NDArray[np.bool_]) -> DrawnSideInformation:
        """Return the side information of some of the rows (a mask)."""
        arrays = {name: getattr(self, name) for name in ("weights", "errors", "groups", "labels")}
        some = {name: array[of] for name, array in arrays.items() if array is not None}
        return replace(self, **some)

    def mean(self, values: NDArray[Any], of: NDArray[np.bool_] | None = None) -> float:
        """Return the mean of a number for each row, or for some of them (a mask), as rows weigh."""
        if of is not None:
            return self.part(of).mean(values[of])
        return float(np.average(values, weights=self.weights))

    def count(self, of: NDArray[np.bool_]) -> float:
        """Return the weighted number of some rows (a mask); of all rows it is their number."""
        if self.weights is None:
            return float(of.sum())
        return float(self.weights[of].sum() / self.weights.mean())

    def groups_of(self, mixture: Any) -> NDArray[Any] | None:
        """Return the group of each row as the user of a mixture knows it: shape (n_rows,)."""
        if self.groups is None or self.parts is None or self.parts.groups is None:
            return None
        return np.asarray(mixture.groups_)[places_among(self.groups[:, 0], self.parts.groups)]

    def responsibilities(self, model: Evaluable, parameters: Parameters, rows: NDArray[np.floating]) -> Array:
        """Return the probability of each component given each row, but not its label: (n_rows, K)."""
        if self.groups is not None and self.parts is not None and self.parts.groups is not None:
            measured, n_errors = self._measured(rows)
            own = InGroups("responsibilities", parameters, self.parts.groups, n_errors)
            return own(np.hstack([measured, self.groups]))
        return densities.responsibilities(model, *self._measured(rows))

    def log_densities(self, model: Evaluable, rows: NDArray[np.floating]) -> Array:
        """Return the log density of each row, groups apart: shape (n_rows,)."""
        return densities.log_densities(model, *self._measured(rows))

    def _measured(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.floating], int]:
        if self.errors is None:
            return rows, 0
        return np.hstack([rows, self.errors]), self.errors.shape[1]

    def variances_along(self, numbers: NDArray[np.intp], coefficients: Array, n_features: int) -> Array:
        """Return variances of errors along an axis, each of as many rows: shape (n_sizes,); 0 of none."""
        if self.errors is None:
            return np.zeros(1)
        if self.errors.shape[1] == n_features:
            found = self.errors[:, numbers] @ np.square(coefficients)
        else:
            own = error_matrices(self.errors, n_features)[:, numbers][:, :, numbers]
            found = np.einsum("i,nij,j->n", coefficients, own, coefficients)
        shares = (np.arange(SIZES_OF_ERRORS) + 0.5) / SIZES_OF_ERRORS
        return quantiles_of(found, shares, self.weights)


def quantiles_of(values: Array, shares: Array, weights: Array | None) -> Array:
    """Return quantiles of values, as they weigh."""
    if weights is None:
        return np.quantile(values, shares)
    return np.quantile(values, shares, weights=weights, method="inverted_cdf")


def effective_number(weights: Array | None, n_rows: int) -> float:
    """Return the effective number of rows (Kish): the squared sum of weights by the sum of squares."""
    return float(n_rows) if weights is None else float(weights.sum() ** 2 / np.square(weights).sum())


Take = Callable[[NDArray[np.floating], int], tuple[NDArray[np.floating], DrawnSideInformation]]
"""Takes drawn rows with what is beside them, and the number of all rows, apart."""


def with_side_information(
    mixture: Any,
    measured: MeasuredRows,
    sample_weight: WeightsLike | None,
    labels: LabelsLike | None,
    groups: GroupsLike | None,
) -> tuple[Source, Take]:
    """Add the side information of rows after their features, to be drawn together.

    Returns
    -------
    source : Source
    take : callable
        Takes what was drawn of it apart.

    Raises
    ------
    ValueError
        For weights, labels, groups or errors that are not such as rows or mixture have.
    """
    n_features, n_errors = measured.rows.n_features, measured.n_errors
    weights = open_sample_weight(sample_weight, measured.rows)
    given, parts = parts_for(mixture, measured, weights, labels, groups)
    rows, columns = measured.joined, given.columns if weights is None else (*given.columns, weights)
    together = with_columns(rows, *columns) if columns else rows
    n_groups, n_labels = (0 if each is None else each.n_features for each in (given.groups, given.labels))

    def take(drawn: NDArray[np.floating], n_all: int) -> tuple[NDArray[np.floating], DrawnSideInformation]:
        if weights is None and drawn.shape[1] == n_features:
            return drawn, DrawnSideInformation()
        own = None if weights is None else drawn[:, -1].astype(np.float64)
        n_left_out = 0
        if own is not None:
            _check_weights(own)
            kept = own > 0.0
            n_left_out = int((~kept).sum()) if len(drawn) == n_all else 0
            drawn, own = drawn[kept], own[kept]
        ends = np.cumsum([n_features, n_errors, n_groups, n_labels]).tolist()
        values, *others = np.split(drawn, ends, axis=1)[:-1]
        errors, of_groups, of_labels = (each.astype(np.float64) if each.shape[1] else None for each in others)
        return values, DrawnSideInformation(own, errors, of_groups, of_labels, parts, n_left_out)

    return together, take


def _check_weights(weights: Array) -> None:
    """Refuse weights that no rows have: the first of such, and rows of which none counts."""
    wrong = np.flatnonzero(~(weights >= 0.0))
    if len(wrong):
        raise ValueError(
            f"sample_weight has {weights[wrong[0]]} among the rows drawn: weights are numbers of at least 0"
        )
    if not (weights > 0.0).any():
        raise ValueError("sample_weight is zero in every row drawn: there is nothing to draw")
