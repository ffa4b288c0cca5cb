"""Vectors of compiled functions, lane by lane, against NumPy."""

import numpy as np
import pytest

pytest.importorskip("numba")

from dgmm.model.jit import EXACT, REORDERED, compiled
from dgmm.model.vectors import (
    LANES,
    are_all,
    larger,
    load,
    longest_vectors,
    root,
    spread,
    store,
    total,
    where_positive,
)


@compiled(EXACT)
def _compute(first, second, number, out):
    """Write what each function gives to a row of its own, and find out where all lanes are alike."""
    a, b = load(first, ()), load(second, ())
    store(out, (0,), a + b)
    store(out, (1,), a - b)
    store(out, (2,), a * b)
    store(out, (3,), a / b)
    store(out, (4,), spread(number))
    store(out, (5,), root(a * a))
    store(out, (6,), where_positive(a, b, spread(number)))
    store(out, (7,), larger(a, b))
    return total(a), are_all(a, a), are_all(a, spread(number)), are_all(spread(number), spread(number))


def test_functions_are_those_of_numpy():
    generator = np.random.default_rng(0)
    for _ in range(20):
        first, second = generator.normal(size=(2, LANES)) * 10.0 ** generator.integers(-3, 4, size=(2, LANES))
        first[generator.integers(LANES)] = 0.0
        number, out = float(generator.normal()), np.empty((8, LANES))
        *sums_and_same, differ, same = _compute(first, second, number, out)
        wanted = [first + second, first - second, first * second, first / second, np.full(LANES, number)]
        wanted += [np.sqrt(first * first), np.where(first > 0.0, second, number), np.maximum(first, second)]
        np.testing.assert_array_equal(out, wanted)
        assert sums_and_same[0] == pytest.approx(first.sum(), abs=1e-12 * np.abs(first).sum())
        assert (sums_and_same[1], differ, same) == (True, False, True)


def test_not_a_number():
    """It is like no value, itself included, and not above zero; a sum with it is none."""
    out, numbers = np.empty((8, LANES)), np.ones(LANES)
    numbers[LANES // 2] = np.nan
    in_all, is_itself, *_ = _compute(numbers, np.ones(LANES), 1.0, out)
    assert np.isnan(in_all)
    assert not is_itself
    assert out[6, LANES // 2] == 1.0
    np.testing.assert_array_equal(np.isnan(out[0]), np.isnan(numbers))


@compiled(REORDERED)
def _take_off(value, left, right):
    own = load(value, ())
    for m in range(len(left)):
        own = own - load(left, (m,)) * load(right, (m,))
    store(value, (), own)


def test_arrays_with_gaps():
    """Only the last axis has to be without any: factors are read along columns, too."""
    generator = np.random.default_rng(1)
    value, left, right = generator.normal(size=LANES), *generator.normal(size=(2, 6, 6, LANES))
    wanted = value - (left[2, :4] * right[1:5, 3]).sum(axis=0)
    _take_off(value, left[2, :4], right[1:5, 3])
    np.testing.assert_allclose(value, wanted, rtol=1e-13, atol=1e-13)


@compiled(REORDERED)
def _scale(values, number):
    longest_vectors()
    for i in range(len(values)):
        values[i] *= number


def test_functions_ask_for_the_longest_vectors():
    _take_off(np.ones(LANES), np.ones((1, LANES)), np.ones((1, LANES)))
    values = np.arange(100.0)
    _scale(values, 3.0)
    np.testing.assert_array_equal(values, 3.0 * np.arange(100.0))
    for function, asks in ((_scale, True), (_take_off, False)):
        for code in function.inspect_llvm().values():
            assert ('"prefer-vector-width"="512"' in code) == asks
