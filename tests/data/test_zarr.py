import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import ZstdCodec

from dgmm import GaussianMixture
from dgmm.data import DataError, open_dataset, open_weights
from dgmm.data import zarr as zarr_module
from dgmm.data.zarr import zarr_source
from tests.data.contract import check_memory, check_reads_elsewhere, check_source, chunk_starts, read


def count_up(n_rows: int, n_features: int, dtype="f8") -> np.ndarray:
    return (np.arange(n_rows * n_features).reshape(n_rows, n_features) % 1000 + 1).astype(dtype)


def store(path, values, **layout):
    array = zarr.create_array(path, shape=values.shape, dtype=values.dtype, overwrite=True, **layout)
    array[:] = values
    return array


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i2", "u8", "?"])
def test_dtypes_and_formats(tmp_path, zarr_format, dtype):
    values = count_up(11, 3, dtype)
    store(tmp_path / "x.zarr", values, chunks=(4, 2), zarr_format=zarr_format)
    expected = values.astype("f4" if dtype in {"f4", ">f4"} else "f8")
    check_source(open_dataset(tmp_path / "x.zarr"), expected)
    check_source(open_dataset(zarr.open_array(tmp_path / "x.zarr", mode="r")), expected)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 40), st.integers(1, 4)),
    chunks=st.tuples(st.integers(1, 15), st.integers(1, 4)),
    per_shard=st.none() | st.tuples(st.integers(1, 3), st.integers(1, 2)),
    bands=st.tuples(st.integers(1, 400), st.integers(1, 1000)),
)
def test_any_layout(shape, chunks, per_shard, bands):
    values = count_up(*shape)
    shards = None if per_shard is None else tuple(np.multiply(chunks, per_shard).tolist())
    array = store({}, values, chunks=chunks, shards=shards)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zarr_module, "BANDS", replace(zarr_module.BANDS, wanted_bytes=bands[0]))
        patch.setattr(zarr_module, "span_bytes_for", lambda total: bands[1])
        source = open_dataset(array)
        check_source(source, values)
        assert all(start % chunks[0] == 0 for start in chunk_starts(source))


class TestBands:
    def test_small_chunks_are_read_many_at_a_time(self):
        array = zarr.create_array({}, shape=(1_000_000, 10), chunks=(100, 10), dtype="f8")
        spans = zarr_source(array, fill_missing=True).spans()
        assert len(spans) == 5
        assert all(len(span.chunks) <= 3 for span in spans)

    def test_spans_begin_where_shards_do(self):
        array = zarr.create_array(
            {}, shape=(1_000_000, 10), chunks=(1000, 10), shards=(70_000, 10), dtype="f8"
        )
        source = zarr_source(array, fill_missing=True)
        assert [span.start for span in source.spans()] == list(range(0, 1_000_000, 140_000))
        assert all(start % 1000 == 0 for start in chunk_starts(source))

    def test_a_huge_shard_is_read_by_several_tasks(self):
        array = zarr.create_array({}, shape=(2**22, 16), chunks=(2**13, 16), shards=(2**22, 16), dtype="f8")
        source = zarr_source(array, fill_missing=True)
        assert len(source.spans()) == 32
        assert all(chunk.n_bytes < 50e6 for span in source.spans() for chunk in span.chunks)


@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": (20_000, 10)},
        {"chunks": (500, 10)},
        {"chunks": (20_000, 1)},
        {"chunks": (2_000, 10), "shards": (40_000, 10)},
        {"chunks": (1_000, 10), "compressors": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["f8", "i2"])  # read as they are, and turned into others
def test_reading_keeps_within_the_bytes_promised(tmp_path, generator, layout, dtype):
    values = (generator.random((80_000, 10)) * 1000).astype(dtype)
    store(tmp_path / "x.zarr", values, **layout)
    source = open_dataset(tmp_path / "x.zarr")
    check_memory(source.spans()[0].chunks[0])
    check_memory(source.rows(77, 60_001))


class TestGroups:
    @pytest.fixture
    def group(self, tmp_path):
        group = zarr.open_group(tmp_path / "g.zarr", mode="w")
        group.create_array("b", data=np.arange(1.0, 10), chunks=(4,))
        group.create_array("a", data=np.arange(1, 10, dtype="i2"), chunks=(3,))
        group.create_group("more")
        return group

    def test_columns_that_do_not_fit(self, group):
        with pytest.raises(DataError, match=r"no column 'z'; it has 'a', 'b'"):
            open_dataset(group, columns=["a", "z"])
        group.create_array("c", data=np.ones(5))
        with pytest.raises(DataError, match="column 'c' has 5 rows, but 'a' has 9"):
            open_dataset(group)

    @pytest.mark.parametrize("columns", [None, ["a", "square"]])
    def test_columns_of_other_dimensions_are_not_passed_over(self, group, columns):
        group.create_array("square", data=np.eye(2))
        with pytest.raises(
            DataError, match=r"different dimensions: 'a' \(dim_0\).*'square' \(dim_0, dim_1\)"
        ):
            open_dataset(group, columns)

    def test_a_column_is_named_where_it_lacks_a_chunk(self, group, tmp_path):
        (tmp_path / "g.zarr" / "a" / "c" / "1").unlink()
        with pytest.raises(DataError, match=r"g.zarr, column 'a' lacks chunk c/1;"):
            open_dataset(tmp_path / "g.zarr")

    @pytest.mark.filterwarnings("ignore:The data type")
    @pytest.mark.parametrize("zarr_format", [2, 3])
    def test_an_array_of_records(self, tmp_path, zarr_format):
        kind = np.dtype([("a", "f8"), ("b", "i4")])
        store = zarr.create_array(tmp_path / "r.zarr", shape=(4,), dtype=kind, zarr_format=zarr_format)
        store[:] = np.ones(4, kind)
        with pytest.raises(DataError, match=r"r\.zarr holds records \(dtype \[\('a'"):
            open_dataset(tmp_path / "r.zarr")


class TestDatasets:
    """Groups of variables over named dimensions, as xarray writes them."""

    @pytest.fixture(params=[2, 3])
    def profiles(self, request, tmp_path):
        """Write float profiles; give the path, and the data."""
        draw = np.random.default_rng(5)
        temperature = draw.normal(12.0, 3.0, (40, 6))
        data = xr.Dataset(
            {
                "TEMP": (("N_PROF", "N_LEVELS"), temperature),
                "PSAL": (("N_PROF", "N_LEVELS"), draw.normal(35.0, 1.0, (40, 6)).astype("f4")),
                "CYCLE_NUMBER": ("N_PROF", np.arange(40)),
                "PRES_OFFSET": ("N_PROF", draw.normal(0.0, 0.1, 40)),
            },
            coords={
                "LATITUDE": ("N_PROF", draw.uniform(-60, 60, 40)),
                "JULD": (
                    "N_PROF",
                    np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(1, "D"),
                ),
                "N_LEVELS": np.arange(6) * 10.0,
            },
        )
        return self.write(tmp_path / "argo.zarr", data, request.param, {"TEMP": {"chunks": (7, 4)}}), data

    @staticmethod
    def write(path, data, zarr_format, encoding=None, **how):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of format 3 without a specification
            data.to_zarr(path, zarr_format=zarr_format, consolidated=False, encoding=encoding or {}, **how)
        return str(path)

    def test_variables_of_several_dimensions_are_not_passed_over_in_silence(self, profiles):
        path, _ = profiles
        with pytest.raises(DataError, match=r"'TEMP' \(N_PROF, N_LEVELS\).*columns=.*sample_dims="):
            open_dataset(path)

    def test_shared_dimensions_are_stacked(self, profiles):
        path, data = profiles
        expected = np.column_stack([data[name].to_numpy().ravel() for name in ("PSAL", "TEMP")])
        for wanted in (None, ["N_PROF", "N_LEVELS"]):
            source = open_dataset(path, columns=["PSAL", "TEMP"], sample_dims=wanted)
            check_source(source, expected, ("PSAL", "TEMP"))
        model = GaussianMixture(1).fit(source)
        np.testing.assert_allclose(model.means_[0], expected.mean(axis=0), rtol=1e-6)
        assert [*model.feature_names_in_] == ["PSAL", "TEMP"]
        scores = GaussianMixture(1).fit(expected).score_samples(expected)
        for x in (source, path):  # the path by the names of its features
            np.testing.assert_allclose(np.asarray(model.score_samples(x)), scores, rtol=1e-6)

    def test_dimensions_in_another_order(self, profiles):
        path, data = profiles
        source = open_dataset(path, columns=["TEMP", "PSAL"], sample_dims=["N_LEVELS", "N_PROF"])
        expected = np.column_stack([data[name].to_numpy().T.ravel() for name in ("TEMP", "PSAL")])
        check_source(source, expected, ("TEMP", "PSAL"))

    def test_dimensions_that_number_features(self, profiles):
        path, data = profiles
        source = open_dataset(path, columns=["TEMP", "PRES_OFFSET"], sample_dims=["N_PROF"])
        names = (*(f"TEMP[{level}]" for level in range(6)), "PRES_OFFSET")
        expected = np.column_stack([data["TEMP"].to_numpy(), data["PRES_OFFSET"].to_numpy()])
        check_source(source, expected, names)
        model = GaussianMixture(1).fit(source)
        assert [*model.feature_names_in_] == [*names]
        assert model._open(path, sample_dims=["N_PROF"]).feature_names == names

    def test_coordinates_and_times_are_no_features(self, profiles):
        path, _ = profiles
        with pytest.raises(DataError, match="different dimensions") as caught:
            open_dataset(path)
        for name in ("LATITUDE", "JULD"):
            assert name not in str(caught.value)
        assert "'N_LEVELS'" not in str(caught.value)
        with pytest.raises(DataError, match="column 'JULD' holds times"):
            open_dataset(path, columns=["JULD", "PRES_OFFSET"])
        latitude = open_dataset(path, columns=["LATITUDE", "PRES_OFFSET"])  # as it was asked for
        assert latitude.feature_names == ("LATITUDE", "PRES_OFFSET")

    def test_one_variable_of_several_dimensions_may_be_meant_either_way(self, tmp_path):
        data = xr.Dataset({"x": (("row", "feature"), count_up(9, 4))})
        path = self.write(tmp_path / "x.zarr", data, 3)
        with pytest.raises(DataError, match=r"'x' \(row, feature\) could be one feature or many"):
            open_dataset(path)
        names = tuple(f"x[{i}]" for i in range(4))
        check_source(open_dataset(path, sample_dims=["row"]), count_up(9, 4), names)
        check_source(open_dataset(f"{path}/x"), count_up(9, 4))
        check_source(open_dataset(f"{path}/x", sample_dims=["feature"]), count_up(9, 4).T)

    def test_arrays_of_more_dimensions(self, tmp_path):
        values = np.arange(60.0).reshape(3, 4, 5)
        path = self.write(tmp_path / "x.zarr", xr.Dataset({"x": (("t", "y", "band"), values)}), 3)
        check_source(open_dataset(f"{path}/x", sample_dims=["t", "y"]), values.reshape(12, 5))
        check_source(
            open_dataset(zarr.open_array(f"{path}/x"), sample_dims=["y"]),
            values.transpose(1, 0, 2).reshape(4, 15),
        )
        with pytest.raises(DataError, match="not 'z' of sample_dims="):
            open_dataset(f"{path}/x", sample_dims=["z"])

    def test_sample_dims_of_what_has_no_dimensions(self):
        with pytest.raises(DataError, match="sample_dims= was given, but ndarray"):
            open_dataset(np.eye(3), sample_dims=["x"])

    @pytest.mark.parametrize("chunks", [(100, 50, 20), (1, 50, 20), (100, 25, 20)])
    def test_stacking_keeps_within_the_bytes_promised(self, tmp_path, chunks):
        values = np.random.default_rng(0).random((100, 50, 20))
        dims = ("time", "lat", "lon")
        data = xr.Dataset({"a": (dims, values), "b": (dims, values.astype("f4"))})
        encoding = {name: {"chunks": chunks} for name in "ab"}
        path = self.write(tmp_path / "x.zarr", data, 3, encoding)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(zarr_module, "BANDS", zarr_module.BandTuning(100_000, 300_000))
            source = open_dataset(path)
            assert max(len(span.chunks) for span in source.spans()) > 5
            assert all(read(chunk).nbytes <= 300_000 for span in source.spans() for chunk in span.chunks)
            check_memory(source.spans()[0].chunks[1])
            check_source(source, np.column_stack([values.ravel(), values.astype("f4").ravel()]), ("a", "b"))

    def test_bands_are_of_whole_chunks_of_the_first_dimension(self, profiles):
        path, _ = profiles
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(zarr_module, "BANDS", replace(zarr_module.BANDS, wanted_bytes=1))
            source = open_dataset(path, columns=["TEMP"], sample_dims=["N_PROF", "N_LEVELS"])
            assert chunk_starts(source) == [42 * i for i in range(6)]

    def test_a_lost_chunk_is_named(self, profiles):
        path, _ = profiles
        key = zarr.open_array(f"{path}/TEMP", mode="r").metadata.encode_chunk_key((2, 1))
        source = open_dataset(path, columns=["TEMP"], sample_dims=["N_PROF", "N_LEVELS"])
        (Path(path) / "TEMP" / key).unlink()
        np.testing.assert_equal(read(source.rows(0, 84)).shape, (84, 1))
        with pytest.raises(DataError, match=rf"column 'TEMP' lacks chunk {key}"):
            read(source.rows(84, 240))
        with pytest.raises(DataError, match=rf"column 'TEMP' lacks chunk {key}"):
            open_dataset(path, columns=["TEMP"], sample_dims=["N_PROF", "N_LEVELS"])


def test_metadata_that_promises_a_billion_chunks_is_refused_quickly(tmp_path):
    zarr.create_array(tmp_path / "x.zarr", shape=(10**15, 1), chunks=(10**6, 1), dtype="f8")
    with pytest.raises(DataError, match=r"lacks chunk c/0/0 and at least 9,999 more"):
        open_dataset(tmp_path / "x.zarr")


class TestMissingChunks:
    @pytest.mark.parametrize(
        ("layout", "file", "key"),
        [
            ({"chunks": (5, 3)}, "c/3/0", "c/3/0"),
            ({"chunks": (5, 3), "shards": (10, 3)}, "c/1/0", "c/1/0"),
            ({"chunks": (5, 3), "zarr_format": 2}, "2.0", "2.0"),
        ],
    )
    def test_are_named_before_reading(self, tmp_path, layout, file, key):
        store(tmp_path / "x.zarr", count_up(20, 3), **layout)
        (tmp_path / "x.zarr" / file).unlink()
        with pytest.raises(DataError, match=rf"x.zarr lacks chunk {key};.*fill_missing=True"):
            open_dataset(tmp_path / "x.zarr")

    def test_read_as_the_fill_value_where_asked(self, tmp_path):
        values = count_up(20, 3)
        store(tmp_path / "x.zarr", values, chunks=(5, 3), fill_value=-1)
        (tmp_path / "x.zarr" / "c" / "1" / "0").unlink()
        values[5:10] = -1
        check_source(open_dataset(tmp_path / "x.zarr", fill_missing=True), values)

    @pytest.mark.parametrize("shards", [None, (10, 3)])
    @pytest.mark.parametrize("zarr_format", [2, 3])
    def test_are_named_when_they_are_lost_after_opening(self, tmp_path, shards, zarr_format):
        if shards and zarr_format == 2:
            pytest.skip("format 2 has no shards")
        store(tmp_path / "g.zarr/x", count_up(20, 3), chunks=(5, 3), shards=shards, zarr_format=zarr_format)
        source = open_dataset(tmp_path / "g.zarr/x")
        key = "1.0" if zarr_format == 2 else "c/1/0"
        (tmp_path / "g.zarr/x" / key).unlink()
        np.testing.assert_array_equal(read(source.rows(0, 5)), count_up(20, 3)[:5])
        with pytest.raises(DataError, match=rf"g.zarr/x lacks chunk {key};.*fill_missing"):
            read(source.rows(4, 20))

    @pytest.mark.parametrize("n_bytes", [0, 3, 30, 100])
    def test_a_truncated_shard_is_named(self, tmp_path, n_bytes):
        store(tmp_path / "x.zarr", count_up(20, 3), chunks=(5, 3), shards=(10, 3))
        source, shard = open_dataset(tmp_path / "x.zarr"), tmp_path / "x.zarr" / "c" / "1" / "0"
        shard.write_bytes(shard.read_bytes()[:n_bytes])
        with pytest.raises(
            DataError, match=r"x.zarr, rows 10 to 15, chunk 2/0 in shard c/1/0 cannot be decoded"
        ):
            read(source.rows(0, 20))

    @pytest.mark.parametrize("index_location", ["start", "end"])
    def test_are_named_within_shards(self, tmp_path, index_location):
        values = count_up(50, 3)
        values[15:20] = 0  # writers leave chunks of fill values out
        shards = {"shape": (20, 4), "index_location": index_location}
        store(tmp_path / "x.zarr", values, chunks=(5, 2), shards=shards)
        source = open_dataset(tmp_path / "x.zarr")
        np.testing.assert_array_equal(read(source.rows(0, 15)), values[:15])
        np.testing.assert_array_equal(read(source.rows(20, 50)), values[20:])
        with pytest.raises(DataError, match=r"x.zarr lacks chunk 3/0 in shard c/0/0;.*fill value 0"):
            read(source.rows(19, 30))
        check_source(open_dataset(tmp_path / "x.zarr", fill_missing=True), values)

    def test_are_named_within_shards_of_columns(self, tmp_path):
        for column, zero in (("a", 0), ("b", 1)):
            values = np.ones(12)
            values[4:8] = zero
            store(tmp_path / "g.zarr" / column, values, chunks=(4,), shards=(8,))
        zarr.open_group(tmp_path / "g.zarr")
        with pytest.raises(DataError, match=r"g.zarr, column 'a' lacks chunk 1 in shard c/0;"):
            read(open_dataset(tmp_path / "g.zarr").rows(0, 12))

    def test_an_index_in_an_encoding_of_its_own_is_not_guessed(self, tmp_path):
        zarr.create_array(tmp_path / "x.zarr", shape=(20, 3), chunks=(5, 3), shards=(10, 3), dtype="f8")
        metadata = json.loads((tmp_path / "x.zarr" / "zarr.json").read_text())
        metadata["codecs"][0]["configuration"]["index_codecs"][0]["configuration"]["endian"] = "big"
        (tmp_path / "x.zarr" / "zarr.json").write_text(json.dumps(metadata))
        values = count_up(20, 3)
        zarr.open_array(tmp_path / "x.zarr")[:] = values
        check_source(open_dataset(tmp_path / "x.zarr"), values)

    def test_others_are_counted(self, tmp_path):
        store(tmp_path / "x.zarr", count_up(20, 3), chunks=(5, 1))
        shutil.rmtree(tmp_path / "x.zarr" / "c" / "2")
        with pytest.raises(DataError, match=r"lacks chunk c/2/0 and 2 more"):
            open_dataset(tmp_path / "x.zarr")

    def test_ten_thousand_chunks_are_checked_quickly(self, tmp_path):
        folder = tmp_path / "x.zarr"
        zarr.create_array(folder, shape=(10_000, 1), chunks=(1, 1), dtype="f8", compressors=None)
        for i in range(10_000):
            (folder / "c" / str(i)).mkdir(parents=True)
            (folder / "c" / str(i) / "0").write_bytes(bytes(8))
        assert open_dataset(folder).spans()[0].n_rows == 10_000


def test_a_damaged_chunk_is_named(tmp_path):
    codec = ZstdCodec(checksum=True)
    store(tmp_path / "x.zarr", count_up(20, 3), chunks=(5, 3), compressors=codec)
    file = tmp_path / "x.zarr" / "c" / "1" / "0"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"rows 5 to 10, chunk c/1/0 cannot be decoded, it may be damaged"):
        read(open_dataset(tmp_path / "x.zarr").rows(2, 20))  # not the whole band


def test_a_damaged_chunk_of_bzip2_is_named(tmp_path):
    """What it raises looks like an error of the store."""
    store(tmp_path / "x.zarr", count_up(20, 3), chunks=(5, 3), zarr_format=2, compressors=numcodecs.BZ2())
    source, file = open_dataset(tmp_path / "x.zarr"), tmp_path / "x.zarr" / "1.0"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"rows 5 to 10, chunk 1\.0 cannot be decoded, it may be damaged"):
        read(source.rows(2, 20))


def test_a_chunk_reads_the_same_in_another_process(tmp_path, elsewhere):
    store(tmp_path / "x.zarr", count_up(20, 3), chunks=(5, 3), shards=(10, 3))
    source = open_dataset(tmp_path / "x.zarr")
    check_reads_elsewhere(source.rows(3, 17), elsewhere)
    check_reads_elsewhere(source.spans()[0].chunks[0], elsewhere)


@pytest.mark.parametrize("scheme", ["memory://zarr-tests/{}", "file://{}/x.zarr"])
def test_urls(tmp_path, scheme):
    url = scheme.format(tmp_path)
    values = count_up(20, 3)
    store(url.removeprefix("file://"), values, chunks=(5, 3))
    source = open_dataset(url)
    check_source(source, values)
    assert source.name == url
    assert url in source.rows(0, 1).place


def test_storage_options_reach_the_file_system():
    values = count_up(4, 2)
    store("memory://zarr-options", values)
    check_source(open_dataset("memory://zarr-options", storage_options={"skip_instance_cache": True}), values)


def test_nested_arrays_have_paths(tmp_path):
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    group.create_array("inner/x", data=count_up(7, 2), chunks=(3, 2))
    check_source(open_dataset(tmp_path / "g.zarr" / "inner" / "x"), count_up(7, 2))
    check_source(open_dataset(group["inner/x"]), count_up(7, 2))


def test_weights(tmp_path):
    store(tmp_path / "w.zarr", np.arange(1.0, 9), chunks=(3,))
    check_source(open_weights(tmp_path / "w.zarr"), np.arange(1.0, 9)[:, None])
    with pytest.raises(DataError, match="Expected 2D array, got 1D array instead"):
        open_dataset(tmp_path / "w.zarr")
    store(tmp_path / "x.zarr", count_up(3, 2))
    with pytest.raises(DataError, match="Expected 1D array, got 2D array instead"):
        open_weights(tmp_path / "x.zarr")
    with pytest.raises(DataError, match="Zarr group; give the path of the 1-D array"):
        open_weights(zarr.open_group({}, mode="w"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 2), "c16"), "Complex data not supported"),
        (np.array([["a"]]), "holds text"),
        (np.zeros((2, 2), "M8[s]"), "holds dates"),
        (np.ones((2, 2, 2)), "Found array with dim 3"),
    ],
)
@pytest.mark.filterwarnings("ignore:The data type")
def test_what_is_not_a_table_of_numbers(values, message):
    with pytest.raises(DataError, match=message):
        open_dataset(store({}, values))


def test_columns_of_an_array_are_not_named():
    with pytest.raises(DataError, match="without named columns"):
        open_dataset(store({}, count_up(3, 2)), columns=["a"])
