"""Models without covariances between features, which take incomplete rows as they come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dgmm.kernels.stack import Group, Stack
from dgmm.kernels.stacking import groups_of
from dgmm.model.families import FAMILIES
from dgmm.model.flags import natural_parameters
from dgmm.model.parameters import Parameters


def with_flags(stack: Stack) -> list[int]:
    """Give the models that do: without covariances between features, and no component on the centred path."""
    centred = {entry.model for entry in stack.centred}
    return [
        index
        for index, model in enumerate(stack.models)
        if not model.family.has_products and index not in centred
    ]


def flagged(stack: Stack, models: Sequence[Parameters]) -> Stack:
    """Make models ready for evaluation with flags; ``models`` are plain ones, of any families that may."""
    groups: list[Group] = []
    rows: dict[int, slice] = {}
    start, n_features = 0, stack.n_features
    for family in FAMILIES.values():
        sizes = [(index, model.n_components) for index, model in enumerate(models) if model.family is family]
        if not sizes:
            continue
        theta = np.concatenate([natural_parameters(models[index], stack.centre) for index, _ in sizes])
        features = family.feature_rows(n_features)
        features = slice(features.start, features.stop + n_features)
        groups += groups_of(family, sizes, start, features, theta.astype(stack.dtype))
        for index, size in sizes:
            rows[index] = slice(start, start := start + size)
    return Stack(
        stack.centre,
        stack.dtype,
        tuple(groups),
        tuple(rows[index] for index in range(len(models))),
        (),
        tuple(models),
        is_rough=stack.is_rough,
        has_flags=True,
        n_groups=stack.n_groups,
    )
