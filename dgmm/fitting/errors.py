"""Measurement errors checked: variances, or covariance matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgmm.data.source import DataError
from dgmm.kernels.measured import error_matrices
from dgmm.model.matrices import Array
from dgmm.passes.task import ChunkRows

ROUNDING = 1e-6
"""Of variances: what covariances may lack to be such, as single precision and decimals round them."""


def check_errors(chunk: ChunkRows, n_errors: int) -> None:
    """Refuse errors that are not finite or negative, and covariances that are none, naming the first row.

    Parameters
    ----------
    chunk : ChunkRows
        Its side information begins with columns of errors: see `dgmm.kernels.measured`.
    n_errors : int
        How many columns these are.

    Raises
    ------
    DataError
        Naming the row and what is wrong there. Of features that a row lacks nothing is asked.
    """
    assert chunk.side_information is not None
    known, errors = ~np.isnan(chunk.values), chunk.side_information[:, :n_errors]
    n_features = known.shape[1]
    if errors.shape[1] == n_features:
        good = (np.isfinite(errors) & (errors >= 0.0)) | ~known
        if not good.all():
            row, column = np.argwhere(~good)[0].tolist()
            raise _error(chunk, row, f"column {column} has a variance of {errors[row, column]:g}")
        return
    matrices = error_matrices(errors, n_features)
    both = known[:, :, None] & known[:, None, :]
    good = np.isfinite(matrices) | ~both
    if not good.all():
        row, i, j = np.argwhere(~good)[0].tolist()
        raise _error(chunk, row, f"the covariance of columns {i} and {j} is {matrices[row, i, j]:g}")
    bad = _no_covariances(np.where(both, matrices, 0.0).astype(np.float64))
    if bad.any():
        row = int(bad.argmax())
        raise _error(
            chunk,
            row,
            f"{matrices[row].tolist()} is no covariance, which is symmetric and has no "
            "negative variance in any direction",
        )


def _error(chunk: ChunkRows, row: int, what: str) -> DataError:
    return DataError(
        f"errors must hold variances: finite numbers of at least 0, or covariances of them. In row "
        f"{chunk.start + row}, of {chunk.place}, {what}. Leave such rows out; a value of unknown error is a "
        "missing one: make it NaN in X, with missing='marginalize'"
    )


def _no_covariances(matrices: Array) -> NDArray[np.bool_]:
    """Return which matrices (n, D, D) are no covariances, but for rounding."""
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    scales = np.sqrt(np.where(variances > 0.0, variances, 1.0))
    correlations = matrices / (scales[:, :, None] * scales[:, None, :])
    bad: NDArray[np.bool_] = np.asarray((variances < 0.0).any(axis=1))
    bad |= (np.abs(correlations - correlations.swapaxes(1, 2)) > ROUNDING).any(axis=(1, 2))
    # What has no variance has no covariance either.
    is_zero = variances <= 0.0
    bad |= ((np.abs(matrices) > 0.0) & (is_zero[:, :, None] | is_zero[:, None, :])).any(axis=(1, 2))
    lifted = correlations + ROUNDING * np.eye(matrices.shape[1])
    try:
        np.linalg.cholesky(lifted)
    except np.linalg.LinAlgError:
        bad |= np.linalg.eigvalsh(lifted)[:, 0] < 0.0
    return bad
