"""Rows to look at are drawn at random, and of large data not all is read."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

import dgmm
from dgmm.data import DataError
from dgmm.fitting import drawing
from dgmm.fitting.drawing import DrawingTuning, draw, some_of
from dgmm.passes.events import PassStarted, listening


@pytest.fixture
def numbered() -> Any:
    """4,000 rows in 40 chunks, each row its number."""
    array: Any = da
    return array.from_array(np.arange(4000.0)[:, None], chunks=(100, 1))


def test_rows_are_those_of_the_source_each_once(numbered):
    drawn = draw(dgmm.open_dataset(numbered), 500)[:, 0]
    assert len(drawn) == 500
    assert (np.diff(drawn) > 0).all()
    # Uniform: a mean is within five standard errors.
    assert drawn.mean() == pytest.approx(1999.5, abs=5 * 4000 / (12 * 500) ** 0.5)


def test_it_depends_on_rows_and_seed_alone(numbered):
    stored, here = dgmm.open_dataset(numbered), dgmm.open_dataset(np.arange(4000.0)[:, None])
    np.testing.assert_array_equal(draw(stored, 300, seed=4), draw(here, 300, seed=4))
    assert not np.array_equal(draw(here, 300, seed=4), draw(here, 300, seed=5))


def test_few_rows_are_all_drawn():
    rows = np.arange(10.0).reshape(5, 2)
    np.testing.assert_array_equal(draw(dgmm.open_dataset(rows), 7), rows)


def test_of_large_data_some_chunks_are_read(numbered, monkeypatch):
    monkeypatch.setattr(drawing, "DRAWING", DrawingTuning(largest_bytes=8000, fewest_chunks=8))
    source, seen = dgmm.open_dataset(numbered), []
    with listening(seen.append):
        drawn = draw(source, 200, seed=1)[:, 0]
    (begun,) = [event for event in seen if isinstance(event, PassStarted)]
    assert begun.n_rows == 1000
    assert len(drawn) == 200
    chunks = np.unique(drawn // 100)
    assert len(chunks) <= 10
    assert np.diff(chunks).max() <= 5  # they are spread over the rows
    # Each chunk may be among them.
    among = [span.start for seed in range(40) for span in some_of(source, seed).spans()]
    assert set(among) == set(range(0, 4000, 100))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="has no rows"):
        draw(dgmm.open_dataset(np.empty((0, 2))), 5)
    with pytest.raises(DataError, match="row 1, column 0"):
        draw(dgmm.open_dataset(np.array([[0.0], [np.inf]])), 5)


def test_missing_values_stay_missing():
    rows = np.array([[np.nan, 1.0], [2.0, np.nan]])
    np.testing.assert_array_equal(draw(dgmm.open_dataset(rows), 5), rows)
