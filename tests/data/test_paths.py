"""Paths that hold nothing, something else, or the same rows twice."""

import os

import pandas as pd
import pytest
import zarr

from dgmm.data import DataError, DataWarning, open_dataset


def test_an_empty_one_is_not_the_current_folder():
    with pytest.raises(FileNotFoundError, match="path of the data is empty"):
        open_dataset("")


def test_what_may_not_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # modes do not bind a test that root runs
    with pytest.raises(PermissionError, match="Permission denied"):
        open_dataset(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x.zarr does not exist"):
        open_dataset(tmp_path / "x.zarr")
    with pytest.raises(FileNotFoundError, match="memory://nothing/here does not exist"):
        open_dataset("memory://nothing/here")


def test_something_else(tmp_path):
    (tmp_path / "x.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "x.parquet", tmp_path / "folder"):
        with pytest.raises(DataError, match=f"{path.name} is neither a Zarr array or group"):
            open_dataset(path)


def test_damaged_metadata(tmp_path):
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(DataError, match="cannot be opened as Zarr"):
        open_dataset(tmp_path)


def test_what_is_named_twice_would_count_twice(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"x": [1.0, 2.0]}).to_parquet(path)
    for paths in ([path, path], [path, tmp_path], [path, tmp_path / "*.parquet"]):
        with pytest.raises(DataError, match=r"rows\.parquet is among the paths more than once"):
            open_dataset(paths)


@pytest.mark.parametrize("kind", ["parquet", "csv", "zarr"])
def test_a_link_to_what_is_there_too_is_told_of(tmp_path, kind):
    first, latest, other = (tmp_path / f"{name}.{kind}" for name in ("2024", "latest", "2025"))
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    for path in (first, other):
        if kind == "zarr":
            zarr.create_array(path, data=frame.to_numpy())
        else:
            (frame.to_parquet if kind == "parquet" else frame.to_csv)(path, index=False)
    assert open_dataset([first, other]).n_rows == 4
    latest.symlink_to(first)
    assert open_dataset([latest, other]).n_rows == 4  # wherever it leads
    ways = [[first, other, latest], tmp_path / f"*.{kind}", *([tmp_path] if kind != "zarr" else [])]
    for given in ways:
        with pytest.warns(DataWarning, match=rf"2024\.{kind} and .*latest\.{kind} are the same, by a link"):
            assert open_dataset(given).n_rows == 6
