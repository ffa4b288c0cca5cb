"""What a mixture says of each row: log densities, responsibilities, labels.

The rows of a call decide on the path that narrow components take: densities of the same row in chunks of
other rows may differ by `dgmm.model.stack.LARGEST_ERROR`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dgmm.model import compiled
from dgmm.model.compiled import CompiledGroup
from dgmm.model.families import Array
from dgmm.model.kernels import Workspace, blocks_of
from dgmm.model.stack import Evaluable, Stack, stack_models


def _ready(model: Evaluable, rows: NDArray[np.floating]) -> Stack:
    """Make a model ready for rows, which may lie anywhere.

    The middle of the components is the centre, and the rows decide on the path that components take.
    """
    centre = model.means.mean(axis=0)
    extent = np.maximum(rows.max(axis=0) - centre, centre - rows.min(axis=0))
    return stack_models([model], centre, extent, np.float64)


def _pieces(ready: Stack, rows: NDArray[np.floating]) -> Iterator[tuple[CompiledGroup, slice, Array]]:
    """Cut rows into pieces for the compiled loop: the loop, which rows, and these."""
    smallest = float(np.finfo(ready.dtype).tiny)
    group, start = CompiledGroup(ready, ready.groups[0], smallest), 0
    for piece, _ in compiled.pieces_of([(rows, None)]):
        yield group, slice(start, start := start + len(piece)), piece


def _blocks(
    ready: Stack, rows: NDArray[np.floating]
) -> Iterator[tuple[Workspace, slice, NDArray[np.floating]]]:
    """Cut rows into blocks for NumPy: the workspace, which rows, and their log joint densities (K, n)."""
    workspace = Workspace(ready)
    for block in blocks_of(ready, [(rows, None)]):
        which = slice(block.start, block.start + len(block.rows))
        yield workspace, which, workspace.log_joint(block.rows, workspace.features(block), ready.groups[0])


def log_densities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Log density of each row under the mixture: (n_rows, n_features) to (n_rows,), nats."""
    result = np.empty(len(rows))
    if len(rows) == 0:
        return result
    ready = _ready(model, rows)
    if compiled.is_available():
        for group, which, piece in _pieces(ready, rows):
            result[which] = group.evaluate(piece)[1]
    else:
        for workspace, which, log_joint in _blocks(ready, rows):
            result[which] = workspace.normalize(log_joint)
    if not ready.is_complete(0):  # tied: the quadratic term, the same for all components
        for start in range(0, len(rows), ready.block_rows):
            part = slice(start, start + ready.block_rows)
            z = np.ascontiguousarray(rows[part].T - ready.centre[:, None])
            standardized = model.family.standardize(z, model.precisions_cholesky, 0)
            result[part] -= 0.5 * np.einsum("db,db->b", standardized, standardized)
    return result


def responsibilities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Probability of each component given each row: (n_rows, n_features) to (n_rows, n_components)."""
    result = np.empty((len(rows), len(model.means)))
    if len(rows) == 0:
        return result
    ready = _ready(model, rows)
    if compiled.is_available():
        for group, which, piece in _pieces(ready, rows):
            result[which] = group.evaluate(piece)[0]
    else:
        for workspace, which, log_joint in _blocks(ready, rows):
            workspace.normalize(log_joint)
            result[which] = log_joint.T
    return result


def labels(model: Evaluable, rows: NDArray[np.floating]) -> NDArray[np.int64]:
    """Most probable component of each row: (n_rows, n_features) to (n_rows,)."""
    result = np.empty(len(rows), np.int64)
    if len(rows) == 0:
        return result
    ready = _ready(model, rows)
    if compiled.is_available():
        for group, which, piece in _pieces(ready, rows):
            result[which] = group.label(piece)
    else:
        for _, which, log_joint in _blocks(ready, rows):
            result[which] = log_joint.argmax(axis=0)
    return result
