"""What a mixture says of each row: log densities, responsibilities, labels.

The rows of a call decide on the path that narrow components take: densities of the same row in chunks of
other rows may differ by `dgmm.model.precision.LARGEST_ERROR`. Rows whose squares overflow take a path of
their own (`dgmm.model.far`), and do not decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.model import compiled
from dgmm.model.compiled import CompiledGroup
from dgmm.model.far import far_rows, log_joint_of_far, responsibilities_of_far
from dgmm.model.kernels import Workspace, blocks_of
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable
from dgmm.model.stack import Stack, stack_models

ByLoop = Callable[[CompiledGroup, NDArray[np.floating]], NDArray[Any]]
ByNumPy = Callable[[Workspace, NDArray[np.floating]], NDArray[Any]]


def _of_all(
    result: NDArray[Any],
    model: Evaluable,
    rows: NDArray[np.floating],
    of_near: Callable[[NDArray[Any], NDArray[np.floating], Array], None],
    of_far: Callable[[NDArray[np.floating]], NDArray[Any]],
) -> NDArray[Any]:
    """Fill a result for each row, of those too far for the usual path by another.

    Parameters
    ----------
    result : ndarray of shape (n_rows, ...)
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features)
    of_near : callable
        Fills a result for some rows; told about which centre their features are to be.
    of_far : callable
        Takes rows to their results.
    """
    if len(rows) == 0:
        return result
    # Rows to predict may lie anywhere: the middle of the components is the centre.
    centre = model.means.mean(axis=0)
    far = far_rows(model, rows, centre)
    if far is None:
        of_near(result, rows, centre)
        return result
    near = np.empty((len(rows) - int(far.sum()), *result.shape[1:]), result.dtype)
    if len(near):
        of_near(near, rows[~far], centre)
    result[~far], result[far] = near, of_far(rows[far])
    return result


def _fill(
    result: NDArray[Any],
    model: Evaluable,
    rows: NDArray[np.floating],
    centre: Array,
    *,
    by_loop: ByLoop,
    by_numpy: ByNumPy,
) -> Stack:
    """Fill a result for each row, piece by piece, and give the model as it was evaluated.

    Parameters
    ----------
    result : ndarray of shape (n_rows, ...)
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features)
        At least one.
    centre : ndarray of shape (n_features,)
    by_loop : callable
        Takes the compiled loop and some rows to their results.
    by_numpy : callable
        Takes a workspace and log joint densities of some rows, (K, n), to their results.
    """
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
    """Log density of each row under the mixture: (n_rows, n_features) to (n_rows,), nats.

    −∞ where it leaves the range of float64.
    """

    def of_near(result: Array, some: NDArray[np.floating], centre: Array) -> None:
        ready = _fill(
            result,
            model,
            some,
            centre,
            by_loop=lambda group, piece: group.evaluate(piece)[1],
            by_numpy=Workspace.normalize,
        )
        if ready.is_complete(0):
            return
        # A quadratic term that is the same for all components.
        for start in range(0, len(some), ready.block_rows):
            part = slice(start, start + ready.block_rows)
            z = np.ascontiguousarray(some[part].T - ready.centre[:, None])
            standardized = model.family.standardize(z, model.precisions_cholesky, 0)
            result[part] -= 0.5 * np.einsum("db,db->b", standardized, standardized)

    def of_far(some: NDArray[np.floating]) -> Array:
        return np.logaddexp.reduce(log_joint_of_far(model, some), axis=1)

    return _of_all(np.empty(len(rows)), model, rows, of_near, of_far)


def responsibilities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Probability of each component given each row: (n_rows, n_features) to (n_rows, n_components)."""

    def by_numpy(workspace: Workspace, log_joint: NDArray[np.floating]) -> NDArray[np.floating]:
        workspace.normalize(log_joint)
        return log_joint.T

    def of_near(result: Array, some: NDArray[np.floating], centre: Array) -> None:
        by_loop: ByLoop = lambda group, piece: group.evaluate(piece)[0]  # noqa: E731
        _fill(result, model, some, centre, by_loop=by_loop, by_numpy=by_numpy)

    result = np.empty((len(rows), len(model.means)))
    return _of_all(result, model, rows, of_near, lambda some: responsibilities_of_far(model, some))


def labels(model: Evaluable, rows: NDArray[np.floating]) -> NDArray[np.int64]:
    """Most probable component of each row: (n_rows, n_features) to (n_rows,)."""

    def of_near(result: NDArray[Any], some: NDArray[np.floating], centre: Array) -> None:
        by_numpy: ByNumPy = lambda _, log_joint: log_joint.argmax(axis=0)  # noqa: E731
        _fill(result, model, some, centre, by_loop=CompiledGroup.label, by_numpy=by_numpy)

    def of_far(some: NDArray[np.floating]) -> NDArray[np.intp]:
        return responsibilities_of_far(model, some).argmax(axis=1)

    return _of_all(np.empty(len(rows), np.int64), model, rows, of_near, of_far)
