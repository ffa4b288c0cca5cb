"""What a person should know of a fitted mixture: where its scale, or a component, went wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dgmm.model.families import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments

LARGEST_SHARE = 0.01
"""Of a feature's variance that ``reg_covar`` may be: more of it would blur what the data say."""

COLLAPSED = 0.5
"""Share of a component's smallest variance from which on ``reg_covar`` made it, not the rows."""

LARGEST_FALL = 1e-6
"""Nats a row that rounding may take from a log-likelihood."""

NAMED = 5
"""Features and components that a message names at the most."""


def concerns(
    parameters: Parameters,
    log_likelihoods: Sequence[float],
    moments: Moments,
    reg_covar: float,
    feature_names: Sequence[str] | None,
) -> tuple[str, ...]:
    """Find what is wrong with a fitted mixture.

    Parameters
    ----------
    parameters : Parameters
    log_likelihoods : sequence of float
        Of the iterations that led to them, nats a row.
    moments : Moments
        Of all rows.
    reg_covar : float
    feature_names : sequence of str, optional

    Returns
    -------
    tuple of str
        Sentences that say what is wrong, where, and what to do. Empty, as a rule.
    """
    found = []
    variances = np.diagonal(moments.scatter) / moments.weight
    blurred = np.flatnonzero((variances > 0.0) & (reg_covar > LARGEST_SHARE * variances))
    if len(blurred):
        names = [str(i) if feature_names is None else repr(feature_names[i]) for i in blurred.tolist()]
        found.append(
            f"reg_covar={reg_covar:g} is more than {LARGEST_SHARE:.0%} of the variance of feature "
            f"{_some(names)}: it widens components there; scale the features, or make reg_covar smaller"
        )
    smallest = _smallest_variances(parameters)
    collapsed = np.flatnonzero(COLLAPSED * smallest <= reg_covar) if reg_covar > 0.0 else np.empty(0, int)
    if len(collapsed) and not len(blurred):
        found.append(
            f"component {_some(map(str, collapsed))} collapsed, onto repeated values or fewer dimensions: "
            f"reg_covar={reg_covar:g} makes most of its smallest variance, and the log-likelihood depends on "
            "it; use fewer components, another covariance type, or a larger reg_covar"
        )
    row = moments.weight / moments.n_rows
    emptied = np.flatnonzero(parameters.weights * moments.weight < row)
    if len(emptied):
        found.append(
            f"component {_some(map(str, emptied))} has less than one row: use fewer components, or another "
            "start"
        )
    changes = np.diff(log_likelihoods)
    n_falls = int((changes < -LARGEST_FALL).sum())
    if n_falls:
        found.append(
            f"the log-likelihood fell in {n_falls} of {len(log_likelihoods)} iterations, by up to "
            f"{-changes.min():.3g} nats a row: reg_covar={reg_covar:g} is not small beside the variances of "
            "the narrowest component"
        )
    return tuple(found)


def _smallest_variances(parameters: Parameters) -> Array:
    """Give the variance of each component along its shortest axis: shape (K,)."""
    return np.linalg.eigvalsh(parameters.covariance_matrices)[:, 0]


def _some(names: Sequence[str] | map[str]) -> str:
    """Name the first few."""
    all_of = list(names)
    more = f" and {len(all_of) - NAMED} more" if len(all_of) > NAMED else ""
    return ", ".join(all_of[:NAMED]) + more
