"""Lists of paths, and patterns."""

import fsspec
import numpy as np
import pytest
import zarr

from dgmm import GaussianMixture, open_dataset
from dgmm.data import DataError
from tests.data.contract import check_source, write_parquet

DRAW = np.random.default_rng(0)


class TestManyPaths:
    @pytest.fixture
    def months(self, tmp_path):
        parts = [DRAW.normal(number, 1, (30, 2)) for number in range(3)]
        for number, part in enumerate(parts):
            columns = {"a": part[:, 0], "b": part[:, 1]}
            write_parquet(tmp_path / f"month-{number}.parquet", columns)
            rows = zarr.create_array(
                str(tmp_path / f"month-{number}.zarr"), shape=(30, 2), chunks=(15, 2), dtype="f8"
            )
            rows[:] = part
            group = zarr.create_group(str(tmp_path / f"group-{number}"))
            for name in list(columns)[:: 1 - 2 * (number % 2)]:
                group.create_array(name, data=columns[name].astype("f4" if number == 2 else "f8"))
        return tmp_path, parts

    def test_lists(self, months):
        folder, parts = months
        expected = np.concatenate([parts[2], parts[0]])
        files = [folder / "month-2.parquet", str(folder / "month-0.parquet")]
        check_source(open_dataset(files), expected, ("a", "b"))
        model = GaussianMixture(1).fit(files)
        np.testing.assert_allclose(model.means_[0], expected.mean(axis=0))
        assert list(model.feature_names_in_) == ["a", "b"]
        scores = GaussianMixture(1).fit(expected).score_samples(expected)
        np.testing.assert_allclose(np.asarray(model.score_samples(files)), scores, rtol=1e-9)
        check_source(open_dataset([str(folder / f"month-{i}.zarr") for i in (2, 0)]), expected)

    def test_groups_by_names(self, months):
        folder, parts = months
        check_source(
            open_dataset([folder / "group-0", folder / "group-1"]), np.concatenate(parts[:2]), ("a", "b")
        )
        mixed = open_dataset([folder / "group-2", folder / "group-1"], columns=["b"])
        expected = np.concatenate([parts[2].astype("f4"), parts[1]])[:, [1]]
        check_source(mixed, expected, ("b",))

    @pytest.mark.parametrize(
        ("pattern", "numbers"),
        [("month-[01].parquet", [0, 1]), ("month-?.parquet", [0, 1, 2]), ("*.parquet", [0, 1, 2]),
         ("**/month-[12].parquet", [1, 2]), ("month-*.zarr", [0, 1, 2])],
    )  # fmt: skip
    def test_patterns(self, months, pattern, numbers):
        folder, parts = months
        expected = np.concatenate([parts[number] for number in numbers])
        names = None if pattern.endswith("zarr") else ("a", "b")
        check_source(open_dataset(str(folder / pattern)), expected, names)

    def test_at_urls(self, months):
        folder, parts = months
        filesystem = fsspec.filesystem("memory")
        url = f"memory://many{folder}"
        for number in range(3):
            filesystem.pipe(
                f"/many{folder}/p-{number}.parquet", (folder / f"month-{number}.parquet").read_bytes()
            )
        check_source(open_dataset(f"{url}/p-[02].parquet"), np.concatenate([parts[0], parts[2]]), ("a", "b"))
        check_source(open_dataset([f"{url}/p-1.parquet"]), parts[1], ("a", "b"))
        check_source(open_dataset(url), np.concatenate(parts), ("a", "b"))

    def test_a_name_that_looks_like_a_pattern(self, months):
        folder, parts = months
        (folder / "month-1.parquet").rename(folder / "month-[02].parquet")
        check_source(open_dataset(folder / "month-[02].parquet"), parts[1], ("a", "b"))

    def test_what_is_not_there_or_of_two_kinds(self, months):
        folder, _ = months
        with pytest.raises(FileNotFoundError, match=r"nothing matches .*week-\*\.parquet"):
            open_dataset(str(folder / "week-*.parquet"))
        with pytest.raises(FileNotFoundError, match=r"month-7\.parquet does not exist"):
            open_dataset([folder / "month-0.parquet", folder / "month-7.parquet"])
        with pytest.raises(
            DataError, match=r"month-0\.parquet \(parquet\) and .*month-0\.zarr \(zarr\) cannot"
        ):
            open_dataset([folder / "month-0.parquet", folder / "month-0.zarr"])
        with pytest.raises(DataError, match=r"group-0 has other features than .*month-0\.zarr"):
            open_dataset([folder / "month-0.zarr", folder / "group-0"])
