"""Principal components from triangular factors of rows, which add up.

The factor R has ``RᵀR = Σ w (x − x̄)(x − x̄)ᵀ``. It is made by reflections and never squared: a variance that
is 10⁻²⁰ of the largest one is found as a singular value decomposition of all rows finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_2_PI

FACTORED_ROWS = 2048
"""Rows that are factored at once, if they are at least `ROWS_PER_FEATURE` for each feature."""
ROWS_PER_FEATURE = 4
"""With fewer rows in a piece, adding up factors would take as long as making them."""
SMALLEST_VARIANCE = 1e-15
"""Variances below are taken for rounding errors in `minka_dimension`, as in scikit-learn."""


@dataclass(frozen=True, eq=False)
class CentredFactor:
    """Weight, mean and triangular factor of rows about their mean; of neighbouring rows they add up.

    Attributes
    ----------
    n_rows : int
        Number of rows that have a weight above zero.
    weight : float
        Sum of the row weights; the number of rows where there are none.
    mean : ndarray of shape (n_features,)
    factor : ndarray of shape (at most n_features, n_features)
        R with ``RᵀR`` the scatter about the mean.
    """

    n_rows: int
    weight: float
    mean: Array
    factor: Array

    @classmethod
    def nothing(cls, n_features: int) -> CentredFactor:
        """Return the factor of no rows."""
        return cls(0, 0.0, np.zeros(n_features), np.empty((0, n_features)))

    @classmethod
    def of(cls, rows: np.ndarray, weights: Array | None = None) -> CentredFactor:
        """Factor rows of shape (n_rows, n_features), of weights of shape (n_rows,)."""
        n_rows, n_features = rows.shape
        step, total = max(FACTORED_ROWS, ROWS_PER_FEATURE * n_features), cls.nothing(n_features)
        for start in range(0, n_rows, step):
            part = slice(start, start + step)
            total += cls._centred(rows[part], None if weights is None else weights[part])
        return total

    @classmethod
    def _centred(cls, rows: np.ndarray, weights: Array | None) -> CentredFactor:
        """Return the centred rows themselves for their factor, which adding makes a triangle."""
        n_rows = len(rows) if weights is None else int(np.count_nonzero(weights))
        weight = float(n_rows if weights is None else weights.sum())
        if weight == 0.0:
            return cls.nothing(rows.shape[1])
        # A first guess near the mean, then its correction: sums stay small about a far mean.
        guess = rows[0].astype(np.float64)
        deviations = rows - guess
        shift = np.average(deviations, axis=0, weights=weights)
        deviations -= shift
        if weights is not None:
            deviations *= np.sqrt(weights)[:, None]
        return cls(n_rows, weight, guess + shift, deviations)

    def __add__(self, other: CentredFactor) -> CentredFactor:
        weight = self.weight + other.weight
        if weight == 0.0:
            return self
        difference, share = other.mean - self.mean, other.weight / weight
        between = np.sqrt(self.weight * share) * difference
        rows = np.concatenate([self.factor, other.factor, between[None]])
        # As many rows as columns, or fewer, with the same squares and products.
        factor = np.asarray(np.linalg.qr(rows, mode="r"))
        return CentredFactor(self.n_rows + other.n_rows, weight, self.mean + share * difference, factor)


def principal_axes(factor: CentredFactor) -> tuple[Array, Array]:
    """Find the directions along which rows vary most.

    Parameters
    ----------
    factor : CentredFactor
        Of n rows, or of n by their weights, if these are more.

    Returns
    -------
    singular_values : ndarray of shape (min(n, n_features),)
        Of the centred rows, each times the root of its weight; the largest first.
    axes : ndarray of shape (min(n, n_features), n_features)
        Unit vectors; the entry of the largest absolute value is positive. Those without variance do not
        depend on how rows were cut, either: see `_completed`.
    """
    kept = min(max(factor.n_rows, int(factor.weight)), len(factor.mean))
    missing = max(0, kept - len(factor.factor))
    _, values, axes = np.linalg.svd(np.pad(factor.factor, ((0, missing), (0, 0))), full_matrices=False)
    rank = int((values[:kept] > np.finfo(float).eps * max(np.shape(factor.factor)) * values[:1]).sum())
    values[rank:], axes = 0.0, _completed(axes[:rank], kept)
    values = values[:kept]
    largest = np.abs(axes).argmax(axis=1)
    return values, axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]


def _completed(axes: Array, n_wanted: int) -> Array:
    """Add axes: of the coordinate axis that is farthest from the others what is perpendicular to them.

    Parameters
    ----------
    axes : ndarray of shape (n, n_features)
        Perpendicular unit vectors.
    n_wanted : int
        At least n.

    Returns
    -------
    ndarray of shape (n_wanted, n_features)
    """
    found = np.concatenate([axes, np.zeros((n_wanted - len(axes), axes.shape[1]))])
    for index in range(len(axes), n_wanted):
        known = found[:index]
        added = np.zeros(axes.shape[1])
        added[np.square(known).sum(axis=0).argmin()] = 1.0
        for _ in range(2):  # the second time takes off what rounding has left
            added -= (known @ added) @ known
        found[index] = added / np.linalg.norm(added)
    return found


def minka_dimension(variances: Array, n_rows: float) -> int:
    """Choose a number of components by the evidence of probabilistic PCA, approximated by Laplace's method.

    Parameters
    ----------
    variances : ndarray of shape (n_features,)
        Along the principal axes, the largest first.
    n_rows : float
        Number, or weight, of the rows.

    Returns
    -------
    int
        From 1 to n_features − 1, but 0 for a single feature.

    References
    ----------
    Minka, T. P. (2000). Automatic choice of dimensionality for PCA. NIPS 13, equations 30 and 77 ff.
    """
    evidence = [_log_evidence(variances, rank, n_rows) for rank in range(1, len(variances))]
    return int(np.argmax(evidence)) + 1 if evidence else 0


def _log_evidence(variances: Array, rank: int, n_rows: float) -> float:
    """Return the log evidence of so many components, nats; −∞ where variances are zero or the same."""
    n_features, kept = len(variances), variances[:rank]
    noise = max(float(variances[rank:].mean()), SMALLEST_VARIANCE)
    if kept[-1] < SMALLEST_VARIANCE:
        return -np.inf
    halves = (n_features - np.arange(rank)) / 2.0
    log_prior = float((gammaln(halves) - halves * np.log(np.pi)).sum()) - rank * np.log(2.0)
    log_likelihood = -0.5 * n_rows * (np.log(kept).sum() + (n_features - rank) * np.log(noise))
    n_angles = n_features * rank - rank * (rank + 1) / 2.0
    smoothed = np.where(np.arange(n_features) < rank, variances, noise)
    first, second = np.triu_indices(n_features, 1)
    pairs = first < rank
    first, second = first[pairs], second[pairs]
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = 1.0 / smoothed[second] - 1.0 / smoothed[first]
        log_curvature = np.log((variances[first] - variances[second]) * gaps * n_rows).sum()
    if not np.isfinite(log_curvature):
        return -np.inf
    log_volume = 0.5 * (n_angles + rank) * LOG_2_PI - 0.5 * (log_curvature + rank * np.log(n_rows))
    return float(log_prior + log_likelihood + log_volume)


def project(rows: np.ndarray, mean: Array, axes: Array, widths: Array | None) -> Array:
    """Return the coordinates of rows along axes.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    mean : ndarray of shape (n_features,)
        The origin of the coordinates.
    axes : ndarray of shape (n_components, n_features)
    widths : ndarray of shape (n_components,) or None
        The units of the coordinates.

    Returns
    -------
    ndarray of shape (n_rows, n_components)
    """
    found = np.empty((len(rows), len(axes)))
    for start in range(0, len(rows), FACTORED_ROWS):  # what is centred is a copy, and is to be small
        part = slice(start, start + FACTORED_ROWS)
        found[part] = (rows[part] - mean) @ axes.T
    return found if widths is None else np.divide(found, widths, out=found)


def reconstruct(rows: np.ndarray, mean: Array, axes: Array, widths: Array | None) -> Array:
    """Undo `project`: (n_rows, n_components) to (n_rows, n_features)."""
    return rows @ (axes if widths is None else axes * widths[:, None]) + mean


def gaussian_log_densities(rows: np.ndarray, mean: Array, precision: Array) -> Array:
    """Return the log density of rows under one normal distribution: (n_rows,), nats.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    mean : ndarray of shape (n_features,)
    precision : ndarray of shape (n_features, n_features)
    """
    deviations = rows - mean
    _, log_determinant = np.linalg.slogdet(precision)
    squares = np.einsum("nd,nd->n", deviations, deviations @ precision)
    return 0.5 * (log_determinant - len(mean) * LOG_2_PI - squares)
