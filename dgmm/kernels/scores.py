"""Scores of rows, the derivatives of their log densities by all parameters, and sums of their products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.densities import responsibilities
from dgmm.kernels.measured import measured_rows
from dgmm.kernels.rare import shares_of
from dgmm.model.conditional import plain
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


class OwnSums(NamedTuple):
    """Sums over rows for each component: see `dgmm.model.information.ScoreSums`."""

    own: Array
    curved: Array
    expected: Array


def sum_scores(
    parameters: Parameters,
    blocks: Iterable[tuple[NDArray[np.floating], Array | None]],
    *,
    squared: bool = False,
    n_errors: int = 0,
) -> ScoreSums:
    """Sum products of scores, and of features of each component, over rows.

    Parameters
    ----------
    parameters : Parameters
    blocks : iterable of (ndarray, ndarray or None)
        Rows (n_rows, n_features + n_errors), which may lack values, NaN, but have none that is infinite, and
        their weights (n_rows,).
    squared : bool, default=False
        Sum those with squared weights, too.
    n_errors : int, default=0
        Columns of measurement errors: see `dgmm.kernels.measured`.

    Returns
    -------
    ScoreSums
    """
    layout = Layout(parameters.family, parameters.n_components, parameters.n_features)
    size, n_own = layout.n_parameters, layout.n_own
    shape = layout.n_components, n_own
    sums = OwnSums(np.zeros((*shape, n_own)), np.zeros((shape[0], n_own - 1, n_own - 1)), np.zeros(shape))
    scores = np.zeros((size, size))
    squares = np.zeros((size, size)) if squared else None
    weight, n_rows = 0.0, 0
    for rows, weights in blocks:
        weight += float(len(rows) if weights is None else weights.sum())
        n_rows += len(rows)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by the information
            for some, their in _cut(rows, weights, layout, n_errors):
                add = _add_measured if some.shape[1] > layout.n_features else _add_exact
                table = add(sums, layout, parameters, some, their)
                weighted = table if their is None else table * np.sqrt(their)
                scores += weighted @ weighted.T
                if squares is not None:
                    weighted = table if their is None else table * their
                    squares += weighted @ weighted.T
    return ScoreSums(*sums, scores, squares, weight, n_rows)


def _cut(
    rows: NDArray[np.floating], weights: Array | None, layout: Layout, n_errors: int
) -> Iterator[tuple[Array, Array | None]]:
    """Give blocks of rows: those that lack values apart, as measured with errors of 0."""
    row_bytes = 8 * (layout.n_parameters + 3 * layout.n_own)
    size = int(np.clip(SCORES.block_bytes // row_bytes, SCORES.fewest_rows, SCORES.most_rows))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        some = rows[part].astype(np.float64, copy=False)
        their = None if weights is None else weights[part]
        lacking = np.isnan(some).any(axis=1)
        if n_errors or not lacking.any():
            yield some, their
            continue
        if not lacking.all():
            yield some[~lacking], None if their is None else their[~lacking]
        without = some[lacking]
        yield np.hstack([without, np.zeros_like(without)]), None if their is None else their[lacking]


def _add_exact(
    sums: OwnSums, layout: Layout, parameters: Parameters, rows: Array, weights: Array | None
) -> Array:
    """Give the scores of rows, (n_parameters, n_rows); what they sum to for each component is added."""
    shares = responsibilities(parameters, rows).T
    scores = np.zeros((layout.n_parameters, len(rows)))
    features = np.ones((layout.n_own, len(rows)))
    family, n_features = layout.family, layout.n_features
    nothing = np.zeros(n_features), np.zeros(layout.n_widths)
    for k, share in enumerate(shares):
        deviations = np.ascontiguousarray((rows - parameters.means[k]).T)
        standardized = family.standardize(deviations, parameters.precisions_cholesky, k)
        standardized[:, share == 0.0] = 0.0  # rows so far away that their squares may overflow
        features[1 : 1 + n_features] = standardized
        features[1 + n_features :] = family.width_scores(standardized)
        own = _add_features(sums, k, features, share, weights)
        _set_scores(scores, layout, k, features, share)
        count, sums_of, widths = own[0], own[1 : 1 + n_features], own[1 + n_features :]
        sums.curved[k] += family.information(count, sums_of, widths)
        sums.expected[k, 0] += count
        sums.expected[k, 1:] += np.diagonal(family.information(count, *nothing))
    return scores


def _add_measured(
    sums: OwnSums, layout: Layout, parameters: Parameters, rows: Array, weights: Array | None
) -> Array:
    """Do the same for rows that are followed by columns of errors."""
    own = plain(parameters)
    scores = np.zeros((layout.n_parameters, len(rows)))
    family, n_features = layout.family, layout.n_features
    factors = parameters.precisions_cholesky
    roots = [family.in_units(family.chosen(factors, k), n_features)[0] for k in range(layout.n_components)]
    for each in measured_rows(own, rows):
        shares = shares_of(each.log_joint)[0].T
        features = np.ones((layout.n_own, shares.shape[1]))
        their = None if weights is None else weights[each.rows]
        for k, (share, root) in enumerate(zip(shares, roots, strict=True)):
            slopes, inverses = each.slopes[:, k] @ root, each.inverses[:, k]
            slopes[share == 0.0] = 0.0  # as above
            if inverses.ndim == 2:  # neither features nor errors have covariances
                inverses = inverses[:, :, None] * np.eye(n_features)
            inverses = root.T @ inverses @ root
            features[1 : 1 + n_features] = slopes.T
            features[1 + n_features :] = family.measured_scores(slopes, inverses)
            _add_features(sums, k, features, share, their)
            _set_scores(scores[:, each.rows], layout, k, features, share)
            weighted = share if their is None else share * their
            sums.curved[k] += family.measured_information(weighted, slopes, inverses)
            sums.expected[k] += features**2 @ weighted
    return scores


def _add_features(sums: OwnSums, k: int, features: Array, share: Array, weights: Array | None) -> Array:
    """Add products of a component's features, with responsibilities; give the sums of the features."""
    weighted = features * np.sqrt(share if weights is None else share * weights)
    products = weighted @ weighted.T
    sums.own[k] += products
    return products[0]


def _set_scores(scores: Array, layout: Layout, k: int, features: Array, share: Array) -> None:
    of_weight, of_mean, of_width = layout.parts(k)
    n_features = layout.n_features
    scores[of_weight] = share
    scores[of_mean] = share * features[1 : 1 + n_features]
    scores[of_width] += share * features[1 + n_features :]
