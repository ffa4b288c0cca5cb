import sys
import types

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.utils import check_array

from dgmm.data import DataError, open_dataset, open_weights
from tests.data.contract import type_name


@pytest.mark.parametrize(
    "x",
    [
        3.0,
        [1.0, 2.0],
        np.ones((2, 2, 2)),
        np.ones((3, 0)),
        [[1.0, 2.0], [3.0]],
        np.array([[1j, 2.0]]),
        [["a", "b"]],
        np.array([["a"]], dtype=object),
        np.array([[{}]], dtype=object),
        scipy.sparse.csr_array((3, 3)),
        scipy.sparse.eye(3),
        pd.DataFrame({"a": ["x"]}),
        pd.Series([1.0]),
    ],
    ids=type_name,
)
def test_refuses_what_scikit_learn_refuses_with_its_type(x):
    with pytest.raises((ValueError, TypeError)) as theirs:
        check_array(x, dtype="float64", ensure_min_samples=0)
    with pytest.raises((ValueError, TypeError)) as ours:
        open_dataset(x)
    assert isinstance(ours.value, theirs.type)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (3.0, "Expected 2D array, got scalar array instead"),
        ([1, 2], r"Expected 2D array, got 1D array instead:\narray=\[1 2\]"),
        ([1, 2], r"Reshape your data either using array.reshape\(-1, 1\)"),
        (np.ones((2, 2, 2)), "Found array with dim 3, while dim <= 2 is required"),
        (
            np.ones((3, 0)),
            r"Found array with 0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required",
        ),
        ([[1.0, 2.0], [3.0]], "inhomogeneous shape"),
        ([[1j]], "Complex data not supported"),
        (pd.DataFrame({"a": [1j]}), "Complex data not supported"),
        ([["a"]], "holds text"),
        (np.array([["a"]], dtype=object), "could not convert string to float: 'a'"),
        (np.zeros((2, 2), "M8[s]"), "holds dates"),
        (np.zeros((2, 2), "m8[s]"), "holds time differences"),
        (np.zeros((2,), "f8,i4"), "holds records"),
        (np.ma.masked_equal(np.ones((2, 2)), 1), r"masked array.*\.filled\(value\)"),
        (
            pd.DataFrame({"a": [1], "b": ["x"], "c": pd.to_datetime(["2020"])})[["b", "c"]],
            r"no column of numbers; it has 'b' \(str\), 'c' \(datetime",
        ),
        (pd.DataFrame({"a": pd.Categorical([1])}), r"no column of numbers; it has 'a' \(category\)"),
        (
            pd.DataFrame({"a": [1.5, "q"]}, dtype=object),
            r"column 'a' \(object\) holds numbers, but 'q' in row 1; convert that column",
        ),
        (None, "NoneType is neither an array, a table nor a path"),
        (iter(np.eye(2)), r"is neither an array.*those of an iterator as a list"),
        ({"a": np.arange(3.0)}, r"dict is neither an array"),
    ],
    ids=type_name,
)
def test_says_what_is_wrong(x, words):
    with pytest.raises(DataError, match=words):
        open_dataset(x)


def test_sparse_and_objects_are_type_errors():
    with pytest.raises(TypeError, match=r"Sparse data was passed.*but dense data is required"):
        open_dataset(scipy.sparse.eye_array(3))  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="argument must be a string or a real number"):
        open_dataset(np.array([[{}]], dtype=object))


class TestColumns:
    def test_that_are_not_there(self):
        with pytest.raises(DataError, match="DataFrame has no column 'b'; it has 'a'"):
            open_dataset(pd.DataFrame({"a": [1]}), columns=["b"])

    def test_of_what_has_none(self):
        with pytest.raises(DataError, match="ndarray has no named columns"):
            open_dataset(np.eye(2), columns=["a"])
        with pytest.raises(DataError, match="is already open"):
            open_dataset(open_dataset(np.eye(2)), columns=["a"])

    @pytest.mark.parametrize(
        ("columns", "error", "words"),
        [
            ("abc", TypeError, r"a list of names; for one column give \['abc'\]"),
            ([], DataError, "columns= is empty"),
            (["b", "b"], DataError, "several columns 'b'"),
        ],
    )
    def test_that_are_no_list_of_names(self, columns, error, words):
        with pytest.raises(error, match=words):
            open_dataset(pd.DataFrame({"a": [1.0], "b": [2.0]}), columns=columns)


def test_a_source_is_given_back():
    source = open_dataset(np.eye(2))
    assert open_dataset(source) is source
    with pytest.raises(DataError, match="Expected one weight for each row, but ndarray has 2 columns"):
        open_weights(source)


def test_weights_of_wrong_shape():
    with pytest.raises(DataError, match=r"Expected 1D array, got 2D array instead \(shape=\(2, 2\)\)"):
        open_weights(np.eye(2))


def test_no_scikit_learn_in_this_layer():
    modules = [module for name, module in sys.modules.items() if name.startswith("dgmm.data")]
    for module in modules:
        values = [value for value in vars(module).values() if isinstance(value, types.ModuleType)]
        assert not any(value.__name__.startswith("sklearn") for value in values)
