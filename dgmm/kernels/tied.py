"""Incomplete rows of components that share a covariance matrix: completed as they come, for all components.

With ``Λ`` the one precision and ``z`` the deviations of a row from the centre, zero where it lacks a value,
what is missing is ``−C g``, where ``g = Λ z`` there and ``C = Λ_MM⁻¹``, the covariance of what is missing.
For the row x̂ that is completed so, ``Λ x̂`` is zero there, and therefore

- for a mean ν, ``x̂ᵀΛν`` is that of what is observed: log joint densities are those of complete rows, and
  ``½ θ_Mᵀ C θ_M``, with ``θ = Λ ν``, which depends on the pattern alone;
- the row as component k completes it is x̂ and ``a_k = C θ_M``, of the pattern alone, too: expected sums need
  the responsibilities for each pattern beside those for x̂;
- with ȳ the mean of a_k by responsibility, products are those of ``x̂ + ȳ``, less ``ȳ ȳᵀ``, and for each
  pattern those of a_k with the counts, and C. The squared lengths of all x̂ are the trace of Λ and the first
  two, as ``x̂ᵀΛȳ`` is zero.

So a row takes what a complete one does, one matrix of products beside it, and ``m (D + K)`` products for the
m features that it lacks; a pattern takes ``m³`` and ``m² K``. It is for mixtures in which no feature is
nearly known from others (`dgmm.kernels.rare.can_be_completed`), and no component is on the centred path.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.compiled_group import CompiledGroup, call_pieces
from dgmm.kernels.kernel import Part
from dgmm.kernels.loop import padded
from dgmm.kernels.rare import can_be_completed
from dgmm.kernels.stack import Stack
from dgmm.kernels.sums import expected_sums
from dgmm.kernels.tile_tuning import TILES
from dgmm.model.conditional import plain
from dgmm.model.jit import imported_module, in_one_form
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

FEWEST_FEATURES = 20
"""Features from which on this is faster than going by pattern, of which rows of 50 were measured."""

MOST_PATTERNS, KEPT_NUMBERS, PLACES = 500, 2**16, 2**11
"""Patterns that are kept, numbers of their covariances and moves, and places of the table that finds them: a
power of two, some times as many as patterns. Where there is no more room, all begin anew."""

SORTED_BYTES, FEWEST_SORTED = 2**19, 2**11
"""Bytes of rows that are put in the order of their patterns at a time, which stay in a second-level cache;
and the fewest rows of many features, of which a pattern is to have some."""


class Shared(NamedTuple):
    """What rows are completed with.

    Attributes
    ----------
    precision : ndarray of shape (D, D padded)
        Λ, with zeros.
    offsets : ndarray of shape (D, K)
        ``Λ ν`` of each mean's deviation from the centre.
    """

    precision: Array
    offsets: Array


class Patterns(NamedTuple):
    """What is kept of patterns of missing values, at most P.

    Attributes
    ----------
    table : ndarray of int32
        The number of the pattern that has this place; −1 for none.
    codes : ndarray of shape (P, words), uint64
        A bit for each feature.
    n_patterns : ndarray of shape (1,), int64
        How many there are.
    n_missing : ndarray of shape (P,), int64
    places : ndarray of shape (P, D), int32
        Their missing features.
    starts : ndarray of shape (P + 1,), int64
        Where they begin in the next two.
    within : ndarray of shape (missing features of all patterns, D)
        C, in the first columns.
    moves : ndarray of shape (missing features of all patterns, K padded)
        a, with zeros.
    halves : ndarray of shape (P,)
        Half the log determinants of C.
    log_priors : ndarray of shape (P, K)
        What is added to log joint densities.
    counts : ndarray of shape (P, K)
        Responsibilities.
    """

    table: NDArray[np.int32]
    codes: NDArray[np.uint64]
    n_patterns: NDArray[np.int64]
    n_missing: NDArray[np.int64]
    places: NDArray[np.int32]
    starts: NDArray[np.int64]
    within: Array
    moves: Array
    halves: Array
    log_priors: Array
    counts: Array

    @classmethod
    def of(cls, n_components: int, n_features: int) -> Patterns:
        """Allocate them."""
        most, n_rows = MOST_PATTERNS, max(n_features, KEPT_NUMBERS // (n_features + n_components))
        return cls(
            np.full(PLACES, -1, np.int32),
            np.zeros((most, n_words(n_features)), np.uint64),
            np.zeros(1, np.int64),
            np.zeros(most, np.int64),
            np.zeros((most, n_features), np.int32),
            np.zeros(most + 1, np.int64),
            np.zeros((n_rows, n_features)),
            np.zeros((n_rows, padded(n_components))),
            np.zeros(most),
            np.zeros((most, n_components)),
            np.zeros((most, n_components)),
        )


class Room(NamedTuple):
    """Where the loop works: on rows that are sorted, and on those of a tile.

    Attributes
    ----------
    numbers, order : ndarray of shape (rows sorted at a time,), int64
        Patterns of rows, and rows in the order of these.
    ends : ndarray of shape (P,), int64
        Where patterns end in that order.
    tile : ndarray of shape (rows of a tile, D)
        Rows.
    weights, inverses : ndarray of shape (rows of a tile,)
        Their weights, and one by these.
    places, groups : ndarray of shape (rows of a tile,), int64
        What is known of them: see `dgmm.kernels.loop.Priors`.
    products : ndarray of shape (D, rows of a tile)
        Of the precision and deviations; steps from these to means over components.
    code : ndarray of shape (words,), uint64
    lower, inverse : ndarray of shape (D, D)
        A Cholesky factor, and its inverse.
    """

    numbers: NDArray[np.int64]
    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    tile: Array
    weights: Array
    inverses: Array
    places: NDArray[np.int64]
    groups: NDArray[np.int64]
    products: Array
    code: NDArray[np.uint64]
    lower: Array
    inverse: Array

    @classmethod
    def of(cls, n_features: int) -> Room:
        """Allocate it."""
        n_sorted = max(FEWEST_SORTED, SORTED_BYTES // (8 * n_features))
        return cls(
            np.zeros(n_sorted, np.int64),
            np.zeros(n_sorted, np.int64),
            np.zeros(MOST_PATTERNS, np.int64),
            np.zeros((TILES.tile_rows, n_features)),
            np.zeros(TILES.tile_rows),
            np.zeros(TILES.tile_rows),
            np.zeros(TILES.tile_rows, np.int64),
            np.zeros(TILES.tile_rows, np.int64),
            np.zeros((n_features, TILES.tile_rows)),
            np.zeros(n_words(n_features), np.uint64),
            np.zeros((n_features, n_features)),
            np.zeros((n_features, n_features)),
        )


class Completed(NamedTuple):
    """Sums of what was filled in.

    Attributes
    ----------
    products : ndarray of shape (side, side)
        Of rows completed from the mean of all components, in the blocks on and above the diagonal.
    between : ndarray of shape (D, D)
        Of their steps ȳ to these means: those below and on the diagonal.
    within : ndarray of shape (D, D)
        Of what was missing, from x̂: likewise.
    sums : ndarray of shape (K, D)
        Of what means move rows by.
    lacking : ndarray of shape (K, D)
        Responsibilities of rows that lack each feature.
    totals : ndarray of shape (2,)
        Log densities of what was missing, to be added, and its entropy: nats.
    """

    products: Array
    between: Array
    within: Array
    sums: Array
    lacking: Array
    totals: Array

    @classmethod
    def of(cls, n_components: int, n_features: int) -> Completed:
        """Begin them."""
        side = padded(n_features)
        return cls(
            np.zeros((side, side)),
            np.zeros((n_features, n_features)),
            np.zeros((n_features, n_features)),
            np.zeros((n_components, n_features)),
            np.zeros((n_components, n_features)),
            np.zeros(2),
        )


class TiedRows(CompiledGroup):
    """Statistics of incomplete rows in the one model of a stack: see `dgmm.kernels.kernel.TiedRows`."""

    def __init__(self, stack: Stack):
        (group,) = stack.groups
        super().__init__(stack, group)
        (self.expected,) = expected_sums(stack)
        model, size = self.expected.parameters, self.expected.parameters.means.shape
        extra = padded(stack.n_features) - stack.n_features
        offsets = model.precisions @ (model.means - stack.centre).T
        self.shared = Shared(np.pad(model.precisions, ((0, 0), (0, extra))), np.ascontiguousarray(offsets))
        self.patterns, self.room = Patterns.of(*size), Room.of(stack.n_features)
        self.completed = Completed.of(*size)

    def add(self, part: Part) -> None:
        """Add rows, with weights (n_rows,) or None, and priors."""
        for piece in call_pieces(part):
            known = self._weights(piece.weights), self._priors(piece.priors)
            own = self.model, self.work, self.sums, self.shared, self.patterns, self.room, self.completed
            _tiles().expect(in_one_form(piece.rows), *known, *own)

    def statistics(self) -> Statistics:
        """Return the expected statistics of the complete rows."""
        _tiles().end_patterns(self.patterns, self.completed)
        n_features, family, found = self.stack.n_features, self.group.family, self.completed
        counts, sums, _ = family.split_sums(self.feature_sums(), n_features)
        filled = _symmetric(found.products[:n_features, :n_features].T) - _symmetric(found.between)
        factors = self.expected.parameters.precisions_cholesky
        trace = family.trace_by_factor(factors, filled, n_features)
        total, entropy = found.totals.tolist()
        self.expected.add_sums(
            counts,
            sums + found.sums,
            (filled + _symmetric(found.within))[None],
            found.lacking,
            log_likelihood=float(self.sums.log_likelihoods[0]) + total - 0.5 * trace,
            entropy=entropy,
        )
        if self.expected.group_counts is not None:
            self.expected.group_counts += self.sums.counts.T
        return self.expected.statistics()


def can_come(stack: Stack) -> list[int]:
    """Give the model of a stack for which rows are completed as they come, if there is one.

    Several together are faster by pattern, as their rows are put in order, and multiplied, once for all; so
    is one of few features.
    """
    models = [
        index
        for index, model in enumerate(stack.models)
        if model.family.is_shared and model.family.has_products
    ]
    if len(models) != 1 or stack.n_features < FEWEST_FEATURES or stack.is_complete(models[0]):
        return []
    return models if can_be_completed(plain(cast(Parameters, stack.models[models[0]]))) else []


def tied_bytes(stack: Stack) -> int:
    """Forecast the bytes that `TiedRows` takes for a stack beside what is of the loop."""
    n_components, n_features = stack.n_components, stack.n_features
    own = Patterns.of(n_components, n_features), Room.of(n_features), Completed.of(n_components, n_features)
    return sum(array.nbytes for arrays in own for array in arrays)


def n_words(n_features: int) -> int:
    """Count the numbers of 64 bits that tell which features a row lacks."""
    return -(-n_features // 64)


def _symmetric(lower: Array) -> Array:
    """Return matrices of what is below and on their diagonals."""
    return np.tril(lower) + np.tril(lower, -1).T


def _tiles() -> Any:
    return imported_module("dgmm.kernels.tied_tiles")
