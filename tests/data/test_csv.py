"""Rows of CSV files, parsed when they are read."""

import bz2
import gzip
import lzma
from dataclasses import replace

import fsspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import DataWarning, GaussianMixture, open_dataset
from dgmm.cli import main
from dgmm.data import DataError, lines
from dgmm.data import csv as csv_module
from tests.data.contract import check_reads_elsewhere, check_source, read

DRAW = np.random.default_rng(0)
WORDS = ["plain", "a,b", 'say "x"', "two\nlines", "", "r\r\nn"]


LAYOUTS = st.fixed_dictionaries(
    {
        "files": st.lists(st.integers(0, 12), min_size=1, max_size=3).filter(any),
        "block_bytes": st.integers(20, 200),
        "chunk_bytes": st.integers(1, 300),
        "ending": st.sampled_from(["\n", "\r\n"]),
        "suffix": st.sampled_from(["csv", "tsv", "csv.gz"]),
        "words": st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    }
)


@settings(max_examples=25, deadline=None)
@given(layout=LAYOUTS)
def test_any_layout(tmp_path_factory, layout):
    folder = tmp_path_factory.mktemp("csv")
    parts = []
    for number, n_rows in enumerate(layout["files"]):
        rows = pd.DataFrame({"a": np.arange(n_rows) / 4 + number, "b": -np.arange(n_rows)})
        parts.append(rows.to_numpy(float))
        words = layout["words"]
        rows.insert(1, "word", [words[i % len(words)] for i in range(n_rows)])
        separator = "\t" if layout["suffix"] == "tsv" else ","
        path = folder / f"{number}.{layout['suffix']}"
        rows.to_csv(path, index=False, sep=separator, lineterminator=layout["ending"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LINES", replace(lines.LINES, block_bytes=layout["block_bytes"]))
        patch.setattr(csv_module, "CHUNK_BYTES", layout["chunk_bytes"])
        check_source(open_dataset(folder, columns=["a", "b"]), np.concatenate(parts), ("a", "b"))


@pytest.fixture
def frame():
    return pd.DataFrame({"x": DRAW.normal(size=50), "flag": [True, False] * 25, "n": np.arange(50) * 3})


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.csv", bytes), ("a.CSV", bytes), ("a.csv.gz", gzip.compress), ("a.csv.bz2", bz2.compress),
     ("a.csv.xz", lzma.compress)],
)  # fmt: skip
def test_compressed_files_and_urls(frame, tmp_path, name, compress):
    data = compress(frame.to_csv(index=False).encode())
    (tmp_path / name).write_bytes(data)
    expected = frame.to_numpy(float)
    names = ("x", "flag", "n")
    check_source(open_dataset(tmp_path / name), expected, names)
    check_source(open_dataset(str(tmp_path / "*")), expected, names)
    fsspec.filesystem("memory").pipe(f"/csv{tmp_path}/{name}", data)
    check_source(open_dataset(f"memory://csv{tmp_path}/{name}"), expected, names)
    check_source(open_dataset(f"memory://csv{tmp_path}"), expected, names)


def test_a_file_in_many_pieces_reads_the_same_elsewhere(frame, tmp_path, elsewhere, monkeypatch):
    monkeypatch.setattr(lines, "LINES", replace(lines.LINES, block_bytes=64))
    for name in ("a.csv", "b.csv.gz"):
        frame.to_csv(tmp_path / name, index=False)
        check_reads_elsewhere(open_dataset(tmp_path / name).rows(7, 39), elsewhere)


def test_missing_fields_columns_in_another_order_and_semicolons(tmp_path):
    (tmp_path / "1.csv").write_text("\ufeffa;b\n1;2\n\n;4\nNA;6\n")
    (tmp_path / "2.csv").write_text("b,a\n8,7.5\n")
    expected = np.array([[1, 2], [np.nan, 4], [np.nan, 6], [7.5, 8]])
    check_source(open_dataset(tmp_path), expected, ("a", "b"))


def test_folders_that_say_something(tmp_path):
    for year in (2020, 2021):
        (tmp_path / f"year={year}").mkdir()
        (tmp_path / f"year={year}" / "a.csv").write_text("x\n1\n")
    check_source(
        open_dataset(tmp_path, columns=["year", "x"]), np.array([[2020.0, 1], [2021, 1]]), ("year", "x")
    )


def test_columns_that_are_no_features(tmp_path):
    (tmp_path / "a.csv").write_text("id,when,kind,x\n1,2020-01-01,a,0.5\n2,2020-01-02,b,1.5\n")
    with pytest.warns(DataWarning) as told:
        assert open_dataset(tmp_path / "a.csv").feature_names == ("id", "x")
    assert "'when' (date32[day]), 'kind' (string) were left out" in str(told[0].message)
    assert "'id' looks by its name like an identifier" in str(told[1].message)


def test_a_first_line_that_may_be_a_row(tmp_path):
    rows = DRAW.normal(size=(6, 3)).round(3)
    (tmp_path / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in rows.tolist()))
    with pytest.warns(DataWarning, match=r"a\.csv: its first line, which names the columns, holds numbers"):
        assert open_dataset(tmp_path / "a.csv").n_rows == 5
    names = tuple(map(str, rows[0]))
    check_source(open_dataset(tmp_path / "a.csv", columns=names), rows[1:], names)


@pytest.mark.parametrize("names", ["0,1,2,3", "400,410,420,430", "star,400,405,420", "1,b,2,3"])
def test_names_that_are_numbers(tmp_path, names):
    (tmp_path / "a.csv").write_text(f"{names}\n1,2,3,4\n5,6,7,8\n")
    check_source(open_dataset(tmp_path / "a.csv"), np.arange(1.0, 9).reshape(2, 4), tuple(names.split(",")))


def test_delimiters_within_names(tmp_path):
    (tmp_path / "a.csv").write_text('"depth, m, below";"speed"\n1.5;2\n3;4\n')
    names = ("depth, m, below", "speed")
    check_source(open_dataset(tmp_path / "a.csv"), np.array([[1.5, 2], [3, 4]]), names)


def test_a_fit_and_its_labels(frame, tmp_path, caplog):
    frame.assign(often=2.0).to_csv(tmp_path / "a.csv", index=False)
    model = GaussianMixture(1).fit(tmp_path / "a.csv", sample_weight="often")
    assert caplog.text.count("each pass parses again: `dgmm convert` writes it once") == 1
    np.testing.assert_allclose(model.means_[0], frame.mean())
    scores = np.asarray(model.score_samples(tmp_path / "a.csv"))
    np.testing.assert_allclose(scores, GaussianMixture(1).fit(frame).score_samples(frame), rtol=1e-9)


def test_convert(frame, tmp_path, caplog):
    for part in (0, 1):
        frame[part * 25 : part * 25 + 25].to_csv(tmp_path / f"part-{part}.csv.gz", index=False)
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(tmp_path / "part-*.csv.gz"), str(tmp_path / "x.zarr")])
    assert ended.value.code == 0
    assert "dgmm convert" not in caplog.text  # it is what was done
    check_source(open_dataset(tmp_path / "x.zarr"), frame.to_numpy(float))
    open_dataset(str(tmp_path / "part-*.csv.gz"))
    assert "dgmm convert" in caplog.text


class TestErrors:
    def test_text_among_numbers(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lines, "LINES", replace(lines.LINES, block_bytes=16))
        (tmp_path / "a.csv").write_text("x,y\n" + "1,2\n" * 10 + "oops,4\n")
        chunk = open_dataset(tmp_path / "a.csv").rows(0, 11)
        with pytest.raises(DataError, match=r"a\.csv, rows \d+ to 11.*'oops'.*leave its column out with"):
            read(chunk)

    def test_lines_that_are_too_long(self, tmp_path):
        (tmp_path / "a.csv").write_text("x,y\n1,2\n1,2,3\n")
        with pytest.raises(DataError, match=r"a\.csv.*Expected 2 columns, got 3"):
            open_dataset(tmp_path / "a.csv")

    def test_nothing_and_two_of_one_name(self, tmp_path):
        (tmp_path / "a.csv").write_text("")
        with pytest.raises(DataError, match=r"a\.csv is empty"):
            open_dataset(tmp_path / "a.csv")
        (tmp_path / "b.csv").write_text("x,x\n1,2\n")
        with pytest.raises(DataError, match="several columns 'x'"):
            open_dataset(tmp_path / "b.csv")
