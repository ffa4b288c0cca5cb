import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dgmm.data import DataError, memory, open_dataset, open_weights
from dgmm.data.memory import MemorySource
from tests.data.contract import check_memory, check_pickles, check_source, read


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", ">f8", "i1", "u8", "?", "i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_any_dtype(dtype, order):
    values = np.arange(21).reshape(7, 3).astype(dtype, order=order)
    expected = values.astype("f4" if dtype in {"f4", ">f4"} else "f8")
    check_source(open_dataset(values), expected)


@given(st.integers(0, 50), st.integers(1, 4), st.integers(8, 200))
def test_any_chunk_size(n_rows, n_features, chunk_bytes):
    values = np.arange(n_rows * n_features, dtype=float).reshape(n_rows, n_features)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "SLICE_BYTES", chunk_bytes)
        check_source(MemorySource(values), values)


@given(arrays(np.float64, st.tuples(st.integers(0, 9), st.integers(1, 4))))
def test_nan_and_infinity_pass_unchanged(values):
    check_source(open_dataset(values), values)


def test_a_chunk_pickles_as_its_own_rows(generator):
    source = open_dataset(generator.random((100_000, 10)))
    chunk = source.rows(5, 7)
    assert len(pickle.dumps(chunk)) < 1000
    check_pickles(chunk)


def test_rows_are_views(generator):
    values = generator.random((1000, 3))
    assert np.shares_memory(read(open_dataset(values).spans()[0].chunks[0]), values)


def test_a_memory_map_is_converted_piece_by_piece(tmp_path):
    values = np.memmap(tmp_path / "x.raw", np.int16, "w+", shape=(3_000_000, 2))
    values[:] = np.arange(3_000_000)[:, None] % 1000
    source = open_dataset(values)
    assert len(source.spans()) > 1
    check_memory(source.spans()[1].chunks[1])
    check_source(source, np.asarray(values, dtype=float))


def test_large_data_makes_about_64_spans(generator):
    source = MemorySource(np.broadcast_to(np.ones((1, 10)), (100_000_000, 10)))
    assert 60 <= len(source.spans()) <= 70


class TestFrames:
    def test_names_and_order_of_columns(self):
        frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": ["x", "y"]})
        expected = np.array([[0.5, 1.0], [1.5, 2.0]])
        check_source(open_dataset(frame, columns=["b", "a"]), expected, ("b", "a"))

    def test_names_that_are_not_text_are_not_names(self):
        check_source(open_dataset(pd.DataFrame(np.eye(2))), np.eye(2))
        with pytest.raises(TypeError, match=r"string names, but your input has \['int', 'str'\]"):
            open_dataset(pd.DataFrame(np.eye(2), columns=["a", 1]))

    def test_two_columns_of_one_name(self):
        with pytest.raises(DataError, match="DataFrame has several columns 'a'"):
            open_dataset(pd.DataFrame(np.eye(2), columns=["a", "a"]))

    def test_float32_only_where_all_columns_are(self):
        frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]}, dtype="f4")
        check_source(open_dataset(frame), np.array([[1, 3], [2, 4]], dtype="f4"), ("a", "b"))
        frame["b"] = frame["b"].astype(float)
        check_source(open_dataset(frame), np.array([[1.0, 3], [2, 4]]), ("a", "b"))

    def test_missing_values_become_nan(self):
        frame = pd.DataFrame(
            {
                "a": pd.array([1, None], dtype="Int64"),
                "b": pd.array([True, None], dtype="boolean"),
                "c": pd.array([1.5, None], dtype="double[pyarrow]"),
                "d": pd.array([7, None], dtype="int32[pyarrow]"),
            }
        )
        expected = np.array([[1, 1, 1.5, 7], [np.nan] * 4])
        check_source(open_dataset(frame), expected, ("a", "b", "c", "d"))

    def test_nullable_float32_stays_float32(self):
        frame = pd.DataFrame({"a": pd.array([1, None], dtype="Float32")})
        check_source(open_dataset(frame), np.array([[1], [np.nan]], dtype="f4"), ("a",))

    def test_objects_that_are_numbers(self):
        frame = pd.DataFrame({"a": [1, 2.5]}, dtype=object)
        check_source(open_dataset(frame), np.array([[1.0], [2.5]]), ("a",))


def test_lists_and_objects_with_array():
    class Table:
        def __array__(self, dtype=None, copy=None):
            return np.eye(3)

    check_source(open_dataset([[1, 2], [3, 4]]), np.array([[1.0, 2], [3, 4]]))
    check_source(open_dataset(Table()), np.eye(3))
    check_source(open_dataset(np.array([[1, 2.5]], dtype=object)), np.array([[1, 2.5]]))


@pytest.mark.parametrize("make", [list, np.array, pd.Series])
def test_weights(make):
    check_source(open_weights(make([1.0, 2.0, 3.0])), np.array([[1.0], [2], [3]]))
