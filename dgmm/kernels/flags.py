"""Which models of a stack take rows that lack values as they come, with flags for what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dgmm.kernels.stack import Stack, groups_of
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
    n_features = stack.n_features
    sizes = [(index, model.n_components) for index, model in enumerate(models)]
    ends = np.cumsum([size for _, size in sizes]).tolist()
    theta = np.concatenate([natural_parameters(model, stack.centre) for model in models])
    features = slice(1, 2 + 3 * n_features)
    return Stack(
        stack.centre,
        stack.dtype,
        tuple(groups_of(FAMILIES["diag"], sizes, 0, features, theta.astype(stack.dtype))),
        tuple(slice(end - size, end) for end, (_, size) in zip(ends, sizes, strict=True)),
        (),
        tuple(models),
        is_rough=stack.is_rough,
        has_flags=True,
    )
