import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dgmm.data import open_dataset, siblings
from dgmm.data.location import locate
from dgmm.data.stores import create_parquet, create_zarr, write_parquet_part, write_rows
from dgmm.data.writing import creating
from tests.data.contract import check_source


class TestCreating:
    def test_leaves_nothing_after_an_error(self, tmp_path):
        def fail() -> None:
            with creating(tmp_path / "x.zarr") as path:
                write_rows(create_zarr(path, (5,), "f8"), 0, np.ones(5))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("kind", ["zarr", "parquet"])
    def test_what_is_written_after_an_error_does_not_come_back(self, tmp_path, kind):
        late = []

        def fail() -> None:
            with creating(tmp_path / "x") as path:
                if kind == "zarr":
                    late.append(partial(write_rows, create_zarr(path, (5,), "f8"), 0, np.ones(5)))
                else:
                    create_parquet(path)
                    late.append(partial(write_parquet_part, path, 0, {"a": np.ones(5)}))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with pytest.raises(FileNotFoundError):
            late[0]()
        assert os.listdir(tmp_path) == []

    def test_a_clean_up_that_fails_hides_no_error(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setattr(siblings, "SIBLING", replace(siblings.SIBLING, removals=1))

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError

        monkeypatch.setattr("shutil.rmtree", refuse)

        def fail() -> None:
            with creating(tmp_path / "x") as path:
                create_parquet(path)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert "could not be removed" in caplog.text

    def test_refuses_what_exists(self, tmp_path):
        (tmp_path / "x.zarr").mkdir()
        with pytest.raises(FileExistsError, match=r"x.zarr exists"), creating(tmp_path / "x.zarr"):
            pass

    @pytest.mark.parametrize("before", ["zarr", "parquet", "file", "empty folder"])
    def test_replaces_where_asked(self, tmp_path, before):
        target = tmp_path / "x"
        match before:
            case "zarr":
                create_zarr(target, (7, 2), "f8")
            case "parquet":
                create_parquet(target)
                write_parquet_part(target, 0, {"a": np.ones(3)})
            case "file":
                target.write_text("old")
            case _:
                target.mkdir()
        with creating(target, overwrite=True) as path:
            write_rows(create_zarr(path, (5, 1), "f8"), 0, np.ones((5, 1)))
        check_source(open_dataset(target), np.ones((5, 1)))
        assert os.listdir(tmp_path) == ["x"]

    def test_keeps_the_old_store_after_an_error(self, tmp_path):
        create_parquet(tmp_path / "x")
        write_parquet_part(tmp_path / "x", 0, {"a": np.ones(3)})
        with pytest.raises(RuntimeError), creating(tmp_path / "x", overwrite=True):
            raise RuntimeError
        check_source(open_dataset(tmp_path / "x"), np.ones((3, 1)), ("a",))

    def test_does_not_replace_a_folder_of_something_else(self, tmp_path):
        (tmp_path / "letters").mkdir()
        (tmp_path / "letters" / "love.txt").write_text("dear")
        with (
            pytest.raises(FileExistsError, match="folder of something else"),
            creating(tmp_path / "letters", overwrite=True),
        ):
            pass
        assert (tmp_path / "letters" / "love.txt").exists()

    def test_needs_the_folder(self, tmp_path):
        with (
            pytest.raises(FileNotFoundError, match="none does not exist"),
            creating(tmp_path / "none" / "x.zarr"),
        ):
            pass

    @pytest.mark.parametrize("kind", ["zarr", "parquet"])
    def test_urls(self, tmp_path, kind):
        url = f"memory://writing-tests{tmp_path}/x"

        def write(value: float, *, target: str = url, overwrite: bool = False, fail: bool = False) -> None:
            with creating(target, overwrite=overwrite) as path:
                if kind == "zarr":
                    write_rows(create_zarr(path, (5, 1), "f8"), 0, np.full((5, 1), value))
                else:
                    create_parquet(path)
                    write_parquet_part(path, 0, {"a": np.full(5, value)})
                if fail:
                    raise RuntimeError

        names = None if kind == "zarr" else ("a",)
        write(1)
        check_source(open_dataset(url), np.full((5, 1), 1.0), names)
        with pytest.raises(FileExistsError):
            write(2)
        write(2, overwrite=True)
        check_source(open_dataset(url), np.full((5, 1), 2.0), names)
        with pytest.raises(RuntimeError):
            write(3, overwrite=True, fail=True)
        check_source(open_dataset(url), np.full((5, 1), 2.0), names)
        with pytest.raises(RuntimeError):
            write(3, target=f"{url}2", fail=True)
        filesystem, root = locate(url)
        assert [os.path.basename(each) for each in filesystem.ls(os.path.dirname(root), detail=False)] == [
            "x"
        ]

    @pytest.mark.parametrize("end", ["x", "x/"])
    @pytest.mark.parametrize("start", ["file://", "", "memory:/"])
    def test_what_a_path_ends_in(self, tmp_path, start, end):
        with creating(f"{start}{tmp_path}/{end}") as path:
            write_rows(create_zarr(path, (5, 1), "f8"), 0, np.ones((5, 1)))
        filesystem, root = locate(f"{start}{tmp_path}/")
        assert [os.path.basename(each.rstrip("/")) for each in filesystem.ls(root, detail=False)] == ["x"]

    def test_file_urls_are_paths(self, tmp_path):
        with creating(f"file://{tmp_path}/x") as path:
            write_rows(create_zarr(path, (5, 1), "f8"), 0, np.ones((5, 1)))
        assert os.listdir(tmp_path) == ["x"]
