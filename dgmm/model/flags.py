"""Mixtures without covariances between features, of rows that lack values: no patterns are needed.

What a row lacks leaves the terms of these features out of its log density. So that is linear in the row, with
z = 0 where a value is missing, and in *flags* f that are 1 there:

``log p(x, k) = c_k + Σ_i (m_ki λ_ki z_i − ½ λ_ki z_i² + f_i (½ log(2π / λ_ki) + ½ m_ki² λ_ki))``

with the means m relative to the centre, the precisions λ, and c_k that of complete rows. The same features
give the expected statistics of complete rows: missing values have a component's mean and variance.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from dgmm.model.families.forms import Variances
from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_2_PI, LOG_OF_NOTHING, Parameters
from dgmm.model.statistics import Statistics


def natural_parameters(parameters: Parameters, centre: Array) -> Array:
    """Give theta of shape (K, 1 + 3 D): of 1, z, flags, and squares of z.

    Parameters
    ----------
    parameters : Parameters
        A plain mixture (see `dgmm.model.conditional.plain`) of a family without products.
    centre : ndarray of shape (n_features,)
    """
    means, precisions = parameters.means - centre, 1.0 / parameters.variances
    flags = 0.5 * (LOG_2_PI - np.log(precisions) + means**2 * precisions)
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(parameters.weights), LOG_OF_NOTHING)
    constants = logs - flags.sum(axis=1)
    return np.concatenate([constants[:, None], means * precisions, flags, -0.5 * precisions], axis=1)


def expected_statistics(
    parameters: Parameters, centre: Array, sums: Array, log_likelihood: float
) -> Statistics:
    """Give the statistics of complete rows that are expected, completed.

    Parameters
    ----------
    parameters, centre
        As for `natural_parameters`.
    sums : ndarray of shape (K, 1 + 3 D)
        Of its features, weighted by responsibilities.
    log_likelihood : float
        Nats.
    """
    family, n_components = parameters.family, len(parameters.means)
    means, variances = parameters.means - centre, parameters.variances
    counts, (own, flags, squares) = sums[:, 0], np.split(sums[:, 1:], 3, axis=1)
    squares = squares + flags * (means**2 + variances)
    entropy = 0.5 * float((flags * (1.0 + LOG_2_PI + np.log(variances))).sum())
    is_shared = family.is_shared
    return Statistics(
        family,
        counts.copy(),
        own + flags * means,
        np.zeros((n_components, 0)) if is_shared else cast(Variances, family).pack_squares(squares),
        np.tile(centre, (n_components, 1)),
        log_likelihood,
        family.of_scatter(squares.sum(axis=0)) if is_shared else None,
        entropy,
    )
