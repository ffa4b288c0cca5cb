"""Where each parameter stands in a flat vector of all: weights, means, covariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.model.families import Family
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class Layout:
    """Where parameters are in a row of all of them: weights, means, covariances, packed.

    Attributes
    ----------
    family : Family
    n_components, n_features : int
    n_groups : int
        That have weights of their own, one group after the other; 0 where weights are of all rows.
    """

    family: Family
    n_components: int
    n_features: int
    n_groups: int = 0

    @classmethod
    def of(cls, parameters: Parameters) -> Layout:
        """Return that of a mixture."""
        own = parameters.group_weights
        n_groups = 0 if own is None else len(own)
        return cls(parameters.family, parameters.n_components, parameters.n_features, n_groups)

    @property
    def weights_shape(self) -> tuple[int, int]:
        """How many sets of weights there are, and of how many components."""
        return max(self.n_groups, 1), self.n_components

    @property
    def n_weights(self) -> int:
        """Weights of all groups together."""
        return max(self.n_groups, 1) * self.n_components

    @property
    def n_widths(self) -> int:
        """Parameters of one covariance."""
        return self.family.n_parameters_of_one(self.n_features)

    @property
    def n_own(self) -> int:
        """Parameters that a component's density depends on, and features φ of a row."""
        return 1 + self.n_features + self.n_widths

    @property
    def n_parameters(self) -> int:
        """All, with K weights, or as many of each group."""
        k, n_features = self.n_components, self.n_features
        return self.n_weights + k * n_features + self.family.n_covariance_parameters(k, n_features)

    def parts(self, component: int, group: int = 0) -> tuple[slice, slice, slice]:
        """Where the weight, the mean and the covariance of a component are."""
        k, n_features = self.n_components, self.n_features
        weight, mean = group * k + component, self.n_weights + component * n_features
        width = self.n_weights + k * n_features
        width += 0 if self.family.is_shared else component * self.n_widths
        return (
            slice(weight, weight + 1),
            slice(mean, mean + n_features),
            slice(width, width + self.n_widths),
        )

    def places(self, component: int) -> NDArray[np.intp]:
        """The same of a component's mean and covariance as numbers: (n_own - 1,)."""
        _, *own = self.parts(component)
        return np.concatenate([np.arange(part.start, part.stop) for part in own])

    def places_of(self, components: NDArray[np.intp], group: int = 0) -> NDArray[np.intp]:
        """Where the parameters of some components are, in the order of a layout of these and one group."""
        parts = (self.parts(component, group) for component in components.tolist())
        weights, means, widths = zip(*parts, strict=True)
        parts = (*weights, *means, *(widths[:1] if self.family.is_shared else widths))
        return np.concatenate([np.arange(part.start, part.stop) for part in parts])

    def shaped(self, values: Array) -> tuple[Array, Array, Array]:
        """Return values (n_parameters,) in the shapes of weights (of each group), means and covariances."""
        k, n_features = self.n_components, self.n_features
        weights, means, widths = np.split(values, [self.n_weights, self.n_weights + k * n_features])
        widths = widths.reshape(-1, self.n_widths)
        covariances = self.family.unpacked(widths[0] if self.family.is_shared else widths, n_features)
        weights = weights.reshape(self.weights_shape) if self.n_groups else weights
        return weights, means.reshape(k, n_features), covariances
