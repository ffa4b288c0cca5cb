"""What is refused of rows and weights, with its place: as pass 0 meets it."""
# pyright: reportArgumentType=false, reportCallIssue=false

import dask.array as da
import numpy as np
import pandas as pd
import pytest

from dgmm.data import DataError, open_dataset, open_weights
from dgmm.fitting.survey import survey
from tests.model import naive

pytestmark = pytest.mark.usefixtures("small_spans")


@pytest.fixture
def rows(generator):
    return generator.normal(size=(6000, 3)) * [1.0, 10.0, 0.1] + [5.0, -1000.0, 0.0]


class TestNotFinite:
    def test_the_first_is_named_and_all_are_counted(self, rows, stored):
        rows[4321, 1] = np.nan
        rows[4321, 2] = np.inf
        rows[5000, 0] = np.nan
        message = r"(?s)^Input X contains NaN\..*row 4321, column 1, of .*2 NaN and 1 infinite values in all"
        for x in (rows, stored(rows), da.from_array(rows, chunks=(700, 2))):
            with pytest.raises(DataError, match=message):
                survey(open_dataset(x), 100, 0)

    def test_the_place_and_the_column_have_names(self, rows, tmp_path):
        rows[4321, 1] = np.inf
        frame = pd.DataFrame(rows, columns=["a", "b", "c"])
        frame.to_parquet(tmp_path / "x.parquet")
        message = r"(?s)^Input X contains infinity.*row 4321, column 'b' \(1\), of .*x\.parquet"
        with pytest.raises(DataError, match=message):
            survey(open_dataset(tmp_path / "x.parquet"), 100, 0)


@pytest.mark.filterwarnings("ignore:.*have no value at all:dgmm.data.DataWarning")
class TestMissing:
    """Rows that lack values, where they may."""

    @pytest.fixture
    def incomplete(self, rows, generator):
        return naive.with_missing(generator, rows, share=0.2)

    def test_infinite_values_are_refused(self, incomplete):
        incomplete[0] = [np.nan, 0.0, 0.0]
        incomplete[77, 2] = -np.inf
        with pytest.raises(DataError, match=r"(?s)infinity.*row 77, column 2, .* 0 NaN and 1 infinite"):
            survey(open_dataset(incomplete), 100, 0, takes_nan=True)

    def test_a_column_without_values_is_named(self, incomplete):
        incomplete[:, 1] = np.nan
        frame = pd.DataFrame(incomplete, columns=["a", "b", "c"])
        with pytest.raises(DataError, match=r"column 'b' \(1\) holds only NaN: leave it out"):
            survey(open_dataset(frame), 100, 0, takes_nan=True)

    def test_a_column_with_values_in_rows_without_weight(self, incomplete):
        incomplete[:, 1] = np.nan
        incomplete[5, 1] = 1.0
        weights = np.ones(6000)
        weights[5] = 0.0
        with pytest.raises(DataError, match="column 1 holds only NaN in rows with a weight"):
            survey(open_dataset(incomplete), 100, 0, open_weights(weights), takes_nan=True)

    def test_overflow_is_named(self, incomplete):
        incomplete[4000] = [np.nan, 1e200, np.nan]
        with pytest.raises(DataError, match=r"row 4000, column 1, .* holds 1e\+200"):
            survey(open_dataset(incomplete), 100, 0, takes_nan=True)


class TestWeights:
    @pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
    def test_bad_ones_are_named(self, rows, bad):
        weights = np.ones(6000)
        weights[4000] = bad
        with pytest.raises(DataError, match=rf"sample_weight must .*row 4000 has {bad}"):
            survey(open_dataset(rows), 100, 0, open_weights(weights))

    def test_that_sum_to_too_little(self, rows):
        with pytest.raises(DataError, match=r"sample_weight sums to 6e-07: too little"):
            survey(open_dataset(rows), 100, 0, open_weights(np.full(6000, 1e-10)))
