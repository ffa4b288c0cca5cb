# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
"""Order and overlap of components, and a table of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.model.families import FAMILIES
from dgmm.model.overlap import bhattacharyya_distances

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def rows(generator):
    return np.concatenate([generator.normal(4 * k, 1 + k, (300 + 200 * k, 3)) for k in range(3)])


@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize("by", ["weight", "mean", [2, 0, 1]])
def test_sorted_is_the_same_mixture(covariance_type, by, rows, tmp_path):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(rows)
    found = mixture.sorted(by)
    assert type(found) is GaussianMixture
    assert found.get_params() == mixture.get_params()
    expected = {"weight": np.argsort(-mixture.weights_), "mean": np.argsort(mixture.means_[:, 0])}.get(
        str(by), by
    )
    np.testing.assert_array_equal(found.means_, mixture.means_[expected])
    np.testing.assert_array_equal(found.predict(rows), np.argsort(expected)[mixture.predict(rows)])
    np.testing.assert_allclose(found.score_samples(rows), mixture.score_samples(rows), rtol=1e-12)
    np.testing.assert_allclose(
        found.predict_proba(rows), mixture.predict_proba(rows)[:, expected], atol=1e-12
    )
    assert found.history_ == mixture.history_
    found.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(dgmm.load(tmp_path / "model.npz").means_, found.means_)


@pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_a_sorted_posterior_has_the_same_densities(kind, covariance_type, rows, tmp_path):
    mixture = BayesianGaussianMixture(
        n_components=4, weight_concentration_prior_type=kind, covariance_type=covariance_type, random_state=0
    ).fit(rows[::9])
    found = mixture.sorted([3, 1, 0, 2])
    np.testing.assert_allclose(found.score_samples(rows), mixture.score_samples(rows), rtol=1e-10)
    np.testing.assert_allclose(
        found.predict_proba(rows), mixture.predict_proba(rows)[:, [3, 1, 0, 2]], atol=1e-10
    )
    np.testing.assert_array_equal(found.weights_, mixture.weights_[[3, 1, 0, 2]])
    found.save(tmp_path / "model.npz")
    again = dgmm.load(tmp_path / "model.npz")
    np.testing.assert_allclose(again.score_samples(rows), mixture.score_samples(rows), rtol=1e-10)


def test_ties_of_means_are_broken_by_the_next_feature():
    mixture = GaussianMixture(3)
    mixture.weights_ = np.full(3, 1 / 3)
    mixture.means_ = np.array([[1.0, 5.0], [0.0, 9.0], [1.0, 2.0]])
    mixture.covariances_ = np.stack([np.eye(2)] * 3)
    np.testing.assert_array_equal(mixture.sorted("mean").means_, [[0, 9], [1, 2], [1, 5]])


def test_sorted_by_the_name_of_a_feature(rows):
    frame = pd.DataFrame({"red": rows[:, 0], "blue": -rows[:, 1], "weight": rows[:, 2]})
    mixture = GaussianMixture(3, random_state=0).fit(frame)
    for name in ("red", "blue"):
        found = mixture.sorted(name)
        np.testing.assert_array_equal(
            found.means_, mixture.means_[np.argsort(mixture.means_[:, [*frame].index(name)])]
        )
    np.testing.assert_array_equal(mixture.sorted("weight").weights_, np.sort(mixture.weights_)[::-1])


def test_overlap_is_that_of_the_components(rows):
    mixture = GaussianMixture(3, random_state=0).fit(rows)
    distances = bhattacharyya_distances(mixture._parameters)
    np.testing.assert_allclose(mixture.overlap(), np.exp(-distances))
    np.testing.assert_allclose(mixture.overlap("hellinger") ** 2 + mixture.overlap(), 1.0)


def test_the_table_is_one(rows):
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    frame.loc[:299, "b"] += 90.0
    mixture = GaussianMixture(3, random_state=0).fit(frame)
    table = pd.DataFrame(mixture.components_table())
    assert list(table) == [
        "component", "weight", "stands out by", "a mean", "a sd", "b mean", "b sd", "c mean", "c sd",
    ]  # fmt: skip
    assert table["weight"].is_monotonic_decreasing
    np.testing.assert_array_equal(table["b mean"], mixture.means_[table["component"], 1])
    variances = mixture.covariances_[table["component"], 2, 2]
    np.testing.assert_allclose(table["c sd"], np.sqrt(variances))
    assert table.loc[table["b mean"].idxmax(), "stands out by"].startswith("b")


def test_a_single_component_stands_out_by_nothing(rows):
    assert GaussianMixture(1).fit(rows).components_table()["stands out by"].tolist() == [""]


def test_what_is_refused(rows):
    mixture = GaussianMixture(3, random_state=0)
    for method in (mixture.sorted, mixture.overlap, mixture.components_table):
        with pytest.raises(NotFittedError):
            method()
    mixture.fit(rows)
    with pytest.raises(ValueError, match="by='size' is not an order"):
        mixture.sorted("size")
    for order in ([0, 1], [0, 0, 1], [0, 1, 3]):
        with pytest.raises(ValueError, match="components 0 to 2 once"):
            mixture.sorted(order)
    with pytest.raises(ValueError, match="kind='jaccard' is not a measure"):
        mixture.overlap("jaccard")
