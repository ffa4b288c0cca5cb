"""From a model file to a fitted mixture, checked."""

from __future__ import annotations

from collections.abc import Mapping

from dgmm.data import DataError
from dgmm.data.text import redacted
from dgmm.data.types import Location
from dgmm.estimators.attributes import OF_KEPT_SUMS, attributes_read, check_array_parameters
from dgmm.estimators.bayesian_mixture import BayesianGaussianMixture
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.kept_sums import kept_from
from dgmm.estimators.mixture import Mixture
from dgmm.estimators.model_file import read
from dgmm.estimators.parameters import PARAMETERS, check_mixture

CLASSES: dict[str, type[GaussianMixture] | type[BayesianGaussianMixture]] = {
    kind.__name__: kind for kind in (GaussianMixture, BayesianGaussianMixture)
}


def load(
    path: Location, *, storage_options: Mapping[str, object] | None = None
) -> GaussianMixture | BayesianGaussianMixture:
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
        raise DataError(f"{redacted(path)} is not a dgmm model file")
    try:
        mixture = CLASSES[saved.class_name](**saved.parameters)
        mixture._validate_params()
        check_array_parameters(saved.parameters)
        attributes = attributes_read(saved.attributes)
    except (TypeError, ValueError, OverflowError) as error:  # what the class does not have
        raise DataError(f"{redacted(path)} is damaged: {error}") from error
    for name in attributes.keys() - OF_KEPT_SUMS:
        setattr(mixture, name, attributes[name])
    _check(mixture, redacted(path))
    mixture._check_loaded(redacted(path))
    if "partitions_" in attributes:
        try:
            mixture._keep(kept_from(attributes, mixture._parameters))
        except DataError as error:
            raise DataError(f"{redacted(path)} is damaged: {error}") from error
    return mixture


def _check(mixture: Mixture, path: str) -> None:
    """Refuse values that are not a mixture; figures of a fit lack where none was made."""
    missing = [name for name in mixture.FITTED if not hasattr(mixture, name)]
    if any(name in missing for name in (*mixture.NEEDED, *PARAMETERS, "n_features_in_")):
        raise DataError(f"{path} is damaged: it lacks {', '.join(missing)}")
    try:
        check_mixture(mixture)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
