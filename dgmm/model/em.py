"""Expectation-maximization: from sufficient statistics to maximum likelihood parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dgmm.model.families.forms import Variances
from dgmm.model.matrices import SMALLEST_VARIANCE, Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import SMALLEST_COUNT, Statistics

EMPTY_COUNT = SMALLEST_COUNT**0.5
"""Of a component with less rows, the mean is drawn to the origin, as in scikit-learn. There all means are, by
little: but of rows far from the origin that is many times the width of a narrow component."""

ROWS_OF_ONE = 1.5
"""Of a component with less, all are taken to be the same row."""


def update_means(statistics: Statistics) -> Array:
    """Return the means alone of `update`: they are exact where variances have cancelled; (K, D)."""
    counts = statistics.counts + SMALLEST_COUNT
    share = np.where(statistics.counts < EMPTY_COUNT, statistics.counts / counts, 1.0)
    return share[:, None] * statistics.references + statistics.sums / counts[:, None]


def update(statistics: Statistics, reg_covar: float) -> Parameters:
    """M-step: the parameters that maximize the expected complete log-likelihood.

    As scikit-learn: ten machine epsilons are added to every count, ``reg_covar`` to every variance.
    Not for rows that lack the feature: these are expected to vary as the model before did, which has it.

    Parameters
    ----------
    statistics : Statistics
        Of all rows, completed.
    reg_covar : float
        In squared units of the data.

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite.
    """
    deviations, family = statistics.deviations(reg_covar, SMALLEST_COUNT), statistics.family
    weights, means = deviations.counts / deviations.counts.sum(), update_means(statistics)
    covariances = family.covariances(deviations, reg_covar)
    if reg_covar == 0.0 and isinstance(family, Variances) and not family.is_shared:
        # A component of one row goes on, as it does in scikit-learn: what that adds to counts is a row at the
        # origin, and makes it so wide. One that many rows have collapsed onto is an error.
        of_one = deviations.counts < ROWS_OF_ONE
        own, widths = covariances[of_one], family.of_variances(SMALLEST_COUNT * np.square(means[of_one]))
        covariances[of_one] = np.where(np.abs(own) <= SMALLEST_VARIANCE, widths, own)
    updated = Parameters.from_covariances(family, weights, means, covariances)
    return replace(updated, group_weights=update_group_weights(statistics.group_counts, weights))


def update_group_weights(group_counts: Array | None, weights: Array) -> Array | None:
    """Return each group the shares that components have in its rows: (n_groups, K); without rows, in all."""
    if group_counts is None:
        return None
    counts = group_counts + SMALLEST_COUNT * weights
    return counts / counts.sum(axis=1, keepdims=True)


def cancels(statistics: Statistics, updated: Parameters, largest_ratio: float) -> bool:
    """Return whether the sums that `update` made parameters of have cancelled: see `Statistics.cancels`."""
    return statistics.cancels(statistics.counts + SMALLEST_COUNT, updated.covariances, largest_ratio)


def promised_gain(before: Parameters, updated: Parameters, group_counts: Array | None = None) -> float:
    """Return what an EM step gains at the least, nats a row.

    It is what the step adds to the expected complete log-likelihood: the Kullback-Leibler divergence of the
    joint distribution of component and row before it from that after it (Dempster, Laird and Rubin, 1977).
    With ``reg_covar`` it is not quite that, and can be more than the gain.

    Parameters
    ----------
    before, updated : Parameters
        What went into the E-step, and what the M-step made of it.
    group_counts : ndarray of shape (n_groups, K), optional
        Of the E-step, where groups have weights of their own.
    """
    family, n_features = before.family, before.n_features
    traces = family.traces_by_factors(
        before.precisions_cholesky, updated.covariances, before.n_components, n_features
    )
    distances = family.squared_distances(updated.means - before.means, before.precisions_cholesky)
    present = updated.weights > 0.0
    # The determinants, and the weights: each component's log density at its mean.
    constants = updated.log_constants[present] - before.log_constants[present]
    divergences = constants + 0.5 * (traces + distances - n_features)[present]
    gain = float(updated.weights[present] @ divergences)
    if group_counts is None:
        return gain
    # The weights are those of groups.
    n_groups, total = len(group_counts), group_counts.sum()
    of_groups = group_counts * _log_ratios(updated.weights_in(n_groups), before.weights_in(n_groups))
    of_all = updated.weights * _log_ratios(updated.weights, before.weights)
    return gain - float(of_all.sum()) + float(of_groups.sum() / total)


def _log_ratios(after: Array, before: Array) -> Array:
    """Return the logarithms of ratios of weights, zero where either is zero."""
    present = (after > 0.0) & (before > 0.0)
    return np.log(np.where(present, after, 1.0) / np.where(present, before, 1.0))
