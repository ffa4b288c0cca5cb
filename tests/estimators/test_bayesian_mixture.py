# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false
# pyright: reportPrivateImportUsage=false
"""The same seed gives scikit-learn's answer; and what goes beyond it."""

import warnings

import dask
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture as SklearnBayesianGaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from dgmm import BayesianGaussianMixture, GaussianMixture, load

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]
KINDS = ["dirichlet_process", "dirichlet_distribution"]
INIT_PARAMS = ["kmeans", "k-means++", "random", "random_from_data"]
NUMBERS = (
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
    *("weight_concentration_", "mean_precision_", "degrees_of_freedom_"),
    *("weight_concentration_prior_", "mean_precision_prior_", "mean_prior_"),
    *("degrees_of_freedom_prior_", "covariance_prior_"),
)
IRIS = np.asarray(load_iris().data)
BLOBS = np.asarray(make_blobs(400, centers=3, n_features=2, random_state=1)[0])

quietly = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(rows, times=1, **parameters):
    """Both mixtures, fitted, their warnings included."""
    both = []
    for kind in (SklearnBayesianGaussianMixture, BayesianGaussianMixture):
        mixture = kind(**parameters)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(times):
                mixture.fit(rows)
        # NumPy's deprecations are of scikit-learn's own lines.
        mixture.caught = [
            (item.category, str(item.message))
            for item in caught
            if not issubclass(item.category, DeprecationWarning)
        ]
        both.append(mixture)
    return both


def assert_same(other, mixture, rtol=1e-7):
    assert mixture.n_iter_ == other.n_iter_
    assert mixture.converged_ == other.converged_
    assert mixture.caught == other.caught
    np.testing.assert_allclose(mixture.lower_bound_, np.squeeze(other.lower_bound_), rtol=rtol)
    np.testing.assert_allclose(mixture.lower_bounds_, np.reshape(other.lower_bounds_, -1), rtol=rtol)
    for name in NUMBERS:
        found, expected = np.asarray(getattr(mixture, name)), np.asarray(getattr(other, name))
        assert found.shape == expected.shape, name
        atol = rtol * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=name)
    assert type(mixture.weight_concentration_) is type(other.weight_concentration_)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_start(kind, covariance_type, init_params):
    parameters = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind}
    parameters |= {"init_params": init_params, "random_state": 3, "n_components": 4}
    for rows, own in ((IRIS, {}), (BLOBS, {"max_iter": 5}), (BLOBS, {"max_iter": 0})):
        other, mixture = fitted(rows, **parameters, **own)
        assert_same(other, mixture)
        new = rows[::3] + 0.1
        np.testing.assert_array_equal(mixture.predict(new), other.predict(new))
        np.testing.assert_allclose(mixture.predict_proba(new), other.predict_proba(new), atol=1e-8)
        np.testing.assert_allclose(mixture.score_samples(new), other.score_samples(new), rtol=1e-8)
        assert mixture.score(new) == pytest.approx(other.score(new), rel=1e-8)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_several_starts_and_warm_start(kind, covariance_type):
    parameters = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind}
    parameters |= {"random_state": 0, "n_components": 3}
    other, mixture = fitted(IRIS, **parameters, n_init=3, init_params="random")
    np.testing.assert_allclose(mixture.lower_bound_, np.squeeze(other.lower_bound_), rtol=1e-7)
    assert_same(*fitted(IRIS, 4, **parameters, warm_start=True, max_iter=3))
    np.testing.assert_allclose(mixture.sample(40)[1], other.sample(40)[1])


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_given_priors(kind, covariance_type):
    covariance = {
        "full": np.eye(4) + 0.1,
        "tied": np.eye(4) + 0.1,
        "diag": [1.0, 2.0, 0.5, 1.5],
        "spherical": 0.3,
    }[covariance_type]
    parameters = {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": kind,
        "weight_concentration_prior": 100.0,
        "mean_precision_prior": 0.1,
        "mean_prior": [5.0, 3.0, 4.0, 1.0],
        "degrees_of_freedom_prior": 6.5,
        "covariance_prior": covariance,
        "reg_covar": 1e-2,
    }
    assert_same(*fitted(IRIS, **parameters, n_components=5, random_state=1))


def test_the_components_default_is_one():
    assert_same(*fitted(IRIS))


@pytest.mark.parametrize(
    "parameters",
    [
        {"weight_concentration_prior": 0.0},
        {"weight_concentration_prior_type": "gamma"},
        {"mean_precision_prior": -1.0},
        {"mean_prior": [0.0, 1.0]},
        {"degrees_of_freedom_prior": 3.0},
        {"degrees_of_freedom_prior": 0.0},
        {"covariance_prior": np.eye(3)},
        {"covariance_prior": -np.eye(4)},
        {"covariance_prior": np.arange(16.0).reshape(4, 4)},
        {"covariance_type": "tied", "covariance_prior": np.eye(3)},
        {"covariance_type": "diag", "covariance_prior": [1.0, 2.0]},
        {"covariance_type": "diag", "covariance_prior": [1.0, 2.0, 3.0, -4.0]},
        {"covariance_type": "spherical", "covariance_prior": -1.0},
        {"n_components": 200},
        {"tol": -1.0},
    ],
    ids=str,
)
def test_errors(parameters):
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - compared below
        SklearnBayesianGaussianMixture(**parameters).fit(IRIS)
    with pytest.raises(ValueError) as found:  # noqa: PT011 - compared below
        BayesianGaussianMixture(**parameters).fit(IRIS)
    beginning = str(expected.value).split(" must be ")[0]
    assert str(found.value).startswith(beginning)


def test_rows_that_are_not_numbers_and_degenerate_ones():
    bad = IRIS.copy()
    bad[7, 2] = np.nan
    with pytest.raises(ValueError, match="row 7, column 2"):
        BayesianGaussianMixture().fit(bad)
    with pytest.raises(NotFittedError, match="This BayesianGaussianMixture instance is not fitted yet"):
        BayesianGaussianMixture().predict(IRIS)
    constant = np.column_stack([IRIS, np.ones(150)])
    other, mixture = fitted(constant, n_components=2, random_state=0)
    np.testing.assert_array_equal(mixture.predict(constant), other.predict(constant))
    np.testing.assert_allclose(mixture.means_, other.means_, rtol=1e-2)
    assert np.isfinite(mixture.elbo_)


@parametrize_with_checks([BayesianGaussianMixture()])
@pytest.mark.filterwarnings("ignore")  # what the checks provoke is theirs
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_true_is_one_component(kind):
    """Its constraint takes whole numbers, and True is one to Python."""
    assert kind(n_components=True, random_state=0).fit(IRIS[:20]).means_.shape == (1, 4)


def test_parameters_and_clone():
    mixture = BayesianGaussianMixture(n_components=2, tol=0.1)
    own = {"algorithm", "missing", "sample_rows", "moves", "search"}
    assert set(SklearnBayesianGaussianMixture().get_params()) | own == set(mixture.get_params())
    assert clone(mixture).get_params() == mixture.get_params()
    assert not hasattr(mixture, "bic")


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_exchanged(tmp_path, kind, covariance_type):
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    parameters = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind}
    mixture = BayesianGaussianMixture(n_components=3, random_state=0, mean_prior=[5, 3, 4, 1], **parameters)
    mixture.fit(frame).save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert type(again) is BayesianGaussianMixture
    assert vars(again).keys() == vars(mixture).keys()
    for name, value in vars(mixture).items():
        assert type(getattr(again, name)) is type(value) or name.endswith("prior"), name
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)
    np.testing.assert_array_equal(again.predict_proba(frame), mixture.predict_proba(frame))
    other = again.to_sklearn()
    assert type(other) is SklearnBayesianGaussianMixture
    np.testing.assert_allclose(other.score_samples(frame), mixture.score_samples(frame), rtol=1e-10)
    back = BayesianGaussianMixture.from_sklearn(other)
    np.testing.assert_array_equal(back.score_samples(frame), mixture.score_samples(frame))
    with pytest.raises(TypeError, match="takes a sklearn BayesianGaussianMixture, not GaussianMixture"):
        BayesianGaussianMixture.from_sklearn(GaussianMixture())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mean_precision_", np.array([-1.0, 2.0]), "mean_precision_ holds values"),
        ("mean_precision_", np.ones(3), r"mean_precision_ has the shape \(3,\)"),
        ("degrees_of_freedom_", np.array([1.0, 2.0]), "degrees_of_freedom_ holds values"),
        ("weight_concentration_", (np.ones(2),), "weight_concentration_ has the shape"),
        ("weight_concentration_", "many", "weight_concentration_ is not real numbers"),
        ("mean_prior_", np.ones(2), "mean_prior_ has the shape"),
    ],
)
def test_damaged(tmp_path, name, value, message):
    mixture = BayesianGaussianMixture(n_components=2, random_state=0).fit(IRIS)
    setattr(mixture, name, value)

    def kept() -> None:
        mixture.save(tmp_path / "model.npz")
        load(tmp_path / "model.npz")

    with pytest.raises(ValueError, match=message):
        kept()


class TestLarger:
    @pytest.fixture
    def rows(self):
        generator = np.random.default_rng(5)
        rows = np.concatenate([generator.normal(4 * k, 1 + k / 2, (2000, 2)) for k in range(3)])
        return rows[generator.permutation(6000)]

    def fit(self, x, sample_weight=None, **own):
        parameters = {"n_components": 4, "sample_rows": 500, "random_state": 0, "max_iter": 15}
        parameters |= {"algorithm": "em", "init_params": "kmeans"}
        return BayesianGaussianMixture(**parameters | own).fit(x, sample_weight=sample_weight)

    @quietly
    def test_by_default_size_decides(self, rows):
        rows = rows[:1500]
        own = {"n_components": 4, "random_state": 0}
        large = BayesianGaussianMixture(**own, sample_rows=500).fit(rows)
        assert max(large.history_["inner_steps"]) > 1
        best = self.fit(rows, algorithm="corrected", init_params="search", max_iter=100)
        assert large.elbo_ == best.elbo_
        small = BayesianGaussianMixture(**own).fit(rows)
        assert small.elbo_ == self.fit(rows, sample_rows=6000, max_iter=100).elbo_

    @quietly
    @pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_is_scikit_learns_iteration_from_its_start(self, rows, kind, covariance_type):
        own = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind, "tol": 0.0}
        start, mixture = self.fit(rows, max_iter=0, **own), self.fit(rows, **own)
        other = start.to_sklearn().set_params(warm_start=True, max_iter=15, tol=0.0).fit(rows)
        mixture.caught = other.caught = []
        assert_same(other, mixture)
        assert mixture.n_passes_ == 1 + mixture.n_iter_

    @quietly
    @pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("weighted", [False, True])
    def test_corrected_steps_never_lose(self, rows, kind, covariance_type, weighted):
        own = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind}
        weights = np.random.default_rng(0).exponential(size=len(rows)) if weighted else None
        mixture = self.fit(rows, weights, algorithm="corrected", **own)
        history = mixture.history_
        accepted = np.array(history["lower_bound"])[history["accepted"]]
        assert (np.diff(accepted) >= 0.0).all()
        assert mixture.lower_bound_ == accepted[-1]
        assert max(history["inner_steps"]) > 1
        plain = self.fit(rows, weights, max_iter=history["accepted"].count(True), tol=0.0, **own)
        assert mixture.elbo_ > plain.elbo_ - 1.0

    @quietly
    @pytest.mark.usefixtures("small_spans")
    @pytest.mark.parametrize("algorithm", ["em", "corrected"])
    def test_chunks_and_schedulers(self, rows, stored, algorithm, request):
        expected = self.fit(rows, algorithm=algorithm)
        path, found = stored(rows, 700), []
        for scheduler in ("threads", "synchronous"):
            with dask.config.set(scheduler=scheduler):
                found.append(self.fit(path, algorithm=algorithm))
        request.getfixturevalue("client")
        found.append(self.fit(path, algorithm=algorithm))
        for mixture in found:
            assert mixture.lower_bounds_ == found[0].lower_bounds_
            np.testing.assert_array_equal(mixture.means_, found[0].means_)
            np.testing.assert_allclose(mixture.elbo_, expected.elbo_, rtol=1e-11)
            np.testing.assert_allclose(mixture.covariances_, expected.covariances_, rtol=1e-6)

    @quietly
    @pytest.mark.parametrize("algorithm", ["em", "corrected"])
    def test_single_precision(self, rows, algorithm):
        exact = self.fit(rows.astype("f4").astype("f8"), algorithm=algorithm)
        mixture = self.fit(rows.astype("f4"), algorithm=algorithm)
        np.testing.assert_allclose(mixture.elbo_, exact.elbo_, rtol=1e-5)
        np.testing.assert_allclose(mixture.means_, exact.means_, rtol=1e-2, atol=1e-2)

    @quietly
    @pytest.mark.parametrize("distance", [1e4, 1e8])
    def test_narrow_components_far_apart(self, distance):
        """On the centred path, with sums taken again: the posterior of clusters that know their rows."""
        generator = np.random.default_rng(0)
        clusters = [generator.normal(size=(300, 2)) + k * distance for k in (0.0, 1.0, -2.0)]
        rows = np.concatenate(clusters)
        prior = {"mean_prior": [0.0, 0.0], "mean_precision_prior": 1e-26, "covariance_prior": np.eye(2)}
        mixture = self.fit(rows, n_components=3, sample_rows=1000, **prior)
        for cluster in clusters:
            nearest = np.abs(mixture.means_ - cluster.mean(axis=0)).sum(axis=1).argmin()
            expected = (np.eye(2) + 300 * (np.cov(cluster.T, bias=True) + 1e-6 * np.eye(2))) / 302
            np.testing.assert_allclose(mixture.covariances_[nearest], expected, rtol=1e-6)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_whole_weights_count_rows(kind, covariance_type):
    weights = np.random.default_rng(0).integers(0, 4, size=len(BLOBS))
    parameters = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind}
    parameters |= {"n_components": 3, "random_state": 0}
    weighted = BayesianGaussianMixture(**parameters).fit(BLOBS, sample_weight=weights)
    repeated = BayesianGaussianMixture(**parameters).fit(np.repeat(BLOBS, weights, axis=0))
    order, expected = np.argsort(weighted.means_[:, 0]), np.argsort(repeated.means_[:, 0])
    np.testing.assert_allclose(weighted.means_[order], repeated.means_[expected], rtol=1e-2, atol=1e-2)
    assert weighted.elbo_ == pytest.approx(repeated.elbo_, rel=1e-3)
    np.testing.assert_allclose(weighted.covariance_prior_, repeated.covariance_prior_, rtol=1e-12)


def test_weights_that_are_too_small_for_a_prior_covariance():
    with pytest.raises(ValueError, match="sample_weight sums to 1,"):
        BayesianGaussianMixture().fit(IRIS, sample_weight=np.full(150, 1 / 150))


@quietly
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_the_complete_bound_tells_numbers_of_components_apart(covariance_type, kind):
    own = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind, "max_iter": 300}
    own |= {"weight_concentration_prior": 0.5, "random_state": 0}
    elbo = [BayesianGaussianMixture(n_components=k, **own).fit(BLOBS).elbo_ for k in (1, 2, 3, 4, 5)]
    # Of a Dirichlet process, more components without rows are the same model.
    assert max(elbo[:2]) < elbo[2] - 10.0
    assert max(elbo[3:]) < elbo[2] + 0.1


def test_components_without_rows_are_not_effective():
    mixture = BayesianGaussianMixture(
        n_components=8, weight_concentration_prior=1e-3, random_state=0, max_iter=1000
    )
    far = np.concatenate([BLOBS, BLOBS + 40.0])
    mixture.fit(far)
    assert mixture.effective_components_ == (mixture.mean_precision_ - 1.0 > 3.0).sum() < 8


def test_components_that_are_not_needed_take_no_dozens_of_passes():
    """They are emptied before the first pass, as the fit says; the bound is that of all rows in memory."""
    generator = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 9.0]])
    rows = centres[generator.choice(3, 6000, p=[0.5, 0.3, 0.2])] + generator.normal(size=(6000, 2))
    own = {"n_components": 8, "random_state": 0}
    quick = BayesianGaussianMixture(**own, sample_rows=2000).fit(rows)
    assert quick.converged_
    assert quick.n_iter_ < 10
    assert quick.effective_components_ == 3
    assert "components were merged into others or deleted" in quick.stop_reason_
    in_memory = BayesianGaussianMixture(**own, max_iter=100, tol=1.0).fit(rows)
    assert quick.lower_bound_ >= in_memory.lower_bound_ - 1e-6 * len(rows)
    needed = BayesianGaussianMixture(**own | {"n_components": 3}, sample_rows=2000).fit(rows)
    assert "merged" not in needed.stop_reason_
    assert needed.effective_components_ == 3
