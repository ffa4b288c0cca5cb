"""The search for starts: it finds what single runs miss, and does not fall for spurious components."""
# pyright: reportPrivateImportUsage=false

from dataclasses import replace

import dask
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts import search as of_search
from dgmm.fitting.starts.methods import StartMethod
from dgmm.fitting.starts.record import RECORD
from dgmm.fitting.starts.search import SEARCH, _divided, search
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.passes.events import Event, TasksStarted, listening
from tests.model import naive


def sample_of(rows, weights=None) -> Sample:
    numbers = np.arange(len(rows))
    hashes = np.random.default_rng(99).permutation(len(rows)).astype(np.uint64)
    return Sample(hashes, numbers, rows, weights)


def found(rows, covariance_type, n_components, seed=0, weights=None):
    method = StartMethod("search", FAMILIES[covariance_type], n_components, Likelihood(1e-6))
    return search(method, sample_of(rows, weights), np.random.RandomState(seed)).mixtures


def log_likelihood(parameters, rows):
    return climb(InMemory.of(rows), parameters, Likelihood(1e-6), 0).lower_bound


@pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
def test_at_least_as_good_as_scikit_learns_best_of_ten(covariance_type):
    generator = np.random.default_rng(0)
    truth = naive.random_parameters(generator, covariance_type, 6, 2, spread=4.0)
    rows = naive.random_rows(generator, truth, 3000)
    other = SklearnGaussianMixture(6, covariance_type=covariance_type, n_init=10, random_state=0).fit(rows)
    best = max(log_likelihood(each, rows) for each in found(rows, covariance_type, 6))
    assert best > other.score(rows) - 2e-3  # the search is fitted to four fifths of the rows


def test_it_does_not_depend_on_the_units_of_features():
    generator = np.random.default_rng(1)
    truth = naive.random_parameters(generator, "full", 4, 2, spread=4.0)
    rows, units = naive.random_rows(generator, truth, 2000), np.array([1000.0, 0.01])
    own, other = found(rows, "full", 4)[0], found(rows * units, "full", 4)[0]
    assert log_likelihood(other, rows * units) + np.log(units).sum() == pytest.approx(
        log_likelihood(own, rows), abs=1e-2
    )


def test_it_does_not_depend_on_where_the_rows_lie():
    """Rows are taken as float32, but about their mean: 1e7 away they would be integers otherwise."""
    generator = np.random.default_rng(1)
    rows = naive.random_rows(generator, naive.random_parameters(generator, "full", 4, 2, spread=4.0), 2000)
    own, other = found(rows, "full", 4)[0], found(rows + 1e7, "full", 4)[0]
    assert log_likelihood(other, rows + 1e7) == pytest.approx(log_likelihood(own, rows), abs=1e-3)
    order, of_other = np.argsort(own.means[:, 0]), np.argsort(other.means[:, 0])
    np.testing.assert_allclose(other.means[of_other] - 1e7, own.means[order], atol=0.05)


def test_the_same_seed_gives_the_same_bits_on_any_scheduler():
    rows = naive.random_rows(
        np.random.default_rng(2), naive.random_parameters(np.random.default_rng(2), "diag", 3, 2), 1500
    )
    results = []
    for scheduler in ("threads", "synchronous"):
        with dask.config.set(scheduler=scheduler):
            results.append([each.means.tobytes() for each in found(rows, "diag", 3)])
    assert results[0] == results[1]
    assert 1 <= len(results[0]) <= SEARCH.n_rivals


def test_weights_count_rows():
    """Rows that weigh nothing have no say."""
    generator = np.random.default_rng(3)
    rows = np.concatenate([generator.normal(size=(800, 2)), 8.0 + generator.normal(size=(800, 2))])
    noise = generator.uniform(-30.0, 30.0, size=(400, 2))
    weights = np.repeat([2.0, 0.0], [1600, 400])
    best = found(np.concatenate([rows, noise]), "spherical", 2, weights=weights)[0]
    np.testing.assert_allclose(np.sort(best.means[:, 0]), [0.0, 8.0], atol=0.2)
    np.testing.assert_allclose(best.covariances, 1.0, atol=0.15)


def n_rounds(rows, n_components) -> int:
    events: list[Event] = []
    with listening(events.append):
        found(rows, "full", n_components)
    rounds = ("trying starts", "growing mixtures")
    return sum(isinstance(event, TasksStarted) and event.purpose in rounds for event in events)


def test_rounds_of_starts_end_where_all_reach_the_same_optimum():
    generator = np.random.default_rng(5)
    centres = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]])
    rows = np.concatenate([centre + generator.normal(size=(400, 2)) for centre in centres])
    assert n_rounds(rows[generator.permutation(len(rows))], 3) == 1


def test_starts_that_agree_are_not_the_end_where_one_exchange_leads_higher(monkeypatch):
    """That neighbours end higher is planted: data where they do take long."""
    generator = np.random.default_rng(5)
    rows = np.concatenate([centre + generator.normal(size=(400, 2)) for centre in ([0, 0], [30, 0], [0, 30])])
    asked = []

    def neighbouring(climbs, n_wanted, **_):
        best = max(climbs, key=lambda each: each.lower_bound)
        asked.append(best.lower_bound)
        assert n_wanted == SEARCH.n_refuting
        gain = 2.0 * RECORD.alike if len(asked) == 1 else -1.0
        return [replace(best, lower_bound=best.lower_bound + gain)]

    monkeypatch.setattr(of_search, "_neighbouring", neighbouring)
    assert n_rounds(rows[generator.permutation(len(rows))], 3) == 2
    assert len(asked) == 2
    assert asked[1] == asked[0] + 2.0 * RECORD.alike


def test_mixtures_grow_where_starts_end_in_different_optima():
    """No clusters: every start finds another way to cover a square. Two rounds of starts come before."""
    assert n_rounds(np.random.default_rng(6).uniform(size=(2000, 2)), 12) == 3


@pytest.mark.parametrize(
    ("shares", "seed"),
    [([0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.1], 0), ([0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.1], 1), ([0.1, 0.9], 0)],
)
def test_values_that_rows_repeat_have_components_of_their_own(shares, seed):
    """Not less likely than where each of them has one; the last of two is no value, but all other rows."""
    generator = np.random.default_rng(7)
    n_values, of_value = len(shares), generator.choice(len(shares), 3000, p=shares)
    rows = generator.normal(size=(3000, 3)) * np.exp(0.5 * generator.normal(size=(3000, 1)))
    has = (of_value < 1) | (n_values > 2)
    rows[has, 0] = of_value[has]
    rows[:, 1] += 0.3 * of_value
    own = [rows[of_value == value] for value in range(n_values)]
    each = Parameters.from_covariances(
        FAMILIES["full"],
        np.array([len(part) for part in own]) / 3000,
        np.stack([part.mean(axis=0) for part in own]),
        np.stack([np.cov(part.T, bias=True) + 1e-6 * np.eye(3) for part in own]),
    )
    best = max(log_likelihood(other, rows) for other in found(rows, "full", n_values, seed))
    assert best > log_likelihood(each, rows) - 2e-2  # the search is fitted to four fifths of the rows


def test_few_rows_that_have_a_weight():
    rows = np.random.default_rng(0).normal(size=(30, 2))
    weights = np.zeros(30)
    weights[:8] = 1.0
    for own in (None, weights):
        best = found(rows[: 4 if own is None else 30], "diag", 2, weights=own)[0]
        assert np.isfinite(best.means).all()


@pytest.mark.parametrize("scale", [1e-100, 1e-20, 1.0, 1e6, 1e38, 1e100])
def test_it_does_not_depend_on_the_scale_of_the_data(scale):
    """A component with few held-out rows has no covariance there, and squares may leave float32."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(3, 20)) * 6
    rows = centres[generator.choice(3, 3000, p=[0.6, 0.38, 0.02])] + generator.normal(size=(3000, 20))
    method = StartMethod("search", FAMILIES["full"], 3, Likelihood(0.0))
    best = search(method, sample_of(rows * scale), np.random.RandomState(0)).mixtures[0]
    order = np.argsort(best.weights)
    np.testing.assert_allclose(best.weights[order], [0.02, 0.38, 0.6], atol=0.02)


def test_components_on_single_rows_far_apart():
    """Their merge has no covariance that rounding leaves definite: it costs more than any other."""
    rows = np.random.default_rng(6).normal(size=(400, 2)) + np.arange(400)[:, None] % 4 * 3
    method = StartMethod("search", FAMILIES["full"], 12, Likelihood(1e-6))
    assert (
        search(method, sample_of(rows[:200] * 1e5), np.random.RandomState(0)).mixtures[0].n_components == 12
    )


def test_large_weights():
    """Weights are relative, also those that float32 cannot hold.

    Of clusters that do not overlap: there the likelihood has one sharp maximum, the weighted mean of each
    cluster. (Of one cluster's rows two components are anywhere: rounding decides where a search ends.)
    """
    generator = np.random.default_rng(0)
    labels = np.arange(500) % 2
    rows, weights = 12.0 * labels[:, None] + generator.normal(size=(500, 2)), generator.uniform(0.5, 1.5, 500)
    sample = sample_of(rows)
    fitted, _ = _divided(sample, 2)  # the others are held out
    kept = np.isin(rows[:, 0], sample.values[fitted, 0])
    expected = [
        np.average(rows[each], axis=0, weights=weights[each])
        for each in (kept & (labels == k) for k in (0, 1))
    ]
    for scale in (1.0, 1e40):
        best = found(rows, "diag", 2, weights=weights * scale)[0]
        np.testing.assert_allclose(best.means[np.argsort(best.means[:, 0])], expected, atol=1e-4)


def test_rows_on_a_line():
    """No covariance is positive definite: what EM would say."""
    rows = np.repeat(np.arange(500.0)[:, None], 2, axis=1)
    method = StartMethod("search", FAMILIES["full"], 3, Likelihood(0.0))
    with pytest.raises(DegenerateCovarianceError, match="ill-defined empirical covariance"):
        search(method, sample_of(rows), np.random.RandomState(0))


def clusters_in_clusters(generator, n_rows=3000):
    """Two wide clusters; in the first three narrow ones, side by side: k-means has one component there."""
    wide = np.array([[0.0, 0.0], [30.0, 0.0]])[generator.integers(2, size=n_rows)]
    narrow = np.array([[-1.0, 0.0], [0.0, 1.5], [1.0, -1.5]])[generator.integers(3, size=n_rows)]
    is_narrow = generator.random(n_rows) < 0.3
    places, widths = np.where(is_narrow[:, None], narrow, wide), np.where(is_narrow, 0.1, 5.0)
    return places + widths[:, None] * generator.normal(size=(n_rows, 2))


def test_seeds_agree_where_k_means_misses_the_best_optimum():
    rows = clusters_in_clusters(np.random.default_rng(7))
    missed = [SklearnGaussianMixture(5, random_state=seed).fit(rows).score(rows) for seed in range(3)]
    reached = [log_likelihood(found(rows, "full", 5, seed)[0], rows) for seed in range(3)]
    assert min(reached) > max(missed) + 0.05
    assert max(reached) - min(reached) < 5e-3


def test_seeds_agree_on_values_that_rows_repeat():
    """A fifth of the rows has one feature zero, another fifth the other: each value is worth a component."""
    generator = np.random.default_rng(8)
    rows = generator.normal(size=(2000, 2)) + 6.0 * generator.integers(2, size=(2000, 1))
    which = generator.integers(5, size=2000)
    for feature in (0, 1):
        rows[which == feature, feature] = 0.0
    best = [found(rows, "full", 4, seed)[0] for seed in range(2)]
    for each in best:
        narrow = each.variances < 1e-5
        assert narrow.any(axis=0).all()
        np.testing.assert_allclose(each.means[narrow], 0.0, atol=1e-3)  # as near as reg_covar lets them be
    first, second = (log_likelihood(each, rows) for each in best)
    assert first == pytest.approx(second, abs=0.05)  # a value less costs more than a nat
