"""Rows that lack values: refused, left out, or taken by what is observed of them."""
# pyright: reportArgumentType=false, reportCallIssue=false

from dataclasses import replace
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSweep
from dgmm.data import DataWarning
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

pytestmark = [
    pytest.mark.usefixtures("small_spans"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)

NAMES = ("weights_", "means_", "covariances_")


def clustered(n_rows=600, *, n_features=3, share=0.25, covariance_type="full", seed=0, spread=2.0):
    """Incomplete rows of three overlapping components, none of them without values, and their mixture."""
    generator = np.random.default_rng(seed)
    truth = naive.random_parameters(generator, covariance_type, 3, n_features, spread=spread)
    complete = naive.random_rows(generator, truth, n_rows)
    rows = naive.with_missing(generator, complete, share)
    return np.where(np.isnan(rows).all(axis=1, keepdims=True), complete, rows), truth


def mixture(x, n_components=3, kind: Any = GaussianMixture, **own):
    settings = {"random_state": 0, "missing": "marginalize"}
    return kind(n_components=n_components, **settings | own).fit(x)


def naive_update(family, sums, reg_covar, lacking):
    """The M-step of expected statistics about zero, in closed form: with scikit-learn's ten epsilons.

    Of values that rows lack, in `naive.counts_lacking`, the variance is that without `reg_covar`.
    """
    counts = sums.counts + 10 * np.finfo(float).eps
    means = sums.sums / counts[:, None]
    scatter = sums.products - counts[:, None, None] * means[:, :, None] * means[:, None, :]
    own = scatter / counts[:, None, None]
    if family.is_shared:
        own = np.repeat(scatter.sum(axis=0)[None] / counts.sum(), len(counts), axis=0)
    form = naive.STRUCTURES[family.name][1]
    eye = np.eye(means.shape[1])
    unknown = lacking / counts[:, None]
    if family.is_shared:
        unknown = np.repeat(np.sum(lacking, axis=0, keepdims=True) / counts.sum(), len(counts), axis=0)
    own = own + reg_covar * (1.0 - unknown)[:, :, None] * eye
    if form == "diagonal":
        own = own * eye
    if form == "sphere":
        own = own.trace(axis1=1, axis2=2)[:, None, None] / len(eye) * eye
    covariances = naive.covariances_of(family.name, own)
    return Parameters.from_covariances(family, counts / counts.sum(), means, covariances)


def naive_em(start, rows, weights, n_steps, reg_covar):
    """EM by regression row by row: the last mixture, and the mean log density before each step."""
    total = len(rows) if weights is None else weights.sum()
    found, bounds = start, []
    for _ in range(n_steps):
        sums = naive.expect_incomplete(found, rows, weights, np.zeros(found.means.shape))
        bounds.append(sums.log_likelihood / total)
        found = naive_update(found.family, sums, reg_covar, naive.counts_lacking(sums, rows, weights))
    return found, bounds


def started_at(start, x, weights=None, **own):
    parameters = {
        "covariance_type": start.family.name,
        "weights_init": start.weights,
        "means_init": start.means,
        "precisions_init": np.asarray(start.precisions),
        "missing": "marginalize",
        "tol": 0.0,
        "max_iter": 6,
    }
    return GaussianMixture(len(start.weights), **parameters | own).fit(x, sample_weight=weights)


def close(found, wanted, **tolerance):
    for name in NAMES:
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name.strip("_")), **tolerance)


class TestEM:
    @each_family
    @pytest.mark.parametrize("weighted", [False, True])
    def test_it_is_em_by_regression_row_by_row(self, covariance_type, weighted):
        rows, _ = clustered(200, covariance_type=covariance_type)
        weights = np.random.default_rng(1).gamma(1.0, size=len(rows)) if weighted else None
        start = naive.random_parameters(np.random.default_rng(2), covariance_type, 3, 3, spread=2.0)
        wanted, bounds = naive_em(start, rows, weights, 6, 1e-6)
        found = started_at(start, rows, weights)
        close(found, wanted, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found.lower_bounds_, bounds, rtol=1e-10)

    @pytest.mark.filterwarnings("ignore:feature 3 has one value, 7, in all rows:dgmm.MixtureWarning")
    @pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "tied_diag"])
    def test_a_feature_that_does_not_vary_has_reg_covar_as_its_variance(self, covariance_type):
        """As with complete rows; EM of the other features does not know of it, nor can its rows tell."""
        rows, _ = clustered(200, covariance_type=covariance_type)
        start = naive.random_parameters(np.random.default_rng(2), covariance_type, 3, 3, spread=2.0)
        reg_covar, family = 1e-4, start.family
        wanted, bounds = naive_em(start, rows, None, 6, reg_covar)
        seven = np.where(np.arange(len(rows)) % 5 == 0, np.nan, 7.0)
        matrices = np.zeros((3, 4, 4))
        matrices[:, :3, :3] = naive.matrices_of(start)
        matrices[:, 3, 3] = reg_covar
        with_seven = Parameters.from_covariances(
            family,
            start.weights,
            np.column_stack([start.means, np.full(3, 7.0)]),
            naive.covariances_of(covariance_type, matrices),
        )
        found = started_at(with_seven, np.column_stack([rows, seven]), reg_covar=reg_covar)
        np.testing.assert_allclose(found.means_[:, :3], wanted.means, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.means_[:, 3], 7.0, rtol=1e-12)
        fitted = Parameters.from_covariances(family, found.weights_, found.means_, found.covariances_)
        own = naive.matrices_of(fitted)
        np.testing.assert_allclose(own[:, :3, :3], naive.matrices_of(wanted), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(own[:, 3], [[0.0, 0.0, 0.0, reg_covar]] * 3, atol=1e-12)
        # Each of the rows that have it, four of five, has its density at the mean.
        added = -0.8 * 0.5 * np.log(2.0 * np.pi * reg_covar)
        np.testing.assert_allclose(found.lower_bounds_, np.array(bounds) + added, rtol=1e-9)

    @pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")  # component 1 is as narrow as it may be
    @each_family
    def test_a_feature_that_has_one_value_in_one_component(self, covariance_type):
        """Its variance there is the closed form's; rows without weight have other values of it."""
        generator = np.random.default_rng(4)
        rows = generator.normal(size=(120, 3)) + np.repeat([[0.0], [50.0]], 60, axis=0)
        rows[60:, 1] = 50.0
        rows[np.arange(120) % 3 == 0, 1] = rows[np.arange(120) % 5 == 1, 2] = np.nan
        weights = generator.uniform(0.5, 2.0, size=len(rows))
        rows[[62, 70], 1], weights[[62, 70]] = 60.0, 0.0
        reg_covar = 1e-3
        start = naive.random_parameters(generator, covariance_type, 2, 3)
        start = replace(start, means=np.array([[0.0] * 3, [50.0] * 3]))
        found = started_at(start, rows, weights, reg_covar=reg_covar, max_iter=60)
        assert (np.diff(found.lower_bounds_) > -1e-9).all()  # but for rounding
        family, variances = found._parameters.family, found._parameters.variances
        if not family.is_shared and not family.is_round:
            np.testing.assert_allclose(variances[1, 1], reg_covar, rtol=1e-6)
        if family.has_products:
            return  # regression tells more of other features
        # EM's fixed point, of components that share no row: what is observed alone tells variances.
        known, values = np.where(np.isnan(rows), 0.0, weights[:, None]), np.nan_to_num(rows)
        weight, squares = np.zeros((2, 2, 3))
        for k, part in enumerate((slice(60), slice(60, None))):
            weight[k] = known[part].sum(axis=0)
            means = (known[part] * values[part]).sum(axis=0) / weight[k]
            squares[k] = (known[part] * (values[part] - means) ** 2).sum(axis=0)
        axes = (0,) * family.is_shared + (1,) * family.is_round
        wanted = squares.sum(axis=axes, keepdims=True) / weight.sum(axis=axes, keepdims=True) + reg_covar
        np.testing.assert_allclose(variances, np.broadcast_to(wanted, (2, 3)), rtol=1e-6)

    @each_family
    def test_out_of_core_too(self, covariance_type, stored):
        """Plain EM in passes over spans, with patterns that come and go."""
        rows, _ = clustered(4000, covariance_type=covariance_type)
        rows[:1000] = np.where(np.isnan(rows[:1000]), 0.5, rows[:1000])  # the first spans are complete
        start = naive.random_parameters(np.random.default_rng(2), covariance_type, 3, 3, spread=2.0)
        wanted = started_at(start, rows, max_iter=4)
        for x in (stored(rows), da.from_array(rows, chunks=(700, 2))):
            found = started_at(start, x, sample_rows=500, algorithm="em", max_iter=4)
            for name in NAMES:
                np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(found.lower_bounds_, wanted.lower_bounds_, rtol=1e-11)

    @pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")
    @settings(max_examples=25)
    @given(
        st.sampled_from(naive.COVARIANCE_TYPES),
        st.integers(0, 2**31),
        st.integers(1, 4),
        st.floats(0.05, 0.7),
    )
    def test_the_log_likelihood_never_falls(self, covariance_type, seed, n_features, share):
        rows, _ = clustered(
            200, n_features=n_features, share=share, covariance_type=covariance_type, seed=seed
        )
        start = naive.random_parameters(np.random.default_rng(seed), covariance_type, 2, n_features)
        found = started_at(start, rows, reg_covar=1e-12, max_iter=15)
        assert (np.diff(found.lower_bounds_) > -1e-9).all()
        assert found.score(rows) >= found.lower_bounds_[-1] - 1e-9

    @each_family
    def test_corrected_em_comes_to_the_same_end(self, covariance_type, stored):
        """Steps on a sample that lacks values, corrected to all rows: of shared covariances as well."""
        rows, truth = clustered(1000, covariance_type=covariance_type, spread=4.0)
        covariances = 1.5 * truth.covariances
        start = Parameters.from_covariances(truth.family, truth.weights, truth.means + 0.3, covariances)
        wanted = started_at(start, rows, max_iter=150, tol=1e-9)
        own = {"sample_rows": 500, "algorithm": "corrected", "max_iter": 60, "tol": 1e-8}
        found = started_at(start, stored(rows), **own)
        assert found.lower_bound_ == pytest.approx(wanted.score(rows), abs=1e-6)
        assert max(found.history_["inner_steps"]) > 1
        accepted = np.array(found.lower_bounds_)[found.history_["accepted"]]
        assert (np.diff(accepted) >= 0.0).all()

    @each_family
    def test_complete_rows_give_the_same_bits(self, covariance_type, stored):
        rows = naive.random_rows(
            np.random.default_rng(4), clustered(covariance_type=covariance_type)[1], 2000
        )
        for x, own in ((rows, {}), (stored(rows), {"sample_rows": 500})):
            one, other = (
                mixture(x, covariance_type=covariance_type, missing=missing, max_iter=5, **own)
                for missing in ("marginalize", "error")
            )
            for name in NAMES:
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert one.lower_bounds_ == other.lower_bounds_
            assert one.n_passes_ == other.n_passes_

    def test_missing_at_random_is_no_bias(self):
        """A feature is observed where another is small: complete cases mistake its mean, not this."""
        generator = np.random.default_rng(5)
        rows = generator.multivariate_normal([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]], 20_000)
        rows[rows[:, 0] > 0.0, 1] = np.nan
        found, dropped = mixture(rows, 1), mixture(rows, 1, missing="drop")
        assert abs(found.means_[0, 1]) < 0.05
        assert dropped.means_[0, 1] < -0.5
        assert found.covariances_[0, 0, 1] == pytest.approx(0.8, abs=0.05)

    def test_float32_rows(self):
        rows, _ = clustered(1500)
        wanted, found = mixture(rows, tol=1e-5), mixture(rows.astype(np.float32), tol=1e-5)
        assert found.means_.dtype == np.float32
        np.testing.assert_allclose(found.means_, wanted.means_, atol=2e-2)
        np.testing.assert_allclose(found.lower_bound_, wanted.lower_bound_, atol=1e-4)

    def test_every_row_lacks_something_else(self):
        """No complete row, and as many patterns as fit."""
        generator = np.random.default_rng(6)
        rows = np.concatenate([generator.normal(0, 1, (400, 6)), generator.normal(6, 1, (400, 6))])
        rows[np.arange(800), np.arange(800) % 6] = np.nan
        rows[np.arange(800), np.arange(800) // 6 % 6] = np.nan
        found = mixture(rows, 2)
        np.testing.assert_allclose(np.sort(found.means_[:, 0]), [0.0, 6.0], atol=0.3)
        np.testing.assert_allclose(found.covariances_, np.stack([np.eye(6)] * 2), atol=0.35)

    def test_narrow_components_far_from_zero(self):
        """Sums about the centre would cancel: they are taken about the components."""
        generator = np.random.default_rng(7)
        rows = np.concatenate([generator.normal(0, 1e-4, (500, 2)), generator.normal(1, 1e-4, (500, 2))])
        rows = naive.with_missing(generator, 1e5 + 1e3 * rows, 0.2)
        rows[np.isnan(rows).all(axis=1)] = 1e5
        found = mixture(rows, 2, reg_covar=0.0)
        np.testing.assert_allclose(np.sort(found.means_[:, 1]), [1e5, 1.01e5], atol=0.05)
        np.testing.assert_allclose(found.covariances_[:, [0, 1], [0, 1]], 1e-2, rtol=0.25)


@pytest.fixture(scope="module")
def rows():
    return clustered(2000, seed=8)[0]


@pytest.fixture(scope="module")
def fitted():
    rows, _ = clustered(2000, seed=19)
    return rows, mixture(pd.DataFrame(rows, columns=["a", "b", "c"]))


class TestSources:
    @pytest.mark.parametrize(
        ("algorithm", "init_params"), [("em", "kmeans"), ("corrected", "search"), ("corrected", "k-means||")]
    )
    def test_wherever_the_rows_are(self, rows, algorithm, init_params, stored, tmp_path):
        """The same rows are in the sample, the same values drawn, and sums differ by rounding alone."""
        frame = pd.DataFrame(rows, columns=["a", "b", "c"])
        (tmp_path / "rows.parquet").mkdir()
        for number, part in enumerate(np.array_split(np.arange(len(rows)), 5)):
            frame.iloc[part].to_parquet(tmp_path / "rows.parquet" / f"part-{number}.parquet")
        own = {"algorithm": algorithm, "init_params": init_params, "sample_rows": 700, "tol": 1e-5}
        own["max_iter"] = 10
        wanted = mixture(frame, **own)
        order = np.argsort(wanted.means_[:, 0])
        places = [stored(rows, 333), str(tmp_path / "rows.parquet"), dd.from_pandas(frame, npartitions=3)]
        for x in places:
            found = mixture(x, **own)
            assert found.data_fingerprint_ == wanted.data_fingerprint_
            np.testing.assert_allclose(found.lower_bound_, wanted.lower_bound_, atol=1e-8)
            mine = np.argsort(found.means_[:, 0])
            np.testing.assert_allclose(found.means_[mine], wanted.means_[order], atol=1e-5)

    @pytest.mark.parametrize(
        "init_params", ["kmeans", "k-means++", "random", "random_from_data", "k-means||"]
    )
    @pytest.mark.parametrize("weighted", [False, True])
    def test_every_start(self, rows, init_params, weighted):
        weights = np.arange(len(rows)) % 3 if weighted else None
        found = GaussianMixture(3, init_params=init_params, random_state=0, missing="marginalize")
        found.fit(rows, sample_weight=weights)
        assert np.isfinite(found.means_).all()
        assert found.converged_

    def test_nulls_of_tables(self, tmp_path):
        """Whole numbers with nulls, of Parquet, CSV, Arrow and pandas, are NaN."""
        rows = np.round(10.0 * clustered(500, seed=9)[0])
        frame = pd.DataFrame(rows, columns=["a", "b", "c"]).astype("Int32")
        frame.to_parquet(tmp_path / "x.parquet")
        frame.to_csv(tmp_path / "x.csv", index=False)
        wanted = mixture(rows)
        for x in (frame, tmp_path / "x.parquet", tmp_path / "x.csv"):
            np.testing.assert_allclose(mixture(x).means_, wanted.means_, rtol=1e-12)

    def test_fill_values_of_xarray(self, tmp_path):
        xr = pytest.importorskip("xarray")
        rows = np.round(clustered(500, seed=9)[0], 2)
        data = xr.Dataset({name: ("row", column) for name, column in zip("abc", rows.T, strict=True)})
        packed = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -32768}
        data.to_zarr(tmp_path / "x.zarr", encoding=dict.fromkeys("abc", packed), zarr_format=2)
        found = mixture(tmp_path / "x.zarr")
        np.testing.assert_allclose(found.means_, mixture(rows).means_, atol=1e-9)

    def test_a_cluster(self, rows, stored, client):
        path = stored(rows)
        here = mixture(rows, sample_rows=1000, algorithm="em", init_params="kmeans", max_iter=5)
        there = mixture(path, sample_rows=1000, algorithm="em", init_params="kmeans", max_iter=5)
        np.testing.assert_allclose(there.means_, here.means_, rtol=1e-9)


class TestBayesian:
    @each_family
    @pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
    def test_it_is_naive_variational_bayes(self, covariance_type, kind):
        """E-steps by regression row by row, of expected log densities; the bound never falls."""
        rows, _ = clustered(300, covariance_type=covariance_type, seed=10)
        own = {"weight_concentration_prior_type": kind, "covariance_type": covariance_type, "tol": 0.0}
        own |= {"kind": BayesianGaussianMixture, "n_components": 4, "init_params": "random"}
        before, after = (mixture(rows, max_iter=n_iter, **own) for n_iter in (4, 5))
        posterior, prior = before._parameters, before.__dict__
        sums = naive.expect_incomplete(
            posterior, rows, None, np.zeros(posterior.means.shape), posterior.log_constants
        )
        np.testing.assert_allclose(before.predict_proba(rows), sums.responsibilities, atol=1e-9)
        np.testing.assert_allclose(before.score_samples(rows), sums.log_densities, rtol=1e-9)
        counts = sums.counts + 10 * np.finfo(float).eps
        means = sums.sums / counts[:, None]
        known = prior["mean_precision_prior_"] + counts
        wanted = (prior["mean_precision_prior_"] * prior["mean_prior_"] + counts[:, None] * means) / known[
            :, None
        ]
        np.testing.assert_allclose(after.mean_precision_, known, rtol=1e-9)
        np.testing.assert_allclose(after.means_, wanted, rtol=1e-8, atol=1e-9)
        assert (np.diff(after.lower_bounds_) > -1e-9 * abs(after.lower_bound_)).all()

    @pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")  # of a feature with one value
    @pytest.mark.parametrize("covariance_type", ["diag", "tied_diag"])
    def test_reg_covar_is_added_to_observed_values_alone(self, covariance_type):
        """One component: its posterior is that of the rows that have each feature, in closed form."""
        rows = np.random.default_rng(3).normal(size=(60, 3)) + 2.0
        rows[:, 1] = 2.0
        rows[::2, 1] = rows[1::3, 2] = np.nan
        own = {"mean_prior": [1.0, 2.0, 3.0], "mean_precision_prior": 0.5, "degrees_of_freedom_prior": 4.0}
        own |= {"covariance_prior": [0.2, 1e-6, 0.4], "reg_covar": 1e-3, "tol": 1e-13, "max_iter": 500}
        own |= {"kind": BayesianGaussianMixture, "covariance_type": covariance_type}
        found = mixture(rows, n_components=1, **own)
        n_known, prior = (~np.isnan(rows)).sum(axis=0), np.array(own["mean_prior"])
        means = (0.5 * prior + np.nansum(rows, axis=0)) / (0.5 + n_known)
        squares = np.nansum((rows - means) ** 2, axis=0) + n_known * 1e-3 + 0.5 * (means - prior) ** 2
        wanted = (own["covariance_prior"] + squares) / (4.0 + n_known)
        np.testing.assert_allclose(found.means_[0], means, rtol=1e-6)
        np.testing.assert_allclose(np.reshape(found.covariances_, -1), wanted, rtol=1e-6)

    @each_family
    def test_the_bound_of_what_went_in_and_of_what_came_out_agree(self, covariance_type):
        """At the end both are one: the entropy of what is missing is in both, or in none."""
        rows, _ = clustered(300, covariance_type=covariance_type, seed=11)
        own = {"kind": BayesianGaussianMixture, "covariance_type": covariance_type, "n_components": 3}
        plain = mixture(rows, algorithm="em", tol=1e-9, max_iter=2000, **own)
        went_in = mixture(rows, algorithm="corrected", tol=1e-12, max_iter=300, **own)
        assert (np.diff(went_in.lower_bounds_) >= -1e-7).all()
        assert went_in.elbo_ == pytest.approx(plain.elbo_, rel=1e-6)

    def test_moves_and_passes(self, stored):
        rows, _ = clustered(1200, seed=12, spread=5.0)
        own = {"kind": BayesianGaussianMixture, "n_components": 6, "moves": True}
        here, there = mixture(rows, **own), mixture(stored(rows), sample_rows=600, **own)
        assert here.effective_components_ == there.effective_components_ == 3
        assert there.elbo_ == pytest.approx(here.elbo_, rel=5e-3)  # but for the order of the sticks


class TestSweep:
    @pytest.mark.parametrize("sample_rows", [5000, 800])
    def test_a_sweep(self, sample_rows, stored):
        """In memory and in shared passes: figures are those of each mixture alone, of all rows."""
        rows, _ = clustered(1800, seed=13)
        found = GaussianMixtureSweep(
            range(1, 5),
            covariance_type=["full", "tied"],
            held_out=0.1,
            prune=False,
            missing="marginalize",
            sample_rows=sample_rows,
            random_state=0,
        ).fit(stored(rows))
        assert found.best_params_["n_components"] == 3
        best, results = found.best_estimator_, found.results_
        assert best.missing == "marginalize"
        for fitted in (found, best):
            assert fitted.n_rows_incomplete_ == np.isnan(rows).any(axis=1).sum()
            np.testing.assert_array_equal(fitted.n_missing_, np.isnan(rows).sum(axis=0))
        held = np.isfinite(results["held_out"]).all()
        assert held
        shares = best.predict_proba(rows)
        undecided = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=1).mean()
        entropy = results["entropy"][found.best_index_]
        assert entropy == pytest.approx(undecided, rel=0.05)  # a tenth of the rows is held out
        density = results["log_likelihood"][found.best_index_]
        assert density == pytest.approx(best.score(rows), abs=0.02)
        assert results["held_out"][found.best_index_] == pytest.approx(best.score(rows), abs=0.3)
        np.testing.assert_array_equal(found.predict(rows), best.predict(rows))

    @each_family
    def test_the_entropy_is_that_of_responsibilities(self, covariance_type):
        rows, _ = clustered(1000, covariance_type=covariance_type, seed=14)
        found = GaussianMixtureSweep(
            3, covariance_type=covariance_type, missing="marginalize", random_state=0
        ).fit(rows)
        shares = found.predict_proba(rows)
        undecided = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=1).mean()
        assert found.results_["entropy"][0] == pytest.approx(undecided, rel=1e-7)
        assert found.results_["log_likelihood"][0] == pytest.approx(found.score(rows), rel=1e-10)

    @pytest.mark.parametrize("sample_rows", [5000, 500])
    def test_dropped(self, sample_rows, stored):
        rows, _ = clustered(1500, seed=15)
        kept = rows[~np.isnan(rows).any(axis=1)]
        own = {"covariance_type": ["full"], "sample_rows": sample_rows, "random_state": 0}
        dropped = GaussianMixtureSweep(range(2, 4), missing="drop", **own).fit(rows)
        alone = GaussianMixtureSweep(range(2, 4), **own).fit(kept)
        np.testing.assert_array_equal(dropped.results_["bic"], alone.results_["bic"])
        assert dropped.n_passes_ == alone.n_passes_
        assert dropped.n_rows_dropped_ == dropped.best_estimator_.n_rows_dropped_ == 1500 - len(kept)
        assert dropped.data_fingerprint_ == str(dgmm.fingerprint(rows))
        there = GaussianMixtureSweep(range(2, 4), missing="drop", **own).fit(stored(rows))
        np.testing.assert_allclose(there.results_["bic"], alone.results_["bic"], rtol=1e-6)
        assert there.n_passes_ == alone.n_passes_ + 1


class TestDrop:
    @pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
    @pytest.mark.parametrize("sample_rows", [9000, 700])
    def test_it_is_the_fit_of_complete_cases(self, kind, sample_rows, stored, tmp_path):
        rows, _ = clustered(4000, seed=16)
        complete = ~np.isnan(rows).any(axis=1)
        weights = np.arange(1.0, 4001.0)
        own = {"n_components": 3, "random_state": 0, "sample_rows": sample_rows, "tol": 1e-4}
        dropped = kind(missing="drop", **own).fit(rows, sample_weight=weights)
        alone = kind(**own).fit(rows[complete], sample_weight=weights[complete])
        for name in NAMES:
            np.testing.assert_array_equal(getattr(dropped, name), getattr(alone, name))
        assert dropped.lower_bounds_ == alone.lower_bounds_
        assert dropped.n_passes_ == alone.n_passes_
        assert dropped.n_rows_dropped_ == (~complete).sum()
        assert dropped.data_fingerprint_ == str(dgmm.fingerprint(rows))
        there = kind(missing="drop", **own).fit(stored(rows), sample_weight=weights)
        np.testing.assert_allclose(there.lower_bound_, alone.lower_bound_, rtol=1e-8)
        np.testing.assert_allclose(there.means_, alone.means_, atol=1e-6)
        assert there.n_passes_ == alone.n_passes_ + 1
        dropped.save(tmp_path / "model.npz")
        loaded = dgmm.load(tmp_path / "model.npz")
        assert loaded.n_rows_dropped_ == dropped.n_rows_dropped_
        assert loaded.n_rows_incomplete_ == 0
        assert not loaded.n_missing_.any()
        np.testing.assert_array_equal(loaded.predict(rows), dropped.predict(rows))

    def test_too_few_are_left(self):
        rows = np.full((50, 2), np.nan)
        rows[:49, 0] = np.arange(49)
        rows[49, 1] = 1.0
        with pytest.raises(ValueError, match=r"missing='drop' leaves 0 of the 50 rows .*'marginalize'"):
            GaussianMixture(missing="drop").fit(rows)
        rows[:5, 1] = 1.0
        with pytest.raises(ValueError, match="n_components = 6"):
            GaussianMixture(6, missing="drop").fit(rows)


class TestErrors:
    def test_by_default_they_are_refused_with_both_ways_out(self, stored):
        rows, _ = clustered(3000, seed=17)
        row, column = np.argwhere(np.isnan(rows))[0]
        message = rf"(?s)^Input X contains NaN.*row {row}, column {column}"
        for x in (rows, stored(rows)):
            for kind in (GaussianMixture, BayesianGaussianMixture, GaussianMixtureSweep):
                with pytest.raises(ValueError, match=f"{message}.*missing='drop'.*missing='marginalize'"):
                    kind(n_components=2).fit(x)
        plain = GaussianMixture(2).fit(rows[~np.isnan(rows).any(axis=1)])
        for of in (plain.predict, plain.score, plain.bic):
            with pytest.raises(
                ValueError, match=f"{message}.*leave these rows out.*missing='marginalize'.*MixtureImputer"
            ):
                of(rows)
        assert np.isfinite(plain.set_params(missing="marginalize").score(rows))

    def test_infinite_values_are_refused_all_the_same(self):
        rows, _ = clustered(300, seed=17)
        rows[7, 1] = np.inf
        for missing in ("drop", "marginalize"):
            with pytest.raises(ValueError, match=r"(?s)infinity.*row 7, column 1.*leave these rows out\.$"):
                GaussianMixture(missing=missing).fit(rows)

    def test_a_column_of_nothing(self):
        rows, _ = clustered(300, seed=17)
        frame = pd.DataFrame(rows, columns=["a", "b", "c"])
        frame["b"] = np.nan
        with pytest.raises(ValueError, match=r"column 'b' \(1\) holds only NaN"):
            mixture(frame)

    def test_rows_of_nothing(self):
        """They have the components by their weights, and are told of once."""
        rows, _ = clustered(600, seed=18)
        rows[::10] = np.nan
        with pytest.warns(DataWarning, match="60 of 600 rows have no value at all") as told:
            found = mixture(rows)
        assert len(told) == 1
        others = np.isfinite(rows).any(axis=1)
        with pytest.warns(DataWarning, match="60 of 600 rows have no value at all"):
            shares, densities = found.predict_proba(rows), found.score_samples(rows)
        np.testing.assert_allclose(shares[::10], [found.weights_] * 60, rtol=1e-12)
        np.testing.assert_allclose(densities[::10], 0.0, atol=1e-12)
        end = started_at(found._parameters, rows[others], max_iter=1000, tol=1e-13)
        with pytest.warns(DataWarning):
            with_them = started_at(end._parameters, rows, max_iter=1)
        np.testing.assert_allclose(with_them.means_, end.means_, atol=1e-5)
        assert end.score(rows[others]) * len(rows[others]) == pytest.approx(end.score(rows) * len(rows))

    def test_unknown_ways(self):
        with pytest.raises(ValueError, match="missing"):
            GaussianMixture(missing="impute").fit(np.zeros((4, 1)))


class TestPredictions:
    def test_what_is_observed_speaks(self, fitted):
        """As the marginal mixtures of scikit-learn say, pattern by pattern."""
        rows, found = fitted
        frame = pd.DataFrame(rows, columns=["a", "b", "c"])
        densities, shares, labels = (
            found.score_samples(frame),
            found.predict_proba(frame),
            found.predict(frame),
        )
        for pattern in np.unique(np.isnan(rows), axis=0):
            mine = (np.isnan(rows) == pattern).all(axis=1)
            known = np.flatnonzero(~pattern)
            other = SklearnGaussianMixture(3)
            other.weights_, other.means_ = found.weights_, found.means_[:, known]
            covariances = found.covariances_[:, known[:, None], known]
            other.precisions_cholesky_ = FAMILIES["full"].precisions_cholesky(covariances)
            own = rows[mine][:, known]
            np.testing.assert_allclose(densities[mine], other.score_samples(own), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(shares[mine], other.predict_proba(own), atol=1e-9)
            np.testing.assert_array_equal(labels[mine], other.predict(own))
        assert found.score(frame) == pytest.approx(densities.mean(), rel=1e-12)
        n_parameters = 2 + 9 + 18
        wanted = -2.0 * densities.sum() + n_parameters * np.log(len(rows))
        assert found.bic(frame) == pytest.approx(wanted, rel=1e-12)

    def test_lazy_results(self, fitted):
        rows, found = fitted
        frame = pd.DataFrame(rows, columns=["a", "b", "c"])
        lazy = found.score_samples(dd.from_pandas(frame, npartitions=4))
        np.testing.assert_allclose(lazy.compute(), found.score_samples(frame), rtol=1e-9)
        with pytest.warns(UserWarning, match="feature names"):
            labels = found.predict(da.from_array(rows, chunks=(300, 3)))
        np.testing.assert_array_equal(labels.compute(), found.predict(frame))

    def test_tags_say_so(self):
        for kind in (GaussianMixture, BayesianGaussianMixture, GaussianMixtureSweep):
            assert kind(missing="marginalize").__sklearn_tags__().input_tags.allow_nan
            assert not kind().__sklearn_tags__().input_tags.allow_nan

    def test_exchange_with_scikit_learn(self, fitted):
        rows, found = fitted
        complete = rows[~np.isnan(rows).any(axis=1)]
        frame = pd.DataFrame(complete, columns=["a", "b", "c"])
        np.testing.assert_allclose(found.to_sklearn().score_samples(frame), found.score_samples(frame))
