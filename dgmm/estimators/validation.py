"""Checks of what users give, in scikit-learn's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from dgmm.data import DataError, Source, open_dataset, open_weights
from dgmm.data.ambient import read_now
from dgmm.data.convert import refuse_kind
from dgmm.data.memory import MemorySource, is_in_memory
from dgmm.data.open import open_fitted
from dgmm.data.text import printable
from dgmm.data.types import RealNumbers, RowsLike, WeightsLike
from dgmm.data.user_warnings import warn_user
from dgmm.estimators.errors import ErrorsLike, MeasuredRows, columns_among, names_in, with_errors
from dgmm.fitting.starts.methods import GivenStart
from dgmm.fitting.steps.objective import Belief
from dgmm.model.families import Family
from dgmm.model.matrices import Array

NAMES_LISTED = 5
"""Feature names that a message lists, as in scikit-learn."""


def check_enough_rows(source: Source, estimator: str, n_components: int) -> None:
    """Refuse rows that are too few for a mixture; counts them where Dask does not know how many there are.

    Raises
    ------
    ValueError
        Where there are fewer than 2 rows, or fewer rows than components.
    """
    if source.n_rows < 2:
        raise DataError(
            f"Found array with {source.n_rows} sample(s) (shape={(source.n_rows, source.n_features)}) while "
            f"a minimum of 2 is required by {estimator}."
        )
    if source.n_rows < n_components:
        raise DataError(
            "Expected n_samples >= n_components "
            f"but got n_components = {n_components}, n_samples = {source.n_rows}"
        )


def check_some_rows(source: Source, estimator: str) -> None:
    """Refuse an array in memory that has no rows, as scikit-learn does.

    Raises
    ------
    ValueError
    """
    if is_in_memory(source) and source.n_rows == 0:
        raise no_rows(source.n_features, estimator)


def check_counted(n_rows: int, weight: float, n_features: int, estimator: str) -> None:
    """Refuse what a pass has found of no rows, or of rows without weight.

    Raises
    ------
    ValueError
    """
    if n_rows == 0:
        raise no_rows(n_features, estimator)
    if weight == 0.0:
        raise DataError("sample_weight is zero in every row: no row counts")


def no_rows(n_features: int, estimator: str) -> DataError:
    """Make the error that says that there are no rows."""
    return DataError(
        f"Found array with 0 sample(s) (shape={(0, n_features)}) while a minimum of 1 is "
        f"required by {estimator}."
    )


def remember_features(estimator: Any, source: Source) -> None:
    """Set what an estimator knows of the features that it was fitted to: their number, and their names."""
    estimator.n_features_in_ = source.n_features
    if source.feature_names is not None:
        estimator.feature_names_in_ = np.asarray(source.feature_names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def open_to_predict(
    x: RowsLike, estimator: str, n_features: int, feature_names: NDArray[np.object_] | None, **opening: Any
) -> Source:
    """Open rows for a fitted mixture: see `open_measured`, without errors."""
    return open_measured(x, estimator, n_features, feature_names, **opening).rows


def open_measured(
    x: RowsLike,
    estimator: str,
    n_features: int,
    feature_names: NDArray[np.object_] | None,
    *,
    errors: ErrorsLike | None = None,
    **opening: Any,
) -> MeasuredRows:
    """Open rows for a fitted mixture: by the names of its features, where both have names.

    What is open already, and columns that are named in ``opening`` (which goes to `open_dataset`), are
    taken as they are. Of ``errors`` see `dgmm.estimators.errors`.

    Raises
    ------
    ValueError
        Where the number or the names of the features are not those of the fit.
    """
    if feature_names is None:
        found = with_errors(open_dataset(x, **opening), errors)
    else:
        found = with_errors(_open_fitted(x, feature_names, errors, **opening), errors)
    source = found.rows
    check_feature_names(source.feature_names, feature_names, estimator)
    if source.n_features != n_features:
        raise DataError(
            f"X has {source.n_features} features, but {estimator} is expecting {n_features} features "
            "as input."
        )
    return found


def _open_fitted(
    x: RowsLike, features: NDArray[np.object_], errors: ErrorsLike | None, **opening: Any
) -> Source:
    """Open rows by the names of features, with columns of errors, if these may be such."""
    named = names_in(errors)
    if named:
        source = open_fitted(x, [*features, *named], **opening)
        if columns_among(errors, source) is not None:
            return source
    return open_fitted(x, features, **opening)


def check_feature_names(
    given: Sequence[str] | None, fitted: NDArray[np.object_] | None, estimator: str
) -> None:
    """Compare the names of features with those of the fit, as scikit-learn does."""
    if fitted is None and given is None:
        return
    if given is None:
        warn_user(
            f"X does not have valid feature names, but {estimator} was fitted with feature names",
            UserWarning,
        )
        return
    if fitted is None:
        warn_user(
            f"X has feature names, but {estimator} was fitted without feature names",
            UserWarning,
        )
        return
    wanted = [str(name) for name in fitted]
    if list(given) == wanted:
        return
    message = "The feature names should match those that were passed during fit.\n"
    unseen, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
    if unseen:
        message += "Feature names unseen at fit time:\n" + _listed(unseen)
    if missing:
        message += "Feature names seen at fit time, yet now missing:\n" + _listed(missing)
    if not unseen and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    raise DataError(message)


def _listed(names: Sequence[str]) -> str:
    lines = [f"- {printable(name)}\n" for name in names[:NAMES_LISTED]]
    return "".join([*lines, "- ...\n"] if len(names) > NAMES_LISTED else lines)


def open_sample_weight(sample_weight: WeightsLike | None, source: Source) -> Source | None:
    """Open row weights: one finite number of at least 0 for each row, in anything that holds rows."""
    if sample_weight is None:
        return None
    n_rows = source.n_rows
    if np.isscalar(sample_weight) and not isinstance(sample_weight, str):
        sample_weight = np.full(n_rows, float(sample_weight))  # pyright: ignore[reportArgumentType]
    weights = open_weights(sample_weight)
    if weights.n_rows != n_rows:
        raise DataError(f"sample_weight.shape == ({weights.n_rows},), expected ({n_rows},)!")
    if is_in_memory(source) and not is_in_memory(weights):
        # Rows in memory are worked on by threads here, which cannot ask a cluster for their weights.
        return MemorySource(read_now(weights.rows(0, n_rows)))
    return weights


def check_given(
    family: Family,
    n_components: int,
    n_features: int,
    *,
    weights: RealNumbers | None,
    means: RealNumbers | None,
    precisions: RealNumbers | float | None,
) -> GivenStart:
    """Check ``weights_init``, ``means_init`` and ``precisions_init``; the messages are scikit-learn's."""
    return GivenStart(
        None if weights is None else _checked_weights(weights, n_components),
        None if means is None else _checked_means(means, n_components, n_features),
        None if precisions is None else _checked_precisions(precisions, family, n_components, n_features),
    )


def _floats(values: RealNumbers | float, name: str) -> Array:
    refuse_kind(values, name)
    return np.asarray(check_array(values, ensure_2d=False, allow_nd=True), np.float64)


def _check_shape(parameter: Array, shape: tuple[int, ...], name: str) -> None:
    if parameter.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {parameter.shape}"
        )


def _checked_weights(weights: RealNumbers, n_components: int) -> Array:
    values = _floats(weights, "weights_init")
    _check_shape(values, (n_components,), "weights")
    if (values < 0.0).any() or (values > 1.0).any():
        raise ValueError(  # which is which is scikit-learn's, and so are its tests
            "The parameter 'weights' should be in the range [0, 1], "
            f"but got max value {values.min():.5f}, min value {values.max():.5f}"
        )
    if not np.isclose(values.sum(), 1.0, rtol=0.0, atol=1e-6):
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {values.sum():.5f}"
        )
    return values


def _checked_means(means: RealNumbers, n_components: int, n_features: int) -> Array:
    values = _floats(means, "means_init")
    _check_shape(values, (n_components, n_features), "means")
    return values


def _checked_precisions(
    precisions: RealNumbers | float, family: Family, n_components: int, n_features: int
) -> Array:
    shape = family.covariance_shape(n_components, n_features)
    is_single = np.ndim(precisions) == 0
    values = _floats(np.atleast_1d(precisions) if is_single else precisions, "precisions_init")
    if not shape and values.size == 1:  # one number for all
        values = values.reshape(shape)
    _check_shape(values, shape, f"{family.name} precision")
    _check_positive(values, family)
    return values


def _check_positive(precisions: Array, family: Family) -> None:
    fault = family.fault(precisions)
    if fault is not None:
        raise ValueError(f"'{family.name} precision' should be {fault}")


def check_belief(
    belief: Belief, mean: RealNumbers | None, covariance: RealNumbers | float | None, n_features: int
) -> Belief:
    """Check what the user believes; the messages are scikit-learn's.

    Parameters
    ----------
    belief : Belief
    mean, covariance : array-like or None
        As the user gives them: what comes back has them.
    n_features : int

    Raises
    ------
    ValueError
        Where a prior is out of range, or of the wrong shape.
    """
    family, prior_mean, prior_covariance = belief.family, None, None
    if mean is not None:
        prior_mean = _floats(mean, "mean_prior")
        _check_shape(prior_mean, (n_features,), "means")
    if not belief.degrees_of_freedom > n_features - 1.0:
        raise ValueError(
            "The parameter 'degrees_of_freedom_prior' should be greater than "
            f"{n_features - 1}, but got {belief.degrees_of_freedom:.3f}."
        )
    if covariance is not None:
        refuse_kind(covariance, "covariance_prior")
        is_number = np.ndim(covariance) == 0
        values = np.asarray(covariance) if is_number else _floats(covariance, "covariance_prior")
        prior_covariance = values.astype(np.float64)
        _check_shape(prior_covariance, family.shape_of_one(n_features), f"{family.name} covariance_prior")
        _check_positive(prior_covariance, family)
    return replace(belief, mean=prior_mean, covariance=prior_covariance)
