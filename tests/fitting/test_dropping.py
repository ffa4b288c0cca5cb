"""Complete cases: the rows that lack nothing, as though there were no others."""
# pyright: reportArgumentType=false

import dask.array as da
import numpy as np
import pytest

from dgmm.data import DataError, open_dataset, open_weights
from dgmm.data.memory import MemorySource
from dgmm.fitting.dropping import complete_cases
from dgmm.fitting.fingerprint import fingerprint
from dgmm.fitting.survey import survey
from dgmm.passes.watched import WatchedSource
from tests.model import naive

pytestmark = pytest.mark.usefixtures("small_spans")


@pytest.fixture
def rows(generator):
    rows = naive.with_missing(generator, generator.normal(size=(6000, 3)), share=0.1)
    rows[:1500] = np.nan  # whole spans
    return rows


def test_the_rows_that_are_left(rows, stored, tmp_path):
    """In memory, mapped, stored or lazy: with the numbers, the sample and the moments of the others alone."""
    kept = rows[~np.isnan(rows).any(axis=1)]
    weights = np.arange(1.0, 6001.0)
    own = weights[~np.isnan(rows).any(axis=1)]
    wanted = survey(open_dataset(kept), 400, 3, open_weights(own))
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for x in (rows, mapped, stored(rows), da.from_array(rows, chunks=(700, 3))):
        cases = complete_cases(open_dataset(x), open_weights(weights))
        assert cases.source.n_rows == len(kept)
        assert cases.n_dropped == 6000 - len(kept)
        assert cases.fingerprint == fingerprint(rows)
        assert cases.n_passes == (0 if x is rows else 1)
        found = survey(cases.source, 400, 3, cases.weights)
        np.testing.assert_array_equal(found.sample.numbers, wanted.sample.numbers)
        np.testing.assert_array_equal(found.sample.values, wanted.sample.values)
        np.testing.assert_array_equal(found.sample.weights, wanted.sample.weights)
        np.testing.assert_allclose(found.moments.scatter, wanted.moments.scatter, rtol=1e-9)
        assert found.moments.weight == wanted.moments.weight
        assert found.fingerprint == fingerprint(kept)


def test_nothing_lacks(rows):
    source = open_dataset(rows[1500:1600].copy()[~np.isnan(rows[1500:1600]).any(axis=1)])
    cases = complete_cases(source, None)
    assert isinstance(cases.source, WatchedSource)
    assert cases.source.source is source
    assert cases.n_dropped == 0
    whole = open_dataset(np.arange(12).reshape(4, 3))
    kept = complete_cases(whole, None).source
    assert isinstance(kept, WatchedSource)
    assert kept.source is whole


def test_the_array_is_not_written_to(rows):
    before = rows.copy()
    cases = complete_cases(open_dataset(rows), None)
    assert isinstance(cases.source, MemorySource)
    np.testing.assert_array_equal(rows, before)


def test_infinite_values_are_named_where_they_are(rows, stored):
    rows[4321] = [1.0, 2.0, np.inf]
    for x in (rows, stored(rows)):
        with pytest.raises(DataError, match=r"(?s)infinity.*row 4321, column 2, .*leave these rows out\.$"):
            complete_cases(open_dataset(x), None)


@pytest.mark.parametrize("n_left", [0, 1])
def test_too_few_are_left(rows, n_left):
    rows[:, 0] = np.nan
    rows[:n_left] = 0.0
    rows[5999] = [0.0, np.nan, np.nan]
    with pytest.raises(
        DataError, match=rf"leaves {n_left} of the 6,000 rows of .*missing='marginalize' fits"
    ):
        complete_cases(open_dataset(rows), None)


def test_a_column_of_nothing_is_named(rows, stored):
    rows[:, 1] = np.nan
    for x in (rows, stored(rows)):
        with pytest.raises(DataError, match=r"column 1 holds only NaN.*leaves no row: leave this column out"):
            complete_cases(open_dataset(x), None)


def test_weights_are_checked_by_their_rows(rows):
    weights = np.ones(6000)
    weights[4000] = -1.0
    with pytest.raises(DataError, match="row 4000 has -1"):
        complete_cases(open_dataset(rows), open_weights(weights))
