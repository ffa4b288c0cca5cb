"""How exact a component's features are: whether it needs the centred path, and whether float32 serves.

Sums about the centre of the data cancel where a component is very narrow. The rounding error of its log
densities from features is about ``ε |z|ᵀ|Λ_k||z|``.
"""

from __future__ import annotations

import numpy as np

from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable

LARGEST_ERROR = 1e-8
"""Largest estimated rounding error of a log density from float64 features, in nats."""

LARGEST_ERROR_FLOAT32 = 1e-4
"""Largest estimated rounding error of a log density from float32 features, in nats; for float32 rows only."""

ROUGH_ERROR = 1e-2
"""The same where rows far from a component do not matter: starts and moves ask for no more. The mean of a
log-likelihood is a hundred times as exact as the worst row."""

LARGEST_FLOAT32 = 1e12
"""Largest deviation, and inverse width, for float32 products: their squares, summed, stay in its range."""

LARGEST_VARIANCE_ERROR = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3}
"""Largest relative rounding error of a variance from sums in float64 and float32."""

ROUGH_VARIANCE_ERROR = 1e-2
"""The same from float32, for starts and moves."""


def rounding_errors(model: Evaluable, extent: Array, dtype: np.dtype) -> Array:
    """Estimate the rounding error of log densities from features, per component (or shared), in nats.

    Parameters
    ----------
    model : Evaluable
    extent : ndarray of shape (n_features,) or (n_components, n_features)
        Largest distance of a row from the centre; of rows that matter to a component.
    dtype : numpy.dtype
        Of the features.
    """
    return np.finfo(dtype).eps * model.family.scatter_bound(model.precisions_cholesky, extent)


def allows_single_precision(
    model: Evaluable, centre: Array, extent: Array, reach: Array | None = None
) -> bool:
    """Tell whether float32 features are exact enough for a model, and within the range of float32.

    Of ``reach`` see `dgmm.kernels.stack.stack_models`.
    """
    # Means may lie outside the rows: float32 would not hold the densities there to this error.
    farthest = np.maximum(extent, np.abs(model.means - centre))
    if max(farthest.max(), np.abs(model.precisions_cholesky).max()) > LARGEST_FLOAT32:
        return False
    limit = LARGEST_ERROR_FLOAT32 if reach is None else ROUGH_ERROR
    errors = rounding_errors(model, farthest if reach is None else reach, np.dtype(np.float32))
    return bool((errors <= limit).all())
