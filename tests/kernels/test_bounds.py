"""Bounds of log joint densities are above the exact ones, or are none."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.kernels import bounds
from dgmm.kernels.bounds import bounds_of
from tests.model import naive

N_FEATURES, N_COMPONENTS = 21, 9


@pytest.fixture(autouse=True)
def few_components_are_worth_it(monkeypatch):
    tuning = replace(bounds.BOUNDS, row_work=0.0, gather_work=0.0, diagonal_pair_work=0.0)
    monkeypatch.setattr(bounds, "BOUNDS", tuning)


def mixture(family="full", spread=4.0):
    generator = np.random.default_rng(0)
    return naive.random_parameters(generator, family, N_COMPONENTS, N_FEATURES, spread=spread)


def drawn(model, n_rows):
    return naive.random_rows(np.random.default_rng(1), model, n_rows)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("family", ["full", "diag"])
def test_bounds_are_bounds(family, scale):
    """Of rows near and far, in float32, and in float64 where that would not do."""
    model = mixture(family)
    apart = np.where(np.arange(N_COMPONENTS) < 2, scale, 1.0)[:, None]
    model = replace(model, means=model.means * apart)
    rows = np.concatenate([drawn(model, 200), 3 * drawn(model, 50), model.means])
    made = bounds_of(model, rows.mean(axis=0))
    assert made is not None
    found = made.of_rows(rows)
    assert found is not None
    exact = naive.exact_log_joint(model, rows).T
    assert (found[0] + found[1] + 1e-6 * np.abs(found[0]) >= exact).all()
    assert found[1] <= bounds.BOUNDS.bound_error


def test_bounds_that_rounding_spoils_are_none():
    model = mixture()
    made = bounds_of(model, np.zeros(N_FEATURES))
    assert made is not None
    rows = drawn(model, 100)
    rows[7] = 1e12
    assert made.of_rows(rows) is None
    rows[7] = np.nan
    assert made.of_rows(rows) is None


def test_overlapping_components_have_no_bounds():
    assert bounds_of(mixture(spread=0.05), np.zeros(N_FEATURES)) is None


def test_bounds_have_no_more_directions_than_are_allowed():
    made = bounds_of(mixture(), np.zeros(N_FEATURES))
    assert made is not None
    assert len(made.directions) <= bounds.most_directions(N_FEATURES) < N_FEATURES
