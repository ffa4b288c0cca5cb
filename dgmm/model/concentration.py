"""Priors of the weights of a Bayesian mixture: truncated Dirichlet process, Dirichlet distribution.

Both are exponential families: their divergence from the prior is a product of what the parameters differ by
and the expected logarithms, and a difference of log normalizers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma, gammaln

from dgmm.model.matrices import Array

CERTAIN_CONCENTRATION = 2.0**1000
"""Counts as large as this leave no doubt of weights: expected logarithms are logarithms."""


class Concentration(ABC):
    """A kind of prior; the posterior is of the same kind, and is given by its concentration alone."""

    name: ClassVar[str]
    is_ordered: ClassVar[bool]
    """Whether it matters which component comes first."""

    @abstractmethod
    def prior(self, concentration: float, n_components: int) -> Array:
        """Return the concentration before any rows, in the shape of the posterior's."""

    @abstractmethod
    def posterior(self, concentration: float, counts: Array) -> Array:
        """Return the concentration after rows, from the prior's and the components' counts (K,)."""

    @abstractmethod
    def certain(self, weights: Array) -> Array:
        """Return the concentration of a posterior that is certain of weights (K,)."""

    @abstractmethod
    def reordered(self, concentrations: Array, order: NDArray[np.intp]) -> Array:
        """Return concentrations with which components in another order have the same ``E[log π_k]``."""

    @abstractmethod
    def expected_logarithms(self, concentrations: Array) -> Array:
        """Return the expectations that belong to each entry of ``concentrations``, nats."""

    @abstractmethod
    def log_weights(self, concentrations: Array) -> Array:
        """Return ``E[log π_k]``: shape (K,), nats."""

    @abstractmethod
    def weights(self, concentrations: Array) -> Array:
        """Return ``E[π_k]``, made to sum to 1: shape (K,)."""

    @abstractmethod
    def log_normalizer(self, concentrations: Array) -> float:
        """Return the logarithm of the integral of the density without its constant, nats."""


class DirichletDistribution(Concentration):
    """Weights of a Dirichlet distribution; its concentrations have the shape (K,)."""

    name = "dirichlet_distribution"
    is_ordered = False

    def prior(self, concentration, n_components):
        """One concentration for all components."""
        return np.full(n_components, float(concentration))

    def posterior(self, concentration, counts):
        """Each component's count is added."""
        return concentration + counts

    def certain(self, weights):
        """In proportion to the weights, and next to nothing for those of zero."""
        return np.maximum(CERTAIN_CONCENTRATION * weights, 1.0 / CERTAIN_CONCENTRATION)

    def reordered(self, concentrations, order):
        """They are of any order."""
        return concentrations[order]

    def expected_logarithms(self, concentrations):
        """``E[log π_k]``."""
        return digamma(concentrations) - digamma(concentrations.sum())

    def log_weights(self, concentrations):
        """The same."""
        return self.expected_logarithms(concentrations)

    def weights(self, concentrations):
        """In proportion to the concentrations."""
        return concentrations / concentrations.sum()

    def log_normalizer(self, concentrations):
        """Of a Dirichlet distribution."""
        return float(gammaln(concentrations).sum() - gammaln(concentrations.sum()))


class DirichletProcess(Concentration):
    """Weights ``π_k = v_k Π_{j<k} (1 − v_j)`` of sticks that are broken in order, ``v_k ~ Beta(1, γ)``.

    Concentrations have the shape (2, K): both parameters of each ``v_k``'s beta distribution. As in
    scikit-learn the last stick is broken too, and what is left of it belongs to no component (Blei and
    Jordan, 2006, whose last stick is whole).
    """

    name = "dirichlet_process"
    is_ordered = True

    def prior(self, concentration, n_components):
        """``Beta(1, γ)``, each."""
        return np.stack([np.ones(n_components), np.full(n_components, float(concentration))])

    def posterior(self, concentration, counts):
        """The own count is added to the first, those of all later components to the second parameter."""
        return np.stack([1.0 + counts, concentration + _later(counts)])

    def certain(self, weights):
        """In proportion to what a component has and what is left, and next to nothing where that is zero."""
        return np.maximum(
            CERTAIN_CONCENTRATION * np.stack([weights, _later(weights)]), 1.0 / CERTAIN_CONCENTRATION
        )

    def reordered(self, concentrations, order):
        """Of sticks that are broken where the expected logarithms say, without a doubt; some is left over."""
        weights = np.exp(self.log_weights(concentrations))[order]
        left = 1.0 - np.cumsum(weights)
        return np.maximum(CERTAIN_CONCENTRATION * np.stack([weights, left]), 1.0 / CERTAIN_CONCENTRATION)

    def expected_logarithms(self, concentrations):
        """``E[log v_k]`` and ``E[log(1 − v_k)]``."""
        return digamma(concentrations) - digamma(concentrations.sum(axis=0))

    def log_weights(self, concentrations):
        """``E[log v_k] + Σ_{j<k} E[log(1 − v_j)]``."""
        broken, left = self.expected_logarithms(concentrations)
        return broken + np.append(0.0, np.cumsum(left)[:-1])

    def weights(self, concentrations):
        """Expected pieces of the stick, made to sum to 1."""
        broken, left = concentrations / concentrations.sum(axis=0)
        weights = broken * np.append(1.0, np.cumprod(left[:-1]))
        return weights / weights.sum()

    def log_normalizer(self, concentrations):
        """Of all the beta distributions."""
        return float(betaln(*concentrations).sum())


def _later(counts: Array) -> Array:
    """Return what all later components have: (K,)."""
    return np.append(np.cumsum(counts[::-1])[-2::-1], 0.0)


CONCENTRATIONS: dict[str, Concentration] = {
    kind.name: kind for kind in (DirichletProcess(), DirichletDistribution())
}
"""The kinds of prior by scikit-learn's names for them (``weight_concentration_prior_type``)."""
