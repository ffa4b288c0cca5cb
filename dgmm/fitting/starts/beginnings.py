"""Where climbs of a search begin: at clusters of rows, values of many rows, what grows, or another mixture.

Each function finds a mixture on so many of the rows, and raises `DegenerateCovarianceError` where it cannot.
"""

from __future__ import annotations

import numpy as np

from dgmm.fitting.starts.clusters import Way, clusters
from dgmm.fitting.starts.growth import grown
from dgmm.fitting.starts.methods import StartMethod, from_labels, from_mixture
from dgmm.fitting.starts.value_splits import grouped_by_values
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters


def from_clusters(method: StartMethod, way: int, seed: int, data: InMemory, n_rows: int) -> Parameters:
    """Start from clusters of the first rows.

    The last two bits of ``way`` say how they are found: on features of unit variance or on uncorrelated ones;
    by k-means from k-means++, or from random rows with two iterations only.
    """
    data = data.first(n_rows)
    coordinates: Way = ("unit variance", "uncorrelated")[way % 2]
    if method.family.is_round:  # the units of the data are its own
        coordinates = "as they are"
    labels = clusters(data, method.n_components, coordinates, seed, is_rough=bool(way & 2))
    return from_labels(method, labels, data)


def from_values(method: StartMethod, n_groups: int, seed: int, data: InMemory, n_rows: int) -> Parameters:
    """Start from values that many of the first rows have, and from clusters of the rows that have none."""
    data, n_components = data.first(n_rows), method.n_components
    objective = Likelihood(method.objective.reg_covar)
    labels = grouped_by_values(data, method.family, n_components, objective, n_groups)
    if labels is None:
        raise DegenerateCovarianceError(None)
    others = (labels < 0).nonzero()[0]
    if len(np.unique(data.rows[others], axis=0)) < n_components - n_groups:
        raise DegenerateCovarianceError(None)
    weights = None if data.row_weights is None else data.row_weights[others]
    labels[others] = n_groups + clusters(
        data.part(others, weights), n_components - n_groups, "unit variance", seed, is_rough=False
    )
    return from_labels(method, labels, data)


def from_growth(method: StartMethod, number: int, surplus: float, data: InMemory, n_rows: int) -> Parameters:
    """Start from a mixture that grows, each on other rows of the sample, as far as it has them."""
    begin = number * n_rows % max(len(data.rows) - n_rows + 1, 1)
    own = slice(begin, begin + n_rows)
    data = data.part(own, None if data.row_weights is None else data.row_weights[own])
    objective = Likelihood(method.objective.reg_covar)
    found = grown(data, method.family, method.n_components, objective, surplus=surplus).parameters
    if found.n_components < method.n_components:
        raise DegenerateCovarianceError(None)
    return found


def from_other(method: StartMethod, other: Parameters, data: InMemory, n_rows: int) -> Parameters:
    """Start from a mixture of another family: from what it says of the rows."""
    return from_mixture(method, other, data.first(n_rows))
