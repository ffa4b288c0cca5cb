"""Values that many rows have, against a count of each."""

from collections import defaultdict

import numpy as np
import pytest

from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.repeated import REPEATED, repeated_values


@pytest.mark.parametrize("is_weighted", [False, True])
def test_values_are_those_of_a_naive_count(is_weighted):
    generator = np.random.default_rng(0)
    rows = np.stack(
        [generator.normal(size=3000), generator.geometric(0.05, size=3000), np.full(3000, 7.0)], axis=1
    ).astype(np.float32)
    weights = generator.integers(0, 3, size=3000).astype(float) if is_weighted else None
    sums: dict[tuple[int, float], float] = defaultdict(float)
    for index, row in enumerate(rows):
        for feature in (0, 1):  # the third does not vary
            sums[feature, float(row[feature])] += 1.0 if weights is None else weights[index]
    total = 3000 if weights is None else weights.sum()
    counts = {key: int((rows[:, key[0]] == key[1]).sum()) for key in sums}
    expected = {key: own / total for key, own in sums.items() if counts[key] > 1 and own >= 1e-3 * total}
    largest = sorted(expected.values(), reverse=True)[: REPEATED.n_values]
    found = repeated_values(rows, weights)
    np.testing.assert_allclose(found.shares, largest)
    for feature, share, has in zip(found.features, found.shares, found.members, strict=True):
        (value,) = np.unique(rows[has, feature])
        np.testing.assert_array_equal(has, rows[:, feature] == value)
        assert expected[int(feature), float(value)] == pytest.approx(share)


def test_numbers_that_are_all_different():
    data = InMemory.of(np.random.default_rng(0).normal(size=(100, 2)))
    assert data.repeated.members.shape == (0, 100)
    assert data.repeated is data.repeated  # sought once


@pytest.mark.parametrize("weight", [None, 0.5])
def test_a_value_of_just_enough_rows_is_found(weight):
    """Of others that repeat, but in fewer rows, columns are passed over."""
    rows = np.random.default_rng(0).permuted(np.stack([np.arange(4000.0)] * 2, axis=1), axis=0)
    rows[np.flatnonzero(rows[:, 0] < 4.0), 0] = 0.0
    rows[np.flatnonzero(rows[:, 1] < 3.0), 1] = 0.0
    found = repeated_values(rows, None if weight is None else np.full(4000, weight))
    np.testing.assert_array_equal(found.features, [0])
    np.testing.assert_array_equal(found.members, rows[None, :, 0] == 0.0)
