"""Names and numbers of features, as users give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Integral, Real
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError
from dgmm.data.text import counted, listed, printable
from dgmm.model.matrices import Array

LISTED = 10
"""Names that a message lists."""

Features: TypeAlias = str | int | Iterable[str | int]
"""One feature or several, by names or column numbers."""

Known: TypeAlias = Mapping[str, float] | Mapping[int, float] | Mapping[str | int, float]
"""Features, and their values."""


def column_names(names: Iterable[object] | None, n_features: int) -> tuple[str, ...]:
    """Name the columns of a table: x0, x1 …, as in scikit-learn, where the features have no names."""
    return tuple(f"x{i}" for i in range(n_features)) if names is None else tuple(map(str, names))


def spoken_names(names: Iterable[object] | None, n_features: int) -> tuple[str, ...]:
    """Name features in texts and pictures: feature 0, feature 1 …, where they have no names."""
    return tuple(f"feature {i}" for i in range(n_features)) if names is None else tuple(map(str, names))


def numbers_of(features: object, names: NDArray[np.object_] | None, n_features: int) -> NDArray[np.intp]:
    """Find the column numbers of features.

    Parameters
    ----------
    features : str, int, or iterable of these
        Names where the mixture has names, or numbers from 0; from the last, if negative.
    names : ndarray of shape (n_features,) or None
        Of the features.
    n_features : int

    Returns
    -------
    ndarray of int
        In the order given.

    Raises
    ------
    DataError
        For a feature that is not there, or is given twice.
    TypeError
        For what is neither a name nor a number.
    """
    if isinstance(features, (str, Integral)):
        features = [features]
    if not isinstance(features, Iterable):
        raise TypeError(f"features are names or numbers, or a list of them, not a {type(features).__name__}")
    given = list(features)
    numbers = [_number_of(feature, names, n_features) for feature in given]
    for place, number in enumerate(numbers):
        if number in numbers[:place]:
            first = given[numbers.index(number)]
            also = "" if first == given[place] else f", once as {_shown(first)}"
            raise DataError(f"feature {_shown(given[place])} is given twice{also}; give it once")
    return np.array(numbers, np.intp)


def _shown(feature: object) -> str:
    return repr(printable(feature)) if isinstance(feature, str) else str(feature)


def _number_of(feature: object, names: NDArray[np.object_] | None, n_features: int) -> int:
    if isinstance(feature, str):
        return _number_of_name(feature, names, n_features)
    if isinstance(feature, (bool, np.bool_)):
        raise TypeError("features are names or numbers, not a mask; give np.flatnonzero(mask)")
    if not isinstance(feature, Integral):
        raise TypeError(f"features are names or whole numbers, not {feature!r}, a {type(feature).__name__}")
    number = int(feature)
    if not -n_features <= number < n_features:
        raise DataError(
            f"there is no feature {number}: the mixture has {_with_numbers(n_features)}{_listed(names)}"
        )
    return number % n_features


def _number_of_name(name: str, names: NDArray[np.object_] | None, n_features: int) -> int:
    if names is None:
        raise DataError(
            f"there is no feature {_shown(name)}: the mixture was fitted without feature names, and has "
            f"{_with_numbers(n_features)}; give numbers"
        )
    known = [str(each) for each in names]
    if name in known:
        return known.index(name)
    folded = {each.casefold(): each for each in known}
    near = [folded[each] for each in get_close_matches(name.casefold(), folded)]
    if near:
        raise DataError(f"there is no feature {_shown(name)}; did you mean {' or '.join(map(_shown, near))}?")
    has = counted(n_features, "feature") + _listed(names)
    raise DataError(f"there is no feature {_shown(name)}: the mixture has {has}")


def _with_numbers(n_features: int) -> str:
    numbers = f"numbers 0 to {n_features - 1}" if n_features > 1 else "number 0"
    return f"{counted(n_features, 'feature')}, {numbers}"


def _listed(names: NDArray[np.object_] | None) -> str:
    return "" if names is None else f": {listed(map(_shown, names), LISTED)}"


def values_of(
    given: Known, names: NDArray[np.object_] | None, n_features: int
) -> tuple[NDArray[np.intp], Array]:
    """Find the column numbers of features, and their values.

    Parameters
    ----------
    given : mapping of str or int to float
        Features, as for `numbers_of`, and their values.
    names, n_features
        As for `numbers_of`.

    Returns
    -------
    numbers : ndarray of int
    values : ndarray of float64

    Raises
    ------
    DataError, TypeError
        As `numbers_of`; and for values that are not finite numbers, naming the feature.
    """
    if not hasattr(given, "keys"):
        raise TypeError(f"give features and their values as {{feature: value}}, not a {type(given).__name__}")
    pairs = dict(given)
    numbers = numbers_of(list(pairs), names, n_features)
    return numbers, np.array([_value(feature, value) for feature, value in pairs.items()], np.float64)


def _value(feature: object, value: object) -> float:
    single = value.item() if isinstance(value, (np.generic, np.ndarray)) and np.size(value) == 1 else value
    if not isinstance(single, Real):
        raise TypeError(f"the value of feature {_shown(feature)} is a number, not {value!r}")
    try:
        number = float(single)
    except OverflowError:
        raise DataError(f"the value of feature {_shown(feature)} is out of the range of float64") from None
    if not np.isfinite(number):
        why = "leave unknown features out" if np.isnan(number) else "give a finite value"
        raise DataError(f"the value of feature {_shown(feature)} is {number:g}; {why}")
    return number
