# pyright: reportArgumentType=false
"""Quantiles in passes against NumPy's, however rows are cut."""

import dask.array as da
import numpy as np
import pytest

import dgmm.estimators.quantile
import dgmm.model.quantiles
from dgmm import open_dataset
from dgmm.data import open_weights
from dgmm.estimators.quantile import quantile
from dgmm.passes.events import PassFinished, listening


def first(rows):
    return rows.values[:, 0]


def in_passes(values, share, chunk=None, weights=None):
    """Return the quantile and the number of passes."""
    column = np.asarray(values)[:, None]
    source = open_dataset(column if chunk is None else da.from_array(column, chunks=(chunk, 1)))
    seen = []
    with listening(seen.append):
        found = quantile(source, first, share, None if weights is None else open_weights(weights))
    return found, sum(isinstance(event, PassFinished) for event in seen)


@pytest.fixture
def scores():
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(-20, 3, 9000), -generator.exponential(100.0, 1000)])


@pytest.fixture(params=["in one pass", "in two"])
def kept(request, monkeypatch):
    """Rows of which all bits are kept: fewer make a second pass necessary."""
    n_kept = 2**20 if request.param == "in one pass" else 5000
    monkeypatch.setattr(dgmm.estimators.quantile, "MOST_KEPT", n_kept)
    monkeypatch.setattr(dgmm.model.quantiles, "MOST_KEPT", n_kept)
    return n_kept


@pytest.mark.parametrize("share", [1e-4, 0.01, 0.05, 0.3333, 0.5])
def test_it_is_numpys(scores, share, kept):
    expected = np.quantile(scores, share)
    for chunk in (None, 700, 4096):
        found, n_passes = in_passes(scores, share, chunk)
        assert found == pytest.approx(expected, rel=1e-14)
        assert n_passes == (1 if kept > len(scores) else 2)


def test_weights_count_rows(scores, kept):
    weights = np.random.default_rng(1).integers(0, 4, len(scores))
    expected = np.quantile(np.repeat(scores, weights), 0.01)
    assert in_passes(scores, 0.01, 900, weights)[0] == pytest.approx(expected, rel=1e-14)


def test_the_cut_changes_no_bit(scores, kept):
    weights = np.random.default_rng(1).integers(1, 4, len(scores)) / 4
    assert len({in_passes(scores, 0.01, chunk, weights)[0] for chunk in (100, 101, 9000)}) == 1


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-9])
def test_rank_errors_are_small_where_not_all_is_kept(spread, monkeypatch):
    for module in (dgmm.estimators.quantile, dgmm.model.quantiles):
        monkeypatch.setattr(module, "MOST_KEPT", 10)
    values = 1e4 + spread * np.random.default_rng(0).normal(size=200_000)
    found, n_passes = in_passes(values, 0.01, 50_000)
    assert abs((values < found).mean() - 0.01) < 1e-4
    assert n_passes <= 4


def test_ties_and_infinities(kept):
    values = np.repeat([-np.inf, 2.0, 3.0], [10, 5000, 5000])
    assert in_passes(values, 0.0005)[0] == -np.inf
    assert in_passes(values, 0.25)[0] == 2.0
    assert in_passes(np.full(7000, -3.0), 0.01)[0] == -3.0
    assert in_passes([5.0], 0.01)[0] == 5.0


def test_what_it_refuses(scores):
    with pytest.raises(ValueError, match="row 7, of"):
        quantile(
            open_dataset(scores[:, None]),
            lambda rows: np.where(np.arange(len(rows.values)) == 7, np.nan, 0.0),
            0.1,
        )
    with pytest.raises(ValueError, match="zero in every row"):
        in_passes(scores, 0.1, None, np.zeros(len(scores)))
