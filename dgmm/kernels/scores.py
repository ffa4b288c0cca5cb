"""Scores of rows, the derivatives of their log densities by all parameters, and sums of their products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.densities import responsibilities
from dgmm.model.information import Layout, ScoreSums
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class ScoreTuning:
    """How rows are cut for products of scores. Half and double: not measured.

    Attributes
    ----------
    block_bytes : int
        Of a block's table of scores.
    fewest_rows, most_rows : int
        Of a block: products of fewer rows are slow, and of more no faster.
    """

    block_bytes: int = 2**24
    fewest_rows: int = 128
    most_rows: int = 4096


SCORES = ScoreTuning()


def sum_scores(
    parameters: Parameters,
    blocks: Iterable[tuple[NDArray[np.floating], Array | None]],
    *,
    squared: bool = False,
) -> ScoreSums:
    """Sum products of scores, and of features of each component, over rows.

    Parameters
    ----------
    parameters : Parameters
    blocks : iterable of (ndarray of shape (n_rows, n_features), ndarray of shape (n_rows,) or None)
        Rows, finite, and their weights.
    squared : bool, default=False
        Sum those with squared weights, too.

    Returns
    -------
    ScoreSums
    """
    layout = Layout(parameters.family, parameters.n_components, parameters.n_features)
    size, n_own = layout.n_parameters, layout.n_own
    own, scores = np.zeros((layout.n_components, n_own, n_own)), np.zeros((size, size))
    squares = np.zeros((size, size)) if squared else None
    weight, n_rows = 0.0, 0
    for rows, weights in blocks:
        weight += float(len(rows) if weights is None else weights.sum())
        n_rows += len(rows)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by the information
            for some, their in _cut(rows, weights, layout):
                table = _add_own(own, layout, parameters, some, their)
                weighted = table if their is None else table * np.sqrt(their)
                scores += weighted @ weighted.T
                if squares is not None:
                    weighted = table if their is None else table * their
                    squares += weighted @ weighted.T
    return ScoreSums(own, scores, squares, weight, n_rows)


def _cut(
    rows: NDArray[np.floating], weights: Array | None, layout: Layout
) -> Iterator[tuple[NDArray[np.floating], Array | None]]:
    row_bytes = 8 * (layout.n_parameters + 3 * layout.n_own)
    size = int(np.clip(SCORES.block_bytes // row_bytes, SCORES.fewest_rows, SCORES.most_rows))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        yield rows[part].astype(np.float64, copy=False), None if weights is None else weights[part]


def _add_own(
    sums: Array,
    layout: Layout,
    parameters: Parameters,
    rows: NDArray[np.floating],
    weights: Array | None,
) -> Array:
    """Give the scores of rows, (n_parameters, n_rows); what their components' features sum to is added."""
    shares = responsibilities(parameters, rows).T
    scores = np.zeros((layout.n_parameters, len(rows)))
    features = np.ones((layout.n_own, len(rows)))
    family, n_features = layout.family, layout.n_features
    for k, share in enumerate(shares):
        deviations = np.ascontiguousarray((rows - parameters.means[k]).T)
        standardized = family.standardize(deviations, parameters.precisions_cholesky, k)
        standardized[:, share == 0.0] = 0.0  # rows so far away that their squares may overflow
        features[1 : 1 + n_features] = standardized
        features[1 + n_features :] = family.width_scores(standardized)
        of_weight, of_mean, of_width = layout.parts(k)
        scores[of_weight] = share
        scores[of_mean] = share * standardized
        scores[of_width] += share * features[1 + n_features :]
        weighted = features * np.sqrt(share if weights is None else share * weights)
        sums[k] += weighted @ weighted.T
    return scores
