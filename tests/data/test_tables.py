"""Which columns are features: vectors, and ordinary numbers."""

import numpy as np
import pyarrow as pa
import pytest

from dgmm import DataWarning, GaussianMixture, open_dataset
from dgmm.data import DataError
from tests.data.contract import check_source, rows_of, write_parquet

DRAW = np.random.default_rng(0)


class TestVectors:
    def vectors(self, kind):
        values = DRAW.normal(size=(70, 5)).astype("f4")
        if kind == "fixed":
            return values, pa.FixedSizeListArray.from_arrays(values.ravel(), 5)
        if kind == "tensor":
            return values, pa.FixedShapeTensorArray.from_numpy_ndarray(values)
        return values, pa.array(
            values.tolist(), (pa.large_list if kind == "large" else pa.list_)(pa.float32())
        )

    @pytest.mark.parametrize("kind", ["fixed", "list", "large", "tensor"])
    def test_are_features(self, tmp_path, kind):
        values, column = self.vectors(kind)
        write_parquet(tmp_path / "a.parquet", {"e": column, "x": values[:, 0]}, row_group_size=30)
        names = tuple(f"e[{i}]" for i in range(5))
        check_source(open_dataset(tmp_path / "a.parquet", columns=["e"]), values, names)
        check_source(open_dataset(tmp_path), np.column_stack([values, values[:, 0]]), (*names, "x"))
        some = open_dataset(tmp_path, columns=["e[3]", "x", "e[0]", "e[1]"])
        check_source(some, values[:, [3, 0, 0, 1]], ("e[3]", "x", "e[0]", "e[1]"))

    def test_a_model_finds_them_again(self, tmp_path):
        values, column = self.vectors("fixed")
        write_parquet(tmp_path / "a.parquet", {"id": np.arange(70), "e": column, "word": ["x"] * 70})
        with pytest.warns(DataWarning) as told:
            model = GaussianMixture(1).fit(tmp_path)
        assert ["'word'" in str(told[0].message), "'id'" in str(told[1].message)] == [True, True]
        model = GaussianMixture(1).fit(open_dataset(tmp_path, columns=["e"]))
        assert list(model.feature_names_in_) == [f"e[{i}]" for i in range(5)]
        found = np.asarray(model.score_samples(tmp_path))
        np.testing.assert_allclose(found, GaussianMixture(1).fit(values).score_samples(values), rtol=1e-9)

    @pytest.mark.parametrize("told", [True, False], ids=["nulls counted", "no statistics"])
    @pytest.mark.parametrize(
        "lists",
        [
            [None, [1, 2, 3], [4, 5, 6]],
            [[1, 2, 3], None, None, [4, None, 6]],
            [None, [None, 1]],
            [[1, None], [2, 3]],
            [[None, None, 1], [None, 2, 3]],
            [None, [1, 2], *[[3, 4]] * 30],
            [None, [1.5], [2.5]],
        ],
    )
    def test_some_of_which_are_null(self, tmp_path, lists, told):
        column = pa.array(lists, pa.list_(pa.float64()))
        write_parquet(
            tmp_path / "a.parquet",
            {"e": column, "x": np.ones(len(lists))},
            row_group_size=2,
            write_statistics=told,
        )
        width = len(next(filter(None, lists)))
        rows = np.array([each or [np.nan] * width for each in lists], float)
        names = tuple(f"e[{i}]" for i in range(width))
        check_source(open_dataset(tmp_path, columns=["e"]), rows, names)
        check_source(open_dataset(tmp_path), np.column_stack([rows, np.ones(len(lists))]), (*names, "x"))

    def test_none_of_which_is_there_in_one_file(self, tmp_path):
        write_parquet(
            tmp_path / "0.parquet", {"e": pa.array([None, None], pa.list_(pa.float64())), "x": [1.0, 2]}
        )
        with pytest.warns(DataWarning, match=r"'e' \(list<.*, none of which has any number\) was left out"):
            check_source(open_dataset(tmp_path), np.array([[1.0], [2]]), ("x",))
        write_parquet(tmp_path / "1.parquet", {"e": [[3.0, 4]], "x": [5.0]})
        with pytest.raises(
            DataError, match=r"0\.parquet: column 'e' holds only nulls, but numbers in .*1\.parq"
        ):
            open_dataset(tmp_path)
        rows = np.array([[np.nan] * 2, [np.nan] * 2, [3, 4]])
        check_source(open_dataset(tmp_path, columns=["e"]), rows, ("e[0]", "e[1]"))
        write_parquet(tmp_path / "0.parquet", {"e": pa.nulls(2), "x": [1.0, 2]})
        check_source(open_dataset(tmp_path, columns=["e"]), rows, ("e[0]", "e[1]"))

    def test_whose_elements_are_called_as_another_column(self, tmp_path):
        table = write_parquet(tmp_path / "a.parquet", {"e": [[1.0, 2]], "e[0]": [3.0]})
        for given in (tmp_path, table, table.to_pandas()):
            with pytest.raises(DataError, match=r"several columns 'e\[0\]'"):
                open_dataset(given)

    @pytest.mark.parametrize("even", [True, False], ids=["as many numbers as if even", "fewer"])
    def test_that_are_ragged(self, tmp_path, even):
        lists = [[1.0, 2.0]] * 20 + ([[1.0], [1.0, 2, 3]] if even else [[1.0]])
        write_parquet(tmp_path / "a.parquet", {"e": lists, "x": np.ones(len(lists))})
        if even:  # the footer cannot tell
            with pytest.raises(DataError, match=r"a\.parquet: column 'e' has 1 numbers in row 20, where 2"):
                rows_of(open_dataset(tmp_path, columns=["e"]))
            return
        with pytest.raises(DataError, match=r"column 'e' \(list<.*, of different lengths\)"):
            open_dataset(tmp_path, columns=["e"])
        with pytest.warns(DataWarning, match=r"'e' \(list<.*, of different lengths\) was left out"):
            open_dataset(tmp_path)

    def test_of_other_lengths_in_other_files(self, tmp_path):
        for width in (2, 3):
            write_parquet(tmp_path / f"{width}.parquet", {"e": np.ones((4, width)).tolist()})
        with pytest.raises(
            DataError, match=r"column 'e' has 2 numbers a row in .*2\.parquet, and 3 in .*3\.parquet"
        ):
            open_dataset(tmp_path)


def test_an_ordinary_folder_is_quiet(tmp_path):
    write_parquet(
        tmp_path / "a.parquet",
        {"count": np.arange(50), "flag": [True, False] * 25, "x": DRAW.normal(size=50)},
    )
    assert open_dataset(tmp_path).n_features == 3  # warnings are errors
