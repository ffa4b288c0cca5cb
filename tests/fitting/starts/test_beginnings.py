"""Where climbs of a search begin: at what was put into the rows."""

import numpy as np
import pytest

from dgmm.fitting.starts.beginnings import from_clusters, from_growth, from_other, from_values
from dgmm.fitting.starts.methods import StartMethod
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError

CENTRES = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]])
N_ROWS = 450


def method(covariance_type: str = "full") -> StartMethod:
    return StartMethod("search", FAMILIES[covariance_type], 3, Likelihood(1e-6))


@pytest.fixture
def clustered() -> InMemory:
    """Three clusters; after the rows to begin on come others that are elsewhere."""
    generator = np.random.default_rng(0)
    near = CENTRES[np.arange(N_ROWS) % 3] + generator.normal(size=(N_ROWS, 2))
    return InMemory.of(np.concatenate([near, np.full((50, 2), 1000.0)]))


def assert_at_centres(means, centres=CENTRES):
    distances = np.linalg.norm(means[:, None] - centres, axis=-1)
    assert distances.min(axis=0).max() < 0.5


@pytest.mark.parametrize("way", [0, 1])
def test_at_clusters(clustered, way):
    assert_at_centres(from_clusters(method(), way, 0, clustered, N_ROWS).means)


def test_at_clusters_of_round_components(clustered):
    assert_at_centres(from_clusters(method("spherical"), 1, 0, clustered, N_ROWS).means)


def test_at_another_mixture(clustered):
    other = from_clusters(method("diag"), 0, 0, clustered, N_ROWS)
    assert_at_centres(from_other(method(), other, clustered, N_ROWS).means)


def test_at_what_grows(clustered):
    assert_at_centres(from_growth(method(), 0, 2.0, clustered, N_ROWS).means)


def test_at_values_of_many_rows():
    generator = np.random.default_rng(1)
    rows = CENTRES[np.arange(N_ROWS) % 3] + generator.normal(size=(N_ROWS, 2))
    rows[::3, 0] = 7.0
    found = from_values(method(), 1, 0, InMemory.of(rows), N_ROWS)
    assert_at_centres(found.means, np.array([[7.0, 0.0], [30.0, 0.0], [0.0, 30.0]]))


def test_there_are_no_values_of_many_rows(clustered):
    with pytest.raises(DegenerateCovarianceError):
        from_values(method(), 1, 0, clustered, N_ROWS)
