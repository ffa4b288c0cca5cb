"""The entropy of responsibilities, from the sums of a pass."""

from __future__ import annotations

import numpy as np

from dgmm.model.parameters import LOG_OF_NOTHING, Parameters, finite_logs
from dgmm.model.statistics import Statistics


def expected_log_joint(parameters: Parameters, statistics: Statistics) -> float:
    """Sum ``r log p(x, k)`` over rows and components: linear in the statistics, nats.

    Where groups have weights of their own, the rows' are those of their groups.

    Parameters
    ----------
    parameters : Parameters
        Whose log joint densities to take; of a posterior, expected ones.
    statistics : Statistics
        Whose responsibilities r; completed.

    Returns
    -------
    float
        Nats, of all rows.
    """
    family, n_features = parameters.family, parameters.n_features
    constants = np.maximum(parameters.log_constants, LOG_OF_NOTHING)
    means = parameters.means - statistics.references
    theta = family.natural_parameters(constants, means, parameters.precisions_cholesky)
    constant, linear, quadratic = family.split_sums(theta, n_features)
    total = float(constant @ statistics.counts + (linear * statistics.sums).sum())
    if parameters.group_weights is not None and statistics.group_counts is not None:
        ratios = finite_logs(parameters.group_weights) - finite_logs(parameters.weights)
        total += float((statistics.group_counts * ratios).sum())
    factors, scatter = parameters.precisions_cholesky, statistics.scatter
    return total + family.expected_quadratic(quadratic, factors, scatter, statistics.shared, n_features)


def entropy(
    parameters: Parameters,
    statistics: Statistics,
    log_likelihood: float,
) -> float:
    """Compute the entropy of the responsibilities, ``−Σ r log r``, over all rows.

    As ``log r = log p(x, k) − log p(x)``, it is the log-likelihood less `expected_log_joint`, and less what
    the values that rows lack have of entropy themselves. That cancels
    where features are almost linearly dependent: the error, in nats a row, is about the machine epsilon times
    the condition of the covariances.

    Parameters
    ----------
    parameters, statistics
        As for `expected_log_joint`.
    log_likelihood : float
        Sum of the rows' log densities under the parameters, nats.

    Returns
    -------
    float
        Nats, of all rows; 0 where every row belongs to one component.
    """
    found = log_likelihood - expected_log_joint(parameters, statistics)
    found -= statistics.entropy_of_missing
    return float(np.clip(found, 0.0, statistics.counts.sum() * np.log(parameters.n_components)))
