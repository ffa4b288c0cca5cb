"""What a mixture says of each row: log densities, responsibilities, labels.

The rows of a call decide on the path that narrow components take: densities of the same row in chunks of
other rows may differ by `dgmm.model.stack.LARGEST_ERROR`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dgmm.model.families import Array
from dgmm.model.kernels import Workspace, blocks_of
from dgmm.model.stack import Evaluable, stack_models


def _evaluate(
    model: Evaluable, rows: NDArray[np.floating]
) -> Iterator[tuple[Workspace, slice, NDArray[np.floating], NDArray[np.floating]]]:
    """Evaluate rows block by block: the workspace, which rows, their features, their log joint densities."""
    if len(rows) == 0:
        return
    # Rows to predict may lie anywhere: the middle of the components is the centre, and the rows decide
    # on the path that components take.
    centre = model.means.mean(axis=0)
    extent = np.maximum(rows.max(axis=0) - centre, centre - rows.min(axis=0))
    ready = stack_models([model], centre, extent, np.float64)
    workspace = Workspace(ready)
    for block in blocks_of(ready, [(rows, None)]):
        table = workspace.features(block)
        which = slice(block.start, block.start + len(block.rows))
        yield workspace, which, table, workspace.log_joint(block.rows, table, ready.groups[0])


def log_densities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Log density of each row under the mixture: (n_rows, n_features) to (n_rows,), nats."""
    result = np.empty(len(rows))
    for workspace, which, table, log_joint in _evaluate(model, rows):
        result[which] = workspace.normalize(log_joint)
        if not workspace.stack.is_complete(0):  # tied: the quadratic term, the same for all components
            z = table[workspace.stack.deviations]
            standardized = model.family.standardize(z, model.precisions_cholesky, 0)
            result[which] -= 0.5 * np.einsum("db,db->b", standardized, standardized)
    return result


def responsibilities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Probability of each component given each row: (n_rows, n_features) to (n_rows, n_components)."""
    result = np.empty((len(rows), len(model.means)))
    for workspace, which, _, log_joint in _evaluate(model, rows):
        workspace.normalize(log_joint)
        result[which] = log_joint.T
    return result


def labels(model: Evaluable, rows: NDArray[np.floating]) -> NDArray[np.int64]:
    """Most probable component of each row: (n_rows, n_features) to (n_rows,)."""
    result = np.empty(len(rows), np.int64)
    for _, which, _, log_joint in _evaluate(model, rows):
        result[which] = log_joint.argmax(axis=0)
    return result
