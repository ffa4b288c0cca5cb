"""Where paths and URLs lead, and what is there."""

import os
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import zarr

from dgmm.data.listing import parquet_files, stored_kind
from dgmm.data.location import is_local, locate

PARQUET = pa.table({"a": [1.0]})


@pytest.mark.parametrize("name", ["a::b", "c:d", "~", "~x", "a b", "*", "[1]", "ü#?"])
def test_a_name_is_no_more_than_a_name(tmp_path: Path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"here")
    filesystem, root = locate(name)
    assert is_local(filesystem)
    assert root == str(tmp_path / name)
    assert filesystem.cat_file(root) == b"here"


def test_the_home_folder(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(os.path.join("~", "rows.zarr"))[1] == str(tmp_path / "rows.zarr")
    assert locate(Path("~") / "rows.zarr")[1] == str(tmp_path / "rows.zarr")


def test_urls_and_their_options(tmp_path: Path):
    filesystem, root = locate(f"file://{tmp_path}/x", {"auto_mkdir": True})
    assert is_local(filesystem)
    assert (root, filesystem.auto_mkdir) == (str(tmp_path / "x"), True)
    filesystem, root = locate("memory://folder/x")
    assert not is_local(filesystem)
    assert root == "/folder/x"


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["rows.zarr", "rows.parquet", "rows"])
def test_what_is_there_counts_not_its_name(tmp_path: Path, zarr_format, name):
    filesystem, root = locate(tmp_path / name)
    assert stored_kind(filesystem, root) is None
    zarr.create_array(root, data=np.eye(2), zarr_format=zarr_format)
    assert stored_kind(filesystem, root) == "zarr"
    zarr.create_group(str(tmp_path / "group"), zarr_format=zarr_format)
    assert stored_kind(filesystem, str(tmp_path / "group")) == "zarr"


def test_parquet_is_known_by_its_first_bytes(tmp_path: Path):
    filesystem, root = locate(tmp_path)
    pyarrow.parquet.write_table(PARQUET, tmp_path / "table")
    (tmp_path / "text.parquet").write_text("PAR")
    (tmp_path / "empty.parquet").touch()
    assert stored_kind(filesystem, f"{root}/table") == "parquet"
    assert stored_kind(filesystem, f"{root}/text.parquet") is None
    assert stored_kind(filesystem, f"{root}/empty.parquet") is None


def test_a_folder_is_parquet_if_a_file_in_it_is(tmp_path: Path):
    filesystem, root = locate(tmp_path)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "_temporary.parquet").touch()
    assert stored_kind(filesystem, root) is None
    (tmp_path / "part.parquet").touch()
    assert stored_kind(filesystem, root) == "parquet"


def test_files_in_natural_order_without_hidden_ones(tmp_path: Path):
    inside = tmp_path / "_2026"  # what the folder itself is called hides nothing
    expected = ["a/part-1.parquet", "a/part-2.parquet", "a/part-10.parquet", "b/1.parquet", "part.parquet"]
    hidden = ["_metadata", "_temporary/1.parquet", ".hidden.parquet", "a/.b/1.parquet", "readme.txt"]
    for name in [*reversed(expected), *hidden]:
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).touch()
    filesystem, root = locate(inside)
    assert [path.removeprefix(f"{root}/") for path in parquet_files(filesystem, root)] == expected
    assert parquet_files(filesystem, f"{root}/part.parquet") == [f"{root}/part.parquet"]


def test_the_same_at_urls():
    filesystem, root = locate("memory://location/rows")
    with fsspec.open("memory://location/rows/2.parquet", "wb") as file:
        pyarrow.parquet.write_table(PARQUET, file)
    assert stored_kind(filesystem, root) == "parquet"
    assert parquet_files(filesystem, root) == ["/location/rows/2.parquet"]
