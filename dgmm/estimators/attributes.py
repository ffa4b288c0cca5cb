"""Which attributes a model file may hold, and of which kinds.

A file is data from anywhere: each value is of the kind that the attribute has, or the file is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError
from dgmm.fitting.starts.record import SearchRecord
from dgmm.model.matrices import Array

Read = Callable[[Any], Any]
"""Gives a value as the attribute has it. Raises ValueError, which says what it should be."""


def numbers(value: Any) -> Array:
    """Read an array of real numbers."""
    found = np.asarray(value)
    if found.dtype.kind not in "fiu":
        raise ValueError(f"not real numbers, but {found.dtype}")
    return found


def _figures(value: Any) -> Any:
    """Read a number, or an array of them."""
    return value if _is_number(value) else numbers(value)


def _number(value: Any) -> Any:
    return _held(value, _is_number(value), "a number")


def _count(value: Any) -> int:
    return int(_held(value, _is_number(value) and isinstance(value, Integral) and int(value) >= 0, "a count"))


def _counts(value: Any) -> NDArray[np.int64]:
    found = np.asarray(value)
    is_good = found.ndim == 1 and found.dtype.kind in "iu" and bool((found >= 0).all())
    return _held(found, is_good, "counts").astype(np.int64)


def _flag(value: Any) -> bool:
    return bool(_held(value, isinstance(value, (bool, np.bool_)), "true or false"))


def _text(value: Any) -> str:
    return _held(value, isinstance(value, str), "text")


def _texts(value: Any) -> list[str]:
    is_list = isinstance(value, (list, tuple, np.ndarray))
    return list(_held(value, is_list and all(isinstance(each, str) for each in value), "a list of text"))


def _groups(value: Any) -> NDArray[Any]:
    """Read names or numbers of groups: distinct, in order."""
    found = np.asarray(value)
    is_good = found.ndim == 1 and found.dtype.kind in "fiuU" and bool((found[1:] > found[:-1]).all())
    return _held(found, is_good, "distinct numbers or text, in order")


def _names(value: Any) -> Any:
    return np.array([*_texts(value), None], dtype=object)[:-1]  # also of a single name, or of none


def _changes(value: Any) -> list[str] | None:
    return None if value is None else _texts(value)


def _series(value: Any) -> list[Any]:
    is_list = isinstance(value, (list, tuple))
    return list(_held(value, is_list and all(map(_is_number_or_flag, value)), "a list of numbers"))


def _history(value: Any) -> dict[str, list[Any]]:
    _held(value, isinstance(value, Mapping), "lists of numbers by name")
    return {str(name): _series(each) for name, each in value.items()}


def _search(value: Any) -> SearchRecord | None:
    if value is None or isinstance(value, SearchRecord):
        return value
    _held(value, isinstance(value, Mapping), "what a search says of itself")
    counts = {name: _count(value.get(name)) for name in ("n_starts", "n_optima", "n_best", "n_evaluations")}
    unseen = value.get("unseen")
    return SearchRecord(**counts, unseen=float(_held(unseen, _is_share(unseen), "a share, from 0 to 1")))


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0.0 <= value <= 1.0


def _records(value: Any) -> list[dict[str, Any]]:
    is_list = isinstance(value, list) and all(isinstance(each, Mapping) for each in value)
    records = [dict(each) for each in _held(value, is_list, "a list of records")]
    return [{name: read(record.get(name)) for name, read in PARTITION.items()} for record in records]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _is_number_or_flag(value: Any) -> bool:
    return isinstance(value, (Real, np.bool_))


def _held(value: Any, is_so: bool, what: str) -> Any:
    if not is_so:
        raise ValueError(f"not {what}, but {str(value)[:40]!r}")
    return value


def _finite(value: Any) -> float:
    return float(_held(value, _is_number(value) and isfinite(value), "a finite number"))


def _above_zero(value: Any) -> float:
    return float(_held(value, _is_number(value) and isfinite(value) and value > 0.0, "a number above zero"))


PARTITION: dict[str, Read] = {
    **dict.fromkeys(("name", "rows", "row_weights", "added"), _text),
    "n_rows": _count,
    "weight": _above_zero,
    **dict.fromkeys(("log_likelihood", "entropy", "entropy_of_missing"), _finite),
}
"""What is said of each partition of the rows that a mixture knows: see `dgmm.fitting.partitions`."""

PARTITION_ARRAYS = (
    "partition_counts_",
    "partition_points_",
    "partition_sums_",
    "partition_scatter_",
    "partition_lacking_",
)
"""Sums of all partitions, an entry for each."""

FITTED_ARRAYS = (
    "fitted_weights_",
    "fitted_means_",
    "fitted_covariances_",
    "fitted_precisions_cholesky_",
    "fitted_weight_concentration_",
    "fitted_mean_precision_",
    "fitted_degrees_of_freedom_",
)
"""The mixture of the fit, where it is not that of the file."""

ATTRIBUTES: dict[str, Read] = {
    **dict.fromkeys(("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"), numbers),
    **dict.fromkeys(("weight_concentration_", "mean_precision_", "mean_prior_"), numbers),
    **dict.fromkeys(("degrees_of_freedom_", "covariance_prior_"), _figures),
    **dict.fromkeys(
        ("weight_concentration_prior_", "mean_precision_prior_", "degrees_of_freedom_prior_"), _number
    ),
    **dict.fromkeys(("lower_bound_", "elbo_"), _number),
    **dict.fromkeys(("n_features_in_", "n_iter_", "n_passes_"), _count),
    **dict.fromkeys(("n_rows_dropped_", "n_rows_incomplete_"), _count),
    "n_missing_": _counts,
    "effective_components_": _count,
    "converged_": _flag,
    "lower_bounds_": _series,
    "history_": _history,
    "search_": _search,
    "stop_reason_": _text,
    "data_fingerprint_": _text,
    "data_changes_": _changes,
    "feature_names_in_": _names,
    "groups_": _groups,
    "group_weights_": numbers,
    "measurement_errors_": _text,
    "partitions_": _records,
    "fitted_bound_": _number,
    **dict.fromkeys((*PARTITION_ARRAYS, *FITTED_ARRAYS), numbers),
}
"""How each is read. A fitted attribute that models are to keep has its line here."""

OF_GROUPS = ("groups_", "group_weights_")
"""Attributes of a mixture where groups of rows have weights of their own."""

OF_KEPT_SUMS = ("partitions_", "fitted_bound_", *PARTITION_ARRAYS, *FITTED_ARRAYS)
"""Those of a file that are no attributes of a mixture: what it keeps of its rows."""

ARRAY_PARAMETERS = (
    "weights_init",
    "means_init",
    "precisions_init",
    "mean_prior",
    "covariance_prior",
)
"""Parameters of constructors that may be arrays."""


def attributes_read(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as mixtures have them.

    Parameters
    ----------
    values : mapping of str to object
        As they are in a file, or in a mixture.

    Raises
    ------
    DataError
        For an attribute that no mixture has, and for a value that is not of its kind.
    """
    found = {}
    for name, value in values.items():
        if name not in ATTRIBUTES:
            raise DataError(f"no mixture has the attribute {name[:80]!r}")
        try:
            found[name] = ATTRIBUTES[name](value)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{name} is {error}") from None
    return found


def check_array_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse arrays among a constructor's parameters that are not of finite numbers.

    Raises
    ------
    DataError
    """
    for name in ARRAY_PARAMETERS:
        value = parameters.get(name)
        try:
            is_good = value is None or bool(np.isfinite(numbers(value)).all())
        except (TypeError, ValueError):
            is_good = False
        if not is_good:
            raise DataError(f"{name} holds values that are not finite numbers")
