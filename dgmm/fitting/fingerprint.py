"""The fingerprint of rows, taken in a pass that does nothing else."""

from __future__ import annotations

from dgmm.data.fingerprint import Fingerprint
from dgmm.data.open import open_dataset
from dgmm.data.types import RowsLike
from dgmm.passes.run import first_pass
from dgmm.passes.watched import read_alone


def fingerprint(X: RowsLike) -> Fingerprint:
    """Take the fingerprint of rows, in one pass.

    Parameters
    ----------
    X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        As `dgmm.open_dataset` takes it.

    Returns
    -------
    Fingerprint
        Its text is ``data_fingerprint_`` of a mixture that was fitted to these rows.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.arange(6.0).reshape(3, 2)
    >>> str(fingerprint(rows))
    '3x2-float64-6698de3f86f6aaaf'
    >>> fingerprint(rows) == fingerprint(rows[::-1])
    False
    """
    source = open_dataset(X)
    return first_pass(source, read_alone, "fingerprint")[0].seen.rows
