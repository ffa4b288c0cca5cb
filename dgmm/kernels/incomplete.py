"""The E-step of rows that lack values: expected statistics of the complete rows, exactly.

Rows are put together by the features that they have, their *pattern*, and each pattern's rows go through any
kernel as rows of these features alone, under the marginal mixtures. What they give is made expected
statistics of complete rows once for many of them (`dgmm.model.observed`). Rows of a pattern that few have are
evaluated each for itself (`dgmm.kernels.rare`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import Kernel
from dgmm.kernels.rare import expected_rows, shares_of
from dgmm.kernels.stack import Stack, stack_models
from dgmm.model.conditional import conditional, plain
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.observed import ExpectedSums, Lift
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

GROUPED_ROWS = 2**16
"""Rows whose patterns are found at a time."""

WAITING_BYTES, PART_BYTES = 2**25, 2**9
"""Bytes of rows that wait for others of their patterns; and what each part of them takes beside its rows."""

WORKING_BYTES = 2 * WAITING_BYTES
"""Of what waits, and of a pattern's part of it without the features that are missing."""

PATTERN_SECONDS, ROW_SECONDS, PRODUCT_SECONDS, SQUARE_SECONDS = 2.5e-4, 3e-7, 4e-10, 2.5e-8
"""About what a pattern takes, however few its rows are; and a row of `dgmm.kernels.rare`, more by so much for
each component and the cube of its features, or for each component and feature where it has no products."""

MOST_READY = 256
"""Patterns whose marginal mixtures are kept."""

Pattern = bytes
"""Which features rows lack: a byte for each."""

Part = tuple[NDArray[np.floating], Array | None]
"""Rows, and their weights."""


@dataclass(frozen=True, eq=False)
class Marginals:
    """The models of a stack on the features that some rows have.

    Attributes
    ----------
    known : ndarray of int
        These features.
    stack : Stack
        Of the marginal mixtures.
    lifts : tuple of Lift
        Of each model.
    """

    known: NDArray[np.intp]
    stack: Stack
    lifts: tuple[Lift, ...]

    @classmethod
    def of(cls, stack: Stack, models: Sequence[Parameters], is_known: NDArray[np.bool_]) -> Marginals:
        """Make models ready; ``models`` are the plain ones of the stack."""
        assert stack.extent is not None
        known = np.flatnonzero(is_known)
        given = [conditional(model, is_known) for model in models]
        points = points_of(stack)
        about = None
        if stack.centred:  # they are centred here, too
            about = [np.full(each.of_known.means.shape, np.nan) for each in given]
            for entry in stack.centred:
                about[entry.model][entry.component] = entry.reference[known]
        ready = stack_models(
            [each.of_known for each in given],
            stack.centre[known],
            stack.extent[known],
            stack.dtype,
            references=about,
        )
        centres = [np.tile(stack.centre, (len(model.means), 1)) for model in models]
        own = [centre if each is None else each for centre, each in zip(centres, points, strict=True)]
        lifts = map(Lift.of, given, own)
        return cls(known, ready, tuple(lifts))


def points_of(stack: Stack) -> list[Array | None]:
    """Give what the sums of each model are about: None where no component is centred."""
    found: list[Array | None] = [None] * len(stack.models)
    for entry in stack.centred:
        points = found[entry.model]
        if points is None:
            n_components = len(stack.models[entry.model].means)
            points = found[entry.model] = np.tile(stack.centre, (n_components, 1))
        points[entry.component] = entry.reference
    return found


def patterns_of(
    rows: NDArray[np.floating],
) -> Iterator[tuple[Pattern, slice | NDArray[np.intp], NDArray[np.floating]]]:
    """Put rows together by what they lack: give each pattern, which rows have it, and these in order."""
    lacks = np.isnan(rows)
    if not (lacks != lacks[:1]).any():
        if len(rows):
            yield lacks[0].tobytes(), slice(None), rows
        return
    digits = _digits(lacks)
    order = _order(digits)
    in_order = digits[:, order]
    ends = np.flatnonzero((in_order[:, 1:] != in_order[:, :-1]).any(axis=0)) + 1
    rows = rows.take(order, axis=0)
    for start, end in pairwise([0, *ends.tolist(), len(rows)]):
        which = order[start:end]
        yield lacks[which[0]].tobytes(), which, rows[start:end]


def by_pattern(rows: NDArray[np.floating]) -> NDArray[np.intp]:
    """Give the order in which rows that lack the same are together: what is evaluated often is to have it."""
    return _order(_digits(np.isnan(rows)))


def _order(digits: NDArray[np.unsignedinteger]) -> NDArray[np.intp]:
    """Sort by all digits, the last one first; equal ones stay as they are."""
    order = np.argsort(digits[0], kind="stable")
    for digit in digits[1:]:
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def known_in(pattern: Pattern) -> NDArray[np.bool_]:
    """Tell which features rows of a pattern have."""
    return ~np.frombuffer(pattern, bool)


def _digits(lacks: NDArray[np.bool_]) -> NDArray[np.unsignedinteger]:
    """Give numbers that tell patterns apart: (n_digits, n_rows), of at most 16 bits, which sort fast."""
    n_rows, n_features = lacks.shape
    dtype = np.dtype(np.uint8 if n_features <= 8 else np.uint16)
    n_bits = 8 * dtype.itemsize
    digits = np.zeros((-(-n_features // n_bits), n_rows), dtype)
    for feature, column in enumerate(lacks.T):
        digits[feature // n_bits] |= column.astype(dtype) << (feature % n_bits)
    return digits


def expect(kernel: Kernel, stack: Stack, chunks: Iterable[Part]) -> tuple[Statistics, ...]:
    """E-step of rows that may lack values: see `dgmm.kernels.kernel.Kernel.expect`.

    The statistics are complete, those of families whose components share a covariance too.

    Parameters
    ----------
    kernel : Kernel
        That evaluates the rows of a pattern.
    stack : Stack
        Made for such rows.
    chunks : iterable of (rows, weights)
    """
    work = _Work(kernel, stack)
    for rows, weights in chunks:
        for start in range(0, len(rows), GROUPED_ROWS):
            part = slice(start, start + GROUPED_ROWS)
            work.add(rows[part], None if weights is None else weights[..., part])
    return work.statistics()


class _Work:
    """Expected sums of all models of a stack, and the rows that wait to be added."""

    def __init__(self, kernel: Kernel, stack: Stack):
        self.kernel, self.stack = kernel, stack
        self.models = [plain(cast(Parameters, model)) for model in stack.models]
        self.sums = [
            ExpectedSums(model, stack.centre, points)
            for model, points in zip(self.models, points_of(stack), strict=True)
        ]
        self.fewest = fewest_rows(self.models)
        self.waiting: dict[Pattern, list[Part]] = {}
        self.n_bytes = 0

    def add(self, rows: NDArray[np.floating], weights: Array | None) -> None:
        """Add rows, with weights (n,) or (n_models, n) or None."""
        for pattern, which, some in patterns_of(rows):
            own = None if weights is None else weights[..., which]
            self.waiting.setdefault(pattern, []).append((some, own))
            self.n_bytes += some.nbytes + PART_BYTES + (0 if own is None else own.nbytes)
        if self.n_bytes > WAITING_BYTES:
            self._work_off()

    def statistics(self) -> tuple[Statistics, ...]:
        """Give the statistics of each model."""
        self._work_off()
        return tuple(sums.statistics() for sums in self.sums)

    def _work_off(self) -> None:
        """Evaluate what waits."""
        waiting, self.waiting, self.n_bytes = self.waiting, {}, 0
        rare: list[Part] = []
        for pattern, parts in waiting.items():
            is_known = known_in(pattern)
            if not is_known.any():
                rare.append(_one(parts))
                continue
            is_rare = sum(len(rows) for rows, _ in parts) < self.fewest
            ready = None if is_rare else self._marginals(pattern, is_known)
            if ready is None:
                rare += parts
            else:
                self._add_pattern(ready, parts)
        if rare:
            self._add_rare(rare)

    def _marginals(self, pattern: Pattern, is_known: NDArray[np.bool_]) -> Marginals | None:
        """Give the marginal mixtures of a pattern, which all tasks of a process share.

        None where features of a model depend on each other, but for rounding errors that their order decides
        on: then each model is evaluated for itself, and fails for itself.
        """
        ready: dict[Pattern, Marginals] = self.stack.marginals
        found = ready.get(pattern)
        if found is None:
            try:
                found = Marginals.of(self.stack, self.models, is_known)
            except DegenerateCovarianceError:
                return None
            if len(ready) < MOST_READY:
                ready[pattern] = found
        return found

    def _add_pattern(self, ready: Marginals, parts: list[Part]) -> None:
        if len(ready.known) < self.stack.n_features:
            parts = [(rows.take(ready.known, axis=1), weights) for rows, weights in parts]
        found = self.kernel.expect(ready.stack, parts)
        apart = any(weights is not None and weights.ndim > 1 for _, weights in parts)
        scatters: dict[tuple[bool, int], Array] = {}  # models that weigh rows alike share them
        for index, (statistics, lift) in enumerate(zip(found, ready.lifts, strict=True)):
            own, family = statistics, statistics.family
            if family.is_shared:
                which = family.has_products, index if apart else 0
                if which not in scatters:
                    scatters[which] = scatter_of(parts, ready.stack.centre, index, products=which[0])
                own = statistics.completed(scatters[which], lift.given.of_known.precisions_cholesky)
            self.sums[index].add(own, lift)

    def _add_rare(self, parts: list[Part]) -> None:
        rows = np.concatenate([rows for rows, _ in parts])
        for index, (model, sums) in enumerate(zip(self.models, self.sums, strict=True)):
            weights = np.concatenate([_weights_of(len(rows), own, index) for rows, own in parts])
            for expected in expected_rows(model, rows):
                shares, densities = shares_of(expected.log_joint)
                shares *= weights[expected.rows, None]
                densities *= weights[expected.rows]
                sums.add_rows(shares, expected.deviations, expected.within, densities, expected.entropies)


def fewest_rows(models: Sequence[Parameters]) -> float:
    """Give the rows from which on a pattern is worth marginal mixtures of its own."""
    seconds = 0.0
    for model in models:
        n_components, n_features = model.means.shape
        has_products = model.family.has_products
        each = PRODUCT_SECONDS * n_features**3 if has_products else SQUARE_SECONDS * n_features
        seconds += ROW_SECONDS + n_components * each
    return PATTERN_SECONDS * len(models) / seconds


def _weights_of(n_rows: int, weights: Array | None, model: int) -> Array:
    """Give the weights that rows have for a model."""
    if weights is None:
        return np.ones(n_rows)
    return weights if weights.ndim == 1 else weights[model]


def _one(parts: list[Part]) -> tuple[NDArray[np.floating], Array]:
    """Give one row in the place of rows that lack all features, with the weight of all."""
    counts = [len(rows) if weights is None else weights.sum(axis=-1) for rows, weights in parts]
    return parts[0][0][:1], np.sum(counts, axis=0)[..., None].astype(float)


def scatter_of(parts: Iterable[Part], centre: Array, model: int, *, products: bool) -> Array:
    """Sum weighted squares and products of rows about a centre, or squares alone.

    Parameters
    ----------
    parts : iterable of (rows, weights)
        Weights of shape (n,), or (n_models, n), or None.
    centre : ndarray of shape (n_features,)
    model : int
        Whose weights count.
    products : bool

    Returns
    -------
    ndarray of shape (n_features, n_features), or (n_features,)
    """
    total = np.zeros((len(centre), len(centre)) if products else len(centre))
    for rows, weights in parts:
        z = rows - centre
        weighted = z if weights is None else z * _weights_of(len(rows), weights, model)[:, None]
        total += weighted.T @ z if products else np.einsum("nd,nd->d", weighted, z)
    return total
