"""Standardized features, and mixtures of them in the original units."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.parameters import parameters_of
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

EPSILON = 8.0 * float(np.finfo(np.float64).eps)
"""Width of a feature that does not vary, in its mean."""


def centre_and_widths(
    rows: NDArray[np.floating], weights: Array | None, least: float | None = None
) -> tuple[Array, Array]:
    """Return means and standard deviations of what is observed of each feature.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        NaN where a value is missing.
    weights : ndarray of shape (n_rows,) or None
    least : float, optional
        Width of features that do not vary, in their means; of one that is 0, itself. By default 1.
    """
    moments = FeatureMoments.of(rows, weights)
    centre, widths, sizes = moments.mean, np.sqrt(moments.variances), np.abs(moments.mean)
    still = 1.0 if least is None else least * np.where(sizes > 0.0, sizes, 1.0)
    return centre, np.where(widths <= EPSILON * sizes, still, widths)


@contextmanager
def without_concerns() -> Iterator[None]:
    """Fit to standardized rows, and say nothing of what is found wrong with one mixture among several.

    It would name values that are in no unit of the rows, and parameters that the user has not given.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", MixtureWarning)
        yield


def in_units(mixture: GaussianMixture, centre: Array, widths: Array, dtype: np.dtype) -> GaussianMixture:
    """Return a mixture of standardized features as one of the features themselves.

    Figures of its fit are of other rows than those: they are left out.

    Parameters
    ----------
    mixture : GaussianMixture
        With covariances between features.
    centre, widths : ndarray of shape (n_features,)
        What was taken from the features, and what they were divided by.
    dtype : numpy.dtype
        Of the rows.
    """
    scaled = parameters_of(mixture)
    covariances = scaled.covariances * np.outer(widths, widths)
    found = Parameters.from_covariances(
        scaled.family, scaled.weights, scaled.means * widths + centre, covariances
    )
    made = mixture._with(found, np.arange(found.n_features))
    made._set_parameters(found, dtype)
    return made
