"""Splits of a component into the core of its rows and those around it, which may have the same centre.

Halves on either side of a mean are what EM finds where rows are of two clusters. Rows with heavy tails are
better described by a narrow component within a wide one; and so are rows of which many fulfil an equation
exactly, such as a sum of other columns, and others do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.fitting.starts.moves import Move
from dgmm.fitting.starts.parts import own_rows, split_by_members
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class CoreSplitTuning:
    """Which components are split so. Half and double: not measured.

    Attributes
    ----------
    n_splits : int
        Those whose tails are the heaviest, by their rows' kurtosis and how many they are.
    heavy : float
        Times the kurtosis of a normal distribution: with less, a component has no core.
    """

    n_splits: int = 4
    heavy: float = 1.1


CORE_SPLITS = CoreSplitTuning()


def core_splits(
    data: InMemory,
    parameters: Parameters,
    objective: Likelihood,
    n_steps: int,
    components: Iterable[int] | None = None,
    *,
    share: Array,
) -> list[Move]:
    """Split components into a core and what is around it: see `dgmm.fitting.starts.splits.best_splits`.

    Parameters
    ----------
    data : InMemory
    parameters : Parameters
        Of a family whose components have covariances of their own; there are no such splits of others.
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
    if parameters.family.is_shared:
        return []
    heavy = []
    for component in range(parameters.n_components) if components is None else components:
        own = own_rows(data, share[component])
        if len(own) >= 2 * rows_of_a_covariance(parameters.n_features):
            weights = share[component, own].astype(np.float64)
            squares = _squared_distances(parameters, data.rows[own], component)
            excess = _kurtosis(squares, weights, parameters.n_features) - CORE_SPLITS.heavy
            heavy.append((weights.sum() * excess, component, own, _core(squares, weights)))
    found = []
    for excess, component, own, core in sorted(heavy, key=lambda each: -each[0])[: CORE_SPLITS.n_splits]:
        if excess > 0.0:
            with suppress(DegenerateCovarianceError):
                is_core = np.zeros(len(data.rows), dtype=bool)
                is_core[own[core]] = True
                found.append(
                    split_by_members(
                        data, parameters, objective, n_steps, component, share=share, member=is_core
                    )
                )
    return found


def _squared_distances(parameters: Parameters, rows: NDArray[np.floating], component: int) -> Array:
    """Return the squared Mahalanobis distances of rows to a component: (n_rows,)."""
    deviations = (rows - parameters.means[component]).T
    return (parameters.family.standardize(deviations, parameters.precisions_cholesky, component) ** 2).sum(0)


def _kurtosis(squares: Array, weights: Array, n_features: int) -> float:
    """Return the mean square of squared distances (Mardia, 1970), in units of a normal distribution's."""
    mean = np.average(squares, weights=weights)
    if mean == 0.0:  # all rows are the mean
        return 0.0
    return float(np.average((squares / mean) ** 2, weights=weights) * n_features / (n_features + 2.0))


def _core(squares: Array, weights: Array) -> NDArray[np.intp]:
    """Return the nearest rows, of half of the weight."""
    order = np.argsort(squares, kind="stable")
    sums = np.cumsum(weights[order])
    return order[: np.searchsorted(sums, 0.5 * sums[-1]) + 1]
