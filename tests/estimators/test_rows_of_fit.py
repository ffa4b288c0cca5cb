"""What a fit is given, opened together."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dgmm.data import DataError
from dgmm.data.ambient import read_now
from dgmm.estimators.rows_of_fit import RowsOfFit

FRAME = pd.DataFrame(
    {
        "a": [0.0, 1.0, 5.0, 6.0],
        "b": [2.0, 3.0, 4.0, 5.0],
        "known": [0, -1, 1, -1],
        "often": [1.0, 2.0, 1.0, 1.0],
        "who": ["x", "y", "x", "y"],
    }
)


def opened(rows: Any, sample_weight=None, labels=None, groups=None, n_components=2) -> RowsOfFit:
    return RowsOfFit.of(
        rows, sample_weight, labels, groups, None, estimator="GaussianMixture", n_components=n_components
    )


def test_columns_that_are_named_are_no_features():
    found = opened(FRAME, "often", "known", "who")
    assert found.features.feature_names == ("a", "b")
    assert sorted(found.side_information) == ["groups", "labels"]
    assert found.weights is not None
    np.testing.assert_array_equal(read_now(found.weights.rows(0, 4))[:, 0], FRAME["often"])
    known = found.parts(2)
    assert known is not None
    assert (known.n_groups, known.n_labels) == (2, 2)
    groups = found.groups(known)
    assert groups is not None
    assert groups.tolist() == ["x", "y"]
    columns = np.column_stack([FRAME[["a", "b"]], [0, 1, 0, 1], FRAME["known"]])
    np.testing.assert_array_equal(read_now(found.joined.rows(0, 4)), columns)


def test_features_alone():
    found = opened(FRAME[["a", "b"]])
    assert found.joined is found.features
    assert found.side_information == {}
    assert found.groups(found.parts(2)) is None


def test_what_is_refused():
    with pytest.raises(DataError, match="n_samples = 4"):
        opened(FRAME[["a"]], n_components=5)
    with pytest.raises(DataError, match="groups has 2 columns: give one group"):
        opened(FRAME[["a"]], groups=FRAME[["b", "often"]])
    with pytest.raises(DataError, match="labels has 3 rows, but X has 4"):
        opened(FRAME[["a"]], labels=[0, 1, 1])
