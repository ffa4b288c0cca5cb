"""Corrected EM through the estimator."""
# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false

import dask
import dask.array as da
import numpy as np
import pytest

from dgmm import GaussianMixture
from dgmm.estimators.load import load
from dgmm.fitting.loop.surplus import SURPLUS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FAMILIES = ["full", "tied", "diag", "spherical"]


def overlapping(n_rows, seed=0):
    generator = np.random.default_rng(seed)
    means = generator.normal(size=(4, 3)) * 2.0
    labels = generator.integers(4, size=n_rows)
    return means[labels] + generator.normal(size=(n_rows, 3)) * (0.7 + 0.2 * labels[:, None])


def fit(rows, sample_weight=None, **own):
    parameters = {"n_components": 4, "sample_rows": 1500, "random_state": 0, "algorithm": "corrected"}
    parameters |= {"init_params": "kmeans"}
    return GaussianMixture(**parameters | own).fit(rows, sample_weight=sample_weight)


@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_the_likelihood_of_accepted_parameters_never_falls(covariance_type, weighted, seed):
    rows = overlapping(9000, seed)
    weights = np.random.default_rng(seed).exponential(size=len(rows)) if weighted else None
    own = {"covariance_type": covariance_type, "init_params": "random_from_data", "random_state": seed}
    mixture = fit(rows, weights, max_iter=20, **own)
    history = mixture.history_
    accepted = np.array(history["log_likelihood"])[history["accepted"]]
    assert (np.diff(accepted) >= 0.0).all()
    assert mixture.lower_bound_ == accepted[-1] == max(mixture.lower_bounds_)
    # The bound and the parameters belong together.
    assert mixture.score(rows, sample_weight=weights) == pytest.approx(mixture.lower_bound_, rel=1e-11)


def test_a_search_says_how_sure_it_is(tmp_path):
    """What it says is that of the best of all searches, and of no other fit; a model file keeps it."""
    rows = overlapping(2000)
    mixture = fit(rows, init_params="search", n_init=2)
    record = mixture.search_
    assert record is not None
    assert 1 <= record.n_best <= record.n_starts
    assert 1 <= record.n_optima <= record.n_starts
    assert 0.0 < record.unseen <= 1.0
    assert record.n_evaluations > 2 * 4 * 1200  # starts of four components on most of the sample, at least
    mixture.save(tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").search_ == record
    assert mixture.set_params(init_params="kmeans").fit(rows).search_ is None
    mixture.save(tmp_path / "other.npz")
    assert load(tmp_path / "other.npz").search_ is None


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_the_limit_of_plain_em_in_far_fewer_passes(covariance_type):
    rows = overlapping(20_000)
    own = {"covariance_type": covariance_type, "sample_rows": 5000}
    plain = fit(rows, algorithm="em", tol=1e-9, max_iter=2000, **own)
    mixture = fit(rows, tol=1e-8, **own)
    limit = plain.lower_bounds_[-1]
    assert mixture.converged_
    assert mixture.lower_bound_ > limit - 1e-6
    n_plain, n_corrected = (
        int(np.argmax(np.array(each.lower_bounds_) > limit - 1e-5)) + 1 for each in (plain, mixture)
    )
    assert n_corrected < n_plain / 3


def test_auto_is_corrected_for_more_rows_than_the_sample():
    rows, own = overlapping(800), {"sample_rows": 400}
    assert fit(rows, algorithm="auto", **own).lower_bounds_ == fit(rows, **own).lower_bounds_
    small = fit(rows, algorithm="auto", sample_rows=800)
    assert small.lower_bounds_ == fit(rows, algorithm="em", sample_rows=800, tol=1e-3).lower_bounds_
    assert set(small.history_["inner_steps"][1:]) == {1}
    assert all(small.history_["accepted"])


@pytest.mark.parametrize("sample_rows", [1500, 4000])
def test_the_history_tells_of_every_pass(sample_rows):
    rows = overlapping(4000)
    history = fit(rows, sample_rows=sample_rows).history_
    n_passes = len(history["log_likelihood"])
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(history, n_passes)
    for seconds, rate in zip(history["seconds"], history["rows_per_second"], strict=True):
        assert rate * seconds == pytest.approx(4000)
    for name in ("reading_seconds", "computing_seconds"):
        assert (np.array(history[name]) > 0.0).all()
    lazy = fit(da.from_array(rows, chunks=(1000, 3)), sample_rows=1500).history_
    assert np.isnan(lazy["reading_seconds"]).all()
    assert (np.array(lazy["computing_seconds"]) > 0.0).all()


def test_a_pass_made_twice_counts_its_rows_twice():
    """From wide components onto clusters far apart: sums about the centre cancel, and are taken again."""
    rows = np.random.default_rng(0).normal(size=(4000, 1)) + np.repeat([[0.0], [1e8]], 2000, axis=0)
    own = {"means_init": [[0.0], [1e8]], "precisions_init": [[[1e-14]], [[1e-14]]], "random_state": 0}
    history = GaussianMixture(2, **own).fit(rows).history_
    worked_on = np.array(history["rows_per_second"]) * history["seconds"]
    assert worked_on[0] == pytest.approx(8000.0)
    assert worked_on[-1] == pytest.approx(4000.0)


def test_by_default_size_decides():
    rows, own = overlapping(800), {"sample_rows": 400}
    large = GaussianMixture(4, random_state=0, **own).fit(rows)
    told = fit(rows, algorithm="corrected", init_params="search", **own)
    assert large.lower_bounds_ == told.lower_bounds_
    assert large.n_passes_ == 1 + large.n_iter_  # the pass that chooses among the candidates is the first
    small = GaussianMixture(4, random_state=0).fit(rows)
    told = fit(rows, algorithm="em", init_params="kmeans", sample_rows=800)
    assert small.lower_bounds_ == told.lower_bounds_


def test_a_search_starts_from_what_is_given():
    rows = overlapping(3000)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    mixture = fit(rows, init_params="search", weights_init=weights, max_iter=0)
    np.testing.assert_allclose(mixture.weights_, weights)
    means = fit(rows, init_params="auto", weights_init=weights, max_iter=0).means_
    np.testing.assert_array_equal(means, fit(rows, init_params="kmeans", max_iter=0).means_)


def test_a_given_tol_is_the_predicted_gain():
    rows = overlapping(9000)
    longest = fit(rows, tol=1e-8, max_iter=60)
    for tol in (1e-2, "auto"):
        found, largest = fit(rows, tol=tol), 1e-6 if tol == "auto" else tol
        assert found.converged_
        assert found.history_["predicted_gain"][-1] < largest
        assert f"less than tol={largest}" in found.stop_reason_
        assert longest.lower_bound_ - found.lower_bound_ < 10.0 * largest
        assert found.n_iter_ < longest.n_iter_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of one that has few passes
def test_by_default_a_fit_ends_where_it_gains_no_more_than_chance():
    """It makes the passes of one whose tol is named, but for the last; not where there are few rows."""
    rows = overlapping(SURPLUS.fewest_rows)
    by_default = fit(rows)
    named = fit(rows, tol=1e-6, max_iter=by_default.n_iter_ + 1)
    assert by_default.converged_
    assert by_default.lower_bounds_ == named.lower_bounds_[: by_default.n_iter_]
    assert by_default.lower_bound_ == max(by_default.lower_bounds_)
    few = overlapping(3000)
    assert fit(few).stop_reason_ == fit(few, tol=1e-6).stop_reason_


def test_starts_share_passes_and_do_not_change_each_other():
    rows = overlapping(6000)
    own = {"init_params": "random_from_data", "max_iter": 8, "tol": 0.0}
    together = fit(rows, n_init=3, **own)
    assert together.n_passes_ == 1 + 8
    assert together.lower_bound_ >= fit(rows, **own).lower_bound_ - 1e-9


@pytest.mark.usefixtures("small_spans")
def test_the_same_bits_on_every_scheduler(stored, request):
    path, found = stored(overlapping(6000)), []

    def bits(mixture):
        names = ("weights_", "means_", "covariances_", "lower_bounds_")
        return [np.asarray(getattr(mixture, name)).tobytes() for name in names]

    for scheduler in ("threads", "synchronous"):
        with dask.config.set(scheduler=scheduler):
            found.append(bits(fit(path, max_iter=8)))
    request.getfixturevalue("client")
    found.append(bits(fit(path, max_iter=8)))
    assert all(one == found[0] for one in found)


def test_rows_that_all_fit_in_memory():
    rows = overlapping(3000)
    mixture = fit(rows, sample_rows=3000)
    plain = fit(rows, sample_rows=3000, algorithm="em", tol=1e-9, max_iter=2000)
    assert mixture.n_passes_ == 1
    assert mixture.lower_bound_ > plain.lower_bound_ - 1e-5


def test_warm_start_goes_on():
    rows = overlapping(6000)
    own = {"algorithm": "corrected", "sample_rows": 1500, "random_state": 0}
    mixture = GaussianMixture(4, warm_start=True, max_iter=3, **own).fit(rows)
    reached = mixture.lower_bound_
    mixture.fit(rows)
    assert mixture.lower_bounds_[0] == pytest.approx(reached, rel=1e-12)
    assert mixture.lower_bound_ >= reached


def test_saved_and_given_to_scikit_learn(tmp_path):
    rows = overlapping(3000)
    mixture = fit(rows, max_iter=3)
    mixture.save(tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").history_ == mixture.history_
    assert mixture.to_sklearn().tol == 1e-3
    np.testing.assert_array_equal(mixture.to_sklearn().predict(rows), mixture.predict(rows))
