"""Forecasts of the work of a fit, in products and bytes: how much search is worth it.

Products are of two numbers of float64; those of float32 count as half. Nothing is timed, and where rows are
kept does not matter: the same rows and the same seed give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgmm.fitting.few_rows import rows_of_a_covariance
from dgmm.kernels import COMPILING
from dgmm.model.families import Family


@dataclass(frozen=True)
class CostTuning:
    """What work is worth.

    Measured by ``benchmarks/default_fit.py``: docs/notes/2026-11-26-search.md.

    Attributes
    ----------
    products_of_byte : float
        Products that take as long as to read a byte from a store: of 5·10⁹ products and some 0.6 GB in a
        second.
    search_passes : float
        Passes: a search costs no more.
    least_search : float
        Products: or as much as this, if that is more.
    cheap_search : float
        Products: a whole search that costs no more is worth it anyway, and of one that costs more a part, the
        less the more it costs.
    step_passes : float
        Passes: the first steps in memory after a pass cost as much together.
    least_steps : float
        Products: or as much as this, if that is more.
    products_of_exponential : float
        Products that take as long as the exponential and what else a row takes of each component: 8 ns. Of
        few features they are most of a step.
    products_of_cube : float
        Products that factors, precisions and traces of a covariance take in a step, for each cube of the
        number of features: of 500 features a step of one takes 30 ms beside its rows.
    rows_of_covariance : int
        Rows to step on for each row that the covariances of all components need.
    """

    products_of_byte: float = 8.0
    search_passes: float = 2.0
    least_search: float = 1e10
    cheap_search: float = 3.2e11
    step_passes: float = 1.0
    least_steps: float = 2e8
    products_of_exponential: float = 40.0
    products_of_cube: float = 2.0
    rows_of_covariance: int = 4


COSTS = CostTuning()


@dataclass(frozen=True)
class Size:
    """How large a fit is.

    Attributes
    ----------
    n_rows, n_features, n_components : int
    family : Family
    itemsize : int
        Bytes of a value: of float32 4, of float64 8.
    """

    n_rows: int
    n_features: int
    n_components: int
    family: Family
    itemsize: int

    @property
    def products_of_row(self) -> float:
        """Products of an E-step for a row, with its sums."""
        return products_of_row(self.family, self.n_components, self.n_features, self.itemsize)

    @property
    def products_of_matrices(self) -> float:
        """Products of what an M-step makes of covariances between features, whatever the rows."""
        if not self.family.has_products:
            return 0.0
        return (1 if self.family.is_shared else self.n_components) * products_of_matrix(self.n_features)

    @property
    def products_of_pass(self) -> float:
        """Products of a pass, with those that it might make while rows are read."""
        return self.n_rows * (self.products_of_row + COSTS.products_of_byte * self.itemsize * self.n_features)

    @property
    def products_of_search(self) -> float:
        """Products that a search may take."""
        return max(COSTS.least_search, COSTS.search_passes * self.products_of_pass)

    @property
    def n_cheap_passes(self) -> int:
        """Return how many passes are little work in any case."""
        return int(COSTS.least_search / self.products_of_pass)

    @property
    def rows_of_little_work(self) -> int | None:
        """Return the rows where E-steps on all of them are left to NumPy; None where they are much work.

        See `dgmm.fitting.steps.in_memory.InMemory`. What passes compile serves a search too, though parts of
        a mixture are less work than all of it.
        """
        natural_parameters = products_of_row(self.family, self.n_components, self.n_features) / 2.0
        return self.n_rows if self.n_rows * natural_parameters < COMPILING.least_work else None

    def rows_of_steps(self, n_steps: int) -> int:
        """Return the rows on which so many steps in memory cost what they may, between two passes."""
        products = max(COSTS.least_steps, COSTS.step_passes * self.products_of_pass)
        fewest = COSTS.rows_of_covariance * self.n_components * rows_of_a_covariance(self.n_features)
        row = products_of_step(self.family, self.n_components, self.n_features, self.itemsize)
        return max(fewest, int(products / (n_steps * row)))


def products_of_row(family: Family, n_components: int, n_features: int, itemsize: int = 8) -> float:
    """Return the products of an E-step for a row: features times components, and again for the sums."""
    features = family.feature_rows(n_features)
    return 2.0 * n_components * (features.stop - features.start) * itemsize / 8


def products_of_matrix(n_features: int) -> float:
    """Return the products of factors, precisions and traces of one covariance matrix."""
    return COSTS.products_of_cube * n_features**3


def products_of_step(family: Family, n_components: int, n_features: int, itemsize: int = 8) -> float:
    """Return the same of a step in memory, where the exponentials of few features take most of the time."""
    exponentials = COSTS.products_of_exponential * n_components
    return products_of_row(family, n_components, n_features, itemsize) + exponentials
