"""Missing values given the observed ones: means, covariances, modes and draws.

Rows that lack the same features share all that does not depend on their values, and are worked on together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dgmm.kernels import densities
from dgmm.kernels.patterns import patterns_of
from dgmm.model.conditional import Conditional, conditional
from dgmm.model.families import Family
from dgmm.model.matrices import Array
from dgmm.model.modes import highest_modes
from dgmm.model.parameters import Parameters

FILLED_BYTES = 2**23
"""Bytes of the means of components for the rows that are worked on at once, where a row allows."""


@dataclass(frozen=True, eq=False)
class ConditionedRows:
    """The conditional mixtures of rows that lack the same features.

    Attributes
    ----------
    conditional : Conditional
    weights : ndarray of shape (n_rows, K)
    means : ndarray of shape (K, n_rows, n_missing)
    """

    conditional: Conditional
    weights: Array
    means: Array

    @classmethod
    def of(cls, found: Conditional, known: Array) -> ConditionedRows:
        """Condition on the known values of rows: (n_rows, n_known)."""
        if len(found.known):
            weights = densities.responsibilities(found.of_known, known)
        else:
            weights = np.tile(found.of_known.weights, (len(known), 1))
        return cls(found, weights, found.expected(known))

    @property
    def expected(self) -> Array:
        """Means of the mixtures: (n_rows, n_missing)."""
        return np.einsum("nk,knm->nm", self.weights, self.means)

    @property
    def covariances(self) -> Array:
        """Covariances of the mixtures: (n_rows, n_missing, n_missing)."""
        within = self._family.to_matrices(self.conditional.covariances, len(self.means), self.means.shape[2])
        gaps = self.means - self.expected
        scaled = np.sqrt(self.weights)[:, :, None] * np.swapaxes(gaps, 0, 1)
        between = np.swapaxes(scaled, 1, 2) @ scaled
        return np.einsum("nk,kij->nij", self.weights, within) + between

    @property
    def modes(self) -> Array:
        """Where the mixtures' densities are highest: (n_rows, n_missing)."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        return highest_modes(self._family, log_weights, self.means, self.conditional.precisions_cholesky)

    def drawn(self, uniforms: Array) -> Array:
        """Draw a row of each mixture: (n_rows, n_missing).

        Parameters
        ----------
        uniforms : ndarray of shape (n_rows, 1 + n_missing)
            Between 0 and 1, exclusively: the first decides on the component, the others on the values.
        """
        cumulated = np.cumsum(self.weights, axis=1)
        labels = (cumulated <= uniforms[:, :1] * cumulated[:, -1:]).sum(axis=1)
        deviates = ndtri(uniforms[:, 1:])
        n_missing = deviates.shape[1]
        result = self.means[labels, np.arange(len(labels))]
        if not self._family.has_products:
            variances = self._family.variances(self.conditional.covariances, len(self.means), n_missing)
            return result + deviates * np.sqrt(variances)[labels]
        for component in np.unique(labels):
            mine = labels == component
            factor = self._family.chosen(self.conditional.precisions_cholesky, component)
            result[mine] += np.linalg.solve(factor.T, deviates[mine].T).T
        return result

    @property
    def _family(self) -> Family:
        return self.conditional.of_known.family


def conditioned(
    mixture: Parameters, rows: NDArray[np.floating], *, makes_matrices: bool = False
) -> Iterator[tuple[NDArray[np.intp], ConditionedRows]]:
    """Condition a mixture on the values that each row has, pattern by pattern, in pieces of few bytes.

    Parameters
    ----------
    mixture : Parameters
        A plain one, of any sum of weights.
    rows : ndarray of shape (n_rows, n_features)
        What they lack is NaN. Complete ones are left out.
    makes_matrices : bool, default=False
        A matrix will be made for each row.

    Yields
    ------
    numbers : ndarray of int
        Rows that lack the same features, ascending.
    given : ConditionedRows
    """
    incomplete = np.flatnonzero(np.isnan(rows).any(axis=1))
    for is_known, which, alike in patterns_of(rows[incomplete]):
        found = conditional(mixture, is_known)
        numbers, known = incomplete[which], alike[:, found.known].astype(np.float64)
        n_each = mixture.n_components + (len(found.missing) if makes_matrices else 0)
        size = max(1, FILLED_BYTES // (8 * mixture.n_features * n_each))
        for first in range(0, len(numbers), size):
            part = slice(first, first + size)
            yield numbers[part], ConditionedRows.of(found, known[part])
