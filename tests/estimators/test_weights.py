# pyright: reportArgumentType=false, reportCallIssue=false
import dask.array as da
import numpy as np
import pytest

from dgmm import GaussianMixture, GaussianMixtureSweep, MixtureWarning

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]


@pytest.fixture
def rows(generator):
    return np.concatenate([generator.normal(4 * k, 1 + k, (300, 2)) for k in range(3)])


def fit(rows, weights=None, *, tol=1e-6, **parameters):
    start = {
        "weights_init": np.full(3, 1 / 3),
        "means_init": np.array([[0.0, 0.0], [4.0, 4.0], [8.0, 8.0]]),
        "precisions_init": parameters.pop("precisions", None),
    }
    return GaussianMixture(
        3, random_state=0, algorithm="em", tol=tol, max_iter=200, **start, **parameters
    ).fit(rows, sample_weight=weights)


PRECISIONS = {
    "full": np.stack([np.eye(2)] * 3),
    "tied": np.eye(2),
    "diag": np.ones((3, 2)),
    "spherical": np.ones(3),
}


def assert_same(one, other, rtol=1e-8):
    assert one.n_iter_ == other.n_iter_
    for name in ("weights_", "means_", "covariances_", "lower_bound_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("sample_rows", ["auto", 200])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_whole_numbers_repeat_rows_and_zeros_drop_them(rows, generator, covariance_type, sample_rows):
    weights = generator.integers(0, 4, len(rows))
    own = {
        "covariance_type": covariance_type,
        "precisions": PRECISIONS[covariance_type],
        "sample_rows": sample_rows,
    }
    weighted, repeated = fit(rows, weights, **own), fit(np.repeat(rows, weights, axis=0), **own)
    assert_same(weighted, repeated)
    score = weighted.score(rows, sample_weight=weights)
    assert score == pytest.approx(repeated.score(np.repeat(rows, weights, axis=0)), rel=1e-10)
    for name in ("bic", "aic"):
        judged = getattr(weighted, name)(rows, sample_weight=weights)
        assert judged == pytest.approx(getattr(repeated, name)(np.repeat(rows, weights, axis=0)), rel=1e-10)


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("sample_rows", ["auto", 200])
def test_weights_from_anywhere(rows, generator, stored, sample_rows):
    weights = generator.uniform(size=len(rows))
    own = {"precisions": PRECISIONS["full"], "sample_rows": sample_rows, "tol": 1e-2}  # a few passes
    expected = fit(rows, weights, **own)
    for x in (rows, stored(rows, 123), da.from_array(rows, chunks=(100, 2))):
        for kind in (weights.tolist(), stored(weights, 77), da.from_array(weights, chunks=50)):
            assert_same(fit(x, kind, **own), expected, 1e-10)


@pytest.mark.parametrize("share", [0.02, 0.005])
def test_few_rows_with_a_weight(generator, share):
    rows = generator.normal(size=(20_000, 2)) + generator.integers(0, 2, (20_000, 1)) * 8
    weights = (generator.random(20_000) < share).astype(float)
    own = rows[weights > 0]
    expected = GaussianMixture(2, random_state=0).fit(own).score(own)
    found = GaussianMixture(2, random_state=0, sample_rows=2000).fit(rows, sample_weight=weights)
    assert found.score(own) == pytest.approx(expected, abs=1e-5)
    sweep = GaussianMixtureSweep([1, 2], random_state=0, sample_rows=2000).fit(rows, sample_weight=weights)
    assert sweep.best_params_["n_components"] == 2


@pytest.mark.parametrize("sample_rows", ["auto", 200])
def test_fewer_rows_with_a_weight_than_components(rows, sample_rows):
    weights = np.zeros(900)
    weights[:2] = 1.0
    with pytest.raises(ValueError, match="n_components = 3, and 2 of 900 rows with a sample_weight above 0"):
        GaussianMixture(3, sample_rows=sample_rows).fit(rows, sample_weight=weights)


@pytest.mark.parametrize("covariance_type", ["full", "spherical"])
def test_as_many_rows_with_a_weight_as_components(generator, covariance_type):
    rows, weights = generator.normal(size=(3000, 2)) * 10, np.zeros(3000)
    weights[::600] = 1.0
    mixture = GaussianMixture(5, covariance_type=covariance_type, sample_rows=1000, random_state=0)
    with pytest.warns(MixtureWarning):  # each component has one
        mixture.fit(rows, sample_weight=weights)
    np.testing.assert_allclose(np.sort(mixture.means_, axis=0), np.sort(rows[::600], axis=0), rtol=1e-6)


def test_single_precision_weights_are_added_up_in_double(rows):
    mixture = GaussianMixture(3, random_state=0).fit(rows)
    for weight in (0.1, 1e36):
        weights = np.full(900, weight, np.float32)
        assert mixture.score(rows, sample_weight=weights) == pytest.approx(mixture.score(rows), rel=1e-13)
        again = GaussianMixture(3, random_state=0).fit(rows, sample_weight=weights)
        np.testing.assert_allclose(again.means_, mixture.means_, rtol=1e-8)


def test_a_common_factor_changes_nothing(rows):
    own = {"precisions": PRECISIONS["full"]}
    assert_same(fit(rows, np.full(len(rows), 1e-3), **own), fit(rows, **own))
    assert_same(fit(rows, 1e3, **own), fit(rows, **own))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([1.0, -1.0, 1.0]), "at least 0, but row 1 has -1.0"),
        (np.array([1.0, np.nan, 1.0]), "row 1 has nan"),
        (np.array([1.0, 1.0]), r"sample_weight.shape == \(2,\), expected \(3,\)"),
        (np.zeros(3), "sample_weight is zero in every row"),
        (np.ones((3, 1, 1)), "Expected 1D array"),
        (np.ones((3, 2)), "1D array"),
        (["a", "b", "c"], "text"),
    ],
    ids=str,
)
def test_bad_weights(bad, message):
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [3.0, 3.0]])
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit(rows, sample_weight=bad)
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit(rows).score(rows, sample_weight=bad)
