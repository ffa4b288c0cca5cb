"""`dgmm.data.choice`."""

import pytest

from dgmm.data import DataError
from dgmm.data.choice import Choice, check_columns, check_no_two


@pytest.mark.parametrize(
    ("columns", "message"), [((), "columns= is empty"), (("a", "b", "a"), "columns= .*'a'")]
)
def test_what_cannot_be_meant(columns, message):
    with pytest.raises(DataError, match=message):
        Choice(columns)


def test_all_or_some():
    assert Choice() == Choice(None, None)
    assert Choice(("b", "a")).columns == ("b", "a")


def test_columns_that_are_not_there_are_named():
    check_columns(["b"], ["a", "b"], "table")
    with pytest.raises(DataError, match="table has no column 'c', 4; it has 'a', 'b'"):
        check_columns(["c", "b", 4], ["a", "b"], "table")


def test_two_columns_of_one_name():
    check_no_two(["a", "a", "b"], ["b"], "table")  # what is not wanted may be there twice
    check_no_two([], ["b"], "table")
    with pytest.raises(DataError, match="table has several columns 'a'"):
        check_no_two(["a", "b", "a"], ["b", "a"], "table")
