from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
each_class = pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
NAMES = ["a", "b", "c"]


def by_hand(covariance_type, *, seed=0, names=None):
    """A mixture of three components that overlap, on three features."""
    found = naive.random_parameters(np.random.default_rng(seed), covariance_type, spread=1.5)
    mixture = GaussianMixture(3, covariance_type=covariance_type)
    mixture.weights_, mixture.means_, mixture.covariances_ = found.weights, found.means, found.covariances
    if names is not None:
        mixture.feature_names_in_ = np.array(names, dtype=object)
    return mixture


def matrices(mixture):
    return naive.matrices_of(mixture._parameters)


def rows_of(n_rows, n_features, seed=1):
    return np.random.default_rng(seed).normal(scale=3.0, size=(n_rows, n_features))


@each_family
def test_conditional_density_is_joint_over_marginal(covariance_type):
    mixture = by_hand(covariance_type)
    rows = rows_of(20, 3)
    joint = mixture.score_samples(rows)
    for n_known in (1, 2):
        for known in map(list, combinations(range(3), n_known)):
            others = [i for i in range(3) if i not in known]
            marginal = mixture.marginal(known).score_samples(rows[:, known])
            found = [
                mixture.condition(dict(zip(known, row[known], strict=True))).score_samples([row[others]])[0]
                for row in rows
            ]
            assert_allclose(np.array(found), joint - marginal, rtol=1e-12, atol=1e-12)


@each_family
def test_conditional_densities_integrate_to_one(covariance_type):
    """Trapezoids: of functions this smooth they are exact to rounding, once the steps are small."""
    mixture = by_hand(covariance_type)
    axis = np.linspace(-25.0, 25.0, 501)
    step = axis[1] - axis[0]
    line = mixture.condition({0: 0.7, 2: -1.2}).score_samples(axis[:, None])
    assert_allclose(np.exp(line).sum() * step, 1.0, rtol=1e-10)
    plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert_allclose(np.exp(mixture.condition({1: 0.7}).score_samples(plane)).sum() * step**2, 1.0, rtol=1e-10)


@each_family
def test_the_mean_of_conditional_means_is_the_mean(covariance_type):
    mixture = by_hand(covariance_type)
    axis = np.linspace(-25.0, 25.0, 201)
    conditional = [mixture.condition({1: x}) for x in axis]
    means = np.array([each.weights_ @ each.means_ for each in conditional])
    density = np.exp(mixture.marginal(1).score_samples(axis[:, None])) * (axis[1] - axis[0])
    assert_allclose(density @ means, mixture.weights_ @ mixture.means_[:, [0, 2]], rtol=1e-9, atol=1e-9)


@each_class
@each_family
def test_they_are_mixtures_of_the_same_class(kind, covariance_type, tmp_path):
    rows = pd.DataFrame(
        naive.random_rows(np.random.default_rng(2), by_hand(covariance_type)._parameters, 300)
    )
    rows.columns = NAMES
    mixture = kind(n_components=2, covariance_type=covariance_type, random_state=0, tol=0.1).fit(rows)
    for made, names in (
        (mixture.marginal(["c", "a"]), ["c", "a"]),
        (mixture.condition({"b": 0.5}), ["a", "c"]),
    ):
        assert type(made) is kind
        assert made.feature_names_in_.tolist() == names
        assert made.n_features_in_ == 2
        assert made.converged_ == mixture.converged_
        assert made.covariance_type == covariance_type
        some = rows[names]
        assert_allclose(made.predict_proba(some).sum(axis=1), 1.0)
        assert (made.predict(some) == made.predict_proba(some).argmax(axis=1)).all()
        assert made.sample(10)[0].shape == (10, 2)
        made.save(tmp_path / "made.npz")
        again = dgmm.load(tmp_path / "made.npz")
        assert type(again) is kind
        assert (again.score_samples(some) == made.score_samples(some)).all()
        assert_allclose(made.to_sklearn().score_samples(some), made.score_samples(some), rtol=1e-9)
        twice = made.marginal("c")
        assert_allclose(twice.means_[:, 0], made.means_[:, names.index("c")])


@each_family
@pytest.mark.parametrize("prior", ["dirichlet_process", "dirichlet_distribution"])
def test_of_a_bayesian_mixture_they_are_of_the_posterior_means(covariance_type, prior):
    rows = naive.random_rows(np.random.default_rng(2), by_hand(covariance_type)._parameters, 60)
    mixture = BayesianGaussianMixture(
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior,
        random_state=0,
        tol=0.1,
    ).fit(rows)
    means = GaussianMixture(3, covariance_type=covariance_type)
    means.weights_, means.means_, means.covariances_ = mixture.weights_, mixture.means_, mixture.covariances_
    for found, expected in (
        (mixture.marginal([0, 1]), means.marginal([0, 1])),
        (mixture.condition({2: 1.0}), means.condition({2: 1.0})),
        (mixture.condition({2: 200.0}), means.condition({2: 200.0})),
    ):
        assert_allclose(found.weights_, expected.weights_, rtol=1e-9, atol=1e-300)
        some = rows_of(10, 2)
        assert_allclose(found.score_samples(some), expected.score_samples(some), rtol=1e-10)
        assert_allclose(found.predict_proba(some), expected.predict_proba(some), atol=1e-10)


@each_family
@pytest.mark.parametrize("chunks", [None, 250_000])
def test_moments_of_a_million_samples(covariance_type, chunks):
    """Of the mixture, and of a conditional one: within 4 standard errors of their closed forms."""
    whole = by_hand(covariance_type).set_params(random_state=3)
    for mixture in (whole, whole.condition({0: 0.5})):
        drawn = np.asarray(mixture.sample(10**6, chunks=chunks)[0])
        mean = mixture.weights_ @ mixture.means_
        gaps = mixture.means_ - mean
        exact = (
            np.einsum("k,kij->ij", mixture.weights_, matrices(mixture)) + (mixture.weights_ * gaps.T) @ gaps
        )
        errors = np.sqrt(np.diag(exact) / len(drawn))
        assert (np.abs(drawn.mean(axis=0) - mean) < 4.0 * errors).all()
        deviations = drawn - mean
        products = deviations.T @ deviations / len(drawn)
        squares = (deviations**2).T @ deviations**2 / len(drawn)
        errors = np.sqrt((squares - products**2) / len(drawn))
        assert (np.abs(products - exact) < 4.0 * errors).all()


def test_all_features_and_none():
    mixture = by_hand("full", names=NAMES)
    for same in (mixture.condition({}), mixture.marginal(NAMES)):
        assert (same.weights_ == mixture.weights_).all()
        assert (same.means_ == mixture.means_).all()
        assert_allclose(same.covariances_, mixture.covariances_, rtol=1e-14)
    with pytest.raises(ValueError, match="all features are known"):
        mixture.condition({"a": 1, "b": 2, "c": 3})
    with pytest.raises(ValueError, match="name at least one"):
        mixture.marginal([])


@each_family
def test_where_all_densities_underflow(covariance_type):
    """Weights are those of the limit: of the widest component or, as wide, of the farthest that way."""
    mixture = by_hand(covariance_type)
    variances = matrices(mixture)[:, 1, 1]
    widest = np.isclose(variances, variances.max())
    for value in (1e5, -1e5, 1e300):
        last = int(np.where(widest, np.sign(value) * mixture.means_[:, 1], -np.inf).argmax())
        found = mixture.condition({1: value})
        assert_allclose(found.weights_, np.eye(3)[last], atol=1e-12)
        assert np.isfinite(found.means_[last]).all()


def test_a_component_without_weight_stays_without():
    mixture = by_hand("full")
    mixture.weights_ = np.array([0.5, 0.5, 0.0])
    found = mixture.condition({0: mixture.means_[2, 0]})
    assert found.weights_[2] == 0.0
    assert_allclose(found.weights_.sum(), 1.0)


def test_single_precision_stays():
    rows = naive.random_rows(np.random.default_rng(2), by_hand("full")._parameters, 200).astype(np.float32)
    mixture = GaussianMixture(2, random_state=0).fit(rows)
    assert mixture.condition({0: 1.0}).means_.dtype == np.float32
    assert mixture.marginal([0]).covariances_.dtype == np.float32


def test_weights_beyond_single_precision_are_kept():
    """A component that the known value all but excludes decides on rows that only it explains."""
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(size=(50, 2)), 20.0 + generator.normal(size=(50, 2))])
    mixture = GaussianMixture(2, covariance_type="diag", random_state=0).fit(rows.astype(np.float32))
    given = mixture.condition({0: 0.0})
    assert 0.0 < given.weights_.min() < 1e-45
    other = np.argmin(given.weights_)
    assert given.predict([[60.0]]).tolist() == [other]


def test_a_fit_of_other_features_starts_anew():
    """What was given of the features of the whole is not taken for some of them."""
    rows = naive.random_rows(np.random.default_rng(2), by_hand("full")._parameters, 200)
    mixture = GaussianMixture(2, means_init=rows[:2], warm_start=True, random_state=0).fit(rows)
    made = mixture.marginal([0, 2])
    fitted = GaussianMixture(2, random_state=0).fit(rows[:, [0, 2]])
    assert_allclose(made.fit(rows[:, [0, 2]]).means_, fitted.means_)


def test_a_marginal_is_drawn():
    mpl.use("agg")
    from dgmm.plotting import plot_mixture

    ax = plot_mixture(by_hand("full").marginal([2, 0]))
    assert len(ax.patches) == 6
    ax.figure.clear()


def steep(names=("speed", "height")):
    """Return a mixture of one component, whose second feature is a hundred times the first and noise."""
    rows = np.random.default_rng(0).normal(size=(200, 2)) @ np.array([[1.0, 100.0], [0.0, 1.0]])
    return GaussianMixture().fit(rows if names is None else pd.DataFrame(rows, columns=list(names)))


def test_errors_come_before_any_work():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        GaussianMixture().marginal([0])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        GaussianMixture().condition({0: 1.0})
    mixture = by_hand("full", names=["speed", "height", "weight"])
    with pytest.raises(ValueError, match="did you mean 'speed'"):
        mixture.marginal(["sped"])
    with pytest.raises(ValueError, match="'weight' is nan"):
        mixture.condition({"weight": np.nan})
    with pytest.raises(ValueError, match=r"1.7e\+308 is too far out.*'height' overflows in component 0"):
        steep().condition({"speed": 1.7e308})
    with pytest.raises(ValueError, match="mean of feature 1 overflows"):
        steep(names=None).condition({0: -1e308})
    with pytest.raises(ValueError, match="twice"):
        mixture.condition({"weight": 1.0, 2: 1.0})
