import decimal
import gc
import shutil
import warnings

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dgmm
from dgmm.data import DataError, DataWarning, open_dataset, open_weights
from dgmm.data import parquet as parquet_module
from tests.data.contract import check_reads_elsewhere, check_source, read, write_parquet


def write(path, values, row_group_size=None, names="abcdefghij", **options):
    table = pa.table({name: values[:, i] for i, name in zip(range(values.shape[1]), names, strict=False)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size, **options)


def count_up(n_rows: int, n_features: int, start: int = 0) -> np.ndarray:
    return start + np.arange(float(n_rows * n_features)).reshape(n_rows, n_features)


@settings(max_examples=40, deadline=None)
@given(
    files=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    row_group_size=st.integers(1, 9),
    chunk_bytes=st.integers(1, 200),
    batch_bytes=st.integers(1, 100),
)
def test_any_layout(tmp_path_factory, files, row_group_size, chunk_bytes, batch_bytes):
    folder = tmp_path_factory.mktemp("parquet")
    parts = [count_up(n, 2, 100 * i) for i, n in enumerate(files)]
    for i, part in enumerate(parts):
        write(folder / f"part.{i}.parquet", part, row_group_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_module, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(parquet_module, "BATCH_BYTES", batch_bytes)
        check_source(open_dataset(folder), np.concatenate(parts), ("a", "b"))
    shutil.rmtree(folder)


def test_kinds_of_numbers_and_nulls(tmp_path):
    table = pa.table(
        {
            "f2": pa.array([1.5, None, 3], pa.float16()),
            "f4": pa.array([1.5, None, 3], pa.float32()),
            "f8": pa.array([1.5, None, 3]),
            "i8": pa.array([1, None, 2**60]),
            "u1": pa.array([1, None, 3], pa.uint8()),
            "flag": pa.array([True, None, False]),
            "money": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal(3)]),
            "text": ["x", "y", "z"],
            "day": pa.array([1, 2, 3], pa.date32()),
            "list": [[1], [2], [3]],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    numbers = [[1.5, 1.5, 1.5, 1, 1, 1, 1.25], [np.nan] * 7, [3, 3, 3, 2**60, 3, 0, 3]]
    expected = np.column_stack([numbers, [1, 2, 3]])
    names = ("f2", "f4", "f8", "i8", "u1", "flag", "money", "list[0]")
    with pytest.warns(
        DataWarning, match=r"x.parquet: column 'text' \(string\), 'day' \(date32\[day\]\) were left"
    ):
        source = open_dataset(tmp_path / "x.parquet")
    check_source(source, expected, names)
    check_source(
        open_dataset(tmp_path / "x.parquet", columns=["u1", "f2"]), expected[:, [4, 0]], ("u1", "f2")
    )
    single = expected[:, [1]].astype("f4")
    check_source(open_dataset(tmp_path / "x.parquet", columns=["f4"]), single, ("f4",))


def test_one_file_of_float64_makes_all_float64(tmp_path):
    write(tmp_path / "x" / "1.parquet", np.ones((2, 1), "f4"))
    assert open_dataset(tmp_path / "x").dtype == np.float32
    write(tmp_path / "x" / "2.parquet", np.ones((2, 1)))
    check_source(open_dataset(tmp_path / "x"), np.ones((4, 1)), ("a",))


def test_files_are_in_natural_order_without_hidden_ones(tmp_path):
    for i in (10, 2, 1):
        write(tmp_path / f"part.{i}.parquet", count_up(1, 1, i))
    write(tmp_path / "year=2020" / "x.parquet", count_up(1, 1, 99))
    write(tmp_path / "_spark" / "x.parquet", count_up(1, 1))
    for hidden in ("_metadata", "_common_metadata", ".part.1.parquet.crc", "_SUCCESS", "notes.txt"):
        (tmp_path / hidden).write_bytes(b"no")
    check_source(open_dataset(tmp_path), np.array([[1.0], [2], [10], [99]]), ("a",))


def test_files_as_dask_writes_them(tmp_path):
    frame = pd.DataFrame(count_up(40, 3), columns=["x", "y.z", "w"])
    dd.from_pandas(frame, npartitions=12, sort=False).to_parquet(tmp_path / "x", write_index=False)
    check_source(open_dataset(str(tmp_path / "x")), frame.to_numpy(), ("x", "y.z", "w"))


def test_empty_files_among_others_may_have_another_schema(tmp_path):
    pq.write_table(pa.table({"b": pa.array([], pa.string())}), tmp_path / "0.parquet")
    write(tmp_path / "1.parquet", count_up(3, 2))
    check_source(open_dataset(tmp_path), count_up(3, 2), ("a", "b"))


def test_a_file_without_rows(tmp_path):
    write(tmp_path / "x.parquet", count_up(0, 2))
    check_source(open_dataset(tmp_path / "x.parquet"), np.empty((0, 2)), ("a", "b"))


def test_many_small_row_groups_are_read_at_once(tmp_path):
    write(tmp_path / "x.parquet", count_up(3000, 1), 1)
    assert len(open_dataset(tmp_path / "x.parquet").spans()[0].chunks) == 1


def test_row_groups_end_chunks(tmp_path):
    write(tmp_path / "x.parquet", count_up(400_000, 10), 150_000)
    chunks = [chunk for span in open_dataset(tmp_path / "x.parquet").spans() for chunk in span.chunks]
    assert [chunk.n_rows for chunk in chunks] == [150_000, 150_000, 100_000]


@pytest.mark.parametrize("row_group_size", [1_000_000, 20_000])
def test_reading_keeps_within_the_bytes_promised(tmp_path, generator, row_group_size):
    write(tmp_path / "x.parquet", generator.random((1_000_000, 4)), row_group_size, compression="zstd")
    chunk = open_dataset(tmp_path / "x.parquet").spans()[0].chunks[0]
    pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        peak = read(chunk).nbytes + (pool.max_memory() or 0)
    finally:
        pa.set_memory_pool(before)
    assert chunk.n_rows * 4 * 8 < peak <= chunk.n_bytes


def test_a_chunk_reads_the_same_in_another_process(tmp_path, elsewhere):
    write(tmp_path / "x" / "1.parquet", count_up(7, 2), 3)
    write(tmp_path / "x" / "2.parquet", count_up(7, 2), 3)
    check_reads_elsewhere(open_dataset(tmp_path / "x").rows(2, 9), elsewhere)


def test_urls(tmp_path):
    url = f"memory://parquet-tests{tmp_path}/x.parquet"
    pd.DataFrame({"a": [1.0, 2]}).to_parquet(url)
    check_source(open_dataset(url), np.array([[1.0], [2]]), ("a",))
    check_source(open_dataset(url.removesuffix("/x.parquet")), np.array([[1.0], [2]]), ("a",))
    write(tmp_path / "y.parquet", count_up(2, 2))
    check_source(open_dataset(f"file://{tmp_path}/y.parquet"), count_up(2, 2), ("a", "b"))


def test_weights(tmp_path):
    write(tmp_path / "w.parquet", count_up(5, 1))
    check_source(open_weights(tmp_path / "w.parquet"), count_up(5, 1), ("a",))
    write(tmp_path / "x.parquet", count_up(5, 2))
    with pytest.raises(DataError, match=r"Expected one weight for each row, but .* has 2 columns"):
        open_weights(tmp_path / "x.parquet")


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # in Dask's to_parquet
def test_what_pandas_and_dask_call_the_index_is_no_feature(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]})
    expected = frame.to_numpy()[1:]
    frame[frame.a > 1].to_parquet(tmp_path / "filtered.parquet")
    dd.from_pandas(frame.iloc[1:], npartitions=2).to_parquet(tmp_path / "dask")
    frame.iloc[1:].set_axis(pd.Index([7, 8], name="id")).to_parquet(tmp_path / "named.parquet")
    for name in ("filtered.parquet", "dask", "named.parquet"):
        check_source(open_dataset(tmp_path / name), expected, ("a", "b"))
    chosen = open_dataset(tmp_path / "named.parquet", columns=["id", "a"])
    check_source(chosen, np.array([[7.0, 2.0], [8.0, 3.0]]), ("id", "a"))


class TestErrors:
    def test_two_columns_of_one_name(self, tmp_path):
        table = pa.table([[1.0], [2.0], [3.0]], names=["a", "a", "b"])
        pq.write_table(table, tmp_path / "x.parquet")
        with pytest.raises(DataError, match=r"x.parquet has several columns 'a'"):
            open_dataset(tmp_path / "x.parquet")
        check_source(open_dataset(tmp_path / "x.parquet", columns=["b"]), np.array([[3.0]]), ("b",))

    def test_columns_that_are_not_there(self, tmp_path):
        write(tmp_path / "x.parquet", count_up(2, 2))
        with pytest.raises(DataError, match=r"x.parquet has no column 'y', 'z'; it has 'a', 'b'"):
            open_dataset(tmp_path / "x.parquet", columns=["a", "y", "z"])

    def test_a_column_that_is_not_in_every_file(self, tmp_path):
        write(tmp_path / "1.parquet", count_up(2, 2))
        write(tmp_path / "2.parquet", count_up(2, 1))
        with pytest.raises(DataError, match=r"2.parquet has no column 'b'"):
            open_dataset(tmp_path)

    def test_columns_that_are_not_numbers(self, tmp_path):
        pq.write_table(pa.table({"name": ["x"], "a": [1]}), tmp_path / "x.parquet")
        with pytest.raises(DataError, match=r"column 'name' \(string\) does not hold real numbers"):
            open_dataset(tmp_path / "x.parquet", columns=["a", "name"])
        pq.write_table(pa.table({"name": ["x"]}), tmp_path / "x.parquet")
        with pytest.raises(DataError, match=r"no column of numbers; it has 'name' \(string\)"):
            open_dataset(tmp_path / "x.parquet")

    def test_a_damaged_page(self, tmp_path):
        path = tmp_path / "x.parquet"
        options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
        write(path, count_up(100, 1), **options)
        data = bytearray(path.read_bytes())
        data[400] ^= 1
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"x.parquet cannot be read as Parquet, it may be damaged: .*CRC"):
            read(open_dataset(path).rows(0, 100))

    def test_a_file_cut_short(self, tmp_path):
        path = tmp_path / "x.parquet"
        write(path, count_up(100, 1))
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(DataError, match=r"x.parquet cannot be read as Parquet"):
            open_dataset(path)

    def test_a_file_that_lost_rows_since(self, tmp_path):
        write(tmp_path / "x.parquet", count_up(100, 1))
        chunk = open_dataset(tmp_path / "x.parquet").rows(0, 100)
        write(tmp_path / "x.parquet", count_up(90, 1))
        with pytest.raises(DataError, match="fewer rows than when it was opened"):
            read(chunk)


def test_a_row_group_that_says_it_is_huge_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """Runs of one number: kilobytes of a file are gigabytes of rows."""
    write_parquet(tmp_path / "x.parquet", {"a": np.zeros(100_000), "b": np.zeros(100_000)})
    assert (tmp_path / "x.parquet").stat().st_size < 20_000
    monkeypatch.setattr(parquet_module, "GROUP_BYTES", 1_000_000)
    with pytest.raises(DataError, match=r"x.parquet: row group 0 says that it has 100,000 rows"):
        open_dataset(tmp_path / "x.parquet")
    assert open_dataset(tmp_path / "x.parquet", columns=["b"]).n_rows == 100_000


def test_footers_that_contradict_themselves_are_refused(tmp_path):
    """The numbers of rows, of the file and of its only row group, are the same but for a damaged byte."""
    write_parquet(tmp_path / "x.parquet", {"a": np.zeros(100_000)})
    data, number = (tmp_path / "x.parquet").read_bytes(), b"\xc0\x9a\x0c"  # 100,000, as Thrift writes it
    expected, n_refused = dgmm.fingerprint(tmp_path / "x.parquet"), 0
    for at in (at for at in range(len(data)) if data.startswith(number, at)):
        (tmp_path / "x.parquet").write_bytes(data[:at] + b"\xff\xff\x7f" + data[at + 3 :])
        try:
            assert dgmm.fingerprint(tmp_path / "x.parquet") == expected  # a number that nobody asks for
        except DataError:
            n_refused += 1
    assert n_refused >= 2


def test_files_of_a_cache_are_closed(tmp_path):
    """They are this machine's, but another file system than its own opens them."""
    values = count_up(50, 2)
    write(tmp_path / "a.parquet", values, row_group_size=20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_dataset(f"simplecache::file://{tmp_path}/a.parquet")
        np.testing.assert_array_equal(read(source.rows(10, 45)), values[10:45])
        gc.collect()
    assert not [str(each.message) for each in caught if "unclosed" in str(each.message)]
