# pyright: reportArgumentType=false
"""What dgmm writes is read as it was written, or not at all: whatever bit is flipped, whatever is swapped."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

import dgmm
from dgmm.data import DataError, stores
from dgmm.data import fingerprint as fingerprint_module
from tests.cli.test_commands import succeed

N_ROWS = 4000


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N_ROWS, 3))


@pytest.fixture
def converted(tmp_path, rows, monkeypatch) -> Path:
    """Rows that dgmm has written, in chunks of 400 with checksums for each 1000."""
    monkeypatch.setattr(fingerprint_module, "RUN_ROWS", 1000)
    monkeypatch.setattr(stores, "OUTPUT", replace(stores.OUTPUT, chunk_bytes=400 * 24))
    zarr.create_array(tmp_path / "given.zarr", data=rows, chunks=(500, 3))
    succeed("convert", tmp_path / "given.zarr", tmp_path / "x.zarr")
    return tmp_path / "x.zarr"


@pytest.fixture
def written(tmp_path, monkeypatch) -> Path:
    """A folder of Parquet that dgmm has written: four files."""
    from dgmm.cli import output

    monkeypatch.setattr(output, "PART_ROWS", 1000)
    model = dgmm.GaussianMixture(1)
    model.fit(np.random.default_rng(0).normal(size=(50, 3))).save(tmp_path / "m.npz")
    succeed("sample", tmp_path / "m.npz", "-n", N_ROWS, "--out", tmp_path / "x.parquet", "--seed", 0)
    return tmp_path / "x.parquet"


def flip(path: Path, generator: np.random.Generator) -> None:
    """Flip one bit of the files of a store, its metadata too."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    sizes = np.array([file.stat().st_size for file in files])
    file = files[generator.choice(len(files), p=sizes / sizes.sum())]
    data = bytearray(file.read_bytes())
    data[generator.integers(len(data))] ^= 1 << generator.integers(8)
    file.write_bytes(data)


def outcomes(path: Path, n_flips: int, copy: Path) -> list[str]:
    """Tell of each of some flips whether it was refused, did no harm, or passed for other rows."""
    generator, found = np.random.default_rng(1), []
    expected = dgmm.fingerprint(path)
    for _ in range(n_flips):
        shutil.copytree(path, copy)
        flip(copy, generator)
        try:
            found.append("harmless" if dgmm.fingerprint(copy) == expected else "silent")
        except (DataError, FileNotFoundError):
            found.append("refused")
        shutil.rmtree(copy)
    return found


@pytest.mark.parametrize("kind", ["converted", "written"])
@pytest.mark.parametrize("n_flips", [30, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::dgmm.DataWarning")
def test_no_flip_of_a_bit_is_silent(kind, n_flips, request, tmp_path):
    path = request.getfixturevalue(kind)
    found = outcomes(path, n_flips, tmp_path / f"copy{path.suffix}")
    assert "silent" not in found
    assert found.count("refused") > 0.8 * n_flips


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


class TestSwapped:
    def test_chunks(self, converted, rows):
        np.testing.assert_array_equal(zarr.open_array(converted)[:], rows)  # anybody's Zarr reads it
        assert dgmm.fingerprint(converted) == dgmm.fingerprint(rows)
        swap(converted / "c/1/0", converted / "c/9/0")
        for fit in (
            dgmm.GaussianMixture(2).fit,
            dgmm.GaussianMixtureSweep([1, 2], verbose=0).fit,
            dgmm.fingerprint,
        ):
            with pytest.raises(
                DataError, match=r"rows 0 to 1000, 3000 to 4000 are not those that dgmm wrote"
            ):
                fit(converted)

    def test_they_may_be_taken(self, converted):
        swap(converted / "c/1/0", converted / "c/9/0")
        model = dgmm.GaussianMixture(1).fit(converted, allow_changed_data=True)
        assert model.data_changes_ is not None
        assert "rows 0 to 1000, 3000 to 4000 are not those that dgmm wrote" in model.data_changes_[0]

    def test_a_chunk_of_another_array(self, converted, tmp_path, rows):
        zarr.open_array(tmp_path / "given.zarr", mode="r+")[:] = -rows
        succeed("convert", tmp_path / "given.zarr", tmp_path / "y.zarr")
        shutil.copy(tmp_path / "y.zarr/c/5/0", converted / "c/5/0")
        with pytest.raises(DataError, match=r"rows 2000 to 3000 are not those that dgmm wrote"):
            dgmm.GaussianMixture(1).fit(converted)

    def test_files_of_parquet(self, written):
        assert len(list(written.iterdir())) == 4
        dgmm.open_dataset(written)
        swap(written / "part-00001.parquet", written / "part-00003.parquet")
        with pytest.raises(
            DataError, match=r"part-00001.parquet was written as part 3: files have been swapped"
        ):
            dgmm.open_dataset(written)


class TestWithoutChecksums:
    def test_info_says_so_with_the_command(self, converted, written, rows_zarr, rows_parquet, tmp_path):
        text = tmp_path / "t.csv"
        text.write_text("x,y\n1,2\n3,4\n")
        for path in (rows_zarr, rows_parquet, text, tmp_path / "given.zarr"):
            said = " ".join(succeed("info", path).split())
            assert f"damage not found: there are no checksums; `dgmm convert {path}" in said
        for path in (converted, written):
            assert "damage found: all is checksummed" in " ".join(succeed("info", path).split())

    def test_fits_say_so_once_in_their_log(self, converted, rows_zarr, caplog):
        with caplog.at_level(logging.INFO):
            dgmm.GaussianMixture(1, sample_rows=100).fit(rows_zarr)
            dgmm.GaussianMixture(1, sample_rows=100).fit(converted)
        said = [record.getMessage() for record in caplog.records if "no checksums" in record.getMessage()]
        assert len(said) == 1
        assert f"dgmm convert {rows_zarr} OUT.zarr" in said[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--allow-changed-data"], "changed data none, though it was allowed"), ([], "covariances full fit")],
)
def test_models_say_that_changed_data_were_allowed(rows_zarr, tmp_path, arguments, said):
    succeed("fit", rows_zarr, "-k", 2, "--out", tmp_path / "m.npz", "--seed", 0, *arguments)
    text = " ".join(succeed("info", tmp_path / "m.npz").split())
    assert said in text
    assert ("changed data" in text) == bool(arguments)
