import numpy as np
from scipy.stats import kstest

from dgmm.fitting.sample import Sample, hash_numbers, uniform_numbers


def test_hashes_are_uniform_and_do_not_depend_on_the_cut():
    hashes = hash_numbers(7, np.arange(20_000))
    cut = [hash_numbers(7, numbers) for numbers in np.split(np.arange(20_000), [123])]
    np.testing.assert_array_equal(np.concatenate(cut), hashes)
    assert len(np.unique(hashes)) == 20_000
    assert kstest(hashes / 2.0**64, "uniform").pvalue > 1e-3
    again = hash_numbers(8, np.arange(20_000))
    assert abs(np.corrcoef(hashes / 2.0**64, again / 2.0**64)[0, 1]) < 0.03


def test_uniform_numbers_are_the_leading_bits_of_hashes():
    numbers = np.arange(6000).reshape(3, 2000)
    found = uniform_numbers(7, numbers)
    assert kstest(found.ravel(), "uniform").pvalue > 1e-3
    assert ((found > 0.0) & (found < 1.0)).all()
    np.testing.assert_allclose(found, hash_numbers(7, numbers) / 2.0**64, rtol=0, atol=2.0**-52)


def test_the_smallest_hashes_are_drawn_in_row_order_whatever_the_order_of_the_parts():
    hashes = hash_numbers(3, np.arange(500))
    rows, weights = np.arange(1500.0).reshape(500, 3), np.arange(500.0)
    whole = Sample(hashes, np.arange(500), rows, weights)
    parts = [whole.part(numbers) for numbers in np.array_split(np.random.default_rng(0).permutation(500), 7)]
    expected = np.flatnonzero(hashes <= np.sort(hashes)[39])
    for joined in (Sample.joined(parts), Sample.joined(parts, 40)):
        drawn = joined.drawn(40)
        np.testing.assert_array_equal(drawn.numbers, expected)
        np.testing.assert_array_equal(drawn.values, rows[expected])
        np.testing.assert_array_equal(drawn.weights, weights[expected])


def test_the_places_of_the_smallest_hashes_are_those_of_a_sort():
    hashes = hash_numbers(3, np.random.default_rng(1).permutation(200))
    whole = Sample(hashes, np.arange(200), np.zeros((200, 1)), None)
    for size in (-1, 0, 1, 77, 199, 200, 300):
        np.testing.assert_array_equal(whole.smallest(size), np.sort(np.argsort(hashes)[: max(0, size)]))
