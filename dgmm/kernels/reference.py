"""The E-step by its formulas, to be read: slow, and what the fast kernels must give.

A row x has the log joint density ``a_k(x) = c_k − ½ ‖U_kᵀ(x − μ_k)‖²`` with component k, where ``U_k U_kᵀ``
is the precision of the component and c_k the value at its mean. From these come

- the log density of the row, ``log p(x) = log Σ_k exp a_k(x)``;
- the responsibilities of the components for it, ``r_k(x) = exp(a_k(x) − log p(x))``;

and the statistics, sums over all rows with the weights w that these may have:

- counts ``Σ w r_k(x)``, sums ``Σ w r_k(x) (x − q_k)`` and scatter ``Σ w r_k(x) (x − q_k)(x − q_k)ᵀ``, of
  which each family keeps what it needs;
- the log-likelihood ``Σ w log p(x)``.

The points q_k are the centre of the data, or one near the mean of a component that is narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import pieces_of
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.statistics import Statistics

EVALUATED_ROWS = 1024
"""Rows that are looked at together: the arrays that are made of them stay small."""


def log_joint_densities(stack: Stack, model: int, rows: NDArray[np.floating]) -> Array:
    """Compute the log joint densities of rows (n, D) with the components of a model: (K, n), nats."""
    own = stack.models[model]

    def half_squared_distances(point: Array, component: int) -> Array:
        y = own.family.standardize((rows - point).T, own.precisions_cholesky, component)
        return 0.5 * (y**2).sum(axis=0)

    densities = np.stack(
        [
            constant - half_squared_distances(mean, component)
            for component, (constant, mean) in enumerate(zip(own.log_constants, own.means, strict=True))
        ]
    )
    if stack.is_complete(model):
        return densities
    # A quadratic term that is the same for all components. No kernel has it: responsibilities do not depend
    # on it, and `Statistics.completed` adds it to the log-likelihood.
    return densities + half_squared_distances(stack.centre, 0)


def responsibilities(log_joint: Array) -> tuple[Array, Array]:
    """Give responsibilities (K, n) and log densities (n,) of rows, from log joint densities (K, n)."""
    largest = log_joint.max(axis=0)  # taken out of the sum, of which no term is above one then
    shares = np.exp(log_joint - largest)
    totals = shares.sum(axis=0)
    return shares / totals, largest + np.log(totals)


def expect_one(stack: Stack, model: int, rows: NDArray[np.floating], weights: Array) -> Statistics:
    """E-step of one model: sum its statistics over rows (n, D) with weights (n,)."""
    family = stack.models[model].family
    shares, log_densities = responsibilities(log_joint_densities(stack, model, rows))
    shares = weights * shares
    points = np.tile(stack.centre, (len(shares), 1))
    for entry in stack.centred:
        if entry.model == model:
            points[entry.component] = entry.reference
    sums = np.stack([share @ (rows - point) for share, point in zip(shares, points, strict=True)])
    scatter = np.zeros((len(shares), 0))
    if stack.is_complete(model):  # else that of all rows is added, by `Statistics.completed` too
        scatter = np.stack(
            [family.scatter((rows - point).T, share) for share, point in zip(shares, points, strict=True)]
        )
    log_likelihood = float(weights @ log_densities)
    return Statistics(family, shares.sum(axis=1), sums, scatter, points, log_likelihood)


def expect(
    stack: Stack,
    chunks: Iterable[tuple[NDArray[np.floating], Array | None]],
    features: NDArray[np.floating] | None = None,
) -> tuple[Statistics, ...]:
    """E-step by the formulas: see `dgmm.kernels.kernel.Kernel.expect`."""
    nothing = np.zeros((0, stack.n_features))
    totals = [expect_one(stack, model, nothing, np.zeros(0)) for model in range(len(stack.models))]
    for rows, weights in chain.from_iterable(pieces_of(*chunk, EVALUATED_ROWS) for chunk in chunks):
        own = np.broadcast_to(1.0 if weights is None else weights, (len(totals), len(rows)))
        for model, total in enumerate(totals):
            totals[model] = total + expect_one(stack, model, rows, own[model])
    return tuple(totals)


def features_of(stack: Stack, rows: NDArray[np.floating]) -> None:
    """Keep nothing: there are no features."""


def evaluate(
    stack: Stack,
    rows: NDArray[np.floating],
    features: NDArray[np.floating] | None = None,
    *,
    negligible: float | None = None,
) -> Iterator[tuple[Array, Array]]:
    """Give responsibilities and log densities in one model, by the formulas: none of them are left out."""
    for piece, _ in pieces_of(rows, None, EVALUATED_ROWS):
        yield responsibilities(log_joint_densities(stack, 0, piece))


def label(stack: Stack, rows: NDArray[np.floating]) -> Iterator[NDArray[np.integer]]:
    """Give the component with the largest log joint density for each row, in one model."""
    for piece, _ in pieces_of(rows, None, EVALUATED_ROWS):
        yield log_joint_densities(stack, 0, piece).argmax(axis=0)


def missing() -> None:
    """Say that nothing is: NumPy is there anyway."""


def library_bytes() -> int:
    """Forecast nothing more than is there anyway."""
    return 0


def working_bytes(stack: Stack) -> int:
    """Forecast the bytes that `expect` allocates beyond the rows, temporary arrays included."""
    n_components = max(len(model.means) for model in stack.models)
    return 8 * EVALUATED_ROWS * (3 * n_components + 2 * stack.n_features + 2)
