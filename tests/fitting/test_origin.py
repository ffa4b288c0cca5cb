import numpy as np
import pytest

from dgmm.data import open_dataset
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.origin import ORIGIN, Shift
from dgmm.fitting.starts.methods import GivenStart
from dgmm.fitting.survey import survey
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from dgmm.passes.run import run_pass


def rows_at(offset, n_rows=300):
    return np.random.default_rng(0).normal(size=(n_rows, 2)) * [1.0, 3.0] + offset


@pytest.mark.parametrize(
    ("offset", "far"),
    [
        ([0.0, 0.0], None),
        ([0.9 * ORIGIN.farthest, 2.7 * ORIGIN.farthest], None),
        ([1.1 * ORIGIN.farthest, 2.7 * ORIGIN.farthest], [True, False]),
        ([-1.1 * ORIGIN.farthest, 3.3 * ORIGIN.farthest], [True, True]),
    ],
)
def test_which_features_are_taken_less_their_mean(offset, far):
    rows = rows_at(offset)
    moments = Moments.of((rows - rows.mean(axis=0)) / rows.std(axis=0) * [1.0, 3.0] + offset)
    shift = Shift.of(moments, np.dtype("f8"))
    if far is None:
        assert shift is None
        return
    assert shift is not None
    np.testing.assert_array_equal(shift.origin, np.where(far, moments.mean, 0.0))


@pytest.mark.parametrize("make", [lambda rows: rows.astype("f4"), lambda rows: np.full_like(rows, 7e20)])
def test_neither_single_precision_nor_columns_that_do_not_vary(make):
    rows = make(rows_at(1e12))
    assert Shift.of(Moments.of(rows), rows.dtype) is None


def collect(chunks):
    return [chunk.values.copy() for chunk in chunks]


def test_what_is_found_of_rows_less_the_point_is_what_they_have():
    rows = rows_at(1e12)
    found = survey(open_dataset(rows), 100, 0)
    shift = Shift.of(found.moments, rows.dtype)
    assert shift is not None
    nearer, exact = shift.survey(found), rows - shift.origin
    np.testing.assert_array_equal(np.concatenate(run_pass(nearer.source, collect, "test")), exact)
    np.testing.assert_array_equal(nearer.sample.values, exact[nearer.sample.numbers])
    np.testing.assert_array_equal(nearer.moments.minimum, exact.min(axis=0))
    np.testing.assert_array_equal(nearer.moments.maximum, exact.max(axis=0))
    np.testing.assert_array_equal(nearer.moments.mean, 0.0)
    assert nearer.moments.scatter is found.moments.scatter


def test_starts_and_fits_go_there_and_back():
    shift = Shift(np.array([1e12, 0.0]))
    means = np.array([[1e12 + 1.0, 2.0], [1e12 - 3.0, 4.0]])
    given = shift.given(GivenStart(means=means))
    np.testing.assert_array_equal(given.means, [[1.0, 2.0], [-3.0, 4.0]])
    assert shift.given(GivenStart()).means is None
    mixture = Parameters.from_covariances(FAMILIES["diag"], np.full(2, 0.5), means, np.ones((2, 2)))
    nearer = shift.nearer(EM(0, mixture))
    np.testing.assert_array_equal(nearer.parameters.means, given.means)
    np.testing.assert_array_equal(shift.back(nearer).parameters.means, means)
