"""The E-step by its formulas, to be read: slow, and what the fast kernels must give.

A row x has the log joint density ``a_k(x) = c_k − ½ ‖U_kᵀ(x − μ_k)‖²`` with component k, where ``U_k U_kᵀ``
is the precision of the component and c_k the value at its mean. From these come

- the log density of the row, ``log p(x) = log Σ_k exp a_k(x)``;
- the responsibilities of the components for it, ``r_k(x) = exp(a_k(x) − log p(x))``;

and the statistics, sums over all rows with the weights w that these may have:

- counts ``Σ w r_k(x)``, sums ``Σ w r_k(x) (x − q_k)`` and scatter ``Σ w r_k(x) (x − q_k)(x − q_k)ᵀ``, of
  which each family keeps what it needs;
- the log-likelihood ``Σ w log p(x)``.

A row may have priors of its own over components: their logarithms are added to a_k(x).

The points q_k are the centre of the data, or one near the mean of a component that is narrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import Part, Parts, pieces_of
from dgmm.kernels.marginals import Marginals
from dgmm.kernels.patterns import Grouped
from dgmm.kernels.priors import RowPriors, counted
from dgmm.kernels.rare import eliminate
from dgmm.kernels.stack import Stack
from dgmm.model.flags import expected_statistics
from dgmm.model.matrices import Array
from dgmm.model.observed import Lifts
from dgmm.model.parameters import Parameters
from dgmm.model.regression import regress
from dgmm.model.statistics import Statistics

__all__ = [
    "deviations",
    "eliminate",
    "evaluate",
    "expect",
    "features_of",
    "label",
    "library_bytes",
    "log_joint_densities",
    "missing",
    "pattern_sums",
    "regress",
    "working_bytes",
]

EVALUATED_ROWS = 1024
"""Rows that are looked at together: the arrays that are made of them stay small."""


def deviations(stack: Stack, rows: NDArray[np.floating], point: Array) -> Array:
    """Return the deviations of rows from a point, (n_features, n_rows): zero for missing values, if any."""
    found = (rows - point).T
    return np.where(np.isnan(found), 0.0, found) if stack.has_flags else found


def log_joint_densities(stack: Stack, model: int, rows: NDArray[np.floating]) -> Array:
    """Compute the log joint densities of rows (n, D) with the components of a model: (K, n), nats."""
    own = stack.models[model]

    def half_squared_distances(point: Array, component: int) -> Array:
        y = own.family.standardize(deviations(stack, rows, point), own.precisions_cholesky, component)
        return 0.5 * (y**2).sum(axis=0)

    densities = np.stack(
        [
            constant - half_squared_distances(mean, component)
            for component, (constant, mean) in enumerate(zip(own.log_constants, own.means, strict=True))
        ]
    )
    if stack.has_flags:  # what is missing takes no part
        variances = cast(Parameters, own).variances
        densities += 0.5 * np.log(2.0 * np.pi * variances) @ np.isnan(rows).T
    if stack.is_complete(model):
        return densities
    # A quadratic term that is the same for all components. No kernel has it: responsibilities do not depend
    # on it, and `Statistics.completed` adds it to the log-likelihood.
    return densities + half_squared_distances(stack.centre, 0)


def responsibilities(log_joint: Array) -> tuple[Array, Array]:
    """Return responsibilities (K, n) and log densities (n,) of rows, from log joint densities (K, n)."""
    largest = log_joint.max(axis=0)  # taken out of the sum, of which no term is above one then
    shares = np.exp(log_joint - largest)
    totals = shares.sum(axis=0)
    return shares / totals, largest + np.log(totals)


def expect_one(
    stack: Stack, model: int, rows: NDArray[np.floating], weights: Array, priors: RowPriors | None = None
) -> Statistics:
    """E-step of one model: sum its statistics over rows (n, D) with weights (n,), and priors if they have."""
    family, log_joint = stack.models[model].family, log_joint_densities(stack, model, rows)
    if priors is not None:
        log_joint += priors.of_model(model)
    shares, log_densities = responsibilities(log_joint)
    shares = weights * shares
    group_counts = counted(stack, shares, priors)
    points, log_likelihood = stack.points_of(model), float(weights @ log_densities)
    if stack.has_flags:
        z, own = deviations(stack, rows, stack.centre), cast(Parameters, stack.models[model])
        features = np.stack([(z**2).sum(axis=0), np.ones(len(rows)), *z, *np.isnan(rows).T, *z**2])
        group = next(group for group in stack.groups if model in group.models)
        squares = z**2 @ weights
        sums = shares @ features[group.features].T
        found = expected_statistics(own, stack.centre, sums, squares, log_likelihood)
        return replace(found, group_counts=group_counts)
    sums = np.stack([share @ (rows - point) for share, point in zip(shares, points, strict=True)])
    scatter = np.zeros((len(shares), 0))
    if stack.is_complete(model):  # else that of all rows is added, by `Statistics.completed` too
        scatter = np.stack(
            [family.scatter((rows - point).T, share) for share, point in zip(shares, points, strict=True)]
        )
    return Statistics(
        family, shares.sum(axis=1), sums, scatter, points, log_likelihood, group_counts=group_counts
    )


def expect(
    stack: Stack,
    chunks: Parts,
    features: NDArray[np.floating] | None = None,
) -> tuple[Statistics, ...]:
    """E-step by the formulas: see `dgmm.kernels.kernel.Kernel.expect`."""
    nothing = np.zeros((0, stack.n_features))
    totals = [expect_one(stack, model, nothing, np.zeros(0)) for model in range(len(stack.models))]
    pieces = chain.from_iterable(pieces_of(Part.of(chunk), EVALUATED_ROWS) for chunk in chunks)
    for rows, weights, priors, _ in pieces:
        own = np.broadcast_to(1.0 if weights is None else weights, (len(totals), len(rows)))
        for model, total in enumerate(totals):
            totals[model] = total + expect_one(stack, model, rows, own[model], priors)
    return tuple(totals)


def expect_pattern(stack: Stack, model: int, lifts: Lifts, pattern: int, part: Part) -> Statistics:
    """Sum the statistics of one model over rows of one pattern, and weights: see `PatternSums` of kernels."""
    rows, weights, priors, _ = part
    assert weights is not None
    own, known, points = stack.models[model], lifts.known[pattern], stack.points_of(model)

    def deviations(point: Array) -> Array:
        return np.where(known, rows - point, 0.0).T

    def half_squared_distances(point: Array, component: int) -> Array:
        factors = lifts.factors[pattern]
        factor = factors[min(component, len(factors) - 1)]
        matrix = np.diag(factor) if lifts.matrices is None else factor.T
        return 0.5 * ((matrix @ deviations(point)) ** 2).sum(axis=0)

    densities = np.stack(
        [
            constant - half_squared_distances(mean, component)
            for component, (constant, mean) in enumerate(
                zip(lifts.log_constants[pattern], own.means, strict=True)
            )
        ]
    )
    scatter, shared = np.zeros((len(points), 0)), None
    if not stack.is_complete(model):
        densities += half_squared_distances(stack.centre, 0)
        z = deviations(stack.centre)
        shared = (weights * z) @ z.T
    if priors is not None:
        densities += priors.of_model(model)
    shares, log_densities = responsibilities(densities)
    shares = weights * shares
    pairs = [*zip(shares, points, strict=True)]
    sums = np.stack([deviations(point) @ share for share, point in pairs])
    if shared is None:
        scatter = np.stack([own.family.scatter(deviations(point), share) for share, point in pairs])
    log_likelihood = float(weights @ log_densities)
    return Statistics(
        own.family,
        shares.sum(axis=1),
        sums,
        scatter,
        points,
        log_likelihood,
        shared,
        group_counts=counted(stack, shares, priors),
    )


class PatternSums:
    """Sums by pattern, by the formulas: see `dgmm.kernels.kernel.Kernel.pattern_sums`."""

    def __init__(self, stack: Stack, marginals: Marginals, n_weights: int):
        self.stack, self.lifts = stack, marginals.lifts
        nothing = Part(np.zeros((0, stack.n_features)), np.zeros(0))
        self.totals = [
            [expect_pattern(stack, model, own, number, nothing) for number in range(len(marginals.known))]
            for model, own in enumerate(self.lifts)
        ]

    def add(self, part: Grouped, numbers: NDArray[np.intp]) -> None:
        """Add rows of patterns, which have these numbers among the marginal mixtures."""
        weights = np.broadcast_to(
            1.0 if part.weights is None else part.weights, (len(self.lifts), len(part.rows))
        )
        for model, totals in enumerate(self.totals):
            for number, own in zip(numbers.tolist(), part.segments, strict=True):
                priors = None if part.priors is None else part.priors.of_rows(own)
                some = Part(part.rows[own], weights[model, own], priors)
                totals[number] += expect_pattern(self.stack, model, self.lifts[model], number, some)

    def statistics(self) -> tuple[Statistics, ...]:
        """Return the statistics of each model."""
        return tuple(
            Statistics(
                own[0].family,
                np.stack([each.counts for each in own]),
                np.stack([each.sums for each in own]),
                np.stack([each.scatter for each in own]),
                own[0].references,
                sum(each.log_likelihood for each in own),
                None if own[0].shared is None else np.stack([cast(Array, each.shared) for each in own]),
                group_counts=None
                if own[0].group_counts is None
                else np.sum([cast(Array, each.group_counts) for each in own], axis=0),
            )
            for own in self.totals
        )


pattern_sums = PatternSums

tied_rows = None


def features_of(stack: Stack, rows: NDArray[np.floating]) -> None:
    """Keep nothing: there are no features."""


def evaluate(
    stack: Stack,
    rows: NDArray[np.floating],
    features: NDArray[np.floating] | None = None,
    *,
    negligible: float | None = None,
) -> Iterator[tuple[Array, Array]]:
    """Yield responsibilities and log densities in one model, by the formulas: none of them are left out."""
    for piece in pieces_of(Part(rows), EVALUATED_ROWS):
        yield responsibilities(log_joint_densities(stack, 0, piece.rows))


def label(stack: Stack, rows: NDArray[np.floating]) -> Iterator[NDArray[np.integer]]:
    """Yield the component with the largest log joint density for each row, in one model."""
    for piece in pieces_of(Part(rows), EVALUATED_ROWS):
        yield log_joint_densities(stack, 0, piece.rows).argmax(axis=0)


def missing() -> None:
    """Say that nothing is: NumPy is there anyway."""


def library_bytes() -> int:
    """Forecast nothing more than is there anyway."""
    return 0


def working_bytes(stack: Stack) -> int:
    """Forecast the bytes that `expect` allocates beyond the rows, temporary arrays included."""
    n_components = max(len(model.means) for model in stack.models)
    return 8 * EVALUATED_ROWS * (3 * n_components + 2 * stack.n_features + 2)
