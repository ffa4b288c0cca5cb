"""Modes of mixtures: where the density is highest.

``x ← x + (Σ_k r_k Λ_k)⁻¹ Σ_k r_k Λ_k (μ_k − x)``, with the responsibilities r at x, is a step of EM with the
point as its parameter: it never lowers the density, and rests where that is stationary (Carreira-Perpiñán,
2000).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgmm.model.families import Family
from dgmm.model.matrices import Array

LARGEST_STEP = 1e-9
"""Standard deviations by which a point that has arrived still moves."""

MOST_STEPS = 1000


def highest_modes(family: Family, log_weights: Array, means: Array, precisions_cholesky: Array) -> Array:
    """Find the highest mode of each of many mixtures that differ in weights and means alone.

    Steps begin at the mean of each component that may have the largest responsibility at that mode: of one
    whose part of the density, at its own mean, is at least the K-th part of what the mixture has at the best
    mean.

    Parameters
    ----------
    family : Family
    log_weights : ndarray of shape (n, K)
    means : ndarray of shape (K, n, D)
    precisions_cholesky : ndarray
        As the family says, of all.

    Returns
    -------
    ndarray of shape (n, D)
    """
    n_components, n_mixtures, n_features = means.shape
    found = _Mixtures(family, log_weights, means, precisions_cholesky)
    numbers = np.arange(n_mixtures)
    at_means = np.column_stack([found.log_density(numbers, mean) for mean in means])
    floors = at_means.max(axis=1, keepdims=True) - np.log(n_components)
    starts, owners = np.nonzero((found.log_peaks >= floors).T)
    points = means[starts, owners].copy()
    moving = np.arange(len(points))
    for _ in range(MOST_STEPS):
        steps, sizes = found.steps(owners[moving], points[moving])
        points[moving] += steps
        moving = moving[sizes > LARGEST_STEP]
        if not len(moving):
            break
    heights = found.log_density(owners, points)
    order = np.lexsort((heights, owners))
    last = np.append(owners[order][1:] != owners[order][:-1], True)
    return points[order[last]].reshape(n_mixtures, n_features)


class _Mixtures:
    """Mixtures that differ in weights and means alone, which the steps take at many points."""

    def __init__(self, family: Family, log_weights: Array, means: Array, precisions_cholesky: Array) -> None:
        n_features = means.shape[2]
        self.family, self.means, self.factors = family, means, precisions_cholesky
        self.log_peaks = log_weights + family.half_log_determinants(precisions_cholesky, n_features)
        """Log joint density of each component at its mean, but for a constant: (n, K)."""
        precisions = family.precisions(precisions_cholesky)
        n_components = len(means)
        self.precisions = (
            family.to_matrices(precisions, n_components, n_features)
            if family.has_products
            else family.variances(precisions, n_components, n_features)
        )

    def log_joint(self, owners: NDArray[np.intp], points: Array) -> Array:
        """Return log joint densities at points (p, D) of their owners, but for a constant: (p, K)."""
        gaps = points - self.means[:, owners]
        squares = [
            np.square(self.family.standardize(gap.T, self.factors, k)).sum(axis=0)
            for k, gap in enumerate(gaps)
        ]
        return self.log_peaks[owners] - 0.5 * np.array(squares).T

    def log_density(self, owners: NDArray[np.intp], points: Array) -> Array:
        """Return the log densities at points (p, D) of their owners, but for the same constant: (p,)."""
        return np.logaddexp.reduce(self.log_joint(owners, points), axis=1)

    def steps(self, owners: NDArray[np.intp], points: Array) -> tuple[Array, Array]:
        """Return the step at each point (p, D), and how many standard deviations it is long (p,)."""
        log_joint = self.log_joint(owners, points)
        shares = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True))
        gaps = self.means[:, owners] - points
        if self.family.has_products:
            pulls = np.einsum("pk,kij,kpj->pi", shares, self.precisions, gaps, optimize=True)
            total = np.einsum("pk,kij->pij", shares, self.precisions)
            steps = np.linalg.solve(total, pulls[:, :, None])[:, :, 0]
        else:
            pulls = np.einsum("pk,ki,kpi->pi", shares, self.precisions, gaps, optimize=True)
            steps = pulls / (shares @ self.precisions)
        return steps, np.sqrt(np.maximum((steps * pulls).sum(axis=1), 0.0))
