"""Parquet files that do not all say the same of their columns."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dgmm import DataWarning, GaussianMixture, open_dataset
from dgmm.data import DataError
from tests.data.contract import check_source, write_parquet

DRAW = np.random.default_rng(0)


class TestFilesThatDiffer:
    """The schema of a folder is that of all its files, checked."""

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize(
        ("other", "words"),
        [
            (pa.nulls(3), r"\.parquet: column 'z' holds only nulls, but numbers in .*\.parquet"),
            (
                ["a", "b", "c"],
                r"column 'z' \(string\) does not hold real numbers, but it does in .*\.parquet",
            ),
            ([[1.0, 2.0]] * 3, r"column 'z' has [12] numbers a row in .*\.parquet, and [12] in .*\.parquet"),
            (None, r"\.parquet has no column 'z', but .*\.parquet has"),
        ],
        ids=["null", "text", "list", "missing"],
    )
    def test_a_column_that_is_numbers_in_one_file_only(self, tmp_path, order, other, words):
        files = [{"x": [1.0, 2, 3], "z": [4.0, 5, 6]}, {"x": [1.0, 2, 3]} | ({"z": other} if other else {})]
        for number, columns in enumerate(files[::order]):
            write_parquet(tmp_path / f"{number}.parquet", columns)
        with pytest.raises(DataError, match=words + ".*leave it out with columns="):
            open_dataset(tmp_path)
        check_source(open_dataset(tmp_path, columns=["x"]), np.array([[1.0, 2, 3] * 2]).T, ("x",))

    def test_nulls_that_are_asked_for(self, tmp_path):
        write_parquet(tmp_path / "0.parquet", {"x": [1.0, 2], "z": pa.nulls(2)})
        write_parquet(tmp_path / "1.parquet", {"x": [3.0], "z": [4]})
        rows = np.array([[1, np.nan], [2, np.nan], [3, 4]])
        check_source(open_dataset(tmp_path, columns=["x", "z"]), rows, ("x", "z"))

    @pytest.mark.parametrize("columns", [None, ["a", "b"]])
    def test_columns_in_another_order_and_of_other_numbers(self, tmp_path, columns):
        write_parquet(tmp_path / "0.parquet", {"a": [1, 2], "b": np.array([0.5, 1], "f4")})
        write_parquet(tmp_path / "1.parquet", {"b": [True], "a": [2.5]})
        check_source(open_dataset(tmp_path, columns), np.array([[1, 0.5], [2, 1], [2.5, 1]]), ("a", "b"))

    def test_text_that_is_categories_elsewhere_is_left_out(self, tmp_path):
        write_parquet(tmp_path / "0.parquet", {"a": [1.0], "kind": ["x"]})
        write_parquet(tmp_path / "1.parquet", {"a": [1.0], "kind": pa.array(["x"]).dictionary_encode()})
        write_parquet(tmp_path / "2.parquet", {"a": [1.0]})
        with pytest.warns(DataWarning, match="column 'kind' .* was left out"):
            assert open_dataset(tmp_path).feature_names == ("a",)

    @pytest.mark.parametrize("labels", [["u", "v", "u"], [7, 9, 7], [0.5, 0.1, 0.5]])
    def test_categories_of_pandas_are_labels_as_in_memory(self, tmp_path, labels):
        frame = pd.DataFrame({"kind": pd.Categorical(labels), "x": [1.0, 2, 4]})
        frame.to_parquet(tmp_path / "0.parquet")
        for given in (tmp_path, frame):
            with pytest.warns(DataWarning, match=r"column 'kind' \(.*categor.*\) was left out"):
                check_source(open_dataset(given), np.array([[1.0], [2], [4]]), ("x",))
        if not isinstance(labels[0], str):
            rows = np.column_stack([labels, [1.0, 2, 4]])
            check_source(open_dataset(tmp_path, columns=["kind", "x"]), rows, ("kind", "x"))

    def test_a_prediction_finds_the_columns_of_the_fit(self, tmp_path):
        table = write_parquet(
            tmp_path / "0.parquet", {"a": DRAW.normal(size=50), "b": DRAW.normal(size=50) + 9}
        )
        model = GaussianMixture(1).fit(table.to_pandas())
        write_parquet(
            tmp_path / "1.parquet", {"b": table["b"], "word": ["x"] * 50, "more": table["b"], "a": table["a"]}
        )
        found = np.asarray(model.score_samples(str(tmp_path)))
        np.testing.assert_array_equal(found, np.tile(model.score_samples(table.to_pandas()), 2))
        write_parquet(tmp_path / "2.parquet", {"b": [1.0]})
        with pytest.raises(ValueError, match=r"2\.parquet has no column 'a'"):
            model.score_samples(str(tmp_path))
