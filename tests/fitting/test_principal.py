"""The pass of a principal component analysis."""

import numpy as np
import pytest

from dgmm.data import DataError
from dgmm.fitting.principal import FactorWork
from dgmm.passes.task import ChunkRows


def chunks(rows: np.ndarray, weights: np.ndarray | None = None) -> list[ChunkRows]:
    parts = np.array_split(np.arange(len(rows)), 3)
    return [ChunkRows(p[0], rows[p], None if weights is None else weights[p], "rows") for p in parts]


def test_factors_of_chunks_are_those_of_all_rows(generator):
    rows, weights = generator.normal(size=(50, 3)) + 1e6, generator.uniform(0.5, 2.0, 50)
    factor = FactorWork(3)(iter(chunks(rows, weights))).factor
    mean = np.average(rows, axis=0, weights=weights)
    scatter = (weights[:, None] * (rows - mean)).T @ (rows - mean)
    assert (factor.n_rows, factor.weight) == (50, pytest.approx(weights.sum()))
    np.testing.assert_allclose(factor.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(factor.factor.T @ factor.factor, scatter, rtol=1e-7, atol=1e-7)


def test_the_first_value_that_is_not_finite_is_named(generator):
    rows = generator.normal(size=(30, 2))
    rows[[14, 25], 1] = np.nan, np.inf
    found = FactorWork(2)(iter(chunks(rows)))
    assert (found.not_finite.row, found.not_finite.column) == (14, 1)
    assert (found.not_finite.n_nan, found.not_finite.n_infinite) == (1, 1)
    assert found.factor.n_rows == 10  # of the chunks that are whole


def test_negative_weights_are_refused(generator):
    with pytest.raises(DataError, match="row 4 has -1"):
        FactorWork(2)(iter(chunks(generator.normal(size=(9, 2)), np.where(np.arange(9) == 4, -1.0, 1.0))))
