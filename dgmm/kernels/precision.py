"""Rounding errors of features: which components need the centred path, and where float32 serves.

Sums about the centre of the data cancel where a component is very narrow. The rounding error of its log
densities from features is about ``ε |z|ᵀ|Λ_k||z|``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable


@dataclass(frozen=True)
class PrecisionTuning:
    """How far from exact the answers of one precision may be.

    Errors are bounds, of the worst row; the mean of a log-likelihood is a hundred times as exact. They grow
    with the square of a component's distance from the centre in its own widths, so half and double move the
    distance at which it takes the centred path, or float32 rows take float64, by a factor of √2. What that is
    in time was not measured. See docs/notes/2026-11-23-precision.md.

    Attributes
    ----------
    density_error : float
        Of a log density from features, nats.
    variance_error : float
        Of a variance from sums, relative: what an M-step may lose to cancellation.
    negligible : float
        Responsibilities below are zero in the compiled E-step, and in NumPy's where sums are gathered. As an
        M-step adds ten machine epsilons to every count, not even 1e9 such rows show in its parameters.
    """

    density_error: float
    variance_error: float
    negligible: float


DOUBLE = PrecisionTuning(density_error=1e-8, variance_error=1e-6, negligible=1e-40)
"""Of float64 products."""

SINGLE = PrecisionTuning(density_error=1e-4, variance_error=1e-3, negligible=1e-30)
"""Of float32 products, which float32 rows take where that is exact enough for all components."""

ROUGH = replace(SINGLE, density_error=1e-2, variance_error=1e-2)
"""The same for starts and moves, which ask for no more, and only near a component."""

LARGEST_FLOAT32 = 1e12
"""Largest deviation, and inverse width, for float32 products: their squares, summed, stay in its range."""


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


def largest_rounding_errors(model: Evaluable, extent: Array, dtype: np.dtype) -> Array:
    """Estimate the most that rounding of one feature's squares adds to log densities: (K,), nats.

    Of the components of a full model: less than `rounding_errors`, and found without precisions. ``extent``
    is of shape (n_features,).
    """
    precisions = np.einsum("kij,kij->ki", model.precisions_cholesky, model.precisions_cholesky)
    return np.finfo(dtype).eps * (precisions * extent**2).max(axis=1)


def allows_single_precision(
    model: Evaluable, centre: Array, extent: Array, reach: Array | None = None
) -> bool:
    """Return whether float32 features are exact enough for a model, and within the range of float32.

    Of ``reach`` see `dgmm.kernels.stacking.stack_models`.
    """
    # Means may lie outside the rows: float32 would not hold the densities there to this error.
    farthest = np.maximum(extent, np.abs(model.means - centre))
    if max(farthest.max(), np.abs(model.precisions_cholesky).max()) > LARGEST_FLOAT32:
        return False
    limit = (SINGLE if reach is None else ROUGH).density_error
    errors = rounding_errors(model, farthest if reach is None else reach, np.dtype(np.float32))
    return bool((errors <= limit).all())
