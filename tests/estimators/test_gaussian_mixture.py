# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
"""The same seed gives scikit-learn's answer, iteration for iteration."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm import GaussianMixture, MixtureWarning
from dgmm.model.families import FAMILIES

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]
INIT_PARAMS = ["kmeans", "k-means++", "random", "random_from_data"]
ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")

DATA = {
    "blobs": make_blobs(600, centers=4, n_features=3, random_state=1)[0],
    "iris": load_iris().data,
    "digits": PCA(8, random_state=0).fit_transform(load_digits().data),
}


def fitted(rows, **parameters):
    """Both mixtures, fitted, with what they warned of; but scikit-learn says nothing of collapse."""
    both = []
    for kind in (SklearnGaussianMixture, GaussianMixture):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            both.append(kind(**parameters).fit(rows))
        both[-1].caught = [
            (item.category, str(item.message)) for item in caught if item.category is not MixtureWarning
        ]
    return both


def assert_same(other, mixture, rows, rtol=1e-8):
    assert mixture.n_iter_ == other.n_iter_
    assert mixture.converged_ == other.converged_
    assert mixture.caught == other.caught
    np.testing.assert_allclose(mixture.lower_bound_, other.lower_bound_, rtol=rtol)
    np.testing.assert_allclose(mixture.lower_bounds_, other.lower_bounds_, rtol=rtol)
    for name in ARRAYS:
        expected = getattr(other, name)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(
            getattr(mixture, name), expected, rtol=rtol, atol=rtol * largest, err_msg=name
        )
    np.testing.assert_array_equal(mixture.predict(rows), other.predict(rows))


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("data", DATA)
def test_every_start(data, covariance_type, init_params):
    rows = DATA[data]
    parameters = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 3}
    for own in ({"n_components": 3}, {"n_components": 3, "max_iter": 1}):
        assert_same(*fitted(rows, **parameters, **own), rows)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("data", DATA)
def test_several_starts(data, covariance_type, init_params):
    """Starts that end at the same optimum tie: rounding decides between them, so only the bound is held."""
    other, mixture = fitted(
        DATA[data],
        n_components=3,
        covariance_type=covariance_type,
        init_params=init_params,
        n_init=3,
        random_state=3,
    )
    np.testing.assert_allclose(mixture.lower_bound_, other.lower_bound_, rtol=1e-8)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_what_is_said_of_rows(covariance_type):
    rows = DATA["digits"]
    other, mixture = fitted(rows, n_components=4, covariance_type=covariance_type, random_state=0)
    new = rows[::3] + 0.1
    np.testing.assert_allclose(mixture.predict_proba(new), other.predict_proba(new), atol=1e-8)
    np.testing.assert_allclose(mixture.score_samples(new), other.score_samples(new), rtol=1e-9)
    assert mixture.score(new) == pytest.approx(other.score(new), rel=1e-9)
    assert mixture.aic(new) == pytest.approx(other.aic(new), rel=1e-9)
    assert mixture.bic(new) == pytest.approx(other.bic(new), rel=1e-9)
    assert mixture._n_parameters() == other._n_parameters()
    drawn, labels = mixture.sample(50)
    expected, expected_labels = other.sample(50)
    np.testing.assert_allclose(drawn, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(labels, expected_labels)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("max_iter", [0, 100])
def test_no_tolerance_and_no_iterations(covariance_type, max_iter):
    rows = DATA["blobs"]
    parameters = {"covariance_type": covariance_type, "n_components": 4, "tol": 0.0, "random_state": 0}
    other, mixture = fitted(rows, **parameters, max_iter=min(max_iter, 12))
    assert_same(other, mixture, rows)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("given", ["weights", "means", "precisions", "all"])
def test_given_starts(covariance_type, given):
    rows = DATA["iris"]
    precisions = {
        "full": np.stack([np.eye(4) * k for k in (1, 2, 3)]),
        "tied": np.eye(4) + 0.1,
        "diag": np.arange(1.0, 13.0).reshape(3, 4),
        "spherical": np.array([1.0, 2.0, 3.0]),
    }[covariance_type]
    values = {
        "weights_init": [0.2, 0.3, 0.5],
        "means_init": rows[[0, 60, 120]],
        "precisions_init": precisions,
    }
    own = values if given == "all" else {f"{given}_init": values[f"{given}_init"]}
    parameters = {"n_components": 3, "covariance_type": covariance_type, "random_state": 0}
    assert_same(*fitted(rows, **parameters, **own), rows)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
def test_given_precisions_stand_in_for_those_that_single_rows_lack(covariance_type, init_params):
    rows = DATA["iris"]
    precisions = {
        "full": [np.eye(4)] * 2,
        "tied": np.eye(4),
        "diag": np.ones((2, 4)),
        "spherical": np.ones(2),
    }
    parameters = {"n_components": 2, "covariance_type": covariance_type, "init_params": init_params}
    own = {"precisions_init": precisions[covariance_type], "reg_covar": 0.0, "random_state": 0}
    assert_same(*fitted(rows, **parameters, **own), rows)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_what_a_fit_gave_starts_another(covariance_type):
    """Precisions are taken as they are given, one number for all of 'tied_spherical' too."""
    rows = DATA["iris"]
    parameters = {"n_components": 2, "covariance_type": covariance_type, "random_state": 0}
    first = GaussianMixture(**parameters).fit(rows)
    given = {f"{name}_init": getattr(first, f"{name}_") for name in ("weights", "means", "precisions")}
    second = GaussianMixture(**parameters, **given, max_iter=0).fit(rows)
    np.testing.assert_allclose(second.score_samples(rows), first.score_samples(rows), rtol=1e-10)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_one_precision_is_refused_where_there_are_more(covariance_type):
    with pytest.raises(ValueError, match=rf"'{covariance_type} precision' should have the shape"):
        GaussianMixture(2, covariance_type=covariance_type, precisions_init=1.0).fit(DATA["iris"])


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_warm_start(covariance_type):
    rows = DATA["digits"]
    parameters = {"n_components": 5, "covariance_type": covariance_type, "random_state": 0, "max_iter": 3}
    both = fitted(rows, **parameters, warm_start=True)
    for _ in range(3):
        for mixture in both:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                mixture.fit(rows)
            mixture.caught = [(item.category, str(item.message)) for item in caught]
        assert_same(*both, rows, rtol=1e-7)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_single_precision(covariance_type):
    """Loose: scikit-learn computes all in float32, dgmm sums in float64."""
    rows = DATA["blobs"].astype(np.float32)
    parameters = {"n_components": 4, "covariance_type": covariance_type, "random_state": 0}
    other, mixture = fitted(rows, **parameters)
    np.testing.assert_allclose(mixture.lower_bound_, other.lower_bound_, rtol=1e-5)
    np.testing.assert_allclose(mixture.means_, other.means_, rtol=1e-3, atol=1e-3)
    exact = GaussianMixture(**parameters).fit(rows.astype(np.float64))
    np.testing.assert_allclose(mixture.means_, exact.means_, rtol=1e-4, atol=1e-4)
    assert mixture.means_.dtype == np.float32


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        ({"n_components": 0}, DATA["iris"]),
        ({"covariance_type": "round"}, DATA["iris"]),
        ({"tol": -1.0}, DATA["iris"]),
        ({"max_iter": 1.5}, DATA["iris"]),
        ({"n_components": 3}, DATA["iris"][:2]),
        ({}, DATA["iris"][:1]),
        ({}, np.empty((0, 2))),
        ({}, DATA["iris"][:, 0]),
        ({}, np.zeros((2, 2, 2))),
        ({"n_components": 2, "weights_init": [0.5, 0.6]}, DATA["iris"]),
        ({"n_components": 2, "weights_init": [0.5, 0.3, 0.2]}, DATA["iris"]),
        ({"n_components": 2, "weights_init": [1.5, -0.5]}, DATA["iris"]),
        ({"n_components": 2, "means_init": np.zeros((2, 3))}, DATA["iris"]),
        ({"n_components": 2, "precisions_init": np.zeros((2, 3, 3))}, DATA["iris"]),
        ({"n_components": 2, "precisions_init": -np.stack([np.eye(4)] * 2)}, DATA["iris"]),
        ({"covariance_type": "diag", "precisions_init": np.zeros((1, 4))}, DATA["iris"]),
        ({"covariance_type": "tied", "precisions_init": -np.eye(4)}, DATA["iris"]),
    ],
    ids=str,
)
def test_errors(parameters, rows):
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - compared below
        SklearnGaussianMixture(**parameters).fit(rows)
    with pytest.raises(ValueError) as found:  # noqa: PT011 - compared below
        GaussianMixture(**parameters).fit(rows)
    words = str(expected.value).replace("{'tied', 'spherical', 'full', 'diag'}", "")
    start = words.split(":")[0].split(" (shape")[0].split(" by Gauss")[0][:60]
    assert str(found.value).startswith(start)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad):
    rows = DATA["iris"].copy()
    rows[7, 2] = bad
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - compared below
        SklearnGaussianMixture(2).fit(rows)
    with pytest.raises(ValueError, match=r"row 7, column 2") as found:
        GaussianMixture(2).fit(rows)
    assert str(found.value).splitlines()[0] == str(expected.value).splitlines()[0]


@pytest.mark.parametrize("covariance_type", ["full", "diag"])  # of the others rounding leaves a little
def test_a_degenerate_covariance(covariance_type):
    rows = np.repeat(np.eye(2), 5, axis=0)
    words = "Fitting the mixture model failed because some components have ill-defined empirical covariance"
    for kind in (SklearnGaussianMixture, GaussianMixture):
        with pytest.raises(ValueError, match=words):
            kind(2, covariance_type=covariance_type, reg_covar=0.0, random_state=0).fit(rows)


def test_the_convergence_warning():
    with pytest.warns(ConvergenceWarning, match="Best performing initialization did not converge") as caught:
        GaussianMixture(3, max_iter=1, random_state=0).fit(DATA["iris"])
    assert caught[0].filename == __file__
