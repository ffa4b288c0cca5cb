"""Zarr arrays that follow the CF conventions, as xarray writes and reads them."""

import json
import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from xarray.backends.zarr import FillValueCoder

from dgmm import GaussianMixture
from dgmm.data import DataError, open_dataset
from dgmm.data.conventions import coding_of
from tests.data.contract import check_memory, check_reads_elsewhere, check_source, read

FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


def write(path, data, zarr_format, encoding=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of format 3 without a specification
        data.to_zarr(path, zarr_format=zarr_format, encoding=encoding or {}, consolidated=False, mode="w")
    return str(path)


def as_xarray_reads(path, name="x"):
    """Return the values that xarray decodes, in the dtype of rows: float32 where they are, else float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = xr.open_zarr(path, consolidated=False, chunks=None)[name].to_numpy()
    return values if values.dtype == np.float32 else values.astype(np.float64)


def packed(values, fill=-32767):
    """Two variables along ``obs``, and how to pack temperature into 16 bits; humidity stays as it is."""
    data = xr.Dataset({"t2m": ("obs", values[:, 0]), "rh": ("obs", values[:, 1])})
    return data, {"t2m": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": fill}}


def weather(n_rows=300):
    return np.random.default_rng(0).normal([281.0, 60.0], [4.0, 9.0], (n_rows, 2))


@FORMATS
def test_packed_values_are_decoded(tmp_path, zarr_format):
    values = weather()
    data, coding = packed(values)
    path = write(tmp_path / "obs.zarr", data, zarr_format, coding)
    model = GaussianMixture(1).fit(path)
    found = dict(zip(model.feature_names_in_, model.means_[0], strict=True))
    assert found["t2m"] == pytest.approx(values[:, 0].mean(), abs=0.01)
    assert found["rh"] == pytest.approx(values[:, 1].mean(), abs=1e-9)
    for given_as in (zarr.open_array(f"{path}/t2m", mode="r"), f"{path}/t2m"):
        with pytest.raises(DataError, match="Expected 2D array, got 1D"):
            open_dataset(given_as)


@FORMATS
def test_the_fill_value_is_missing(tmp_path, zarr_format):
    values = weather()
    values[117, 0] = np.nan  # xarray stores it as -32767
    data, coding = packed(values)
    path = write(tmp_path / "obs.zarr", data, zarr_format, coding)
    with pytest.raises(ValueError, match=r"NaN.\n.*row 117, column 't2m'.*attributes say is missing"):
        GaussianMixture(1).fit(path)


DTYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "f2", "f4", "f8", ">i2", ">f4"]
NUMBERS = st.integers(-100, 100)
CODINGS = st.fixed_dictionaries(
    {},
    optional={
        "scale_factor": st.sampled_from([0.01, 0.5, 3.0, -2.0]),
        "add_offset": st.sampled_from([280.0, -0.1, 7.0]),
        "_Unsigned": st.sampled_from(["true", "false"]),
        "missing_value": NUMBERS | st.lists(NUMBERS, max_size=3),
    },
)


@settings(max_examples=150, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    zarr_format=st.sampled_from([2, 3]),
    attributes=CODINGS,
    fill=st.none() | NUMBERS | st.just(np.nan),
    data=st.lists(st.integers(-100, 100), min_size=1, max_size=20),
)
def test_values_are_those_of_xarray(tmp_path_factory, *, dtype, zarr_format, attributes, fill, data):
    path = str(tmp_path_factory.mktemp("x"))
    stored = np.array(data).astype(dtype)
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    kind, missing = np.dtype(dtype), attributes.get("missing_value")
    if "_Unsigned" in attributes or kind.kind == "u":
        # xarray wraps `_FillValue` alone, and takes one only that the dtype holds.
        fill = None if fill is None else abs(fill)
        attributes = (
            attributes if missing is None else {**attributes, "missing_value": np.abs(missing).tolist()}
        )
    if kind.kind != "f" and fill is not None and np.isnan(fill):
        fill = None  # there is no such number in these
    layout: dict[str, Any] = {"dimension_names": ["row"]} if zarr_format == 3 else {"fill_value": fill}
    array = group.create_array("x", shape=stored.shape, chunks=(7,), dtype=dtype, **layout)
    array[:] = stored
    if zarr_format == 2:
        attributes = {**attributes, "_ARRAY_DIMENSIONS": ["row"]}
    elif fill is not None:
        attributes = {**attributes, "_FillValue": FillValueCoder.encode(kind.type(fill), kind)}
    array.attrs.update(attributes)
    expected = as_xarray_reads(path)
    source = open_dataset(path, columns=["x"], fill_missing=True)
    assert source.dtype == expected.dtype
    np.testing.assert_array_equal(read(source.rows(0, len(data)))[:, 0], expected)


@FORMATS
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "?"])
def test_what_xarray_writes_comes_back(tmp_path, zarr_format, dtype):
    values = np.array([0, 1, 1, 0, 1]).astype(dtype)
    path = write(tmp_path / "x.zarr", xr.Dataset({"x": ("row", values)}), zarr_format)
    expected = as_xarray_reads(path)
    check_source(open_dataset(path), expected[:, None], ("x",))
    np.testing.assert_array_equal(expected, values)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value"])
@FORMATS
def test_missing_values_of_one_array(tmp_path, zarr_format, attribute, dtype):
    # A table of numbers in which -9999 is declared as missing, by plain JSON.
    table = np.random.default_rng(3).normal(0.0, 9.0, (150, 3)).astype(dtype)
    table[42, 1] = -9999
    path = str(tmp_path / "table.zarr")
    store = zarr.create_array(path, shape=table.shape, chunks=(50, 3), dtype=dtype, zarr_format=zarr_format)
    store[:] = table
    store.attrs[attribute] = [-9999.0] if attribute == "missing_value" else -9999.0
    for given_as in (path, zarr.open_array(path, mode="r")):
        with pytest.raises(ValueError, match="row 42, column 1"):
            GaussianMixture(2, random_state=0).fit(given_as)


@pytest.mark.parametrize(
    ("attributes", "bad_row"),
    [
        ({"valid_range": [-50, 50]}, 7),
        ({"valid_min": -50}, 3),
        ({"valid_max": 50}, 7),
        ({"valid_max": 50.5, "scale_factor": 1.0}, 7),  # of values: it is a floating-point number
        ({"valid_range": [-50, 50], "scale_factor": 0.001}, 7),  # of stored numbers
        ({"valid_range": [0, -6], "_Unsigned": "true"}, 3),  # 250, as a signed byte; row 3 is 253 then
    ],
    ids=str,
)
def test_what_is_out_of_the_valid_range_is_missing(attributes, bad_row):
    stored = np.arange(10, dtype="i1")
    stored[7], stored[3] = 99, -3
    if "valid_min" in attributes:
        stored[3] = -99
    values = coding_of(attributes, stored.dtype, "x").decode(stored)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [bad_row])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scale_factor": "a tenth"}, "x has an attribute scale_factor = 'a tenth', which is no number"),
        ({"scale_factor": [1.0, 2.0]}, "scale_factor = .* one finite number"),
        ({"add_offset": np.inf}, "add_offset = inf"),
        ({"missing_value": {"is": 3}}, "missing_value = "),
        ({"_FillValue": "none"}, "_FillValue = 'none'"),
        ({"valid_range": [1]}, "valid_range = .* 2 numbers"),
        ({"valid_min": [1, 2]}, "valid_min = .* 1 number"),
        ({"units": "days since 1950-01-01"}, "x holds times or dates .units 'days since 1950-01-01'"),
        ({"units": "hours since 2000-1-1 00:00", "scale_factor": 0.1}, "times or dates"),
        ({"dtype": "timedelta64[ns]", "units": "days"}, "times or dates"),
    ],
    ids=str,
)
def test_what_cannot_be_decoded_is_refused(attributes, message):
    with pytest.raises(DataError, match=message):
        coding_of(attributes, np.dtype("i2"), "x")


def test_whether_numbers_are_marked_as_missing():
    for attributes in ({"scale_factor": 2.0, "_Unsigned": "true"}, {"_FillValue": np.nan}, {"dtype": "bool"}):
        assert not coding_of(attributes, np.dtype("i2"), "x").marks_missing
    for attributes in ({"scale_factor": 2.0, "missing_value": 3}, {"valid_min": 0}):
        assert coding_of(attributes, np.dtype("i2"), "x").marks_missing


def test_lengths_of_time_are_features():
    assert not coding_of({"units": "days", "long_name": "age"}, np.dtype("f4"), "x").changes


@pytest.mark.parametrize("text", ["-9999", "-9999.0", " -9999 "])
def test_numbers_as_text_are_numbers(text):
    values = coding_of({"missing_value": text}, np.dtype("i4"), "x").decode(np.array([1, -9999], "i4"))
    np.testing.assert_array_equal(values, [1.0, np.nan])


def test_a_fraction_is_missing_as_the_array_holds_it():
    stored = np.array([1.0, -999.9], "f4")  # -999.9 is no number of 32 bits
    values = coding_of({"missing_value": -999.9}, stored.dtype, "x").decode(stored)
    np.testing.assert_array_equal(np.isnan(values), [False, True])


@FORMATS
def test_times_among_columns(tmp_path, zarr_format):
    days = np.datetime64("2020-01-01", "ns") + np.arange(20) * np.timedelta64(1, "D")
    data = xr.Dataset({"seen": ("star", days), "mag": ("star", np.arange(20.0))})
    path = write(tmp_path / "x.zarr", data, zarr_format)
    with pytest.raises(DataError, match=r"column 'seen' holds times or dates .units 'days since"):
        open_dataset(path, columns=["mag", "seen"])
    with pytest.warns(UserWarning, match=r"column 'seen' \(times: units 'days since .*'\) was left out"):
        source = open_dataset(path)
    assert source.feature_names == ("mag",)


@FORMATS
@pytest.mark.parametrize("key", ["flag_values", "flag_masks", "flag_meanings"])
def test_flags_are_labels(tmp_path, zarr_format, key):
    values = weather(20)
    quality = np.arange(20, dtype="i1") % 2 + 1
    told = "good bad" if key == "flag_meanings" else np.array([1, 2], "i1")
    data = xr.Dataset(
        {"t2m": ("obs", values[:, 0]), "rh": ("obs", values[:, 1]), "quality": ("obs", quality, {key: told})}
    )
    path = write(tmp_path / "x.zarr", data, zarr_format)
    for given_as in (path, data):
        with pytest.warns(UserWarning, match=rf"column 'quality' \(flags, by its {key}\) was left out"):
            source = open_dataset(given_as)
        assert sorted(source.feature_names or ()) == ["rh", "t2m"]
        named = open_dataset(given_as, columns=["quality", "rh"])
        check_source(named, np.column_stack([quality, values[:, 1]]), ("quality", "rh"))


@FORMATS
def test_names_that_are_of_no_measurement(tmp_path, zarr_format):
    values = weather(20)
    data = xr.Dataset({"t2m": ("obs", values[:, 0]), "station_id": ("obs", np.arange(20) + 1)})
    path = write(tmp_path / "x.zarr", data, zarr_format)
    for given_as in (path, data):
        with pytest.warns(
            UserWarning, match=r"'station_id' looks by its name like an identifier.*columns=\['t2m'\]"
        ):
            assert open_dataset(given_as).n_features == 2
        check_source(open_dataset(given_as, columns=["t2m"]), values[:, :1], ("t2m",))
    for given_as in (write(tmp_path / "y.zarr", data[["station_id"]], zarr_format), data[["station_id"]]):
        with pytest.raises(DataError, match="no column of measurements: 'station_id'"):
            open_dataset(given_as)


def test_the_fill_value_of_a_plain_array_is_a_value(tmp_path):
    # Format 2 always has one, 0 by default: of arrays that are not xarray's it says nothing of the numbers.
    table = np.random.default_rng(4).integers(0, 2, (30, 2)).astype("i2")
    store = zarr.create_array(str(tmp_path / "x.zarr"), shape=table.shape, dtype="i2", zarr_format=2)
    store[:] = table
    check_source(open_dataset(str(tmp_path / "x.zarr"), fill_missing=True), table.astype(np.float64))


@FORMATS
def test_decoding_keeps_within_the_bytes_promised(tmp_path, zarr_format, elsewhere):
    stored = np.arange(200_000).reshape(-1, 1) % np.array([1000, 700, 300])
    data = xr.Dataset({name: ("row", stored[:, i] * 0.1) for i, name in enumerate("abc")})
    coding = {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -1}
    path = write(tmp_path / "x.zarr", data, zarr_format, dict.fromkeys("abc", coding))
    source = open_dataset(path)
    check_memory(source.spans()[0].chunks[0])
    check_memory(source.rows(77, 150_001))
    check_reads_elsewhere(source.rows(3, 1700), elsewhere)


# From 3.4 on Zarr itself warns, and reads chunks that are not there: then these are refused.
@pytest.mark.filterwarnings("ignore:Array .* The stored chunk shape")
def test_attributes_of_damaged_metadata(tmp_path):
    zarr.create_array(str(tmp_path / "x.zarr"), shape=(4, 2), chunks=(2, 2), dtype="f8")[:] = 1.0
    file = tmp_path / "x.zarr" / "zarr.json"
    header = json.loads(file.read_text())
    header["chunk_grid"]["configuration"]["chunk_shape"] = [0, 2]
    file.write_text(json.dumps(header))
    with pytest.raises(DataError, match=r"damaged|lacks chunk"):
        open_dataset(str(tmp_path / "x.zarr"))
