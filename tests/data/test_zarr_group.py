"""Which arrays of a Zarr group are features, and that their metadata is their own."""

import warnings

import numpy as np
import pytest
import xarray as xr
import zarr

from dgmm import GaussianMixture
from dgmm.data import DataError, open_dataset, open_weights
from tests.data.contract import check_source


@pytest.fixture
def group(tmp_path):
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    group.create_array("b", data=np.arange(1.0, 10), chunks=(4,))
    group.create_array("a", data=np.arange(1, 10, dtype="i2"), chunks=(3,))
    group.create_group("more")
    return group


def write(path, data, zarr_format):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of format 3 without a specification
        data.to_zarr(path, zarr_format=zarr_format, consolidated=False)
    return str(path)


def test_all_columns_of_numbers_by_name(group, tmp_path):
    values = np.arange(1.0, 10)
    check_source(open_dataset(tmp_path / "g.zarr"), np.column_stack([values, values]), ("a", "b"))


def test_chosen_columns(group):
    check_source(open_dataset(group, columns=["b"]), np.arange(1.0, 10)[:, None], ("b",))


def test_without_columns(tmp_path):
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(DataError, match="group without arrays that can be features"):
        open_dataset(tmp_path / "empty.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_is_in_a_group_is_named(tmp_path, zarr_format):
    root = zarr.open_group(tmp_path / "tree.zarr", mode="w", zarr_format=zarr_format)
    for name in ("day", "night"):
        root.create_group(name).create_array("speed", data=np.arange(4.0))
    with pytest.raises(DataError, match=r"one of the arrays or groups in it \(day, night\)"):
        open_dataset(tmp_path / "tree.zarr")
    check_source(open_dataset(tmp_path / "tree.zarr" / "day"), np.arange(4.0)[:, None], ("speed",))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_index_and_listed_coordinates(tmp_path, zarr_format):
    draw = np.random.default_rng(2)
    hours = np.datetime64("2020-01-01", "ns") + np.arange(200) * np.timedelta64(1, "h")
    wind, gust = draw.normal(5, 2, 200), draw.normal(9, 3, 200)
    data = xr.Dataset(
        {"wind": ("time", wind), "gust": ("time", gust), "crs": 0},
        coords={"time": hours, "station": ("time", np.arange(200) % 7)},
    )
    data["wind"].attrs.update(grid_mapping="crs")
    path = write(tmp_path / "winds.zarr", data, zarr_format)
    check_source(open_dataset(path), np.column_stack([gust, wind]), ("gust", "wind"))


def test_bounds_are_no_features(tmp_path):
    data = xr.Dataset({"t": ("x", np.arange(5.0)), "x_bnds": (("x", "nv"), np.ones((5, 2)))})
    data["t"].attrs["bounds"] = "x_bnds"
    path = write(tmp_path / "x.zarr", data, 3)
    check_source(open_dataset(path), np.arange(5.0)[:, None], ("t",))


class TestStaleMetadata:
    """Groups that were written to after their metadata had been consolidated."""

    @pytest.fixture(params=[2, 3])
    def days(self, request, tmp_path):
        values = np.random.default_rng(0).normal(size=(2, 150))
        group = zarr.open_group(tmp_path / "days.zarr", mode="w", zarr_format=request.param)
        for name, column in zip(("height", "speed"), values, strict=True):
            array = group.create_array(name, shape=(100,), chunks=(50,), dtype="f8")
            array[:] = column[:100]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(group.store, zarr_format=request.param)
        old = zarr.open_consolidated(tmp_path / "days.zarr", zarr_format=request.param)
        group = zarr.open_group(tmp_path / "days.zarr", mode="r+", use_consolidated=False)
        for name, column in zip(("height", "speed"), values, strict=True):
            array = group[name]
            assert isinstance(array, zarr.Array)
            array.append(column[100:])
        return tmp_path / "days.zarr", old, group, values

    def test_rows_appended_after_consolidation_are_read(self, days):
        path, old, _, values = days
        for given_as in (path, str(path), f"file://{path}", old):
            check_source(open_dataset(given_as), values.T, ("height", "speed"))
        np.testing.assert_allclose(GaussianMixture(1).fit(path).means_[0], values.mean(axis=1))

    def test_an_array_that_was_opened_before(self, days):
        _, old, _, values = days
        check_source(open_weights(old["height"]), values[:1].T)

    def test_columns_that_came_and_went(self, days):
        path, _, group, values = days
        group.create_array("width", data=values[0])
        del group["speed"]
        check_source(open_dataset(path), values[[0, 0]].T, ("height", "width"))

    def test_attributes_changed_since(self, days):
        path, _, group, values = days
        group["height"].attrs["scale_factor"] = 2.0
        check_source(open_dataset(path, ["height"]), 2.0 * values[:1].T, ("height",))
