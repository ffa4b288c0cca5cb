# pyright: reportPrivateUsage=false
"""What the compiled loop does by itself: forms of arrays, and threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels import KERNELS, compiled, incomplete, tied
from dgmm.kernels.kernel import Part
from dgmm.kernels.measured import compiled_gradients, log_joint
from dgmm.kernels.priors import RowPriors
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive

tiles = pytest.importorskip("dgmm.kernels.tiles")
from dgmm.kernels import completion, elimination, grouping, measured_tiles, near_tiles, tied_tiles  # noqa: E402

LOOPS = (
    *(tiles.expect, tiles.expect_patterns, tiles.evaluate, tiles.label, near_tiles.expect),
    *(measured_tiles.dependent, measured_tiles.independent, grouping.number, grouping.sort),
    *(elimination.eliminate, completion.complete, completion.add_filled),
    *(tied_tiles.expect, tied_tiles.end_patterns),
)
"""All that is compiled for callers."""


@pytest.fixture(autouse=True)
def compiles(monkeypatch):
    """Whatever is asked for elsewhere."""
    monkeypatch.setenv("DGMM_COMPILED", "1")


def kind(argument):
    """What has to be compiled for: types of numbers, and numbers of axes."""
    from numba import types

    if (parts := getattr(argument, "types", None)) is not None:  # of a tuple
        return tuple(map(kind, parts))
    return (str(argument.dtype), argument.ndim) if isinstance(argument, types.Array) else str(argument)


def test_nothing_is_compiled_again_for_arrays_in_another_form(monkeypatch):
    """The order of their axes, and whether they may be written to, is one, with priors and without: each
    other form would be compiled for ten seconds."""
    generator = np.random.default_rng(4)
    models = [naive.random_parameters(generator, family, 3, 2) for family in ("full", "tied")]
    rows, nothing = generator.normal(size=(300, 2)), np.zeros(300, np.int64)
    monkeypatch.setattr(tied, "FEWEST_FEATURES", 1)
    known = RowPriors((np.zeros((3, 1)),), nothing, nothing)
    ways = (False, 0.0), (True, 0.0), (True, np.inf)  # complete rows, all by patterns, or each for itself
    extents = np.ones(2), np.full(2, 1e9)  # of the far one components are centred
    for model, (may_lack, fewest), extent in product(models, ways, extents):
        monkeypatch.setattr(incomplete, "fewest_rows", lambda models, by, fewest=fewest: fewest)
        ready = stack_models([model], np.zeros(2), extent, np.float64, may_lack=may_lack)
        rows[:30, 1] = np.nan if may_lack else 0.0
        for part in (Part(rows), Part(rows, np.ones(300)), Part(rows, None, known)):
            if may_lack:
                incomplete.expect(KERNELS["compiled"], ready, [part])
            else:
                compiled.expect(ready, [part])
    measured = np.hstack([generator.normal(size=(1000, 2)), np.ones((1000, 2))])
    for family in ("full", "diag"):
        model = naive.random_parameters(generator, family, 3, 2)
        log_joint(model, measured)
        for weights in (None, np.ones(1000)):
            compiled_gradients(measured_tiles, model, measured, weights)
    for loop in LOOPS:
        kinds = [tuple(map(kind, each)) for each in loop.signatures]
        assert len(set(kinds)) == len(kinds), loop.signatures


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
