# pyright: reportArgumentType=false, reportCallIssue=false
import dask.array as da
import numpy as np
import pytest
from scipy.stats import chi2

from dgmm.data import DataError, DataWarning, open_dataset, open_weights
from dgmm.fitting.survey import survey
from tests.model import naive

pytestmark = pytest.mark.usefixtures("small_spans")


@pytest.fixture
def rows(generator):
    return generator.normal(size=(6000, 3)) * [1.0, 10.0, 0.1] + [5.0, -1000.0, 0.0]


def test_moments(rows, stored):
    for x in (rows, stored(rows), da.from_array(rows, chunks=(700, 1))):
        moments = survey(open_dataset(x), 100, 0).moments
        assert moments.n_rows == moments.weight == 6000
        np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.scatter / 6000, np.cov(rows.T, bias=True), rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(moments.minimum, rows.min(axis=0))
        np.testing.assert_array_equal(moments.maximum, rows.max(axis=0))


def test_weighted_moments(rows, generator):
    weights = generator.integers(0, 4, len(rows))
    weights[:1500] = 0  # whole spans without weight
    moments = survey(open_dataset(rows), 100, 0, open_weights(weights)).moments
    repeated = np.repeat(rows, weights, axis=0)
    assert moments.weight == len(repeated)
    np.testing.assert_allclose(moments.mean, repeated.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        moments.scatter / len(repeated), np.cov(repeated.T, bias=True), rtol=1e-9, atol=1e-9
    )


def test_the_sample_holds_rows_and_their_weights(rows):
    weights = np.arange(6000.0)
    sample = survey(open_dataset(rows), 500, 3, open_weights(weights)).sample
    assert sample.values.shape == (500, 3)
    assert (np.diff(sample.numbers) > 0).all()
    np.testing.assert_array_equal(sample.values, rows[sample.numbers])
    assert sample.weights is not None
    np.testing.assert_array_equal(sample.weights, weights[sample.numbers])


def test_the_sample_does_not_depend_on_chunks(rows, stored):
    numbers = [
        survey(open_dataset(x), 500, 3).sample.numbers.tolist()
        for x in (rows, stored(rows, 333), stored(rows, 6000), da.from_array(rows, chunks=(123, 3)))
    ]
    assert all(found == numbers[0] for found in numbers)
    assert survey(open_dataset(rows), 500, 4).sample.numbers.tolist() != numbers[0]


@pytest.mark.parametrize("size", [1, 2, 5999, 6000, 7000])
def test_the_sample_is_never_short(rows, size):
    for seed in range(20):
        assert len(survey(open_dataset(rows), size, seed).sample.values) == min(size, 6000)


def test_the_sample_has_only_rows_with_a_weight(rows):
    """However few they are: else starts would be sought on rows that do not count."""
    for n_weighted in (3, 40, 3000):
        weights = np.zeros(6000)
        weights[np.random.default_rng(0).permutation(6000)[:n_weighted]] = 2.0
        found = survey(open_dataset(rows), 500, 3, open_weights(weights))
        assert found.n_weighted == n_weighted
        assert len(found.sample.values) == min(500, n_weighted)
        assert (weights[found.sample.numbers] == 2.0).all()
    everything = survey(open_dataset(rows), 6000, 3, open_weights(weights)).sample  # as scikit-learn has them
    np.testing.assert_array_equal(everything.weights, weights)


def test_the_sample_is_uniform():
    numbers = np.concatenate(
        [survey(open_dataset(np.zeros((2000, 1))), 100, seed).sample.numbers for seed in range(200)]
    )
    counts = np.bincount(numbers // 20, minlength=100)  # 200 expected in each of 100 bins
    statistic = ((counts - 200.0) ** 2 / 200.0).sum()
    assert chi2.sf(statistic, 99) > 1e-3


@pytest.mark.filterwarnings("ignore:.*have no value at all:dgmm.data.DataWarning")
class TestMissing:
    """Rows that lack values, where they may."""

    @pytest.fixture
    def incomplete(self, rows, generator):
        rows[:, 1] += 3.0 * rows[:, 0]
        return naive.with_missing(generator, rows, share=0.2)

    def test_moments_are_of_what_is_observed(self, incomplete, stored):
        for x in (incomplete, stored(incomplete), da.from_array(incomplete, chunks=(700, 1))):
            found = survey(open_dataset(x), 1000, 0, takes_nan=True)
            moments = found.moments
            assert moments.n_rows == moments.weight == 6000
            np.testing.assert_allclose(moments.mean, np.nanmean(incomplete, axis=0), rtol=1e-12)
            np.testing.assert_allclose(moments.squares / 6000, np.nanvar(incomplete, axis=0), rtol=1e-9)
            np.testing.assert_array_equal(moments.minimum, np.nanmin(incomplete, axis=0))
            np.testing.assert_array_equal(moments.maximum, np.nanmax(incomplete, axis=0))
            complete = incomplete[~np.isnan(incomplete).any(axis=1)]
            roots = np.sqrt(moments.squares)
            correlations = moments.scatter / roots[:, None] / roots
            np.testing.assert_allclose(correlations, np.corrcoef(complete.T), atol=0.1)
            sample = found.sample
            np.testing.assert_array_equal(sample.values, incomplete[sample.numbers])
            assert np.isnan(sample.values).any()

    def test_complete_rows_have_the_same_moments(self, rows):
        """To the bit, and nothing is put into them."""
        found, plain = (survey(open_dataset(rows), 100, 0, takes_nan=takes) for takes in (True, False))
        assert found.filling is None
        for name in ("mean", "scatter", "minimum", "maximum"):
            np.testing.assert_array_equal(getattr(found.moments, name), getattr(plain.moments, name))

    def test_rows_without_values_are_counted(self, incomplete):
        incomplete[np.isnan(incomplete).all(axis=1)] = 0.0
        incomplete[[3, 5000]] = np.nan
        with pytest.warns(DataWarning, match=r"2 of 6,000 rows have no value at all"):
            survey(open_dataset(incomplete), 100, 0, takes_nan=True)


def test_weights_that_are_all_zero(rows):
    with pytest.raises(DataError, match="sample_weight is zero in every row"):
        survey(open_dataset(rows), 100, 0, open_weights(np.zeros(6000)))
