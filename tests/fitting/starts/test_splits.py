"""Splits of components: all at once, or each on its own rows about its own mean."""

import numpy as np
import pytest

from dgmm.fitting.starts import parts, splits
from dgmm.fitting.starts.parts import PartTuning, shares
from dgmm.fitting.starts.splits import SplitTuning, best_splits
from dgmm.fitting.steps.climb import Upwards, climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def rows_and_mixture(covariance_type, *, dtype=np.float64):
    """Rows of six clusters, and three components that have climbed on them."""
    generator = np.random.default_rng(7)
    truth = naive.random_parameters(generator, covariance_type, 6, 3)
    rows = naive.random_rows(generator, truth, 3000).astype(dtype)
    start = naive.random_parameters(generator, covariance_type, 3, 3)
    return rows, climb(InMemory.of(rows), start, Likelihood(1e-6), 20).parameters


def by_component(found):
    return sorted(found, key=lambda each: each.component)


@each_family
@pytest.mark.parametrize("weighted", [False, True])
def test_together_is_each_on_its_own_rows(covariance_type, weighted, monkeypatch):
    rows, mixture = rows_and_mixture(covariance_type)
    weights = np.random.default_rng(8).gamma(2.0, size=len(rows)) if weighted else None
    data = InMemory.of(rows, weights)
    monkeypatch.setattr(parts, "PARTS", PartTuning(smallest_share=0.0))  # all rows are a component's own
    monkeypatch.setattr(Upwards, "extrapolated", lambda *_: None)  # alone, some steps stand for several
    together = by_component(best_splits(data, mixture, Likelihood(1e-6)))
    monkeypatch.setattr(splits, "SPLITS", SplitTuning(spared_products=0.0))
    alone = by_component(best_splits(data, mixture, Likelihood(1e-6)))
    assert [each.component for each in together] == [each.component for each in alone] == [0, 1, 2]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.gain == pytest.approx(theirs.gain, rel=1e-6, abs=1e-9)
        np.testing.assert_allclose(ours.parts.means, theirs.parts.means, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(ours.parts.weights, theirs.parts.weights, rtol=1e-6)
        np.testing.assert_allclose(ours.parts.covariances, theirs.parts.covariances, rtol=1e-5, atol=1e-9)


@each_family
def test_single_precision_finds_the_same_splits(covariance_type):
    rows, mixture = rows_and_mixture(covariance_type)
    exact = best_splits(InMemory.of(rows), mixture, Likelihood(1e-6))
    rough = best_splits(InMemory.of(rows.astype(np.float32)), mixture, Likelihood(1e-6))
    assert [each.component for each in rough] == [each.component for each in exact]
    for ours, theirs in zip(rough, exact, strict=True):
        assert ours.gain == pytest.approx(theirs.gain, abs=1e-4)


@each_family
def test_narrow_components_far_away_are_split_about_their_own_mean(covariance_type):
    """Two clusters, a millionth apart and narrower: about the mean of the rows their sums cancel.

    Beside a wide component tied ones do not gain from a split of them: there all are narrow.
    """
    generator = np.random.default_rng(9)
    widths = np.repeat([1e-8 if naive.STRUCTURES[covariance_type][0] else 1.0, 1e-8], [400, 800])[:, None]
    rows = widths * generator.normal(size=(1200, 2))
    rows[400:800] += [50.0, 50.0]
    rows[800:] += [50.0 + 1e-6, 50.0]
    narrow, wide = np.eye(2) * 1e-12, np.eye(2)
    mixture = Parameters.from_covariances(
        FAMILIES[covariance_type],
        np.array([1.0, 2.0]) / 3,
        np.array([[0.0, 0.0], [50.0 + 5e-7, 50.0]]),
        naive.covariances_of(
            covariance_type, np.stack([narrow if naive.STRUCTURES[covariance_type][0] else wide, narrow])
        ),
    )
    found = by_component(best_splits(InMemory.of(rows), mixture, Likelihood(0.0)))
    halves = found[1].parts
    assert sorted(halves.means[:, 0] - 50.0) == pytest.approx([0.0, 1e-6], abs=1e-8)
    np.testing.assert_allclose(halves.weights, 0.5, atol=0.01)


def test_the_others_of_a_tied_mixture_are_told_of_its_covariance(generator):
    """What all share after a split, by the M-step's formula in full; `test_moves` has what it gains."""
    rows, mixture = rows_and_mixture("tied")
    weights = generator.gamma(2.0, size=len(rows))
    data = InMemory.of(rows, weights)
    share = shares(data, mixture)
    for move in best_splits(data, mixture, Likelihood(1e-3), 1):
        halves, others = move.parts, np.delete(np.arange(3), move.component)
        within = np.zeros((3, 3))
        for k in others:
            mean = np.average(rows, axis=0, weights=share[k])
            within += (share[k][:, None] * (rows - mean)).T @ (rows - mean)
        start = by_component(best_splits(data, mixture, Likelihood(1e-3), 0))[move.component].parts
        log_joint = naive.log_joint(start, rows)
        half = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True)).T
        for own in half * share[move.component]:
            mean = np.average(rows, axis=0, weights=own)
            within += (own[:, None] * (rows - mean)).T @ (rows - mean)
        np.testing.assert_allclose(halves.covariances, within / weights.sum() + 1e-3 * np.eye(3), rtol=1e-9)
