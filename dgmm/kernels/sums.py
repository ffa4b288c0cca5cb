"""From a kernel's sums for a stack to the statistics of its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from dgmm.kernels.stack import Stack
from dgmm.model.conditional import plain
from dgmm.model.flags import expected_statistics
from dgmm.model.matrices import Array
from dgmm.model.observed import ExpectedSums
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics


def expected_sums(stack: Stack) -> tuple[ExpectedSums, ...]:
    """Begin expected statistics of complete rows, for each model, about what the stack says."""
    return tuple(
        ExpectedSums(
            plain(cast(Parameters, model)),
            stack.points_of(index),
            is_pooled=not stack.is_complete(index),
            n_groups=stack.n_groups,
        )
        for index, model in enumerate(stack.models)
    )


def statistics_of(
    stack: Stack,
    sums_of_features: Sequence[Array],
    centred: Sequence[tuple[Array, Array]],
    log_likelihoods: Array,
    *,
    squares: Array | None = None,
    counts_by_group: Sequence[Array] = (),
) -> tuple[Statistics, ...]:
    """Return the statistics of each model, in the order of the models.

    Parameters
    ----------
    stack : Stack
    sums_of_features : sequence of ndarray of shape (n_components, features of the family)
        Of each group, weighted by responsibilities; of many patterns of rows, with an axis before these.
    centred : sequence of (ndarray, ndarray)
        Of each component of ``stack.centred``: sums (n_features,) and packed scatter (n_scatter,) about its
        reference; of many patterns likewise.
    log_likelihoods : ndarray of shape (n_models,)
    squares : ndarray of shape (n_models, n_features), optional
        Of all z, with flags for missing values: see `dgmm.model.flags.expected_statistics`.
    counts_by_group : sequence of ndarray of shape (n_components, n_groups)
        Of each group of models, where responsibilities are counted by groups of rows.
    """
    found: dict[int, Statistics] = {}
    for group, totals in zip(stack.groups, sums_of_features, strict=True):
        for model in group.models:
            rows = stack.rows[model]
            own = totals[..., rows.start - group.rows.start : rows.stop - group.rows.start, :]
            if stack.has_flags:
                assert squares is not None
                given = own, squares[model], float(log_likelihoods[model])
                found[model] = expected_statistics(
                    cast(Parameters, stack.models[model]), stack.centre, *given
                )
                continue
            counts, sums, scatter = group.family.split_sums(own, stack.n_features)
            sums = np.zeros((*counts.shape, stack.n_features)) if group.is_whitened else sums.copy()
            narrow = [index for index, entry in enumerate(stack.centred) if entry.model == model]
            if narrow:  # components that share a covariance have scatter only then, and then all of them
                whole = np.zeros((*counts.shape, centred[narrow[0]][1].shape[-1]))
                whole[..., : scatter.shape[-1]] = scatter
                scatter = whole
            else:
                scatter = scatter.copy()
            for index in narrow:
                entry = stack.centred[index]
                sums[..., entry.component, :], scatter[..., entry.component, :] = centred[index]
            found[model] = Statistics(
                group.family,
                counts.copy(),
                sums,
                scatter,
                stack.points_of(model),
                float(log_likelihoods[model]),
            )
    if stack.n_groups:
        for group, counts in zip(stack.groups, counts_by_group, strict=True):
            for model in group.models:
                rows = stack.rows[model]
                own = counts[rows.start - group.rows.start : rows.stop - group.rows.start]
                found[model] = replace(found[model], group_counts=own.T.copy())
    return tuple(found[model] for model in range(len(found)))
