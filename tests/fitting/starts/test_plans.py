"""Plans of a search: what they cost by the forecast, and by counting."""
# pyright: reportPrivateImportUsage=false

from dataclasses import replace
from itertools import pairwise

import dask
import numpy as np
import pytest

from dgmm.fitting.costs import COSTS, Size
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts import methods, splits
from dgmm.fitting.starts.methods import StartMethod
from dgmm.fitting.starts.plans import ladder, plan_for, products_of_plan
from dgmm.fitting.starts.search import SEARCH, search
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from tests.model import naive

SIZES = [
    (260_000, 100, 10, "full"),
    (300_000, 20, 20, "full"),
    (300_000, 64, 50, "full"),
    (260_000, 40, 100, "full"),
    (400_000, 64, 200, "diag"),
    (10**7, 64, 50, "full"),
    (10**6, 40, 64, "tied"),
    (10**6, 100, 64, "spherical"),
]


def size(n_rows, n_features, n_components, family) -> Size:
    return Size(n_rows, n_features, n_components, FAMILIES[family], 8)


TWO_PASSES = [
    ((260_000, 100, 10, "full"), 5.7e10),  # 2 · 260,000 · (2 · 10 · 5,151 features + 8 · 8 · 100 bytes)
    ((300_000, 64, 50, "full"), 1.32e11),  # 2 · 300,000 · (2 · 50 · 2,145 + 8 · 8 · 64)
    ((10**7, 64, 50, "full"), 4.4e12),  # of more rows as much more
    ((260_000, 40, 100, "full"), 9.1e10),  # 2 · 260,000 · (2 · 100 · 861 + 8 · 8 · 40)
    ((400_000, 64, 200, "diag"), 4.5e10),  # 2 · 400,000 · (2 · 200 · 129 + 8 · 8 · 64)
]


@pytest.mark.parametrize(("of", "n_products"), TWO_PASSES)
def test_a_search_costs_two_passes_at_the_most(of, n_products):
    """Where fits are so large that a minute of a search is not worth it."""
    own = size(*of)
    assert products_of_plan(plan_for("auto", own), own) <= n_products


FEW_FEATURES = [
    ((260_000, 8, 10, "full"), 1.0),
    ((260_000, 8, 15, "full"), 1.0),
    ((260_000, 8, 20, "full"), 0.7),  # all of it would take 1.4 minutes
    ((260_000, 8, 30, "full"), 0.48),  # 2.1
    ((260_000, 8, 60, "full"), 0.24),  # 4.3
    ((300_000, 20, 20, "full"), 0.14),  # 7.4
]


@pytest.mark.parametrize(("of", "of_a_minute"), FEW_FEATURES)
def test_a_search_costs_a_minute_at_the_most_and_less_where_all_costs_more(of, of_a_minute):
    """At 5·10⁹ products a second: of twice as much half a minute, of three times as much a third."""
    own = size(*of)
    assert products_of_plan(plan_for("auto", own), own) <= 3.2e11 * of_a_minute


def test_one_component_more_is_searched_a_third_as_much_at_the_least():
    """Where a whole search begins to cost too much it does not fall to hardly any at once."""
    costs = [
        products_of_plan(plan_for("auto", own), own)
        for own in (size(260_000, 8, n_components, "full") for n_components in range(10, 41))
    ]
    assert all(after >= before / 3.0 for before, after in pairwise(costs))
    assert min(costs) >= 0.1 * max(costs)


@pytest.mark.parametrize("of", SIZES)
def test_plans_cost_less_and_less(of):
    costs = [products_of_plan(each, size(*of)) for each in ladder(size(*of))]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("of", SIZES)
def test_more_rows_are_searched_no_less(of):
    n_rows, *others = of
    costs = [
        products_of_plan(plan_for("auto", own), own)
        for own in (size(n_rows * 4**i, *others) for i in range(6))
    ]
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("of", "n_moves"),
    [((3_000, 500, 4, "tied"), 0), ((34_000, 1000, 10, "diag"), 1), ((3_000, 20, 4, "tied"), 8)],
)
def test_matrices_count_too(of, n_moves):
    """Of many features they take longer than the rows do: then no component is moved, or one."""
    assert plan_for("auto", size(*of)).exchanges.n_moves == n_moves


@pytest.mark.parametrize(("n_rows", "n_rivals"), [(250_001, 8), (10**9, 3)])
def test_few_features_and_components_are_searched_as_ever(n_rows, n_rivals):
    """But of few rows a pass has more to choose from."""
    assert plan_for("auto", size(n_rows, 8, 10, "full")) == replace(SEARCH, n_rivals=n_rivals)


def test_larger_fits_are_searched_less_by_steps():
    """Of more and more components, from where a whole search costs too much: no plan is passed over."""
    sizes = [size(260_000, 8, n_components, "full") for n_components in range(10, 100)]
    larger = [own for own in sizes if products_of_plan(SEARCH, own) > COSTS.cheap_search]
    steps = [[*ladder(own)].index(plan_for("auto", own)) for own in larger]
    assert steps == sorted(steps)
    assert {1, 2, 3, 4} <= {*steps}
    assert steps[0] == 1


def test_who_wants_all_has_all():
    assert plan_for("thorough", size(260_000, 100, 10, "full")) == replace(SEARCH, n_rivals=8)
    assert plan_for("auto", size(260_000, 100, 10, "full")) != replace(SEARCH, n_rivals=8)


class Counter:
    """Counts products of the search's E-steps and sums."""

    def __init__(self, monkeypatch):
        self.products = 0.0
        expect, evaluate = InMemory.expect_stack, InMemory.responsibilities

        def expected(data, ready, weights):
            self.count(ready, len(data.rows), 2)
            return expect(data, ready, weights)

        def evaluated(data, parameters):
            self.count(data.stack([parameters]), len(data.rows), 1)
            return evaluate(data, parameters)

        monkeypatch.setattr(InMemory, "expect_stack", expected)
        monkeypatch.setattr(InMemory, "responsibilities", evaluated)
        for module in (methods, splits):
            monkeypatch.setattr(module, "assign", self.assigning(module.assign))

    def count(self, ready, n_rows, n_products):
        self.products += n_products * n_rows * sum(group.natural_parameters.size for group in ready.groups)

    def assigning(self, assign):
        def assigned(blank, chunks, share):
            self.count(blank, sum(len(rows) for rows, _ in chunks), 1)
            return assign(blank, chunks, share)

        return assigned


@pytest.mark.parametrize(("family", "n_features"), [("full", 18), ("full", 5), ("diag", 12), ("tied", 6)])
def test_plans_take_no_more_than_their_forecast(family, n_features, monkeypatch):
    """Of clusters that overlap, where EM is slow."""
    generator = np.random.default_rng(0)
    truth = naive.random_parameters(generator, family, 5, n_features, spread=1.0)
    rows = naive.random_rows(generator, truth, 1500)
    own = size(len(rows), n_features, 5, family)
    sample = Sample(generator.permutation(len(rows)).astype(np.uint64), np.arange(len(rows)), rows, None)
    method = StartMethod("search", FAMILIES[family], 5, Likelihood(1e-6))
    lean = [each for each in ladder(own) if not each.surpluses and each.n_moved == 1]
    assert len(lean) >= 5
    counter = Counter(monkeypatch)
    with dask.config.set(scheduler="synchronous"):
        for plan in lean[::2]:
            counter.products = 0.0
            found = search(method, sample, np.random.RandomState(0), plan).mixtures
            again = search(method, sample, np.random.RandomState(0), plan).mixtures
            assert 0.0 < counter.products / 2.0 <= 2.0 * products_of_plan(plan, own)  # of float32
            assert [each.means.tobytes() for each in found] == [each.means.tobytes() for each in again]
