"""Incomplete rows for families without covariances between features: a flag for each missing value.

What a row lacks leaves the terms of these features out of its log density. So that is linear in the row, with
z = 0 where a value is missing, and in *flags* f that are 1 there:

``log p(x, k) = c_k + Σ_i (m_ki λ_ki z_i − ½ λ_ki z_i² + f_i (½ log(2π / λ_ki) + ½ m_ki² λ_ki))``

with the means m relative to the centre, the precisions λ, and c_k that of complete rows. The same features
give the expected statistics of complete rows: missing values have a component's mean and variance. Where
components share a covariance the squares are left out, as for complete rows.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from dgmm.model.families.forms import Variances
from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_2_PI, LOG_OF_NOTHING, Parameters
from dgmm.model.statistics import Statistics


def natural_parameters(parameters: Parameters, centre: Array) -> Array:
    """Return theta of the features of the family, with those of D flags behind those of z: (K, features + D).

    Parameters
    ----------
    parameters : Parameters
        A plain mixture (see `dgmm.model.conditional.plain`) of a family without products.
    centre : ndarray of shape (n_features,)
    """
    means, variances = parameters.means - centre, parameters.variances
    constants = np.maximum(parameters.log_constants, LOG_OF_NOTHING)
    theta = parameters.family.natural_parameters(constants, means, parameters.precisions_cholesky)
    flags = 0.5 * (LOG_2_PI + np.log(variances) + means**2 / variances)
    at = behind_z(parameters)
    return np.concatenate([theta[:, :at], flags, theta[:, at:]], axis=1)


def behind_z(parameters: Parameters) -> int:
    """Return the features of a family up to z: also 1, and perhaps ‖z‖²."""
    return 2 + parameters.n_features - parameters.family.feature_rows(parameters.n_features).start


def expected_statistics(
    parameters: Parameters, centre: Array, sums: Array, squares: Array, log_likelihood: float
) -> Statistics:
    """Return the statistics of complete rows that are expected, completed.

    Parameters
    ----------
    parameters, centre
        As for `natural_parameters`.
    sums : ndarray of shape (K, features + D)
        Of its features, weighted by responsibilities.
    squares : ndarray of shape (D,)
        Of all z, weighted, where components share a covariance.
    log_likelihood : float
        Nats; it lacks the quadratic term that components share.
    """
    family, (n_components, n_features) = cast(Variances, parameters.family), parameters.means.shape
    means, variances, at = parameters.means - centre, parameters.variances, behind_z(parameters)
    others, flags = np.delete(sums, slice(at, at + n_features), axis=1), sums[:, at : at + n_features]
    counts, own, scatter = family.split_sums(others, n_features)
    missing, shared = flags * (means**2 + variances), None
    if family.is_shared:
        shared = family.of_variances(squares + missing.sum(axis=0))
        precision = family.precisions(parameters.precisions_cholesky)
        log_likelihood -= 0.5 * family.trace(precision, family.of_variances(squares), n_features)
    else:
        scatter = scatter + family.pack_squares(missing)
    return Statistics(
        family,
        counts.copy(),
        own + flags * means,
        scatter.copy(),
        np.tile(centre, (n_components, 1)),
        log_likelihood,
        shared,
        0.5 * float((flags * (1.0 + LOG_2_PI + np.log(variances))).sum()),
        lacking=flags.copy(),
    )
