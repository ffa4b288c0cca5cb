"""Passes over rows that are made of others."""
# pyright: reportArgumentType=false

from collections.abc import Iterator

import dask.array as da
import numpy as np
import pytest

from dgmm.data import open_dataset, open_weights
from dgmm.passes.adapted import AdaptedSource
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

pytestmark = pytest.mark.usefixtures("small_spans")


def doubled(chunks: Iterator[ChunkRows]) -> Iterator[ChunkRows]:
    for chunk in chunks:
        yield chunk._replace(values=2.0 * chunk.values)


def total(chunks: Iterator[ChunkRows]) -> np.ndarray:
    parts = [chunk.values.T @ (1.0 if chunk.weights is None else chunk.weights) for chunk in chunks]
    return np.sum(parts, axis=0) if parts else np.zeros(2)


def test_a_pass_sees_the_rows_that_are_made(stored, generator):
    """With their weights, wherever they are kept."""
    rows, weights = generator.integers(9, size=(6000, 2)).astype(float), np.arange(6000.0)
    for x in (rows, stored(rows), da.from_array(rows, chunks=(700, 2))):
        source = open_dataset(x)
        made = AdaptedSource(source, doubled, source.n_rows)
        assert (made.n_features, made.dtype, made.name) == (2, source.dtype, source.name)
        found = run_pass(made, total, "test", open_weights(weights))
        np.testing.assert_array_equal(found, 2.0 * weights @ rows)
