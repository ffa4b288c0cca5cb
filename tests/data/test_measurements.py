"""Which columns are measurements, whatever they are stored in."""

import warnings

import pytest

from dgmm import DataWarning
from dgmm.data import DataError
from dgmm.data.measurements import warn_of_columns


def told(features, left_out=()):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_columns(features, list(left_out), "the table")
    assert all(each.category is DataWarning for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("name", ["id", "star_id", "userID", "uuid", "obs_date", "Unnamed: 0", "healpix29"])
@pytest.mark.parametrize("counts", [True, False])
def test_what_identifies_rows_is_told_of_whatever_its_values_are(name, counts):
    (message,) = told({"mass": False, name: counts})
    assert message.startswith(f"the table: column {name!r} looks by its name like an identifier")
    assert message.endswith("leave it out with columns=['mass']")
    with pytest.raises(DataError, match="no column of measurements"):
        warn_of_columns({name: counts}, [], "the table")


@pytest.mark.parametrize("name", ["label", "Class", "target"])
def test_targets_count(name):
    assert told({"mass": False, name: False}) == []
    assert "a target" in told({"mass": False, name: True})[0]
    assert told({name: True}) == []  # what else would be meant


@pytest.mark.parametrize("name", ["valid", "grid", "width", "update", 3, ("a", "id")])
def test_other_names_are_of_measurements(name):
    assert told({"mass": False, name: True}) == []


def test_vectors_identify_nothing():
    assert told({"id": None}) == []
    assert told({"id": None, "date": None, "mass": False}) == []


def test_what_was_left_out_is_listed():
    (message,) = told({"mass": False}, ["'name' (string)", "'day' (date32)"])
    assert message == (
        "the table: column 'name' (string), 'day' (date32) were left out; "
        "say which columns to take with columns=['mass']"
    )
