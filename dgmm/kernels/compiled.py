"""The compiled kernel: how it takes rows, and its sums made statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.compiled_group import CompiledGroup, call_pieces, leaves_out
from dgmm.kernels.kernel import Part, Parts
from dgmm.kernels.loop import Shapes, loop, padded
from dgmm.kernels.marginals import Marginals
from dgmm.kernels.near import own_bytes
from dgmm.kernels.patterns import Grouped
from dgmm.kernels.rare_compiled import eliminate, regress
from dgmm.kernels.stack import Group, Stack
from dgmm.kernels.sums import statistics_of
from dgmm.kernels.tied import TiedRows
from dgmm.kernels.tile_tuning import CACHE_LINE, TILES
from dgmm.model.jit import compiled_module, in_one_form
from dgmm.model.matrices import Array
from dgmm.model.statistics import Statistics

__all__ = [
    "PatternSums",
    "eliminate",
    "evaluate",
    "expect",
    "features_of",
    "is_available",
    "label",
    "library_bytes",
    "missing",
    "pattern_sums",
    "regress",
    "tied_rows",
    "working_bytes",
]

LIBRARY_BYTES = 105 * 2**20
"""What Numba takes. A process that has to compile, as the first one on a machine does, takes up to 90 MiB
more."""


def is_available() -> bool:
    """Return whether the loop is compiled in this process."""
    return compiled_module("dgmm.kernels.tiles") is not None


class PatternGroup(CompiledGroup):
    """The same of rows that lack values: sums are by pattern, and of what these have alone.

    Parameters
    ----------
    stack : Stack
    group : Group
    marginals : Marginals
    n_weights : int
        Weights that a row has: one, or those of each model.

    Attributes
    ----------
    products : ndarray of shape (P, n_weights, side, side)
        Of deviations of all rows from the centre, in the blocks on and above the diagonal, where models need
        them, as components share a covariance; else empty.
    """

    def __init__(self, stack: Stack, group: Group, marginals: Marginals, n_weights: int):
        super().__init__(stack, group, marginals=marginals)
        self.known = marginals.known
        self.incomplete = [model for model in group.models if not stack.is_complete(model)]
        side = padded(stack.n_features) if self.incomplete else 0
        self.products = np.zeros((len(self.known), n_weights, side, side))

    def add_patterns(self, part: Grouped, numbers: NDArray[np.intp]) -> None:
        """Add rows of patterns, which have these numbers among the marginal mixtures."""
        rows, weights = in_one_form(part.rows), self._weights(part.weights)
        patterns, own = (part.ends, part.known, numbers), (self.model, self.work, self.sums, self.products)
        loop().expect_patterns(rows, weights, *patterns, self._priors(part.priors), *own)

    def shared(self) -> Iterator[tuple[int, Array]]:
        """Yield the scatter of each pattern's rows, for each model that needs it."""
        n_features = self.stack.n_features
        upper = np.triu(self.products[..., :n_features, :n_features])
        products = upper + np.swapaxes(np.triu(upper, 1), -1, -2)
        for model in self.incomplete:
            yield model, products[:, self.group.models.index(model) if products.shape[1] > 1 else 0]

    def _gathered(self) -> Array:
        found = super()._gathered()  # where what is missing is NaN, as in the buffers
        lacks = np.concatenate([np.zeros((len(self.known), 1), bool), ~self.known], axis=1)
        np.copyto(found, 0.0, where=(lacks[:, :, None] | lacks[:, None, :])[:, None])
        return found


class PatternSums:
    """Sums by pattern of all models of a stack: see `dgmm.kernels.kernel.Kernel.pattern_sums`."""

    def __init__(self, stack: Stack, marginals: Marginals, n_weights: int):
        self.stack = stack
        self.groups = [
            PatternGroup(stack, group, marginals, min(n_weights, len(group.models))) for group in stack.groups
        ]

    def add(self, part: Grouped, numbers: NDArray[np.intp]) -> None:
        """Add rows of patterns, which have these numbers among the marginal mixtures."""
        for each in self.groups:
            each.add_patterns(part, numbers)

    def statistics(self) -> tuple[Statistics, ...]:
        """Return the statistics of each model."""
        found = [*_statistics(self.stack, self.groups)]
        for each in self.groups:
            for model, shared in each.shared():
                found[model] = replace(found[model], shared=shared)
        return tuple(found)


pattern_sums = PatternSums

tied_rows = TiedRows


def expect(
    stack: Stack,
    chunks: Parts,
    features: NDArray[np.floating] | None = None,
) -> tuple[Statistics, ...]:
    """E-step by the compiled loop, which makes features by itself: see `dgmm.kernels.kernel.Kernel`."""
    groups = [CompiledGroup(stack, group) for group in stack.groups]
    for part in chain.from_iterable(call_pieces(Part.of(chunk)) for chunk in chunks):
        for each in groups:
            each.add(part)
    return _statistics(stack, groups)


def _statistics(stack: Stack, groups: Sequence[CompiledGroup]) -> tuple[Statistics, ...]:
    log_likelihoods, squares = np.empty(len(stack.rows)), np.zeros((len(stack.rows), stack.n_features))
    for each in groups:
        log_likelihoods[each.group.models] = each.sums.log_likelihoods
        if len(each.sums.squares):
            squares[each.group.models] = (
                each.sums.squares if each.has_weights_of_each else each.sums.squares[0]
            )
    # Centred components, too, are in the order of the groups.
    centred = [own for each in groups for own in each.centred_sums()]
    sums, counts = [each.feature_sums() for each in groups], [each.sums.counts for each in groups]
    return statistics_of(stack, sums, centred, log_likelihoods, squares=squares, counts_by_group=counts)


def features_of(stack: Stack, rows: NDArray[np.floating]) -> None:
    """Keep nothing: the loop makes features in the cache, faster than memory gives them."""


def evaluate(
    stack: Stack,
    rows: NDArray[np.floating],
    features: NDArray[np.floating] | None = None,
    *,
    negligible: float | None = None,
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """Yield responsibilities and log densities in one model, by the compiled loop."""
    group = CompiledGroup(stack, stack.groups[0], negligible)
    for piece in call_pieces(Part(rows)):
        shares, log_densities = group.evaluate(piece.rows)
        yield shares.T, log_densities


def label(stack: Stack, rows: NDArray[np.floating]) -> Iterator[NDArray[np.integer]]:
    """Yield the most probable component of each row in one model, by the compiled loop."""
    group = CompiledGroup(stack, stack.groups[0])
    for piece in call_pieces(Part(rows)):
        yield group.label(piece.rows)


def missing() -> str | None:
    """Say that Numba is, where it cannot be used."""
    return None if is_available() else "Numba (pip install 'dgmm[fast]'), or DGMM_COMPILED is 0"


def library_bytes() -> int:
    """Forecast what Numba takes: see `LIBRARY_BYTES`."""
    return LIBRARY_BYTES


def working_bytes(stack: Stack) -> int:
    """Forecast the bytes that the loop allocates for all groups of a stack."""
    width = TILES.tile_rows + CACHE_LINE // stack.dtype.itemsize
    sizes = [Shapes.of(stack, group).n_numbers for group in stack.groups]
    plain = sum(stack.dtype.itemsize * width * of_rows + 8 * others for of_rows, others in sizes)
    return plain + sum(own_bytes(stack, group) for group in stack.groups if leaves_out(stack, group))
