"""Which values are numbers, and of which floats."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.data import DataError, DataWarning
from dgmm.data.floats import rows_dtype, warn_of_rounding
from dgmm.data.memory import MemorySource


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_single_precision_stays(dtype):
    assert rows_dtype(np.dtype(dtype), "x") == np.dtype(np.float32)
    assert rows_dtype(np.dtype(dtype), "x").isnative


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f2", "i1", "u8", ">i4", "?"])
def test_other_numbers_become_double(dtype):
    assert rows_dtype(np.dtype(dtype), "x") == np.dtype(np.float64)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("c16", "Complex data not supported: rows.zarr holds complex numbers"),
        ("M8[ns]", "rows.zarr holds dates"),
        ("m8[s]", "rows.zarr holds time differences"),
        ("U3", "rows.zarr holds text"),
        ("S3", "rows.zarr holds text"),
        ("O", "rows.zarr holds objects"),
        ([("a", "f8")], "rows.zarr holds records"),
    ],
)
def test_what_is_no_number_is_refused(dtype, words):
    with pytest.raises(DataError, match=words):
        rows_dtype(np.dtype(dtype), "rows.zarr")


def test_whole_numbers_that_floats_round_are_named():
    """2⁵³ is a float64, and 2⁵³ + 1 is none."""
    values = np.array([[0, -(2**53), 2**53 + 2], [0, 2**53, 5]])
    source = MemorySource(values, ("a", "b", "c"), whole=(True, True, True))
    with pytest.warns(
        DataWarning, match=r"column 'c' holds whole numbers beyond 2\^53.*columns=\['a', 'b'\]"
    ):
        warn_of_rounding(source, values.min(axis=0).astype(float), values.max(axis=0).astype(float))
    warn_of_rounding(source, np.zeros(2), np.array([1.0, 2.0**53]))  # of the first columns alone
    rounded = replace(source, whole=(False, False, False))
    warn_of_rounding(rounded, np.zeros(3), np.full(3, 1e300))
