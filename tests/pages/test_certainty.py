"""How sure the parameters are."""

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import dgmm
from dgmm.pages.certainty import how_sure
from dgmm.plotting.subject import Subject


def errors_in(subject: Subject) -> np.ndarray:
    (section,) = how_sure(subject)
    return np.array(re.findall(r"± ([0-9.]+)<", section.body), float)


def test_standard_errors_are_those_of_all_rows(three_clusters):
    """By a third of the rows: what these say is scaled to the number of all."""
    mixture = dgmm.GaussianMixture(3, covariance_type="spherical", random_state=0).fit(three_clusters)
    by_all = errors_in(Subject.of(mixture, three_clusters))
    by_some = errors_in(Subject.of(mixture, three_clusters, n_most=1000))
    assert len(by_all) == 3 * (1 + 2 + 2)
    np.testing.assert_allclose(by_some, by_all, rtol=0.15)


def test_there_are_none_without_rows_and_of_a_posterior(three_clusters):
    rows = three_clusters[:200]
    assert how_sure(Subject.of(dgmm.GaussianMixture(1).fit(rows))) == []
    bayesian = dgmm.BayesianGaussianMixture(n_components=1).fit(rows)
    assert how_sure(Subject.of(bayesian, rows)) == []


def test_where_they_cannot_be_had_it_is_said():
    rows = np.r_[np.zeros((40, 1)), np.ones((40, 1))]
    same = dgmm.GaussianMixture(2, covariance_type="spherical")
    same.weights_, same.means_, same.covariances_ = np.ones(2) / 2, np.full((2, 1), 0.5), np.full(2, 0.25)
    (section,) = how_sure(Subject.of(same, rows))
    assert "There are no standard errors" in section.body


def test_they_are_of_rows_with_labels_and_groups():
    generator = np.random.default_rng(0)
    labels, groups = generator.integers(2, size=300), generator.integers(2, size=300)
    rows = generator.normal(labels[:, None], 1.0)
    known: dict[str, Any] = {"labels": labels, "groups": groups}
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows, **known)
    expected = mixture.standard_errors(rows, **known)
    found = errors_in(Subject.of(mixture, rows, **known))
    each = [[expected.weights[k], expected.means[k, 0], expected.covariances[k, 0, 0]] for k in range(2)]
    heaviest_first = np.argsort(-mixture.weights_)
    np.testing.assert_allclose(found, np.ravel(np.array(each)[heaviest_first]), rtol=0.02)
