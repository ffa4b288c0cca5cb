# pyright: reportArgumentType=false, reportCallIssue=false, reportFunctionMemberAccess=false
# Dask annotates its functions by their defaults.
import os
import runpy
import subprocess
import sys
import uuid

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from dask.base import compute, persist
from dask.delayed import delayed
from distributed import Client
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dgmm.data import DataError, DataWarning, LazyChunk, Source, open_dataset, open_weights
from tests.data.contract import check_pickles, check_source, read, type_name


def count_up(n_rows: int, n_features: int) -> np.ndarray:
    return np.arange(float(n_rows * n_features)).reshape(n_rows, n_features)


def unknown(x: da.Array) -> da.Array:
    """The same array with row counts that Dask does not know."""
    return x[da.from_array(np.full(x.shape[0], True), chunks=(x.chunks[0],))]


def lazy_chunks(source: Source) -> list[LazyChunk]:
    return [chunk for span in source.spans() for chunk in span.chunks if isinstance(chunk, LazyChunk)]


def n_tasks(source: Source) -> int:
    """Number of tasks, aliases apart, behind one chunk."""
    graph = dict(lazy_chunks(source)[0].delayed.__dask_graph__())
    return sum("Alias" not in type(task).__name__ for task in graph.values())


@settings(max_examples=30, deadline=None)
@given(
    chunks=st.tuples(
        st.lists(st.integers(0, 6), min_size=1, max_size=6),
        st.lists(st.integers(1, 3), min_size=1, max_size=3),
    ),
    known=st.booleans(),
)
def test_any_chunks(chunks, known):
    # from_array gives an empty first chunk one row; older Dask counts an empty chunk after a single row.
    assume(chunks[0][0] > 0 and (sum(chunks[0]) > 1 or len(chunks[0]) == 1))
    values = count_up(sum(chunks[0]), sum(chunks[1]))
    x = da.from_array(values, chunks=tuple(map(tuple, chunks)))
    check_source(open_dataset(x if known else unknown(x)), values)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "i1", "u8", "?"])
def test_dtypes(dtype):
    values = count_up(7, 3).astype(dtype)
    expected = values.astype("f4" if dtype in {"f4", ">f4"} else "f8")
    check_source(open_dataset(da.from_array(values, chunks=(3, 2))), expected)


def test_opening_computes_nothing_and_counting_is_done_once():
    calls = []

    def load(values: np.ndarray) -> np.ndarray:
        calls.append(1)
        return values

    parts = [
        da.from_delayed(delayed(load)(count_up(3, 2)), shape=(np.nan, 2), dtype=float, meta=np.empty((0, 2)))
        for _ in range(4)
    ]
    source = open_dataset(da.concatenate(parts, allow_unknown_chunksizes=True))
    assert not calls
    assert source.n_rows == 12
    assert len(source.spans()) == 1
    assert len(calls) == 4


def test_loading_and_converting_are_one_task():
    x = da.ones((100, 4), chunks=(10, 4), dtype="i4") + 1
    assert n_tasks(open_dataset(x)) == 10
    frame = dd.from_pandas(pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}), npartitions=3)
    assert n_tasks(open_dataset(frame + 1)) == 3


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_what_is_persisted_is_not_computed_again(kind, tmp_path):
    def load(block):
        (tmp_path / uuid.uuid4().hex).touch()
        return block

    with Client(processes=False, n_workers=1, dashboard_address=":0"):
        if kind == "array":
            x = da.ones((40, 2), chunks=(10, 2)).map_blocks(load, meta=np.empty((0, 0)))
        else:
            frame = pd.DataFrame({"a": np.ones(40), "b": np.ones(40)})
            x = dd.from_pandas(frame, npartitions=4).map_partitions(load, meta=frame.iloc[:0])
        (x,) = persist(x)
        source = open_dataset(x)
        rows = compute(*(chunk.delayed for chunk in lazy_chunks(source)))
    np.testing.assert_array_equal(np.concatenate(rows), np.ones((40, 2)))
    assert len(list(tmp_path.iterdir())) == 4


def test_spans_hold_at_most_32_mebibytes():
    spans = open_dataset(da.ones((2**23, 64), chunks=(2**13, 64))).spans()
    assert len(spans) == 128
    assert all(len(span.chunks) == 8 for span in spans)


def test_a_chunk_that_is_pickled_reads_the_same():
    source = open_dataset(da.from_array(count_up(9, 2), chunks=(4, 1)))
    check_pickles(source.rows(2, 7))


class TestFrames:
    @pytest.fixture
    def frame(self):
        return pd.DataFrame(
            {
                "a": pd.array([1, None, 3, 4, 5], dtype="Int64"),
                "b": [0.5, 1.5, 2.5, 3.5, 4.5],
                "flag": [True, False, True, False, True],
                "text": list("vwxyz"),
            }
        )

    @pytest.mark.parametrize("npartitions", [1, 2, 5])
    def test_chosen_columns(self, frame, npartitions):
        x = dd.from_pandas(frame, npartitions=npartitions)
        expected = np.array([[0.5, 1, 1], [1.5, np.nan, 0], [2.5, 3, 1], [3.5, 4, 0], [4.5, 5, 1]])
        check_source(open_dataset(x, columns=["b", "a", "flag"]), expected, ("b", "a", "flag"))

    def test_empty_partitions(self, frame):
        x = dd.from_pandas(frame[["b"]], npartitions=5)
        check_source(open_dataset(x[x.b > 3]), np.array([[3.5], [4.5]]), ("b",))
        check_source(open_dataset(x[x.b > 9]), np.empty((0, 1)), ("b",))

    def test_single_precision(self, frame):
        x = dd.from_pandas(frame[["b"]].astype("f4"), npartitions=2)
        check_source(open_dataset(x), frame[["b"]].to_numpy("f4"), ("b",))

    @pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own
    def test_from_parquet(self, frame, tmp_path):
        dd.from_pandas(frame, npartitions=3).to_parquet(tmp_path / "x", write_index=False)
        x = dd.read_parquet(tmp_path / "x", columns=["b", "flag"])
        check_source(open_dataset(x), frame[["b", "flag"]].to_numpy(float), ("b", "flag"))

    def test_columns_that_are_not_numbers_are_named(self, frame):
        x = dd.from_pandas(frame, npartitions=2)
        with pytest.warns(DataWarning, match=r"Dask DataFrame: column 'text' \(string\) was left out"):
            assert open_dataset(x).feature_names == ("a", "b", "flag")
        with pytest.raises(DataError, match=r"Dask DataFrame: column 'text' .*does not hold real numbers"):
            open_dataset(x, columns=["a", "text"])
        with pytest.raises(DataError, match="no column 'c'; it has 'a', 'b', 'flag', 'text'"):
            open_dataset(x, columns=["c"])
        with pytest.raises(DataError, match=r"no column of numbers; it has 'a' \(datetime"):
            open_dataset(dd.from_pandas(pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), npartitions=1))

    def test_without_columns(self, frame):
        with pytest.raises(DataError, match=r"0 feature\(s\)"):
            open_dataset(dd.from_pandas(frame[[]], npartitions=2))


@pytest.mark.parametrize("known", [True, False])
def test_weights_of_an_array(known):
    x = da.from_array(np.arange(7), chunks=3)
    check_source(open_weights(x if known else unknown(x)), np.arange(7.0)[:, None])


def test_weights_of_a_series():
    series = dd.from_pandas(pd.Series([1.0, 2, 3]), npartitions=2)
    check_source(open_weights(series), np.array([[1.0], [2], [3]]))
    with pytest.raises(DataError, match="Expected 2D array, got 1D array instead"):
        open_dataset(series)
    with pytest.raises(DataError, match="Expected 1D array, got 2D array instead"):
        open_weights(series.to_frame())


class TestRefused:
    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (da.ones(3), "Expected 2D array, got 1D array instead"),
            (da.ones((3, 2, 2)), "Found array with dim 3"),
            (da.ones((3, 0)), r"0 feature\(s\)"),
            (da.ones((3, 2), dtype=complex), "Complex data not supported"),
            (da.from_array(np.array([[1, "a"]], dtype=object), chunks=1), "holds objects"),
            (da.from_array(np.array([["a"]])), "holds text"),
            (da.from_array(np.zeros((2, 2), "M8[s]")), "holds dates"),
            (da.ma.masked_equal(da.ones((3, 2)), 1), "masked array"),
            (delayed(1), "Dask Delayed.* is not a table"),
        ],
        ids=type_name,
    )
    def test_before_anything_is_computed(self, x, message):
        with pytest.raises(DataError, match=message):
            open_dataset(x)

    def test_sparse(self):
        x = da.ones((4, 2), chunks=2).map_blocks(scipy.sparse.csr_array, meta=scipy.sparse.csr_array((0, 0)))
        with pytest.raises(TypeError, match="Sparse data was passed"):
            open_dataset(x)

    def test_an_unknown_number_of_columns(self):
        x = da.ones((4, 2), chunks=2)
        with pytest.raises(DataError, match=r"compute_chunk_sizes\(\)"):
            open_dataset(x[:, da.from_array(np.array([True, False]))])

    @pytest.mark.parametrize(
        ("block", "error", "message"),
        [
            (np.ma.masked_equal(np.ones((2, 2)), 1), DataError, "masked array"),
            (scipy.sparse.csr_array((2, 2)), TypeError, "Sparse data"),
            (np.array([["a", "b"]]), DataError, "holds text"),
            (np.ones((2, 3)), DataError, r"a chunk of shape \(2, 3\), where 2 columns were promised"),
        ],
        ids=type_name,
    )
    def test_chunks_that_are_not_what_dask_promised(self, block, error, message):
        x = da.from_delayed(delayed(block, traverse=False), shape=(2, 2), meta=np.empty((0, 0)))
        with pytest.raises(error, match=message):
            read(lazy_chunks(open_dataset(x))[0])

    def test_columns_of_an_array(self):
        with pytest.raises(DataError, match="has no named columns"):
            open_dataset(da.ones((3, 2)), columns=["a"])


def test_parquet_partitions_that_dask_would_join(tmp_path):
    """Dask reads few columns of many in larger partitions: the count of one column is not that of all."""
    values = count_up(60, 6)
    for index, part in enumerate(np.split(values, 6)):
        pd.DataFrame(part, columns=list("abcdef")).to_parquet(tmp_path / f"part-{index}.parquet")
    frame = dd.read_parquet(tmp_path)
    check_source(open_dataset(frame), values, tuple("abcdef"))
    check_source(open_dataset(frame[["e", "b"]]), values[:, [4, 1]], ("e", "b"))


PLANNED = """
import hashlib
import dask.array as da, dask.dataframe as dd, numpy as np, pandas as pd
from distributed import Client
from dgmm import GaussianMixture

generator = np.random.default_rng(8)
rows = np.concatenate([generator.normal(0, 1, (900, 2)), generator.normal(9, 1, (600, 2))])
array = da.from_array(generator.permutation(rows), chunks=(250, 1))
frame = dd.from_pandas(pd.DataFrame(rows, columns=["a", "b"]), npartitions=5)
print(hasattr(array, "to_delayed"))

def bits(x):
    model = GaussianMixture(2, random_state=0, sample_rows=500, init_params="kmeans").fit(x)
    found = model.means_, model.score(x), np.asarray(model.predict_proba(x).compute())
    return hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in found)).hexdigest()

if __name__ == "__main__":
    print(bits(array), bits(frame), bits(frame["a"].to_frame()))
    with Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"):
        print(bits(array.persist()), bits(frame.persist()), bits(frame[["a"]].persist()))
"""


def test_persisted_chunks_and_planned_queries_give_the_same_bits(tmp_path, capsys):
    """Dask's setting ``array.query-planning`` is read when Dask is imported: the other one has a process."""
    script = tmp_path / "script.py"
    script.write_text(PLANNED)
    runpy.run_path(str(script), run_name="__main__")
    here = capsys.readouterr().out.splitlines()
    there = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "DASK_ARRAY__QUERY_PLANNING": here[0]},  # what it is not here
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert {here[0], there[0]} == {"False", "True"}
    assert len({*here[1:], *there[1:]}) == 1
