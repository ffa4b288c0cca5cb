"""All kernels do what the protocol says, and the one door leads to the one that is chosen."""

import inspect

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels import blocks, compiled
from dgmm.kernels.kernel import Kernel
from dgmm.kernels.stack import stack_models
from dgmm.model.statistics import Moments
from tests.model import naive

KERNELS = [pytest.param(blocks, id="blocks"), pytest.param(compiled, id="compiled")]


@pytest.fixture(params=KERNELS)
def kernel(request):
    if request.param is compiled and not compiled.is_available():
        pytest.skip("Numba is not installed, or not to be used")
    return request.param


def test_a_kernel_has_the_functions_of_the_protocol(kernel):
    for name, wanted in inspect.getmembers(Kernel, inspect.isfunction):
        if not name.startswith("_"):
            own = [*inspect.signature(getattr(kernel, name)).parameters]
            assert own == [*inspect.signature(wanted).parameters][1:], name


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("DGMM_COMPILED", "0")
    assert kernels.chosen_kernel() is blocks
    monkeypatch.setenv("DGMM_COMPILED", "1")
    assert kernels.chosen_kernel() is (compiled if compiled.is_available() else blocks)


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_rows_are_evaluated_as_written_out(kernel, covariance_type):
    generator = np.random.default_rng(0)
    model = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = naive.random_rows(generator, model, 300)
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    joint = naive.log_joint(model, rows)
    wanted = naive.split(joint)[1]
    features = kernel.features_of(ready, rows)
    found = np.concatenate([shares.T.copy() for shares, _ in kernel.evaluate(ready, rows, features)])
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    labels = np.concatenate([part.copy() for part in kernel.label(ready, rows)])
    np.testing.assert_array_equal(labels, joint.argmax(axis=1))
    (statistics,) = kernel.expect(ready, [(rows, None)], features)
    np.testing.assert_allclose(statistics.counts, wanted.sum(axis=0), rtol=1e-9)
    assert kernel.working_bytes(ready) > 0
    assert kernel.library_bytes() >= 0
