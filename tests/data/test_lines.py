"""Lines of text files: cut where they end, whatever quotes and compression there are."""

import bz2
import csv
import gzip
import io
import lzma
from dataclasses import replace

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dgmm import open_dataset
from dgmm.data import DataError, lines
from dgmm.data.lines import CsvFile, blocks_of, texts
from dgmm.data.retrying import Count, counting, persistently
from tests.data.contract import read
from tests.memory import traced_peak

TEXT = 'x,name\n1,"a\nb"\n\n2,"c""d\n\n"\r\n\r\n3,e\n4,""'


@pytest.mark.parametrize("block_bytes", [1, 3, 7, 16, 100])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_blocks_are_the_text_and_have_the_rows_that_python_finds(tmp_path, monkeypatch, name, block_bytes):
    """In any order: of a compressed file the next block goes on where one ended, or from its start."""
    monkeypatch.setattr(lines, "LINES", replace(lines.LINES, block_bytes=block_bytes))
    (tmp_path / name).write_bytes(gzip.compress(TEXT.encode()) if name.endswith("gz") else TEXT.encode())
    filesystem, path = fsspec.filesystem("file"), str(tmp_path / name)
    blocks = list(blocks_of(filesystem, CsvFile(path, ("x", "name"), ",", 7)))
    found = {block.offset: text for block, text in texts(filesystem, path, blocks)}
    assert b"".join(found.values()) == TEXT[7:].encode()
    for block in [*blocks[::-1], *blocks]:
        [(_, text)] = texts(filesystem, path, [block])
        assert text == found[block.offset]
        assert block.n_rows == sum(1 for row in csv.reader(io.StringIO(text.decode(), newline="")) if row)
    assert [block.first for block in blocks] == np.cumsum([0, *(block.n_rows for block in blocks)])[
        :-1
    ].tolist()


def zstd(data: bytes) -> bytes:
    """Compress as Arrow does by default: without a checksum."""
    return pa.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize(
    ("end", "compress"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstd)],
)
def test_compressed_text_that_is_damaged_is_named_at_once(tmp_path, end, compress):
    path = tmp_path / f"a.csv.{end}"
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 2)), columns=["x", "y"])
    whole = compress(frame.to_csv(index=False).encode())
    path.write_bytes(whole)
    source = open_dataset(path)
    assert getattr(source, "finds_damage", None) == (end != "zst")
    chunk = source.rows(0, source.n_rows)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(100) + whole[middle + 100 :])
    with pytest.raises(DataError, match=rf"a\.csv\.{end}"):
        _ = open_dataset(path, columns=["x", "y"]).n_rows
    with (
        counting(count := Count()),
        pytest.raises(DataError, match=rf"a\.csv\.{end}, rows 0 to 500"),
    ):
        persistently(lambda: read(chunk), "the chunk")
    assert count.retries == 0


@pytest.mark.parametrize("block_bytes", [1, 5, 9, 100])
@pytest.mark.parametrize(
    ("text", "shown"), [('1,"u\n2,w\n3,x\n', '1,"u'), ('1,"u"\n2,"w""\n3,x', '2,"w""'), ('1,u\n2,"', '2,"')]
)
def test_rows_after_a_quote_that_is_not_closed_are_not_lost(tmp_path, monkeypatch, block_bytes, text, shown):
    monkeypatch.setattr(lines, "LINES", replace(lines.LINES, block_bytes=block_bytes))
    (tmp_path / "a.csv").write_text(f"x,name\n{text}")
    file = CsvFile(str(tmp_path / "a.csv"), ("x", "name"), ",", 7)
    with pytest.raises(DataError, match=r"a\.csv: a quote after byte \d+ is not closed") as told:
        list(blocks_of(fsspec.filesystem("file"), file))
    assert repr(shown) in str(told.value)
    monkeypatch.undo()  # a header is in the first block
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(f"x,name\n{text}".encode()))
    with pytest.raises(DataError, match=r"b\.csv\.gz: a quote after byte \d+ is not closed"):
        _ = open_dataset(tmp_path / "b.csv.gz", columns=["x"]).n_rows


def test_a_quote_that_is_not_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LINES", replace(lines.LINES, longest_line=1000, block_bytes=100))
    (tmp_path / "a.csv").write_text("x,y\n" + '1,"2\n' + "1,2\n" * 1000)
    with pytest.raises(DataError, match="is a quote not closed"):
        _ = open_dataset(tmp_path / "a.csv").n_rows


def test_a_line_without_end_takes_no_more_memory_than_lines_may(tmp_path, monkeypatch):
    """Of 64 MiB of text in 64 kB, some hundred kilobytes are read."""
    monkeypatch.setattr(lines, "LINES", replace(lines.LINES, longest_line=2**18, block_bytes=2**16))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n" + bytes(2**26)))

    def refused() -> None:
        with pytest.raises(DataError, match=r"a\.csv\.gz: the line at byte 8 is longer"):
            _ = open_dataset(tmp_path / "a.csv.gz", columns=["x"]).n_rows

    refused()
    assert traced_peak(refused, 2**22) < 2**22


@pytest.mark.parametrize("block_bytes", range(4, 40))
def test_quotes_that_go_on_in_another_block(tmp_path, monkeypatch, block_bytes):
    (tmp_path / "a.csv").write_text('x,name\n1,"a\nb"\n2,"c""d\n\n"\n3,e\n4,""\n')
    source = open_dataset(tmp_path / "a.csv", columns=["x"])
    monkeypatch.setattr(lines, "LINES", replace(lines.LINES, block_bytes=block_bytes))
    np.testing.assert_array_equal(read(source.rows(0, source.n_rows)), [[1], [2], [3], [4]])
