"""Arrays of the compiled loop: which products they stand for, and how they lie in memory."""

import numpy as np
import pytest

from dgmm.kernels.loop import Shapes, padded, pairs_of, workspace_of
from dgmm.kernels.stacking import stack_models
from dgmm.kernels.tile_tuning import CACHE_LINE, TILES, UNROLLED
from tests.model import naive

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def compiles(monkeypatch):
    """Whatever is asked for elsewhere."""
    monkeypatch.setenv("DGMM_COMPILED", "1")


def test_pairs_are_the_products_of_the_feature_table_and_then_ones():
    z = np.random.default_rng(0).normal(size=3)
    factors = np.array([z @ z, 1.0, *z])
    first, second = factors[pairs_of(6, 8, 3)].T
    above = [z[i] * z[j] for i in range(3) for j in range(i + 1, 3)]
    np.testing.assert_array_equal(first * second, [*z**2, *above, 1.0, 1.0])
    first, second = factors[pairs_of(3, 4, 3)].T
    np.testing.assert_array_equal(first * second, [*z**2, 1.0])


@pytest.mark.parametrize("number", range(1, 10))
def test_padding_is_to_the_next_multiple(number):
    assert padded(number) % UNROLLED == 0
    assert number <= padded(number) < number + UNROLLED


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("family", "n_features"), [("full", 30), ("full", 3), ("diag", 5)])
def test_a_workspace_has_as_many_numbers_as_are_forecast_on_whole_cache_lines(family, n_features, dtype):
    model = naive.random_parameters(np.random.default_rng(0), family, 5, n_features)
    ready = stack_models([model], np.zeros(n_features), np.ones(n_features), dtype)
    shapes = Shapes.of(ready, ready.groups[0])
    work = workspace_of(shapes, np.dtype(dtype))
    width = TILES.tile_rows + CACHE_LINE // np.dtype(dtype).itemsize
    tables = (work.table, work.densities, work.largest, work.totals, work.deviations, work.buffers)
    assert sum(table.size for table in (*tables, work.weighted)) == shapes.n_numbers[0] * width
    assert work.table.ctypes.data % CACHE_LINE == 0
    assert {table.shape[-1] for table in tables} == {width}
