"""Distances between normal distributions in closed form: Bhattacharyya, Hellinger, Kullback-Leibler."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


def bhattacharyya_distances(parameters: Parameters) -> Array:
    """Return ``−log ∫ √(p_i p_j)`` of all pairs of components, whatever they weigh: (K, K), nats.

    With Σ the mean of both covariances it is ``⅛ (μ_i − μ_j)ᵀ Σ⁻¹ (μ_i − μ_j) + ½ log(|Σ| / √(|Σ_i|
    |Σ_j|))``.
    """
    found = np.zeros((parameters.n_components, parameters.n_components))
    matrices = parameters.covariance_matrices if parameters.family.has_products else None
    for i in range(parameters.n_components - 1):
        gaps = parameters.means[i + 1 :] - parameters.means[i]
        if matrices is None:
            own, others = parameters.variances[i], parameters.variances[i + 1 :]
            distances = normal_distances(gaps, own, others).sum(axis=1)
        else:
            distances = _of_matrices(gaps, matrices[i], matrices[i + 1 :])
        found[i, i + 1 :] = found[i + 1 :, i] = distances
    return found


def distances_between(first: Parameters, second: Parameters) -> Array:
    """Return Bhattacharyya distances between the components of two mixtures: (K, L), nats."""
    if _are_independent(first, second):
        pairs = zip(first.means, first.variances, strict=True)
        each = (normal_distances(second.means - mean, own, second.variances) for mean, own in pairs)
        return np.stack([distances.sum(axis=1) for distances in each])
    others = second.covariance_matrices
    return np.stack(
        [
            _of_matrices(second.means - mean, own, others)
            for mean, own in zip(first.means, first.covariance_matrices, strict=True)
        ]
    )


def divergences(first: Parameters, second: Parameters) -> Array:
    """Return Kullback–Leibler divergences of components of one mixture from another's: (K, L), nats.

    ``½ (tr(Σ_j⁻¹ Σ_i) + (μ_j − μ_i)ᵀ Σ_j⁻¹ (μ_j − μ_i) − D + log(|Σ_j| / |Σ_i|))``: what is lost on average
    where rows of i are described by j.
    """
    if _are_independent(first, second):
        found = np.empty((first.n_components, second.n_components))
        for j, (mean, variances) in enumerate(zip(second.means, second.variances, strict=True)):
            ratios = first.variances / variances
            squares = np.square(mean - first.means) / variances
            found[:, j] = 0.5 * (ratios + squares - 1.0 - np.log(ratios)).sum(axis=1)
        return np.maximum(found, 0.0)
    own, others = (np.linalg.cholesky(each.covariance_matrices) for each in (first, second))
    halves = [np.log(np.diagonal(each, axis1=1, axis2=2)).sum(axis=1) for each in (own, others)]
    found = np.empty((len(own), len(others)))
    for j, (lower, mean) in enumerate(zip(others, second.means, strict=True)):
        traces = np.square(np.linalg.solve(lower, own)).sum(axis=(1, 2))
        squares = np.square(np.linalg.solve(lower, (mean - first.means).T)).sum(axis=0)
        found[:, j] = 0.5 * (traces + squares - first.n_features) + halves[1][j] - halves[0]
    return np.maximum(found, 0.0)


def mixture_divergence(first: Parameters, second: Parameters) -> float:
    """Approximate the Kullback–Leibler divergence of a mixture from another, nats a row: zero if they agree.

    The integral has no closed form. This is Hershey's and Olsen's variational approximation (2007,
    *Approximating the Kullback Leibler divergence between Gaussian mixture models*): for each component of
    the first, how much of the first is near it, against how much of the second.
    """
    with np.errstate(divide="ignore"):
        logs = [np.log(each.weights) for each in (first, second)]
    near = [
        np.logaddexp.reduce(log - divergences(first, each), axis=1)
        for log, each in zip(logs, (first, second), strict=True)
    ]
    return float(first.weights @ (near[0] - near[1]))


def _are_independent(first: Parameters, second: Parameters) -> bool:
    """Return whether features are independent in all components: no matrix of all of them is needed."""
    return not (first.family.has_products or second.family.has_products)


def _of_matrices(gaps: Array, own: Array, others: Array) -> Array:
    """Return the distances of one component from n others: (n, D), (D, D), (n, D, D) to (n,)."""
    lower = np.linalg.cholesky(0.5 * (own + others))
    standardized = np.linalg.solve(lower, gaps[:, :, None])[:, :, 0]
    half_determinants = [
        np.log(np.diagonal(each, axis1=-2, axis2=-1)).sum(axis=-1)
        for each in (lower, np.linalg.cholesky(own), np.linalg.cholesky(others))
    ]
    mean, first, second = half_determinants
    return np.maximum(0.125 * np.square(standardized).sum(axis=1) + mean - 0.5 * (first + second), 0.0)


def normal_distances(gaps: Array, first: Array, second: Array) -> Array:
    """Return the same of normal distributions of one feature, from gaps of means and from variances."""
    mean = 0.5 * (first + second)
    return np.maximum(0.125 * gaps**2 / mean + 0.5 * np.log(mean / (np.sqrt(first) * np.sqrt(second))), 0.0)


def coefficients(distances: Array) -> Array:
    """Return Bhattacharyya's coefficients ``∫ √(p q)`` of distances: from 0, no overlap, to 1, the same."""
    return np.exp(-distances)


def hellinger(distances: Array) -> Array:
    """Return Hellinger's distances ``√(1 − ∫ √(p q))``: from 0, the same, to 1, no overlap."""
    return np.sqrt(-np.expm1(-distances))


def contrasts(parameters: Parameters, components: Sequence[int] | None = None) -> Array:
    """Return how far each component's feature is from that of all others together.

    Parameters
    ----------
    parameters : Parameters
    components : sequence of int, optional
        Whose contrasts to compute. Default: all.

    Returns
    -------
    ndarray of shape (n_chosen, D)
        Hellinger's distance of the feature's distribution in the component from the normal distribution that
        has its mean and variance in the others; zeros for a single component.
    """
    weights, means, variances = parameters.weights, parameters.means, parameters.variances
    chosen = range(len(weights)) if components is None else components
    found = np.zeros((len(chosen), parameters.n_features))
    if len(weights) == 1:
        return found
    for result, k in zip(found, chosen, strict=True):  # in turn: there may be thousands, of as many features
        others = np.array(weights)
        others[k] = 0.0
        if others.sum() == 0.0:  # all the weight is in one
            others[:] = np.arange(len(weights)) != k
        others /= others.sum()
        rest = others @ means
        spread = others @ (variances + np.square(means - rest))
        result[:] = hellinger(normal_distances(means[k] - rest, variances[k], spread))
    return found
