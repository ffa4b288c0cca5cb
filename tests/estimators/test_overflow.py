"""Values so large that their squares overflow, and whole numbers that float64 rounds."""
# pyright: reportArgumentType=false

import re
from functools import cache

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSweep
from dgmm.data.source import DataWarning

FAMILIES = ["full", "tied", "diag", "spherical"]


def two_groups(seed=0, dtype="f8"):
    rows = np.random.default_rng(seed).normal(size=(200, 2))
    rows[:80] += 8.0
    return rows.astype(dtype)


def with_outlier(value, dtype="f8"):
    rows = two_groups(dtype=dtype)
    rows[7, 1] = value
    return rows


@pytest.fixture(scope="module")
def model():
    return GaussianMixture(2, random_state=0).fit(two_groups())


@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")
def test_probabilities_of_a_row_far_out_sum_to_one(covariance_type, dtype):
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(two_groups(dtype=dtype))
    far = np.array([[0.5, 0.5], [1e30 if dtype == "f4" else 1e200, 0.0]], dtype)
    found = model.predict_proba(far)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(found[0], model.predict_proba(far[:1])[0], rtol=1e-6)
    np.testing.assert_array_equal(model.predict(far), found.argmax(axis=1))
    assert model.score_samples(far)[1] == (-np.inf if dtype == "f4" else model.score_samples(far)[1])


@pytest.mark.parametrize("value", [1.7e308, -1.7e308, 1e200])
@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixture(2),
        GaussianMixture(2, sample_rows=100),
        BayesianGaussianMixture(n_components=2),
        GaussianMixtureSweep([1, 2]),
        GaussianMixtureSweep([1, 2], sample_rows=100),
    ],
    ids=str,
)
@pytest.mark.parametrize("hold", [np.asarray, lambda rows: da.from_array(rows, chunks=(50, 2))])
def test_a_fit_names_the_row_and_the_column(estimator, value, hold):
    with pytest.raises(ValueError, match=rf"row 7, column 1, of .*, holds {re.escape(f'{value:g}')}"):
        estimator.fit(hold(with_outlier(value)))


@pytest.mark.parametrize("score", ["score", "bic", "aic"])
@pytest.mark.parametrize("value", [1e200, -1.7e308])
def test_a_score_names_the_row_and_the_column(model, score, value):
    with pytest.raises(ValueError, match=r"row 7, column 1, of .* its log density overflows"):
        getattr(model, score)(with_outlier(value))
    weights = np.ones(200)
    weights[7] = 0.0
    rest = np.delete(two_groups(), 7, axis=0)
    assert model.score(with_outlier(value), sample_weight=weights) == pytest.approx(
        model.score(rest), rel=1e-12
    )


@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("sample_rows", ["auto", 100])
def test_the_units_do_not_matter(covariance_type, scale, sample_rows):
    """Squares that are just within the range serve; without a warning of NumPy's."""
    own = {
        "covariance_type": covariance_type,
        "random_state": 0,
        "reg_covar": 0.0,
        "sample_rows": sample_rows,
    }
    plain = GaussianMixture(2, **own).fit(two_groups())
    scaled = GaussianMixture(2, **own).fit(two_groups() * scale)
    means = (np.sort(each, axis=0) for each in (scaled.means_ / scale, plain.means_))
    np.testing.assert_allclose(*means, rtol=1e-6)
    np.testing.assert_allclose(scaled.lower_bound_, plain.lower_bound_ - 2.0 * np.log(scale), rtol=1e-9)


@pytest.mark.parametrize("sample_rows", ["auto", 100])
@pytest.mark.parametrize("scale", [1e-20, 1e30])
@pytest.mark.parametrize("init_params", ["auto", "kmeans", "k-means++", "random_from_data"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_float32_beyond_the_range_of_its_squares(sample_rows, scale, init_params):
    """Parameters that float32 does not hold are float64."""
    rows = (two_groups() * scale).astype("f4")
    own = {
        "random_state": 0,
        "reg_covar": (0.01 * scale) ** 2,
        "init_params": init_params,
        "sample_rows": sample_rows,
    }
    single, double = GaussianMixture(2, **own).fit(rows), GaussianMixture(2, **own).fit(rows.astype("f8"))
    assert single.covariances_.dtype == np.float64
    np.testing.assert_allclose(np.sort(single.means_, axis=0), np.sort(double.means_, axis=0), rtol=1e-4)
    assert single.weights_.min() > 0.3


@pytest.mark.parametrize("hold", [np.asarray, lambda rows: da.from_array(rows, chunks=(50, 2))])
@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_whole_numbers_that_float64_rounds_are_told_of(hold, dtype):
    rows = (100 * np.abs(two_groups())).astype(dtype)
    GaussianMixture(1).fit(hold(rows))
    rows[:, 1] += 2**60
    with pytest.warns(DataWarning, match=r"column 1 holds whole numbers beyond 2\^53"):
        GaussianMixture(1, reg_covar=1.0).fit(hold(rows))
    GaussianMixture(1).fit(hold(two_groups() * 1e20))


def as_parquet(frame, folder):
    frame.to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def as_csv(frame, folder):
    frame.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


@pytest.mark.parametrize(
    "hold",
    [
        as_parquet,
        as_csv,
        lambda frame, _: frame,
        lambda frame, _: pa.Table.from_pandas(frame),
        lambda frame, _: dd.from_pandas(frame, npartitions=2),
    ],
    ids=["parquet", "csv", "pandas", "arrow", "dask"],
)
def test_of_tables_the_columns_without_them_are_named(hold, tmp_path):
    x, y = two_groups().T
    numbers = 2**60 + 1000 * np.arange(len(x))
    fluxes = pd.DataFrame({"x": x, "y": 1e20 * y, "small": np.arange(len(x)) % 7})
    GaussianMixture(1).fit(hold(fluxes, tmp_path))  # what is large and no whole number is no identifier
    with pytest.warns(DataWarning, match=r"'star' holds whole numbers .* columns=\['x', 'y', 'small'\]"):
        GaussianMixture(1).fit(hold(fluxes.assign(star=numbers), tmp_path))


@pytest.mark.parametrize(
    ("covariance_type", "sample_rows"), [("full", "auto"), ("full", 300), ("tied", "auto"), ("diag", 300)]
)
class TestBayesOfDependentFeatures:
    """The evidence is finite, a warning says on what it depends, and moves end as without these features."""

    @staticmethod
    def rows():
        draw = np.random.default_rng(0)
        return np.concatenate([draw.normal(0, 1, (600, 2)), draw.normal(8, 2, (300, 2))])

    @staticmethod
    def fit(rows, covariance_type, sample_rows):
        settings = {"n_components": 4, "weight_concentration_prior": 0.01, "moves": True, "max_iter": 500}
        settings |= {"covariance_type": covariance_type, "sample_rows": sample_rows, "random_state": 0}
        return BayesianGaussianMixture(**settings).fit(rows)

    @staticmethod
    @cache
    def plain(covariance_type, sample_rows):
        here = TestBayesOfDependentFeatures
        return here.fit(here.rows(), covariance_type, sample_rows).effective_components_

    def found(self, rows, covariance_type, sample_rows, match):
        with pytest.warns(UserWarning, match=match):
            model = self.fit(rows, covariance_type, sample_rows)
        assert np.isfinite(model.elbo_)
        assert model.effective_components_ == self.plain(covariance_type, sample_rows)

    def test_a_constant_column(self, covariance_type, sample_rows):
        rows = np.column_stack([self.rows(), np.full(900, 3.1)])
        self.found(rows, covariance_type, sample_rows, "feature 2 does not vary")

    def test_a_column_that_follows_from_others(self, covariance_type, sample_rows):
        if covariance_type == "diag":
            pytest.skip("a covariance without products is not singular for it")
        rows = self.rows()
        rows = np.column_stack([rows, rows @ [1.0, 2.0]])
        self.found(rows, covariance_type, sample_rows, "features 0, 1, 2 depend on each other linearly")
