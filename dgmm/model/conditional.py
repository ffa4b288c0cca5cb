"""Marginal and conditional mixtures: some features, alone or given others.

Each family is closed under both. With the known features o and the missing ones m, component k has of the
missing ones the mean ``μ_m + B (x_o − μ_o)`` with ``B = Σ_mo Σ_oo⁻¹``, and the covariance
``C = Σ_mm − B Σ_om``, which does not depend on the values. Both come from one factor of the precision, with
the known features first: ``V`` upper triangular with ``V Vᵀ = Σ⁻¹`` is, in blocks,

- ``V_oo``: the factor of ``Σ_oo⁻¹``, so of the marginal;
- ``V_mm``: the factor of ``C⁻¹``, so of the conditional;
- ``V_om``: what couples them, ``B = −V_mm⁻ᵀ V_omᵀ``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


def plain(parameters: Parameters) -> Parameters:
    """Return the plain mixture that has the log densities of a model, with whatever weights that takes.

    A posterior's are expected log densities, whose constants are less than those of the mixture of its
    means: the weights given sum to less than 1, and are 0 where they underflow.
    """
    if type(parameters) is Parameters:
        return parameters
    found = Parameters(**{field.name: getattr(parameters, field.name) for field in fields(Parameters)})
    even = replace(found, weights=np.ones(found.n_components))
    return replace(found, weights=np.exp(parameters.log_constants - even.log_constants))


def marginal(parameters: Parameters, features: NDArray[np.intp]) -> Parameters:
    """Return the mixture of some features, whatever the others are: a mixture of the same family.

    Parameters
    ----------
    parameters : Parameters
        Plain ones; of a posterior, those of `plain` or those of its means.
    features : ndarray of shape (n_known,), int
        Column numbers, in the order wanted.
    """
    family = parameters.family
    covariances = family.of_features(parameters.covariances, features)
    return Parameters.from_covariances(family, parameters.weights, parameters.means[:, features], covariances)


@dataclass(frozen=True, eq=False)
class Conditional:
    """What is known of missing features where others are known: for all rows that miss the same.

    Attributes
    ----------
    known : ndarray of shape (n_known,), int
        Column numbers, ascending; possibly none.
    missing : ndarray of shape (n_missing,), int
        The other ones, ascending; possibly none.
    of_known : Parameters
        The marginal mixture. Responsibilities under it are the conditional weights of rows: take them from
        `dgmm.kernels.densities`, unless no feature is known; then they are its weights.
    means : ndarray of shape (K, n_missing)
        Of the missing features where the known ones are at their means.
    coefficients : ndarray of shape (K, n_missing, n_known) or None
        B of each component. None where features are independent within components: B is zero.
    covariances, precisions_cholesky : ndarray
        C of each component, and factors of its inverse, as the family says for ``n_missing`` features.
    """

    known: NDArray[np.intp]
    missing: NDArray[np.intp]
    of_known: Parameters
    means: Array
    coefficients: Array | None
    covariances: Array
    precisions_cholesky: Array

    def expected(self, rows: Array) -> Array:
        """Return the mean of the missing features under each component.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_known)
            The known features.

        Returns
        -------
        ndarray of shape (K, n_rows, n_missing)
        """
        if self.coefficients is None:
            return np.repeat(self.means[:, None, :], len(rows), axis=1)
        deviations = rows - self.of_known.means[:, None, :]
        return self.means[:, None, :] + deviations @ np.swapaxes(self.coefficients, 1, 2)

    def given(self, weights: Array, values: Array) -> Parameters:
        """Return the mixture of the missing features, for one row.

        Parameters
        ----------
        weights : ndarray of shape (K,)
            Its responsibilities under `of_known`.
        values : ndarray of shape (n_known,)
            The known features.
        """
        means = self.expected(values[None, :])[:, 0, :]
        return Parameters(self.of_known.family, weights, means, self.covariances, self.precisions_cholesky)


def conditional(parameters: Parameters, is_known: NDArray[np.bool_]) -> Conditional:
    """Prepare for rows that all have the same features known.

    Parameters
    ----------
    parameters : Parameters
        As for `marginal`.
    is_known : ndarray of shape (n_features,), bool

    Raises
    ------
    DegenerateCovarianceError
        Where a covariance is not positive definite but for rounding errors.
    """
    known, missing = np.flatnonzero(is_known), np.flatnonzero(~is_known)
    family, means, n_known = parameters.family, parameters.means, len(known)
    if not family.has_products:
        covariances, factors = (
            family.of_features(each, missing)
            for each in (parameters.covariances, parameters.precisions_cholesky)
        )
        of_known = marginal(parameters, known)
        return Conditional(known, missing, of_known, means[:, missing], None, covariances, factors)
    ordered = family.of_features(parameters.covariances, np.concatenate([known, missing]))
    factors = family.precisions_cholesky(ordered)
    of_known, own = factors[..., :n_known, :n_known], factors[..., n_known:, n_known:]
    lower = np.swapaxes(np.linalg.inv(own), -1, -2)  # of a triangular matrix: by substitution
    coefficients = -lower @ np.swapaxes(factors[..., :n_known, n_known:], -1, -2)
    return Conditional(
        known,
        missing,
        Parameters(family, parameters.weights, means[:, known], ordered[..., :n_known, :n_known], of_known),
        means[:, missing],
        np.broadcast_to(coefficients, (len(means), len(missing), n_known)),
        lower @ np.swapaxes(lower, -1, -2),
        own,
    )
