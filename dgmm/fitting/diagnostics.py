"""Warnings about a fitted mixture: collapsed components, ill-scaled features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.data.text import listed, plural
from dgmm.fitting.atoms import atom_near, share_of
from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.fitting.sample import Sample
from dgmm.kernels.precision import SINGLE
from dgmm.model.conditional import marginal
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
    if reg_covar > 0.0 and not len(blurred):
        found += _collapses(parameters, moments, sample, reg_covar=reg_covar, feature_names=feature_names)
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


def _collapses(
    parameters: Parameters,
    moments: Moments,
    sample: Sample,
    *,
    reg_covar: float,
    feature_names: Sequence[str] | None,
) -> list[str]:
    """Say which components are as narrow as ``reg_covar`` lets them, and where; of constant features once."""
    varies = moments.minimum < moments.maximum
    if not varies.any():  # all rows are one
        varies[:] = True
    collapsed, smallest = _narrow(parameters, reg_covar)
    found = []
    if len(collapsed) and not varies.all():
        found.append(_constant(np.flatnonzero(~varies), moments, reg_covar, feature_names))
        collapsed, smallest = _narrow(marginal(parameters, np.flatnonzero(varies)), reg_covar)
    if not len(collapsed):
        return found
    places: dict[str, list[int]] = {}
    for component in collapsed[: DIAGNOSTICS.named].tolist():
        onto = _collapsed_onto(
            component,
            parameters,
            moments,
            sample,
            varies,
            smallest=max(reg_covar, float(smallest[component])),
            feature_names=feature_names,
        )
        places.setdefault(onto, []).append(component)
    each = [
        f"{plural(len(those), 'component')} {_some(map(str, those))} collapsed onto {onto}"
        for onto, those in places.items()
    ]
    more = f", and {len(collapsed) - DIAGNOSTICS.named:,} more" if len(collapsed) > DIAGNOSTICS.named else ""
    found.append(
        f"{'; '.join(each)}{more}: reg_covar={reg_covar:g} dominates the smallest variance, and "
        "determines the log-likelihood; use fewer components, another covariance type, or a larger "
        "reg_covar, or fit rows with a repeated value separately"
    )
    return found


def _constant(
    features: NDArray[np.intp], moments: Moments, reg_covar: float, feature_names: Sequence[str] | None
) -> str:
    """Say of features that they do not vary, and that components have no width there but what is added."""
    named = _named(features.tolist(), feature_names)
    values = _some(f"{value:.6g}" for value in moments.minimum[features])
    have, it = ("has one value", "it") if len(features) == 1 else ("have one value each", "them")
    return (
        f"{plural(len(features), 'feature')} {named} {have}, {values}, in all rows: components are as narrow "
        f"there as reg_covar={reg_covar:g} lets them, which determines the log-likelihood; leave {it} out"
    )


def _narrow(parameters: Parameters, reg_covar: float) -> tuple[NDArray[np.intp], Array]:
    """Return the components that ``reg_covar`` holds up in some direction, and smallest variances of all."""
    smallest = _smallest_variances(parameters)
    return np.flatnonzero(DIAGNOSTICS.collapsed * smallest <= reg_covar), smallest


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
    varies: NDArray[np.bool_],
    *,
    smallest: float,
    feature_names: Sequence[str] | None,
) -> str:
    """Say what a component collapsed onto: a repeated value or row, few rows, or fewer dimensions.

    ``smallest`` is the least variance that ``reg_covar`` and the component's shortest axis leave, of the
    features that vary.
    """
    mean, variances = parameters.means[component], parameters.variances[component]
    narrow = DIAGNOSTICS.collapsed * variances <= smallest
    widths = DIAGNOSTICS.widths * np.sqrt(variances)
    near = [
        atom_near(sample, feature, float(mean[feature]), float(widths[feature]))
        for feature in np.flatnonzero(narrow).tolist()
    ]
    atoms = [atom for atom in near if atom is not None]
    varying = [atom for atom in atoms if varies[atom.feature]]
    if not varying:
        n_rows = float(parameters.weights[component]) * moments.n_rows
        is_few = n_rows < rows_of_a_covariance(parameters.n_features)
        return f"few rows (about {n_rows:.3g})" if is_few else "fewer dimensions"
    share = share_of(sample, atoms, moments.n_rows)
    if 1 < len(atoms) == parameters.n_features:
        return f"one repeated row, {_some(f'{atom.value:.6g}' for atom in atoms)} ({share} of the rows)"
    values = _some(f"{atom.value:.6g}" for atom in varying)
    features = _named([atom.feature for atom in varying], feature_names)
    value, feature = plural(len(varying), "value"), plural(len(varying), "feature")
    return f"the {value} {values} of {feature} {features} ({share} of the rows)"


def _named(features: Sequence[int], feature_names: Sequence[str] | None) -> str:
    """Name the first few features, by their numbers where they have no names."""
    return _some(str(i) if feature_names is None else repr(feature_names[i]) for i in features)


def _some(names: Iterable[str]) -> str:
    """Name the first few."""
    return listed(names, DIAGNOSTICS.named)
