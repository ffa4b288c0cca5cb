"""Scores against exact derivatives, and sums of them that do not depend on how rows are cut."""

from dataclasses import replace

import numpy as np
import pytest

import dgmm.kernels.scores
from dgmm.kernels.scores import SCORES, ScoredRows, sum_scores
from dgmm.model.families import FAMILIES
from dgmm.model.layout import Layout
from tests.model import naive


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.mark.parametrize("family", FAMILIES)
def test_products_of_scores_are_those_of_derivatives(generator, family):
    parameters = naive.random_parameters(generator, family, 3, 2)
    rows, weights = naive.random_rows(generator, parameters, 50), generator.uniform(0, 2, 50)
    found = sum_scores(parameters, [ScoredRows(rows, weights)], squared=True)
    values = naive.packed_parameters(parameters)
    by_values = naive.scores_at(parameters, values, rows)
    scores = naive.maps_of(parameters, Layout(parameters.family, 3, 2)).T @ by_values
    np.testing.assert_allclose(found.scores, (scores * weights) @ scores.T, rtol=1e-9, atol=1e-9)
    assert found.squared is not None
    np.testing.assert_allclose(found.squared, (scores * weights**2) @ scores.T, rtol=1e-9, atol=1e-9)
    assert found.weight == pytest.approx(weights.sum())
    assert found.n_rows == 50


def test_the_cut_of_rows_does_not_matter(generator, monkeypatch):
    parameters = naive.random_parameters(generator, "full", 3, 2)
    rows, weights = naive.random_rows(generator, parameters, 100), generator.uniform(0, 2, 100)
    whole = sum_scores(parameters, [ScoredRows(rows, weights)], squared=True)
    monkeypatch.setattr(dgmm.kernels.scores, "SCORES", replace(SCORES, block_bytes=1, fewest_rows=7))
    parts = [
        sum_scores(parameters, [ScoredRows(rows[p], weights[p])], squared=True)
        for p in (slice(60), slice(60, 100))
    ]
    for found in (sum_scores(parameters, [ScoredRows(rows, weights)], squared=True), parts[0] + parts[1]):
        for name in ("features", "products", "curvature", "expected", "scores", "squared"):
            np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-12, atol=1e-12)
        assert found.weight == pytest.approx(whole.weight)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spread", [3.0, 30.0])
def test_rows_of_the_same_components_are_summed_together(generator, monkeypatch, family, spread):
    """Whether few components have responsibilities for a row, or all: sums are those of all products."""
    parameters = naive.random_parameters(generator, family, 6, 2, spread=spread)
    rows, weights = naive.random_rows(generator, parameters, 500), generator.uniform(0, 2, 500)
    whole = sum_scores(parameters, [ScoredRows(rows, weights)], squared=True)
    apart = replace(SCORES, fewest_parameters=1, fewest_rows=5, most_work=10.0)
    monkeypatch.setattr(dgmm.kernels.scores, "SCORES", apart)
    found = sum_scores(parameters, [ScoredRows(rows, weights)], squared=True)
    for name in ("features", "products", "curvature", "expected", "scores", "squared"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-10, atol=1e-10)
    assert found.weight == pytest.approx(whole.weight)


def test_rows_beyond_all_but_one_component_count_for_it(generator):
    parameters = naive.random_parameters(generator, "spherical", 2, 2)
    parameters = replace(parameters, means=np.array([[0.0, 0.0], [1e200, 0.0]]))
    found = sum_scores(parameters, [ScoredRows(generator.normal(size=(20, 2)), None)])
    assert np.isfinite(found.scores).all()
    assert found.features[0, 0, 0] == pytest.approx(20.0)
    assert not found.products[1].any()
