# pyright: reportPrivateUsage=false
"""What the compiled loop does by itself: gathering, and threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels import compiled
from dgmm.kernels.kernel import Part
from dgmm.kernels.stack import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive

tiles = pytest.importorskip("dgmm.kernels.tiles")


@pytest.fixture(autouse=True)
def compiles(monkeypatch):
    """Whatever is asked for elsewhere."""
    monkeypatch.setenv("DGMM_COMPILED", "1")


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_rows_are_gathered_where_few_responsibilities_are_not_zero(spread, monkeypatch):
    """All sums are then in the buffers, for components that are apart, and none for those that overlap."""
    generator = np.random.default_rng(1)
    model = naive.random_parameters(generator, "full", 8, 24, spread=spread)
    rows = naive.random_rows(generator, model, 2000)
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    group = compiled.CompiledGroup(ready, ready.groups[0])
    group.add(Part(rows))
    gathered = group.sums.gathered[:, 0, 0].sum()
    assert gathered == pytest.approx(2000.0 if spread == 30.0 else 0.0)
    assert group.feature_sums()[:, 0].sum() == pytest.approx(2000.0)
    monkeypatch.setattr(tiles, "TILES", replace(tiles.TILES, gathers_from=25))
    (dense,) = kernels.expect(ready, [(rows, None)])
    naive.close(group.feature_sums()[:, 25:], dense.scatter, np.abs(dense.scatter).max(), 1e-12)


def test_threads_share_nothing():
    generator = np.random.default_rng(2)
    model = naive.random_parameters(generator, "full", 5, 21, spread=20.0)
    rows = naive.random_rows(generator, model, 20_000)
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    (alone,) = kernels.expect(ready, [(rows, None)])
    with ThreadPoolExecutor(4) as threads:
        for (found,) in threads.map(lambda _: kernels.expect(ready, [(rows, None)]), range(16)):
            np.testing.assert_array_equal(found.scatter, alone.scatter)
            assert found.log_likelihood == alone.log_likelihood


def test_components_of_no_weight_have_no_rows():
    generator = np.random.default_rng(3)
    model = naive.random_parameters(generator, "full", 3, 2)
    weights = np.array([0.4, 0.0, 0.6])
    model = Parameters.from_covariances(FAMILIES["full"], weights, model.means, model.covariances)
    rows = naive.random_rows(generator, model, 500)
    moments = Moments.of(rows)
    for extent in (moments.extent, np.full(2, 1e9)):  # from features, and from deviations
        ready = stack_models([model], moments.mean, extent, np.float64)
        with np.errstate(divide="ignore"):
            (found,) = kernels.expect(ready, [(rows, None)])
        assert found.counts[1] == 0.0
        assert found.counts.sum() == pytest.approx(500.0)
