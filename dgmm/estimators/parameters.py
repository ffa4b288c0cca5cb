"""The fitted attributes of a mixture as frozen parameters, whoever has set them, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dgmm.data import DataError
from dgmm.model.families import Family, family_named
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.parameters import Parameters

WIDTHS = ("precisions_cholesky_", "covariances_", "precisions_")
"""Attributes any of which says how wide components are."""

PARAMETERS = ("weights_", "means_", *WIDTHS)
"""Attributes that are a mixture's parameters."""

ROUNDED_SUM = 1e-6
"""How far from 1 weights may sum."""


def parameters_of(mixture: Any) -> Parameters:
    """Give the parameters of a mixture, as float64.

    Parameters
    ----------
    mixture : FittedMixture
        With ``weights_``, ``means_`` and one of `WIDTHS` at least.

    Raises
    ------
    ValueError
        Where the shapes are not those of one mixture; or where there are no factors, and the covariances are
        not positive definite.
    """
    family = family_named(mixture.covariance_type)
    given = {name: np.asarray(getattr(mixture, name)) for name in PARAMETERS if hasattr(mixture, name)}
    _check_shapes(given, family, getattr(mixture, "n_features_in_", None))
    doubles = {name: values.astype(np.float64, copy=False) for name, values in given.items()}
    weights, factors = doubles["weights_"], _factors(doubles, family)
    covariances = doubles.get("covariances_")
    if given["weights_"].dtype == np.float32:  # their sum was 1 before they were rounded
        weights = weights / (weights.sum() or 1.0)
    if covariances is None or given["covariances_"].dtype == np.float32:
        # Rounded to float32, a covariance matrix need not be positive definite.
        covariances = family.inverse(family.precisions(factors))
    return Parameters(family, weights, doubles["means_"], covariances, factors)


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
    try:
        found.family.precisions_cholesky(found.covariances)
    except DegenerateCovarianceError as error:
        raise DataError("covariances_ are not positive definite") from error


def attributes_of(parameters: Parameters, dtype: np.dtype) -> dict[str, Array]:
    """Give the attributes that parameters are, rounded to a dtype."""
    values = {name: getattr(parameters, name.removesuffix("_")) for name in PARAMETERS}
    return {name: value.astype(dtype, copy=False) for name, value in values.items()}


def fits_in(parameters: Parameters, dtype: np.dtype) -> bool:
    """Tell whether a dtype's range holds parameters: their variances and inverse ones, too."""
    found, limits = parameters, np.finfo(dtype)
    variances = found.family.variances(found.covariances, found.n_components, found.n_features).ravel()
    largest = max(np.abs(each).max() for each in (found.means, found.precisions, variances))
    return bool(largest < limits.max and min(variances.min(), 1.0 / variances.max()) > limits.tiny)
