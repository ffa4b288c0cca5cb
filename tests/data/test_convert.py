"""What holds numbers in memory becomes the array that NumPy or pandas makes of it, or is refused in words."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.utils import check_array

from dgmm.data import DataError
from dgmm.data.convert import check_shape, refuse_kind, series_dtype, text_names, to_array


class TestNames:
    def test_text(self):
        assert text_names(["b", np.str_("a")]) == ("b", "a")

    @pytest.mark.parametrize("columns", [[], [0, 1], [1.5, None], [("a", 1), ("a", 2)]])
    def test_others_are_none(self, columns):
        assert text_names(columns) is None

    def test_a_mixture_is_refused_as_by_scikit_learn(self):
        frame = pd.DataFrame(np.eye(3), columns=["a", 1, 2.5])
        from sklearn.preprocessing import StandardScaler

        with pytest.raises(TypeError) as theirs:
            StandardScaler().fit(frame)
        with pytest.raises(TypeError) as ours:
            text_names(list(frame.columns))
        assert str(theirs.value).startswith(str(ours.value).removesuffix(" for example."))

    def test_two_of_the_same(self):
        with pytest.raises(DataError, match="several columns 'a'"):
            text_names(["a", "b", "a"])


class TestShape:
    @pytest.mark.parametrize(("shape", "n_dims"), [((3, 2), 2), ((np.nan, 1), 2), ((3,), 1), ((0, 2), 2)])
    def test_what_is_right(self, shape, n_dims):
        check_shape(shape, n_dims, "x")

    @pytest.mark.parametrize("values", [np.float64(3.0), np.arange(3.0), np.ones((2, 2, 2)), np.ones((2, 0))])
    def test_rows_are_refused_where_scikit_learn_refuses_them(self, values):
        with pytest.raises(ValueError, match=r"Expected 2D|Found array with") as theirs:
            check_array(values)
        with pytest.raises(DataError) as ours:
            check_shape(values.shape, 2, "x", values)
        beginning = str(theirs.value).partition(" instead")[0].partition(",")[0].partition(" while")[0]
        assert str(ours.value).startswith(beginning)

    @pytest.mark.parametrize(("shape", "got"), [((), "scalar"), ((3, 1), "2D"), ((3, 1, 1), "3D")])
    def test_weights(self, shape, got):
        with pytest.raises(DataError, match=rf"Expected 1D array, got {got} array .*: weights"):
            check_shape(shape, 1, "weights")


class Gives:
    """Something that NumPy asks for its array, as variables of netCDF4, h5py and others are."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


class TestWhatGivesArrays:
    @pytest.mark.parametrize("n_dims", [1, 2])
    def test_masked_ones_are_refused(self, n_dims):
        values = np.ma.masked_equal(np.arange(6.0).reshape((6, 1)[:n_dims]), 3.0)
        for given in (Gives(values), Gives(np.ma.array(values.data))):
            with pytest.raises(DataError, match=r"temperature is .* a masked array"):
                to_array(given, "temperature")

    @pytest.mark.parametrize("kind", ["f4", "i2", ">f8", "?", object])
    def test_others_are_their_numbers(self, kind):
        values = np.arange(6).reshape(3, 2).astype(kind)
        np.testing.assert_array_equal(to_array(Gives(values), "x"), values.astype(float))


class TestKinds:
    @pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.coo_matrix])
    def test_sparse_is_refused(self, make):
        with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
            refuse_kind(make(np.eye(2)), "X")

    @pytest.mark.parametrize("is_inside", [False, True])
    def test_masked_is_refused_wherever_it_is(self, is_inside):
        masked = np.ma.masked_invalid([1.0, np.nan])
        with pytest.raises(
            DataError, match=r"X is \(or holds\) a masked array.*NaN is a missing value"
        ) as error:
            refuse_kind([[np.ones(2)], [masked]] if is_inside else masked, "X")
        assert "missing=" not in str(error.value)  # not every estimator has it

    def test_others_are_not(self):
        for values in (np.ones(2), [np.ones(2), [1.0, 2.0]], pd.DataFrame(np.eye(2)), None):
            refuse_kind(values, "X")


class TestArrays:
    @pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "i2", "u8", "?"])
    def test_arrays_are_handed_on_as_they_are(self, dtype):
        values = np.arange(6).reshape(3, 2).astype(dtype)
        found = to_array(values, "x")
        assert found.dtype == values.dtype
        assert np.shares_memory(found, values)

    @pytest.mark.parametrize(
        "values",
        [
            [[1, 2.5], [True, 4]],
            np.array([[Decimal("0.1"), 2], [Fraction(1, 3), 4.5]], dtype=object),
            [np.float32(0.1), 3],
            [],
        ],
    )
    def test_numbers_of_all_kinds_are_what_float_makes_of_them(self, values):
        expected = np.vectorize(float, otypes=[np.float64])(np.asarray(values, dtype=object))
        np.testing.assert_array_equal(to_array(values, "x"), expected)

    def test_ragged_lists(self):
        with pytest.raises(DataError, match=r"the weights: .*inhomogeneous"):
            to_array([[1.0, 2.0], [3.0]], "the weights")

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (np.array(["1", "2"]), r"x holds text"),
            (np.array(["2020-01-01"], "M8[D]"), "x holds dates"),
            (np.array([1j]), "Complex data not supported: x"),
            (np.array([(1,)], [("a", "f8")]), "x holds records"),
            (np.array(["a"], dtype=object), "x: could not convert string to float"),
        ],
    )
    def test_what_is_no_number(self, values, words):
        with pytest.raises(DataError, match=words):
            to_array(values, "x")


class TestSeries:
    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [
            ("float32", "f4"),
            ("Float32", "f4"),
            ("float[pyarrow]", "f4"),
            ("float64", "f8"),
            ("Float64", "f8"),
            ("double[pyarrow]", "f8"),
            ("int8", "f8"),
            ("UInt16", "f8"),
            ("boolean", "f8"),
        ],
    )
    def test_numbers(self, dtype, expected):
        series = pd.Series([0, 1, 1], dtype=dtype, name="a")
        assert series_dtype(series.dtype, "a", "the frame") == np.dtype(expected)
        found = to_array(series, "x")
        assert found.dtype == np.dtype(expected)
        np.testing.assert_array_equal(found, [0, 1, 1])

    @pytest.mark.parametrize("dtype", ["Int64", "Float32", "int64[pyarrow]"])
    def test_what_is_missing_is_nan(self, dtype):
        np.testing.assert_array_equal(to_array(pd.Series([1, None, 3], dtype=dtype), "x"), [1, np.nan, 3])

    def test_objects_that_are_numbers(self):
        found = to_array(pd.Series([Decimal("0.5"), 2, None], dtype=object), "x")
        np.testing.assert_array_equal(found, [0.5, 2.0, np.nan])

    @pytest.mark.parametrize(
        "dtype", ["str", "category", "datetime64[ns]", "timedelta64[ns]", "string[pyarrow]"]
    )
    def test_what_is_no_number(self, dtype):
        series = pd.Series(pd.to_datetime(["2020-01-01"]) if "64" in dtype else ["a"])
        series = series - series[0] if "delta" in dtype else series.astype(dtype)
        with pytest.raises(DataError, match=r"the frame: column 'a' \(.*\) does not hold real numbers"):
            series_dtype(series.dtype, "a", "the frame")
        with pytest.raises(DataError, match=r"does not hold real numbers|could not convert"):
            to_array(series, "x")

    def test_complex(self):
        with pytest.raises(DataError, match=r"Complex data not supported: x: column 'z'"):
            to_array(pd.Series([1j], name="z"), "x")
