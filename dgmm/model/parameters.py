"""The parameters of a mixture: frozen weights, means and covariances in the data's own units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dgmm.model.families import Family
from dgmm.model.matrices import Array

LOG_2_PI = float(np.log(2.0 * np.pi))

LOG_OF_NOTHING = -1e30
"""Stands for −inf in natural parameters, where BLAS would multiply it with the zeros of its padding."""


def finite_logs(weights: Array) -> Array:
    """Return the logarithms of weights, `LOG_OF_NOTHING` where these are zero."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(weights), LOG_OF_NOTHING)


class Evaluable(Protocol):
    """What the kernels know of a model: ``log p(x, k) = log_constants_k − ½‖U_kᵀ(x − μ_k)‖²``."""

    @property
    def family(self) -> Family:
        """The covariance structure."""
        ...

    @property
    def log_constants(self) -> Array:
        """Log joint density at the mean of each component: shape (K,)."""
        ...

    @property
    def means(self) -> Array:
        """Shape (K, D)."""
        ...

    @property
    def precisions_cholesky(self) -> Array:
        """Factors U_k of the precisions, shaped as the family says."""
        ...


@dataclass(frozen=True, eq=False)
class Parameters:
    """A Gaussian mixture of K components on D features.

    Attributes
    ----------
    family : Family
        The covariance structure.
    weights : ndarray of shape (K,)
        Mixing proportions.
    means : ndarray of shape (K, D)
    covariances, precisions_cholesky : ndarray
        Shaped as the family says. ``precisions_cholesky`` holds U with ``precision = U Uᵀ``.
    group_weights : ndarray of shape (n_groups, K), or None
        Mixing proportions in each group of rows, where groups have their own; ``weights`` are of all rows.
    """

    family: Family
    weights: Array
    means: Array
    covariances: Array
    precisions_cholesky: Array
    group_weights: Array | None = field(default=None, kw_only=True)

    @classmethod
    def from_covariances(cls, family: Family, weights: Array, means: Array, covariances: Array) -> Parameters:
        """Make parameters from covariances.

        Raises
        ------
        DegenerateCovarianceError
            Where a covariance is not positive definite.
        """
        return cls(family, weights, means, covariances, family.precisions_cholesky(covariances))

    def shifted(self, offset: Array) -> Parameters:
        """Return the same mixture for rows that are moved by an offset of shape (D,)."""
        return replace(self, means=self.means + offset)

    def chosen(self, components: Sequence[int] | NDArray[np.intp]) -> Parameters:
        """Return some components, or all in another order, with the weights that they have here."""
        return Parameters(
            self.family,
            self.weights[components],
            self.means[components],
            self.family.chosen(self.covariances, components),
            self.family.chosen(self.precisions_cholesky, components),
            group_weights=None if self.group_weights is None else self.group_weights[:, components],
        )

    def part(self, components: Sequence[int] | NDArray[np.intp]) -> Parameters:
        """Return some components as a mixture of their own."""
        part, own = self.chosen(components), None
        if part.group_weights is not None:
            own = part.group_weights / part.group_weights.sum(axis=1, keepdims=True)
        return replace(part, weights=part.weights / part.weights.sum(), group_weights=own)

    def weights_in(self, n_groups: int) -> Array:
        """Return the weights in each of so many groups: (n_groups, K); those of all rows without others."""
        if self.group_weights is None:
            return np.repeat(self.weights[None], n_groups, axis=0)
        assert len(self.group_weights) == n_groups
        return self.group_weights

    @property
    def n_components(self) -> int:
        """Number of components K."""
        return self.means.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features D."""
        return self.means.shape[1]

    @property
    def precisions(self) -> Array:
        """Inverse covariances, shaped as `covariances`."""
        return self.family.precisions(self.precisions_cholesky)

    @property
    def covariance_matrices(self) -> Array:
        """Covariances as matrices of shape (K, D, D), whatever the family."""
        return self.family.to_matrices(self.covariances, self.n_components, self.n_features)

    @property
    def variances(self) -> Array:
        """Variances of all features in each component: shape (K, D)."""
        return self.family.variances(self.covariances, self.n_components, self.n_features)

    @property
    def log_constants(self) -> Array:
        """Log joint density of each component at its mean, ``log p(μ_k, k)``: shape (K,), nats."""
        half_log_determinants = self.family.half_log_determinants(self.precisions_cholesky, self.n_features)
        with np.errstate(divide="ignore"):  # a weight of zero is a log weight of −inf
            return np.log(self.weights) - 0.5 * self.n_features * LOG_2_PI + half_log_determinants

    @property
    def n_parameters_of_one(self) -> int:
        """Number of free parameters that a component has of its own: weight, mean, and maybe a covariance."""
        own = 0 if self.family.is_shared else self.family.n_parameters_of_one(self.n_features)
        return 1 + self.n_features + own

    @property
    def n_parameters(self) -> int:
        """Number of free parameters: covariances, means and K − 1 weights, or as many in each group."""
        n_covariance = self.family.n_covariance_parameters(self.n_components, self.n_features)
        n_groups = 1 if self.group_weights is None else len(self.group_weights)
        return n_covariance + self.n_features * self.n_components + n_groups * (self.n_components - 1)
