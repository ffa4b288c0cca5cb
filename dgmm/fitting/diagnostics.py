"""Warnings about a fitted mixture: collapsed components, ill-scaled features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dgmm.data.text import listed, plural
from dgmm.fitting.atoms import atom_near, share_of
from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.fitting.sample import Sample
from dgmm.kernels.precision import SINGLE
from dgmm.model.families import Family
from dgmm.model.matrices import MATRICES, Array, largest_eigenvalue
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from dgmm.model.variational import dependent_features


@dataclass(frozen=True)
class DiagnosticLimits:
    """When a fitted mixture gets a warning.

    Attributes
    ----------
    largest_share : float
        Of a feature's variance that ``reg_covar`` may be: more of it would blur what the data say.
    collapsed : float
        Share of a component's smallest variance from which on ``reg_covar`` made it, not the rows.
    largest_fall : float
        Nats a row that rounding may take from a log-likelihood; of float32 rows as much as products are off.
    widths : float
        Standard deviations about the mean of a component within which its rows are.
    named : int
        Features and components that a message names at the most.
    """

    largest_share: float = 0.01
    collapsed: float = 0.5
    largest_fall: float = 1e-6
    widths: float = 3.0
    named: int = 5


DIAGNOSTICS = DiagnosticLimits()


def concerns(
    parameters: Parameters,
    log_likelihoods: Sequence[float],
    moments: Moments,
    sample: Sample,
    *,
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
    sample : Sample
        All rows, or a random sample of them: where a component collapsed, it tells onto what.
    reg_covar : float
    feature_names : sequence of str, optional

    Returns
    -------
    tuple of str
        Sentences that say what is wrong, where, and what to do. Empty, as a rule.
    """
    found = []
    variances = moments.squares / moments.weight
    blurred = np.flatnonzero((variances > 0.0) & (reg_covar > DIAGNOSTICS.largest_share * variances))
    if len(blurred):
        features = _named(blurred.tolist(), feature_names)
        found.append(
            f"reg_covar={reg_covar:g} is more than {DIAGNOSTICS.largest_share:.0%} of the variance of "
            f"feature {features}: it widens components there; scale the features, or make reg_covar smaller"
        )
    smallest = _smallest_variances(parameters)
    collapsed = (
        np.flatnonzero(DIAGNOSTICS.collapsed * smallest <= reg_covar) if reg_covar > 0.0 else np.empty(0, int)
    )
    if len(collapsed) and not len(blurred):
        places: dict[str, list[int]] = {}
        for component in collapsed[: DIAGNOSTICS.named].tolist():
            onto = _collapsed_onto(
                component,
                parameters,
                moments,
                sample,
                smallest=max(reg_covar, float(smallest[component])),
                feature_names=feature_names,
            )
            places.setdefault(onto, []).append(component)
        each = [
            f"{plural(len(those), 'component')} {_some(map(str, those))} collapsed onto {onto}"
            for onto, those in places.items()
        ]
        more = (
            f", and {len(collapsed) - DIAGNOSTICS.named:,} more" if len(collapsed) > DIAGNOSTICS.named else ""
        )
        found.append(
            f"{'; '.join(each)}{more}: reg_covar={reg_covar:g} dominates the smallest variance, and "
            "determines the log-likelihood; use fewer components, another covariance type, or a larger "
            "reg_covar, or fit rows with a repeated value separately"
        )
    row = moments.weight / moments.n_rows
    emptied = np.flatnonzero(parameters.weights * moments.weight < row)
    if len(emptied):
        found.append(
            f"{plural(len(emptied), 'component')} {_some(map(str, emptied))} "
            f"{plural(len(emptied), 'has', 'have')} less than one row: use fewer components, or another "
            "start"
        )
    changes = np.diff(log_likelihoods)
    largest_fall = SINGLE.density_error if sample.values.dtype == np.float32 else DIAGNOSTICS.largest_fall
    n_falls = int((changes < -largest_fall).sum())
    if n_falls:
        found.append(
            f"the log-likelihood fell in {n_falls:,} of {len(log_likelihoods):,} iterations, by up to "
            f"{-changes.min():.3g} nats a row: reg_covar={reg_covar:g} is not small compared to the "
            "variances of the narrowest component"
        )
    return tuple(found)


def _smallest_variances(parameters: Parameters) -> Array:
    """Return the variance of each component along its shortest axis: (K,)."""
    family, n_components = parameters.family, parameters.n_components
    if not family.has_products or parameters.n_features < MATRICES.wide_features:
        return family.smallest_variances(parameters.covariances, n_components)
    factors = parameters.precisions_cholesky
    found = [1.0 / largest_eigenvalue(each) for each in factors.reshape(-1, *factors.shape[-2:])]
    return np.broadcast_to(found, (n_components,))


def concerns_of_prior(
    family: Family, moments: Moments, *, reg_covar: float, feature_names: Sequence[str] | None
) -> tuple[str, ...]:
    """Find what is wrong with a prior covariance that is that of all rows.

    Parameters
    ----------
    family : Family
    moments : Moments
        Of all rows.
    reg_covar : float
    feature_names : sequence of str, optional

    Returns
    -------
    tuple of str
        Sentences. Empty, as a rule.
    """
    dependent = dependent_features(family, moments)
    if not len(dependent):
        return ()
    is_one, named = len(dependent) == 1, _named(dependent.tolist(), feature_names)
    varies = moments.squares[dependent[0]] > 0.0 and not is_one
    what = f"features {named} depend on each other linearly" if varies else f"feature {named} does not vary"
    return (
        f"{what}: the prior covariance, that of all rows, is singular there: only reg_covar={reg_covar:g} "
        "determines it, and with it elbo_; leave features out, or give covariance_prior",
    )


def _collapsed_onto(
    component: int,
    parameters: Parameters,
    moments: Moments,
    sample: Sample,
    *,
    smallest: float,
    feature_names: Sequence[str] | None,
) -> str:
    """Say what a component collapsed onto: a repeated value or row, few rows, or fewer dimensions.

    ``smallest`` is the least variance that ``reg_covar`` and the component's shortest axis leave.
    """
    mean, variances = parameters.means[component], parameters.variances[component]
    narrow = DIAGNOSTICS.collapsed * variances <= smallest
    widths = DIAGNOSTICS.widths * np.sqrt(variances)
    near = [
        atom_near(sample, feature, float(mean[feature]), float(widths[feature]))
        for feature in np.flatnonzero(narrow).tolist()
    ]
    atoms = [atom for atom in near if atom is not None]
    if not atoms:
        n_rows = float(parameters.weights[component]) * moments.n_rows
        is_few = n_rows < rows_of_a_covariance(parameters.n_features)
        return f"few rows (about {n_rows:.3g})" if is_few else "fewer dimensions"
    values = _some(f"{atom.value:.6g}" for atom in atoms)
    share = share_of(sample, atoms, moments.n_rows)
    if 1 < len(atoms) == parameters.n_features:
        return f"one repeated row, {values} ({share} of the rows)"
    features = _named([atom.feature for atom in atoms], feature_names)
    value, feature = plural(len(atoms), "value"), plural(len(atoms), "feature")
    return f"the {value} {values} of {feature} {features} ({share} of the rows)"


def _named(features: Sequence[int], feature_names: Sequence[str] | None) -> str:
    """Name the first few features, by their numbers where they have no names."""
    return _some(str(i) if feature_names is None else repr(feature_names[i]) for i in features)


def _some(names: Iterable[str]) -> str:
    """Name the first few."""
    return listed(names, DIAGNOSTICS.named)
