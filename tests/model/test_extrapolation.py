"""Extrapolation: coordinates against their definition, and steps whose limit is known."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.model import em
from dgmm.model.extrapolation import Coordinates, extrapolated, next_longest
from dgmm.model.statistics import Moments, Statistics
from tests.kernels.test_blocks import expect
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
FLOOR = 1e-3


def rows_of(seed=0, n_rows=500, scales=(1.0, 1.0)):
    generator = np.random.default_rng(seed)
    truth = naive.random_parameters(generator, "full", 3, 2)
    return naive.random_rows(generator, truth, n_rows) * np.asarray(scales)


def statistics_of(rows, covariance_type, seed) -> Statistics:
    """Return what an E-step of some mixture says, about the mean of the rows."""
    model = naive.random_parameters(np.random.default_rng(seed), covariance_type, 3, 2)
    (found,), _ = expect([model], rows)
    return found.of_all_rows(Moments.of(rows).scatter)


def moved(statistics, shift) -> Statistics:
    """Move by a vector in coordinates about these statistics."""
    coordinates = Coordinates.about(statistics, FLOOR)
    return coordinates.statistics(coordinates.of(statistics) + shift, statistics)


@each_family
def test_there_and_back(covariance_type):
    rows = rows_of()
    here, there = (statistics_of(rows, covariance_type, seed) for seed in (1, 2))
    coordinates = Coordinates.about(here, FLOOR)
    back = coordinates.statistics(coordinates.of(there), there)
    for name in ("counts", "sums", "scatter", "references"):
        np.testing.assert_allclose(getattr(back, name), getattr(there, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("covariance_type", "n_factors"), [("full", 3), ("tied", 1), ("tied_diag", 1)])
def test_a_covariance_that_all_share_is_factored_once(covariance_type, n_factors):
    here = statistics_of(rows_of(), covariance_type, 1)
    assert len(Coordinates.about(here, FLOOR).factors) == n_factors


@each_family
def test_half_the_squared_distance_is_a_divergence(covariance_type):
    """Of the joint distributions of component and row: what `em.promised_gain` is, for steps of EM."""
    rows = rows_of()
    moments, here = Moments.of(rows), statistics_of(rows, covariance_type, 1)
    coordinates = Coordinates.about(here, FLOOR)
    shift = 1e-4 * np.random.default_rng(3).normal(size=coordinates.of(here).shape)
    form = naive.STRUCTURES[covariance_type][1]
    if form == "sphere":  # one variance a component
        shift[:, 4:5], shift[:, 5:] = shift[:, 3:4], 0.0
    elif form == "diagonal":
        shift[:, 5:] = 0.0
    there = coordinates.statistics(coordinates.of(here) + shift, here)
    # Counts keep their sum: the shift of them is not quite the one that was asked for.
    distance = ((coordinates.of(there) - coordinates.of(here)) ** 2).sum()
    before, after = (
        em.update(replace(each, shared=None).of_all_rows(_scatter(each, here, moments)), FLOOR)
        for each in (here, there)
    )
    assert em.promised_gain(before, after) == pytest.approx(0.5 * distance, rel=2e-2)


def _scatter(statistics, base, moments):
    """Return the scatter of all rows; where it is shared one that leaves the covariance the same."""
    if not statistics.family.is_shared:
        return moments.scatter
    own, other = ((each.counts[:, None] * each.means).T @ each.means for each in (statistics, base))
    return moments.scatter + own - other


@each_family
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_steps_that_each_leave_the_same_share_lead_to_their_limit(covariance_type, share):
    rows = rows_of()
    limit = statistics_of(rows, covariance_type, 1)
    shift = 0.02 * np.random.default_rng(4).normal(size=Coordinates.about(limit, FLOOR).of(limit).shape)
    shift[:, 0] = 0.0  # a circle: not a straight line
    if covariance_type in ("diag", "spherical"):
        shift[:, 3:] = shift[:, 3:4]
    path = [moved(limit, share**power * shift) for power in range(3)]
    found = extrapolated(path, FLOOR, 1e6)
    assert found is not None
    far, length = found
    assert length == pytest.approx(1.0 / (1.0 - share), rel=0.05)
    for name in ("counts", "sums", "scatter"):
        reached, wanted, first = (getattr(each, name) for each in (far, limit, path[0]))
        if wanted.size:
            assert np.abs(reached - wanted).max() < 0.1 * np.abs(first - wanted).max() + 1e-12
    limited = extrapolated(path, FLOOR, 1.5)
    assert limited is not None
    assert limited[1] == 1.5


@each_family
def test_units_of_features_do_not_matter(covariance_type):
    if naive.STRUCTURES[covariance_type][1] == "sphere":
        pytest.skip("has one variance for all features")
    lengths = []
    for scales in ((1.0, 1.0), (1e-4, 1e5)):
        first = statistics_of(rows_of(), covariance_type, 1)
        path = [_in_units(moved(first, q * 0.05), scales) for q in (1.0, 0.7, 0.5)]
        floor = 0.0
        found = extrapolated(path, floor, 1e6)
        assert found is not None
        lengths.append(found[1])
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-6)


def _in_units(statistics, scales) -> Statistics:
    a, b = scales
    products = np.array([a * a, b * b, a * b])[: statistics.scatter.shape[1]]
    sums, scatter = statistics.sums * scales, statistics.scatter * products
    family, shared = statistics.family, statistics.shared
    if shared is not None:
        shared = shared * family.of_scatter(np.outer(scales, scales))
    return replace(statistics, sums=sums, scatter=scatter, shared=shared)


def test_where_there_is_nothing_to_extrapolate():
    rows = rows_of()
    here = statistics_of(rows, "full", 1)

    def path(*shares):
        return [moved(here, 0.1 * share) for share in shares]

    assert extrapolated(path(1.0, 0.2, 1.0), FLOOR, 100.0) is None  # they turn round
    empty = path(1.0, 0.5, 0.25)
    empty[1].counts[0] = 0.0
    assert extrapolated(empty, FLOOR, 100.0) is None
    flat = path(1.0, 0.5, 0.25)
    flat[2].scatter[1] = 0.0
    assert extrapolated(flat, 0.0, 100.0) is None
    # So far that covariances overflow: steps of no curvature, and no limit to the length.
    straight = [moved(here, 20.0 * share) for share in (0.0, 1.0, 2.0)]
    assert extrapolated(straight, FLOOR, 1e9) is None


@each_family
def test_the_scale_of_weights_does_not_matter(covariance_type):
    first = statistics_of(rows_of(), covariance_type, 1)
    path = [moved(first, q * 0.05) for q in (1.0, 0.7, 0.5)]
    found, small = extrapolated(path, FLOOR, 1e6), extrapolated([1e-9 * each for each in path], FLOOR, 1e6)
    assert found is not None
    assert small is not None
    assert small[1] == pytest.approx(found[1], rel=1e-9)
    np.testing.assert_allclose(small[0].sums, 1e-9 * found[0].sums, rtol=1e-7, atol=1e-18)


@each_family
def test_where_nothing_moves_it_stays(covariance_type):
    here = statistics_of(rows_of(), covariance_type, 1)
    found = extrapolated([here] * 3, FLOOR, 8.0)
    assert found is not None
    far, length = found
    assert length == 8.0
    for name in ("counts", "sums", "scatter"):
        np.testing.assert_allclose(getattr(far, name), getattr(here, name), rtol=1e-9, atol=1e-9)


def test_lengths_grow_after_good_extrapolations_and_shrink_after_others():
    assert next_longest(4.0, 4.0, is_good=True) == 16.0
    assert next_longest(16.0, 2.0, is_good=True) == 16.0
    assert next_longest(16.0, 12.0, is_good=False) == 3.0
    assert next_longest(16.0, 1.5, is_good=False) == 2.0
