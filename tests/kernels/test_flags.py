"""Which models take rows that lack values with flags."""

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels.flags import flagged, with_flags
from dgmm.kernels.incomplete import Ways
from dgmm.kernels.stacking import stack_models
from tests.model import naive

pytestmark = pytest.mark.usefixtures("each_kernel")

NAMES = ["tied", "diag", "full", "spherical", "tied_diag", "tied_spherical"]


def models_and_rows(n_features=3, narrow=None):
    generator = np.random.default_rng(1)
    models = [naive.random_parameters(generator, name, 2, n_features) for name in NAMES]
    if narrow is not None:
        own = models[narrow]
        models[narrow] = type(own).from_covariances(
            own.family, own.weights, own.means + 1e3, own.covariances * 1e-20
        )
    rows = np.concatenate([naive.random_rows(generator, model, 50) for model in models])
    return models, naive.with_missing(generator, rows)


@pytest.mark.parametrize("narrow", [None, 3, 4])
def test_families_without_products_unless_a_component_is_narrow(narrow):
    models, rows = models_and_rows(narrow=narrow)
    extent = np.nanmax(np.abs(rows), axis=0)
    ready = stack_models(models, np.zeros(3), extent, np.float64, may_lack=True)
    wanted = [index for index in (1, 3, 4, 5) if index != narrow]
    assert with_flags(ready) == wanted
    ways = Ways.of(kernels.kernel_for(ready), ready)
    assert Ways.of(kernels.kernel_for(ready), ready) is ways
    assert ways.flagged_models == wanted
    assert ways.by_pattern is not None
    assert len(ways.by_pattern.models) == len(models) - len(wanted)
    assert bool(ways.by_pattern.centred) == (narrow is not None)


def test_the_same_features_serve_all_families():
    """Of several models, each gets what it gets alone, and of complete rows what it always gets."""
    models, rows = models_and_rows()
    extent = np.nanmax(np.abs(rows), axis=0)
    own = [models[index] for index in (1, 3, 4, 5)]
    ready = stack_models(own, np.zeros(3), extent, np.float64, may_lack=True)
    together = kernels.expect(flagged(ready, own), [(rows, None)])
    for model, found in zip(own, together, strict=True):
        alone = stack_models([model], np.zeros(3), extent, np.float64, may_lack=True)
        (wanted,) = kernels.expect(flagged(alone, [model]), [(rows, None)])
        for name in ("counts", "sums", "scatter", "log_likelihood", "entropy_of_missing"):
            np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-12, atol=1e-10)
