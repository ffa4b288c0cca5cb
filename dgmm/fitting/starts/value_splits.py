"""Values that rows repeat: splits of a component by one, and rows in groups by several.

EM from two halves finds a value that rows repeat by chance alone; and where a component has such a value for
itself, its likelihood is larger by as much as ``reg_covar`` lets it be narrow. So seeds agree only if all of
them find the same values.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.fitting.starts.moves import Move
from dgmm.fitting.starts.parts import split_by_members
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import Family
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class ValueSplitTuning:
    """Which values get a component. Of `of_average` double was measured (docs/notes/2026-11-27-using.md).

    Attributes
    ----------
    of_average : float
        Share of the rows that a component has on average: a value that fewer have is none of its own. Whole
        numbers with many values are left to be what they are, nearly continuous. It is well below what values
        have that components are wanted for: splits are made of those that gain most. Half of the average was
        not: a value of 5.0% of the rows was one with a seed, and none with another.
    fewest : int
        Components: of mixtures with fewer, as much as one of so many has on average counts.
    n_splits : int
        That promise most are made.
    widest : float
        Times ``reg_covar``: a component that is as narrow already has the value.
    """

    of_average: float = 0.25
    fewest: int = 10
    n_splits: int = 4
    widest: float = 4.0


VALUE_SPLITS = ValueSplitTuning()


def value_splits(
    data: InMemory,
    parameters: Parameters,
    objective: Likelihood,
    n_steps: int,
    components: Iterable[int] | None = None,
    *,
    share: Array,
) -> list[Move]:
    """Split components by values that rows repeat: see `dgmm.fitting.starts.splits.best_splits`.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
        Of a family whose components have covariances of their own that can be narrow in one feature alone;
        there are no such splits of others.
    objective : Likelihood
    n_steps : int
        EM steps of the two parts, on the component's own rows.
    components : iterable of int, optional
        Those to split; all by default.
    share : ndarray of shape (K, n_rows)
        See `dgmm.fitting.starts.parts.shares`.

    Returns
    -------
    list of Move
        One of a component at the most.
    """
    common = _common(data, parameters.family, parameters.n_components, objective)
    if common is None:
        return []
    features, members = common
    numbers = np.arange(parameters.n_components) if components is None else np.array([*components], np.intp)
    promised = _promised(parameters, objective.reg_covar, share, features, members)[numbers]
    best = promised.argmax(axis=1)
    order = np.argsort(-promised.max(axis=1), kind="stable")[: VALUE_SPLITS.n_splits]
    found = []
    for index in order.tolist():
        if promised[index, best[index]] > 0.0:
            with suppress(DegenerateCovarianceError):
                component = int(numbers[index])
                found.append(
                    split_by_members(
                        data,
                        parameters,
                        objective,
                        n_steps,
                        component,
                        share=share,
                        member=members[best[index]],
                    )
                )
    return found


def grouped_by_values(
    data: InMemory, family: Family, n_components: int, objective: Likelihood, n_groups: int
) -> NDArray[np.intp] | None:
    """Group rows by the values that many of them have: those of most rows first, without rows that are taken.

    Parameters
    ----------
    data : InMemory
    family : Family
        Of the components that each have a group; see `value_splits`.
    n_components : int
    objective : Likelihood
    n_groups : int

    Returns
    -------
    ndarray of shape (n_rows,) or None
        The group of each row, or −1; None where there are not so many such values.
    """
    common = _common(data, family, n_components, objective)
    if common is None:
        return None
    _, members = common
    weights = np.ones(len(data.rows)) if data.row_weights is None else data.row_weights.astype(np.float64)
    groups, least = np.full(len(data.rows), -1), least_share(n_components) * weights.sum()
    for group in range(n_groups):
        own = members @ np.where(groups < 0, weights, 0.0)
        if own.max() < least:
            return None
        groups[members[own.argmax()] & (groups < 0)] = group
    return groups


def least_share(n_components: int) -> float:
    """Return the share of the rows that a value must have for a component of its own."""
    return VALUE_SPLITS.of_average / max(n_components, VALUE_SPLITS.fewest)


def _common(
    data: InMemory, family: Family, n_components: int, objective: Likelihood
) -> tuple[NDArray[np.intp], NDArray[np.bool_]] | None:
    """Return the features and members of values that components can have for themselves; None without any."""
    if family.is_shared or family.is_round or objective.reg_covar == 0.0:
        return None
    values = data.repeated
    is_common = values.shares >= least_share(n_components)
    return (values.features[is_common], values.members[is_common]) if is_common.any() else None


def _promised(
    parameters: Parameters,
    reg_covar: float,
    share: Array,
    features: NDArray[np.intp],
    members: NDArray[np.bool_],
) -> Array:
    """Estimate what a component gains by a split at a value, nats: (K, n_values); −∞ where none is made.

    Given the other features, one of a component has a variance of one over its precision, and ``reg_covar``
    once all its rows have one value, which is their mean; that a row may be of either part costs the entropy
    of their shares.
    """
    n_components, n_features = parameters.n_components, parameters.n_features
    matrices = parameters.family.to_matrices(parameters.precisions, n_components, n_features)
    variances = 1.0 / np.diagonal(matrices, axis1=1, axis2=2)[:, features]
    counts = share.sum(axis=1, dtype=np.float64)[:, None]
    own = (share @ members.T.astype(share.dtype)).astype(np.float64)
    fewest = 2 * rows_of_a_covariance(n_features)
    may = (own >= fewest) & (counts - own >= fewest) & (variances > VALUE_SPLITS.widest * reg_covar)
    parts = np.where(may, own / np.where(counts > 0.0, counts, 1.0), 0.5)
    entropy = -parts * np.log(parts) - (1.0 - parts) * np.log1p(-parts)
    gains = counts * (0.5 * parts * (np.log(variances / reg_covar) + 1.0) - entropy)
    return np.where(may, gains, -np.inf)
