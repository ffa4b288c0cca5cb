"""The compiled loop that finds patterns: tables in which many patterns fall on the same places."""

import numpy as np
import pytest

from dgmm.model.jit import in_one_form

grouping = pytest.importorskip("dgmm.kernels.grouping")


@pytest.mark.parametrize("shift", [0, 2, 60])
def test_patterns_that_share_places_are_told_apart(shift):
    """Of whatever patterns begin at one place, each finds one of its own."""
    generator = np.random.default_rng(1)
    rows = in_one_form(np.where(generator.random((300, 5)) < 0.5, np.nan, 0.0))
    table, codes = np.full(64, -1, np.int32), np.empty(32, np.uint64)
    numbers, ends = np.empty(300, np.int32), np.zeros(32, np.intp)
    n_patterns = grouping.number(rows, table, np.uint64(1), np.uint64(shift), codes, numbers, ends)
    patterns, firsts, wanted = np.unique(np.isnan(rows), axis=0, return_index=True, return_inverse=True)
    assert n_patterns == len(patterns)
    np.testing.assert_array_equal(numbers, np.argsort(np.argsort(firsts))[wanted.ravel()])
    np.testing.assert_array_equal(np.diff(ends[:n_patterns], prepend=0), np.bincount(numbers))
    order, out = np.empty(300, np.intp), np.empty_like(rows)
    grouping.sort(rows, numbers, ends[:n_patterns], order, out)
    np.testing.assert_array_equal(order, np.argsort(numbers, kind="stable"))
    np.testing.assert_array_equal(out, rows[order])
    assert ends[n_patterns - 1] == 300
