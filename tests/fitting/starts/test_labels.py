"""Starts from rows whose components are known."""
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false

import numpy as np
import pytest

from dgmm.data.memory import MemorySource
from dgmm.fitting.label_checks import LabelsAndGroups
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.labels import starts_from_labels
from dgmm.fitting.starts.methods import StartMethod
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.statistics import Moments
from tests.model import naive


def started(rows, labels, n_components, weights=None, seed=0):
    known = KnownParts(None, n_components)
    labels_and_groups = LabelsAndGroups(labels=MemorySource(labels[:, None]))
    own = None if weights is None else MemorySource(weights[:, None])
    data = Data(
        labels_and_groups.with_features(MemorySource(rows), rows.shape[1]),
        own,
        Moments.of(rows, weights),
        known=known,
    )
    numbers = np.arange(len(rows))
    sample = Sample(numbers.astype(np.uint64), numbers, rows, weights, labels[:, None].astype(float))
    method = StartMethod("kmeans", FAMILIES["full"], n_components, Likelihood(0.0))
    found = starts_from_labels([method], known, sample, data, [np.random.RandomState(seed)])
    return None if found is None else found[0]


def test_labels_of_all_rows_are_the_classes(generator):
    rows, labels = generator.normal(size=(60, 2)), np.repeat([2, 0, 1], 20)
    weights = generator.uniform(0.5, 2.0, 60)
    found = started(rows, labels, 3, weights)
    exact = naive.maximized("full", rows, np.eye(3)[labels], weights)
    for value, wanted in zip((found.weights, found.means, found.covariances), exact, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-10, atol=1e-12)


def test_other_components_begin_far_from_labelled_ones(generator):
    """One labelled row of each of two clusters of five: the others are found, and keep their order."""
    centres = 20.0 * np.array([[0, 0], [1, 0], [0, 1], [1, 1], [2, 2]])
    rows = np.concatenate([centre + generator.normal(size=(50, 2)) for centre in centres])
    labels = np.full(250, -1)
    labels[[0, 50]] = [3, 1]
    found = started(rows, labels, 5)
    np.testing.assert_allclose(found.means[[3, 1]], centres[:2], atol=0.6)
    others = found.means[[0, 2, 4]]
    assert sorted(np.linalg.norm(others[:, None] - centres[2:], axis=2).argmin(axis=1)) == [0, 1, 2]
    np.testing.assert_allclose(found.weights, 0.2, atol=1e-12)
    np.testing.assert_array_equal(found.means, started(rows, labels, 5).means)


def test_nothing_is_told(generator):
    rows = generator.normal(size=(30, 2))
    assert started(rows, np.full(30, -1), 3) is None


def test_rows_of_one_component():
    rows = np.arange(12.0).reshape(6, 2) ** 1.5
    found = started(rows, np.full(6, -1), 1)
    assert found is not None
    np.testing.assert_allclose(found.means[0], rows.mean(axis=0), rtol=1e-12)


@pytest.fixture
def generator():
    return np.random.default_rng(3)
