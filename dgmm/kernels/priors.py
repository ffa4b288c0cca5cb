"""Log priors of single rows over components, from labels, weights or groups.

A log prior is added to each log joint density of a row before these are normalized. So a label, which leaves
one component alone; a distribution over components that a row has of its own; and the weights of the group
that a row is of, in the place of those of all rows, are one and the same to a kernel. It also counts
responsibilities by group: of these an M-step makes the groups' weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.rare import shares_of
from dgmm.kernels.stack import Group, Stack
from dgmm.model.matrices import Array


class RowPriors(NamedTuple):
    """Priors of rows over the components of each model of a stack.

    Attributes
    ----------
    log_priors : tuple of ndarray of shape (K, n_places)
        Of each model: finite, as `dgmm.model.parameters.LOG_OF_NOTHING` stands for −∞. They may be looked up
        by many rows.
    places : ndarray of shape (n_rows,), int64
        Which of them each row has.
    groups : ndarray of shape (n_rows,), int64
        The group of each row, below `Stack.n_groups`; zeros where that is none.
    """

    log_priors: tuple[Array, ...]
    places: NDArray[np.int64]
    groups: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Bytes of what is of rows."""
        return self.places.nbytes + self.groups.nbytes

    def of_rows(self, which: slice | NDArray[np.intp] | NDArray[np.bool_]) -> RowPriors:
        """Return those of some rows."""
        return RowPriors(self.log_priors, self.places[which], self.groups[which])

    def of_models(self, models: Sequence[int]) -> RowPriors:
        """Return those over the components of some models."""
        return RowPriors(tuple(self.log_priors[model] for model in models), self.places, self.groups)

    def of_model(self, model: int) -> Array:
        """Return those over the components of a model, row by row: (K, n_rows)."""
        return self.log_priors[model][:, self.places]

    def of_group(self, group: Group) -> Array:
        """Return the log priors of all components of a group of models: (n_components, n_places)."""
        first, *others = (self.log_priors[model] for model in group.models)
        return np.concatenate([first, *others]) if others else first

    def add_to(self, densities: NDArray[np.floating], group: Group) -> None:
        """Add them to the log joint densities (n_components, n_rows) of a group of models."""
        log_priors = chain.from_iterable(self.log_priors[model] for model in group.models)
        for k, known in enumerate(log_priors):
            densities[k] += known[self.places]

    def add_counts(self, responsibilities: NDArray[np.floating], counts: Array) -> None:
        """Add (weighted) responsibilities (n_components, n_rows) to counts (n_components, n_groups)."""
        n_components, n_groups = counts.shape
        if n_groups:
            for k in range(n_components):
                counts[k] += np.bincount(self.groups, responsibilities[k], n_groups)


def weighted_shares(
    log_joint: Array, weights: Array | None, priors: RowPriors | None, group_counts: Array | None
) -> tuple[Array, Array]:
    """Turn log joint densities in one model into responsibilities and log densities, both times weights.

    Parameters
    ----------
    log_joint : ndarray of shape (n_rows, K)
    weights : ndarray of shape (n_rows,), or None
    priors : RowPriors or None
        Of these rows, for this model alone.
    group_counts : ndarray of shape (n_groups, K), or None
        Responsibilities are added to the groups of rows with priors.

    Returns
    -------
    shares : ndarray of shape (n_rows, K)
    log_densities : ndarray of shape (n_rows,)
    """
    if priors is not None:
        log_joint = log_joint + priors.of_model(0).T
    shares, log_densities = shares_of(log_joint)
    if weights is not None:
        shares *= weights[:, None]
        log_densities *= weights
    if priors is not None and group_counts is not None:
        priors.add_counts(shares.T, group_counts.T)
    return shares, log_densities


def counted(stack: Stack, responsibilities: Array, priors: RowPriors | None) -> Array | None:
    """Count (weighted) responsibilities (K, n_rows) by group: (n_groups, K), or None without groups."""
    if not stack.n_groups:
        return None
    counts = np.zeros((len(responsibilities), stack.n_groups))
    if priors is not None:
        priors.add_counts(responsibilities, counts)
    return counts.T


def no_counts(stack: Stack) -> list[Array]:
    """Return counts of no rows by group, for each group of models: (n_components, n_groups)."""
    return [np.zeros((len(group.natural_parameters), stack.n_groups)) for group in stack.groups]
