"""What work costs: closed forms, and that more costs no less."""

import numpy as np
import pytest

from dgmm.fitting.costs import COSTS, Size, products_of_row
from dgmm.model.families import FAMILIES
from tests.model import naive


@pytest.mark.parametrize(
    ("family", "columns"),
    [
        ("full", 1 + 7 + 7 * 8 // 2),
        ("diag", 1 + 2 * 7),
        ("spherical", 2 + 7),
        ("tied", 1 + 7),
        ("tied_diag", 1 + 7),
        ("tied_spherical", 1 + 7),
    ],
)
def test_products_of_a_row_are_its_features_for_each_component_twice(family, columns):
    assert products_of_row(FAMILIES[family], 5, 7) == 2 * 5 * columns


def size(n_rows=10**6, n_features=8, n_components=10, family="full", itemsize=8) -> Size:
    return Size(n_rows, n_features, n_components, FAMILIES[family], itemsize)


def test_a_pass_is_its_arithmetic_and_its_reading():
    row = 2 * 10 * 45
    assert size().products_of_pass == 10**6 * (row + 64 * COSTS.products_of_byte)
    assert size(itemsize=4).products_of_pass == size().products_of_pass / 2


def test_little_work_is_that_of_all_rows_and_components():
    """2²⁴ products of rows and natural parameters (45 for each of ten components) are not little any more."""
    assert size(n_rows=3000).rows_of_little_work == 3000
    assert size(n_rows=2**24 // 450).rows_of_little_work == 2**24 // 450
    assert size(n_rows=2**24 // 450 + 1).rows_of_little_work is None


@pytest.mark.parametrize("family", naive.SCIKIT_LEARNS)
def test_larger_fits_may_search_and_step_as_much(family):
    generator = np.random.default_rng(0)
    for _ in range(20):
        n_rows, n_features, n_components = (int(each) for each in generator.integers(2, [10**7, 200, 300]))
        own = size(n_rows, n_features, n_components, family)
        more = size(2 * n_rows, n_features, n_components, family)
        assert more.products_of_search >= own.products_of_search
        assert more.rows_of_steps(8) >= own.rows_of_steps(8) >= own.rows_of_steps(16) >= 1


def test_steps_cost_what_a_pass_does():
    """Where there is much to do: 8 steps on an eighth of the rows, and a little more for the reading."""
    large = size(10**7, 64, 10)
    row = large.products_of_row + 10 * COSTS.products_of_exponential
    work = 8 * large.rows_of_steps(8) * row
    assert work == pytest.approx(COSTS.step_passes * large.products_of_pass, rel=1e-4)


def test_exponentials_are_most_of_the_steps_of_few_features():
    few, more = size(260_000, 4, 5, "diag"), size(260_000, 8, 5, "diag")
    assert few.rows_of_steps(8) < 1.3 * more.rows_of_steps(8)  # nearly twice the products


def test_covariances_of_all_components_have_rows_to_step_on():
    many = size(10**5, 40, 300)
    assert many.rows_of_steps(8) >= 300 * 41
