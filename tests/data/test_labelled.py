"""Datasets and DataArrays of xarray."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.data import DataError, DataWarning, open_dataset, open_weights
from tests.data.contract import check_source

CHUNKS = pytest.mark.parametrize("chunks", [None, {"y": 3}, {"y": 3, "x": 4}, {"x": 2}, {"y": -1}], ids=str)


def ocean(chunks=None, dtype="f8"):
    """Two variables over a map, in two groups that are far apart; with coordinates of all kinds."""
    draw = np.random.default_rng(0)
    warm = draw.uniform(size=(10, 6)) < 0.4
    data = xr.Dataset(
        {
            "TEMP": (("y", "x"), draw.normal(np.where(warm, 20.0, 4.0), 1.0).astype(dtype)),
            "PSAL": (("y", "x"), draw.normal(np.where(warm, 36.0, 34.0), 0.1).astype(dtype)),
        },
        coords={
            "y": np.linspace(-60.0, 60.0, 10),
            "lon": ("x", np.arange(6) * 30.0),
            "depth": (("y", "x"), np.full((10, 6), 5.0)),
            "cruise": "A16",
        },
        attrs={"title": "made up"},
    )
    data["TEMP"].attrs["units"] = "degree_C"
    return (data if chunks is None else data.chunk(chunks)), warm


def table(data, names=("TEMP", "PSAL")):
    return np.column_stack([data[name].to_numpy().ravel() for name in names])


@CHUNKS
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_data_variables_over_shared_dimensions_are_features(chunks, dtype):
    data, _ = ocean(chunks, dtype)
    check_source(open_dataset(data), table(data), ("TEMP", "PSAL"))
    check_source(
        open_dataset(data, columns=["PSAL"], sample_dims=["y", "x"]), table(data, ["PSAL"]), ("PSAL",)
    )
    turned = data.transpose("x", "y")["TEMP"].to_numpy().ravel()
    check_source(open_dataset(data, ["TEMP"], sample_dims=["x", "y"]), turned[:, None], ("TEMP",))


@CHUNKS
def test_other_dimensions_number_features(chunks):
    data, _ = ocean(chunks)
    names = tuple(f"TEMP[{i}]" for i in range(6))
    check_source(open_dataset(data, ["TEMP"], sample_dims=["y"]), data["TEMP"].to_numpy(), names)
    check_source(open_dataset(data["TEMP"], sample_dims=["x"]), data["TEMP"].to_numpy().T)


@CHUNKS
@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_results_have_the_coordinates_of_the_rows(chunks, kind):
    data, warm = ocean(chunks)
    plain = kind(n_components=2, random_state=0).fit(table(data))
    model = kind(n_components=2, random_state=0).fit(data)
    np.testing.assert_allclose(model.means_, plain.means_, rtol=1e-8)
    assert [*model.feature_names_in_] == ["TEMP", "PSAL"]
    assert model.score(data) == pytest.approx(plain.score(table(data)), rel=1e-9)
    labels, shares, scores = model.predict(data), model.predict_proba(data), model.score_samples(data)
    for result in (labels, shares, scores):
        assert (result.chunks is None) == (chunks is None)
        xr.testing.assert_identical(result.coords.to_dataset(), data.coords.to_dataset().drop_attrs())
    assert (labels.name, shares.name, scores.name) == ("label", "probability", "log_density")
    assert labels.dims == scores.dims == ("y", "x")
    assert shares.dims == ("y", "x", "component")
    is_warm = labels.to_numpy() == np.argmax(model.means_[:, 0])
    np.testing.assert_array_equal(is_warm, warm)
    np.testing.assert_allclose(shares.sum("component"), np.ones((10, 6)), rtol=1e-12)
    np.testing.assert_allclose(
        scores.to_numpy().ravel(), model.score_samples(data.to_dataframe()[["TEMP", "PSAL"]])
    )


@CHUNKS
def test_a_source_gives_labelled_results_too(chunks):
    data, warm = ocean(chunks)
    source = open_dataset(data, ["PSAL", "TEMP"], sample_dims=["x", "y"])
    model = GaussianMixture(2, random_state=0).fit(source)
    labels = model.predict(source)
    assert isinstance(labels, xr.DataArray)
    assert labels.dims == ("x", "y")
    np.testing.assert_array_equal(labels.transpose("y", "x") == np.argmax(model.means_[:, 1]), warm)
    xr.testing.assert_identical(labels.coords.to_dataset()["lon"], data.coords.to_dataset()["lon"])


@CHUNKS
def test_coordinates_of_features_are_none_of_the_results(chunks):
    data, _ = ocean(chunks)
    source = open_dataset(data, sample_dims=["y"])
    assert source.n_features == 12
    labels = GaussianMixture(1, covariance_type="diag").fit(source).predict(source)
    assert isinstance(labels, xr.DataArray)
    assert labels.dims == ("y",)
    assert {*labels.coords} == {"y", "cruise"}


def test_variables_are_found_by_name():
    data, _ = ocean()
    model = GaussianMixture(2, random_state=0).fit(data)
    other = xr.Dataset({"PSAL": data["PSAL"], "cycle": ("y", np.arange(10)), "TEMP": data["TEMP"]})
    xr.testing.assert_equal(model.predict(other), model.predict(data))
    with pytest.raises(ValueError, match=r"different dimensions: 'PSAL' \(y, x\), 'cycle' \(y\)"):
        open_dataset(other)
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing:\n- TEMP"):
        model.predict(other.rename(TEMP="temperature").drop_vars("cycle"))
    with pytest.raises(DataError, match="no column 'z'"):
        open_dataset(data, columns=["z"])


class TestArrays:
    @CHUNKS
    def test_the_last_dimension_numbers_features(self, chunks):
        data, _ = ocean(chunks)
        image = data.to_array("band").transpose("y", "x", "band").drop_vars("band")
        check_source(open_dataset(image), table(data))
        model = GaussianMixture(2, random_state=0).fit(image)
        labels = model.predict(image)
        assert labels.dims == ("y", "x")
        np.testing.assert_array_equal(labels.to_numpy().ravel(), model.predict(table(data)))
        rows = image.stack(row=("y", "x")).transpose("row", "band")
        assert [*model.predict(rows).indexes["row"].names] == ["y", "x"]
        np.testing.assert_array_equal(model.predict(rows).unstack("row").transpose("y", "x"), labels)

    @CHUNKS
    def test_names_along_the_last_dimension(self, chunks):
        data, _ = ocean(chunks)
        image = data.to_array("band").transpose("y", "x", "band")
        check_source(open_dataset(image), table(data), ("TEMP", "PSAL"))
        check_source(open_dataset(image, columns=["PSAL"]), table(data, ["PSAL"]), ("PSAL",))
        model = GaussianMixture(2, random_state=0).fit(image)
        xr.testing.assert_equal(model.predict(image.isel(band=[1, 0])), model.predict(image))
        with pytest.raises(DataError, match="no column 'z'; it has 'TEMP', 'PSAL'"):
            open_dataset(image, columns=["z"])

    @pytest.mark.parametrize(
        "values", [np.arange(4.0), da.from_array(np.arange(4.0)).rechunk(2)], ids=["numpy", "dask"]
    )
    def test_weights(self, values):
        check_source(open_weights(xr.DataArray(values)), np.arange(4.0)[:, None])
        with pytest.raises(DataError, match="Expected 1D array"):
            open_weights(xr.DataArray(np.ones((2, 2))))
        with pytest.raises(DataError, match="Expected 2D array"):
            open_dataset(xr.DataArray(values))
        with pytest.raises(DataError, match="give one of them"):
            open_weights(xr.Dataset({"w": ("x", values)}))

    def test_columns_without_names(self):
        with pytest.raises(DataError, match="no names for its features"):
            open_dataset(xr.DataArray(np.eye(3)), columns=["a"])


def test_what_is_no_number_is_left_out_with_a_warning_or_refused():
    data, _ = ocean()
    days = np.datetime64("2020-01-01", "ns") + np.arange(60) * np.timedelta64(1, "D")
    data["JULD"] = (("y", "x"), days.reshape(10, 6))
    data["ship"] = (("y", "x"), np.full((10, 6), "a"))
    with pytest.warns(DataWarning, match=r"'JULD' \(dtype datetime64.*\), 'ship' \(dtype .*\) were left out"):
        assert open_dataset(data).feature_names == ("TEMP", "PSAL")
    for name in ("JULD", "ship"):
        with pytest.raises(DataError, match=f"variable '{name}' holds (dates|text)"):
            open_dataset(data, columns=[name, "TEMP"])
    with pytest.raises(DataError, match="no data variables of numbers"):
        open_dataset(data[["ship"]])


@pytest.mark.parametrize("attribute", [{"scale_factor": 0.1}, {"_FillValue": -99}, {"missing_value": [1, 2]}])
def test_what_is_not_decoded_is_refused(attribute):
    data, _ = ocean()
    data["TEMP"] = data["TEMP"].astype("i2").assign_attrs(attribute)
    for given in (data, data["TEMP"]):
        with pytest.raises(DataError, match=rf"variable 'TEMP' is not decoded.*{next(iter(attribute))}"):
            open_dataset(given)


def test_missing_values_are_named():
    data, _ = ocean()
    data["PSAL"][3, 2] = np.nan
    for given in (data, data.chunk({"y": 2})):
        with pytest.raises(ValueError, match=r"NaN.\n.*row 20, column 'PSAL' \(1\), of xarray Dataset"):
            GaussianMixture(1).fit(given)


def test_one_dataset_of_a_tree():
    tree = xr.DataTree.from_dict({"/a": ocean()[0]})
    with pytest.raises(DataError, match="give one of them"):
        open_dataset(tree)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_opened_by_xarray_gives_what_the_store_does(tmp_path, zarr_format):
    data, _ = ocean()
    path = tmp_path / "ocean.zarr"
    coding = {"dtype": "i2", "scale_factor": 0.001, "add_offset": 20.0, "_FillValue": -32768}
    encoding = {name: {**coding, "chunks": (4, 6)} for name in ("TEMP", "PSAL")}
    data.drop_vars("cruise").to_zarr(path, zarr_format=zarr_format, consolidated=False, encoding=encoding)
    model = GaussianMixture(2, random_state=0).fit(path)
    stored = model.predict(path).compute()
    for chunks in (None, {}):
        opened = xr.open_zarr(path, consolidated=False, chunks=chunks)
        labels = model.predict(opened)  # lazy, as nothing has been read
        assert labels.chunks is not None
        np.testing.assert_array_equal(labels.to_numpy().ravel(), stored)
        names = ("PSAL", "TEMP")
        check_source(open_dataset(opened, names), table(opened, names), names)
