"""Components merged into clusters, pair by pair, so that assignments become the surest (Baudry et al., 2010).

Of a set of components, ``h = Σ t log t`` over rows, where t is the sum of their responsibilities. The entropy
of assignments to clusters is ``−Σ h`` over them, and merging a and b lowers it by ``h(a ∪ b) − h(a) − h(b)``.
So a pass over the rows that sums h of many sets decides on many merges.

References
----------
Baudry, J.-P., Raftery, A. E., Celeux, G., Lo, K., Gottardo, R. (2010). Combining mixture components for
clustering. Journal of Computational and Graphical Statistics 19, 332-353.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from dgmm.model.matrices import Array

Cluster = frozenset[int]
"""A set of components."""

SUMMED_AT_ONCE = 2**18
"""Numbers, of rows × sets, that are worked on at once."""

DECIDED = 1.0 - 1e-12
"""Responsibility of a component that leaves the others none that matters."""

SURE = 0.01
"""Entropy of assignments, in nats a row, below which components are clusters as they are."""


def memberships(clusters: Iterable[Cluster], n_components: int) -> Array:
    """Return sets of components as columns of zeros and ones: (n_components, n_sets)."""
    rows = [[float(k in cluster) for k in range(n_components)] for cluster in clusters]
    return np.array(rows).reshape(-1, n_components).T


def sums_of_sets(responsibilities: Array, members: Array, weights: Array | None = None) -> Array:
    """Sum h of sets over rows.

    Parameters
    ----------
    responsibilities : ndarray of shape (n_rows, n_components)
    members : ndarray of shape (n_components, n_sets)
        As from `memberships`.
    weights : ndarray of shape (n_rows,), optional

    Returns
    -------
    ndarray of shape (n_sets,)
        At most 0, nats.
    """
    undecided = responsibilities.max(axis=1, initial=0.0) < DECIDED  # others add nothing, to any set
    responsibilities = responsibilities[undecided]
    weights = None if weights is None else weights[undecided]
    step, total = max(1, SUMMED_AT_ONCE // members.shape[1]), np.zeros(members.shape[1])
    for start in range(0, len(responsibilities), step):
        part = slice(start, start + step)
        shares = np.minimum(responsibilities[part] @ members, 1.0)
        terms = xlogy(shares, shares)
        total += terms.sum(axis=0) if weights is None else weights[part] @ terms
    return total


def unions(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Return what merging any two of clusters makes."""
    return [first | second for first, second in combinations(clusters, 2)]


def best_merge(clusters: Sequence[Cluster], sums: Mapping[Cluster, float]) -> tuple[Cluster, Cluster]:
    """Find the pair whose merging lowers the entropy most; the first of those that do so equally."""
    pairs = list(combinations(clusters, 2))
    gains = [sums[first | second] - sums[first] - sums[second] for first, second in pairs]
    return pairs[int(np.argmax(gains))]


def merged(clusters: Sequence[Cluster], pair: tuple[Cluster, Cluster]) -> list[Cluster]:
    """Put what two clusters make after the others."""
    return [cluster for cluster in clusters if cluster not in pair] + [pair[0] | pair[1]]


def needed(clusters: Sequence[Cluster], sums_of: Callable[[Sequence[Cluster]], Array]) -> list[Cluster]:
    """Guess which sets all further merges will ask for: those that they ask for on other rows.

    Parameters
    ----------
    clusters : sequence of Cluster
    sums_of : callable
        Gives h of sets, summed over these rows.

    Returns
    -------
    list of Cluster
        Those of the next merge in any case.
    """
    sums = dict(zip(clusters, sums_of(clusters), strict=True))
    while True:
        new = [union for union in unions(clusters) if union not in sums]
        sums |= dict(zip(new, sums_of(new), strict=True)) if new else {}
        if len(clusters) == 1:
            return list(sums)
        clusters = merged(clusters, best_merge(clusters, sums))


def elbow(entropies: Array) -> int:
    """Choose a number of clusters: where a line of two pieces through the entropies bends.

    Parameters
    ----------
    entropies : ndarray of shape (n_components,)
        Of assignments to 1, 2, … clusters, nats a row.

    Returns
    -------
    int
        All of them, where they hardly share rows, or are fewer than three.
    """
    n_most = len(entropies)
    if n_most < 3 or entropies[-1] < SURE:
        return n_most
    errors = [
        _squares_about_line(entropies[:bend]) + _squares_about_line(entropies[bend - 1 :])
        for bend in range(2, n_most)
    ]
    return int(np.argmin(errors)) + 2


def _squares_about_line(values: Array) -> float:
    """Sum the squares that a straight line through values leaves."""
    places = np.arange(len(values)) - 0.5 * (len(values) - 1)
    centred = values - values.mean()
    return float(np.square(centred).sum() - (places @ centred) ** 2 / np.square(places).sum())


def labels_of(clusters: Sequence[Cluster], weights: Array) -> NDArray[np.int64]:
    """Number clusters from the heaviest: the cluster of each component, (n_components,)."""
    order = sorted(clusters, key=lambda cluster: (-weights[list(cluster)].sum(), min(cluster)))
    found = np.empty(len(weights), np.int64)
    for number, cluster in enumerate(order):
        found[list(cluster)] = number
    return found
