"""What a mixture says of each row: log densities, responsibilities, labels.

The rows of a call decide on the path that narrow components take: densities of the same row in chunks of
other rows may differ by `dgmm.model.precision.LARGEST_ERROR`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.model import compiled
from dgmm.model.compiled import CompiledGroup
from dgmm.model.kernels import Workspace, blocks_of
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable
from dgmm.model.stack import Stack, stack_models


def _fill(
    result: NDArray[Any],
    model: Evaluable,
    rows: NDArray[np.floating],
    by_loop: Callable[[CompiledGroup, NDArray[np.floating]], NDArray[Any]],
    by_numpy: Callable[[Workspace, NDArray[np.floating]], NDArray[Any]],
) -> Stack | None:
    """Fill a result for each row, piece by piece, and give the model as it was evaluated; None of no rows.

    Parameters
    ----------
    result : ndarray of shape (n_rows, ...)
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features)
    by_loop : callable
        Takes the compiled loop and some rows to their results.
    by_numpy : callable
        Takes a workspace and log joint densities of some rows, (K, n), to their results.
    """
    if len(rows) == 0:
        return None
    # Rows to predict may lie anywhere: the middle of the components is the centre, and the rows decide
    # on the path that components take.
    centre = model.means.mean(axis=0)
    extent = np.maximum(rows.max(axis=0) - centre, centre - rows.min(axis=0))
    ready = stack_models([model], centre, extent, np.float64)
    (only,) = ready.groups
    if compiled.is_available():
        group, start = CompiledGroup(ready, only, float(np.finfo(ready.dtype).tiny)), 0
        for piece, _ in compiled.pieces_of([(rows, None)]):
            result[start : start + len(piece)] = by_loop(group, piece)
            start += len(piece)
        return ready
    workspace = Workspace(ready)
    for block in blocks_of(ready, [(rows, None)]):
        log_joint = workspace.log_joint(block.rows, workspace.features(block), only)
        result[block.start : block.start + len(block.rows)] = by_numpy(workspace, log_joint)
    return ready


def log_densities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Log density of each row under the mixture: (n_rows, n_features) to (n_rows,), nats."""
    result = np.empty(len(rows))
    ready = _fill(result, model, rows, lambda group, piece: group.evaluate(piece)[1], Workspace.normalize)
    # A quadratic term that is the same for all components.
    if ready is not None and not ready.is_complete(0):
        for start in range(0, len(rows), ready.block_rows):
            part = slice(start, start + ready.block_rows)
            z = np.ascontiguousarray(rows[part].T - ready.centre[:, None])
            standardized = model.family.standardize(z, model.precisions_cholesky, 0)
            result[part] -= 0.5 * np.einsum("db,db->b", standardized, standardized)
    return result


def responsibilities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Probability of each component given each row: (n_rows, n_features) to (n_rows, n_components)."""

    def by_numpy(workspace: Workspace, log_joint: NDArray[np.floating]) -> NDArray[np.floating]:
        workspace.normalize(log_joint)
        return log_joint.T

    result = np.empty((len(rows), len(model.means)))
    _fill(result, model, rows, lambda group, piece: group.evaluate(piece)[0], by_numpy)
    return result


def labels(model: Evaluable, rows: NDArray[np.floating]) -> NDArray[np.int64]:
    """Most probable component of each row: (n_rows, n_features) to (n_rows,)."""
    result = np.empty(len(rows), np.int64)
    _fill(result, model, rows, CompiledGroup.label, lambda _, log_joint: log_joint.argmax(axis=0))
    return result
