# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
"""Components become clusters, by sums over all rows."""

from itertools import combinations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from scipy.special import xlogy

import dgmm.estimators.components
from dgmm import GaussianMixture
from dgmm.model.merging import merged

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def rows(generator):
    """A ring sector that several components describe, and a round cluster far from it."""
    angles = generator.uniform(0, 3, 1500)
    ring = 6.0 * np.column_stack([np.cos(angles), np.sin(angles)]) + 0.4 * generator.normal(size=(1500, 2))
    return np.concatenate([ring, generator.normal([0.0, -9.0], 1.0, (500, 2))])


@pytest.fixture
def mixture(rows):
    return GaussianMixture(6, random_state=0).fit(rows)


def entropy_of(shares, clusters):
    joined = np.stack([shares[:, list(cluster)].sum(axis=1) for cluster in clusters], axis=1)
    return -xlogy(joined, joined).sum(axis=1).mean()


def test_each_merge_is_the_best_on_all_rows(rows, mixture):
    merges, shares = mixture.merge(rows), mixture.predict_proba(rows)
    clusters = [frozenset({k}) for k in range(6)]
    for pair, found in zip(merges.merges, merges.entropies[-2::-1], strict=True):
        best = min(entropy_of(shares, merged(clusters, other)) for other in combinations(clusters, 2))
        clusters = merged(clusters, pair)
        assert entropy_of(shares, clusters) == pytest.approx(best, rel=1e-6, abs=1e-12)
        assert found == pytest.approx(best, rel=1e-6, abs=1e-12)
    assert merges.entropies[-1] == pytest.approx(entropy_of(shares, [[k] for k in range(6)]))


def test_it_finds_the_clusters(rows, mixture):
    merges = mixture.merge(rows)
    assert merges.n_clusters == 2
    assert merges.n_passes <= 2
    labels = merges.predict(rows)
    assert labels.tolist() == [0] * 1500 + [1] * 500
    assert merges.labels(6).max() == 5
    assert merges.predict(rows, 1).max() == 0
    shares = merges.predict_proba(rows, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_array_equal(shares.argmax(axis=1), merges.predict(rows, 3))


def test_wrong_guesses_cost_passes_alone(rows, mixture, monkeypatch):
    expected = mixture.merge(rows)
    monkeypatch.setattr(dgmm.estimators.components, "ROWS_TO_GUESS_BY", 1)
    found = mixture.merge(rows)
    assert found.merges == expected.merges
    np.testing.assert_allclose(found.entropies, expected.entropies, rtol=1e-12)
    assert expected.n_passes <= found.n_passes <= 5


@pytest.mark.usefixtures("small_spans")
def test_sources_agree(rows, mixture, stored):
    expected = mixture.merge(rows)
    labels = expected.predict(rows)
    frame = pd.DataFrame(rows, columns=["a", "b"])
    for x in (stored(rows, 170), da.from_array(rows, chunks=(333, 2)), dd.from_pandas(frame, npartitions=4)):
        fitted = mixture if not hasattr(x, "columns") else GaussianMixture(6, random_state=0).fit(frame)
        found = fitted.merge(x)
        assert found.merges == expected.merges
        np.testing.assert_allclose(found.entropies, expected.entropies, rtol=1e-6, atol=1e-9)
        lazy = found.predict(x)
        assert not isinstance(lazy, np.ndarray)
        np.testing.assert_array_equal(np.asarray(lazy), labels)


def test_weights_count_rows(rows, mixture):
    counts = np.random.default_rng(0).integers(0, 3, len(rows))
    repeated = np.repeat(rows, counts, axis=0)
    found, expected = mixture.merge(rows, sample_weight=counts), mixture.merge(repeated)
    assert found.merges == expected.merges
    np.testing.assert_allclose(found.entropies, expected.entropies, rtol=1e-9)


def test_components_that_share_no_rows_stay(generator):
    rows = np.concatenate([generator.normal(30 * k, 1, (200, 2)) for k in range(4)])
    merges = GaussianMixture(4, random_state=0).fit(rows).merge(rows)
    assert merges.n_clusters == 4
    single = GaussianMixture(1).fit(rows).merge(rows)
    assert (single.n_clusters, single.merges, single.entropies.tolist()) == (1, (), [0.0])


def test_numbers_of_clusters_that_there_are_not(rows, mixture):
    merges = mixture.merge(rows)
    for n_clusters in (0, 7, 2.0):
        with pytest.raises(ValueError, match="from 1 to the 6 components"):
            merges.labels(n_clusters)
