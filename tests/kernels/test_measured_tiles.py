"""The compiled loop over rows with errors, against NumPy's formulas."""

import numpy as np
import pytest

from dgmm.kernels import measured
from dgmm.model.jit import compiled_module
from tests.model import naive


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize("form", ["variances", "triangles"])
def test_gradients_are_those_of_numpy(covariance_type, form, monkeypatch):
    module = compiled_module(measured.COMPILED)
    if module is None:
        pytest.skip("lacks Numba")
    assert module.LANES == measured.LANES
    generator = np.random.default_rng(0)
    model = naive.random_parameters(generator, covariance_type, 4, 5, spread=1.0)
    for n_rows in (1, module.LANES, 3 * module.LANES + 5):
        rows = naive.with_missing(generator, naive.random_rows(generator, model, n_rows))
        columns, _ = naive.random_errors(generator, n_rows, 5, form)
        joined, weights = np.concatenate([rows, columns], axis=1), generator.gamma(1.0, size=n_rows)
        found = measured.compiled_gradients(module, model, joined, weights)
        wanted = measured.gradients(model, joined, weights)
        monkeypatch.setattr(measured, "LEAST_WORK", 0)
        joint = measured.log_joint(model, joined)
        monkeypatch.setattr(measured, "LEAST_WORK", np.inf)
        np.testing.assert_allclose(joint, measured.log_joint(model, joined), rtol=1e-11)
        for own, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-10, atol=1e-10)
