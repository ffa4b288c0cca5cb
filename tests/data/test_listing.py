"""Which files of a folder are rows, and what the names of folders say."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dgmm import DataWarning, open_dataset
from dgmm.data import DataError
from tests.data.contract import check_source, rows_of, write_parquet

DRAW = np.random.default_rng(0)


class TestFolders:
    def write_years(self, folder):
        for year in (2019, 2020, 2021):
            for part in (0, 1):
                write_parquet(
                    folder / f"year={year}" / f"part-{part}.parquet",
                    {"mag": DRAW.normal(size=5)},
                    row_group_size=2,
                )

    def test_what_the_names_of_folders_say(self, tmp_path):
        self.write_years(tmp_path)
        frame = ds.dataset(tmp_path, partitioning="hive").to_table(columns=["mag", "year"]).to_pandas()
        wanted = frame.sort_values(["year"], kind="stable").to_numpy(float)
        check_source(open_dataset(tmp_path, columns=["mag", "year"]), wanted, ("mag", "year"))
        check_source(open_dataset(tmp_path, columns=["year"]), wanted[:, [1]], ("year",))
        check_source(
            open_dataset(str(tmp_path / "year=*"), columns=["year", "mag"]), wanted[:, ::-1], ("year", "mag")
        )
        with pytest.warns(DataWarning, match=r"'year' \(in the names of folders\) was left out"):
            check_source(open_dataset(tmp_path), wanted[:, [0]], ("mag",))

    def test_names_of_folders_that_are_no_numbers_or_none(self, tmp_path):
        for key, value in (("a%2Fb=1.5/land=DE", 1.0), ("a%2Fb=__HIVE_DEFAULT_PARTITION__/land=FR", 2.0)):
            write_parquet(tmp_path / key / "part-0", {"x": [value]})
        check_source(
            open_dataset(tmp_path, columns=["x", "a/b"]), np.array([[1, 1.5], [2, np.nan]]), ("x", "a/b")
        )
        with pytest.raises(DataError, match=r"column 'land' .* does not hold real numbers"):
            open_dataset(tmp_path, columns=["x", "land"])

    def test_folders_that_say_different_things(self, tmp_path):
        write_parquet(tmp_path / "year=2020" / "a.parquet", {"x": [1.0]})
        write_parquet(tmp_path / "b.parquet", {"x": [1.0]})
        with pytest.raises(DataError, match=r"the folders of .*b\.parquet do not give 'year'"):
            open_dataset(tmp_path, columns=["x", "year"])

    @pytest.mark.parametrize(
        "name",
        ["b.parquet.snappy", "b.snappy.parquet", "B.PARQUET", "b.parq", "b.pq", "b.pqt", "part-0000",
         "b.gz.parquet", "b.0001", "b.parquet.gz"],
    )  # fmt: skip
    def test_names_of_files(self, tmp_path, name):
        write_parquet(tmp_path / "a.parquet", {"x": [1.0]})
        write_parquet(tmp_path / name, {"x": [2.0]})
        for beside in ("_SUCCESS", "_metadata", ".b.crc", "notes.txt", "b.parquet.crc", "README"):
            (tmp_path / beside).write_bytes(b"no")
        assert sorted(rows_of(open_dataset(tmp_path)).ravel()) == [1.0, 2.0]
        check_source(open_dataset(tmp_path / name), np.array([[2.0]]), ("x",))

    @pytest.mark.parametrize("name", ["a.parquet.bak", "a.parquet.tmp", "a.parquet~", "a.old"])
    def test_what_was_put_aside_is_not_counted(self, tmp_path, name):
        write_parquet(tmp_path / "a.parquet", {"x": [1.0]})
        write_parquet(tmp_path / name, {"x": [1.0]})
        with pytest.raises(DataError, match=rf"{name} holds Parquet, but by its name was put aside"):
            open_dataset(tmp_path)

    @pytest.mark.parametrize("leaf", ["Npix=44.parquet", "Npix=44/part0.snappy.parquet"])
    def test_a_sky_catalogue(self, tmp_path, leaf):
        folder = tmp_path / "tiny" / "dataset"
        columns = {"_healpix_29": DRAW.integers(0, 2**60, 90), "mag": DRAW.normal(18, 1, 90)}
        data = write_parquet(folder / "Norder=1" / "Dir=0" / leaf, columns)
        other = write_parquet(folder / "Norder=2" / "Dir=0" / leaf.replace("44", "45"), columns)
        pq.write_table(data[:10], folder / "data_thumbnail.parquet")
        pq.write_metadata(data.schema, folder / "_common_metadata")
        pq.write_metadata(data.schema, folder / "_metadata")
        pq.write_table(
            pa.table({"Norder": [1, 2], "Npix": [44, 45]}), tmp_path / "tiny" / "point_map.parquet"
        )
        (tmp_path / "tiny" / "hats.properties").write_text("dataproduct_type=object\n")
        (tmp_path / "tiny" / "partition_info.csv").write_text("Norder,Npix\n1,44\n2,45\n")
        (tmp_path / "collection.properties").write_text("obs_collection=x\nhats_primary_table_url=tiny\n")
        write_parquet(tmp_path / "tiny_margin" / "dataset" / "Norder=1" / "Dir=0" / leaf, columns)
        expected = pa.concat_tables([data, other])["mag"].to_numpy()[:, None]
        for path in (tmp_path, tmp_path / "tiny", folder):
            check_source(open_dataset(path, columns=["mag"]), expected, ("mag",))
            with pytest.warns(
                DataWarning, match=r"column '_healpix_29' looks by its name .*columns=\['mag'\]"
            ):
                open_dataset(path)
