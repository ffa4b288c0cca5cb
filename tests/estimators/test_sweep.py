"""Many models in the same passes: each against a fit of its own, scikit-learn, and plain sums."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false

import warnings

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dgmm
from dgmm import GaussianMixture, GaussianMixtureSweep
from dgmm.data import DataError
from dgmm.fitting.sweep.held_out import HeldOut
from dgmm.passes.events import IterationFinished, listening
from tests.model import naive

FAMILIES = ["full", "tied", "diag", "spherical"]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def three_clusters(n_rows=600, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=n_rows)
    means = np.array([[0.0, 0.0], [7.0, 1.0], [2.0, 8.0]])
    return means[labels] + generator.normal(size=(n_rows, 2)) * np.array([1.0, 1.6, 0.7])[labels, None]


@pytest.fixture(scope="module")
def rows():
    return three_clusters()


@pytest.fixture(scope="module")
def many():
    return three_clusters(9000, 1)


@pytest.fixture(scope="module")
def told():
    """Labels of some of the rows, as `three_clusters` draws them, and two groups with other shares."""
    labels = np.random.default_rng(0).integers(3, size=600)
    chance = np.random.default_rng(1).random(600)
    some = np.where(np.random.default_rng(2).random(600) < 0.1, labels, -1)
    return {"labels": some, "groups": np.where(chance < 0.1 + 0.4 * labels, "x", "y")}


def large(rows, n_components=range(1, 5), **own):
    parameters = {"sample_rows": 1500, "random_state": 0, "covariance_type": ("full", "diag")}
    return GaussianMixtureSweep(n_components, **parameters | own).fit(rows)


def entropy_of(model, rows):
    share = model.predict_proba(rows)
    return -(share * np.log(np.maximum(share, 1e-300))).sum()


class TestSmall:
    @pytest.mark.parametrize("own", [{}, {"n_init": 3, "init_params": "random_from_data", "tol": 1e-2}])
    def test_every_model_is_the_fit_of_its_own(self, rows, own):
        found = GaussianMixtureSweep(range(1, 5), random_state=3, **own).fit(rows)
        results = found.results_
        assert found.n_passes_ == 1
        assert len(results["bic"]) == 16
        for index in range(16):
            n_components, family = results["n_components"][index], str(results["covariance_type"][index])
            alone = GaussianMixture(int(n_components), covariance_type=family, random_state=3, **own)
            alone.fit(rows)
            assert results["bic"][index] == pytest.approx(alone.bic(rows), rel=1e-12)
            assert results["aic"][index] == pytest.approx(alone.aic(rows), rel=1e-12)
            icl = alone.bic(rows) + 2.0 * entropy_of(alone, rows)
            assert results["icl"][index] == pytest.approx(icl, rel=1e-9)
            assert results["n_iter"][index] == alone.n_iter_
            assert results["converged"][index] == alone.converged_
            assert results["n_parameters"][index] == alone._n_parameters()
            for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
                np.testing.assert_array_equal(getattr(found.estimators_[index], name), getattr(alone, name))
        assert found.best_estimator_ is found.estimators_[found.best_index_]

    def test_what_rows_lack_is_filled_as_in_the_fit_of_its_own(self, rows):
        """For starts; so every model starts where a single fit does, whatever the seed."""
        lacking = rows[:200].copy()
        lacking[::7, 0] = np.nan
        own = {"random_state": 3, "missing": "marginalize", "max_iter": 3}
        found = GaussianMixtureSweep([1, 3], covariance_type="full", **own).fit(lacking)
        for number, model in zip([1, 3], found.estimators_, strict=True):
            alone = GaussianMixture(number, **own).fit(lacking)
            for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
                np.testing.assert_allclose(getattr(model, name), getattr(alone, name), rtol=1e-10)

    def test_it_chooses_as_a_loop_over_scikit_learn(self, rows):
        found = GaussianMixtureSweep(range(1, 6), random_state=0).fit(rows)
        expected = {
            (number, family): SklearnGaussianMixture(number, covariance_type=family, random_state=0)
            .fit(rows)
            .bic(rows)
            for number in range(1, 6)
            for family in FAMILIES
        }
        best = min(expected, key=expected.__getitem__)
        assert found.best_params_ == {"n_components": best[0], "covariance_type": best[1]}
        assert found.best_score_ == pytest.approx(expected[best], rel=1e-9)

    def test_it_agrees_with_grid_search(self, rows):
        grid = {"n_components": [1, 2, 3, 4], "covariance_type": ["full", "spherical"]}
        whole = [(np.arange(len(rows)), np.arange(len(rows)))]
        search = GridSearchCV(GaussianMixture(random_state=0), grid, scoring=lambda e, X: -e.bic(X), cv=whole)
        search.fit(rows)
        found = GaussianMixtureSweep(range(1, 5), covariance_type=("full", "spherical"), random_state=0)
        found.fit(rows)
        assert found.best_params_ == search.best_params_
        assert found.best_score_ == pytest.approx(-search.best_score_, rel=1e-12)

    def test_weights_count_rows(self, rows):
        counts = np.random.default_rng(0).integers(1, 4, size=len(rows))
        start = {"random_state": 0, "covariance_type": "full", "tol": 1e-8, "max_iter": 500}
        found = GaussianMixtureSweep([2, 3], **start).fit(rows, sample_weight=counts)
        repeated = GaussianMixtureSweep([2, 3], **start).fit(np.repeat(rows, counts, axis=0))
        np.testing.assert_allclose(found.results_["bic"], repeated.results_["bic"], rtol=1e-6)

    def test_a_generator_gives_one_seed_for_all(self, rows):
        one, two = (
            GaussianMixtureSweep([2, 4], random_state=np.random.RandomState(5)).fit(rows) for _ in range(2)
        )
        np.testing.assert_array_equal(one.results_["bic"], two.results_["bic"])
        alone = GaussianMixture(4, covariance_type="full", random_state=one.seed_).fit(rows)
        assert one.results_["bic"][1] == pytest.approx(alone.bic(rows), rel=1e-12)


class TestKnown:
    """Labels and groups of rows: the same of all models."""

    @pytest.mark.parametrize("names", [("labels",), ("groups",), ("labels", "groups")])
    def test_every_model_is_the_fit_of_its_own(self, rows, told, names):
        own = {name: told[name] for name in names}
        families = ("full", "tied", "diag")
        found = GaussianMixtureSweep([3, 5], covariance_type=families, random_state=3).fit(rows, **own)
        results = found.results_
        for index, model in enumerate(found.estimators_):
            alone = GaussianMixture(model.n_components, covariance_type=model.covariance_type, random_state=3)
            alone.fit(rows, **own)
            for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
                np.testing.assert_array_equal(getattr(model, name), getattr(alone, name))
            assert hasattr(model, "groups_") == ("groups" in names)
            if names != ("groups",):
                continue
            np.testing.assert_array_equal(model.group_weights_, alone.group_weights_)
            assert results["n_parameters"][index] == alone._n_parameters(told["groups"])
            assert results["bic"][index] == pytest.approx(alone.bic(rows, **own), rel=1e-12)
            share = alone.predict_proba(rows, **own)
            entropy = -(share * np.log(np.maximum(share, 1e-300))).sum() / len(rows)
            assert results["entropy"][index] == pytest.approx(entropy, rel=1e-8)
        if names == ("groups",):
            best = found.best_estimator_
            np.testing.assert_array_equal(found.predict(rows, **own), best.predict(rows, **own))
            assert found.bic(rows, **own) == best.bic(rows, **own) == pytest.approx(found.best_score_)

    @pytest.mark.usefixtures("small_spans")
    def test_all_models_share_the_passes(self, rows, told):
        """Those of a fit, and the two that start from labels; each goes as far as a fit alone."""
        stored = da.from_array(rows, chunks=(150, 2))
        own = {"sample_rows": 300, "random_state": 0, "tol": 1e-7, "max_iter": 300}
        found = GaussianMixtureSweep([3, 4], covariance_type=("full", "tied"), prune=False, **own)
        found.fit(stored, **told)
        assert found.n_passes_ == 1 + 2 + found.results_["passes"].max()
        for index, model in enumerate(found.estimators_):
            alone = GaussianMixture(model.n_components, covariance_type=model.covariance_type, **own)
            alone.fit(stored, **told)
            difference = found.results_["log_likelihood"][index] - alone.lower_bound_
            assert abs(difference) < 1e-4 or model.n_components > 3  # the truth has one optimum near
        model = found.estimators_[0]
        for label in range(3):  # components keep the numbers of labels
            centre = rows[told["labels"] == label].mean(axis=0)
            assert np.linalg.norm(model.means_ - centre, axis=1).argmin() == label

    @pytest.mark.usefixtures("small_spans")
    @pytest.mark.parametrize("sample_rows", ["auto", 300])
    def test_rows_held_out_are_scored_with_what_is_known_of_them(self, rows, told, sample_rows):
        x = rows if sample_rows == "auto" else da.from_array(rows, chunks=(150, 2))
        own = {"held_out": 0.3, "criterion": "held-out", "random_state": 0, "sample_rows": sample_rows}
        found = GaussianMixtureSweep([3, 4], covariance_type="diag", **own).fit(x, **told)
        held = HeldOut(found.seed_, 0.3)(0, len(rows))
        groups = np.searchsorted(["x", "y"], told["groups"])
        for index, model in enumerate(found.estimators_):
            joint = naive.log_joint(model._parameters, rows) - np.log(model.weights_)
            joint += np.log(np.maximum(model.group_weights_, 1e-300))[groups]
            known = told["labels"][:, None]
            joint[(known >= 0) & (known != np.arange(model.n_components))] = -np.inf
            densities = np.logaddexp.reduce(joint, axis=1)
            assert found.results_["held_out"][index] == pytest.approx(densities[held].mean(), rel=1e-9)
            fitted = densities[~held].mean()
            assert found.results_["log_likelihood"][index] == pytest.approx(fitted, rel=1e-9)

    def test_weights_of_components_are_of_one_number_of_them(self, rows):
        shares = np.random.default_rng(0).dirichlet(np.ones(3), len(rows))
        found = GaussianMixtureSweep(3, covariance_type=("full", "diag"), random_state=0)
        found.fit(rows, labels=shares)
        alone = GaussianMixture(3, random_state=0).fit(rows, labels=shares)
        np.testing.assert_array_equal(found.estimators_[0].means_, alone.means_)
        assert np.isnan(found.results_["entropy"]).all()
        with pytest.raises(DataError, match="labels has 3 columns, but n_components=2"):
            GaussianMixtureSweep([2, 3]).fit(rows, labels=shares)
        with pytest.raises(ValueError, match="criterion='icl'"):
            GaussianMixtureSweep(3, criterion="icl").fit(rows, labels=shares)

    def test_what_is_refused(self, rows, told):
        with pytest.raises(DataError, match=r"labels holds [12] in row \d+, but n_components=1.* fewer"):
            GaussianMixtureSweep(range(1, 4)).fit(rows, labels=told["labels"])

    @pytest.mark.parametrize("what", ["groups", "errors"])
    def test_neighbours_are_compared_by_what_is_known(self, rows, told, what):
        """Vuong's statistic is of the log densities that a fit alone gives rows, with groups or errors."""
        few, own = rows[::3], {what: told["groups"][::3] if what == "groups" else np.full((200, 2), 0.05)}
        found = GaussianMixtureSweep([2, 3], covariance_type="diag", random_state=0, n_bootstrap=3)
        found.fit(few, **own)
        fewer, more = (each.score_samples(few, **own) for each in found.estimators_)
        d, table = more - fewer, found.comparisons_
        price = 0.5 * np.diff(found.results_["n_parameters"])[0] * np.log(len(d))
        statistic = (d.sum() - price) / np.sqrt(((d - d.mean()) ** 2).sum())
        assert table["vuong"][0] == pytest.approx(statistic, rel=1e-6)
        assert table["likelihood_ratio"][0] == pytest.approx(2 * d.sum(), rel=1e-6)
        assert table["sample_ratio"][0] >= 0.99 * table["likelihood_ratio"][0]
        assert table["bootstrap_p"][0] == 0.25

    def test_labels_stay_in_samples_that_are_drawn(self, rows, told):
        found = GaussianMixtureSweep([3, 4], covariance_type="diag", random_state=0, n_bootstrap=9)
        table = found.fit(rows[::3], labels=told["labels"][::3]).comparisons_
        assert np.isfinite(table["vuong"]).all()
        assert table["bootstrap_p"][0] > 0.1

    def test_by_the_names_of_columns(self, rows, told, tmp_path):
        frame = pd.DataFrame(rows, columns=["a", "b"]).assign(**told)
        frame.to_parquet(tmp_path / "rows.parquet")
        given = {"labels": "labels", "groups": "groups"}
        settings = {"covariance_type": "full", "random_state": 0}
        found = GaussianMixtureSweep(3, **settings).fit(tmp_path / "rows.parquet", **given)
        assert found.feature_names_in_.tolist() == ["a", "b"]
        assert found.best_estimator_.groups_.tolist() == ["x", "y"]
        expected = GaussianMixture(3, random_state=0).fit(rows, **told)
        np.testing.assert_allclose(found.best_estimator_.group_weights_, expected.group_weights_, rtol=1e-7)


class TestLarge:
    def test_all_models_share_the_passes(self, many):
        found = large(many, prune=False)
        results = found.results_
        assert results["converged"].all()
        assert found.n_passes_ == 1 + results["passes"].max()
        assert found.best_params_ == {"n_components": 3, "covariance_type": "diag"}
        for index, number in enumerate(results["n_components"]):
            best = max(
                SklearnGaussianMixture(
                    int(number), covariance_type=str(results["covariance_type"][index]), random_state=seed
                )
                .fit(many)
                .score(many)
                for seed in range(3)
            )
            assert results["log_likelihood"][index] > best - 1e-4

    @pytest.mark.parametrize("criterion", ["bic", "held-out"])
    def test_losers_leave_and_the_choice_is_the_same(self, many, criterion):
        found, whole = (large(many, criterion=criterion, prune=prune) for prune in (True, False))
        assert found.best_params_ == whole.best_params_
        assert not whole.results_["dropped"].any()
        dropped = found.results_["dropped"]
        assert dropped.any()
        assert not dropped[found.best_index_]
        assert all(message.startswith("Left after") for message in found.results_["message"][dropped])
        assert found.results_["passes"].sum() < whole.results_["passes"].sum()

    @pytest.mark.parametrize(("algorithm", "prune"), [("em", True), ("em", False), ("corrected", True)])
    def test_figures_are_of_the_parameters_returned(self, many, algorithm, prune):
        found = large(many, [1, 3, 4], algorithm=algorithm, prune=prune, max_iter=4)
        model = found.best_estimator_
        assert found.best_score_ == pytest.approx(model.bic(many), rel=1e-12)
        index = found.best_index_
        icl = model.bic(many) + 2.0 * entropy_of(model, many)
        assert found.results_["icl"][index] == pytest.approx(icl, rel=1e-8)
        assert found.results_["aic"][index] == pytest.approx(model.aic(many), rel=1e-12)

    def test_held_out_rows_are_only_scored(self, many):
        found = large(many, criterion="held-out", held_out=0.25, algorithm="corrected")
        held = HeldOut(found.seed_, 0.25)(0, len(many))
        densities = found.score_samples(many[held])
        index = found.best_index_
        assert found.best_score_ == pytest.approx(densities.mean(), rel=1e-12)
        error = densities.std(ddof=1) / np.sqrt(held.sum())
        assert found.results_["held_out_error"][index] == pytest.approx(error, rel=1e-9)
        assert found.results_["log_likelihood"][index] == pytest.approx(found.score(many[~held]), rel=1e-12)
        small = GaussianMixtureSweep([3], criterion="held-out", held_out=0.25, random_state=0).fit(many)
        assert small.best_score_ == pytest.approx(small.score(many[held]), rel=1e-12)
        assert small.best_score_ == pytest.approx(found.best_score_, abs=1e-3)

    @pytest.mark.usefixtures("small_spans")
    def test_the_same_bits_on_every_scheduler(self, many, stored, request):
        path, found = stored(many), []

        def bits(sweep):
            names = ("log_likelihood", "entropy", "held_out")
            return [sweep.results_[name].tobytes() for name in names], sweep.means_bits

        def fit():
            sweep = large(path, range(1, 4), held_out=0.1, max_iter=6)
            sweep.means_bits = sweep.best_estimator_.means_.tobytes()
            return bits(sweep)

        for scheduler in ("threads", "synchronous"):
            with dask.config.set(scheduler=scheduler):
                found.append(fit())
        request.getfixturevalue("client")
        found.append(fit())
        assert found[0] == found[1] == found[2]

    @pytest.mark.usefixtures("small_spans")
    def test_sources_agree(self, many, stored):
        expected = large(many, [2, 3]).results_
        for x in (stored(many, 777), da.from_array(many, chunks=(1700, 1))):
            np.testing.assert_allclose(large(x, [2, 3]).results_["bic"], expected["bic"], rtol=1e-9)

    def test_weights(self, many):
        counts = np.random.default_rng(0).integers(1, 4, size=len(many))
        found = large(many, [3], tol=1e-9).fit(many, sample_weight=counts)
        repeated = np.repeat(many, counts, axis=0)
        assert found.best_score_ == pytest.approx(found.bic(repeated), rel=1e-12)


class TestFailures:
    @pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")
    def test_more_components_than_distinct_rows(self):
        rows = np.repeat([[0.0, 0.0], [1.0, 5.0], [4.0, 1.0]], 5, axis=0)
        found = GaussianMixtureSweep([1, 2, 4, 16], covariance_type="full", random_state=0).fit(rows)
        results = found.results_
        np.testing.assert_array_equal(results["failed"], [False, False, True, True])
        assert "only 3 distinct rows" in results["message"][2]
        assert "only 15 rows" in results["message"][3]
        assert np.isnan(results["bic"][2:]).all()
        assert np.isfinite(results["bic"][:2]).all()

    @pytest.mark.parametrize("sample_rows", ["auto", 200])
    def test_a_degenerate_model_leaves_the_others(self, sample_rows):
        generator = np.random.default_rng(0)
        rows = np.column_stack([generator.normal(size=400), np.repeat([0.0, 100.0], 200)])
        own = {"reg_covar": 0.0, "random_state": 0, "sample_rows": sample_rows}
        found = GaussianMixtureSweep([1, 2, 3], covariance_type=("full", "spherical"), **own).fit(rows)
        failed = found.results_["failed"]
        # Not each of them: both clusters in one component is no degenerate start.
        assert failed[1:3].any()
        assert not failed[[0, 3, 4, 5]].any()
        message = str(found.results_["message"][failed][0])
        assert "ill-defined empirical covariance" in message or "no start was found" in message

    def test_all_fail(self):
        with pytest.raises(ValueError, match="No model could be fitted: 7 components, but only 5 rows"):
            GaussianMixtureSweep([7]).fit(np.arange(10.0).reshape(5, 2))

    def test_not_fitted(self, rows):
        with pytest.raises(NotFittedError, match="GaussianMixtureSweep"):
            GaussianMixtureSweep().predict(rows)

    def test_the_best_that_did_not_converge_warns(self, rows):
        with pytest.warns(ConvergenceWarning, match="The best model, of 3 components, did not converge"):
            GaussianMixtureSweep([3], covariance_type="full", max_iter=1, random_state=0).fit(rows)

    def test_verbose(self, many, capsys):
        sweep = GaussianMixtureSweep(
            [2, 3],
            covariance_type="diag",
            verbose=2,
            sample_rows=500,
            algorithm="em",
            tol=0.0,
            max_iter=10,
            prune=False,
            random_state=0,
        )
        sweep.fit(many)
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == ["Initialization 0", "Initialization 1"]
        assert sum("Iteration 10" in line for line in lines) == 2
        assert sum(line.startswith("Initialization did not converge.") for line in lines) == 2

    @pytest.mark.parametrize("sample_rows", [5000, 500])
    def test_an_interrupted_sweep_keeps_what_it_has(self, sample_rows):
        rows, seen = np.random.default_rng(0).normal(size=(3000, 2)), []

        def interrupt(event):
            if isinstance(event, IterationFinished):
                seen.append(event)
                if len(seen) == 9:
                    raise KeyboardInterrupt

        own = {"covariance_type": "full", "sample_rows": sample_rows, "random_state": 0}
        sweep = GaussianMixtureSweep(range(1, 5), tol=0.0, max_iter=5, prune=False, **own)
        with listening(interrupt), pytest.raises(KeyboardInterrupt):
            sweep.fit(rows)
        assert sweep.partial_
        assert sweep.best_score_ == pytest.approx(sweep.bic(rows), rel=1e-9)
        assert "interrupted" in sweep.advice_[0]
        messages = sweep.results_["message"].tolist()
        assert "Interrupted." in messages or "Not fitted." in messages, messages


class TestAdvice:
    def test_the_edge_of_the_range(self, rows):
        found = GaussianMixtureSweep([1, 2], covariance_type="full", random_state=0).fit(rows)
        assert found.at_edge_
        assert any("edge of the range" in sentence for sentence in found.advice_)
        inside = GaussianMixtureSweep(range(1, 6), covariance_type="full", random_state=0).fit(rows)
        assert inside.best_params_["n_components"] == 3
        assert not inside.at_edge_
        assert not any("edge of the range" in sentence for sentence in inside.advice_)
        assert "not the number of clusters" in found.advice_[0]

    def test_the_smallest_within_the_tolerance_and_the_elbow(self, many):
        own = {"covariance_type": "full", "random_state": 0, "criterion": "aic"}
        found = GaussianMixtureSweep(range(1, 8), **own).fit(many)
        heights = found.results_["log_likelihood"]
        near = np.flatnonzero(heights >= heights[found.best_index_] - 0.01)[0]
        assert found.smallest_index_ == near
        assert found.results_["n_components"][found.elbow_index_] == 3
        strict = GaussianMixtureSweep(range(1, 8), tolerance=0.0, **own).fit(many)
        assert strict.smallest_index_ == strict.best_index_


class TestFewHeldOut:
    """Of fourteen rows one in ten is held out: with some seeds one row, with some none."""

    @pytest.fixture
    def seeds(self):
        """Seeds that hold out no row of fourteen, one, and several."""
        numbers = [HeldOut(seed, 0.1)(0, 14).sum() for seed in range(40)]
        return numbers.index(0), numbers.index(1), next(i for i, n in enumerate(numbers) if n > 1)

    def sweep(self, seed, **own):
        settings = {"covariance_type": "diag", "criterion": "held-out", "random_state": seed}
        return GaussianMixtureSweep([1, 2], **settings | own)

    def test_no_row_is_refused_and_said(self, seeds):
        with pytest.raises(ValueError, match="none of these is held out"):
            self.sweep(seeds[0]).fit(three_clusters(14))
        with pytest.raises(ValueError, match="none of these is held out"):
            self.sweep(seeds[0], held_out=1e-6, sample_rows=20).fit(three_clusters(100))

    def test_of_rows_that_are_all_held_out_there_is_nothing_to_fit(self, seeds):
        with pytest.raises(ValueError, match=r"all 14 rows are held out.*make held_out smaller"):
            self.sweep(seeds[0], held_out=1.0 - 1e-12).fit(three_clusters(14))

    def test_rows_without_weight_are_none(self, seeds):
        weights = np.where(HeldOut(seeds[2], 0.1)(0, 14), 0.0, 1.0)
        with pytest.raises(ValueError, match="none of these is held out"):
            self.sweep(seeds[2]).fit(three_clusters(14), sample_weight=weights)

    def test_of_one_row_the_error_is_not_known(self, seeds):
        found = self.sweep(seeds[1]).fit(three_clusters(14))
        assert np.isfinite(found.best_score_)
        assert np.isnan(found.results_["held_out_error"]).all()
        assert "not known" in found.advice_[-1]

    def test_of_several_it_is(self, seeds):
        found = self.sweep(seeds[2]).fit(three_clusters(14))
        assert np.isfinite(found.results_["held_out_error"]).all()

    @pytest.mark.parametrize("sample_rows", ["auto", 300])
    def test_rows_without_weight_do_not_count_in_the_error(self, sample_rows):
        rows, more = three_clusters(1000, 1), three_clusters(1500, 2)
        settings = {"covariance_type": "full", "criterion": "held-out", "random_state": 0}
        settings |= {"sample_rows": sample_rows}
        alone = GaussianMixtureSweep([1], **settings).fit(rows)
        weights = np.repeat([1.0, 0.0], [1000, 1500])
        beside = GaussianMixtureSweep([1], **settings).fit(
            np.concatenate([rows, more]), sample_weight=weights
        )
        for name in ("held_out", "held_out_error"):
            np.testing.assert_allclose(beside.results_[name], alone.results_[name], rtol=1e-6)


class TestTolerance:
    @pytest.mark.parametrize("seed", [0, 2])
    def test_auto_is_of_the_weight_of_the_rows(self, seed):
        """Of the counts of a table that was grouped, it is as of all that were counted."""
        draw = np.random.default_rng(seed)
        parts = [
            draw.normal(0, 1, (1500, 2)),
            draw.normal(1.2, 1.3, (1500, 2)),
            draw.normal(-1, 2.0, (1000, 2)),
        ]
        rows, weights = np.concatenate(parts), np.full(4000, 1e5)
        settings = {"covariance_type": "full", "random_state": 0, "sample_rows": 500, "max_iter": 300}
        auto = GaussianMixtureSweep([3], **settings).fit(rows, sample_weight=weights)
        tol = 0.25 * np.log(4e8) / 4e8
        told = GaussianMixtureSweep([3], tol=tol, **settings).fit(rows, sample_weight=weights)
        # one parameter costs log(4e8), about 20
        assert auto.results_["bic"][0] - told.results_["bic"][0] < 50.0

    def test_weights_that_sum_to_one_are_as_many_rows(self, many):
        one = large(many, [3]).results_
        scaled = GaussianMixtureSweep([3], covariance_type=("full", "diag"), sample_rows=1500, random_state=0)
        scaled.fit(many, sample_weight=np.full(len(many), 1.0 / len(many)))
        np.testing.assert_allclose(scaled.results_["log_likelihood"], one["log_likelihood"], atol=1e-3)


class TestWarnings:
    """What is wrong with the best mixture is said as by a fit of it alone."""

    def told(self, found, rows):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.fit(rows)
        return [str(each.message) for each in caught if issubclass(each.category, dgmm.MixtureWarning)]

    @pytest.mark.parametrize("sample_rows", ["auto", 200])
    def test_a_value_that_many_rows_repeat(self, sample_rows):
        rows = np.random.default_rng(3).normal(size=(600, 2))
        rows[:200, 1] = 0.0
        own = {"random_state": 0, "covariance_type": "full", "sample_rows": sample_rows}
        (alone,) = self.told(GaussianMixture(2, **own), rows)
        (found,) = self.told(GaussianMixtureSweep([2], **own), rows)
        assert "collapsed onto the value 0 of feature 1" in alone
        assert "collapsed onto the value 0 of feature 1" in found
        if sample_rows == "auto":  # the same fit
            assert found == f"The best model: {alone}"

    def test_features_smaller_than_reg_covar(self):
        rows = 1e-4 * np.random.default_rng(4).normal(size=(500, 2))
        found = self.told(GaussianMixtureSweep([1, 2], covariance_type="diag", random_state=0), rows)
        assert any("reg_covar=1e-06 is more than 1% of the variance" in text for text in found)

    def test_nothing_is_said_of_a_sound_one(self, rows):
        assert not self.told(GaussianMixtureSweep([2, 3], random_state=0), rows)


class TestScikitLearn:
    def test_clone_repr_and_parameters(self, rows):
        found = GaussianMixtureSweep([2, 3], criterion="icl", random_state=0).fit(rows)
        again = clone(found)
        assert again.get_params() == found.get_params()
        assert not hasattr(again, "results_")
        assert repr(again).startswith("GaussianMixtureSweep(criterion='icl', n_components=[2, 3]")

    def test_in_a_pipeline(self, rows):
        pipeline = make_pipeline(StandardScaler(), GaussianMixtureSweep(range(1, 5), random_state=0))
        labels = pipeline.fit(rows).predict(rows)
        assert len(np.unique(labels)) == pipeline[-1].best_params_["n_components"] == 3

    def test_feature_names(self, rows):
        frame = pd.DataFrame(rows, columns=["a", "b"])
        found = GaussianMixtureSweep([2], random_state=0).fit(frame)
        assert found.feature_names_in_.tolist() == found.best_estimator_.feature_names_in_.tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found.predict(frame)
        assert not hasattr(found.fit(rows), "feature_names_in_")


class TestComparisons:
    def test_neighbours_are_compared_and_the_best_is_tested(self, rows):
        few = rows[::2]
        found = GaussianMixtureSweep(range(2, 5), covariance_type="diag", random_state=0, n_bootstrap=9).fit(
            few
        )
        table, results = found.comparisons_, found.results_
        assert table["n_components"].tolist() == [2, 3]
        assert table["n_more"].tolist() == [3, 4]
        totals = 2 * len(few) * np.diff(results["log_likelihood"])
        np.testing.assert_allclose(table["likelihood_ratio"], totals)
        assert found.best_params_["n_components"] == 3
        assert table["bootstrap_p"][0] == 0.1  # none of nine is as large
        assert table["bootstrap_p"][1] > 0.1
        assert table["n_rows"].tolist() == [300, 300]
        assert "3 components rather than 2" in found.advice_[-2]
        assert "4 components rather than 3 are not seen to be needed" in found.advice_[-1]
        assert not hasattr(found.set_params(n_bootstrap=0).fit(few), "comparisons_")

    def test_in_passes_too_with_weights_and_rows_held_out(self, many):
        weights = np.random.default_rng(0).uniform(0.5, 1.5, len(many))
        found = GaussianMixtureSweep(
            (2, 3),
            covariance_type="spherical",
            sample_rows=1500,
            random_state=0,
            held_out=0.2,
            prune=False,
            n_bootstrap=1,
        ).fit(da.from_array(many, chunks=(2000, 2)), sample_weight=weights)
        held = HeldOut(found.seed_, 0.2)(0, len(many))
        alone = [
            GaussianMixture(
                k, covariance_type="spherical", sample_rows=1500, random_state=0, tol=1e-8, max_iter=300
            ).fit(many[~held], sample_weight=weights[~held])
            for k in (2, 3)
        ]
        d = alone[1].score_samples(many[held]) - alone[0].score_samples(many[held])
        w = weights[held]
        statistic = w @ d / np.sqrt(w**2 @ (d - w @ d / w.sum()) ** 2)
        assert found.comparisons_["vuong"][0] == pytest.approx(statistic, rel=0.02)
        assert 1000 < found.comparisons_["n_rows"][0] <= 1500


@parametrize_with_checks([GaussianMixtureSweep(range(1, 3), covariance_type=("full", "diag"))])
@pytest.mark.filterwarnings("ignore")  # what the checks provoke is theirs
def test_checks(estimator, check):
    check(estimator)
