"""Scores of rows, the derivatives of their log densities by all parameters, and sums of their products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.densities import joint_log_densities, responsibilities
from dgmm.kernels.measured import NEGLIGIBLE, measured_rows, roots_of
from dgmm.kernels.rare import shares_of
from dgmm.model.conditional import plain
from dgmm.model.information import ScoreSums
from dgmm.model.layout import Layout
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class ScoreTuning:
    """How rows are cut for products of scores. Half and double: not measured.

    Attributes
    ----------
    block_bytes : int
        Of a table of scores and features.
    fewest_rows : int
        Of a table that has the scores of some components alone: products of fewer rows are slow.
    most_rows : int
        That are looked at together: more of them belong to the same components.
    fewest_parameters : int
        Of a mixture whose rows are put together by components: of fewer, products take less than that.
    most_work : float
        Share of all products above which that does not pay.
    """

    block_bytes: int = 2**24
    fewest_rows: int = 128
    most_rows: int = 2**14
    fewest_parameters: int = 200
    most_work: float = 0.5


SCORES = ScoreTuning()


class ScoredRows(NamedTuple):
    """Rows, and what is known of them.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features + n_errors)
        They may lack values, NaN, but have none that is infinite. Of columns of errors see
        `dgmm.kernels.measured`.
    weights : ndarray of shape (n_rows,), or None
    groups : ndarray of shape (n_rows,), or None
        From 0, where groups have weights of their own.
    log_priors : ndarray of shape (n_rows, n_components), or None
        What is known of the rows' components beside that: finite.
    """

    rows: NDArray[np.floating]
    weights: Array | None = None
    groups: NDArray[np.int64] | None = None
    log_priors: Array | None = None

    def part(self, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> ScoredRows:
        """Return some of them."""
        return ScoredRows(
            self.rows[which],
            None if self.weights is None else self.weights[which],
            None if self.groups is None else self.groups[which],
            None if self.log_priors is None else self.log_priors[which],
        )

    def by_group(self) -> Iterator[tuple[int, ScoredRows]]:
        """Yield the rows of each group; all as the first, where there are none."""
        if self.groups is None:
            yield 0, self
            return
        order = np.argsort(self.groups, kind="stable")
        groups, first = np.unique(self.groups[order], return_index=True)
        for group, which in zip(groups.tolist(), np.split(order, first[1:]), strict=True):
            yield group, self.part(which)


class ComponentSums(NamedTuple):
    """Sums over rows for each component: see `dgmm.model.information.ScoreSums`."""

    features: Array
    products: Array
    curvature: Array
    expected: Array


def sum_scores(
    parameters: Parameters,
    blocks: Iterable[ScoredRows],
    *,
    squared: bool = False,
    n_errors: int = 0,
) -> ScoreSums:
    """Sum products of scores, and of features of each component, over rows.

    Parameters
    ----------
    parameters : Parameters
        With weights of groups, if rows have such.
    blocks : iterable of ScoredRows
    squared : bool, default=False
        Sum those with squared weights, too.
    n_errors : int, default=0
        Columns of measurement errors: see `dgmm.kernels.measured`.

    Returns
    -------
    ScoreSums
    """
    layout = Layout.of(parameters)
    size, shape = layout.n_parameters, (layout.n_components, layout.n_own - 1)
    squares_of = np.zeros((*shape, shape[1]))
    features = np.zeros((*layout.weights_shape, layout.n_own))
    sums = ComponentSums(features, squares_of, squares_of.copy(), np.zeros(shape))
    scores = np.zeros((size, size))
    squares = np.zeros((size, size)) if squared else None
    weight, n_rows = 0.0, 0
    for block in blocks:
        weight += float(len(block.rows) if block.weights is None else block.weights.sum())
        n_rows += len(block.rows)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by the information
            for places, table, own in _tables(sums, layout, parameters, block, n_errors):
                at = np.ix_(places, places)
                weighted = table if own is None else table * np.sqrt(own)
                scores[at] += weighted @ weighted.T
                if squares is not None:
                    weighted = table if own is None else table * own
                    squares[at] += weighted @ weighted.T
    return ScoreSums(*sums, scores, squares, weight, n_rows)


Table = tuple[NDArray[np.intp], Array, Array | None]
"""Of some rows: which parameters' scores, these (n_places, n_rows), and row weights; others are zero."""

ComponentTable = tuple[NDArray[np.intp], tuple[Array, Array | None]]
"""The same of a group: whose components' scores, in the order of a `Layout` of these, and row weights."""


def _tables(
    sums: ComponentSums, layout: Layout, parameters: Parameters, block: ScoredRows, n_errors: int
) -> Iterator[Table]:
    """Yield the scores of rows; what they sum to for each component is added."""
    for group, some in block.by_group():
        own = parameters
        if parameters.group_weights is not None:
            own = replace(parameters, weights=parameters.group_weights[group], group_weights=None)
        of_group = sums._replace(features=sums.features[group])
        for part in _cut(some, n_errors):
            add = _add_measured if part.rows.shape[1] > layout.n_features else _add_exact
            for components, table in add(of_group, own, part):
                yield layout.places_of(components, group), *table


def _cut(block: ScoredRows, n_errors: int) -> Iterator[ScoredRows]:
    """Yield blocks of rows: those that lack values apart, as measured with errors of 0."""
    for start in range(0, len(block.rows), SCORES.most_rows):
        some = block.part(slice(start, start + SCORES.most_rows))
        some = some._replace(rows=some.rows.astype(np.float64, copy=False))
        lacking = np.isnan(some.rows).any(axis=1)
        if n_errors or not lacking.any():
            yield some
            continue
        if not lacking.all():
            yield some.part(np.flatnonzero(~lacking))
        without = some.part(np.flatnonzero(lacking))
        yield without._replace(rows=np.hstack([without.rows, np.zeros_like(without.rows)]))


def _together(shares: Array, layout: Layout) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield components, and rows that have responsibilities (K, n_rows) in these alone: all rows, once."""
    active = ~(shares <= NEGLIGIBLE)  # what overflowed is, too
    groups = [np.arange(shares.shape[1])]
    if layout.n_parameters >= SCORES.fewest_parameters:
        sets = np.packbits(active, axis=0)
        _, kinds, n_rows = np.unique(sets, axis=1, return_inverse=True, return_counts=True)
        kinds, common = kinds.ravel(), np.flatnonzero(n_rows >= SCORES.fewest_rows)
        apart = [np.flatnonzero(kinds == kind) for kind in common]
        apart.append(np.flatnonzero(np.isin(kinds, common, invert=True)))
        work = sum(len(rows) * active[:, rows].any(axis=1).sum() ** 2 for rows in apart)
        groups = apart if work < SCORES.most_work * active.shape[0] * active.size else groups
    for rows in groups:
        components = np.flatnonzero(active[:, rows].any(axis=1))
        size = SCORES.block_bytes // (16 * max(len(components), 1) * layout.n_own)
        size = max(size, SCORES.fewest_rows)
        for start in range(0, len(rows), size):
            yield components, rows[start : start + size]


def _add_exact(sums: ComponentSums, parameters: Parameters, block: ScoredRows) -> Iterator[ComponentTable]:
    """Yield the scores of rows of a group; what they sum to for each component is added."""
    rows, weights, layout = block.rows, block.weights, Layout.of(parameters)
    if block.log_priors is None:
        shares = responsibilities(parameters, rows).T
    else:
        shares = shares_of(joint_log_densities(parameters, rows) + block.log_priors)[0].T
    family, n_features = layout.family, layout.n_features
    nothing = np.zeros(n_features), np.zeros(layout.n_widths)
    moments = np.zeros((layout.n_components, layout.n_own))
    for components, which in _together(shares, layout):
        some, their = rows[which], None if weights is None else weights[which]
        own_layout = replace(layout, n_components=len(components))
        scores, features = np.zeros((own_layout.n_parameters, len(some))), np.ones((layout.n_own, len(some)))
        for number, k in enumerate(components):
            share = shares[k, which]
            deviations = np.ascontiguousarray((some - parameters.means[k]).T)
            standardized = family.standardize(deviations, parameters.precisions_cholesky, k)
            standardized[:, share == 0.0] = 0.0  # rows so far away that their squares may overflow
            features[1 : 1 + n_features] = standardized
            features[1 + n_features :] = family.width_scores(standardized)
            moments[k] += _add_features(sums, k, features, share, their)
            _set_scores(scores, own_layout, number, features, share)
        yield components, (scores, their)
    for k, (count, *_) in enumerate(moments):
        means, widths = moments[k, 1 : 1 + n_features], moments[k, 1 + n_features :]
        sums.curvature[k] += family.information(count, means, widths)
        sums.expected[k] += np.diagonal(family.information(count, *nothing))


def _add_measured(sums: ComponentSums, parameters: Parameters, block: ScoredRows) -> Iterator[ComponentTable]:
    """Do the same for rows that are followed by columns of errors."""
    weights, layout = block.weights, Layout.of(parameters)
    family, n_features = layout.family, layout.n_features
    everyone, roots = np.arange(layout.n_components), roots_of(parameters)
    for each in measured_rows(plain(parameters), block.rows):
        priors = 0.0 if block.log_priors is None else block.log_priors[each.rows]
        shares = shares_of(each.log_joint + priors)[0].T
        features = np.ones((layout.n_own, shares.shape[1]))
        scores = np.zeros((layout.n_parameters, shares.shape[1]))
        their = None if weights is None else weights[each.rows]
        own_coordinates = each.in_own_coordinates(roots)
        for k, (share, (slopes, inverses)) in enumerate(zip(shares, own_coordinates, strict=True)):
            slopes[share == 0.0] = 0.0  # as above
            features[1 : 1 + n_features] = slopes.T
            features[1 + n_features :] = family.measured_scores(slopes, inverses)
            _add_features(sums, k, features, share, their)
            _set_scores(scores, layout, k, features, share)
            weighted = share if their is None else share * their
            sums.curvature[k] += family.measured_information(weighted, slopes, inverses)
            sums.expected[k] += features[1:] ** 2 @ weighted
        yield everyone, (scores, their)


def _add_features(sums: ComponentSums, k: int, features: Array, share: Array, weights: Array | None) -> Array:
    """Add products of a component's features, with responsibilities; give the sums of the features."""
    weighted = features * np.sqrt(share if weights is None else share * weights)
    products = weighted @ weighted.T
    sums.features[k] += products[0]
    sums.products[k] += products[1:, 1:]
    return products[0]


def _set_scores(scores: Array, layout: Layout, k: int, features: Array, share: Array) -> None:
    of_weight, of_mean, of_width = layout.parts(k)
    n_features = layout.n_features
    scores[of_weight] = share
    scores[of_mean] = share * features[1 : 1 + n_features]
    scores[of_width] += share * features[1 + n_features :]
