"""Rows that are measured with errors: extreme deconvolution."""
# pyright: reportArgumentType=false, reportCallIssue=false

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator

from dgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureSweep,
    MixtureOutlierDetector,
    open_dataset,
)
from dgmm.data import DataError
from tests.estimators.test_missing import close, naive_update
from tests.model import naive

pytestmark = [
    pytest.mark.usefixtures("small_spans"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def measured(n_rows=300, *, covariance_type="full", form="variances", n_features=2, seed=0, spread=2.0):
    """Rows with errors, the errors as columns and as matrices, and a start."""
    generator = np.random.default_rng(seed)
    truth = naive.random_parameters(generator, covariance_type, 3, n_features, spread=spread)
    columns, errors = naive.random_errors(generator, n_rows, n_features, form)
    noise = generator.multivariate_normal(np.zeros(n_features), np.eye(n_features), n_rows)
    factors = np.linalg.cholesky(errors + 1e-12 * np.eye(n_features))
    rows = naive.random_rows(generator, truth, n_rows) + (factors @ noise[:, :, None])[..., 0]
    start = naive.random_parameters(
        np.random.default_rng(seed + 1), covariance_type, 3, n_features, spread=2.0
    )
    return rows, columns, errors, start


def naive_em(start, rows, errors, weights, n_steps=5):
    """EM by the formulas, row by row: the last mixture, and the mean log density before each step."""
    total, found, bounds = len(rows) if weights is None else weights.sum(), start, []
    for _ in range(n_steps):
        sums = naive.expect_measured(found, rows, errors, weights, np.zeros(found.means.shape))
        bounds.append(sums.log_likelihood / total)
        found = naive_update(found.family, sums, 1e-6, naive.counts_lacking(sums, rows, weights))
    return found, bounds


def started_at(start, x, errors, weights=None, *, known=None, **own):
    parameters = {
        "covariance_type": start.family.name,
        "weights_init": start.weights,
        "means_init": start.means,
        "precisions_init": np.asarray(start.precisions),
        "tol": 0.0,
        "max_iter": 5,
        "algorithm": "em",
    }
    return GaussianMixture(len(start.weights), **parameters | own).fit(
        x, sample_weight=weights, errors=errors, **(known or {})
    )


class TestEM:
    @each_family
    @pytest.mark.parametrize(
        ("form", "weighted"), [("variances", False), ("triangles", True), ("matrices", False)]
    )
    def test_it_is_em_by_the_formulas_row_by_row(self, covariance_type, form, weighted):
        rows, columns, errors, start = measured(120, covariance_type=covariance_type, form=form)
        weights = np.random.default_rng(1).gamma(1.0, size=len(rows)) if weighted else None
        wanted, bounds = naive_em(start, rows, errors, weights)
        found = started_at(start, rows, columns, weights)
        close(found, wanted, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found.lower_bounds_, bounds, rtol=1e-10)

    @pytest.mark.parametrize("covariance_type", ["full", "tied_diag"])
    def test_values_that_lack_have_unknown_errors(self, covariance_type):
        rows, columns, errors, start = measured(120, covariance_type=covariance_type)
        rows[::3, 0] = columns[::3, 0] = np.nan
        wanted, bounds = naive_em(start, rows, errors, None)
        found = started_at(start, rows, columns, missing="marginalize")
        close(found, wanted, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found.lower_bounds_, bounds, rtol=1e-10)
        complete = ~np.isnan(rows).any(axis=1)
        dropped = started_at(start, rows, columns, missing="drop")
        assert dropped.n_rows_dropped_ == (~complete).sum()
        close(dropped, naive_em(start, rows[complete], errors[complete], None)[0], rtol=1e-10, atol=1e-10)

    @each_family
    def test_out_of_core_too(self, covariance_type, stored, tmp_path):
        rows, columns, _, start = measured(2000, covariance_type=covariance_type)
        weights = np.random.default_rng(1).gamma(1.0, size=len(rows))
        wanted = started_at(start, rows, columns, weights)
        path = str(tmp_path / "errors.zarr")
        zarr.create_array(path, data=columns, chunks=(700, 1))
        lazy = da.from_array(rows, chunks=(900, 1)), da.from_array(columns, chunks=(500, 2))
        own = {"sample_rows": 500}
        for x, s in ((stored(rows), path), lazy, (stored(rows), lazy[1]), (rows, path), (lazy[0], columns)):
            found = started_at(start, x, s, weights, **own)
            assert found.n_passes_ > 1
            close(found, wanted._parameters, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(found.lower_bounds_, wanted.lower_bounds_, rtol=1e-11)

    @each_family
    def test_errors_of_zero_give_the_ordinary_fit(self, covariance_type):
        rows, _, _, start = measured(covariance_type=covariance_type)
        wanted = started_at(start, rows, None)
        for zeros in (0.0, np.zeros(2), np.zeros((300, 2)), np.zeros((2, 2)), np.zeros((300, 2, 2))):
            found = started_at(start, rows, zeros)
            for name in ("weights_", "means_", "covariances_"):
                np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-10)
            np.testing.assert_allclose(found.lower_bounds_, wanted.lower_bounds_, rtol=1e-12)

    @pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")
    @settings(max_examples=15, deadline=None)
    @given(st.sampled_from(naive.COVARIANCE_TYPES), st.integers(0, 2**31), st.floats(0.01, 30.0))
    def test_the_log_likelihood_never_falls_and_is_that_of_the_rows(self, covariance_type, seed, scale):
        rows, columns, _, start = measured(150, covariance_type=covariance_type, seed=seed)
        found = started_at(start, rows, scale * columns, reg_covar=1e-12, max_iter=10)
        assert (np.diff(found.lower_bounds_) > -1e-9).all()
        assert found.score(rows, errors=scale * columns) >= found.lower_bounds_[-1] - 1e-9

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 2**31))
    def test_it_moves_with_the_rows(self, seed):
        """Rows in another order; and an affine map, which takes errors along."""
        rows, columns, _, start = measured(150, form="matrices", seed=seed)
        wanted = started_at(start, rows, columns, reg_covar=0.0)
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(rows))
        shuffled = started_at(start, rows[order], columns[order], reg_covar=0.0)
        np.testing.assert_allclose(shuffled.means_, wanted.means_, rtol=1e-8, atol=1e-8)
        a, b = generator.normal(size=(2, 2)) + 2.0 * np.eye(2), generator.normal(size=2)
        moved = type(start).from_covariances(
            start.family, start.weights, start.means @ a.T + b, a @ start.covariances @ a.T
        )
        errors = (a @ columns.reshape(-1, 2, 2) @ a.T).reshape(-1, 4)
        errors = 0.5 * (errors + errors[:, [0, 2, 1, 3]])
        found = started_at(moved, rows @ a.T + b, errors, reg_covar=0.0)
        np.testing.assert_allclose(found.means_, wanted.means_ @ a.T + b, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found.covariances_, a @ wanted.covariances_ @ a.T, rtol=1e-6, atol=1e-6)

    def test_rows_far_from_the_origin(self):
        rows, columns, _, start = measured()
        far = np.array([1e11, 0.0])
        moved = type(start).from_covariances(
            start.family, start.weights, start.means + far, start.covariances
        )
        wanted = started_at(start, rows, columns)
        found = started_at(moved, rows + far, columns)
        np.testing.assert_allclose(found.covariances_, wanted.covariances_, rtol=1e-3)
        np.testing.assert_allclose(found.means_[:, 1], wanted.means_[:, 1], rtol=1e-3)


def clusters(n_rows, generator):
    """True values of two clusters of widths 0.5 and 1, and rows with errors that make them far wider."""
    labels = generator.random(n_rows) < 0.4
    truth = np.where(labels[:, None], [0.0, 0.0], [5.0, 3.0])
    truth = truth + np.where(labels[:, None], 0.5, 1.0) * generator.normal(size=(n_rows, 2))
    errors = generator.uniform(0.2, 2.0, size=(n_rows, 2))
    return truth, truth + np.sqrt(errors) * generator.normal(size=(n_rows, 2)), errors


def naive_known(start, rows, errors, *, weights, labels, groups, n_steps=5):
    """The same with labels, or -1, and a weight vector in each group: these vectors too."""
    n_components, n_groups = len(start.weights), groups.max() + 1
    allowed = (labels[:, None] == np.arange(n_components)) | (labels[:, None] < 0)
    found, bounds, of_groups = start, [], np.tile(start.weights, (n_groups, 1))
    for _ in range(n_steps):
        log_priors = np.where(allowed, np.log(of_groups)[groups], -np.inf)
        sums = naive.expect_measured(
            found, rows, errors, weights, np.zeros(found.means.shape), log_priors=log_priors
        )
        bounds.append(sums.log_likelihood / weights.sum())
        found = naive_update(found.family, sums, 1e-6, naive.counts_lacking(sums, rows, weights))
        shares = weights[:, None] * sums.responsibilities
        of_groups = np.stack([shares[groups == group].sum(axis=0) for group in range(n_groups)])
        of_groups /= of_groups.sum(axis=1, keepdims=True)
    return found, of_groups, bounds


class TestLabelsAndGroups:
    @pytest.mark.parametrize("covariance_type", ["full", "diag"])
    @pytest.mark.parametrize("known", ["labels", "groups", "both"])
    @pytest.mark.parametrize("form", ["variances", "matrices"])
    def test_they_are_em_by_the_formulas_row_by_row(self, covariance_type, known, form, stored):
        rows, columns, errors, start = measured(covariance_type=covariance_type, form=form)
        start = type(start).from_covariances(
            start.family, np.array([0.6, 0.4]), start.means[:2], start.covariances[:2]
        )
        generator = np.random.default_rng(1)
        weights = generator.gamma(1.0, size=len(rows))
        nearest = ((rows[:, None] - start.means) ** 2).sum(axis=2).argmin(axis=1)
        labels = np.where(generator.random(len(rows)) < 0.2, nearest, -1)
        groups = generator.integers(3, size=len(rows))
        own = {"labels": labels, "groups": groups}
        if known != "both":
            own = {known: own[known]}
        told = {"labels": 0 * labels - 1, "groups": 0 * groups} | own
        wanted, of_groups, bounds = naive_known(start, rows, errors, weights=weights, **told)
        for x, more in ((rows, {}), (stored(rows), {"sample_rows": 100})):
            found = started_at(start, x, columns, weights, known=own, **more)
            close(found, wanted, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(found.lower_bounds_, bounds, rtol=1e-9)
            if "groups" in own:
                np.testing.assert_allclose(found.group_weights_, of_groups, rtol=1e-9)

    @pytest.mark.parametrize("algorithm", ["em", "corrected"])
    def test_fits_from_their_own_starts(self, algorithm, stored):
        """True widths, and the weights that groups have in truth."""
        truth, rows, errors = clusters(3000, np.random.default_rng(0))
        generator = np.random.default_rng(1)
        far = (truth[:, 0] > 2.0).astype(int)
        groups = np.where(generator.random(3000) < np.array([0.8, 0.3])[far], 4, 9)
        labels = np.where(generator.random(3000) < 0.02, far, -1)
        own = {"covariance_type": "spherical", "random_state": 0, "sample_rows": 800, "tol": 1e-6}
        found = GaussianMixture(2, algorithm=algorithm, max_iter=300, **own).fit(
            stored(rows), errors=errors, labels=labels, groups=groups
        )
        assert found.converged_
        np.testing.assert_allclose(np.sqrt(found.covariances_), [0.5, 1.0], rtol=0.1)
        exact = [[1.0 - far[groups == group].mean(), far[groups == group].mean()] for group in (4, 9)]
        np.testing.assert_allclose(found.group_weights_, exact, atol=0.03)


def test_rows_are_judged_by_their_groups_and_errors(stored):
    """What a pass of the fit said of them, and each group as a mixture of its own."""
    _, rows, errors = clusters(2000, np.random.default_rng(0))
    groups = np.where(np.random.default_rng(1).random(2000) < np.where(rows[:, 0] > 2.0, 0.8, 0.3), "p", "q")
    own = {"covariance_type": "diag", "random_state": 0, "tol": 1e-7, "max_iter": 300}
    found = GaussianMixture(2, algorithm="corrected", **own).fit(rows, errors=errors, groups=groups)
    told = {"errors": errors, "groups": groups}
    for x in (rows, stored(rows)):
        assert found.score(x, **told) == pytest.approx(found.lower_bound_, rel=1e-9)
        shares = np.asarray(found.predict_proba(x, **told))
        np.testing.assert_array_equal(found.predict(x, **told), shares.argmax(axis=1))
        for name, weights in zip(found.groups_, found.group_weights_, strict=True):
            alone, which = GaussianMixture(2, covariance_type="diag"), groups == name
            alone.weights_, alone.means_, alone.covariances_ = weights, found.means_, found.covariances_
            expected = alone.predict_proba(rows[which], errors=errors[which])
            np.testing.assert_allclose(shares[which], expected, rtol=1e-7, atol=1e-12)


class TestFits:
    @pytest.mark.parametrize("sample_rows", ["auto", 1500])
    def test_true_widths_are_found_where_a_plain_fit_is_far_off(self, sample_rows, stored):
        _, rows, errors = clusters(6000, np.random.default_rng(0))
        own = {"covariance_type": "spherical", "random_state": 0, "sample_rows": sample_rows}
        found = GaussianMixture(2, **own).fit(stored(rows), errors=errors)
        widths = np.sqrt(found.covariances_[np.argsort(found.means_[:, 0])])
        np.testing.assert_allclose(widths, [0.5, 1.0], rtol=0.06)
        plain = GaussianMixture(2, **own).fit(stored(rows))
        assert (np.sqrt(plain.covariances_[np.argsort(plain.means_[:, 0])]) > [0.65, 1.3]).all()
        assert found.converged_
        assert found.lower_bound_ == pytest.approx(found.score(rows, errors=errors), rel=1e-12)
        accepted = np.array(found.lower_bounds_)[found.history_["accepted"]]
        assert (np.diff(accepted) >= 0.0).all()
        if sample_rows != "auto":
            assert found.n_passes_ < 15

    @each_family
    def test_corrected_em_comes_to_the_same_end(self, covariance_type, stored):
        rows, columns, _, start = measured(900, covariance_type=covariance_type, spread=4.0)
        wanted = started_at(start, rows, columns, max_iter=400, tol=1e-10)
        own = {"sample_rows": 500, "algorithm": "corrected", "max_iter": 60, "tol": 1e-8}
        found = started_at(start, stored(rows), columns, **own)
        assert found.lower_bound_ >= wanted.score(rows, errors=columns) - 1e-5
        assert max(found.history_["inner_steps"]) > 1

    @pytest.mark.parametrize("covariance_type", ["full", "tied"])
    def test_covariances_stay_symmetric_however_many_steps(self, covariance_type):
        """By NumPy, which has so few rows."""
        rows, columns, _, start = measured(300, covariance_type=covariance_type, spread=4.0)
        found = started_at(start, rows, columns, max_iter=150, tol=0.0).covariances_
        np.testing.assert_allclose(found, np.swapaxes(found, -1, -2), rtol=1e-12, atol=1e-12)

    def test_starts_in_passes_are_of_features_alone(self, stored):
        _, rows, errors = clusters(3000, np.random.default_rng(1))
        own = {"init_params": "k-means||", "sample_rows": 500, "random_state": 0}
        found = GaussianMixture(2, **own).fit(stored(rows), errors=errors)
        np.testing.assert_allclose(np.sort(found.means_[:, 0]), [0.0, 5.0], atol=0.2)

    def test_a_sweep_has_the_same_models_and_the_entropy_of_their_responsibilities(self, stored):
        _, rows, errors = clusters(800, np.random.default_rng(2))
        for own in ({"covariance_type": ("spherical", "full")}, {"sample_rows": 400, "held_out": 0.1}):
            settings = {"covariance_type": "spherical", "random_state": 0, "prune": False}
            sweep = GaussianMixtureSweep([1, 2, 3], **settings | own).fit(stored(rows), errors=errors)
            assert sweep.best_params_ == {"n_components": 2, "covariance_type": "spherical"}
            best = sweep.best_index_
            shares = sweep.predict_proba(rows, errors=errors)
            if "held_out" not in own:
                undecided = -(shares * np.log(np.maximum(shares, 1e-300))).sum() / len(rows)
                assert sweep.results_["entropy"][best] == pytest.approx(undecided, rel=1e-6)
                score = sweep.score(rows, errors=errors)
                assert sweep.results_["log_likelihood"][best] == pytest.approx(score, rel=1e-12)
            else:
                off = sweep.results_["held_out"][best] - sweep.score(rows, errors=errors)
                assert abs(off) < 4.0 * sweep.results_["held_out_error"][best]
            assert sweep.sample_.shape[1] == 2

    @pytest.mark.parametrize("covariance_type", ["full", "diag"])
    def test_variational_bayes(self, covariance_type, stored):
        _, rows, errors = clusters(900, np.random.default_rng(3))
        prior = 0.3 * (np.eye(2) if covariance_type == "full" else np.ones(2))
        own = {"covariance_type": covariance_type, "random_state": 0, "covariance_prior": prior}
        own["mean_precision_prior"] = 1e-3
        wanted = np.sort(
            GaussianMixture(2, random_state=0, covariance_type="diag").fit(rows, errors=errors).covariances_,
            0,
        )
        for x, more in ((rows, {}), (stored(rows), {"sample_rows": 400})):
            found = BayesianGaussianMixture(n_components=4, moves=True, **own, **more).fit(x, errors=errors)
            assert found.effective_components_ == 2
            accepted = np.array(found.lower_bounds_)[found.history_["accepted"]]
            assert (np.diff(accepted) >= -1e-6).all()
            kept = found.covariances_[np.argsort(-found.weights_)[:2]]
            variances = np.diagonal(kept, axis1=1, axis2=2) if covariance_type == "full" else kept
            np.testing.assert_allclose(np.sort(variances, axis=0), wanted, rtol=0.15)
        plain, zero = (
            BayesianGaussianMixture(n_components=2, algorithm="em", max_iter=5, **own).fit(rows, errors=each)
            for each in (None, 0.0)
        )
        assert zero.elbo_ == pytest.approx(plain.elbo_, rel=1e-8)

    def test_a_checkpoint_knows_the_errors(self, stored, tmp_path):
        _, rows, errors = clusters(2500, np.random.default_rng(4))
        own = {"sample_rows": 600, "random_state": 0}
        x, checkpoint = stored(rows), tmp_path / "checkpoint"
        first = GaussianMixture(2, **own).fit(x, errors=errors, checkpoint=checkpoint)
        again = GaussianMixture(2, **own).fit(x, errors=errors, checkpoint=checkpoint)
        np.testing.assert_array_equal(first.covariances_, again.covariances_)
        for other in (2.0 * errors, 0.5, None):
            with pytest.raises(ValueError, match="the errors'"):
                GaussianMixture(2, **own).fit(x, errors=other, checkpoint=checkpoint)


class TestWhatErrorsMayBe:
    def test_of_all_rows_or_of_each(self):
        rows, _, _, start = measured(form="matrices")
        matrix = np.array([[0.5, 0.2], [0.2, 0.3]])
        wanted = started_at(start, rows, np.tile(matrix, (300, 1, 1)))
        for same in (matrix, matrix.tolist(), np.tile(matrix[np.triu_indices(2)], (300, 1))):
            np.testing.assert_allclose(
                started_at(start, rows, same).covariances_, wanted.covariances_, rtol=1e-12
            )
        wanted = started_at(start, rows, np.full((300, 2), 0.25))
        for same in (0.25, [0.25, 0.25], np.float32(0.25), 0.25 * np.eye(2)):
            np.testing.assert_allclose(
                started_at(start, rows, same).covariances_, wanted.covariances_, rtol=1e-12
            )
        single = rows.astype(np.float32)
        found = started_at(start, single, 0.1)
        each = started_at(start, single, np.full((300, 2), 0.1))
        np.testing.assert_array_equal(found.covariances_, each.covariances_)
        assert found.means_.dtype == np.float32

    def test_of_one_feature(self):
        rows, columns, _, start = measured(n_features=1)
        wanted = started_at(start, rows, columns)
        for same in (columns[:, 0], columns[:, :, None], pd.DataFrame({"e": columns[:, 0]})):
            np.testing.assert_array_equal(started_at(start, rows, same).means_, wanted.means_)

    def test_columns_of_the_data(self, tmp_path):
        rows, columns, _, start = measured(600)
        frame = pd.DataFrame({"e_y": columns[:, 1], "x": rows[:, 0], "e_x": columns[:, 0], "y": rows[:, 1]})
        frame.to_parquet(tmp_path / "stars.parquet", row_group_size=150)
        wanted, names = started_at(start, rows, columns), ["e_x", "e_y"]
        for x in (frame, tmp_path / "stars.parquet", dd.from_pandas(frame, npartitions=3)):
            found = started_at(start, x, names, sample_rows=200)
            close(found, started_at(start, rows, columns)._parameters, rtol=1e-9, atol=1e-9)
            assert list(found.feature_names_in_) == ["x", "y"]
            np.testing.assert_allclose(
                np.asarray(found.score_samples(x, errors=names)),
                wanted.score_samples(rows, errors=columns),
                rtol=1e-9,
            )
            assert found.score(x, errors=names) == pytest.approx(wanted.score(rows, errors=columns))

    @pytest.mark.parametrize(
        "form",
        [
            pd.Series,
            lambda each: pd.Series(each, name="e"),
            pl.Series,
            list,
            lambda each: da.from_array(each, chunks=100),
            lambda each: dd.from_pandas(pd.Series(each), npartitions=3),
            lambda each: xarray.DataArray(each, dims="star"),
            lambda each: pl.DataFrame({"e": each}),
        ],
    )
    def test_one_feature_and_whatever_has_one_dimension(self, form):
        rows, columns, _, start = measured(n_features=1)
        wanted = started_at(start, rows, columns)
        for x in (rows, pd.DataFrame(rows, columns=["x"])):
            found = started_at(start, x, form(columns[:, 0]))
            np.testing.assert_allclose(found.means_, wanted.means_, rtol=1e-12)

    def test_a_table_of_errors_that_has_some_features_names_alone_is_refused(self):
        rows, columns, _, _ = measured()
        x, errors = pd.DataFrame(rows, columns=["x", "y"]), pd.DataFrame(columns, columns=["z", "x"])
        with pytest.raises(DataError, match=r"'z', 'x', some of which are features and others not"):
            GaussianMixture(2, random_state=0).fit(x, errors=errors)

    def test_a_column_of_errors_and_a_file_of_its_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        rows, columns, _, _ = measured(n_features=1)
        frame = pd.DataFrame(np.hstack([rows, columns]), columns=["x", "e"])
        (tmp_path / "e").touch()
        with pytest.raises(DataError, match="errors='e' is a column of the rows, and there is a file"):
            GaussianMixture(2, random_state=0).fit(frame, errors="e")

    def test_tables_of_errors_go_by_the_names_of_features(self):
        rows, columns, _, start = measured()
        x = pd.DataFrame(rows, columns=["x", "y"])
        swapped = pd.DataFrame({"y": columns[:, 1], "x": columns[:, 0]})
        wanted = started_at(start, rows, columns)
        np.testing.assert_allclose(started_at(start, x, swapped).means_, wanted.means_, rtol=1e-12)

    def test_predictions_in_memory_and_lazily(self, stored):
        rows, columns, errors, start = measured()
        model = started_at(start, rows, columns)
        wanted = naive.expect_measured(model._parameters, rows, errors, None, model.means_)
        for x, s in (
            (rows, columns),
            (stored(rows), columns),
            (da.from_array(rows, chunks=(70, 2)), columns),
        ):
            shares = model.predict_proba(x, errors=s)
            np.testing.assert_allclose(np.asarray(shares), wanted.responsibilities, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(
                np.asarray(model.score_samples(x, errors=s)), wanted.log_densities, rtol=1e-10
            )
            np.testing.assert_array_equal(
                np.asarray(model.predict(x, errors=s)), wanted.responsibilities.argmax(axis=1)
            )
        assert isinstance(model.predict(stored(rows), errors=columns), da.Array)
        weights = np.random.default_rng(0).gamma(1.0, size=len(rows))
        mean = model.score(rows, sample_weight=weights, errors=columns)
        assert mean == pytest.approx(weights @ wanted.log_densities / weights.sum())
        model = GaussianMixture(3, random_state=0, max_iter=3)
        labels = model.fit_predict(rows, errors=columns)
        np.testing.assert_array_equal(labels, model.predict(rows, errors=columns))

    @pytest.mark.parametrize(
        ("errors", "message"),
        [
            (np.zeros((299, 2)), "has 299 rows, but ndarray has 300"),
            (np.zeros((300, 5)), "errors has 5 columns for 2 features: give 2 variances, 3 for .* or 4"),
            (np.zeros((300, 3, 3)), r"shape \(300, 3, 3\): covariances of 2 features"),
            (np.zeros(3), "has 3 rows, but ndarray has 300|errors has 1 column for 2 features"),
            (-1.0, r"In row 0, of ndarray, rows 0 to 300, column 0 has a variance of -1"),
            (np.array([[1.0, 2.0], [2.0, 1.0]]), "In row 0, .* is no covariance"),
            (np.where(np.arange(600).reshape(300, 2) == 241, np.nan, 1.0), "In row 120, .* column 1 .* nan"),
        ],
    )
    def test_what_is_refused(self, errors, message):
        rows, columns, _, start = measured()
        with pytest.raises(ValueError, match=message):
            started_at(start, rows, errors)
        model = started_at(start, rows, columns)
        for method in (model.score, model.predict, model.score_samples):
            with pytest.raises(ValueError, match=message):
                method(rows, errors=errors)

    def test_names_that_are_none(self, tmp_path):
        rows, columns, _, _ = measured()
        frame = pd.DataFrame(np.hstack([rows, columns]), columns=["x", "y", "e_x", "e_y"])
        model = GaussianMixture(2, random_state=0)
        with pytest.raises(
            DataError, match=r"errors names 'e_z', which are not columns .* has 'x', 'y', 'e_x', 'e_y'"
        ):
            model.fit(frame, errors=["e_x", "e_z"])
        with pytest.raises(
            DataError, match=r"names no column of .*, which has 'x', .* not a path either: .* does not exist"
        ):
            model.fit(frame, errors=["no", "none"])
        with pytest.raises(DataError, match="errors has 1 column for 3 features"):
            model.fit(frame, errors="e_x")
        with pytest.raises(DataError, match="no features left"):
            model.fit(frame, errors=list(frame))
        with pytest.raises(FileNotFoundError):
            model.fit(rows, errors=str(tmp_path / "errors.zarr"))

    def test_errors_of_a_source_that_is_open(self, tmp_path):
        rows, columns, _, start = measured()
        path = str(tmp_path / "errors.zarr")
        zarr.create_array(path, data=columns, chunks=(100, 2))
        found = started_at(start, open_dataset(rows), open_dataset(path))
        np.testing.assert_array_equal(found.means_, started_at(start, rows, columns).means_)


class TestWhatIsSaidOfAllRows:
    """Criteria, entropies and merges are of rows with their errors, or are refused."""

    @pytest.fixture
    def of_clusters(self):
        _, rows, errors = clusters(600, np.random.default_rng(0))
        mixture = GaussianMixture(3, random_state=0, max_iter=3)  # its end is 14 s away
        return rows, errors, mixture.fit(rows, errors=errors)

    def test_criteria_and_entropies_are_by_the_formulas(self, of_clusters):
        rows, errors, mixture = of_clusters
        matrices = errors[:, :, None] * np.eye(2)
        wanted = naive.expect_measured(mixture._parameters, rows, matrices, None, mixture.means_)
        total, n_parameters = wanted.log_densities.sum(), 2 + 3 * (2 + 3)
        bic = n_parameters * np.log(600) - 2.0 * total
        assert mixture.bic(rows, errors=errors) == pytest.approx(bic, rel=1e-10)
        assert mixture.aic(rows, errors=errors) == pytest.approx(2.0 * n_parameters - 2.0 * total, rel=1e-10)
        shares = wanted.responsibilities
        undecided = -(shares * np.log(np.maximum(shares, 1e-300))).sum() / 600
        assert mixture.assignment_entropy(rows, errors=errors) == pytest.approx(undecided, rel=1e-8)
        merges = mixture.merge(rows, errors=errors)
        assert merges.entropies[-1] == pytest.approx(undecided, rel=1e-8)
        own = merges.labels(2)
        both = np.stack([shares[:, own == cluster].sum(axis=1) for cluster in (0, 1)], axis=1)
        np.testing.assert_allclose(merges.predict_proba(rows, 2, errors=errors), both, rtol=1e-8, atol=1e-12)

    def test_rows_without_errors_are_refused_and_exact_ones_are_not(self, of_clusters):
        rows, _, mixture = of_clusters
        for method in (mixture.bic, mixture.aic, mixture.merge, mixture.assignment_entropy, mixture.misfit):
            with pytest.raises(ValueError, match=r"give their errors=, .* or errors=0\.0 if they are"):
                method(rows)
        score = mixture.score(rows)
        n_parameters = 2 + 3 * (2 + 3)
        wanted = n_parameters * np.log(600) - 2.0 * 600 * score
        assert mixture.bic(rows, errors=0.0) == pytest.approx(wanted, rel=1e-9)
        with pytest.raises(ValueError, match="measurement errors, which imputing would ignore"):
            mixture.impute(rows)
        with pytest.raises(ValueError, match="which a threshold would ignore"):
            MixtureOutlierDetector(FrozenEstimator(mixture)).fit(rows)

    def test_what_a_fit_gives_at_once_is_of_the_rows_with_their_errors(self, of_clusters):
        rows, errors, mixture = of_clusters
        again = GaussianMixture(3, random_state=0, max_iter=3)
        found = again.fit_transform(rows, errors=errors)
        np.testing.assert_array_equal(found, mixture.predict_proba(rows, errors=errors))
        sweep = GaussianMixtureSweep([3], covariance_type="full", random_state=0, max_iter=3)
        sweep.fit(rows, errors=errors)
        assert sweep.bic(rows, errors=errors) == pytest.approx(mixture.bic(rows, errors=errors), rel=1e-9)
        with pytest.raises(ValueError, match="BIC would take these rows as exact"):
            sweep.bic(rows)

    def test_mixtures_of_some_features_are_of_true_values_still(self, of_clusters):
        rows, errors, mixture = of_clusters
        one = mixture.marginal([1])
        wanted = naive.expect_measured(
            one._parameters, rows[:, 1:], errors[:, 1:, None], None, one.means_
        ).log_densities.sum()
        assert one.score(rows[:, 1:], errors=errors[:, 1:]) == pytest.approx(wanted / 600, rel=1e-10)
        for some in (one, mixture.condition({0: float(rows[0, 0])})):
            with pytest.raises(ValueError, match="BIC would take these rows as exact"):
                some.bic(rows[:, 1:])
        with pytest.raises(ValueError, match="which regression would ignore"):
            mixture.regress(rows[:, :1], targets=1)
