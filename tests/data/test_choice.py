"""`dgmm.data.choice`."""

import pytest

from dgmm.data import DataError
from dgmm.data.choice import Choice


@pytest.mark.parametrize(
    ("columns", "message"), [((), "columns= is empty"), (("a", "b", "a"), "columns= .*'a'")]
)
def test_what_cannot_be_meant(columns, message):
    with pytest.raises(DataError, match=message):
        Choice(columns)


def test_all_or_some():
    assert Choice() == Choice(None, None)
    assert Choice(("b", "a")).columns == ("b", "a")
