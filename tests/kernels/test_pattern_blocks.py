"""Blocks of rows of many patterns, by NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import kernels
from dgmm.kernels import workspace
from dgmm.kernels.pattern_blocks import segments_of
from dgmm.kernels.patterns import grouped
from dgmm.kernels.stacking import stack_models
from tests.model import naive


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 12))
@settings(max_examples=50)
def test_every_row_is_in_the_segment_of_its_pattern(sizes, n_rows):
    lacks = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.where((lacks[:, None] >> np.arange(3)) & 1, np.nan, 1.0)
    part, numbers = grouped(rows), 10 + np.arange(len(sizes))
    found = []
    for start in range(0, len(rows), n_rows):
        block = slice(start, min(start + n_rows, len(rows)))
        for number, own in segments_of(part, numbers, block):
            assert own.stop > own.start
            found += [number - 10] * (own.stop - own.start)
    np.testing.assert_array_equal(found, lacks)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_blocks_of_any_length_give_the_same(covariance_type, monkeypatch):
    monkeypatch.setenv("DGMM_KERNEL", "numpy")
    monkeypatch.setattr("dgmm.kernels.incomplete.fewest_rows", lambda models, by: 0.0)
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 3000), n_patterns=5)
    extent = np.nanmax(np.abs(rows), axis=0)
    ready = stack_models([parameters], np.zeros(4), extent, np.float64, may_lack=True)
    (whole,) = kernels.expect(ready, [(rows, None)])
    monkeypatch.setattr(workspace, "BLOCKS", replace(workspace.BLOCKS, block_rows=64, tile_rows=64))
    (cut,) = kernels.expect(ready, [(rows, None)])
    for name in ("counts", "sums", "scatter", "log_likelihood", "entropy_of_missing"):
        wanted = np.asarray(getattr(whole, name))
        naive.close(getattr(cut, name), wanted, np.abs(wanted).max(initial=1.0), 1e-12)
