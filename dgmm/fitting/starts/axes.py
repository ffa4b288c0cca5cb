"""The longest axis of rows, along which a component is split: from their covariances, or from the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, solve_triangular

from dgmm.fitting.steps.in_memory import InMemory
from dgmm.model.families import Family
from dgmm.model.matrices import MATRICES, Array


@dataclass(frozen=True)
class AxisTuning:
    """How the longest axis is found from rows. Half and double: not measured.

    Attributes
    ----------
    n_rows : int
        Rows of which the axis is found, at the most; how long it is, all say.
    n_steps : int
        Products with the rows, and so dimensions of the space in which it is looked for.
    """

    n_rows: int = 1024
    n_steps: int = 8


AXES = AxisTuning()


def needs_covariances(family: Family, n_features: int) -> bool:
    """Return whether an axis is found from covariances: they are needed anyway, or features are few."""
    return family.has_products or n_features < MATRICES.wide_features


def long_axis(covariance: Array, root: Array) -> Array:
    """Return the standard deviation along the longest axis, as a vector in the units of the features.

    Parameters
    ----------
    covariance : ndarray of shape (n_features, n_features)
    root : ndarray of shape (n_features, n_features)
        Lower triangular factor of the covariance that counts as round.

    Returns
    -------
    ndarray of shape (n_features,)
    """
    length, axis = _longest_axis(covariance, root)
    return np.sqrt(length) * root @ axis


def long_axis_of_rows(data: InMemory, scales: Array, floor: float) -> Array:
    """Return the same from rows, without their covariances: nearly, by a few steps of Lanczos's method.

    Parameters
    ----------
    data : InMemory
    scales : ndarray of shape (n_features,)
        Standard deviations of the distribution that counts as round.
    floor : float
        Is added to the variances.

    Returns
    -------
    ndarray of shape (n_features,)
        The covariances of the features with the rows' coordinates along an axis, over the standard deviation
        of these: no square exceeds the variance of its feature, wherever the axis is.
    """
    scaled = (data.rows - data.moments.mean) / scales
    if data.row_weights is not None:
        scaled *= np.sqrt(data.row_weights)[:, None]
    some, ridge = scaled[: AXES.n_rows], floor / scales**2  # rows of searches are in random order
    start = np.random.default_rng(0).normal(size=len(scales))  # any, but always the same
    axis = _by_lanczos(lambda vector: (some @ vector) @ some, start, AXES.n_steps)
    image = (scaled @ axis) @ scaled / data.moments.weight + ridge * axis
    variance = axis @ image
    return scales * image / np.sqrt(variance) if variance > 0.0 else np.zeros_like(scales)


def _longest_axis(covariance: Array, root: Array) -> tuple[np.floating, Array]:
    """Return the largest eigenvalue of ``L⁻¹ C L⁻ᵀ`` and its eigenvector, of a lower triangular L."""
    if len(root) < MATRICES.wide_features:
        lengths, axes = np.linalg.eigh(np.linalg.solve(root, np.linalg.solve(root, covariance).T))
        return lengths[-1], axes[:, -1]
    half = solve_triangular(root, covariance, lower=True, check_finite=False)
    whole = solve_triangular(root, half.T, lower=True, overwrite_b=True, check_finite=False)
    last = len(root) - 1  # of many features the others take most of the time
    lengths, axes = eigh(whole, subset_by_index=(last, last), overwrite_a=True, check_finite=False)
    return lengths[0], axes[:, 0]


def _by_lanczos(product: Callable[[Array], Array], start: Array, n_steps: int) -> Array:
    """Return nearly the eigenvector of the largest eigenvalue of a symmetric matrix, from products with it.

    It is the longest axis within the space of a vector and its images (Lanczos, 1950), kept orthogonal.
    """
    basis, images = np.empty((n_steps, len(start))), np.empty((n_steps, len(start)))
    vector, n_found = start, 0
    while n_found < n_steps:
        size = np.linalg.norm(vector)
        for _ in range(2):  # once leaves rounding errors where little is left
            vector = vector - basis[:n_found].T @ (basis[:n_found] @ vector)
        left = np.linalg.norm(vector)
        if not left > 1e-10 * size:  # the space is whole
            break
        basis[n_found] = vector / left
        vector = images[n_found] = product(basis[n_found])
        n_found += 1
    _, axes = np.linalg.eigh(basis[:n_found] @ images[:n_found].T)
    return axes[:, -1] @ basis[:n_found]
