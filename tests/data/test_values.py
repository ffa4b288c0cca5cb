"""Values of columns against a loop over what Python has for each."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from dgmm.data import DataError
from dgmm.data.tables import Picked
from dgmm.data.values import fill, width_of

COLUMNS = {
    "floats": pa.array([1.5, None, float("inf"), -0.0]),
    "integers": pa.array([3, -4, None, 2**53], pa.int64()),
    "decimals": pa.array([Decimal("0.25"), None, Decimal("-7.5"), Decimal(0)]),
    "booleans": pa.array([True, False, None, True]),
    "runs": pa.RunEndEncodedArray.from_arrays([1, 4], [2.5, None]),
    "in pieces": pa.chunked_array([[1, 2], [], [None, 4]]),
}
LISTS = pa.array([[1, 2, 3], None, [4, None, 6], [7, 8, 9]])


def as_float(value):
    return np.nan if value is None else float(value)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_numbers_of_any_type_and_elements_of_lists(dtype):
    picked = [*map(Picked, COLUMNS), Picked("lists", range(1, 3), 3), Picked("lists", [2, 0], 3)]
    rows = np.empty((4, len(COLUMNS) + 4), dtype)
    fill(rows, [*COLUMNS.values(), LISTS, LISTS], picked, "here")
    for number in range(4):
        elements = LISTS[number].as_py() or [None] * 3
        expected = [as_float(values[number].as_py()) for values in COLUMNS.values()]
        expected += [as_float(elements[i]) for i in (1, 2, 2, 0)]
        np.testing.assert_array_equal(rows[number], np.array(expected, dtype))


def test_lists_of_another_length_are_named_by_their_row():
    with pytest.raises(DataError, match=r"there: column 'v' has 1 numbers in row 12, where 2 are expected"):
        fill(np.empty((3, 2)), [pa.array([[1, 2], None, [3]])], [Picked("v", range(2), 2)], "there", 10)


def test_the_one_length_of_lists():
    assert width_of(LISTS) == 3
    assert width_of(pa.array([[1, 2], [3]])) is None
    assert width_of(pa.array([None], pa.list_(pa.int64()))) == 0
    assert width_of(pa.array([[], None], pa.list_(pa.int64()))) == 0
