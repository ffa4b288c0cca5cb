"""Splits and merges at once: what they gain, and where they lead."""

import numpy as np
import pytest

from dgmm.fitting.starts.exchanges import EXCHANGES, exchanged, judged, neighbours, promising, split_and_merge
from dgmm.fitting.starts.moves import Move, apply
from dgmm.fitting.starts.parts import shares
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.climb import climb, log_likelihood
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.fitting.starts.test_moves import climbed
from tests.model import naive


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_move_gains_what_it_says_at_least(covariance_type, weighted):
    data, fitted = climbed(covariance_type, seed=5, n_clusters=6, n_components=5, weighted=weighted)
    share = shares(data, fitted.parameters)
    for split in best_splits(data, fitted.parameters, Likelihood(1e-6), 2):
        first, second = [k for k in range(5) if k != split.component][:2]
        move = split_and_merge(
            data, share, fitted.parameters, split, (first, second), objective=Likelihood(1e-6)
        )
        found = apply(fitted.parameters, move)
        assert found.n_components == 5
        assert found.weights.sum() == pytest.approx(1.0)
        assert log_likelihood(data, found) - fitted.lower_bound >= move.gain - 1e-5


def test_a_move_takes_a_component_to_where_it_is_needed():
    """Two components on one cluster, one on two far ones: EM alone stays there."""
    generator = np.random.default_rng(4)
    centres = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 12.0]])
    rows = np.concatenate([centre + generator.normal(size=(600, 2)) for centre in centres])
    rows = rows[generator.permutation(len(rows))]
    start = naive.random_parameters(generator, "full", 3, 2)
    start = type(start).from_covariances(
        FAMILIES["full"],
        np.full(3, 1 / 3),
        np.array([[-1.0, 0.0], [1.0, 0.0], [40.0, 6.0]]),
        np.stack([np.eye(2), np.eye(2), np.diag([1.0, 40.0])]),
    )
    stuck = climb(InMemory.of(rows), start, Likelihood(1e-6), 100)
    moved = exchanged(stuck, InMemory.of(rows), Likelihood(1e-6))
    assert moved.lower_bound > stuck.lower_bound + 0.3
    np.testing.assert_allclose(
        moved.parameters.means[np.argsort(moved.parameters.means @ [1, 2])], centres, atol=0.2
    )
    known = exchanged(stuck, InMemory.of(rows), Likelihood(1e-6), known=stuck.lower_bound)
    assert known.lower_bound < stuck.lower_bound + 0.3  # what is known is not moved


def test_one_is_split_and_two_others_are_merged():
    """Each of the three ends on a cluster, and the gain is that of the mixture of these."""
    generator = np.random.default_rng(4)
    centres = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 12.0]])
    rows = np.concatenate([centre + generator.normal(size=(600, 2)) for centre in centres])
    data, thirds = InMemory.of(rows), np.full(3, 1 / 3)
    halves = np.array([[40.0, 6.0], [-1.0, 0.0], [1.0, 0.0]])
    covariances = np.stack([np.diag([1.0, 37.0]), np.eye(2), np.eye(2)])
    start = Parameters.from_covariances(FAMILIES["full"], thirds, halves, covariances)
    stuck = climb(data, start, Likelihood(1e-6), 50)
    (split, *_) = best_splits(data, stuck.parameters, Likelihood(1e-6), 2)
    assert split.component == 0
    share = shares(data, stuck.parameters)
    move = split_and_merge(data, share, stuck.parameters, split, (1, 2), objective=Likelihood(1e-6))
    order = np.argsort(move.parts.means @ [1, 2])
    np.testing.assert_allclose(move.parts.means[order], centres, atol=0.2)
    right = Parameters.from_covariances(FAMILIES["full"], thirds, centres, np.stack([np.eye(2)] * 3))
    best = climb(data, right, Likelihood(1e-6), 50)
    assert move.gain == pytest.approx(best.lower_bound - stuck.lower_bound, abs=0.01)


def test_neighbours_are_what_one_move_makes_whether_it_gains_or_not():
    """Of two optima a pair of which cannot be told apart by a few rows the other one is among them.

    A square of four clusters and three components: one of them has two clusters, on any side.
    """
    generator = np.random.default_rng(3)
    corners = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    data = InMemory.of(np.concatenate([corner + generator.normal(size=(200, 2)) for corner in corners]))
    sides = [(0, 1), (2, 3), (0, 2), (1, 3)]

    def with_side(pair):
        means = np.array([corners[[*pair]].mean(axis=0), *np.delete(corners, pair, axis=0)])
        wide = np.diag((corners[pair[0]] - corners[pair[1]]) ** 2 / 4 + 1.0)
        covariances = np.stack([wide, np.eye(2), np.eye(2)])
        start = Parameters.from_covariances(FAMILIES["full"], np.array([0.5, 0.25, 0.25]), means, covariances)
        return climb(data, start, Likelihood(1e-6), 50).lower_bound

    optima = np.array([with_side(pair) for pair in sides])
    means = np.array([[5.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    covariances = np.stack([np.diag([26.0, 1.0]), np.eye(2), np.eye(2)])
    start = Parameters.from_covariances(FAMILIES["full"], np.array([0.5, 0.25, 0.25]), means, covariances)
    own = climb(data, start, Likelihood(1e-6), 50)
    near = neighbours(data, own.parameters, Likelihood(1e-6), 3)
    reached = [climb(data, each, Likelihood(1e-6), 50).lower_bound for each in near]
    assert own.lower_bound == pytest.approx(optima[0], abs=1e-6)
    assert any(abs(each - optima[1:]).min() < 1e-6 for each in reached)
    assert len(neighbours(data, own.parameters, Likelihood(1e-6), 1)) == 1


@pytest.mark.parametrize("gains", [(), (0.5,), (0.5, 0.2), (0.5, 0.0), (0.5, 0.4, 0.3)])
def test_what_is_proposed(gains):
    """All moves that gain together, where there are several; then each of the best, one by one."""
    generator = np.random.default_rng(0)
    before = naive.random_parameters(generator, "full", 9, 2)
    moves = [
        Move([3 * k, 3 * k + 1, 3 * k + 2], naive.random_parameters(generator, "full", 3, 2), gain)
        for k, gain in enumerate(gains)
    ]
    found = [*promising(before, moves)]
    gaining = [move for move in moves if move.gain > 0.0]
    singles = moves[: EXCHANGES.n_tried]
    assert len(found) == (len(gaining) > 1) + len(singles)
    if len(gaining) > 1:
        together = before
        for move in gaining:
            together = apply(together, move)
        np.testing.assert_array_equal(found[0].means, together.means)
    for proposed, move in zip(found[len(found) - len(singles) :], singles, strict=True):
        np.testing.assert_array_equal(proposed.means, apply(before, move).means)


def test_moves_that_share_no_component_are_made_together():
    """Two clusters have two components each, and two pairs of clusters one each."""
    generator = np.random.default_rng(7)
    centres = np.array([[0.0, 0.0], [0.0, 50.0], [40.0, 0.0], [40.0, 9.0], [80.0, 0.0], [80.0, 9.0]])
    rows = np.concatenate([centre + generator.normal(size=(500, 2)) for centre in centres])
    means = np.array([[-0.5, 0.0], [0.5, 0.0], [-0.5, 50.0], [0.5, 50.0], [40.0, 4.5], [80.0, 4.5]])
    wide = np.diag([1.0, 21.0])
    covariances = np.stack([np.eye(2)] * 4 + [wide] * 2)
    start = Parameters.from_covariances(
        FAMILIES["full"], np.array([1, 1, 1, 1, 2, 2]) / 8, means, covariances
    )
    data = InMemory.of(rows)
    before = climb(data, start, Likelihood(1e-6), 20).parameters
    moves, _ = judged(data, before, Likelihood(1e-6), None)
    together = next(iter(promising(before, moves)))
    gain = log_likelihood(data, together) - log_likelihood(data, before)
    assert len({component for move in moves[:2] for component in move.components}) == 6
    assert gain >= moves[0].gain + moves[1].gain - 1e-9
    nearest = np.linalg.norm(together.means[:, None] - centres, axis=-1).argmin(axis=0)
    np.testing.assert_allclose(together.means[nearest], centres, atol=0.3)
