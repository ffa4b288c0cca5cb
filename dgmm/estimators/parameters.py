"""From fitted attributes to frozen parameters, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dgmm.data import DataError
from dgmm.estimators.attributes import attributes_read
from dgmm.model.families import Family, family_named
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters

WIDTHS = ("precisions_cholesky_", "covariances_", "precisions_")
"""Attributes any of which says how wide components are."""

PARAMETERS = ("weights_", "means_", *WIDTHS)
"""Attributes that are a mixture's parameters."""

ROUNDED_SUM = 1e-6
"""How far from 1 weights may sum."""

ROUNDED_WIDTHS = 1e-6
"""Share by which covariances and the inverses of precisions may differ: 100 roundings, or this."""


def parameters_of(mixture: Any) -> Parameters:
    """Return the parameters of a mixture, as float64.

    Parameters
    ----------
    mixture : FittedMixture
        With ``weights_``, ``means_`` and one of `WIDTHS` at least.

    Raises
    ------
    ValueError
        Where there are no real numbers, or the shapes are not those of one mixture; or where there are no
        factors, and the covariances are not positive definite.
    """
    family = family_named(mixture.covariance_type)
    given = attributes_read({name: getattr(mixture, name) for name in PARAMETERS if hasattr(mixture, name)})
    _check_shapes(given, family, getattr(mixture, "n_features_in_", None))
    doubles = {name: values.astype(np.float64, copy=False) for name, values in given.items()}
    weights, factors = doubles["weights_"], _factors(doubles, family)
    covariances = doubles.get("covariances_")
    if given["weights_"].dtype == np.float32:  # their sum was 1 before they were rounded
        weights = weights / (weights.sum() or 1.0)
    if covariances is None or given["covariances_"].dtype == np.float32:
        # Rounded to float32, a covariance matrix need not be positive definite.
        covariances = family.inverse(family.precisions(factors))
    own = getattr(mixture, "group_weights_", None)
    if own is not None:
        own = attributes_read({"group_weights_": own})["group_weights_"].astype(np.float64, copy=False)
        if own.shape != (len(getattr(mixture, "groups_", own)), len(weights)):
            raise DataError(f"group_weights_ has the shape {own.shape}, not (n_groups, {len(weights)})")
    return Parameters(family, weights, doubles["means_"], covariances, factors, group_weights=own)


def _factors(given: Mapping[str, Array], family: Family) -> Array:
    if "precisions_cholesky_" in given:
        return given["precisions_cholesky_"]
    if "covariances_" in given:
        return family.precisions_cholesky(given["covariances_"])
    return family.precisions_cholesky_from_precisions(given["precisions_"])


def _check_shapes(given: Mapping[str, Array], family: Family, n_features: int | None) -> None:
    means = given["means_"]
    if means.ndim != 2 or 0 in means.shape:
        raise DataError(f"means_ has the shape {means.shape}, not (n_components, n_features)")
    n_components, n_columns = len(means), n_features or means.shape[1]
    widths = family.covariance_shape(n_components, n_columns)
    wanted = {"weights_": (n_components,), "means_": (n_components, n_columns)}
    for name, values in given.items():
        shape = wanted.get(name, widths)
        if values.shape != shape:
            raise DataError(
                f"{name} has the shape {values.shape}, not {shape}, for covariance_type={family.name!r}"
            )


def check_mixture(mixture: Any) -> Parameters:
    """Return the parameters of a mixture whose attributes are one mixture, and nothing else.

    Parameters
    ----------
    mixture : FittedMixture

    Raises
    ------
    ValueError
        Saying which attribute is not that of the others.
    """
    found = parameters_of(mixture)
    check_values(found)
    given = {name: np.asarray(getattr(mixture, name)) for name in WIDTHS if hasattr(mixture, name)}
    check_consistent(given, found.family)
    for name, own in (
        ("n_features_in_", getattr(mixture, "n_features_in_", found.n_features)),
        ("feature_names_in_", len(getattr(mixture, "feature_names_in_", range(found.n_features)))),
    ):
        if own != found.n_features:
            raise DataError(f"{name} is of {own} features, and means_ of {found.n_features}")
    return found


def check_values(parameters: Parameters) -> None:
    """Refuse values that are not a mixture.

    Raises
    ------
    DataError
        Naming the attribute.
    """
    found = parameters
    arrays = {
        "weights_": found.weights,
        "means_": found.means,
        "covariances_": found.covariances,
        "precisions_cholesky_": found.precisions_cholesky,
    }
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DataError(f"{name} holds values that are not finite")
    if (found.weights < 0.0).any() or not np.isclose(found.weights.sum(), 1.0, atol=ROUNDED_SUM):
        raise DataError(f"weights_ are not proportions, they sum to {found.weights.sum()}")
    own = found.group_weights
    if own is not None and not (
        np.isfinite(own).all()
        and (own >= 0.0).all()
        and np.allclose(own.sum(axis=1), 1.0, rtol=0.0, atol=ROUNDED_SUM)
    ):
        raise DataError("group_weights_ are not proportions in each group")
    try:
        found.family.precisions_cholesky(found.covariances)
    except DegenerateCovarianceError as error:
        raise DataError("covariances_ are not positive definite") from error


def check_consistent(given: Mapping[str, Array], family: Family) -> None:
    """Refuse covariances, precisions and their factors that are not those of the same components.

    How near they are is a matter of rounding, which grows with the condition of the covariances.

    Parameters
    ----------
    given : mapping of str to ndarray
        Attributes, of the shapes of one mixture and finite; those of `WIDTHS` that are there are compared.
    family : Family

    Raises
    ------
    DataError
        Naming the attributes.
    """
    is_single = any(given[name].dtype == np.float32 for name in WIDTHS if name in given)
    rounding = float(np.finfo(np.float32 if is_single else np.float64).eps)
    own = {name: given[name].astype(np.float64) for name in WIDTHS if name in given}
    for name in ("covariances_", "precisions_"):
        if name in own and not _is_symmetric(own[name], family, rounding):
            raise DataError(f"{name} are not symmetric")
    if "precisions_cholesky_" not in own:
        return
    factors = own["precisions_cholesky_"]
    diagonals = np.diagonal(factors, axis1=-2, axis2=-1) if family.has_products else factors
    if not (diagonals > 0.0).all() or (family.has_products and np.tril(factors, -1).any()):
        raise DataError("precisions_cholesky_ are not upper triangular, with positive diagonals")
    with np.errstate(over="ignore", invalid="ignore"):
        precisions = family.precisions(factors)
        if "precisions_" in own:
            scale = _scale(precisions, family)
            gaps, allowed = np.abs(own["precisions_"] - precisions), max(ROUNDED_WIDTHS, 100.0 * rounding)
            if not ((gaps <= allowed * scale) | (own["precisions_"] == precisions)).all():
                raise DataError("precisions_ are not those of precisions_cholesky_: set one of them")
        if "covariances_" in own and not _is_inverse(own["covariances_"], factors, family, rounding):
            raise DataError("covariances_ are not those of precisions_cholesky_: set one of them")


def _scale(matrices: Array, family: Family) -> Array:
    """Return how large the entries of covariances or precisions may be: of matrices, by their diagonals."""
    if not family.has_products:
        return np.abs(matrices)
    roots = np.sqrt(np.abs(np.diagonal(matrices, axis1=-2, axis2=-1)))
    return roots[..., :, None] * roots[..., None, :]


def _is_symmetric(matrices: Array, family: Family, rounding: float) -> bool:
    if not family.has_products:
        return True
    gaps = np.abs(matrices - np.swapaxes(matrices, -1, -2))
    return bool((gaps <= max(ROUNDED_WIDTHS, 100.0 * rounding) * _scale(matrices, family)).all())


def _is_inverse(covariances: Array, factors: Array, family: Family, rounding: float) -> bool:
    """Return whether covariances invert ``U Uᵀ`` up to rounding: ``Uᵀ Σ U`` is the identity."""
    least = max(ROUNDED_WIDTHS, 100.0 * rounding)
    if not family.has_products:
        return bool((np.abs(covariances * factors**2 - 1.0) <= least).all())
    deviations = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1))
    n_features = deviations.shape[-1]
    scaled = deviations[..., :, None] * factors
    correlations = covariances / deviations[..., :, None] / deviations[..., None, :]
    found = np.swapaxes(scaled, -1, -2) @ correlations @ scaled
    # The condition of the correlations is at most this, times the number of features.
    condition = (scaled**2).sum(axis=(-1, -2))[..., None, None]
    allowed = np.maximum(least, 10.0 * n_features * rounding * condition)
    return bool((np.abs(found - np.eye(n_features)) <= allowed).all())


def attributes_of(parameters: Parameters, dtype: np.dtype) -> dict[str, Array]:
    """Return the attributes that parameters are, rounded to a dtype."""
    values = {name: getattr(parameters, name.removesuffix("_")) for name in PARAMETERS}
    return {name: value.astype(dtype, copy=False) for name, value in values.items()}


def fits_in(parameters: Parameters, dtype: np.dtype) -> bool:
    """Return whether a dtype's range holds parameters: their variances and inverse ones, too.

    And weights, of which those of a conditional mixture may be tiny, and still decide far from the others.
    """
    found, limits = parameters, np.finfo(dtype)
    variances = found.family.variances(found.covariances, found.n_components, found.n_features).ravel()
    factors = found.precisions_cholesky  # a matrix ``U Uᵀ`` has nothing larger than what is on its diagonal
    precisions = np.einsum("...ij,...ij->...i", factors, factors) if found.family.has_products else factors**2
    values = (found.means, precisions, variances)
    largest = max(max(each.max(), -each.min()) for each in values)  # absolute ones would be another matrix
    smallest = min(variances.min(), 1.0 / variances.max(), found.weights[found.weights > 0.0].min())
    return bool(largest < limits.max and smallest > limits.tiny)
