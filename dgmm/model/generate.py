"""Random rows from a mixture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


def rows_of_component(
    parameters: Parameters, component: int, n_rows: int, generator: np.random.RandomState
) -> Array:
    """Draw rows of one component, exactly as scikit-learn draws them: (n_rows, n_features)."""
    family = parameters.family
    own = family.chosen(parameters.covariances, component)
    return family.draw(parameters.means[component], own, n_rows, generator)


def sample_by_component(
    parameters: Parameters, n_rows: int, generator: np.random.RandomState
) -> tuple[Array, NDArray[np.int64]]:
    """Draw rows and their components, ordered by component, exactly as scikit-learn draws them.

    Returns
    -------
    rows : ndarray of shape (n_rows, n_features)
    labels : ndarray of shape (n_rows,)
    """
    counts = generator.multinomial(n_rows, parameters.weights)
    rows = [rows_of_component(parameters, k, int(count), generator) for k, count in enumerate(counts)]
    return np.vstack(rows), np.repeat(np.arange(len(counts)), counts)


def sample_shuffled(
    parameters: Parameters, n_rows: int, generator: np.random.Generator
) -> tuple[Array, NDArray[np.int64]]:
    """Draw independent rows in random order: one chunk of a large sample, whose order must not tell.

    Returns
    -------
    rows : ndarray of shape (n_rows, n_features)
    labels : ndarray of shape (n_rows,)
    """
    labels = generator.choice(parameters.n_components, size=n_rows, p=parameters.weights).astype(np.int64)
    return rows_of_components(parameters, labels, generator), labels


def rows_of_components(
    parameters: Parameters, labels: NDArray[np.int64], generator: np.random.Generator
) -> Array:
    """Draw a row of each of these components, (n_rows,): (n_rows, n_features)."""
    rows = generator.standard_normal((len(labels), parameters.n_features))
    if not parameters.family.has_products:
        return parameters.means[labels] + rows * np.sqrt(parameters.variances)[labels]
    factors = np.linalg.cholesky(parameters.covariance_matrices)
    for k, factor in enumerate(factors):
        mine = labels == k
        rows[mine] = parameters.means[k] + rows[mine] @ factor.T
    return rows
