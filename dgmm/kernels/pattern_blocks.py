"""NumPy's kernel on incomplete rows, pattern by pattern.

All is as in `dgmm.kernels.blocks`, but that the two products are made pattern by pattern.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.marginals import Marginals
from dgmm.kernels.patterns import Grouped
from dgmm.kernels.priors import RowPriors, no_counts
from dgmm.kernels.stack import Stack
from dgmm.kernels.sums import statistics_of
from dgmm.kernels.workspace import (
    Workspace,
    add_products,
    block_rows,
    multiply,
    replace_nan,
    weigh,
    write_features,
)
from dgmm.model.matrices import Array
from dgmm.model.statistics import Statistics

Segments = list[tuple[int, slice]]
"""Which pattern, by its number, the rows of each part of a block have."""


def segments_of(part: Grouped, numbers: NDArray[np.intp], block: slice) -> Segments:
    """Return the patterns of a block of the rows, and where they are in it."""
    first, last = np.searchsorted(part.ends, [block.start, block.stop - 1], side="right").tolist()
    ends = np.minimum(part.ends[first : last + 1], block.stop) - block.start
    bounds = [0, *ends.tolist()]
    return [
        (number, slice(*each))
        for number, each in zip(numbers[first : last + 1].tolist(), pairwise(bounds), strict=True)
    ]


class PatternSums:
    """Sums by pattern, by NumPy: see `dgmm.kernels.kernel.Kernel.pattern_sums`.

    Parameters
    ----------
    stack : Stack
    marginals : Marginals
    n_weights : int
        Weights that a row has: one, or those of each model.
    """

    def __init__(self, stack: Stack, marginals: Marginals, n_weights: int):
        self.stack, self.marginals, self.n_weights = stack, marginals, n_weights
        self.workspace = Workspace(stack)
        n_patterns, n_features = len(marginals.known), stack.n_features
        self.totals = [np.zeros(own.shape) for own in marginals.natural_parameters]
        self.log_likelihoods = np.zeros(len(stack.rows))
        self.counts_by_group = no_counts(stack)
        nothing = np.zeros((n_features, 0))
        self.centred = []
        for entry in stack.centred:
            scatter = entry.family.scatter(nothing, np.zeros(0))
            self.centred.append((np.zeros((n_patterns, n_features)), np.zeros((n_patterns, len(scatter)))))
        self.incomplete = [model for model in range(len(stack.models)) if not stack.is_complete(model)]
        which = {self._weights_of(model) for model in self.incomplete}
        self.scatters = {own: np.zeros((n_patterns, n_features, n_features)) for own in which}

    def _weights_of(self, model: int) -> int:
        """Return which weights a model has."""
        return model if self.n_weights > 1 else 0

    def add(self, part: Grouped, numbers: NDArray[np.intp]) -> None:
        """Add rows of patterns, which have these numbers among the marginal mixtures."""
        n_rows = block_rows(self.stack)
        for start in range(0, len(part.rows), n_rows):
            block = slice(start, min(start + n_rows, len(part.rows)))
            weights = None if part.weights is None else part.weights[..., block]
            priors = None if part.priors is None else part.priors.of_rows(block)
            self._add_block(part.rows[block], weights, priors, segments_of(part, numbers, block))

    def _add_block(
        self,
        rows: NDArray[np.floating],
        weights: Array | None,
        priors: RowPriors | None,
        segments: Segments,
    ) -> None:
        """Add a block of rows, with weights (n,) or (n_models, n) or None."""
        stack, length = self.stack, self.workspace.tile_rows
        self.workspace.make_room(len(rows))
        table = self.workspace.table[:, : len(rows)]
        write_features(table, rows, stack, may_lack=True)
        self._add_scatters(table[stack.deviations], weights, segments)
        for number, group in enumerate(stack.groups):
            densities = self.workspace.densities[: len(group.natural_parameters), : len(rows)]
            features, theta = table[group.features], self.marginals.natural_parameters[number]
            for pattern, own in segments:
                multiply(theta[pattern], features[:, own], densities[:, own], length)
            for index in stack.centred_in(group):
                self._write_centred(
                    index, rows, densities[stack.centred[index].row - group.rows.start], segments
                )
            if priors is not None:
                priors.add_to(densities, group)
            weigh(group, densities, weights, None, self.log_likelihoods)
            if priors is not None:
                priors.add_counts(densities, self.counts_by_group[number])
            for pattern, own in segments:
                add_products(self.totals[number][pattern], densities[:, own], features[:, own], length)
            for index in stack.centred_in(group):
                self._add_centred(
                    index, rows, densities[stack.centred[index].row - group.rows.start], segments
                )

    def _write_centred(
        self, index: int, rows: NDArray[np.floating], out: NDArray[np.floating], segments: Segments
    ) -> None:
        """Write the log joint densities of a component on the centred path."""
        gaps = deviations(rows, self.stack.centred[index].mean)
        for pattern, own in segments:
            y = self.marginals.factors[pattern, index] @ gaps[:, own]
            constant = self.marginals.log_constants[pattern, index]
            out[own] = constant - 0.5 * np.einsum("db,db->b", y, y)

    def _add_centred(
        self, index: int, rows: NDArray[np.floating], shares: NDArray[np.floating], segments: Segments
    ) -> None:
        """Add its sums."""
        entry, (sums, scatter) = self.stack.centred[index], self.centred[index]
        gaps = deviations(rows, entry.reference)
        for pattern, own in segments:
            sums[pattern] += gaps[:, own] @ shares[own]
            scatter[pattern] += entry.family.scatter(gaps[:, own], shares[own])

    def _add_scatters(self, z: NDArray[np.floating], weights: Array | None, segments: Segments) -> None:
        """Add the scatter of all rows, as models need it whose components share a covariance."""
        for model, totals in self.scatters.items():
            each = z.astype(np.float64, copy=False)
            weighted = each if weights is None else each * (weights if weights.ndim == 1 else weights[model])
            for pattern, own in segments:
                totals[pattern] += weighted[:, own] @ each[:, own].T

    def statistics(self) -> tuple[Statistics, ...]:
        """Return the statistics of each model."""
        found = [
            *statistics_of(
                self.stack,
                self.totals,
                self.centred,
                self.log_likelihoods,
                counts_by_group=self.counts_by_group,
            )
        ]
        for model in self.incomplete:
            found[model] = replace(found[model], shared=self.scatters[self._weights_of(model)])
        return tuple(found)


def deviations(rows: NDArray[np.floating], point: Array) -> Array:
    """Return the deviations of rows from a point, (n_features, n_rows): zero where a value lacks."""
    found = rows.T - point[:, None]
    replace_nan(found)
    return found
