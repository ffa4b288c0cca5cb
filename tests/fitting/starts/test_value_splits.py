"""Values that rows repeat: what splits by them gain, what groups they make, and where there are none."""

import numpy as np
import pytest

from dgmm.fitting.starts.parts import shares
from dgmm.fitting.starts.value_splits import VALUE_SPLITS, grouped_by_values, least_share, value_splits
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters

PLAIN = Likelihood(1e-6)


def rows_with_zeros(share=0.6, n_rows=2000, seed=0):
    """The first feature is zero in some rows; all else is normal."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(n_rows, 2))
    rows[generator.random(n_rows) < share, 0] = 0.0
    return rows


def one(rows, covariance_type, n_components=1):
    """Fit one component, or that several times over."""
    family = FAMILIES[covariance_type]
    covariances = family.repeated(np.cov(rows.T, bias=True), n_components)
    weights = np.full(n_components, 1.0 / n_components)
    return Parameters.from_covariances(
        family, weights, np.tile(rows.mean(axis=0), (n_components, 1)), covariances
    )


def splits(rows, parameters, objective=PLAIN, weights=None, components=None):
    data = InMemory.of(rows, weights)
    return value_splits(data, parameters, objective, 5, components, share=shares(data, parameters))


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_what_a_split_gains_is_that_of_both_parts(covariance_type):
    """Of independent features: of the first s are zeros; variances of zeros, others and all: r, v, u."""
    rows = rows_with_zeros()
    (move,) = splits(rows, one(rows, covariance_type))
    zeros = rows[:, 0] == 0.0
    s, u, v = zeros.mean(), rows[:, 0].var(), rows[~zeros, 0].var()
    entropy = -s * np.log(s) - (1 - s) * np.log(1 - s)
    # Zeros are at their mean, as though there were no variance: no squares are taken off for them.
    gain = 0.5 * (np.log(u) - s * np.log(1e-6) + s - (1 - s) * np.log(v)) - entropy
    assert move.gain == pytest.approx(gain, abs=2e-2)  # the features are independent but for chance
    narrow = int(np.argmin(move.parts.variances[:, 0]))
    assert move.parts.variances[narrow, 0] == pytest.approx(1e-6, rel=1e-3)
    assert move.parts.means[narrow, 0] == pytest.approx(0.0, abs=1e-6)
    assert move.parts.weights[narrow] == pytest.approx(s, abs=1e-3)


def test_weights_count_rows():
    rows, weights = rows_with_zeros(n_rows=600), np.random.default_rng(1).integers(0, 3, 600).astype(float)
    repeated = np.repeat(rows, weights.astype(int), axis=0)
    own, other = splits(rows, one(repeated, "full"), weights=weights), splits(repeated, one(repeated, "full"))
    assert own[0].gain == pytest.approx(other[0].gain, rel=1e-6)


def test_there_are_none_where_nothing_can_be_narrow():
    rows = rows_with_zeros()
    for covariance_type in ("tied", "spherical", "tied_diag"):
        assert splits(rows, one(rows, covariance_type)) == []
    assert splits(rows, one(rows, "full"), Likelihood(0.0)) == []  # it would be degenerate
    assert splits(np.random.default_rng(0).normal(size=(500, 2)), one(rows, "full")) == []


def test_a_value_of_few_rows_is_none_of_a_component():
    """It has a quarter of what a component has on average, or one of ten; half as many are left alone."""
    rows = rows_with_zeros(share=0.5 * VALUE_SPLITS.of_average / VALUE_SPLITS.fewest, n_rows=20_000)
    assert splits(rows, one(rows, "full", 3)) == []
    assert splits(rows, one(rows, "full", VALUE_SPLITS.fewest)) == []
    assert splits(rows, one(rows, "full", 3 * VALUE_SPLITS.fewest)) != []


def test_a_component_that_has_the_value_is_not_split_by_it_again():
    rows = rows_with_zeros()
    data = InMemory.of(rows)
    (move,) = splits(rows, one(rows, "full"))
    fitted = climb(data, move.parts, PLAIN, 20, 1e-9).parameters
    assert splits(rows, fitted) == []


def test_those_that_are_asked_for():
    rows = rows_with_zeros()
    twice = one(rows, "full", 2)
    assert [move.component for move in splits(rows, twice, components=[1])] == [1]
    assert sorted(move.component for move in splits(rows, twice)) == [0, 1]


@pytest.mark.parametrize("weighted", [False, True])
def test_groups_are_of_the_values_of_most_rows_that_have_no_group(weighted):
    """Whole numbers in two features, of which some are of few rows: the next group is found by a loop."""
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(900, 3))
    rows[:, 0] = generator.binomial(6, 0.5, 900)
    rows[:500, 2] = generator.choice([0.0, 1.0, 2.5], 500, p=[0.7, 0.27, 0.03])
    weights = generator.integers(0, 3, 900).astype(float) if weighted else np.ones(900)
    data, n_components = InMemory.of(rows, weights if weighted else None), 6
    found = grouped_by_values(data, FAMILIES["diag"], n_components, PLAIN, 3)
    expected = np.full(900, -1)
    for group in range(3):
        counts = {
            (feature, value): weights[(rows[:, feature] == value) & (expected < 0)].sum()
            for feature in range(3)
            for value in rows[:, feature]
        }
        feature, value = max(counts, key=lambda each: counts[each])
        assert counts[feature, value] >= least_share(n_components) * weights.sum()
        expected[(rows[:, feature] == value) & (expected < 0)] = group
    assert found is not None
    np.testing.assert_array_equal(found, expected)
    two = grouped_by_values(data, FAMILIES["diag"], n_components, PLAIN, 2)
    np.testing.assert_array_equal(two, np.where(expected < 2, expected, -1))
    assert grouped_by_values(data, FAMILIES["diag"], n_components, PLAIN, 10) is None


def test_there_are_no_groups_where_no_component_can_be_narrow():
    rows = rows_with_zeros()
    for covariance_type in ("tied", "spherical"):
        assert grouped_by_values(InMemory.of(rows), FAMILIES[covariance_type], 3, PLAIN, 3) is None
    normal = InMemory.of(np.random.default_rng(0).normal(size=(500, 2)))
    assert grouped_by_values(normal, FAMILIES["full"], 3, PLAIN, 3) is None
