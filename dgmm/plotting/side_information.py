"""Side information of the rows of a picture: weights, measurement errors, groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data.side_by_side import with_columns
from dgmm.data.source import Source
from dgmm.data.types import GroupsLike, WeightsLike
from dgmm.estimators.errors import MeasuredRows
from dgmm.estimators.labels_and_groups import InGroups, with_groups
from dgmm.estimators.validation import open_sample_weight
from dgmm.kernels import densities
from dgmm.kernels.measured import error_matrices
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable, Parameters

SIZES_OF_ERRORS = 64
"""Sizes that stand for the errors of all rows, where what is measured is drawn along an axis."""


@dataclass(frozen=True, eq=False)
class SideInformation:
    """Side information of rows: row weights, measurement errors, groups.

    Attributes
    ----------
    weights : ndarray of shape (n_rows,) or None
        All above zero.
    errors : ndarray of shape (n_rows, n_errors) or None
        Variances of measurement errors, or covariances: see `dgmm.kernels.measured`.
    groups : ndarray of shape (n_rows, 1) or None
        Numbers of groups.
    numbers : ndarray of shape (n_groups,) or None
        Of all groups, ascending.
    n_left_out : int
        Rows without weight, where all rows are there but these.
    """

    weights: Array | None = None
    errors: Array | None = None
    groups: Array | None = None
    numbers: Array | None = None
    n_left_out: int = 0

    def part(self, of: NDArray[np.bool_]) -> SideInformation:
        """Return the side information of some of the rows (a mask)."""
        weights, errors, groups = (
            None if each is None else each[of] for each in (self.weights, self.errors, self.groups)
        )
        return replace(self, weights=weights, errors=errors, groups=groups)

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

    def responsibilities(self, model: Evaluable, parameters: Parameters, rows: NDArray[np.floating]) -> Array:
        """Return the probability of each component given each row: shape (n_rows, n_components)."""
        if self.groups is not None and self.numbers is not None:
            measured, n_errors = self._measured(rows)
            own = InGroups("responsibilities", parameters, self.numbers, n_errors)
            return own(np.hstack([measured, self.groups]))
        return densities.responsibilities(model, *self._measured(rows))

    def log_densities(self, model: Evaluable, rows: NDArray[np.floating]) -> Array:
        """Return the log density of each row, groups apart: shape (n_rows,)."""
        return densities.log_densities(model, *self._measured(rows))

    def _measured(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.floating], int]:
        if self.errors is None:
            return rows, 0
        return np.hstack([rows, self.errors]), self.errors.shape[1]

    def noise(self, n_features: int, generator: np.random.Generator) -> Array:
        """Draw measurement errors, as those of the rows: shape (n_rows, n_features)."""
        assert self.errors is not None
        drawn = generator.standard_normal((len(self.errors), n_features))
        if self.errors.shape[1] == n_features:
            return np.sqrt(self.errors) * drawn
        values, vectors = np.linalg.eigh(error_matrices(self.errors, n_features))
        return np.einsum("nij,nj->ni", vectors, np.sqrt(np.maximum(values, 0.0)) * drawn)

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


Take = Callable[[NDArray[np.floating], int], tuple[NDArray[np.floating], SideInformation]]
"""Takes drawn rows with what is beside them, and the number of all rows, apart."""


def with_side_information(
    mixture: Any,
    measured: MeasuredRows,
    sample_weight: WeightsLike | None,
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
        For weights, groups or errors that are not such as rows or mixture have.
    """
    rows, n_features, n_errors = measured.joined, measured.rows.n_features, measured.n_errors
    numbers = None
    if groups is not None:
        rows, numbers = with_groups(mixture, rows, groups)
    weights = open_sample_weight(sample_weight, measured.rows)
    together = rows if weights is None else with_columns(rows, weights)

    def take(drawn: NDArray[np.floating], n_all: int) -> tuple[NDArray[np.floating], SideInformation]:
        if weights is None and drawn.shape[1] == n_features:
            return drawn, SideInformation()
        own = None if weights is None else drawn[:, -1].astype(np.float64)
        n_left_out = 0
        if own is not None:
            _check_weights(own)
            kept = own > 0.0
            n_left_out = int((~kept).sum()) if len(drawn) == n_all else 0
            drawn, own = drawn[kept], own[kept]
        n_before = n_features + n_errors
        return drawn[:, :n_features], SideInformation(
            own,
            drawn[:, n_features:n_before].astype(np.float64) if n_errors else None,
            None if numbers is None else drawn[:, n_before : n_before + 1],
            numbers,
            n_left_out,
        )

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
