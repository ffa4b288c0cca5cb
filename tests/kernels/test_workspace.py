"""How NumPy works on blocks: features, tiles, and log-sum-exp."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm.kernels import stacking
from dgmm.kernels import workspace as numpy_workspace
from dgmm.kernels.precision import DOUBLE, SINGLE
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from tests.model import naive


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_negligible_responsibilities_are_zero(dtype):
    """To either side of the limit, also where exp would underflow; log densities do not notice."""
    for limit in ((SINGLE if dtype is np.float32 else DOUBLE).negligible, 1e-35):
        floor = np.full(10, np.log(limit), dtype)
        below = np.log(limit) + np.array([-1e9, -1000.0, -1.0, -0.1, 0.1, 1.0, 50.0])
        joint = 7.0 + np.stack([np.zeros(7), below, np.minimum(below[::-1] + 1.0, 0.0)])
        shares = joint.astype(dtype)
        log_densities = numpy_workspace.normalize(shares, floor)
        expected, exact = naive.split(joint.T)
        np.testing.assert_allclose(log_densities, expected, rtol=1e-6)
        exact = exact.T
        assert (shares[exact < 0.99 * limit] == 0.0).all()
        kept = exact > 1.01 * limit
        np.testing.assert_allclose(shares[kept], exact[kept] - limit * (exact[kept] < 1e-3), rtol=1e-4)
        assert kept.any()
        assert not kept.all()


@pytest.mark.parametrize("families", [["tied"], ["spherical"], ["diag"], ["full"], ["spherical", "full"]])
@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_feature_table(families, n_features):
    generator = np.random.default_rng(8)
    rows, centre = generator.normal(size=(14, n_features)), generator.normal(size=n_features)
    models = [naive.random_parameters(generator, name, 2, n_features) for name in families]
    workspace = numpy_workspace.Workspace(stack_models(models, centre, np.ones(n_features), np.float64))
    first = min(FAMILIES[name].feature_rows(n_features).start for name in families)
    last = max(FAMILIES[name].feature_rows(n_features).stop for name in families)
    for part in (rows, rows[:5]):  # written again for each block
        table, z = workspace.features(numpy_workspace.Block(part, None, 0, None)), (part - centre).T
        assert table.shape == (last, len(part))
        np.testing.assert_array_equal(table[workspace.stack.deviations], z)
        expected = [(z**2).sum(axis=0), np.ones(len(part)), *z, *z**2]
        expected += [z[i] * z[j] for i in range(n_features) for j in range(i + 1, n_features)]
        np.testing.assert_allclose(table[first:], expected[first:last], rtol=1e-14)


@given(n=st.integers(0, 4), tile_rows=st.integers(1, 12), n_rows=st.integers(1, 40))
@settings(deadline=None)
def test_tiles_are_views_that_hold_every_row_in_order(n, tile_rows, n_rows):
    table = np.arange(float(n * n_rows)).reshape(n, n_rows)
    tiled = numpy_workspace.tiles(table, tile_rows)
    n_tiles, rest = divmod(n_rows, tile_rows)
    whole = [(n_tiles, n, tile_rows)] if n_tiles else []
    assert [part.shape for part in tiled] == whole + ([(1, n, rest)] if rest else [])
    np.testing.assert_array_equal(np.concatenate([tile for part in tiled for tile in part], axis=1), table)
    assert n == 0 or all(np.shares_memory(part, table) for part in tiled)


@pytest.mark.parametrize("weighted", [False, True])
@given(sizes=st.lists(st.integers(0, 5000), max_size=4))
@settings(max_examples=15, deadline=None)
def test_blocks_hold_every_row_once_and_in_order(weighted, sizes):
    """Blocks of at most 2560 rows, five tiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_workspace, "BLOCKS", replace(numpy_workspace.BLOCKS, block_rows=2560))
        check_blocks(weighted, sizes)


def check_blocks(weighted, sizes):
    parameters = naive.random_parameters(np.random.default_rng(9), "full", 90, 2)
    ready = stack_models([parameters], np.zeros(2), np.ones(2), np.float64)
    n_rows = numpy_workspace.block_rows(ready)
    assert (numpy_workspace.tile_rows(ready), n_rows) == (512, 2560)
    rows = np.arange(2.0 * sum(sizes)).reshape(-1, 2)
    parts = np.split(rows, np.cumsum(sizes)[:-1]) if sizes else []
    chunks = [(part, part[:, 0] * 0.5 if weighted else None) for part in parts]
    blocks = list(numpy_workspace.blocks_of(ready, chunks))
    seen = np.concatenate([block.rows for block in blocks] or [rows[:0]])
    np.testing.assert_array_equal(seen, rows)
    ends = set(np.cumsum(sizes).tolist())
    for block in blocks:
        assert block.start == block.rows[0, 0] // 2
        assert 0 < len(block.rows) <= n_rows
        if len(block.rows) < n_rows:  # only at the end of a chunk
            assert block.start + len(block.rows) in ends
        if weighted:
            np.testing.assert_array_equal(block.weights, block.rows[:, 0] * 0.5)
        else:
            assert block.weights is None


def test_products_of_a_group_take_the_path_without_packing():
    """Unless a single model is larger than that."""
    blocks = numpy_workspace.BLOCKS
    assert stacking.STACKING.group_numbers == blocks.small_product // blocks.tile_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_becomes_zero_and_nothing_else_changes(dtype):
    values = np.array([[np.nan, 1.5, -np.inf, -np.nan], [-0.0, np.inf, 1e-40, -2.0]], dtype)
    table = np.zeros((3, 6), dtype)
    part = table[1:, 1:5]  # a view, as blocks are
    part[...] = values
    numpy_workspace.replace_nan(part)
    wanted = np.where(np.isnan(values), dtype(0.0), values)
    np.testing.assert_array_equal(part, wanted)
    np.testing.assert_array_equal(np.signbit(part), np.signbit(wanted))
    assert not table[:, [0, 5]].any()
    assert not table[0].any()
