"""Histograms of leading bits: keys in the order of numbers, and sums that do not depend on the cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dgmm.model.quantiles import FIRST_SHIFT, Bin, Histogram, keys_of, next_shift, value_of

NUMBERS = st.floats(allow_nan=False)


@given(arrays(np.float64, 20, elements=NUMBERS))
def test_keys_are_in_the_order_of_numbers(values):
    keys = keys_of(values)
    assert [value_of(int(key)) for key in keys] == values.tolist()
    np.testing.assert_array_equal(keys[:, None] < keys, values[:, None] < values)


@pytest.mark.parametrize("shift", [0, 24, FIRST_SHIFT])
def test_parts_add_up_to_the_same_counts(shift):
    generator = np.random.default_rng(0)
    values, weights = generator.normal(-20, 5, 3000).round(2), generator.integers(0, 3, 3000).astype(float)
    whole = Histogram.of(values, weights, shift)
    parts = [
        Histogram.of(*part, shift)
        for part in zip(np.split(values, [5, 1700]), np.split(weights, [5, 1700]), strict=True)
    ]
    total = sum(parts, Histogram.of(np.empty(0), None, shift))
    for name in ("prefixes", "weights", "counts"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
    assert whole.weight == weights.sum()
    assert whole.counts.sum() == np.count_nonzero(weights)


@pytest.mark.parametrize("position", [0, 29, 30, 2998, 2999])
def test_the_bin_at_a_place(position):
    values = np.random.default_rng(1).normal(-20, 5, 3000).round(1)
    expected = np.sort(values)[position]
    exact = Histogram.of(values, None, 0).bin_at(position)
    assert exact.value == expected
    assert (exact.below, exact.weight) == ((values < expected).sum(), (values == expected).sum())
    coarse = Histogram.of(values, None, FIRST_SHIFT).bin_at(position)
    found = Histogram.of(values, None, 0, (coarse,)).bin_at(position, coarse)
    assert found == exact


def test_bins_of_two_places_are_counted_together():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    first = Histogram.of(values, None, FIRST_SHIFT)
    bins = [first.bin_at(1), first.bin_at(2)]
    assert bins[0] != bins[1]
    second = Histogram.of(values, None, 0, bins)
    assert second.weight == 2.0
    assert [second.bin_at(place, each).value for place, each in zip((1, 2), bins, strict=True)] == [2.0, 3.0]


def test_bits_that_are_looked_at_next():
    assert next_shift([Bin(1, FIRST_SHIFT, 0.0, 1.0, 2**20)]) == 0
    assert next_shift([Bin(1, FIRST_SHIFT, 0.0, 1.0, 2**21)]) == FIRST_SHIFT - 20
    assert next_shift([Bin(1, 4, 0.0, 1.0, 2**21)]) == 0


def test_both_zeros_are_one_number():
    keys = keys_of(np.array([-0.0, 0.0, -5e-324, 5e-324]))
    assert keys[2] < keys[0] == keys[1] < keys[3]
