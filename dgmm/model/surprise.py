"""How unlikely each value of a row is, given the other values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx

from dgmm.model.conditional import marginal, plain
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

SURPRISES_AT_ONCE = 2**16
"""Numbers, of rows × features × components, that are worked on at once."""


def surprises(model: Parameters, rows: np.ndarray, directions: Array | None = None) -> Array:
    """Return the surprise of each value of each row, given the row's other values.

    Under component k, feature i is normal given the others, with the mean ``m = x_i − (Λ(x − μ))_i / Λ_ii``
    and the variance ``1 / Λ_ii``: a row of the precision Λ has it. The surprise is
    ``−log Σ_k P(k | x_others) P(|N(0, 1)| ≥ |x_i − m_k| √Λ_k,ii)``: of the chance, under the component that
    the others suggest, of a value as far from what they let expect.

    Parameters
    ----------
    model : Parameters
        Or a posterior, whose expected log densities count.
    rows : ndarray of shape (n_rows, n_features)
        NaN is what is not known: the others are judged without, and have the surprise NaN.
    directions : ndarray of shape (n_values, n_features), optional
        What is judged are values on which rows depend linearly: by how much these change with each. The
        place on the line along which one value alone changes is what is surprising or not. Default: values
        are the features themselves. Rows are complete then.

    Returns
    -------
    ndarray of shape (n_rows, n_features) or (n_rows, n_values)
        In nats, at least 0: infinite where no float64 has the chance's logarithm. Under one component it is
        exponential with mean 1, whatever the feature, its unit and its correlations.
    """
    missing = np.isnan(rows)
    if missing.any():
        return _of_observed(model, rows, missing)
    n_components, n_values = len(model.means), rows.shape[1] if directions is None else len(directions)
    step = max(1, SURPRISES_AT_ONCE // (n_components * n_values))
    found = np.empty((len(rows), n_values))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        found[part] = _of_piece(model, rows[part], directions)
    return found


def _of_observed(model: Parameters, rows: np.ndarray, missing: NDArray[np.bool_]) -> Array:
    """Return surprises of rows that lack values: under the mixture of what those that lack the same have."""
    found = np.full(rows.shape, np.nan)
    patterns, pattern_of = np.unique(missing, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        known = np.flatnonzero(~pattern)
        if len(known):
            mine = np.ix_(np.flatnonzero(pattern_of == number), known)
            found[mine] = surprises(marginal(plain(model), known), rows[mine])
    return found


def _of_piece(model: Parameters, rows: np.ndarray, directions: Array | None) -> Array:
    n_values = rows.shape[1] if directions is None else len(directions)
    shape = len(model.means), len(rows), n_values
    log_shares, log_tails = np.empty(shape), np.empty(shape)
    with np.errstate(all="ignore"):  # rows beyond the range of squares have an infinite surprise
        for k, (mean, constant) in enumerate(zip(model.means, model.log_constants, strict=True)):
            standardized, conditional, log_widths = _standardized(model, rows - mean, k, directions)
            log_joint = constant - 0.5 * np.square(standardized).sum(axis=1)
            # Without feature i: the joint density is divided by that of i given the others.
            half_squares = 0.5 * np.square(conditional)
            log_shares[k] = log_joint[:, None] + half_squares + log_widths
            # The logarithm of a normal distribution's two tails, of which none is too small.
            log_tails[k] = np.log(erfcx(np.abs(conditional) * np.sqrt(0.5))) - half_squares
        log_tails += log_shares
        found = _log_sum(log_shares) - _log_sum(log_tails)
    return np.where(np.isnan(found), np.inf, np.maximum(found, 0.0))


def _log_sum(terms: Array) -> Array:
    """Return the log-sum-exp over components: (K, …) to (…); overwrites its argument."""
    largest = terms.max(axis=0)
    terms -= np.where(np.isfinite(largest), largest, 0.0)
    return largest + np.log(np.exp(terms, out=terms).sum(axis=0))


def _standardized(
    model: Parameters, deviations: Array, component: int, directions: Array | None
) -> tuple[Array, Array, Array]:
    """Standardize deviations from a component's mean: as a whole, and each value given the others.

    Returns
    -------
    standardized : ndarray of shape (n_rows, n_features)
    conditional : ndarray of shape (n_rows, n_values)
    log_widths : ndarray of shape (n_values,)
        Logarithms of the standard deviations given the others.
    """
    factor = model.family.chosen(model.precisions_cholesky, component)
    if not model.family.has_products:
        inverse_widths = np.broadcast_to(factor, deviations.shape[1:])
        standardized = deviations * inverse_widths
        if directions is None:
            return standardized, standardized, -np.log(inverse_widths)
        directions = directions * inverse_widths
    else:
        standardized = deviations @ factor
        directions = factor if directions is None else directions @ factor
    inverse_widths = np.sqrt(np.square(directions).sum(axis=1))
    inverse_widths[inverse_widths == 0.0] = 1.0  # a value on which nothing depends is where it may be
    return standardized, standardized @ directions.T / inverse_widths, -np.log(inverse_widths)
