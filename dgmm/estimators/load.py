"""From a model file to a fitted mixture. What is loaded is checked: it may be damaged, or not a mixture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from dgmm.data import DataError
from dgmm.estimators.bayesian_mixture import BayesianGaussianMixture
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.mixture import Mixture
from dgmm.estimators.model_file import read
from dgmm.model.matrices import DegenerateCovarianceError

CLASSES: dict[str, type[Mixture]] = {
    kind.__name__: kind for kind in (GaussianMixture, BayesianGaussianMixture)
}


def load(path: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> Any:
    """Read a mixture that was written by its ``save``.

    Parameters
    ----------
    path : str or path
        A local path, or a URL that fsspec knows.
    storage_options : mapping, optional
        For the file system of a URL.

    Returns
    -------
    GaussianMixture or BayesianGaussianMixture
        Fitted, with the parameters and attributes that were saved.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is not a mixture, is damaged, or holds values that no mixture has.
    """
    saved = read(path, storage_options)
    if saved.class_name not in CLASSES:
        raise DataError(f"{os.fspath(path)} is not a dgmm model file")
    try:
        mixture = CLASSES[saved.class_name](**saved.parameters)
        mixture._validate_params()
    except (TypeError, ValueError) as error:  # a parameter or a value that the class does not have
        raise DataError(f"{os.fspath(path)} is damaged: {error}") from error
    for name, value in saved.attributes.items():
        is_names = name == "feature_names_in_"
        setattr(mixture, name, np.asarray(value, dtype=object) if is_names else value)
    _check(mixture, os.fspath(path))
    mixture._check_loaded(os.fspath(path))
    return mixture


def _check(mixture: Mixture, path: str) -> None:
    """Refuse values that are not a mixture."""
    missing = [name for name in mixture.FITTED if not hasattr(mixture, name)]
    if missing:
        raise DataError(f"{path} is damaged: it lacks {', '.join(missing)}")
    try:
        found = mixture._parameters
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    n_components, n_features = len(found.means), mixture.n_features_in_
    shapes = {
        "weights_": (found.weights, (n_components,)),
        "means_": (found.means, (n_components, n_features)),
        "covariances_": (found.covariances, found.family.covariance_shape(n_components, n_features)),
        "precisions_cholesky_": (
            found.precisions_cholesky,
            found.family.covariance_shape(n_components, n_features),
        ),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise DataError(f"{path} is damaged: {name} has the shape {array.shape}, not {shape}")
        if not np.isfinite(array).all():
            raise DataError(f"{path} is damaged: {name} holds values that are not finite")
    if (found.weights < 0.0).any() or not np.isclose(found.weights.sum(), 1.0, atol=1e-6):
        raise DataError(f"{path} is damaged: weights_ are not proportions, they sum to {found.weights.sum()}")
    try:
        found.family.precisions_cholesky(found.covariances)
    except DegenerateCovarianceError as error:
        raise DataError(f"{path} is damaged: covariances_ are not positive definite") from error
