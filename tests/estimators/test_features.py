from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from dgmm.estimators.features import column_names, numbers_of, spoken_names, values_of

NAMES = np.array(["Height", "weight", "0"], dtype=object)


@pytest.mark.parametrize(
    ("features", "numbers"),
    [
        ("weight", [1]),
        (2, [2]),
        (np.int32(-1), [2]),
        (["0", 0], [2, 0]),
        (iter(["weight", "Height"]), [1, 0]),
        (np.array(["weight"]), [1]),
        (pd.Index(["weight", "Height"]), [1, 0]),
        (np.array([2, 1]), [2, 1]),
        ([], []),
    ],
)
def test_features_by_name_or_number(features, numbers):
    assert numbers_of(features, NAMES, 3).tolist() == numbers


@pytest.mark.parametrize(
    ("features", "kind", "message"),
    [
        ("height", ValueError, "no feature 'height'; did you mean 'Height'"),
        (["wieght"], ValueError, "no feature 'wieght'; did you mean 'weight'"),
        (
            "speed\n",
            ValueError,
            r"no feature 'speed\\\\n': the mixture has 3 features: 'Height', 'weight', '0'",
        ),
        (3, ValueError, "no feature 3: the mixture has 3 features, numbers 0 to 2: 'Height', 'weight', '0'"),
        (-4, ValueError, "no feature -4"),
        ([0, 1, 0], ValueError, "feature 0 is given twice; give it once"),
        (["Height", 0], ValueError, "feature 0 is given twice, once as 'Height'"),
        ([0, -3], ValueError, "feature -3 is given twice, once as 0"),
        ([1.0], TypeError, "not 1.0, a float"),
        (1.5, TypeError, "not a float"),
        (None, TypeError, "not a NoneType"),
        ([True, False, True], TypeError, r"give np.flatnonzero\(mask\)"),
        (np.array([True, False, True]), TypeError, "not a mask"),
    ],
)
def test_features_that_are_none(features, kind, message):
    with pytest.raises(kind, match=message):
        numbers_of(features, NAMES, 3)


def test_names_of_a_mixture_without_names():
    with pytest.raises(
        ValueError, match=r"no feature 'a': .* without feature names, and has 5 features, numbers 0 to 4"
    ):
        numbers_of("a", None, 5)


def test_of_many_names_some_are_listed():
    names = np.array([f"x{i}" for i in range(50)], dtype=object)
    with pytest.raises(ValueError, match=r"the mixture has 50 features: 'x0', .*'x9' and 40 more$"):
        numbers_of("completely different", names, 50)


@pytest.mark.parametrize(
    "value", [1.5, np.float32(1.5), np.array(1.5), np.array([1.5]), Fraction(3, 2), np.longdouble(1.5)]
)
def test_values_are_real_numbers(value):
    numbers, values = values_of({"weight": value, 0: True}, NAMES, 3)
    assert numbers.tolist() == [1, 0]
    assert values.dtype == np.float64
    assert values.tolist() == [1.5, 1.0]


def test_a_series_has_values_of_features():
    numbers, values = values_of(pd.Series({"weight": 2, "Height": 3}), NAMES, 3)  # pyright: ignore[reportArgumentType]
    assert numbers.tolist() == [1, 0]
    assert values.tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (np.nan, ValueError, "value of feature 'weight' is nan; leave unknown features out"),
        (-np.inf, ValueError, "value of feature 'weight' is -inf; give a finite value"),
        (10**400, ValueError, "feature 'weight' is out of the range"),
        ("1.5", TypeError, "feature 'weight' is a number, not '1.5'"),
        (None, TypeError, "not None"),
        (1j, TypeError, "not 1j"),
        ([1.5], TypeError, r"not \[1.5\]"),
        (np.ones(2), TypeError, "is a number"),
        (Decimal("1.5"), TypeError, "is a number"),
    ],
)
def test_values_that_are_none(value, kind, message):
    with pytest.raises(kind, match=message):
        values_of({"weight": value}, NAMES, 3)


def test_values_without_features():
    with pytest.raises(TypeError, match=r"\{feature: value\}, not a list"):
        values_of([1.0, 2.0], NAMES, 3)  # pyright: ignore[reportArgumentType]


def test_features_without_names_are_called_by_their_numbers():
    """Columns as scikit-learn calls them, so that a table has names; in texts as a person would."""
    expected = np.asarray(StandardScaler().fit(np.eye(2)).get_feature_names_out())
    assert list(column_names(None, 2)) == expected.tolist()
    assert spoken_names(None, 2) == ("feature 0", "feature 1")
    assert column_names(NAMES, 3) == spoken_names(NAMES, 3) == ("Height", "weight", "0")
