"""Expectation-maximization: from sufficient statistics to the parameters of highest likelihood."""

from __future__ import annotations

import numpy as np

from dgmm.model.families import FAMILIES
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import SMALLEST_COUNT, Statistics


def update_means(statistics: Statistics, centre: Array) -> Array:
    """Give the means alone of `update`: they are exact where variances have cancelled; (K, D)."""
    counts = statistics.counts + SMALLEST_COUNT
    # An empty component has its mean at the origin, as in scikit-learn.
    share = (statistics.counts / counts)[:, None]
    return share * (centre + statistics.references) + statistics.sums / counts[:, None]


def update(
    statistics: Statistics, covariance_type: str, centre: Array, total_scatter: Array, reg_covar: float
) -> Parameters:
    """M-step: the parameters that maximize the expected complete log-likelihood.

    As scikit-learn: ten machine epsilons are added to every count, ``reg_covar`` to every variance.

    Parameters
    ----------
    statistics : Statistics
        Of all rows.
    covariance_type : str
    centre : ndarray of shape (n_features,)
        The point that the statistics are relative to.
    total_scatter : ndarray of shape (n_features, n_features)
        Weighted sums of squares and products of all rows about the centre; used by tied only.
    reg_covar : float
        In squared units of the data.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    deviations = statistics.deviations(total_scatter, SMALLEST_COUNT)
    weights, means = deviations.counts / deviations.counts.sum(), update_means(statistics, centre)
    covariances = FAMILIES[covariance_type].covariances(deviations, reg_covar)
    return Parameters.from_covariances(covariance_type, weights, means, covariances)


def cancels(statistics: Statistics, updated: Parameters, total_scatter: Array, largest_ratio: float) -> bool:
    """Tell whether variances are too small beside the sums that they were made from.

    The sums about the centre then leave only rounding errors of the variances: they are to be taken again,
    about the components' means.

    Parameters
    ----------
    statistics : Statistics
    updated : Parameters
        What `update` made of them.
    total_scatter : ndarray of shape (n_features, n_features)
        As for `update`.
    largest_ratio : float
        Of squares to variance: see `dgmm.model.stack.Stack.largest_ratio`.
    """
    n_features = updated.n_features
    counts = statistics.counts[:, None] + SMALLEST_COUNT
    variances = updated.variances
    if updated.covariance_type == "spherical":
        squares, variances = statistics.scatter / counts, variances.sum(axis=1, keepdims=True)
    elif updated.covariance_type == "tied" and statistics.scatter.shape[1] == 0:
        squares = np.diagonal(total_scatter) / counts.sum()
    else:
        squares = statistics.scatter[:, :n_features] / counts
    return bool((squares > largest_ratio * variances).any())


def promised_gain(before: Parameters, updated: Parameters) -> float:
    """Give what an EM step gains at the least, nats a row.

    It is what the step adds to the expected complete log-likelihood: the Kullback-Leibler divergence of the
    joint distribution of component and row before it from that after it (Dempster, Laird and Rubin, 1977).
    With ``reg_covar`` it is not quite that, and can be more than the gain.

    Parameters
    ----------
    before, updated : Parameters
        What went into the E-step, and what the M-step made of it.
    """
    family, n_features = before.family, before.n_features
    traces = family.traces(before.precisions, updated.covariances, before.n_components, n_features)
    distances = family.squared_distances(updated.means - before.means, before.precisions_cholesky)
    present = updated.weights > 0.0
    # The determinants, and the weights: each component's log density at its mean.
    constants = updated.log_constants[present] - before.log_constants[present]
    divergences = constants + 0.5 * (traces + distances - n_features)[present]
    return float(updated.weights[present] @ divergences)
