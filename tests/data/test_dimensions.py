import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgmm.data import DataError
from dgmm.data.dimensions import (
    check_sample_dims,
    check_sizes,
    choose_sample_dims,
    feature_names,
    parts,
    variables_named,
)


@given(
    shape=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_parts_are_the_rows_in_their_order(shape, ends):
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    start, stop = sorted(round(end * numbers.size) for end in ends)
    found = [numbers[part].ravel() for part in parts(tuple(shape), start, stop)]
    np.testing.assert_array_equal(np.concatenate(found), np.arange(start, stop))
    assert len(found) <= 2 * len(shape) - 1  # few reads


PROFILES = {"TEMP": ("N_PROF", "DEPTH"), "PSAL": ("N_PROF", "DEPTH"), "CYCLE": ("N_PROF",)}


def test_chosen_dimensions():
    temp = {name: PROFILES[name] for name in ("TEMP", "PSAL")}
    assert choose_sample_dims({"a": ("x",), "b": ("x",)}, None, "it") == ("x",)
    assert choose_sample_dims(temp, None, "it") == ("N_PROF", "DEPTH")
    assert choose_sample_dims(temp, ["DEPTH", "N_PROF"], "it") == ("DEPTH", "N_PROF")
    assert choose_sample_dims(PROFILES, ["N_PROF"], "it") == ("N_PROF",)


@pytest.mark.parametrize(
    ("dimensions", "wanted", "message"),
    [
        (
            PROFILES,
            None,
            r"it has variables of different dimensions: 'TEMP' \(N_PROF, DEPTH\).*'CYCLE' \(N_PROF\)",
        ),
        (PROFILES, None, r"columns=, or say with sample_dims="),
        (PROFILES, ["DEPTH"], r"'CYCLE' has the dimensions \(N_PROF\), but not 'DEPTH' of sample_dims="),
        ({"TEMP": ("N_PROF", "DEPTH")}, None, r"sample_dims=\['N_PROF', 'DEPTH'\] makes one feature"),
        ({str(i): (f"d{i}",) for i in range(9)}, None, "and 3 more"),
    ],
)
def test_what_is_not_clear_is_asked(dimensions, wanted, message):
    with pytest.raises(DataError, match=message):
        choose_sample_dims(dimensions, wanted, "it")


def test_sample_dims_are_different_names():
    check_sample_dims(["x", "y"])
    with pytest.raises(TypeError, match=r"give \['x'\]"):
        check_sample_dims("x")
    for wrong in ([], ["x", "x"]):
        with pytest.raises(DataError, match="each once"):
            check_sample_dims(wrong)


def test_rows_of_different_numbers():
    check_sizes({"a": (3, 2), "b": (3, 2)}, "it")
    with pytest.raises(DataError, match="'b' has 3 × 4 rows, but 'a' has 3 × 2"):
        check_sizes({"a": (3, 2), "b": (3, 4)}, "it")


def test_names_of_features_lead_to_their_variables():
    assert feature_names("TEMP", ()) == ("TEMP",)
    assert feature_names("TEMP", (2, 2)) == ("TEMP[0,0]", "TEMP[0,1]", "TEMP[1,0]", "TEMP[1,1]")
    names = [*feature_names("TEMP", (3,)), "PSAL", "odd[0]"]
    assert variables_named(names, {"PSAL", "TEMP", "odd[0]"}) == ["TEMP", "PSAL", "odd[0]"]
    assert variables_named([*names, "other"], {"PSAL", "TEMP", "odd[0]"}) is None
