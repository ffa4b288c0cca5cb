"""Groups of models in the compiled loop: which rows are gathered."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels import loop
from dgmm.kernels.compiled_group import CompiledGroup
from dgmm.kernels.kernel import Part
from dgmm.kernels.stacking import stack_models
from dgmm.model.statistics import Moments
from tests.model import naive

pytest.importorskip("dgmm.kernels.tiles")


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_rows_are_gathered_where_few_responsibilities_are_not_zero(spread, monkeypatch):
    """All sums are then in the buffers, for components that are apart, and none for those that overlap."""
    monkeypatch.setenv("DGMM_KERNEL", "compiled")
    monkeypatch.setenv("DGMM_COMPILED", "1")
    generator = np.random.default_rng(1)
    model = naive.random_parameters(generator, "full", 8, 24, spread=spread)
    rows = naive.random_rows(generator, model, 2000)
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    group = CompiledGroup(ready, ready.groups[0])
    group.add(Part(rows))
    gathered = group.sums.gathered[:, 0, 0].sum()
    assert gathered == pytest.approx(2000.0 if spread == 30.0 else 0.0)
    assert group.feature_sums()[:, 0].sum() == pytest.approx(2000.0)
    monkeypatch.setattr(loop, "TILES", replace(loop.TILES, gathers_from=25))
    (dense,) = kernels.expect(ready, [(rows, None)])
    naive.close(group.feature_sums()[:, 25:], dense.scatter, np.abs(dense.scatter).max(), 1e-12)
